//! The bytes of a packet in the kernel, behind the interface that decisions know. Bounds are compared with the very register
//! that is read through, or the verifier does not believe them.

use crate::stage;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use core::arch::asm;
use core::mem::{MaybeUninit, size_of};
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
        let mut len = end - start;
        // SAFETY: a register is copied to itself. This keeps the compiler from turning a later comparison with it into pointer
        // arithmetic.
        unsafe { asm!("{0} = {0}", inout(reg) len, options(nomem, nostack, preserves_flags)) };
        len
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

/// The longest header that is read or written in one piece: that of IPv6.
const LONGEST: usize = 40;

/// Shorter ones are read and written field by field: their fields are short, too, and words would have to be joined on the stack.
const WORDS_FROM: usize = 20;

/// Room for one, aligned for whole words.
#[repr(C, align(8))]
struct Piece([MaybeUninit<u8>; LONGEST]);

/// Does something to each word of a piece of `$len` bytes, then to its last half word and byte: `$word!(offset)`, ….
macro_rules! each {
    ($len:expr, $word:ident, $half:ident, $byte:ident) => {
        each!(@ $len, $word, $half, $byte; 0 4 8 12 16 20 24 28 32 36)
    };
    (@ $len:expr, $word:ident, $half:ident, $byte:ident; $($at:literal)*) => {
        $(
            if $len >= $at + 4 {
                $word!($at);
            } else if $len > $at {
                if $len - $at >= 2 {
                    $half!($at);
                }
                if $len - $at == 1 {
                    $byte!($at, 0);
                } else if $len - $at == 3 {
                    $byte!($at, 2);
                }
            }
        )*
    };
}

/// Reads a header by whole words. What lies in a packet is aligned to two bytes only, for which the compiler would read and join
/// halves; the processor does not mind, and the verifier allows it in packets (on processors that don't mind).
#[inline(always)]
fn read<T: FromBytes + Copy>(from: *const T) -> T {
    const { assert!(size_of::<T>() <= LONGEST) };
    if size_of::<T>() < WORDS_FROM {
        // SAFETY: inside the packet, as the caller saw to; frames begin at even addresses, so two-byte alignment holds.
        return unsafe { from.read() };
    }
    let mut piece = Piece([MaybeUninit::uninit(); LONGEST]);
    let to = piece.0.as_mut_ptr().cast::<u8>();
    macro_rules! load {
        ($to:ty, $size:literal, $at:expr) => {{
            let value: u64;
            // SAFETY: inside the packet, as the caller saw to; `T` is that long.
            unsafe {
                asm!(concat!("{0} = *(", $size, " *)({1} + {2})"), out(reg) value, in(reg) from, const $at, options(pure, readonly, nostack));
                to.add($at).cast::<$to>().write(value as $to);
            }
        }};
    }
    macro_rules! word {
        ($at:literal) => {
            load!(u32, "u32", $at)
        };
    }
    macro_rules! half {
        ($at:literal) => {
            load!(u16, "u16", $at)
        };
    }
    macro_rules! byte {
        ($at:literal, $more:literal) => {
            load!(u8, "u8", $at + $more)
        };
    }
    each!(size_of::<T>(), word, half, byte);
    // SAFETY: all of its bytes have been written, and any bytes are a `T`.
    unsafe { to.cast::<T>().read() }
}

/// Writes a header by whole words, as [`read`] reads it.
#[inline(always)]
fn write<T: IntoBytes + Immutable + Copy>(to: *mut T, value: T) {
    const { assert!(size_of::<T>() <= LONGEST) };
    if size_of::<T>() < WORDS_FROM {
        // SAFETY: as in `read`; packets are writable at both hooks.
        return unsafe { to.write(value) };
    }
    let mut piece = Piece([MaybeUninit::uninit(); LONGEST]);
    let from = piece.0.as_mut_ptr().cast::<u8>();
    // SAFETY: it fits, and the room is aligned for any header.
    unsafe { from.cast::<T>().write(value) };
    macro_rules! store {
        ($from:ty, $size:literal, $at:expr) => {
            // SAFETY: inside the packet, as the caller saw to; `T` is that long and has no padding.
            unsafe {
                let value = from.add($at).cast::<$from>().read() as u64;
                asm!(concat!("*(", $size, " *)({0} + {2}) = {1}"), in(reg) to, in(reg) value, const $at, options(nostack));
            }
        };
    }
    macro_rules! word {
        ($at:literal) => {
            store!(u32, "u32", $at)
        };
    }
    macro_rules! half {
        ($at:literal) => {
            store!(u16, "u16", $at)
        };
    }
    macro_rules! byte {
        ($at:literal, $more:literal) => {
            store!(u8, "u8", $at + $more)
        };
    }
    each!(size_of::<T>(), word, half, byte);
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
                at::<T>(self, offset).map(|pointer| read(pointer.cast_const()))
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
                at::<T>(self, offset).map(|pointer| write(pointer, value))
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
