//! Weighted failover: all connections to the heaviest destination; the first met wins a tie. Load does not count until the
//! destination is overloaded.

use super::contest::{self, Chooser};
use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `fo`.
#[derive(Debug)]
pub struct Fo;

impl Scheduler for Fo {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        contest::best::<C, Heaviest>(list)
    }
}

/// The heaviest entry considered.
#[derive(Clone, Copy)]
pub(super) struct Heaviest {
    pub(super) index: u32,
    pub(super) weight: i32,
}

impl Heaviest {
    #[inline(always)]
    pub(super) fn consider(&mut self, index: u32, weight: i32) {
        if weight > self.weight {
            *self = Self { index, weight };
        }
    }
}

impl Visitor for Heaviest {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if candidate.usable() {
            self.consider(index, candidate.weight);
        }
        Walk::Continue
    }
}

impl Chooser for Heaviest {
    const NONE: Self = Self { index: 0, weight: 0 };

    #[inline(always)]
    fn chosen(&self) -> Option<u32> {
        (self.weight > 0).then_some(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence};

    #[test]
    fn the_newest_of_the_heaviest() {
        assert_eq!(sequence(Kind::Fo, &[5, 1, 1], true, 3), [1, 1, 1]);
        assert_eq!(sequence(Kind::Fo, &[1, 1, 1], true, 3), [3, 3, 3]);
    }
}
