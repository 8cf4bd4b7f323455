//! Locality-based least connection with replication, for caches: like lblc, but an address whose server is overloaded gets
//! another one in addition; of several the least loaded for its weight takes a connection. A set that was not changed for the
//! expiration time loses its most loaded server.

use super::lblc::{self, Local, is_overloaded};
use super::wlc::Lightest;
use super::{Candidates, Request, Scheduler, Step, Walk};
use crate::abi::{MAX_REPLICAS, Remembered, Replicas, SchedState};

/// `lblcr`.
#[derive(Debug)]
pub struct Lblcr;

impl Scheduler for Lblcr {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        lblc::pick::<Self, C>(list, request)
    }
}

impl Local for Lblcr {
    #[inline(always)]
    fn known<C: Candidates>(list: &C, request: &Request<'_>) -> Option<u32> {
        let set = list.replicas(request)?;
        set.last_use.set(list.now());
        let looked = list.repeat(set.len.get() as u32, set, Look { least: Lightest::NONE, most: Heaviest::NONE });
        let stable = list.now() > set.last_change.get().saturating_add(list.replica_hold());
        if set.len.get() > 1 && stable && looked.most.weight > 0 {
            forget(list, set, looked.most.place);
        }
        let index = looked.least.index()?;
        let server = list.candidate(index)?;
        (!is_overloaded(list, server)).then_some(index)
    }

    #[inline(always)]
    fn learn<C: Candidates>(list: &C, request: &Request<'_>, index: u32) {
        let Some(server) = list.server(index) else { return };
        match list.replicas(request) {
            None => list.add_replicas(request, server),
            // In the midst of a change of the configuration servers may only seem to be gone.
            Some(set) if list.settled() => add(list, set, server),
            Some(_) => {}
        }
    }
}

/// A server of the set; in arrays by a mask, not by a bounds check, for the verifier's sake.
#[inline(always)]
fn server(set: &Replicas, place: u32) -> Remembered {
    const { assert!(MAX_REPLICAS.is_power_of_two()) };
    set.servers[place as usize & (MAX_REPLICAS - 1)].get()
}

/// Looks at a set, newest server first: who has the least load and who the most.
#[derive(Clone, Copy)]
struct Look {
    least: Lightest,
    most: Heaviest,
}

/// The most loaded server of a set for its weight.
#[derive(Clone, Copy)]
struct Heaviest {
    place: u32,
    weight: i32,
    load: i64,
}

impl Heaviest {
    const NONE: Self = Self { place: 0, weight: 0, load: 0 };
}

impl Step for Look {
    type Over = Replicas;

    #[inline(always)]
    fn step<C: Candidates>(&mut self, list: &C, set: &Replicas, number: u32) -> Walk {
        let place = (set.len.get() as u32).wrapping_sub(1).wrapping_sub(number);
        let Some(index) = list.index_of(server(set, place)) else { return Walk::Continue };
        let Some(candidate) = list.candidate(index) else { return Walk::Continue };
        let (weight, load) = (candidate.weight, candidate.overhead());
        if candidate.usable() {
            self.least.consider(index, weight, load);
        }
        let more = self.most.load.wrapping_mul(weight as i64) < load.wrapping_mul(self.most.weight as i64);
        if weight > 0 && (self.most.weight == 0 || more) {
            self.most = Heaviest { place, weight, load };
        }
        Walk::Continue
    }
}

/// Adds a server to a set, unless it is there or the set is full.
#[inline(always)]
fn add<C: Candidates>(list: &C, set: &Replicas, server: Remembered) {
    let len = set.len.get();
    if list.repeat(len as u32, set, Find { server, found: false }).found || len as usize >= MAX_REPLICAS {
        return;
    }
    let now = list.now();
    list.lock(set);
    // Not when somebody else changed it in the meantime, who may have added the same.
    if set.len.get() == len && set.busy.get() == 0 {
        set.servers[len as usize & (MAX_REPLICAS - 1)].set(server);
        set.len.set(len + 1);
        set.last_change.set(now);
    }
    list.unlock(set);
}

