//! The XDP hook: an accelerator for packets of which everything is known. What is not, it leaves to TC as it came.

use crate::access::Xdp;
use crate::kernel::{XdpMaps, dest, keeps_df, now};
use crate::maps::{Worker, work};
use crate::{hop, stage, trace, verdict};
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use rvs_core::conn::{Direction, Hit};
use rvs_core::flow::Flow;
use rvs_core::packet::{Packet, PacketMut};
use rvs_core::plan::Plan;
use rvs_core::rewrite;
use rvs_core::short;
use rvs_core::trace::hook;
use rvs_core::tunnel::Inner;
use rvs_core::verdict::Reason;
use rvs_wire::Be16;
use rvs_wire::eth::{self, Eth};

/// Decides and, where it can, finishes a packet before the kernel makes anything of it.
#[xdp]
pub fn rvs_xdp(ctx: XdpContext) -> u32 {
    let packet = Xdp(ctx.ctx);
    let Some(ethertype) = type_of_ours(packet) else { return verdict::xdp(Reason::NotForUs) };
    let now = now();
    if !trace::is_on()
        && let Some(action) = match ethertype {
            eth::IPV4 => stage::short4_xdp(packet, now),
            eth::IPV6 => stage::short6_xdp(packet, now),
            _ => None,
        }
    {
        return action;
    }
    long(packet, now)
}

/// The short way of a packet that was understood; `None` when it has to take the long one.
#[inline(always)]
pub(crate) fn short(packet: Xdp, flow: &Flow, now: u64) -> Option<u32> {
    let maps = XdpMaps::at(now);
    let Some(hit) = short::find(&maps, flow) else {
        return short::is_strangers(&maps, flow).then(|| {
            verdict::add(Reason::Deferred as u32);
            xdp_action::XDP_PASS
        });
    };
    // Apart, so that the compiler knows in each what the other one would do.
    match hit.direction {
        Direction::In => carry(packet, &maps, flow, &Hit { direction: Direction::In, ..hit }),
        Direction::Out => carry(packet, &maps, flow, &Hit { direction: Direction::Out, ..hit }),
    }
}

/// The rest of the short way.
#[inline(always)]
fn carry(packet: Xdp, maps: &XdpMaps, flow: &Flow, hit: &Hit<'_>) -> Option<u32> {
    let plan = short::plan(maps, flow, hit)?;
    let hop = maps.way(&plan, flow.len)?;
    let reason = short::take(maps, flow, hit, &plan);
    let mut frame = packet;
    if apply(packet, flow, &plan).and_then(|()| frame.write(0, hop::header(hop))).is_none() {
        return Some(verdict::xdp(Reason::RewriteFailed));
    }
    verdict::add(reason as u32);
    Some(leave(packet, hop.ifindex))
}

/// The long way, which every packet can take.
#[inline(always)]
fn long(packet: Xdp, now: u64) -> u32 {
    let Some((flow, plan)) = work(Worker::Xdp, hook::XDP) else { return verdict::xdp(Reason::NoConfig) };
    let number = stage::decide_xdp(packet, flow, plan, now);
    if Reason::is_forwarded(number) {
        return forward(packet, flow, plan, number);
    }
    // Headers that cannot be reached here may be reached at TC, which finds out by itself.
    verdict::xdp(stage::reason(number))
}

/// The type of a frame that is addressed to the interface that it came in through. An interface that listens to all shows frames
/// for others as well, among them those that a director sent to its real servers: to send these on would be a loop.
#[inline(always)]
fn type_of_ours(packet: Xdp) -> Option<Be16> {
    // SAFETY: the kernel hands a valid context to the program.
    let ifindex = unsafe { (*packet.0).ingress_ifindex };
    let (port, frame) = (hop::xdp_port(ifindex)?, packet.read::<Eth>(0)?);
    (frame.dst == hop::halves(&port.mac)).then_some(frame.ethertype)
}

#[inline(always)]
fn forward(packet: Xdp, flow: &Flow, plan: &Plan, number: u32) -> u32 {
    // The decision saw to it that the entry is there and good.
    let Some(hop) = hop::entry(plan) else { return verdict::xdp(Reason::NoRoute) };
    let mut frame = packet;
    if stage::apply_xdp(packet, flow, plan).and_then(|()| frame.write(0, hop::header(hop))).is_none() {
        return verdict::xdp(Reason::RewriteFailed);
    }
    verdict::count_number(Worker::Xdp, number);
    leave(packet, hop.ifindex)
}

/// Lets a finished frame out.
#[inline(always)]
fn leave(packet: Xdp, ifindex: u32) -> u32 {
    // SAFETY: the kernel hands a valid context to the program; the helper takes no pointers.
    unsafe {
        if (*packet.0).ingress_ifindex == ifindex {
            xdp_action::XDP_TX
        } else {
            helpers::bpf_redirect(ifindex, 0) as u32
        }
    }
}

/// Applies a plan to a packet, but for the frame header.
#[inline(always)]
pub(crate) fn apply(mut packet: Xdp, flow: &Flow, plan: &Plan) -> Option<()> {
    if plan.is_nat() {
        return rewrite::nat(&mut packet, flow, plan);
    }
    let inner = rewrite::hop(&mut packet, flow)?;
    if !plan.is_tunnel() {
        return Some(());
    }
    let source = dest(plan.dest)?.hop_source;
    let inner = Inner { dont_fragment: inner.dont_fragment && keeps_df(), ..inner };
    let tunnel = plan.tunnel();
    // SAFETY: the context is valid. The frame header is written anew by the caller.
    let grown = unsafe { helpers::bpf_xdp_adjust_head(packet.0, -(tunnel.growth() as i32)) };
    if grown != 0 {
        return None;
    }
    rewrite::outer(&mut packet, &tunnel, &inner, (source, plan.addr), None)
}
