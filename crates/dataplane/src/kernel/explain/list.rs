//! A service's list of destinations as its scheduler sees it, on a copy of the tables.

use super::copy::Copy;
use rvs_core::abi::{
    Block, CacheKey, ListEntry, Locality, NO_PLACE, ROW_PLACES, Remembered, Replicas, ServiceId, ServiceSlot,
};
use rvs_core::sched::{self, Candidate, Candidates, Request};
use rvs_core::tables::Tables;
use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The list.
pub(super) struct List<'a> {
    pub(super) copy: &'a Copy<'a>,
    pub(super) service: ServiceId,
    pub(super) slot: &'a ServiceSlot,
}

impl List<'_> {
    /// An entry.
    pub(super) fn entry(&self, index: u32) -> Option<&ListEntry> {
        self.copy.list_entry(self.slot.first.checked_add(index)?)
    }

    fn cache_key(&self, request: &Request<'_>) -> CacheKey {
        CacheKey { service: self.service, attached: self.slot.attached, addr: request.key.dst.words() }
    }
}

impl Candidates for List<'_> {
    fn count(&self) -> u32 {
        self.slot.count
    }

    fn candidate(&self, index: u32) -> Option<Candidate> {
        let entry = self.entry(index)?;
        Some(Candidate::of(entry.weight, self.copy.dest(entry.dest)?))
    }

    fn place(&self, place: u32) -> Option<u32> {
        let row = self.copy.row(self.slot.table.wrapping_add(place / ROW_PLACES as u32))?;
        let index = row.places[place as usize % ROW_PLACES];
        (index != NO_PLACE).then_some(index.into())
    }

    fn random(&self) -> u32 {
        // The standard library's hasher has random keys.
        RandomState::new().build_hasher().finish() as u32
    }

    fn first(&self) -> u32 {
        self.slot.first
    }

    fn block(&self, _index: u32) -> Option<&Block> {
        // They only spare schedulers looking at every server.
        None
    }

    fn version(&self) -> u32 {
        self.slot.sched_version
    }

    fn add(&self, counter: &Cell<u32>) {
        counter.set(counter.get().wrapping_add(1));
    }

    fn now(&self) -> u64 {
        self.copy.now()
    }

    fn server(&self, index: u32) -> Option<Remembered> {
        let id = self.entry(index)?.dest;
        Some(sched::remembered(id, self.copy.dest(id)?))
    }

    fn index_of(&self, server: Remembered) -> Option<u32> {
        sched::index_in(self.copy.dest(server as u32)?, server, self.slot.first, self.slot.count)
    }

    fn settled(&self) -> bool {
        self.copy.control().is_some_and(|control| control.prepared == control.generation.get())
    }

    fn locality(&self, request: &Request<'_>) -> Option<&Locality> {
        self.copy.locality(&self.cache_key(request), || None)
    }

    fn add_locality(&self, request: &Request<'_>, server: Remembered) {
        let new = || Some(Locality { last_use: Cell::new(self.now()), server: Cell::new(server) });
        self.copy.locality(&self.cache_key(request), new);
    }

    fn replicas(&self, request: &Request<'_>) -> Option<&Replicas> {
        self.copy.replicas(&self.cache_key(request), || None)
    }

    fn add_replicas(&self, request: &Request<'_>, server: Remembered) {
        self.copy.replicas(&self.cache_key(request), || {
            let new = Replicas::default();
            new.begin(self.now(), server);
            Some(new)
        });
    }

    fn replica_hold(&self) -> u64 {
        let hold = |expiration: i32| u64::from(expiration.max(0) as u32) * 1_000_000_000;
        self.copy.control().map_or(0, |control| hold(control.settings().lblcr_expiration))
    }

    fn lock(&self, _replicas: &Replicas) {}

    fn unlock(&self, _replicas: &Replicas) {}
}
