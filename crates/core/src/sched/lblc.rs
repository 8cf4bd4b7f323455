//! Locality-based least connection, for caches: all connections to one address go to one server, the one with the least load
//! when the address was first asked for; another takes over when it is gone, quiesced, or overloaded while some server is half
//! idle.

use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk, wlc};
use crate::abi::SchedState;

/// `lblc`.
#[derive(Debug)]
pub struct Lblc;

impl Scheduler for Lblc {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        let known = list.locality(request);
        let mut gone = false;
        if let Some(known) = known {
            known.last_use.set(list.now());
            let index = list.index_of(known.server.get());
            gone = index.is_none();
            // As in the kernel, the thresholds of a server do not count here.
            if let Some(index) = index
                && list.candidate(index).is_some_and(|server| server.weight > 0 && !is_overloaded(list, server))
            {
                return Some(index);
            }
        }
        let index = wlc::least_loaded(list)?;
        let server = list.server(index)?;
        match known {
            None => list.add_locality(request, server),
            // In the midst of a change of the configuration a server may only seem to be gone.
            Some(known) if !gone || list.settled() => known.server.set(server),
            Some(_) => {}
        }
        Some(index)
    }
}

/// Whether a server has more active connections than its weight, while some server has less than half of its.
#[inline(always)]
pub(super) fn is_overloaded<C: Candidates>(list: &C, server: Candidate) -> bool {
    server.active as i64 > server.weight as i64 && list.walk(0, list.count(), HalfIdle(false)).0
}

#[derive(Clone, Copy)]
struct HalfIdle(bool);

impl Visitor for HalfIdle {
    #[inline(always)]
    fn visit(&mut self, _index: u32, candidate: Candidate) -> Walk {
        self.0 = (candidate.active as i64) * 2 < candidate.weight as i64;
        if self.0 { Walk::Break } else { Walk::Continue }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{List, REQUEST, sequence, sequence_by_destination};
    use super::super::{Candidate, Kind, pick};
    use crate::abi::SchedState;
    use std::vec;

    #[test]
    fn as_recorded() {
        let wanted = [3, 3, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
        assert_eq!(sequence(Kind::Lblc, &[1, 2, 3], true, 24), wanted);
        let wanted = [3, 2, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1, 1, 1, 3, 2, 1];
        assert_eq!(sequence_by_destination(Kind::Lblc, &[5, 1, 1]), wanted.map(Some));
    }

    #[test]
    fn a_server_that_only_seems_to_be_gone_is_not_forgotten() {
        let mut list = List::of(vec![Candidate { weight: 1, ..Candidate::default() }; 2]);
        let ask = |list: &List| pick(Kind::Lblc, list, &REQUEST, &mut SchedState::START.clone());
        assert_eq!(ask(&list), Some(0));
        list.candidates[0].inactive = 9;
        assert_eq!(ask(&list), Some(0));
        list.hidden.set(true);
        assert_eq!(ask(&list), Some(1));
        list.hidden.set(false);
        assert_eq!(ask(&list), Some(0));
    }
}
