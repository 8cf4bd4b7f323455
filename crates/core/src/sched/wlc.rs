//! Weighted least connection: the smallest overhead per weight; the first met wins a tie.

use super::contest::{self, Chooser};
use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `wlc`.
#[derive(Debug)]
pub struct Wlc;

impl Scheduler for Wlc {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        least_loaded(list)
    }
}

/// The index of the least loaded usable destination; the locality-based schedulers choose by it, too.
#[inline(always)]
pub(super) fn least_loaded<C: Candidates>(list: &C) -> Option<u32> {
    contest::best::<C, Least>(list)
}

#[derive(Clone, Copy)]
struct Least(Lightest);

impl Chooser for Least {
    const NONE: Self = Self(Lightest::NONE);

    #[inline(always)]
    fn chosen(&self) -> Option<u32> {
        self.0.index()
    }
}

impl Visitor for Least {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if candidate.usable() {
            self.0.consider(index, candidate.weight, candidate.overhead());
        }
        Walk::Continue
    }
}

/// The entry with the least load per weight of those considered.
#[derive(Clone, Copy)]
pub(super) struct Lightest {
    index: u32,
    weight: i32,
    load: i64,
}

impl Lightest {
    /// Nothing considered yet.
    pub(super) const NONE: Self = Self { index: u32::MAX, weight: 0, load: 0 };

    /// This one, without comparison.
    #[inline(always)]
    pub(super) fn only(index: u32) -> Self {
        Self { index, ..Self::NONE }
    }

    /// a/b < c/d as a*d < c*b; the kernel multiplies in 64 bits and lets them wrap.
    #[inline(always)]
    pub(super) fn consider(&mut self, index: u32, weight: i32, load: i64) {
        let lighter = self.load.wrapping_mul(weight as i64) > load.wrapping_mul(self.weight as i64);
        if self.index == u32::MAX || lighter {
            *self = Self { index, weight, load };
        }
    }

    /// Its index, if anything was considered.
    #[inline(always)]
    pub(super) fn index(self) -> Option<u32> {
        (self.index != u32::MAX).then_some(self.index)
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
