//! The best entry of a long list without a look at each: the kernel walks the list for every connection; here the best of
//! every block of [`BLOCK_ENTRIES`] entries is remembered, and found anew only when something changed in the block.
//!
//! The answer is that of the walk, ties included, for every visitor whose choice is by a total order with the first met before
//! the second: the best of all is the best among the best of the blocks. A connection changes the counts of one server, a few
//! times in its life; so a new one meets few blocks whose best has to be found anew.
//!
//! Whoever changes a count adds 1 to [`Block::changes`] of its block afterwards. What is remembered is one word: the best
//! entry, the version of the list, and the changes counted *before* its members were looked at. It is good as long as both are
//! still the same; a change in the meantime makes it void at once.

use super::{Candidates, Step, Visitor, Walk};
use crate::abi::{BLOCK_ENTRIES, Block};

/// A visitor that ends with a choice.
pub trait Chooser: Visitor {
    /// Has seen nothing yet.
    const NONE: Self;

    /// The index of the chosen entry.
    fn chosen(&self) -> Option<u32>;
}

/// The choice of a walk along the whole list.
#[inline(always)]
pub fn best<C: Candidates, V: Chooser>(list: &C) -> Option<u32> {
    let count = list.count();
    if list.block(0).is_none() {
        return list.walk(0, count, V::NONE).chosen();
    }
    let contest = Contest::<V>::new(list.first());
    list.repeat(count, &(), contest).overall.chosen()
}

/// In a remembered word: no member can be chosen.
const NOBODY: u32 = 63;
const _: () = assert!(BLOCK_ENTRIES <= NOBODY);

/// How far it is. A step looks at one entry: at the remembered best of a block, or at the next member of a block whose best
/// is not known. So there are at most as many steps as entries.
#[derive(Clone, Copy)]
struct Contest<V> {
    overall: V,
    local: V,
    /// First entry of the block, counted from the beginning of `LISTS`: a number that the verifier does not know, so that it
    /// does not follow it from one block to the next.
    at: u32,
    /// Whether it is looking at the members of the block.
    inside: bool,
    /// Number of the step that looked at the first of them.
    begun: u32,
    changes: u32,
}

impl<V: Chooser> Step for Contest<V> {
    type Over = ();

    #[inline(always)]
    fn step<C: Candidates>(&mut self, list: &C, (): &(), number: u32) -> Walk {
        let first = self.at.wrapping_sub(list.first());
        if first >= list.count() {
            return Walk::Break;
        }
        let Some(block) = list.block(first) else { return Walk::Break };
        let known = if self.inside { None } else { recall(block, list.version()) };
        let best = match known {
            Some(best) => best,
            None => {
                if !self.inside {
                    self.begin(list, block, number);
                }
                if self.look(list, first, number.wrapping_sub(self.begun)) == Walk::Continue {
                    return Walk::Continue;
                }
                // Subtracted in both cases: the compiler would otherwise subtract from nothing before it looks which it is.
                let chosen = self.local.chosen().unwrap_or(first.wrapping_add(NOBODY));
                let best = chosen.wrapping_sub(first);
                block.best.set(word(best, list.version(), self.changes));
                // As before the block: the fewer states there are between two steps, the fewer the verifier follows.
                *self = Self { overall: self.overall, ..Self::new(self.at) };
                best
            }
        };
        self.at = self.at.wrapping_add(BLOCK_ENTRIES);
        if best == NOBODY {
            return Walk::Continue;
        }
        let index = first.wrapping_add(best);
        match list.candidate(index) {
            Some(candidate) => self.overall.visit(index, candidate),
            None => Walk::Continue,
        }
    }
}

impl<V: Chooser> Contest<V> {
    /// Before the block that begins at `at`.
    #[inline(always)]
    fn new(at: u32) -> Self {
        Self { overall: V::NONE, local: V::NONE, at, inside: false, begun: 0, changes: 0 }
    }

    #[inline(always)]
    fn begin<C: Candidates>(&mut self, list: &C, block: &Block, number: u32) {
        if block.used.get() == 0 {
            block.used.set(1);
            // Also a barrier: whoever counted without telling did so before the members are looked at.
            list.add(&block.changes);
        }
        self.changes = block.changes.get();
        self.inside = true;
        self.begun = number;
    }

