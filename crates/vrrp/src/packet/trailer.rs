//! The authentication trailer of `auth_hmac` (draft-cassen-vrrp-auth-hmac): 28 bytes behind the advert, outside its
//! checksum, with a sequence made of the sender's clock and an HMAC-SHA-256 cut to 128 bits.

use super::Version;
use super::checksum::sixteen;
use core::net::IpAddr;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The length of the trailer.
pub const TRAILER_LEN: usize = 28;
/// Where the digest begins.
const DIGEST_AT: usize = 12;
/// HMAC-SHA-256 cut to 128 bits, the only scheme there is.
const SCHEME: u8 = 1;

/// A key: 32 to 64 bytes, addressed by a number from 1 to 255.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKey {
    id: u8,
    bytes: Vec<u8>,
}

impl HmacKey {
    /// `None` for the id 0 and for lengths other than 32 to 64 bytes.
    pub fn new(id: u8, bytes: Vec<u8>) -> Option<Self> {
        (id != 0 && (32..=64).contains(&bytes.len())).then_some(Self { id, bytes })
    }

    /// Its number.
    pub fn id(&self) -> u8 {
        self.id
    }
}

impl core::fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "HmacKey({}, …)", self.id)
    }
}

/// The sequence: UTC seconds in the upper 32 bits, 1/65536 seconds in the next 16, a counter in the last 16.
/// Ordered by serial number arithmetic (RFC 1982), so that it survives the wrap of the seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The sequence of a moment, its counter zero. `nanos`: UTC since 1970, in nanoseconds.
    pub fn at(nanos: u64) -> Self {
        let subsecond = ((nanos % 1_000_000_000) << 16) / 1_000_000_000;
        Self(((nanos / 1_000_000_000) << 32) | (subsecond << 16))
    }

    /// UTC seconds, modulo 2^32.
    pub fn seconds(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// True if it is later than `other`.
    pub fn after(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) as i64 > 0
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// What a trailer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    /// The key it was made with.
    pub key_id: u8,
    /// The sender's sequence.
    pub sequence: Sequence,
}

/// Why a trailer is refused before its digest is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrailerError {
    /// Another scheme, or reserved bits set.
    Malformed,
}

impl Trailer {
    /// Reads a trailer.
    pub(super) fn parse(bytes: &[u8; TRAILER_LEN]) -> Result<Self, TrailerError> {
        if bytes[0] != SCHEME || bytes[2..4] != [0, 0] {
            return Err(TrailerError::Malformed);
        }
        let sequence =
            u64::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9], bytes[10], bytes[11]]);
        Ok(Self { key_id: bytes[1], sequence: Sequence(sequence) })
    }

    fn prefix(self) -> [u8; DIGEST_AT] {
        let mut prefix = [0; DIGEST_AT];
        prefix[0] = SCHEME;
        prefix[1] = self.key_id;
        prefix[4..].copy_from_slice(&self.sequence.0.to_be_bytes());
        prefix
    }
}

/// The digest binds family, version, VRID and source, then the advert with its checksum as zero, then the trailer.
fn digest(key: &HmacKey, version: Version, source: IpAddr, pdu: &[u8], prefix: &[u8; DIGEST_AT]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.bytes).expect("HMAC takes keys of any length");
    let family = if source.is_ipv4() { 4 } else { 6 };
    mac.update(&[family, version.number(), pdu[1], 0]);
    mac.update(&sixteen(source));
    mac.update(&pdu[..6]);
    mac.update(&[0, 0]);
    mac.update(&pdu[8..]);
    mac.update(prefix);
    mac.update(&[0; TRAILER_LEN - DIGEST_AT]);
    mac
}

/// The trailer of an advert.
pub(super) fn seal(
    key: &HmacKey,
    sequence: Sequence,
    version: Version,
    source: IpAddr,
    pdu: &[u8],
) -> [u8; TRAILER_LEN] {
    let prefix = Trailer { key_id: key.id, sequence }.prefix();
    let digest = digest(key, version, source, pdu, &prefix).finalize().into_bytes();
    let mut bytes = [0; TRAILER_LEN];
    bytes[..DIGEST_AT].copy_from_slice(&prefix);
    bytes[DIGEST_AT..].copy_from_slice(&digest[..TRAILER_LEN - DIGEST_AT]);
    bytes
}

/// True if the digest is right; in constant time.
pub(super) fn verify(key: &HmacKey, version: Version, source: IpAddr, pdu: &[u8], bytes: &[u8; TRAILER_LEN]) -> bool {
    let mut prefix = [0; DIGEST_AT];
    prefix.copy_from_slice(&bytes[..DIGEST_AT]);
    digest(key, version, source, pdu, &prefix).verify_truncated_left(&bytes[DIGEST_AT..]).is_ok()
}
