//! The bytes of a packet in the kernel, behind the interface that decisions know. Bounds are compared with the very register
//! that is read through, or the verifier does not believe them.

use crate::stage;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use core::arch::asm;
use core::mem::size_of;
use rvs_core::flow::Walked;
use rvs_core::packet::{Packet, PacketMut};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Headers begin at or below this offset: two IP headers with options or extension headers, with an ICMP header between them.
const MAX_OFFSET: usize = 0x1ff;

/// A context that knows where its packet begins and ends.
pub(crate) trait Span {
    /// First byte, and the one after the last that can be reached directly.
    fn span(&self) -> (usize, usize);

    /// Length of the whole packet.
    fn whole(&self) -> usize;
}

/// A packet at XDP.
#[derive(Clone, Copy)]
pub(crate) struct Xdp(pub(crate) *mut xdp_md);

impl Span for Xdp {
    #[inline(always)]
    fn span(&self) -> (usize, usize) {
        // SAFETY: the kernel hands a valid context to the program.
        unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) }
    }

    #[inline(always)]
    fn whole(&self) -> usize {
        let (start, end) = self.span();
        // The black box keeps the compiler from turning a later comparison with this into pointer arithmetic.
        core::hint::black_box(end - start)
    }
}

/// A packet at TC.
#[derive(Clone, Copy)]
pub(crate) struct Skb(pub(crate) *mut __sk_buff);

impl Span for Skb {
    #[inline(always)]
    fn span(&self) -> (usize, usize) {
        // SAFETY: the kernel hands a valid context to the program.
        unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) }
    }

    #[inline(always)]
    fn whole(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.0).len as usize }
    }
}

/// A pointer to a `T` at `offset`, when all of it lies in the packet.
#[inline(always)]
fn at<T>(span: &impl Span, offset: usize) -> Option<*mut T> {
    let (start, end) = span.span();
    let mut pointer = start + (offset & MAX_OFFSET);
    // SAFETY: a register is copied to itself. This keeps LLVM from comparing one register and reading through another.
    unsafe { asm!("{0} = {0}", inout(reg) pointer, options(nomem, nostack, preserves_flags)) };
    if pointer + size_of::<T>() > end { None } else { Some(pointer as *mut T) }
}

macro_rules! packet {
    ($name:ty, $walk:path) => {
        impl Packet for $name {
            #[inline(always)]
            fn frame_len(&self) -> usize {
                self.whole()
            }

            #[inline(always)]
            fn read<T: FromBytes + Copy>(&self, offset: usize) -> Option<T> {
                const { assert!(align_of::<T>() <= 2) };
                // SAFETY: inside the packet by the check in `at`; frames begin at even addresses, so two-byte alignment holds.
                at::<T>(self, offset).map(|pointer| unsafe { pointer.read() })
            }

            #[inline(always)]
            fn walk(&self, next: u8, at: u16) -> Walked {
                $walk(*self, next, at)
            }
        }

        impl PacketMut for $name {
            #[inline(always)]
            fn write<T: IntoBytes + Immutable + Copy>(&mut self, offset: usize, value: T) -> Option<()> {
                const { assert!(align_of::<T>() <= 2) };
                // SAFETY: as in `read`; packets are writable at both hooks.
                at::<T>(self, offset).map(|pointer| unsafe { pointer.write(value) })
            }
        }
    };
}

packet!(Xdp, stage::walk_xdp);
packet!(Skb, stage::walk_tc);

/// A number of bytes, if it is 1 to `max`, a constant, in a way that every verifier follows: that of Linux 6.1 learns nothing from a
/// comparison with zero, and none does from comparisons that the compiler has joined.
#[inline(always)]
pub(crate) fn counted(len: u64, max: u64) -> Option<u64> {
    let mut before_last = len.wrapping_sub(1);
    // SAFETY: registers are copied to themselves, here and below.
    unsafe { asm!("{0} = {0}", inout(reg) before_last, options(nomem, nostack, preserves_flags)) };
    if before_last >= max {
        return None;
    }
    // SAFETY: as above.
    unsafe { asm!("{0} = {0}", inout(reg) before_last, options(nomem, nostack, preserves_flags)) };
    let mut len = before_last + 1;
    // SAFETY: as above.
    unsafe { asm!("{0} = {0}", inout(reg) len, options(nomem, nostack, preserves_flags)) };
    Some(len)
}
