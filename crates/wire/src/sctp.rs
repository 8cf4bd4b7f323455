//! SCTP (RFC 9260, section 3): the common header, the type of the first chunk, and how the checksum follows a change of ports.
//!
//! ```text
//! +-------------------------------+-------------------------------+
//! |          Source Port          |       Destination Port        |
//! +-------------------------------+-------------------------------+
//! |                       Verification Tag                        |
//! +---------------------------------------------------------------+
//! |                     Checksum (CRC32c)                         |
//! +---------------+---------------+-------------------------------+
//! |  Chunk Type   |  Chunk Flags  |          Chunk Length         |
//! ```
//!
//! The checksum knows nothing of addresses, and a CRC is linear: where only ports change, the checksum changes by the CRC of
//! the change, moved along by the length of what follows it. So a packet is never read as a whole, and a wrong checksum stays
//! wrong.

use crate::Be16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of the common header.
pub const LEN: usize = 12;
/// Offset of the checksum.
pub const CHECKSUM: usize = 8;

/// The common header and the first chunk's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Sctp {
    /// Source port.
    pub sport: Be16,
    /// Destination port.
    pub dport: Be16,
    /// Verification tag, in pieces that any even address suits.
    pub tag: [Be16; 2],
    /// Checksum, as it lies in the packet.
    pub checksum: [Be16; 2],
    /// Type of the first chunk.
    pub chunk: u8,
    /// Its flags.
    pub flags: u8,
    /// Its length, this chunk header included.
    pub chunk_len: Be16,
}

/// Types of chunks.
pub mod chunk {
    /// DATA.
    pub const DATA: u8 = 0;
    /// INIT.
    pub const INIT: u8 = 1;
    /// INIT ACK.
    pub const INIT_ACK: u8 = 2;
    /// HEARTBEAT.
    pub const HEARTBEAT: u8 = 4;
    /// ABORT.
    pub const ABORT: u8 = 6;
    /// SHUTDOWN.
    pub const SHUTDOWN: u8 = 7;
    /// SHUTDOWN ACK.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// ERROR.
    pub const ERROR: u8 = 9;
    /// COOKIE ECHO.
    pub const COOKIE_ECHO: u8 = 10;
    /// COOKIE ACK.
    pub const COOKIE_ACK: u8 = 11;
    /// SHUTDOWN COMPLETE.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// The polynomial of CRC32c, bits reversed.
const POLY: u32 = 0x82f6_3b78;

/// The checksum of a packet of `len` bytes after its first four changed from `old` to `new` (both as they lie in memory).
#[inline(always)]
pub fn adjust(checksum: u32, old: u32, new: u32, len: u32) -> u32 {
    // The four bytes themselves leave their CRC; each later byte moves it on.
    let delta = u32::from_le(old) ^ u32::from_le(new);
    // All 32 bits of the change, then len - 4 bytes of zeroes: together a multiplication by x^(8 * len) in the reversed ring.
    checksum ^ shift(delta, len).to_le()
}

/// `value` times x^(8 * bytes), modulo the polynomial.
#[inline(always)]
fn shift(value: u32, bytes: u32) -> u32 {
    // x^8 is bit 31 - 8 in reversed notation.
    let mut power = 1u32 << 23;
    let mut value = value;
    // Lengths have 16 bits.
    for bit in 0..16 {
        if bytes >> bit & 1 != 0 {
            value = multiply(value, power);
        }
        power = multiply(power, power);
    }
    value
}

/// The product of two polynomials, modulo the polynomial; bits reversed.
#[inline(always)]
fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0u32;
    let mut b = b;
    for bit in 0..32 {
        // Without branches: each would double the verifier's work.
        product ^= b & (a >> (31 - bit) & 1).wrapping_neg();
        b = (b >> 1) ^ (POLY & (b & 1).wrapping_neg());
    }
    product
}

/// CRC32c of bytes (RFC 9260, appendix A), as it is stored: little endian.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= *byte as u32;
        for _ in 0..8 {
            crc = (crc >> 1) ^ (POLY & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_of_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn an_adjusted_checksum_equals_a_computed_one(bytes in prop::collection::vec(any::<u8>(), 4..2000), to in any::<[u8; 4]>()) {
            let before = crc32c(&bytes).to_le();
            let old = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let mut changed = bytes.clone();
            changed[..4].copy_from_slice(&to);
            prop_assert_eq!(adjust(before, old, u32::from_ne_bytes(to), bytes.len() as u32), crc32c(&changed).to_le());
        }
    }
}
