//! ICMP errors of the director's own, made of the packet that they are about: cut to the quotation, two headers put in front,
//! sent back to where it came from.

use crate::access::Skb;
use crate::kernel::{dest, now};
use crate::maps::LIMITER;
use crate::{stage, verdict};
use aya_ebpf::bindings::bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
use aya_ebpf::helpers::generated as helpers;
use rvs_core::answer::{Answer, HEADERS, HEADERS6, QUOTE_MAX, QUOTE_MAX6, ip_header, ip_header6, may_answer};
use rvs_core::flow::{Flow, L3};
use rvs_core::packet::{Packet, PacketMut};
use rvs_core::plan::Plan;
use rvs_core::rewrite;
use rvs_core::verdict::Reason;
use rvs_wire::Be16;
use rvs_wire::checksum::fold;
use rvs_wire::eth::Eth;
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::ipv6;

/// Answers per second and CPU, as Linux' `icmp_msgs_per_sec`.
const RATE: u64 = 1000;
/// Answers at once, as `icmp_msgs_burst`.
const BURST: u64 = 50;
const SECOND: u64 = 1_000_000_000;

/// Answers a packet; gives the hook's code.
#[inline(always)]
pub(crate) fn answer(skb: Skb, flow: &Flow, plan: &Plan, reason: Reason, mtu: u32) -> i32 {
    if reason == Reason::Purged || (reason == Reason::NoListener && flow.proto == proto::TCP) {
        return reset(skb, flow, reason);
    }
    let Some(answer) = Answer::for_reason(reason, mtu as u16, flow.is_v6()) else {
        return verdict::tc(Reason::RewriteFailed);
    };
    if !allowed(now()) || !may_answer(flow.key.src, flow.is_v6()) {
        return verdict::tc(Reason::AnswerLimited);
    }
    if build(skb, flow, plan, answer, reason).is_none() {
        return verdict::tc(Reason::RewriteFailed);
    }
    verdict::count(reason);
    // SAFETY: the kernel hands a valid context to the program; the helper takes no pointers.
    unsafe { helpers::bpf_redirect((*skb.0).ifindex, 0) as i32 }
}

/// Answers a segment of a purged connection with an RST.
#[inline(always)]
fn reset(skb: Skb, flow: &Flow, reason: Reason) -> i32 {
    if turn(skb, flow).is_none() {
        return verdict::tc(Reason::RewriteFailed);
    }
    verdict::count(reason);
    // SAFETY: the kernel hands a valid context to the program; the helper takes no pointers.
    unsafe { helpers::bpf_redirect((*skb.0).ifindex, 0) as i32 }
}

/// Makes the RST out of the segment.
#[inline(always)]
fn turn(skb: Skb, flow: &Flow) -> Option<()> {
    let mut packet = skb;
    let len = rvs_core::reset::frame_len(flow)?;
    let unfinished = unfinished_checksum(packet, flow).is_some();
    // SAFETY: the context is valid.
    if unsafe { helpers::bpf_skb_change_tail(skb.0, len as u32, 0) } != 0 {
        return None;
    }
    let frame: Eth = packet.read(0)?;
    rvs_core::reset::write(&mut packet, flow, unfinished)?;
    packet.write(0, Eth { dst: frame.src, src: frame.dst, ethertype: frame.ethertype })
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
    if reason == Reason::FragNeeded {
        rewrite::hop(&mut packet, flow)?;
    }
    let inward = plan.outward == 0;
    let source = if inward { flow.key.dst } else { dest(plan.dest)?.hop_source };
    let (max, headers) = if flow.is_v6() { (QUOTE_MAX6, HEADERS6) } else { (QUOTE_MAX, HEADERS) };
    let unfinished = unfinished_checksum(packet, flow);
    // SAFETY: the kernel hands a valid context to the program.
    let there = unsafe { (*skb.0).len }.saturating_sub(L3 as u32);
    let quoted = flow.len.min(there).min(max as u32);
    // SAFETY: the context is valid.
    if unsafe { helpers::bpf_skb_change_tail(skb.0, L3 as u32 + quoted, 0) } != 0 {
        return None;
    }
    // The device will put `~(everything)` where the pseudo header's sum is now, so the transport part will sum up to the
    // complement of that.
    let sum = match unfinished {
        Some(pseudo) => stage::sum(skb, L3 as u32, flow.l4 as u32 - L3 as u32)? + (!pseudo.raw()) as u64,
        None => stage::sum(skb, L3 as u32, quoted)?,
    };
    let about: Option<Ipv4> = if flow.is_v6() { None } else { packet.read(L3) };
    // SAFETY: the context is valid.
    if unsafe { helpers::bpf_skb_adjust_room(skb.0, headers as i32, BPF_ADJ_ROOM_MAC, 0) } != 0 {
        return None;
    }
    packet.write(0, Eth { dst: frame.src, src: frame.dst, ethertype: frame.ethertype })?;
    match about {
        Some(about) => {
            packet.write(L3, ip_header(&about, source, quoted as usize))?;
            packet.write(L3 + ipv4::LEN, answer.header(sum))
        }
        None => {
            let ip = ip_header6(flow.key.src, source, quoted as usize);
            packet.write(L3, ip)?;
            packet.write(L3 + ipv6::LEN, answer.header6(&ip, sum))
        }
    }
}

/// The transport checksum, when it is just the sum of the pseudo header: a local sender left it to the device.
#[inline(always)]
fn unfinished_checksum(packet: Skb, flow: &Flow) -> Option<Be16> {
    if !flow.has_ports() || flow.proto == proto::SCTP {
        return None;
    }
    let field: Be16 = packet.read(flow.checksum_offset())?;
    let len = Be16::new(flow.l4_bytes() as u16).raw() as u64;
    let (s, d) = (flow.key.src.words(), flow.key.dst.words());
    let addresses = s[0] as u64 + s[1] as u64 + s[2] as u64 + s[3] as u64;
    let addresses = addresses + d[0] as u64 + d[1] as u64 + d[2] as u64 + d[3] as u64;
    let pseudo = fold(addresses + Be16::new(flow.proto as u16).raw() as u64 + len);
    (field.raw() == pseudo).then_some(field)
}
