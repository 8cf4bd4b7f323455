//! The one place that turns reasons into the codes of the hooks, and counts them.

use crate::maps::{REASONS, Worker};
use crate::trace;
use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use rvs_core::verdict::{Outcome, Reason};

/// Counts a packet that a classifier decided under its reason.
#[inline(always)]
pub(crate) fn count(reason: Reason) {
    count_number(Worker::Tc, reason as u32);
}

/// Counts a packet under the reason with this number, and tells who watches.
#[inline(always)]
pub(crate) fn count_number(worker: Worker, number: u32) {
    add(number);
    trace::tell(worker, number);
}

/// Counts a packet under the reason with this number, while nobody watches.
#[inline(always)]
pub(crate) fn add(number: u32) {
    if let Some(counter) = REASONS.get_ptr_mut(number) {
        // SAFETY: a per-CPU value that only this program run touches now.
        unsafe { *counter += 1 };
    }
}

/// For a packet that XDP does not send on. One that passes comes to TC next, which names its reason: here it is only deferred.
#[inline(always)]
pub(crate) fn xdp(reason: Reason) -> u32 {
    match reason.outcome() {
        Outcome::Passed => {
            count_number(Worker::Xdp, Reason::Deferred as u32);
            xdp_action::XDP_PASS
        }
        Outcome::Forwarded | Outcome::Dropped | Outcome::Answered | Outcome::Held => {
            count_number(Worker::Xdp, reason as u32);
            xdp_action::XDP_DROP
        }
    }
}

/// For a packet that TC does not send on. "Passed" lets other programs on the hook have it too.
#[inline(always)]
pub(crate) fn tc(reason: Reason) -> i32 {
    tc_at(Worker::Tc, reason)
}

/// The same for a packet of this worker.
#[inline(always)]
pub(crate) fn tc_at(worker: Worker, reason: Reason) -> i32 {
    count_number(worker, reason as u32);
    match reason.outcome() {
        Outcome::Passed => TC_ACT_UNSPEC,
        Outcome::Forwarded | Outcome::Dropped | Outcome::Answered | Outcome::Held => TC_ACT_SHOT,
    }
}
