//! Weighted overflow: the heaviest destination until it has more active connections than its weight, then the next; nobody
//! when all have.

use super::contest::{self, Chooser};
use super::fo::Heaviest;
use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `ovf`.
#[derive(Debug)]
pub struct Ovf;

impl Scheduler for Ovf {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        contest::best::<C, HeaviestWithRoom>(list)
    }
}

#[derive(Clone, Copy)]
struct HeaviestWithRoom(Heaviest);

impl Visitor for HeaviestWithRoom {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        // Compared as 64 bits: more than 2^31 connections are more than any weight.
        if candidate.usable() && candidate.active as i64 <= candidate.weight as i64 {
            self.0.consider(index, candidate.weight);
        }
        Walk::Continue
    }
}

impl Chooser for HeaviestWithRoom {
    const NONE: Self = Self(Heaviest::NONE);

    #[inline(always)]
    fn chosen(&self) -> Option<u32> {
        self.0.chosen()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, pick, testing::List, testing::REQUEST};
    use super::*;
    use std::vec;

    #[test]
    fn each_takes_one_more_than_its_weight() {
        let mut list = List::of(vec![Candidate { weight: 1, ..Candidate::default() }; 2]);
        let mut state = SchedState::START;
        for wanted in [Some(0), Some(0), Some(1), Some(1), None] {
            let got = pick(Kind::Ovf, &list, &REQUEST, &mut state);
            assert_eq!(got, wanted);
            if let Some(index) = got {
                list.candidates[index as usize].active += 1;
            }
        }
    }
}
