//! Health checks by the virtual service: what a checker sends to a real server of direct routing or of a tunnel travels as a
//! client's packet would, and its answer, which comes from the virtual address, is given back its real server's.
//!
//! The checker marks its socket ([`mark`]) and connects to the real server's own address. The program at the way out finds the
//! [`Probe`] of that mark, puts in the virtual address and port, and remembers the flow ([`ProbeFlow`]); the one at the way in
//! turns the answer's source back. The sender's stack knows nothing of it. All that only while checks are registered, and as
//! long as the one who registered them says that he lives ([`crate::abi::Control::probes_until`]).

use crate::abi::{Control, FlowKey, Forward, Probe, ProbeFlow};
use crate::flow::{Flow, piece};
use crate::plan::Plan;
use crate::tables::Tables;
use crate::verdict::Reason;

/// The mark of the probe with number 0: the first of [`MARKS`] that are RVS's own.
pub const FIRST_MARK: u32 = 0x5256_0000;
/// How many marks there are.
pub const MARKS: u32 = 0x1_0000;

const SECOND: u64 = 1_000_000_000;

/// The firewall mark that the sockets of a probe carry.
#[inline(always)]
pub const fn mark(number: u16) -> u32 {
    FIRST_MARK | number as u32
}

/// Whether a firewall mark is a probe's.
#[inline(always)]
pub const fn is_mark(mark: u32) -> bool {
    mark & !(MARKS - 1) == FIRST_MARK
}

/// Whether anybody probes.
#[inline(always)]
pub fn are_on(control: &Control, now: u64) -> bool {
    let until = control.probes_until.get();
    until != 0 && now < until as u64 * SECOND
}

/// Decides a marked packet that this host sends: [`Reason::ProbeOut`], with `plan` filled with the virtual service, when it is
/// for the probe's real server; [`Reason::NoService`] otherwise.
#[inline(always)]
pub fn sent(probe: &Probe, flow: &Flow, plan: &mut Plan) -> Reason {
    let to = &flow.key;
    let fits = to.dst == probe.rip && to.dport == probe.rport && to.family == probe.family && to.proto == flow.proto;
    if !fits || !flow.has_ports() || flow.piece != piece::WHOLE {
        return Reason::NoService;
    }
    plan.next = probe.rip;
    plan.addr = probe.vip;
    plan.port = probe.vport;
    plan.forward = Forward::Masq as u8;
    plan.outward = 0;
    plan.family = probe.family;
    plan.inside = probe.family;
    plan.tun_type = probe.tun_type;
    plan.tun_flags = probe.tun_flags;
    plan.tun_port = probe.tun_port;
    plan.tun_source = crate::tunnel::source_port(&flow.key);
    Reason::ProbeOut
}

/// Under what the answer to a packet that [`sent`] decided is found, and what is remembered for it.
#[inline(always)]
pub fn remembered(probe: &Probe, flow: &Flow) -> (FlowKey, ProbeFlow) {
    let to = &flow.key;
    let key = FlowKey { src: probe.vip, dst: to.src, sport: probe.vport, dport: to.sport, ..*to };
    (key, ProbeFlow { rip: probe.rip, rport: probe.rport, pad: [0; 3] })
}

/// Decides a packet that may be the answer to a probe, or an ICMP error about one: fills in `plan` and is `true` if so.
#[inline(always)]
pub fn answered<T: Tables>(tables: &T, flow: &Flow, plan: &mut Plan) -> bool {
    let Some(of) = tables.probe_flow(&flow.key) else { return false };
    plan.next = flow.key.dst;
    plan.addr = of.rip;
    plan.port = of.rport;
    plan.forward = Forward::Masq as u8;
    plan.outward = 1;
    plan.family = flow.key.family;
    plan.inside = flow.key.family;
    true
}
