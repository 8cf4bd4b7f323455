//! Power of two choices: two servers are drawn at random, each with the chance that its weight gives it; the less loaded of
//! them for its weight is taken.

use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `twos`.
#[derive(Debug)]
pub struct Twos;

impl Scheduler for Twos {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        let Total { any, sum } = list.walk(0, list.count(), Total { any: false, sum: 0 });
        if !any {
            return None;
        }
        // Both draws are from 0 to the total, both ends included.
        let draws = Draws { left: [below(list, sum + 1), below(list, sum + 1)], drawn: [Drawn::NOBODY; 2] };
        let [first, second] = list.walk(0, list.count(), draws).drawn;
        let lighter = second.is_someone() && second.weight * first.overhead > first.weight * second.overhead;
        let chosen = if lighter { second } else { first };
        chosen.is_someone().then_some(chosen.index)
    }
}

/// A random number from 0 to `bound - 1`.
#[inline(always)]
fn below<C: Candidates>(list: &C, bound: u64) -> i64 {
    // Weights are 31 bits and lists 20: the bound may exceed 32 bits, and the product of both must not exceed 64.
    let random = list.random() as u64;
    (((bound >> 20) * random) >> 12) as i64 + (((bound & 0xf_ffff) * random) >> 32) as i64
}

#[derive(Clone, Copy)]
struct Total {
    /// Whether anybody was met: for a test of the sum the verifier would follow it through all additions.
    any: bool,
    sum: u64,
}

impl Visitor for Total {
    #[inline(always)]
    fn visit(&mut self, _index: u32, candidate: Candidate) -> Walk {
        if candidate.usable() {
            self.any = true;
            self.sum += candidate.weight as u64;
        }
        Walk::Continue
    }
}

#[derive(Clone, Copy)]
struct Drawn {
    index: u32,
    weight: i64,
    overhead: i64,
}

impl Drawn {
    const NOBODY: Self = Self { index: 0, weight: 0, overhead: 0 };

    #[inline(always)]
    fn is_someone(self) -> bool {
        self.weight != 0
    }
}

/// What is left of the two random numbers on the way along the list, and whom they fell on.
#[derive(Clone, Copy)]
struct Draws {
    left: [i64; 2],
    drawn: [Drawn; 2],
}

impl Visitor for Draws {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if !candidate.usable() {
            return Walk::Continue;
        }
        let here = Drawn { index, weight: candidate.weight as i64, overhead: candidate.overhead() };
        fall(&mut self.left[0], &mut self.drawn[0], here);
        fall(&mut self.left[1], &mut self.drawn[1], here);
        if self.drawn[0].is_someone() && self.drawn[1].is_someone() { Walk::Break } else { Walk::Continue }
    }
}

/// Goes on with one of the numbers, unless it has fallen on a server already.
#[inline(always)]
fn fall(left: &mut i64, drawn: &mut Drawn, here: Drawn) {
    if !drawn.is_someone() {
        *left -= here.weight;
        if *left <= 0 {
            *drawn = here;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, pick, testing, testing::List};
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn list(loads: &[(i32, u32)]) -> List {
        let candidate =
            |(weight, active): &(i32, u32)| Candidate { weight: *weight, active: *active, ..Candidate::default() };
        List::of(loads.iter().map(candidate).collect())
    }

    fn draw(list: &List, first: u32, second: u32) -> Option<u32> {
        list.random.replace(vec![second, first]);
        pick(Kind::Twos, list, &testing::REQUEST, &mut SchedState::START.clone())
    }

    /// The word that makes a draw below `bound` give `wanted`.
    fn word(wanted: u64, bound: u64) -> u32 {
        ((wanted << 32).div_ceil(bound)) as u32
    }

    #[test]
    fn zero_and_every_number_up_to_its_sum_fall_on_a_server() {
        // Weights 2, 3, 1: of 0 to 6, three numbers fall on the first, three on the second, one on the third.
        let list = list(&[(2, 0), (3, 0), (1, 0)]);
        let owners: Vec<_> = (0..=6).map(|n| draw(&list, word(n, 7), word(n, 7)).unwrap()).collect();
        assert_eq!(owners, [0, 0, 0, 1, 1, 1, 2]);
    }

    #[test]
    fn the_less_loaded_for_its_weight_is_taken_and_the_first_draw_on_a_tie() {
        let list = list(&[(1, 3), (2, 5), (1, 3)]);
        let [a, b, c] = [1, 3, 4].map(|n| word(n, 5));
        assert_eq!(draw(&list, a, b), Some(1));
        assert_eq!(draw(&list, b, a), Some(1));
        assert_eq!(draw(&list, a, c), Some(0));
        assert_eq!(draw(&list, c, a), Some(2));
    }

    #[test]
    fn servers_that_take_no_connections_are_not_drawn() {
        let mut list = list(&[(0, 0), (5, 0), (1, 0)]);
        list.candidates[1].overloaded = true;
        for random in [0, 1 << 31, u32::MAX] {
            assert_eq!(draw(&list, random, random), Some(2));
        }
        list.candidates[2].weight = 0;
        assert_eq!(draw(&list, 0, 0), None);
    }

    #[test]
    fn draws_are_spread_evenly_below_large_bounds_too() {
        let list = list(&[]);
        for bound in [1u64, 7, 1 << 20, (1 << 20) + 1, 1 << 40] {
            list.random.replace(vec![u32::MAX, 0]);
            assert_eq!(below(&list, bound), 0);
            let top = below(&list, bound) as u64;
            assert!(top < bound && top >= bound - bound.div_ceil(1 << 20), "{top} of {bound}");
        }
    }
}
