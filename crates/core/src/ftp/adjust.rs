//! Sequence numbers of a control connection whose replies are rewritten to another length.
//!
//! Only what the server sends is ever rewritten (227 names its own address). From the end of the rewritten text on, the client
//! counts the server's bytes differently: the server's sequence numbers are moved on their way to the client, and the client's
//! acknowledgments, selective ones included, are moved back. Numbers before the text that was rewritten last keep the
//! difference of before (`previous_delta` of IPVS); a retransmission of that text is rewritten again, and moved as the first
//! time.

use crate::abi::Talk;

/// Bytes of a TCP header with all options, rounded up to a power of two.
pub const HEADER: usize = 64;
/// Bytes of the header in front of its options.
const OPTIONS: u32 = 20;
/// TCP option: selective acknowledgment (RFC 2018).
const SACK: u8 = 5;

/// Whether `a` is at or behind `b` (RFC 9293, section 3.4).
#[inline(always)]
const fn at_or_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 >= 0
}

impl Talk {
    /// Whether numbers have to be changed at all.
    #[inline(always)]
    pub const fn is_shifted(&self) -> bool {
        self.delta != 0 || self.before != 0
    }

    /// A sequence number of the server's, as the client counts.
    #[inline(always)]
    pub const fn seq(&self, seq: u32) -> u32 {
        seq.wrapping_add_signed(if at_or_after(seq, self.at) { self.delta } else { self.before })
    }

    /// An acknowledgment of the client's, as the server counts. None confirms a byte of the server's that the client can't
    /// have seen.
    #[inline(always)]
    pub const fn ack(&self, ack: u32) -> u32 {
        if at_or_after(ack, self.at.wrapping_add_signed(self.delta)) {
            return ack.wrapping_add_signed(self.delta.wrapping_neg());
        }
        let earlier = ack.wrapping_add_signed(self.before.wrapping_neg());
        if at_or_after(earlier, self.at) { self.at } else { earlier }
    }

    /// Notes that the text in front of `at` (as the server counts) was rewritten, and grew by `growth`. `false`: it is the same
    /// text as before, or an older one, and nothing changes.
    #[inline(always)]
    pub const fn rewritten(&mut self, at: u32, growth: i32) -> bool {
        if self.is_shifted() && at_or_after(self.at, at) {
            return false;
        }
        self.before = self.delta;
        self.delta = self.delta.wrapping_add(growth);
        self.at = at;
        true
    }
}

/// Changes the numbers in a TCP header of `len` bytes, options included, whose later steps are [`Options`].
#[inline(always)]
pub fn header(header: &mut [u8; HEADER], outward: bool, talk: &Talk) {
    const SEQ: usize = 4;
    const ACK: usize = 8;
    const FLAGS: usize = 13;
    if outward {
        let moved = talk.seq(word(header, SEQ as u32));
        put(header, SEQ as u32, moved);
    } else if header[FLAGS] & rvs_wire::tcp::ACK != 0 {
        let moved = talk.ack(word(header, ACK as u32));
        put(header, ACK as u32, moved);
    }
}

/// A walk along the options of a client's header, which moves selective acknowledgments.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Options {
    at: u32,
    len: u32,
    /// Where the option of selective acknowledgments ends; 0: not found yet.
    end: u32,
}

/// Steps of a walk along options: no more than there can be.
pub const STEPS: u32 = 48;

impl Options {
    /// In a header of `len` bytes.
    #[inline(always)]
    pub const fn new(len: u32) -> Self {
        Self { at: OPTIONS, len, end: 0 }
    }

    /// One option, or one number within the option; `true` when the walk is over.
    #[inline(always)]
    pub fn step(&mut self, header: &mut [u8; HEADER], talk: &Talk) -> bool {
        const MASK: u32 = HEADER as u32 - 1;
        if self.end != 0 {
            if self.at + 4 > self.end {
                return true;
            }
            let moved = talk.ack(word(header, self.at));
            put(header, self.at, moved);
            self.at += 4;
            return false;
        }
        let (kind, len) = (header[(self.at & MASK) as usize], header[((self.at + 1) & MASK) as usize] as u32);
        if self.at >= self.len || kind == 0 {
            return true;
        }
        if kind == 1 {
            self.at += 1;
            return false;
        }
        if len < 2 || self.at + len > self.len {
            return true;
        }
        if kind == SACK {
            self.end = self.at + len;
            self.at += 2;
        } else {
            self.at += len;
        }
        false
    }
}

