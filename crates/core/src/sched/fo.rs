//! Weighted failover: all connections to the heaviest destination; the first met wins a tie. Load does not count until the
//! destination is overloaded.

use super::{Candidate, Candidates, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `fo`.
#[derive(Debug)]
pub struct Fo;

impl Scheduler for Fo {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _state: &mut SchedState) -> Option<u32> {
        let heaviest = list.walk(0, list.count(), Heaviest::NONE);
        (heaviest.weight > 0).then_some(heaviest.index)
    }
}

/// The heaviest entry considered.
#[derive(Clone, Copy)]
pub(super) struct Heaviest {
    pub(super) index: u32,
    pub(super) weight: i32,
}

impl Heaviest {
    pub(super) const NONE: Self = Self { index: 0, weight: 0 };

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

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence};

    #[test]
    fn the_newest_of_the_heaviest() {
        assert_eq!(sequence(Kind::Fo, &[5, 1, 1], true, 3), [1, 1, 1]);
        assert_eq!(sequence(Kind::Fo, &[1, 1, 1], true, 3), [3, 3, 3]);
    }
}
