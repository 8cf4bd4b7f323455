//! Source hashing: the client's address, and on demand its port, decides. Each server has as many of the 256 places as its
//! weight says, in the order of the list, over and over; one of weight 0 keeps one place.
//!
//! `sh-port` adds the client's port, `sh-fallback` looks further when the server takes no connections.

use super::{Candidates, Request, Scheduler, Step, Walk, hash};
use crate::abi::{NO_PLACE, SchedState, flags};
use rvs_wire::Be16;

/// Bits of a place's number.
const BITS: u32 = 8;
/// Places.
pub(super) const PLACES: u32 = 1 << BITS;

/// `sh`.
#[derive(Debug)]
pub struct Sh;

impl Scheduler for Sh {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        let port = if request.flags & flags::SCHED_2 != 0 { request.key.sport } else { Be16::ZERO };
        let first = hash::multiplicative(hash::endpoint(request.key.src, port), BITS);
        let index = list.place(first)?;
        if list.candidate(index)?.usable() {
            return Some(index);
        }
        if request.flags & flags::SCHED_1 == 0 {
            return None;
        }
        list.repeat(PLACES, &(), Fallback { first, found: None }).found
    }
}

/// Tries all places, from twice the first on (the kernel adds it again to each number that it tries).
#[derive(Clone, Copy)]
struct Fallback {
    first: u32,
    found: Option<u32>,
}

impl Step for Fallback {
    type Over = ();

    #[inline(always)]
    fn step<C: Candidates>(&mut self, list: &C, (): &(), number: u32) -> Walk {
        let place = number.wrapping_add(self.first).wrapping_add(self.first) % PLACES;
        let Some(index) = list.place(place) else { return Walk::Break };
        if !list.candidate(index).is_some_and(|candidate| candidate.usable()) {
            return Walk::Continue;
        }
        self.found = Some(index);
        Walk::Break
    }
}

/// Deals the places to servers with these weights.
pub(super) fn deal(weights: impl Iterator<Item = i32> + Clone, table: &mut [u16]) {
    let mut entries = (0u16..).zip(weights).cycle();
    let Some((mut index, mut weight)) = entries.next() else { return table.fill(NO_PLACE) };
    let mut dealt = 0;
    for place in table {
        *place = index;
        dealt += 1;
        if dealt >= weight
            && let Some(next) = entries.next()
        {
            (index, weight) = next;
            dealt = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence_by_client};
    use crate::abi::flags;

    #[test]
    fn as_recorded() {
        let wanted = [2, 3, 3, 1, 3, 1, 3, 2, 3, 3, 2, 3, 2, 3, 2, 1, 2, 2, 3, 2, 3, 2, 1, 3];
        assert_eq!(sequence_by_client(Kind::Sh, 0, &[1, 2, 3]), wanted.map(Some));
    }

    #[test]
    fn with_the_port() {
        let wanted = [3, 3, 1, 1, 2, 2, 2, 3, 3, 3, 3, 2, 2, 3, 3, 3, 1, 1, 2, 3, 3, 3, 3, 3];
        assert_eq!(sequence_by_client(Kind::Sh, flags::SCHED_2, &[1, 2, 3]), wanted.map(Some));
    }

    #[test]
    fn with_fallback() {
        let wanted = [2, 3, 3, 2, 2, 2, 2, 3, 3, 3, 2, 2, 2, 2, 3, 3, 3, 2, 2, 2, 3, 2, 3, 2];
        assert_eq!(sequence_by_client(Kind::Sh, flags::SCHED_1, &[0, 1, 1]), wanted.map(Some));
    }
}