#[derive(Clone, Copy)]
struct Find {
    server: Remembered,
    found: bool,
}

impl Step for Find {
    type Over = Replicas;

    #[inline(always)]
    fn step<C: Candidates>(&mut self, _list: &C, set: &Replicas, number: u32) -> Walk {
        self.found = server(set, number) == self.server;
        if self.found { Walk::Break } else { Walk::Continue }
    }
}

/// Takes the server at a place out of a set.
#[inline(always)]
fn forget<C: Candidates>(list: &C, set: &Replicas, place: u32) {
    list.lock(set);
    let ours = set.busy.get() == 0 && set.len.get() as u32 > place;
    if ours {
        set.busy.set(1);
    }
    let len = set.len.get() as u32;
    list.unlock(set);
    if !ours {
        return;
    }
    // Not under the lock, which allows no loops; meanwhile others may meet a server twice, which changes nothing.
    list.repeat(len.wrapping_sub(1).wrapping_sub(place), set, Close { place });
    let now = list.now();
    list.lock(set);
    set.len.set(len.wrapping_sub(1) as u16);
    set.last_change.set(now);
    set.busy.set(0);
    list.unlock(set);
}

/// Closes the gap at a place.
#[derive(Clone, Copy)]
struct Close {
    place: u32,
}

impl Step for Close {
    type Over = Replicas;

    #[inline(always)]
    fn step<C: Candidates>(&mut self, _list: &C, set: &Replicas, number: u32) -> Walk {
        let place = self.place.wrapping_add(number);
        set.servers[place as usize & (MAX_REPLICAS - 1)].set(server(set, place.wrapping_add(1)));
        Walk::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{List, REQUEST, sequence, sequence_by_destination};
    use super::super::{Candidate, Kind, pick};
    use crate::abi::SchedState;
    use std::vec;
    use std::vec::Vec;

    fn ask(list: &List) -> Option<u32> {
        pick(Kind::Lblcr, list, &REQUEST, &mut SchedState::START.clone())
    }

    fn set(list: &List) -> Vec<u64> {
        let set = &list.replicas[0];
        set.servers[..set.len.get() as usize].iter().map(|server| server.get() & 0xff).collect()
    }

    #[test]
    fn as_recorded() {
        let wanted = [3, 2, 1, 3, 2, 3, 3, 2, 1, 3, 2, 3, 3, 2, 1, 3, 2, 3, 3, 2, 1, 3, 2, 3];
        assert_eq!(sequence_by_destination(Kind::Lblcr, &[1, 2, 3]), wanted.map(Some));
        assert_eq!(sequence(Kind::Lblcr, &[1, 2, 3], false, 24), [3; 24]);
    }

    #[test]
    fn a_set_grows_under_load_and_shrinks_when_it_was_stable() {
        let mut list = List::of(vec![Candidate { weight: 2, ..Candidate::default() }; 3]);
        assert_eq!(ask(&list), Some(0));
        list.candidates[0].active = 3;
        assert_eq!(ask(&list), Some(1));
        assert_eq!(set(&list), [0, 1]);
        list.candidates[1].active = 3;
        assert_eq!(ask(&list), Some(2));
        assert_eq!(set(&list), [0, 1, 2]);
        list.candidates[1].active = 9;
        list.now.set(list.hold);
        assert_eq!(ask(&list), Some(2));
        assert_eq!(set(&list), [0, 1, 2], "not before the time is over");
        list.now.set(list.hold + 1);
        assert_eq!(ask(&list), Some(2));
        assert_eq!(set(&list), [0, 2], "the most loaded is dropped, the order stays");
        assert_eq!(ask(&list), Some(2));
        assert_eq!(set(&list), [0, 2], "and the time begins anew");
    }

    #[test]
    fn a_full_set_is_no_obstacle() {
        let mut list = List::of(vec![Candidate { weight: 1, ..Candidate::default() }; 70]);
        for wanted in 0..70 {
            assert_eq!(ask(&list), Some(wanted));
            list.candidates[wanted as usize].active = 2;
        }
        assert_eq!(set(&list).len(), 64);
    }
}
