//! Weighted overflow: the heaviest destination until it has more active connections than its weight, then the next; nobody
//! when all have.

use super::fo::Heaviest;
use super::{Candidate, Candidates, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `ovf`.
#[derive(Debug)]
pub struct Ovf;

impl Scheduler for Ovf {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _state: &mut SchedState) -> Option<u32> {
        let heaviest = list.walk(0, list.count(), HeaviestWithRoom(Heaviest::NONE)).0;
        (heaviest.weight > 0).then_some(heaviest.index)
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

#[cfg(test)]
mod tests {
    use super::super::{Kind, pick, testing::List};
    use super::*;
    use std::vec;

    #[test]
    fn each_takes_one_more_than_its_weight() {
        let mut list = List(vec![Candidate { weight: 1, ..Candidate::default() }; 2]);
        let mut state = SchedState::START;
        for wanted in [Some(0), Some(0), Some(1), Some(1), None] {
            let got = pick(Kind::Ovf, &list, &mut state);
            assert_eq!(got, wanted);
            if let Some(index) = got {
                list.0[index as usize].active += 1;
            }
        }
    }
}
