//! The TC hook at the way out: what this host itself sends. Attached only while there is something to do: a real server on this
//! host whose answers must be translated, or health checks by virtual services.
//!
//! Packets that are forwarded pass here, too; that they came in through an interface tells them apart, and is looked at first.

use crate::access::Skb;
use crate::kernel::now;
use crate::maps::{CONTROL, PROBE_FLOWS, PROBES, Worker, work};
use crate::{pieces, stage, verdict};
use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use rvs_core::abi::{Control, Forward, Probe};
use rvs_core::flow::{Flow, L3, classify, piece};
use rvs_core::fragment;
use rvs_core::packet::Packet;
use rvs_core::plan::Plan;
use rvs_core::trace::hook;
use rvs_core::verdict::Reason;
use rvs_core::{here, probe};
use rvs_wire::eth::{self, Eth};
use rvs_wire::ipv4::{Ipv4, proto};
use rvs_wire::ipv6::Ipv6;

/// Decides and finishes a packet that leaves through any interface.
#[classifier]
pub fn rvs_out(ctx: TcContext) -> i32 {
    let skb = Skb(ctx.skb.skb);
    // SAFETY: the kernel hands a valid context to the program.
    let (came_in, tagged, mark) = unsafe { ((*skb.0).ingress_ifindex, (*skb.0).vlan_present, (*skb.0).mark) };
    if came_in != 0 || tagged != 0 {
        return TC_ACT_UNSPEC;
    }
    let probe = if probe::is_mark(mark) { probe_of(mark) } else { None };
    if probe.is_none() && !may_answer(skb) {
        return TC_ACT_UNSPEC;
    }
    let Some((flow, plan)) = work(Worker::Out, hook::OUT) else { return TC_ACT_UNSPEC };
    let now = now();
    let number = stage::sent(skb, flow, plan, mark, now);
    if !Reason::is_forwarded(number) {
        return TC_ACT_UNSPEC;
    }
    if stage::unhop(skb).is_none() || stage::apply_tc(skb, flow, plan).is_none() {
        return verdict::tc_at(Worker::Out, Reason::RewriteFailed);
    }
    if let Some(probe) = probe
        && probe.forward == Forward::Tunnel as u8
    {
        plan.addr = plan.next;
        plan.forward = Forward::Tunnel as u8;
        if stage::wrap_own(skb, flow, plan).is_none() {
            return verdict::tc_at(Worker::Out, Reason::RewriteFailed);
        }
    }
    verdict::count_number(Worker::Out, number);
    // To where it was going: the frame's header is of the way to the real server, or to the client.
    TC_ACT_UNSPEC
}

/// Whether it may be a server's answer at all, by a look at the header: a datagram, or ICMP about one.
#[inline(always)]
fn may_answer(skb: Skb) -> bool {
    let Some(frame) = skb.read::<Eth>(0) else { return true };
    match frame.ethertype {
        eth::IPV4 => skb.read::<Ipv4>(L3).is_none_or(|ip| matches!(ip.proto, proto::UDP | proto::ICMP)),
        eth::IPV6 => skb.read::<Ipv6>(L3).is_none_or(|ip| ip.next != proto::TCP),
        _ => false,
    }
}

/// The health check of a mark, while health checks hold.
#[inline(always)]
fn probe_of(mark: u32) -> Option<Probe> {
    // SAFETY: values of arrays live as long as the program.
    let control: &Control = CONTROL.get_ptr(0).map(|p| unsafe { &*p })?;
    if !probe::are_on(control, now()) {
        return None;
    }
    // SAFETY: read at once; one that is replaced meanwhile is either of the two.
    PROBES.get_ptr(&mark).map(|p| unsafe { *p })
}

/// Understands and decides a packet; the number of the reason.
#[inline(always)]
pub(crate) fn decide(skb: Skb, flow: &mut Flow, plan: &mut Plan, mark: u32, now: u64) -> u32 {
    if classify(&skb, flow).is_err() {
        return Reason::Malformed as u32;
    }
    if probe::is_mark(mark)
        && let Some(probe) = probe_of(mark)
    {
        let reason = probe::sent(&probe, flow, plan);
        if reason == Reason::ProbeOut {
            let (key, of) = probe::remembered(&probe, flow);
            // The least recently used goes when the map is full.
            let _ = PROBE_FLOWS.insert(key, of, 0);
        }
        return reason as u32;
    }
    let tables = crate::kernel::TcMaps::at(now);
    let reason = here::sent(&tables, flow, plan);
    if reason == Reason::LocalOut && flow.piece == piece::FIRST {
        pieces::remember(flow, &fragment::fate(&tables, plan, reason));
    }
    reason as u32
}
