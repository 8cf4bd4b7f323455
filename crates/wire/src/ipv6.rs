//! IPv6 (RFC 8200, section 3) and its extension headers (section 4).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+---------------+---------------------------------------+
//! |Version| Traffic Class |              Flow Label               |
//! +-------+---------------+-------+---------------+---------------+
//! |        Payload Length         |  Next Header  |   Hop Limit   |
//! +-------------------------------+---------------+---------------+
//! |                    Source Address (16 bytes)                  |
//! +---------------------------------------------------------------+
//! |                  Destination Address (16 bytes)               |
//! +---------------------------------------------------------------+
//! ```

use crate::{Addr, Be16, Be32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of the header.
pub const LEN: usize = 40;
/// The smallest MTU that a link may have (RFC 8200, section 5).
pub const MIN_MTU: u16 = 1280;

/// Numbers of the extension headers (IANA).
pub mod ext {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Authentication (RFC 4302); its length counts in other units.
    pub const AUTH: u8 = 51;
    /// Nothing follows.
    pub const NONE: u8 = 59;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
}

/// The header. Two-byte packed: behind an Ethernet header it is aligned to two bytes, not to four.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, packed(2))]
pub struct Ipv6 {
    /// Version (6), traffic class and flow label.
    pub version_class_flow: Be32,
    /// Length of what follows the header.
    pub payload_len: Be16,
    /// What follows.
    pub next: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source.
    pub src: Addr,
    /// Destination.
    pub dst: Addr,
}

impl Ipv6 {
    /// Whether the version is 6.
    #[inline(always)]
    pub const fn is_valid(&self) -> bool {
        self.version_class_flow.raw().to_ne_bytes()[0] >> 4 == 6
    }

    /// Traffic class: DSCP and ECN, as the type of service of IPv4.
    #[inline(always)]
    pub const fn class(&self) -> u8 {
        let bytes = self.version_class_flow.raw().to_ne_bytes();
        bytes[0] << 4 | bytes[1] >> 4
    }

    /// The first word for a traffic class and flow label 0.
    #[inline(always)]
    pub const fn first_word(class: u8) -> Be32 {
        Be32::from_raw(u32::from_ne_bytes([0x60 | class >> 4, class << 4, 0, 0]))
    }

    /// One hop less.
    #[inline(always)]
    #[must_use]
    pub const fn hop(mut self) -> Self {
        self.hop_limit = self.hop_limit.wrapping_sub(1);
        self
    }
}

/// What all extension headers but the fragment header begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Ext {
    /// What follows.
    pub next: u8,
    /// Length; see [`Ext::len`].
    pub len: u8,
}

impl Ext {
    /// Length in bytes of a header with number `number`.
    #[inline(always)]
    pub const fn len(&self, number: u8) -> usize {
        if number == ext::AUTH { (self.len as usize + 2) * 4 } else { (self.len as usize + 1) * 8 }
    }
}

/// The fragment header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, packed(2))]
pub struct Fragment {
    /// What follows, in the first fragment.
    pub next: u8,
    /// Zero.
    pub reserved: u8,
    /// Offset in units of eight bytes in the upper 13 bits; lowest bit: more follow.
    pub offset: Be16,
    /// Identification.
    pub id: Be32,
}

impl Fragment {
    /// Length of the header.
    pub const LEN: usize = 8;

    /// Whether it is the first piece.
    #[inline(always)]
    pub const fn is_first(&self) -> bool {
        self.offset.host() & 0xfff8 == 0
    }

    /// Whether it is all there is (RFC 6946).
    #[inline(always)]
    pub const fn is_atomic(&self) -> bool {
        self.offset.host() & 0xfff9 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_goes_in_and_comes_out() {
        for class in [0u8, 0x02, 0xb8, 0xff] {
            let mut bytes = [0; 40];
            bytes[..4].copy_from_slice(&Ipv6::first_word(class).raw().to_ne_bytes());
            let ip = Ipv6::read_from_bytes(&bytes).unwrap();
            assert!(ip.is_valid());
            assert_eq!(ip.class(), class);
            assert_eq!(bytes[1] & 0xf, 0, "no flow label");
        }
    }

    #[test]
    fn extension_headers_count_in_their_units() {
        let ext = Ext { next: 6, len: 2 };
        assert_eq!(ext.len(ext::HOP_BY_HOP), 24);
        assert_eq!(ext.len(ext::AUTH), 16);
    }

    #[test]
    fn pieces_of_a_packet() {
        let piece = |offset| Fragment { next: 17, reserved: 0, offset: Be16::new(offset), id: Be32::new(1) };
        assert!(piece(1).is_first() && !piece(1).is_atomic());
        assert!(piece(0).is_first() && piece(0).is_atomic());
        assert!(!piece(8).is_first() && !piece(9).is_first());
    }
}