#[inline(always)]
fn word(header: &[u8; HEADER], at: u32) -> u32 {
    let byte = |n: u32| header[((at + n) & (HEADER as u32 - 1)) as usize] as u32;
    byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3)
}

#[inline(always)]
fn put(header: &mut [u8; HEADER], at: u32, value: u32) {
    let mask = HEADER as u32 - 1;
    header[(at & mask) as usize] = (value >> 24) as u8;
    header[((at + 1) & mask) as usize] = (value >> 16) as u8;
    header[((at + 2) & mask) as usize] = (value >> 8) as u8;
    header[((at + 3) & mask) as usize] = value as u8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn numbers_move_from_the_end_of_the_text_on() {
        let mut talk = Talk::default();
        assert!(talk.rewritten(1050, 3));
        assert_eq!([1000, 1049, 1050, 1051].map(|seq| talk.seq(seq)), [1000, 1049, 1053, 1054]);
        assert_eq!([1000, 1053, 1054].map(|ack| talk.ack(ack)), [1000, 1050, 1051]);
        assert_eq!(talk.ack(1052), 1050, "within the text that grew");
        assert!(!talk.rewritten(1050, 3), "the same text, sent again");
        assert!(talk.rewritten(2050, -1));
        assert_eq!([1050, 2049, 2050].map(|seq| talk.seq(seq)), [1053, 2052, 2052]);
        assert_eq!([2052, 2060].map(|ack| talk.ack(ack)), [2050, 2058]);
        assert_eq!((talk.before, talk.delta), (3, 2));
    }

    #[test]
    fn numbers_wrap_round() {
        let mut talk = Talk::default();
        talk.rewritten(u32::MAX - 1, 5);
        assert_eq!(talk.seq(u32::MAX), 4);
        assert_eq!(talk.ack(4), u32::MAX);
        assert_eq!(talk.seq(u32::MAX - 2), u32::MAX - 2);
    }

    fn walk(bytes: &[u8], talk: &Talk) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..bytes.len()].copy_from_slice(bytes);
        let mut options = Options::new(bytes.len() as u32);
        for _ in 0..STEPS {
            if options.step(&mut header, talk) {
                break;
            }
        }
        header
    }

    #[test]
    fn selective_acknowledgments_move_too() {
        let mut talk = Talk::default();
        talk.rewritten(1000, -2);
        let mut bytes = vec![0u8; 20];
        bytes.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 18]);
        for edge in [900u32, 950, 1008, 1018] {
            bytes.extend(edge.to_be_bytes());
        }
        let header = walk(&bytes, &talk);
        let edge = |n: usize| u32::from_be_bytes(header[36 + 4 * n..40 + 4 * n].try_into().unwrap());
        assert_eq!([edge(0), edge(1), edge(2), edge(3)], [900, 950, 1010, 1020]);
        assert_eq!(header[..36], bytes[..36]);
    }

    proptest! {
        #[test]
        fn any_options_at_all(bytes in prop::collection::vec(any::<u8>(), 20..=60), delta in -20i32..20) {
            let mut talk = Talk::default();
            talk.rewritten(1000, delta);
            let header = walk(&bytes, &talk);
            prop_assert_eq!(&header[..20], &bytes[..20]);
            prop_assert!(header[bytes.len()..].iter().all(|byte| *byte == 0));
        }

        #[test]
        fn an_acknowledgment_undoes_what_a_sequence_number_got(
            edits in prop::collection::vec((1u32..3000, -12i32..12), 1..6), start in any::<u32>(), ahead in 0u32..100_000,
        ) {
            let mut talk = Talk::default();
            let mut at = start;
            for (gap, growth) in edits {
                at = at.wrapping_add(gap);
                talk.rewritten(at, growth);
            }
            let seq = at.wrapping_add(ahead);
            prop_assert_eq!(talk.ack(talk.seq(seq)), seq);
        }

        #[test]
        fn an_acknowledgment_never_runs_ahead(growth in -12i32..12, early in 0u32..1000) {
            let mut talk = Talk::default();
            talk.rewritten(5000, growth);
            let seen: Vec<u32> = (0..=early).map(|n| talk.ack(4500 + n)).collect();
            prop_assert!(seen.windows(2).all(|pair| pair[0] <= pair[1] || growth < 0));
            prop_assert!(talk.ack(5000u32.wrapping_add_signed(growth)) == 5000);
        }
    }
}
