//! One real server: its checks, its weight, what administrators and its agent want, and whether it is ejected.

use super::params::{Admin, RealParams};
use crate::verdict::{Advice, Wish};
use core::time::Duration;
use rvs_machine::Time;

/// The greatest weight that the table takes.
const MAX_WEIGHT: i64 = i32::MAX as i64;
/// The weight of a slow start grows so many times.
const STEPS: u32 = 20;
/// But not more often than this.
const MIN_STEP: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckState {
    pub(super) up: bool,
    pub(super) advice: Advice,
    pub(super) wish: Wish,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Real {
    pub(super) params: RealParams,
    pub(super) checks: Vec<CheckState>,
    pub(super) alive: bool,
    pub(super) admin: Admin,
    /// Since when its weight grows.
    pub(super) ramp: Option<Time>,
    /// Unanswered connections in a row.
    pub(super) unanswered: u32,
    /// How often it was ejected lately.
    pub(super) ejections: u32,
    pub(super) ejected_until: Option<Time>,
    pub(super) returned: Option<Time>,
    /// What it is counted with in the live weight of all.
    pub(super) counted: i64,
}

impl Real {
    pub(super) fn new(params: RealParams) -> Self {
        let fresh = |&alpha: &bool| CheckState { up: !alpha, advice: Advice::default(), wish: Wish::default() };
        let checks: Vec<CheckState> = params.checks.iter().map(fresh).collect();
        let alive = checks.iter().all(|check| check.up);
        Self {
            params,
            checks,
            alive,
            admin: Admin::Ready,
            ramp: None,
            unanswered: 0,
            ejections: 0,
            ejected_until: None,
            returned: None,
            counted: 0,
        }
    }

    /// Its weight with all advice.
    pub(super) fn weight(&self) -> i64 {
        let base = self.params.weight;
        let delta = |check: &CheckState| match check.advice {
            Advice::Weight(weight) => weight.saturating_sub(base),
            Advice::Add(delta) => delta,
            Advice::Percent(percent) => base.saturating_mul(i64::from(percent)).div_ceil_100().saturating_sub(base),
        };
        let sum = self.checks.iter().map(delta).fold(base, i64::saturating_add);
        sum.clamp(0, MAX_WEIGHT)
    }

    /// What the administrator or an agent wants, whichever is more.
    pub(super) fn admin(&self) -> Admin {
        let wish = |check: &CheckState| match check.wish {
            Wish::Ready => Admin::Ready,
            Wish::Drain => Admin::Drain,
            Wish::Maint => Admin::Maint,
        };
        self.checks.iter().map(wish).fold(self.admin, Admin::max)
    }

    /// What it counts for the quorum: a slow start or an ejection is passing, and no loss of capacity.
    pub(super) fn live_weight(&self) -> i64 {
        if self.alive && self.admin() == Admin::Ready { self.weight() } else { 0 }
    }

    /// Its weight in the table at `now` while real servers are in it; `None`: it is not.
    pub(super) fn in_table(&self, now: Time, open: bool) -> Option<i64> {
        let away = self.params.inhibit_on_failure.then_some(0);
        if !self.alive {
            return away;
        }
        match self.admin() {
            Admin::Maint => away,
            // The sorry server may stand in for new connections; those that it still has go on.
            Admin::Drain => Some(0),
            Admin::Ready if !open => away,
            Admin::Ready if self.ejected_until.is_some() => Some(0),
            Admin::Ready => Some(self.ramped(now)),
        }
    }

    fn ramped(&self, now: Time) -> i64 {
        let weight = self.weight();
        let whole = self.params.slow_start.as_nanos();
        let Some(since) = self.ramp else { return weight };
        if whole == 0 || weight == 0 {
            return weight;
        }
        let part = now.since(since).as_nanos().min(whole);
        let grown = (u128::from(weight.unsigned_abs()) * part / whole) as i64;
        grown.max(1)
    }

    /// When the next step of its slow start is due.
    pub(super) fn ramp_deadline(&self, now: Time) -> Option<Time> {
        let since = self.ramp?;
        let step = (self.params.slow_start / STEPS).max(MIN_STEP);
        let end = since + self.params.slow_start;
        let done = now.since(since).as_nanos() / step.as_nanos();
        let next = u32::try_from(done + 1).map_or(end, |steps| since + step.saturating_mul(steps));
        Some(next.min(end).max(since))
    }

    /// Ends a slow start that is over.
    pub(super) fn end_ramp(&mut self, now: Time) {
        if self.ramp.is_some_and(|since| now.since(since) >= self.params.slow_start) {
            self.ramp = None;
        }
    }
}

/// Per cent of a weight are rounded up, so that a weight does not become 0 by rounding.
trait DivCeil100 {
    fn div_ceil_100(self) -> Self;
}

impl DivCeil100 for i64 {
    fn div_ceil_100(self) -> Self {
        self / 100 + Self::from(self % 100 > 0)
    }
}
