//! Stages about connections: their ends, what servers say first, servers on this host, calls that servers begin.

use crate::access::Skb;
use crate::kernel::TcMaps;
use crate::out;
use aya_ebpf::bindings::__sk_buff;
use rvs_core::abi::ConnId;
use rvs_core::begin;
use rvs_core::conn::life::{self, End};
use rvs_core::flow::Flow;
use rvs_core::here;
use rvs_core::plan::Plan;
use rvs_core::probe;
use rvs_core::tables::Tables;
use rvs_core::verdict::Reason;

/// Counts what a server says first; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_note_first_word(id: ConnId, event: u32, of_server: u32) -> u32 {
    life::note_first_word(&TcMaps::at(0), id, event as u8, of_server != 0);
    0
}

/// Counts what a server says first.
#[inline(always)]
pub(crate) fn note_first_word(id: ConnId, event: u8, of_server: bool) {
    stage_note_first_word(id, event as u32, of_server as u32);
}

/// Ends a connection; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_expire(id: ConnId, end: u32, now: u64) -> u32 {
    const TIME_UP: u32 = End::TimeUp as u32;
    const NOW: u32 = End::Now as u32;
    let end = match end {
        TIME_UP => End::TimeUp,
        NOW => End::Now,
        _ => End::Embryonic,
    };
    let maps = TcMaps::at(now);
    if let Some(conn) = maps.conn(id) {
        life::expire(&maps, id, conn, now, end);
    }
    0
}

/// Ends a connection.
#[inline(always)]
pub(crate) fn expire(id: ConnId, end: End, now: u64) {
    stage_expire(id, end as u32, now);
}

/// Has the answers to a datagram for a server on this host translated; 0 when there is no room for that.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_expect_answers(flow: *const Flow, plan: *const Plan, now: u64) -> u32 {
    if flow.is_null() || plan.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    here::expect_answers(&TcMaps::at(now), unsafe { &*flow }, unsafe { &*plan }) as u32
}

/// Has the answers to a datagram for a server on this host translated; whether there was room for that.
#[inline(always)]
pub(crate) fn expect_answers(flow: &Flow, plan: &Plan, now: u64) -> bool {
    stage_expect_answers(flow, plan, now) != 0
}

/// Begins the connection of a call that a real server begins; the number of the reason.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_call_out(flow: *mut Flow, plan: *mut Plan, now: u64) -> u32 {
    if flow.is_null() || plan.is_null() {
        return Reason::NoConfig as u32;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    begin::call_out(&TcMaps::at(now), unsafe { &mut *flow }, unsafe { &mut *plan }) as u32
}

/// Begins the connection of a call that a real server begins; the number of the reason.
#[inline(always)]
pub(crate) fn call_out(flow: &mut Flow, plan: &mut Plan, now: u64) -> u32 {
    stage_call_out(flow, plan, now)
}

/// Understands and decides a packet that this host sends; the number of the reason.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_sent(skb: *mut __sk_buff, flow: *mut Flow, plan: *mut Plan, mark: u32, now: u64) -> u32 {
    if flow.is_null() || plan.is_null() {
        return Reason::NoConfig as u32;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    out::decide(Skb(skb), unsafe { &mut *flow }, unsafe { &mut *plan }, mark, now)
}

/// Understands and decides a packet that this host sends; the number of the reason.
#[inline(always)]
pub(crate) fn sent(skb: Skb, flow: &mut Flow, plan: &mut Plan, mark: u32, now: u64) -> u32 {
    stage_sent(skb.0, flow, plan, mark, now)
}

/// Decides a packet that may be the answer to a health check; 0 when it is none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_probe_answered(flow: *const Flow, plan: *mut Plan) -> u32 {
    if flow.is_null() || plan.is_null() {
        return 0;
    }
    // SAFETY: not null, and the verifier knows their sizes from the types.
    probe::answered(&TcMaps::at(0), unsafe { &*flow }, unsafe { &mut *plan }) as u32
}

/// Decides a packet that may be the answer to a health check; whether it is one.
#[inline(always)]
pub(crate) fn probe_answered(flow: &Flow, plan: &mut Plan) -> bool {
    stage_probe_answered(flow, plan) != 0
}
