//! Locality-based least connection, for caches: all connections to one address go to one server, the one with the least load
//! when the address was first asked for; another takes over when it is gone, quiesced, or overloaded while some server is half
//! idle.

use super::{Candidate, Candidates, Request, Scheduler, Visitor, Walk, wlc};
use crate::abi::SchedState;

/// `lblc`.
#[derive(Debug)]
pub struct Lblc;

/// A scheduler that remembers addresses. Its two halves are apart because the eBPF programs run them apart, with the search for
/// the least loaded server in between.
pub trait Local {
    /// The server that takes a new connection to the request's address by what is remembered of it.
    fn known<C: Candidates>(list: &C, request: &Request<'_>) -> Option<u32>;

    /// Remembers that the server at `index` took one.
    fn learn<C: Candidates>(list: &C, request: &Request<'_>, index: u32);
}

/// The choice of such a scheduler.
#[inline(always)]
pub(super) fn pick<L: Local, C: Candidates>(list: &C, request: &Request<'_>) -> Option<u32> {
    if let Some(index) = L::known(list, request) {
        return Some(index);
    }
    let index = wlc::least_loaded(list)?;
    L::learn(list, request, index);
    Some(index)
}

impl Scheduler for Lblc {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        pick::<Self, C>(list, request)
    }
}

impl Local for Lblc {
    #[inline(always)]
    fn known<C: Candidates>(list: &C, request: &Request<'_>) -> Option<u32> {
        let known = list.locality(request)?;
        known.last_use.set(list.now());
        let index = list.index_of(known.server.get())?;
        let server = list.candidate(index)?;
        // As in the kernel, the thresholds of a server do not count here.
        (server.weight > 0 && !is_overloaded(list, server)).then_some(index)
    }

    #[inline(always)]
    fn learn<C: Candidates>(list: &C, request: &Request<'_>, index: u32) {
        let Some(server) = list.server(index) else { return };
        match list.locality(request) {
            None => list.add_locality(request, server),
            // In the midst of a change of the configuration a server may only seem to be gone.
            Some(known) if list.settled() || list.index_of(known.server.get()).is_some() => known.server.set(server),
            Some(_) => {}
        }
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
