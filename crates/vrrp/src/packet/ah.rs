//! The Authentication Header of `auth_type AH`: HMAC-MD5-96 (RFC 2402, RFC 2403) over the IP header without what routers
//! change, the Authentication Header without its digest, and the advert.

use hmac::{Hmac, Mac as _};
use md5::Md5;

/// The length of the header: twelve bytes and a digest of twelve.
pub const AH_LEN: usize = 24;
/// Where the digest begins.
const DIGEST_AT: usize = 12;

/// The key: the password, filled up with zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct AhKey(pub [u8; 8]);

impl core::fmt::Debug for AhKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AhKey(…)")
    }
}

/// A header with a digest of zeros. The SPI is the sender's address, as there is nobody to negotiate one with.
pub(super) fn header(spi: [u8; 4], sequence: u32) -> [u8; AH_LEN] {
    let mut header = [0; AH_LEN];
    header[0] = super::PROTOCOL_VRRP;
    header[1] = (AH_LEN / 4 - 2) as u8;
    header[4..8].copy_from_slice(&spi);
    header[8..12].copy_from_slice(&sequence.to_be_bytes());
    header
}

/// The state of the digest over everything it covers.
///
/// `unicast`: the time to live changes on the way and counts as zero; a multicast advert must arrive with 255.
fn digest(key: &AhKey, ip: &[u8], ah: &[u8; AH_LEN], rest: &[u8], unicast: bool) -> Hmac<Md5> {
    let mut mac = Hmac::<Md5>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
    for (at, byte) in ip.iter().enumerate() {
        // Type of service, flags and fragment offset, the time to live of unicast, the header's checksum.
        let mutable = matches!(at, 1 | 6 | 7 | 10 | 11) || (unicast && at == 8);
        mac.update(&[if mutable { 0 } else { *byte }]);
    }
    mac.update(&ah[..DIGEST_AT]);
    mac.update(&[0; AH_LEN - DIGEST_AT]);
    mac.update(rest);
    mac
}

/// Writes the digest into `ah`.
pub(super) fn seal(key: &AhKey, ip: &[u8], ah: &mut [u8; AH_LEN], rest: &[u8], unicast: bool) {
    let digest = digest(key, ip, ah, rest, unicast).finalize().into_bytes();
    ah[DIGEST_AT..].copy_from_slice(&digest[..AH_LEN - DIGEST_AT]);
}

/// True if the digest is right; in constant time.
pub(super) fn verify(key: &AhKey, ip: &[u8], ah: &[u8; AH_LEN], rest: &[u8], unicast: bool) -> bool {
    digest(key, ip, ah, rest, unicast).verify_truncated_left(&ah[DIGEST_AT..]).is_ok()
}
