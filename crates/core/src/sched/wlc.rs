//! Weighted least connection: the smallest overhead per weight; the first met wins a tie.

use super::{Candidate, Candidates, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `wlc`.
#[derive(Debug)]
pub struct Wlc;

impl Scheduler for Wlc {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _state: &mut SchedState) -> Option<u32> {
        let least = list.walk(0, list.count(), Least { index: NONE, weight: 0, overhead: 0 });
        (least.index != NONE).then_some(least.index)
    }
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Least {
    index: u32,
    weight: i32,
    overhead: i64,
}

impl Visitor for Least {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        let overhead = candidate.overhead();
        // a/b < c/d as a*d < c*b; the kernel multiplies in 64 bits and lets them wrap.
        let lighter =
            || self.overhead.wrapping_mul(candidate.weight as i64) > overhead.wrapping_mul(self.weight as i64);
        if candidate.usable() && (self.index == NONE || lighter()) {
            *self = Self { index, weight: candidate.weight, overhead };
        }
        Walk::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence};

    #[test]
    fn as_recorded() {
        assert_eq!(sequence(Kind::Wlc, &[1, 2, 3], true, 12), [3, 2, 1, 3, 2, 3, 3, 2, 1, 3, 2, 3]);
        assert_eq!(sequence(Kind::Wlc, &[0, 1, 1], false, 4), [3, 2, 3, 2]);
    }
}
