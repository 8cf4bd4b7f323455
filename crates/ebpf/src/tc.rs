//! The TC hook: where every packet is decided and finished.
//!
//! Packets here may carry unfinished checksums and be larger than any frame (GSO): transport checksums go through the kernel's
//! helpers, sizes are those of the segments to be.

use crate::access::Skb;
use crate::ftp::FINE;
use crate::hop::{self, Way};
use crate::kernel::{TcMaps, dest, keeps_df, now};
use crate::maps::{Worker, work};
use crate::pieces::Hold;
use crate::{stage, trace, verdict};
use aya_ebpf::bindings::{
    __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
    BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_INGRESS, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR,
    TC_ACT_SHOT, TC_ACT_UNSPEC, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use rvs_core::abi::{Forward, Hop, TRIAL};
use rvs_core::conn::{Direction, Hit};
use rvs_core::flow::{Flow, L3, piece};
use rvs_core::ftp;
use rvs_core::here;
use rvs_core::packet::{Packet, PacketMut};
use rvs_core::plan::Plan;
use rvs_core::rewrite;
use rvs_core::short;
use rvs_core::trace::hook;
use rvs_core::tunnel::{Inner, Tunnel};
use rvs_core::verdict::{Outcome, Reason};
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::proto;
use rvs_wire::ipv6::MIN_MTU;
use rvs_wire::{Addr, Family};

/// `PACKET_HOST`: addressed to this host on the link layer.
const PACKET_HOST: u32 = 0;

/// How often a packet is decided anew, when what stood in the way was done away with.
const SECOND_LOOKS: u32 = 3;

/// Not the number of a reason: decide once more.
const AGAIN: u32 = u32::MAX;

/// Bytes made directly reachable when the headers are not: more than any header ends at.
const PULL: u32 = 0x1ff;

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
    if !trace::is_on()
        && let Some(code) = match skb.read::<Eth>(0).map(|frame| frame.ethertype) {
            Some(eth::IPV4) => stage::short4_tc(skb, now),
            Some(eth::IPV6) => stage::short6_tc(skb, now),
            _ => None,
        }
    {
        return code;
    }
    long(skb, now)
}

/// The short way of a packet that was understood; `None` when it has to take the long one.
#[inline(always)]
pub(crate) fn short(skb: Skb, flow: &Flow, now: u64) -> Option<i32> {
    let maps = TcMaps::at(now);
    let Some(hit) = short::find(&maps, flow) else {
        return short::is_strangers(&maps, flow).then(|| {
            verdict::add(Reason::NoService as u32);
            TC_ACT_UNSPEC
        });
    };
    // Apart, so that the compiler knows in each what the other one would do.
    match hit.direction {
        Direction::In => carry(skb, &maps, flow, &Hit { direction: Direction::In, ..hit }, now),
        Direction::Out => carry(skb, &maps, flow, &Hit { direction: Direction::Out, ..hit }, now),
    }
}

/// The rest of the short way.
#[inline(always)]
fn carry(skb: Skb, maps: &TcMaps, flow: &Flow, hit: &Hit<'_>, now: u64) -> Option<i32> {
    let plan = short::plan(maps, flow, hit)?;
    let hop = hop::fresh(&plan, now)?;
    let is_summed = plan.is_tunnel() && plan.tunnel().is_summed();
    if is_summed || !plan.fits(frame_len(skb, flow), hop::mtu(hop, &plan, now)) {
        return None;
    }
    let reason = short::take(maps, flow, hit, &plan);
    let applied = if plan.is_tunnel() { wrap_in(skb, flow, &plan, &plan.tunnel()) } else { apply(skb, flow, &plan) };
    if applied.is_none() {
        return Some(verdict::tc(Reason::RewriteFailed));
    }
    verdict::add(reason as u32);
    Some(leave(skb, hop, Way::Direct))
}

/// The long way, which every packet can take.
#[inline(always)]
fn long(skb: Skb, now: u64) -> i32 {
    let Some((flow, plan)) = work(Worker::Tc, hook::TC) else { return verdict::tc(Reason::NoConfig) };
    // SAFETY: the kernel hands a valid context to the program.
    flow.mark = unsafe { (*skb.0).mark };
    let mut number = stage::decide_tc(skb, flow, plan, now);
    for look in 0..SECOND_LOOKS {
        let then = settle(skb, flow, plan, number, look, now);
        if then != AGAIN {
            number = then;
            break;
        }
        number = stage::decide_tc(skb, flow, plan, now);
    }
    if number == Reason::IcmpUnrelated as u32 && flow.is_icmp() {
        number = stage::learn_mtu(skb, flow, now);
    }
    if flow.piece == piece::FIRST && stage::first_piece(skb, flow, plan, number, now).is_none() {
        return verdict::tc(Reason::FragmentLost);
    }
    finish(skb, flow, plan, number, now)
}

