//! The one place that turns reasons into the codes of the hooks, and counts them.

use crate::maps::REASONS;
use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action};
use rvs_core::verdict::{Outcome, Reason};

/// Counts a packet under its reason.
#[inline(always)]
pub(crate) fn count(reason: Reason) {
    count_number(reason as u32);
}

/// Counts a packet under the reason with this number.
#[inline(always)]
pub(crate) fn count_number(number: u32) {
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
            count(Reason::Deferred);
            xdp_action::XDP_PASS
        }
        Outcome::Forwarded | Outcome::Dropped | Outcome::Answered | Outcome::Held => {
            count(reason);
            xdp_action::XDP_DROP
        }
    }
}

/// For a packet that TC does not send on. "Passed" lets other programs on the hook have it too.
#[inline(always)]
pub(crate) fn tc(reason: Reason) -> i32 {
    count(reason);
    match reason.outcome() {
        Outcome::Passed => TC_ACT_UNSPEC,
        Outcome::Forwarded | Outcome::Dropped | Outcome::Answered | Outcome::Held => TC_ACT_SHOT,
    }
}
