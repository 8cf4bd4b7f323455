//! IPv4 (RFC 791, section 3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+---------------+-------------------------------+
//! |Version|  IHL  |Type of Service|          Total Length         |
//! +-------+-------+---------------+-----+-------------------------+
//! |         Identification        |Flags|     Fragment Offset     |
//! +---------------+---------------+-----+-------------------------+
//! |  Time to Live |    Protocol   |        Header Checksum        |
//! +---------------+---------------+-------------------------------+
//! |                        Source Address                         |
//! +---------------------------------------------------------------+
//! |                      Destination Address                      |
//! +---------------------------------------------------------------+
//! ```

use crate::checksum::fold;
use crate::{Be16, Be32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Length of the header without options.
pub const LEN: usize = 20;
/// Flag "don't fragment" in [`Ipv4::frag`].
pub const DF: Be16 = Be16::new(0x4000);
/// "More fragments" and the offset in [`Ipv4::frag`]: any of them set makes the packet a fragment.
pub const FRAGMENT: Be16 = Be16::new(0x3fff);

/// Protocol numbers (IANA).
pub mod proto {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IP in IP (RFC 2003).
    pub const IPIP: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP (RFC 4213).
    pub const IPV6: u8 = 41;
    /// GRE (RFC 2784).
    pub const GRE: u8 = 47;
    /// ESP (RFC 4303).
    pub const ESP: u8 = 50;
    /// Authentication header (RFC 4302).
    pub const AH: u8 = 51;
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// SCTP (RFC 9260).
    pub const SCTP: u8 = 132;
}

/// The fixed part of the header. Two-byte packed: behind an Ethernet header it is aligned to two bytes, not to four.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, packed(2))]
pub struct Ipv4 {
    /// Version (4) and header length in words.
    pub version_ihl: u8,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Length of header and payload.
    pub total_len: Be16,
    /// Identification.
    pub id: Be16,
    /// Flags and fragment offset.
    pub frag: Be16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub proto: u8,
    /// Header checksum.
    pub checksum: Be16,
    /// Source.
    pub src: Be32,
    /// Destination.
    pub dst: Be32,
}

impl Ipv4 {
    /// Header length in bytes, options included: 20 to 60, or `None` when the field says less or another version.
    #[inline(always)]
    pub const fn header_len(&self) -> Option<usize> {
        let ihl = (self.version_ihl & 0xf) as usize;
        if self.version_ihl >> 4 != 4 || ihl < 5 { None } else { Some(ihl * 4) }
    }

    /// Whether the packet is a fragment (the first one included).
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.frag.raw() & FRAGMENT.raw() != 0
    }

    /// Whether it must not be fragmented.
    #[inline(always)]
    pub const fn dont_fragment(&self) -> bool {
        self.frag.raw() & DF.raw() != 0
    }

    /// One hop less: TTL and checksum as a forwarding kernel changes them (RFC 1141: the TTL is the high byte of its word, so
    /// the sum grows by 0x0100).
    #[inline(always)]
    #[must_use]
    pub const fn hop(mut self) -> Self {
        let sum = self.checksum.raw() as u32 + Be16::new(0x0100).raw() as u32;
        self.checksum = Be16::from_raw((sum + (sum >= 0xffff) as u32) as u16);
        self.ttl = self.ttl.wrapping_sub(1);
        self
    }

    /// The header with its checksum computed (options not included: only for headers of 20 bytes).
    #[inline(always)]
    #[must_use]
    pub const fn with_checksum(mut self) -> Self {
        let (src, dst) = (self.src.raw() as u64, self.dst.raw() as u64);
        let sum = u16::from_ne_bytes([self.version_ihl, self.tos]) as u64
            + self.total_len.raw() as u64
            + self.id.raw() as u64
            + self.frag.raw() as u64
            + u16::from_ne_bytes([self.ttl, self.proto]) as u64
            + src
            + dst;
        self.checksum = Be16::from_raw(!fold(sum));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::checksum;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hop_keeps_the_checksum_right(bytes in any::<[u8; 20]>(), ttl in 1u8..) {
            let mut ip = Ipv4::read_from_bytes(&bytes).unwrap();
            ip.version_ihl = 0x45;
            ip.ttl = ttl;
            let ip = ip.with_checksum().hop();
            prop_assert_eq!(ip.ttl, ttl - 1);
            prop_assert_eq!(checksum(ip.as_bytes()).raw(), 0);
        }
    }

    #[test]
    fn header_lengths() {
        let ip = |version_ihl| Ipv4 { version_ihl, ..Ipv4::read_from_bytes(&[0; 20]).unwrap() };
        assert_eq!(ip(0x45).header_len(), Some(20));
        assert_eq!(ip(0x4f).header_len(), Some(60));
        assert_eq!(ip(0x44).header_len(), None);
        assert_eq!(ip(0x65).header_len(), None);
    }
}