/// Decides and finishes a packet that the host's routing led here because of its mark: it was to be forwarded, which took a hop
/// off, and has no sender on the link.
#[classifier]
pub fn rvs_mark(ctx: TcContext) -> i32 {
    let skb = Skb(ctx.skb.skb);
    let now = now();
    let Some((flow, plan)) = work(Worker::Tc, hook::MARK) else { return TC_ACT_SHOT as i32 };
    if stage::unhop(skb).is_none() {
        return verdict::tc(Reason::Malformed);
    }
    // SAFETY: the kernel hands a valid context to the program.
    flow.mark = unsafe { (*skb.0).mark };
    let mut number = stage::decide_tc(skb, flow, plan, now);
    if number == Reason::Deferred as u32 {
        stage::engine(skb, flow);
        number = stage::decide_tc(skb, flow, plan, now);
    }
    if flow.piece == piece::LATER && number != Reason::LocalNode as u32 {
        // The first hook holds a copy, which follows the first fragment.
        return TC_ACT_SHOT as i32;
    }
    if flow.piece == piece::FIRST && stage::first_piece(skb, flow, plan, number, now).is_none() {
        verdict::count(Reason::FragmentLost);
        return TC_ACT_SHOT as i32;
    }
    if Reason::is_forwarded(number) {
        return stage::forward(skb, flow, plan, number, now);
    }
    let reason = stage::reason(number);
    match reason.outcome() {
        Outcome::Answered => {
            stage::answer(skb, flow, plan, reason, 0);
            // Answers go back the way packets came; here that is the way to the client.
            plan.next = flow.key.src;
            plan.addr = flow.key.dst;
            plan.outward = 1;
            plan.family = flow.key.family;
            stage::send(skb, plan, now)
        }
        // Local addresses come first for packets from the loopback interface.
        Outcome::Passed if reason == Reason::LocalNode || reason == Reason::Bypass => {
            verdict::count(reason);
            if reason == Reason::Bypass && stage::hop(skb).is_none() {
                return TC_ACT_SHOT as i32;
            }
            plan.next = flow.key.dst;
            plan.outward = 1;
            plan.family = flow.key.family;
            stage::send(skb, plan, now)
        }
        Outcome::Forwarded | Outcome::Passed | Outcome::Dropped | Outcome::Held => {
            verdict::count(reason);
            TC_ACT_SHOT as i32
        }
    }
}

/// Sends a finished packet towards the next hop of a plan.
#[inline(always)]
pub(crate) fn send(skb: Skb, plan: &Plan, now: u64) -> i32 {
    let Some((hop, way)) = hop::find(skb, plan, now) else { return TC_ACT_SHOT as i32 };
    leave(skb, hop, way)
}

/// Does away with what stood in the way of a decision: [`AGAIN`], when it may be another one now, or else the number of the
/// reason that holds.
#[inline(always)]
fn settle(skb: Skb, flow: &mut Flow, plan: &mut Plan, number: u32, look: u32, now: u64) -> u32 {
    const LOST: u32 = Reason::LostRace as u32;
    const MALFORMED: u32 = Reason::Malformed as u32;
    const DEFERRED: u32 = Reason::Deferred as u32;
    const HELD: u32 = Reason::FragmentHeld as u32;
    const PASSED: u32 = Reason::Fragment as u32;
    match number {
        // Perhaps the headers were only not in the part of the packet that can be reached directly; now they are.
        MALFORMED if look == 0 && pull(skb) => AGAIN,
        // There is nobody to leave it to but a persistence engine.
        DEFERRED if flow.tcp_flags == 0 => {
            stage::engine(skb, flow);
            AGAIN
        }
        // It has looked: a real server calls.
        DEFERRED => match stage::call_out(flow, plan, now) {
            LOST => AGAIN,
            number => number,
        },
        HELD => match stage::hold(skb, flow, now) {
            Hold::Done => number,
            Hold::Lost => Reason::FragmentLost as u32,
            Hold::Known => AGAIN,
        },
        // The detour for marks may have just shown where the first fragment goes.
        PASSED if stage::hold_copy(skb, flow, now) == Hold::Known => AGAIN,
        _ => number,
    }
}

