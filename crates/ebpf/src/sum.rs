//! The one's-complement sum of a packet's bytes, piece by piece: the kernel's helper takes at most 512 bytes at once, and only
//! from memory of ours.

use crate::access::{Skb, counted};
use crate::kernel::repeat;
use crate::maps::{SCRATCHES, Scratch};
use aya_ebpf::helpers::generated as helpers;
use core::arch::asm;
use core::ptr::null_mut;

/// Bytes summed up at once.
const PIECE: u32 = 512;
/// Pieces in the longest packet.
const PIECES: u32 = 65536 / PIECE;

/// What a step works on.
struct Frame {
    skb: Skb,
    from: u32,
    len: u32,
    sum: u32,
    failed: u32,
}

/// The sum of `len` bytes from offset `from` on, folded to 32 bits. `None`: the packet is shorter.
#[inline(always)]
pub(crate) fn of(skb: Skb, from: u32, len: u32) -> Option<u64> {
    let mut frame = Frame { skb, from, len, sum: 0, failed: 0 };
    repeat((len + PIECE - 1) / PIECE & (2 * PIECES - 1), step, &mut frame);
    (frame.failed == 0).then_some(frame.sum as u64)
}

/// One piece. 1 ends the loop.
extern "C" fn step(index: u32, frame: *mut Frame) -> i64 {
    // SAFETY: the frame of `of`.
    let frame = unsafe { &mut *frame };
    frame.failed = 1;
    // SAFETY: a per-CPU value that only this program run touches now.
    let Some(scratch) = SCRATCHES.get_ptr_mut(0) else { return 1 };
    let scratch: &mut Scratch = unsafe { &mut *scratch };
    let bytes = scratch.bytes.as_mut_ptr();
    let done = index.wrapping_mul(PIECE);
    let rest = frame.len.wrapping_sub(done);
    let len = if rest > PIECE { PIECE as u64 } else { rest as u64 };
    let Some(len) = counted(len, PIECE as u64) else { return 1 };
    // The last word is padded with zeroes.
    // SAFETY: the buffer is longer than a piece and a word.
    unsafe { bytes.add(len as usize & !3).cast::<u32>().write_unaligned(0) };
    // SAFETY: the context is valid, and the buffer longer than the checked length.
    if unsafe {
        helpers::bpf_skb_load_bytes(frame.skb.0.cast(), frame.from.wrapping_add(done), bytes.cast(), len as u32)
    } != 0
    {
        return 1;
    }
    let mut padded = (len + 3) & !3;
    // SAFETY: as above.
    unsafe { asm!("{0} = {0}", inout(reg) padded, options(nomem, nostack, preserves_flags)) };
    let padded = padded as u32 & 0x3fc;
    let padded = if padded > PIECE { PIECE } else { padded };
    // SAFETY: the part lies in the buffer; its length is a multiple of four.
    let sum = unsafe { helpers::bpf_csum_diff(null_mut(), 0, bytes.cast(), padded, frame.sum) };
    frame.sum = sum as u32;
    frame.failed = 0;
    (rest <= PIECE) as i64
}
