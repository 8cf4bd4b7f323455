//! The bytes of a packet, as decisions see them: an offset in, a header out, never past the end.

use crate::flow::{self, Walked};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Readable bytes of a packet, from its Ethernet header on.
pub trait Packet {
    /// Length of the whole frame, reachable directly or not.
    fn frame_len(&self) -> usize;

    /// The value at `offset`, or `None` when the bytes that can be reached directly end before it does.
    fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T>;

    /// See [`flow::walk`]; the eBPF side makes it a function of its own.
    #[inline(always)]
    fn walk(&self, next: u8, at: u16) -> Walked {
        flow::walk(self, next, at)
    }
}

/// Writable bytes of a packet.
pub trait PacketMut: Packet {
    /// Puts a value at `offset`; `None` when the packet ends before it does, and nothing is written.
    fn write<T: IntoBytes + Immutable + Copy>(&mut self, offset: usize, value: T) -> Option<()>;
}

impl Packet for [u8] {
    fn frame_len(&self) -> usize {
        self.len()
    }

    fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T> {
        T::read_from_prefix(self.get(offset..)?).ok().map(|(value, _)| value)
    }
}

impl PacketMut for [u8] {
    fn write<T: IntoBytes + Immutable + Copy>(&mut self, offset: usize, value: T) -> Option<()> {
        value.write_to_prefix(self.get_mut(offset..)?).ok()
    }
}
