//! Round robin: from the destination after the last one on, the first that is usable. Weights count only as zero or not.

use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `rr`.
#[derive(Debug)]
pub struct Rr;

impl Scheduler for Rr {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, state: &mut SchedState) -> Option<u32> {
        let count = list.count();
        // A position beyond the list (it became shorter) starts over, as the first does.
        let next = state.next();
        let start = if next < count { next } else { 0 };
        let index = list.walk(start, count, FirstUsable { index: None }).index?;
        state.pos = index as i32;
        Some(index)
    }
}

/// The first usable entry met.
#[derive(Clone, Copy)]
struct FirstUsable {
    index: Option<u32>,
}

impl Visitor for FirstUsable {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if !candidate.usable() {
            return Walk::Continue;
        }
        self.index = Some(index);
        Walk::Break
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence};

    #[test]
    fn newest_first_in_turn_whatever_the_weights() {
        assert_eq!(sequence(Kind::Rr, &[1, 2, 3], true, 7), [3, 2, 1, 3, 2, 1, 3]);
        assert_eq!(sequence(Kind::Rr, &[5, 1, 1], false, 4), [3, 2, 1, 3]);
    }

    #[test]
    fn weight_zero_is_skipped() {
        assert_eq!(sequence(Kind::Rr, &[0, 1, 1], true, 5), [3, 2, 3, 2, 3]);
    }
}