/// Does what was decided.
#[inline(always)]
fn finish(skb: Skb, flow: &mut Flow, plan: &mut Plan, number: u32, now: u64) -> i32 {
    if Reason::is_forwarded(number) {
        return stage::forward(skb, flow, plan, number, now);
    }
    let reason = stage::reason(number);
    match reason.outcome() {
        Outcome::Answered => stage::answer(skb, flow, plan, reason, 0),
        Outcome::Passed => {
            if reason == Reason::LocalNode && plan.here != 0 && !stage::expect_answers(flow, plan, now) {
                return verdict::tc(Reason::TableFull);
            }
            let done = match reason {
                Reason::LocalNode if here::is_readdressed(flow, plan) => {
                    plan.forward = Forward::Masq as u8;
                    let done = stage::unhop(skb).and_then(|()| stage::apply_tc(skb, flow, plan));
                    plan.forward = Forward::Local as u8;
                    done
                }
                Reason::LocalNode if !stage::steer(skb, flow, plan) => {
                    return stage::answer(skb, flow, plan, Reason::NoListener, 0);
                }
                Reason::ProbeIn => stage::unhop(skb).and_then(|()| stage::apply_tc(skb, flow, plan)),
                _ => Some(()),
            };
            verdict::tc(if done.is_some() { reason } else { Reason::RewriteFailed })
        }
        Outcome::Forwarded | Outcome::Dropped | Outcome::Held => verdict::tc(reason),
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
pub(crate) fn forward(skb: Skb, flow: &mut Flow, plan: &Plan, number: u32, now: u64) -> i32 {
    if ftp::is_control(flow, plan) {
        let reason = stage::tend(skb, flow, plan, now);
        if reason != FINE {
            return verdict::tc(stage::reason(reason));
        }
    }
    let Some((hop, way)) = hop::find(skb, plan, now) else { return verdict::tc(Reason::NoRoute) };
    let mtu = hop::mtu(hop, plan, now);
    if !plan.fits(frame_len(skb, flow), mtu) {
        return too_big(skb, flow, plan, mtu);
    }
    if way == Way::Neighbour && hop::is_unresolved(hop) && remembers_way(skb) {
        // SAFETY: no pointers.
        return unsafe { helpers::bpf_redirect(hop::LOOPBACK, BPF_F_INGRESS as u64) as i32 };
    }
    let applied = if plan.is_tunnel() { stage::wrap_tc(skb, flow, plan) } else { stage::apply_tc(skb, flow, plan) };
    if applied.is_none() {
        return verdict::tc(Reason::RewriteFailed);
    }
    verdict::count_number(Worker::Tc, number);
    leave(skb, hop, way)
}

/// Whether a packet of a sender on this host still holds the way to itself that the host chose. A packet that waits for a
/// neighbour would take that way when the neighbour answers, with the loopback's addresses in its frame. Another round
/// through the loopback makes it forget; `tc_index` tells that it had one.
#[inline(always)]
fn remembers_way(skb: Skb) -> bool {
    const FORGOT: u32 = 0x5256;
    // SAFETY: the kernel hands a valid context to the program.
    unsafe {
        if (*skb.0).ifindex != hop::LOOPBACK || (*skb.0).priority == TRIAL {
            return false;
        }
        let remembers = (*skb.0).tc_index != FORGOT;
        (*skb.0).tc_index = if remembers { FORGOT } else { 0 };
        remembers
    }
}

/// Puts the frame header on and lets the packet out.
#[inline(always)]
fn leave(skb: Skb, hop: &Hop, way: Way) -> i32 {
    let header = match way {
        Way::Neighbour => return stage::to_neighbour(hop),
        Way::Direct => hop::header(hop),
        // The loopback interface's address is all zeroes.
        Way::Local => Eth { dst: [0; 3], src: [0; 3], ..hop::header(hop) },
    };
    let mut packet = skb;
    if packet.write(0, header).is_none() {
        return verdict::tc(Reason::RewriteFailed);
    }
    let flags = if way == Way::Local { BPF_F_INGRESS as u64 } else { 0 };
    // SAFETY: no pointers.
    unsafe { helpers::bpf_redirect(hop.ifindex, flags) as i32 }
}

/// Length of the IP packet on the wire: of one segment, when the kernel cuts it up later.
#[inline(always)]
fn frame_len(skb: Skb, flow: &Flow) -> u32 {
    // SAFETY: the kernel hands a valid context to the program.
    let gso = unsafe { (*skb.0).gso_size };
    if gso == 0 { flow.len } else { gso + flow.l4 as u32 - L3 as u32 + flow.l4_len as u32 }
}

#[inline(always)]
fn too_big(skb: Skb, flow: &Flow, plan: &Plan, mtu: u32) -> i32 {
    let mtu = mtu.wrapping_sub(plan.growth());
    if flow.is_v6() && frame_len(skb, flow) <= MIN_MTU as u32 {
        return verdict::tc(Reason::TunnelNarrow);
    }
    if flow.dont_fragment == 0 || (plan.is_tunnel() && !flow.is_v6() && !keeps_df()) {
        // The pieces come in again, one by one.
        let cut = stage::cut(skb, flow, mtu).is_some();
        return verdict::tc(if cut { Reason::Cut } else { Reason::TooBig });
    }
    if flow.is_icmp() || flow.piece == piece::LATER {
        return verdict::tc(Reason::TooBig);
    }
    stage::answer(skb, flow, plan, Reason::FragNeeded, mtu)
}

/// Applies a plan to a packet, but for the frame header and for tunnels.
#[inline(always)]
pub(crate) fn apply(skb: Skb, flow: &Flow, plan: &Plan) -> Option<()> {
    let mut packet = skb;
    if plan.is_translation(flow) {
        // An ICMP message's sum stays what it was when its checksum follows its changes, so plain writes are right here, too.
        rewrite::translate_icmp(&mut packet, flow, plan)
    } else if plan.is_nat() {
        masquerade(packet, flow, plan)
    } else {
        rewrite::hop(&mut packet, flow).map(|_| ())
    }
}

/// Applies the plan of a tunnel.
#[inline(always)]
pub(crate) fn wrap(packet: Skb, flow: &Flow, plan: &Plan) -> Option<()> {
    // SAFETY: the kernel hands a valid context to the program.
    let gso = unsafe { (*packet.0).gso_size };
    // The sums of segments that the kernel cuts later cannot be known now: they travel without.
    let tunnel = if gso == 0 { plan.tunnel() } else { plan.tunnel().without_checksum() };
    wrap_in(packet, flow, plan, &tunnel)
}

/// Applies the plan of a tunnel, as this tunnel.
#[inline(always)]
fn wrap_in(mut packet: Skb, flow: &Flow, plan: &Plan, tunnel: &Tunnel) -> Option<()> {
    let inner = rewrite::hop(&mut packet, flow)?;
    let source = dest(plan.dest)?.hop_source;
    encapsulate(packet, &inner, plan, tunnel, source)
}

/// Encapsulates a packet of this host's own, from whatever address it has. Its own checksum may be unfinished, so the tunnel
/// travels without one.
#[inline(always)]
pub(crate) fn wrap_own(packet: Skb, flow: &Flow, plan: &Plan) -> Option<()> {
    let inner = if flow.is_v6() { Inner::of_v6(&packet.read(L3)?) } else { Inner::of_v4(&packet.read(L3)?) };
    encapsulate(packet, &inner, plan, &plan.tunnel().without_checksum(), flow.key.src)
}

#[inline(always)]
fn masquerade(mut packet: Skb, flow: &Flow, plan: &Plan) -> Option<()> {
    if !flow.has_ports() || flow.proto == proto::SCTP {
        // No checksum of theirs covers addresses, or there is none: plain writes are right.
        return rewrite::nat(&mut packet, flow, plan);
    }
    let old = packet.read(flow.l4 as usize)?;
    let (ports, words) = rewrite::nat_ports(old, plan);
    let addresses = rewrite::readdress(&mut packet, flow, plan)?;
    let offset = flow.checksum_offset() as u32;
    let udp = if flow.proto == proto::UDP { BPF_F_MARK_MANGLED_0 as u64 } else { 0 };
    // The addresses are part of the pseudo header, which an unfinished checksum already holds; the ports are not.
    fix_checksum(packet.0, offset, addresses.folded(), BPF_F_PSEUDO_HDR as u64 | udp)?;
    if ports != old {
        fix_checksum(packet.0, offset, words.folded(), udp)?;
    }
    packet.write(flow.l4 as usize, ports)
}

#[inline(always)]
fn fix_checksum(skb: *mut __sk_buff, offset: u32, difference: u16, flags: u64) -> Option<()> {
    // SAFETY: the context is valid; the helper checks the offset.
    let result = unsafe { helpers::bpf_l4_csum_replace(skb, offset, 0, difference as u64, flags) };
    (result == 0).then_some(())
}

#[inline(always)]
fn encapsulate(mut packet: Skb, inner: &Inner, plan: &Plan, tunnel: &Tunnel, source: Addr) -> Option<()> {
    let inner = &Inner { dont_fragment: inner.dont_fragment && keeps_df(), ..*inner };
    let sum = if tunnel.is_summed() { Some(stage::sum(packet, L3 as u32, inner.len as u32)?) } else { None };
    let l3 = if plan.family == Family::V4.raw() { BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 } else { BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 };
    let l4 = if tunnel.is_gue() {
        BPF_F_ADJ_ROOM_ENCAP_L4_UDP
    } else if tunnel.is_gre() {
        BPF_F_ADJ_ROOM_ENCAP_L4_GRE
    } else {
        0
    };
    let flags = (l3 | l4 | BPF_F_ADJ_ROOM_FIXED_GSO) as u64;
    // SAFETY: the context is valid; the segments were checked to fit, so their size may stay.
    let grown = unsafe { helpers::bpf_skb_adjust_room(packet.0, tunnel.growth() as i32, BPF_ADJ_ROOM_MAC, flags) };
    if grown != 0 {
        return None;
    }
    rewrite::outer(&mut packet, tunnel, inner, (source, plan.addr), sum)
}
