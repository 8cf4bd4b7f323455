//! Shortest expected delay: the smallest (active + 1) per weight, as if the new connection were already there; the first met
//! wins a tie.

use super::contest::{self, Chooser};
use super::wlc::Lightest;
use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `sed`.
#[derive(Debug)]
pub struct Sed;

impl Scheduler for Sed {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        contest::best::<C, ShortestDelay>(list)
    }
}

/// Load that decides: the connections it would have.
#[inline(always)]
pub(super) fn delay(candidate: Candidate) -> i64 {
    candidate.active as i64 + 1
}

#[derive(Clone, Copy)]
struct ShortestDelay(Lightest);

impl Visitor for ShortestDelay {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if candidate.usable() {
            self.0.consider(index, candidate.weight, delay(candidate));
        }
        Walk::Continue
    }
}

impl Chooser for ShortestDelay {
    const NONE: Self = Self(Lightest::NONE);

    #[inline(always)]
    fn chosen(&self) -> Option<u32> {
        self.0.index()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence};

    #[test]
    fn as_recorded() {
        assert_eq!(sequence(Kind::Sed, &[1, 2, 3], true, 6), [3, 2, 3, 3, 2, 1]);
    }
}
