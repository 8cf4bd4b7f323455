//! Weighted round robin: laps over the list, each serving the destinations whose weight reaches the current weight, which
//! sinks by the weights' common divisor from lap to lap.

use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk};
use crate::abi::SchedState;

/// `wrr`.
#[derive(Debug)]
pub struct Wrr;

impl Scheduler for Wrr {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, _request: &Request<'_>, state: &mut SchedState) -> Option<u32> {
        if state.mw <= 0 || state.di <= 0 {
            return None;
        }
        let count = list.count();
        let next = state.next();
        let rest = count.saturating_sub(next);
        let mut cw = state.cw;
        // The rest of the present lap.
        if rest > 0 {
            let lap = list.walk(next, rest, Lap::of(cw));
            if lap.index != NONE {
                state.pos = lap.index as i32;
                return Some(lap.index);
            }
        }
        // A new lap, one divisor lower; below the ground it starts from the top again.
        cw = lower(cw, state.di, state.mw);
        let mut lap = list.walk(0, count, Lap::of(cw));
        if lap.index == NONE {
            // Nobody usable reaches it (the heaviest are overloaded): sink to the first level that somebody reaches. The
            // kernel gets there lap by lap.
            if lap.heaviest <= 0 {
                return None;
            }
            let laps = (cw - lap.heaviest + state.di - 1) as u32 / state.di as u32;
            cw -= laps as i32 * state.di;
            lap = list.walk(0, count, Lap::of(cw));
        }
        if lap.index == NONE {
            return None;
        }
        state.cw = cw;
        state.pos = lap.index as i32;
        Some(lap.index)
    }
}

#[inline(always)]
fn lower(cw: i32, di: i32, mw: i32) -> i32 {
    if cw > di { cw - di } else { mw }
}

const NONE: u32 = u32::MAX;

/// The first usable entry of at least the current weight, and the heaviest usable one seen until then.
#[derive(Clone, Copy)]
struct Lap {
    cw: i32,
    heaviest: i32,
    index: u32,
}

impl Lap {
    #[inline(always)]
    fn of(cw: i32) -> Self {
        Self { cw, heaviest: 0, index: NONE }
    }
}

impl Visitor for Lap {
    #[inline(always)]
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk {
        if !candidate.usable() {
            return Walk::Continue;
        }
        if candidate.weight >= self.cw {
            self.index = index;
            return Walk::Break;
        }
        self.heaviest = self.heaviest.max(candidate.weight);
        Walk::Continue
    }
}

/// What the kernel does whenever a destination is added, edited or deleted: back to the head of the list, divisor and maximum
/// anew, the current weight clipped. (A service that is filled destination by destination therefore begins with a lap that
/// serves everybody once.)
pub(super) fn changed(state: SchedState, weights: impl Iterator<Item = i32> + Clone) -> SchedState {
    let positive = weights.filter(|w| *w > 0);
    let di = positive.clone().reduce(gcd).unwrap_or(1);
    let mw = positive.max().unwrap_or(0) - (di - 1);
    let cw = match state.cw {
        cw if cw > mw || cw == 0 => mw,
        cw if di > 1 => cw / di * di + 1,
        cw => cw,
    };
    SchedState { pos: -1, cw, mw, di }
}

pub(super) fn gcd(mut a: i32, mut b: i32) -> i32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::{Candidate, Kind, pick, testing::List, testing::REQUEST, testing::sequence};
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn as_recorded() {
        assert_eq!(sequence(Kind::Wrr, &[1, 2, 3], true, 12), [3, 2, 1, 3, 3, 2, 3, 2, 1, 3, 3, 2]);
        assert_eq!(sequence(Kind::Wrr, &[5, 1, 1], true, 14), [3, 2, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1]);
        assert_eq!(sequence(Kind::Wrr, &[0, 1, 1], false, 4), [3, 2, 3, 2]);
    }

    /// The kernel's loop, lap by lap.
    fn plain(list: &[Candidate], state: &mut SchedState) -> Option<u32> {
        if state.mw <= 0 || !list.iter().any(|c| c.usable()) {
            return None;
        }
        let mut from = (state.pos + 1) as usize;
        loop {
            for (index, candidate) in list.iter().enumerate().skip(from) {
                if candidate.usable() && candidate.weight >= state.cw {
                    state.pos = index as i32;
                    return Some(index as u32);
                }
            }
            state.cw -= state.di;
            if state.cw <= 0 {
                state.cw = state.mw;
            }
            from = 0;
        }
    }

    proptest! {
        #[test]
        fn equals_the_lap_by_lap_walk(
            weights in prop::collection::vec(0..20i32, 1..8),
            overloaded in prop::collection::vec(any::<bool>(), 8),
        ) {
            let list: Vec<_> = weights.iter().zip(&overloaded)
                .map(|(&weight, &overloaded)| Candidate { weight, overloaded, ..Candidate::default() })
                .collect();
            let mut ours = changed(SchedState::START, weights.iter().copied());
            let mut theirs = ours;
            for _ in 0..50 {
                prop_assert_eq!(pick(Kind::Wrr, &List::of(list.clone()), &REQUEST, &mut ours), plain(&list, &mut theirs));
                if theirs.mw > 0 && list.iter().any(|c| c.usable()) {
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }
}
