//! ICMP errors of the director's own, made of the packet that they are about: cut to the quotation, two headers put in front,
//! sent back to where it came from.

use crate::access::Skb;
use crate::kernel::{dest, now};
use crate::maps::{LIMITER, SCRATCH, SCRATCHES, Scratch};
use crate::verdict;
use aya_ebpf::bindings::bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
use aya_ebpf::helpers::generated as helpers;
use core::arch::asm;
use rvs_core::answer::{Answer, HEADERS, QUOTE_MAX, ip_header, may_answer};
use rvs_core::flow::{Flow, L3};
use rvs_core::packet::{Packet, PacketMut};
use rvs_core::plan::Plan;
use rvs_core::verdict::Reason;
use rvs_wire::checksum::fold;
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::{self, Ipv4};
use rvs_wire::{Addr, Be16};

/// Answers per second and CPU, as Linux' `icmp_msgs_per_sec`.
const RATE: u64 = 1000;
/// Answers at once, as `icmp_msgs_burst`.
const BURST: u64 = 50;
const SECOND: u64 = 1_000_000_000;

/// Where a quotation is summed up in two parts, because the kernel's helper takes at most 512 bytes.
const HALF: u32 = 256;

/// Answers a packet; gives the hook's code.
#[inline(always)]
pub(crate) fn answer(skb: Skb, flow: &Flow, plan: &Plan, reason: Reason, mtu: u32) -> i32 {
    let Some(answer) = Answer::for_reason(reason, mtu as u16) else { return verdict::tc(Reason::RewriteFailed) };
    if !allowed(now()) || !may_answer(flow.key.src) {
        return verdict::tc(Reason::AnswerLimited);
    }
    if build(skb, flow, plan, answer, reason).is_none() {
        return verdict::tc(Reason::RewriteFailed);
    }
    verdict::count(reason);
    // SAFETY: the kernel hands a valid context to the program; the helper takes no pointers.
    unsafe { helpers::bpf_redirect((*skb.0).ifindex, 0) as i32 }
}

/// A token bucket.
#[inline(always)]
fn allowed(now: u64) -> bool {
    // SAFETY: a per-CPU value that only this program run touches now.
    let Some(bucket) = LIMITER.get_ptr_mut(0).map(|p| unsafe { &mut *p }) else { return false };
    let since = now.wrapping_sub(bucket.filled);
    let tokens = bucket.tokens + if since > SECOND { BURST } else { since * RATE / SECOND };
    if since * RATE >= SECOND {
        bucket.filled = now;
        bucket.tokens = tokens.min(BURST);
    }
    if bucket.tokens == 0 {
        return false;
    }
    bucket.tokens -= 1;
    true
}

#[inline(always)]
fn build(skb: Skb, flow: &Flow, plan: &Plan, answer: Answer, reason: Reason) -> Option<()> {
    let mut packet = skb;
    let frame: Eth = packet.read(0)?;
    let mut about: Ipv4 = packet.read(L3)?;
    if reason == Reason::FragNeeded {
        about = about.hop();
        packet.write(L3, about)?;
    }
    let source = if plan.outward != 0 { dest(plan.dest)?.hop_source } else { Addr::v4(about.dst) };
    let unfinished = unfinished_checksum(packet, flow, &about);
    // SAFETY: the kernel hands a valid context to the program.
    let there = unsafe { (*skb.0).len }.saturating_sub(L3 as u32);
    let quoted = flow.len.min(there).min(QUOTE_MAX as u32);
    // SAFETY: the context is valid.
    if unsafe { helpers::bpf_skb_change_tail(skb.0, L3 as u32 + quoted, 0) } != 0 {
        return None;
    }
    let sum = match unfinished {
        // The device will put `~(everything)` where the pseudo header's sum is now, so the transport part will sum up to the
        // complement of that; a valid IP header sums up to nothing.
        Some(pseudo) => 0xffff + (!pseudo.raw()) as u64,
        None => quoted_sum(skb, quoted)?,
    };
    // SAFETY: the context is valid.
    if unsafe { helpers::bpf_skb_adjust_room(skb.0, HEADERS as i32, BPF_ADJ_ROOM_MAC, 0) } != 0 {
        return None;
    }
    packet.write(0, Eth { dst: frame.src, src: frame.dst, ethertype: eth::IPV4 })?;
    packet.write(L3, ip_header(&about, source, quoted as usize))?;
    packet.write(L3 + ipv4::LEN, answer.header(sum))
}

/// The transport checksum, when it is just the sum of the pseudo header: a local sender left it to the device.
#[inline(always)]
fn unfinished_checksum(packet: Skb, flow: &Flow, ip: &Ipv4) -> Option<Be16> {
    let field: Be16 = packet.read(flow.checksum_offset())?;
    let len = Be16::new((flow.len + L3 as u32).wrapping_sub(flow.l4 as u32) as u16);
    let proto = Be16::new(flow.proto as u16);
    let (src, dst) = (ip.src.raw() as u64, ip.dst.raw() as u64);
    let pseudo = fold(src + dst + proto.raw() as u64 + len.raw() as u64);
    (field.raw() == pseudo).then_some(field)
}

/// The one's-complement sum of the packet from its IP header on.
#[inline(always)]
fn quoted_sum(skb: Skb, quoted: u32) -> Option<u64> {
    // SAFETY: a per-CPU value that only this program run touches now.
    let scratch: &mut Scratch = SCRATCHES.get_ptr_mut(0).map(|p| unsafe { &mut *p })?;
    let bytes = scratch.bytes.as_mut_ptr();
    let mut len = quoted as u64;
    // SAFETY: a register is copied to itself, so that the check below is about the one that is used.
    unsafe { asm!("{0} = {0}", inout(reg) len, options(nomem, nostack, preserves_flags)) };
    if len < ipv4::LEN as u64 || len > QUOTE_MAX as u64 {
        return None;
    }
    // The last word is padded with zeroes.
    // SAFETY: len is at most 548, so the word ends at or before 552.
    unsafe { bytes.add(len as usize & !3).cast::<u32>().write_unaligned(0) };
    // SAFETY: the context is valid, and the buffer longer than the checked length.
    if unsafe { helpers::bpf_skb_load_bytes(skb.0.cast(), L3 as u32, bytes.cast(), len as u32) } != 0 {
        return None;
    }
    let padded = (len as u32 + 3) & !3;
    let first = if padded < HALF { padded } else { HALF };
    let mut rest = u64::from(padded - first);
    // Masked, and where the compiler cannot see that it need not be: the verifier of Linux 6.1 does not follow the difference.
    // SAFETY: the instruction changes nothing.
    unsafe { asm!("{0} = {0}", inout(reg) rest, options(nomem, nostack, preserves_flags)) };
    let rest = rest as u32 & 0x1fc;
    const { assert!(SCRATCH >= QUOTE_MAX + 4) };
    // SAFETY: both parts lie in the buffer; their lengths are multiples of four.
    unsafe {
        let sum = helpers::bpf_csum_diff(core::ptr::null_mut(), 0, bytes.cast(), first, 0);
        let sum = if rest == 0 {
            sum
        } else {
            helpers::bpf_csum_diff(core::ptr::null_mut(), 0, bytes.add(HALF as usize).cast(), rest, sum as u32)
        };
        Some(sum as u64 & 0xffff_ffff)
    }
}
