//! Destination hashing: the destination address decides. Weights do not count, but a server that takes no connections is not
//! replaced by another.
//!
//! The kernel keeps a table of 256 places that are dealt to the list in turn; the place's number modulo the list's length is
//! the same.

use super::{Candidates, Request, Scheduler, hash};
use crate::abi::SchedState;
use rvs_wire::Be16;

/// Bits of a place's number.
const BITS: u32 = 8;

/// `dh`.
#[derive(Debug)]
pub struct Dh;

impl Scheduler for Dh {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        let place = hash::multiplicative(hash::endpoint(request.key.dst, Be16::ZERO), BITS);
        let index = place.checked_rem(list.count())?;
        list.candidate(index)?.usable().then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence_by_destination};

    #[test]
    fn as_recorded() {
        let wanted = [3, 1, 1, 2, 1, 2, 3, 3, 1, 2, 1, 3, 2, 3, 1, 3, 2, 3, 2, 3, 2, 1, 2, 1];
        assert_eq!(sequence_by_destination(Kind::Dh, &[1, 2, 3]), wanted.map(Some));
        let quiesced = wanted.map(|n| (n != 1).then_some(n));
        assert_eq!(sequence_by_destination(Kind::Dh, &[0, 1, 1]), quiesced);
    }
}
