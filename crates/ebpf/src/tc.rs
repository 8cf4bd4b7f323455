//! The TC hook: where every packet is decided and finished.
//!
//! Packets here may carry unfinished checksums and be larger than any frame (GSO): transport checksums go through the kernel's
//! helpers, sizes are those of the segments to be.

use crate::access::Skb;
use crate::hop::{self, Way};
use crate::kernel::{dest, now};
use crate::{stage, verdict};
use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR,
    bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use rvs_core::abi::Hop;
use rvs_core::flow::{Flow, L3};
use rvs_core::packet::{Packet, PacketMut};
use rvs_core::plan::Plan;
use rvs_core::rewrite;
use rvs_core::verdict::{Outcome, Reason};
use rvs_wire::ipv4::{self, proto};

/// `PACKET_HOST`: addressed to this host on the link layer.
const PACKET_HOST: u32 = 0;

/// Bytes made directly reachable when the headers are not: more than any header ends at.
const PULL: u32 = 0xff;

/// Decides and finishes a packet that came in through any interface.
#[classifier]
pub fn rvs_tc(ctx: TcContext) -> i32 {
    let skb = Skb(ctx.skb.skb);
    // SAFETY: the kernel hands a valid context to the program.
    let (pkt_type, tagged) = unsafe { ((*skb.0).pkt_type, (*skb.0).vlan_present) };
    if pkt_type != PACKET_HOST || tagged != 0 {
        return verdict::tc(Reason::NotForUs);
    }
    let now = now();
    let mut flow = Flow::default();
    let mut plan = Plan::default();
    let mut number = stage::decide_tc(skb, &mut flow, &mut plan, now);
    if number == Reason::Malformed as u32 && pull(skb) {
        // The headers were not in the part of the packet that can be reached directly; now they are, if they are there.
        number = stage::decide_tc(skb, &mut flow, &mut plan, now);
    }
    if Reason::is_forwarded(number) {
        return forward(skb, &flow, &plan, number, now);
    }
    let reason = stage::reason(number);
    match reason.outcome() {
        Outcome::Answered => stage::answer(skb, &flow, &plan, reason, 0),
        Outcome::Forwarded | Outcome::Passed | Outcome::Dropped => verdict::tc(reason),
    }
}

/// Makes the headers directly reachable.
#[inline(always)]
fn pull(skb: Skb) -> bool {
    // SAFETY: the context is valid.
    unsafe { helpers::bpf_skb_pull_data(skb.0, (*skb.0).len.min(PULL)) == 0 }
}

/// Applies a plan and sends the packet.
#[inline(always)]
fn forward(skb: Skb, flow: &Flow, plan: &Plan, number: u32, now: u64) -> i32 {
    let Some((hop, way)) = hop::find(skb, plan, now) else { return verdict::tc(Reason::NoRoute) };
    if !plan.fits(frame_len(skb, flow), hop.mtu) {
        return too_big(skb, flow, plan, hop);
    }
    if stage::apply_tc(skb, flow, plan).is_none() {
        return verdict::tc(Reason::RewriteFailed);
    }
    verdict::count_number(number);
    match way {
        Way::Neighbour => hop::to_neighbour(hop),
        Way::Direct => {
            let mut packet = skb;
            if packet.write(0, hop::header(hop)).is_none() {
                return verdict::tc(Reason::RewriteFailed);
            }
            // SAFETY: no pointers.
            unsafe { helpers::bpf_redirect(hop.ifindex, 0) as i32 }
        }
    }
}

/// Length of the IP packet on the wire: of one segment, when the kernel cuts it up later.
#[inline(always)]
fn frame_len(skb: Skb, flow: &Flow) -> u32 {
    // SAFETY: the kernel hands a valid context to the program.
    let gso = unsafe { (*skb.0).gso_size };
    if gso == 0 { flow.len } else { gso + flow.l4 as u32 - L3 as u32 + flow.l4_len as u32 }
}

#[inline(always)]
fn too_big(skb: Skb, flow: &Flow, plan: &Plan, hop: &Hop) -> i32 {
    if flow.dont_fragment == 0 || flow.is_icmp() {
        return verdict::tc(Reason::TooBig);
    }
    stage::answer(skb, flow, plan, Reason::FragNeeded, hop.mtu.wrapping_sub(plan.growth()))
}

/// Applies a plan to a packet, but for the frame header.
#[inline(always)]
pub(crate) fn apply(skb: Skb, flow: &Flow, plan: &Plan) -> Option<()> {
    let mut packet = skb;
    if plan.is_translation(flow) {
        // An ICMP message's sum stays what it was when its checksum follows its changes, so plain writes are right here, too.
        rewrite::translate_icmp(&mut packet, flow, plan)
    } else if plan.is_nat() {
        masquerade(packet, flow, plan)
    } else {
        let inner = rewrite::hop(&mut packet)?;
        if plan.is_tunnel() { encapsulate(packet, &inner, plan) } else { Some(()) }
    }
}

#[inline(always)]
fn masquerade(mut packet: Skb, flow: &Flow, plan: &Plan) -> Option<()> {
    let (ip, addresses) = rewrite::nat_header(packet.read(L3)?, plan);
    let old = packet.read(flow.l4 as usize)?;
    let (ports, words) = rewrite::nat_ports(old, plan);
    let offset = flow.checksum_offset() as u32;
    let udp = if flow.proto == proto::UDP { BPF_F_MARK_MANGLED_0 as u64 } else { 0 };
    // The addresses are part of the pseudo header, which an unfinished checksum already holds; the ports are not.
    fix_checksum(packet.0, offset, addresses.folded(), BPF_F_PSEUDO_HDR as u64 | udp)?;
    if ports != old {
        fix_checksum(packet.0, offset, words.folded(), udp)?;
    }
    packet.write(L3, ip)?;
    packet.write(flow.l4 as usize, ports)
}

#[inline(always)]
fn fix_checksum(skb: *mut __sk_buff, offset: u32, difference: u16, flags: u64) -> Option<()> {
    // SAFETY: the context is valid; the helper checks the offset.
    let result = unsafe { helpers::bpf_l4_csum_replace(skb, offset, 0, difference as u64, flags) };
    (result == 0).then_some(())
}

#[inline(always)]
fn encapsulate(mut packet: Skb, inner: &ipv4::Ipv4, plan: &Plan) -> Option<()> {
    let source = dest(plan.dest)?.hop_source;
    let outer = rewrite::tunnel_header(inner, source, plan.addr);
    let flags = (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO) as u64;
    // SAFETY: the context is valid; the segments were checked to fit, so their size may stay.
    let grown = unsafe { helpers::bpf_skb_adjust_room(packet.0, ipv4::LEN as i32, BPF_ADJ_ROOM_MAC, flags) };
    if grown != 0 {
        return None;
    }
    packet.write(L3, outer)
}
