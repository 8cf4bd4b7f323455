//! Least connection: the smallest overhead (256 × active + inactive); the first met wins a tie.

use super::{Candidate, Candidates, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `lc`.
#[derive(Debug)]
pub struct Lc;

impl Scheduler for Lc {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _state: &mut SchedState) -> Option<u32> {
        let least = list.walk(0, list.count(), Least { index: NONE, overhead: 0 });
        (least.index != NONE).then_some(least.index)
    }
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Least {
    index: u32,
    overhead: i64,
}

impl Visitor for Least {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        let overhead = candidate.overhead();
        if candidate.usable() && (self.index == NONE || overhead < self.overhead) {
            *self = Self { index, overhead };
        }
        Walk::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence};

    #[test]
    fn as_recorded() {
        assert_eq!(sequence(Kind::Lc, &[1, 2, 3], true, 6), [3, 2, 1, 3, 2, 1]);
        assert_eq!(sequence(Kind::Lc, &[0, 1, 1], false, 4), [3, 2, 3, 2]);
    }
}