    /// Looks at a member of the block that begins at `first`. Breaks when the block's best is known.
    #[inline(always)]
    fn look<C: Candidates>(&mut self, list: &C, first: u32, member: u32) -> Walk {
        let index = first.wrapping_add(member);
        let walk = match list.candidate(index) {
            Some(candidate) => self.local.visit(index, candidate),
            None => Walk::Continue,
        };
        let at_end = member.wrapping_add(1) >= BLOCK_ENTRIES || index.wrapping_add(1) >= list.count();
        if at_end { Walk::Break } else { walk }
    }
}

/// Changes in the upper half, then 26 bits of the version, then the best member's number in the block.
#[inline(always)]
fn word(best: u32, version: u32, changes: u32) -> u64 {
    (changes as u64) << 32 | (version << 6) as u64 | best as u64
}

/// The number in its block of the best member, or [`NOBODY`]; `None` when it is not known.
#[inline(always)]
fn recall(block: &Block, version: u32) -> Option<u32> {
    let best = block.best.get();
    let good = block.used.get() != 0 && best & !63 == word(0, version, block.changes.get());
    good.then_some(best as u32 & 63)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{List, REQUEST};
    use super::super::{Candidate, Kind, pick};
    use crate::abi::SchedState;
    use proptest::prelude::*;
    use std::vec::Vec;

    const KINDS: [Kind; 6] = [Kind::Lc, Kind::Wlc, Kind::Sed, Kind::Nq, Kind::Fo, Kind::Ovf];

    fn candidate() -> impl Strategy<Value = Candidate> {
        (0..4i32, prop::bool::weighted(0.1), 0..4u32, 0..3u32)
            .prop_map(|(weight, overloaded, active, inactive)| Candidate { weight, overloaded, active, inactive })
    }

    proptest! {
        #[test]
        fn chooses_as_the_walk_does_whatever_changes(
            kind in prop::sample::select(&KINDS[..]),
            candidates in prop::collection::vec(candidate(), 33..150),
            changes in prop::collection::vec((any::<prop::sample::Index>(), candidate()), 0..60),
        ) {
            let plain = List::of(candidates.clone());
            let mut ours = List::of(candidates).with_blocks();
            let mut plain = plain;
            for (at, change) in changes {
                let mut state = SchedState::START;
                let walked = pick(kind, &plain, &REQUEST, &mut state);
                let seen = ours.steps.replace(0);
                prop_assert!(seen <= ours.candidates.len() as u32);
                prop_assert_eq!(pick(kind, &ours, &REQUEST, &mut state), walked);
                let at = at.index(ours.candidates.len());
                // The weight is configuration: it changes with the list's version, not under it.
                let change = Candidate { weight: ours.candidates[at].weight, ..change };
                ours.change(at, change);
                plain.change(at, change);
            }
        }
    }

    #[test]
    fn a_new_connection_looks_at_few_entries() {
        let all: Vec<_> = (0..1000).map(|n| Candidate { weight: 1 + n % 7, ..Candidate::default() }).collect();
        let mut list = List::of(all).with_blocks();
        pick(Kind::Wlc, &list, &REQUEST, &mut SchedState::START.clone());
        for _ in 0..3000 {
            list.steps.set(0);
            let index = pick(Kind::Wlc, &list, &REQUEST, &mut SchedState::START.clone()).unwrap() as usize;
            assert!(list.steps.get() <= 32 + 31 + 1, "{} steps", list.steps.get());
            let now = list.candidates[index];
            list.change(index, Candidate { active: now.active + 1, ..now });
        }
    }

    #[test]
    fn another_version_of_the_list_knows_nothing_of_the_one_before() {
        let mut list =
            List::of((0..64).map(|_| Candidate { weight: 1, ..Candidate::default() }).collect()).with_blocks();
        assert_eq!(pick(Kind::Wlc, &list, &REQUEST, &mut SchedState::START.clone()), Some(0));
        list.candidates[0].weight = 0;
        list.version += 1;
        assert_eq!(pick(Kind::Wlc, &list, &REQUEST, &mut SchedState::START.clone()), Some(1));
    }
}
