//! Least connection: the smallest overhead (256 × active + inactive); the first met wins a tie.

use super::contest::{self, Chooser};
use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `lc`.
#[derive(Debug)]
pub struct Lc;

impl Scheduler for Lc {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        contest::best::<C, Least>(list)
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

impl Chooser for Least {
    const NONE: Self = Self { index: NONE, overhead: 0 };

    #[inline(always)]
    fn chosen(&self) -> Option<u32> {
        (self.index != NONE).then_some(self.index)
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
