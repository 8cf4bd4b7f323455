//! One address type for both families: sixteen bytes, as in the keys of every table.
//!
//! An IPv4 address occupies the last word; the first three are zero. The family is kept beside the address, never guessed
//! from it (`::10.0.0.1` is a legal IPv6 address).

use crate::Be32;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Address family, with the numbers of Linux' `AF_INET` and `AF_INET6`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Family {
    /// IPv4 (`AF_INET`).
    #[default]
    V4 = 2,
    /// IPv6 (`AF_INET6`).
    V6 = 10,
}

impl Family {
    /// From the kernel's number; `None` for any other family.
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            2 => Some(Self::V4),
            10 => Some(Self::V6),
            _ => None,
        }
    }

    /// The kernel's number.
    #[inline(always)]
    pub const fn raw(self) -> u8 {
        self as u8
    }
}

/// An IPv4 or IPv6 address in network byte order; IPv4 in the last word. Kept in two halves, and so copied and compared in two
/// pieces where it is aligned.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Addr {
    halves: [u64; 2],
}

impl Addr {
    /// The unspecified address of either family.
    pub const UNSPECIFIED: Self = Self { halves: [0; 2] };

    /// An IPv4 address as it lies in a packet.
    #[inline(always)]
    pub const fn v4(addr: Be32) -> Self {
        Self::v6([0, 0, 0, addr.raw()])
    }

    /// Four words as they lie in an IPv6 header.
    #[inline(always)]
    pub const fn v6(words: [u32; 4]) -> Self {
        Self { halves: zerocopy::transmute!(words) }
    }

    /// A firewall mark in the place of an address: the key of a service by mark.
    #[inline(always)]
    pub const fn mark(mark: u32) -> Self {
        Self::v6([0, 0, 0, mark])
    }

    /// The last word: the IPv4 address, in network order.
    #[inline(always)]
    pub const fn last(self) -> Be32 {
        Be32::from_raw(self.words()[3])
    }

    /// The four words in memory order.
    #[inline(always)]
    pub const fn words(self) -> [u32; 4] {
        zerocopy::transmute!(self.halves)
    }

    /// Bitwise and: the network of an address under a mask.
    #[inline(always)]
    #[must_use]
    pub const fn masked(self, mask: Self) -> Self {
        Self { halves: [self.halves[0] & mask.halves[0], self.halves[1] & mask.halves[1]] }
    }

    /// The XOR of the four words: the fold that the hashing schedulers use for IPv6; for IPv4 the address itself.
    #[inline(always)]
    pub const fn fold(self) -> Be32 {
        let a = self.words();
        Be32::from_raw(a[0] ^ a[1] ^ a[2] ^ a[3])
    }

    /// From the standard library's type, with its family.
    pub fn from_ip(ip: IpAddr) -> (Self, Family) {
        match ip {
            IpAddr::V4(v4) => (v4.into(), Family::V4),
            IpAddr::V6(v6) => (v6.into(), Family::V6),
        }
    }

    /// To the standard library's type.
    pub fn to_ip(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(self.last().host())),
            Family::V6 => {
                let w = self.words();
                let [a, b, c, d] = [w[0], w[1], w[2], w[3]].map(u32::to_ne_bytes);
                let mut octets = [0; 16];
                octets[..4].copy_from_slice(&a);
                octets[4..8].copy_from_slice(&b);
                octets[8..12].copy_from_slice(&c);
                octets[12..].copy_from_slice(&d);
                IpAddr::V6(Ipv6Addr::from(octets))
            }
        }
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(v4: Ipv4Addr) -> Self {
        Self::v4(Be32::new(u32::from(v4)))
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(v6: Ipv6Addr) -> Self {
        let o = v6.octets();
        let word = |i: usize| u32::from_ne_bytes([o[i], o[i + 1], o[i + 2], o[i + 3]]);
        Self::v6([word(0), word(4), word(8), word(12)])
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, _] = self.words();
        let family = if (a | b | c) == 0 { Family::V4 } else { Family::V6 };
        self.to_ip(family).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn both_families_survive_the_round_trip() {
        for text in ["10.0.1.10", "0.0.0.0", "255.255.255.255", "fd00:1::10", "::", "::ffff:10.0.0.1"] {
            let ip: IpAddr = text.parse().unwrap();
            let (addr, family) = Addr::from_ip(ip);
            assert_eq!(addr.to_ip(family).to_string(), ip.to_string());
        }
    }

    #[test]
    fn ipv4_lies_in_the_last_word_in_network_order() {
        let addr = Addr::from(Ipv4Addr::new(10, 0, 1, 10));
        assert_eq!(addr.words()[..3], [0, 0, 0]);
        assert_eq!(addr.words()[3].to_ne_bytes(), [10, 0, 1, 10]);
    }
}
