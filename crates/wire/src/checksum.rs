//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! Sums are made of the words as they lie in memory: the one's-complement sum does not care about the byte order as long as it
//! is the same throughout, so nothing is swapped.

use crate::{Addr, Be16, Be32};

/// What changes in a checksummed area: the sum of `~old + new` over every changed 16-bit word, unfolded.
///
/// At most a few dozen words are ever added, so 64 bits cannot overflow.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Delta(u64);

impl Delta {
    /// Nothing changed.
    pub const NONE: Self = Self(0);

    /// A 16-bit word changed.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, from: Be16, to: Be16) -> Self {
        Self(self.0 + (!from.raw()) as u64 + to.raw() as u64)
    }

    /// A 32-bit word changed.
    #[inline(always)]
    #[must_use]
    pub const fn dword(self, from: Be32, to: Be32) -> Self {
        Self(self.0 + (!from.raw()) as u64 + to.raw() as u64)
    }

    /// An address changed. The words that IPv4 leaves zero add `0xffff_ffff`, which is zero in one's complement.
    #[inline(always)]
    #[must_use]
    pub const fn addr(self, from: Addr, to: Addr) -> Self {
        let (f, t) = (from.words(), to.words());
        let sum = (!f[0]) as u64 + t[0] as u64 + (!f[1]) as u64 + t[1] as u64;
        let sum = sum + (!f[2]) as u64 + t[2] as u64 + (!f[3]) as u64 + t[3] as u64;
        Self(self.0 + sum)
    }

    /// An IPv4 address changed.
    #[inline(always)]
    #[must_use]
    pub const fn addr4(self, from: Addr, to: Addr) -> Self {
        self.dword(from.last(), to.last())
    }

    /// Both changes.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// Folded to 16 bits, as the kernel's checksum helpers take it.
    #[inline(always)]
    pub const fn folded(self) -> u16 {
        fold(self.0)
    }

    /// The checksum after the change: `HC' = ~(~HC + ~m + m')` (RFC 1624, equation 3).
    #[inline(always)]
    #[must_use]
    pub const fn apply(self, checksum: Be16) -> Be16 {
        Be16::from_raw(!fold((!checksum.raw()) as u64 + self.0))
    }
}

/// Adds up the carries until 16 bits are left.
#[inline(always)]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The one's-complement sum of bytes (unfolded, not inverted); an odd last byte is padded with zero.
pub fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let whole: u64 = words.by_ref().map(|w| u16::from_ne_bytes([w[0], w[1]]) as u64).sum();
    let odd = words.remainder().first().map_or(0, |b| u16::from_ne_bytes([*b, 0]) as u64);
    whole + odd
}

/// The Internet checksum of bytes.
pub fn checksum(bytes: &[u8]) -> Be16 {
    Be16::from_raw(!fold(sum(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: HC 0xdd2f, m 0x5555, m' 0x3285 gives 0x0000 (and not 0xffff).
        let hc = Delta::NONE.word(Be16::new(0x5555), Be16::new(0x3285)).apply(Be16::new(0xdd2f));
        assert_eq!(hc.host(), 0);
    }

    proptest! {
        #[test]
        fn a_delta_equals_the_full_sum(mut bytes in prop::collection::vec(any::<u8>(), 8..64), at in 0usize..28, to in any::<u32>()) {
            bytes.truncate(bytes.len() & !3);
            let at = (at & !3).min(bytes.len() - 4);
            bytes[0] |= 1; // a sum of zero exists only in an all-zero area
            let before = checksum(&bytes);
            let old = u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            let new: Vec<u8> = to.to_ne_bytes().to_vec();
            bytes[at..at + 4].copy_from_slice(&new);
            prop_assume!(sum(&bytes) != 0);
            let delta = Delta::NONE.dword(Be32::from_raw(old), Be32::from_raw(to));
            prop_assert_eq!(delta.apply(before), checksum(&bytes));
        }

        #[test]
        fn the_empty_words_of_ipv4_do_not_count(from in any::<u32>(), to in any::<u32>(), checksum in any::<u16>()) {
            let (from, to) = (Addr::v4(Be32::from_raw(from)), Addr::v4(Be32::from_raw(to)));
            prop_assume!(from != to);
            let hc = Be16::from_raw(checksum);
            let (long, short) = (Delta::NONE.addr(from, to).apply(hc), Delta::NONE.addr4(from, to).apply(hc));
            prop_assert!(long == short || (long.raw() == 0 && short.raw() == 0xffff) || (long.raw() == 0xffff && short.raw() == 0));
        }
    }
}
