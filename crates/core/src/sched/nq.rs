//! Never queue: the first idle destination met, whatever its weight; when none is idle, shortest expected delay.

use super::contest::{self, Chooser};
use super::sed::delay;
use super::wlc::Lightest;
use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `nq`.
#[derive(Debug)]
pub struct Nq;

impl Scheduler for Nq {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        contest::best::<C, IdleOrShortest>(list)
    }
}

#[derive(Clone, Copy)]
struct IdleOrShortest(Lightest);

impl Visitor for IdleOrShortest {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if !candidate.usable() {
            return Walk::Continue;
        }
        if candidate.active == 0 {
            self.0 = Lightest::only(index);
            return Walk::Break;
        }
        self.0.consider(index, candidate.weight, delay(candidate));
        Walk::Continue
    }
}

impl Chooser for IdleOrShortest {
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
        assert_eq!(sequence(Kind::Nq, &[1, 2, 3], true, 12), [3, 2, 1, 3, 3, 2, 3, 2, 3, 3, 2, 1]);
    }
}
