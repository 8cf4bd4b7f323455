//! Schedulers in the kernel: the list of destinations, the tables and the memory that they choose from, backed by the maps.

use crate::kernel::{add, dest, lock, now, repeat, slot, unlock};
use crate::maps::{BLOCKS, CONTROL, LBLC, LBLCR, LISTS, NEW_REPLICAS, SCHED, SCRATCH, SCRATCHES, TABLES};
use crate::stage;
use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated as helpers;
use core::cell::Cell;
use rvs_core::abi::{
    BLOCK_ENTRIES, Block, CacheKey, Control, FlowKey, ListEntry, Locality, NO_PLACE, ROW_PLACES, Remembered, Replicas,
    SchedCell, SchedState, ServiceId,
};
use rvs_core::sched::lblc::Local;
use rvs_core::sched::{self, Candidate, Candidates, Request, Scheduler, Step, Walk};
use rvs_core::tables::sched_state;

/// One decision of a scheduler that has a state: an index, [`stage::NONE`], or [`stage::AGAIN`] when another CPU decided for the same service
/// meanwhile.
#[inline(always)]
pub(crate) fn schedule(id: ServiceId, which: u32, key: &FlowKey) -> i64 {
    let Some(slot) = slot(id, which as usize) else { return stage::NONE };
    let Some(cell) = cell(id) else { return stage::NONE };
    lock(&cell.lock);
    let version = cell.version.get();
    let kept = cell.state.get();
    unlock(&cell.lock);

    let start = sched_state(version, kept, slot);
    let mut state = start;
    let index = stage::pick_with_state(slot.sched, key, id, which, &mut state);
    if index < 0 || (state == start && version == slot.sched_version) {
        return index;
    }
    let mut done = false;
    lock(&cell.lock);
    if cell.version.get() == version && cell.state.get() == kept {
        cell.version.set(slot.sched_version);
        cell.state.set(state);
        done = true;
    }
    unlock(&cell.lock);
    if done { index } else { stage::AGAIN }
}

/// The choice of one scheduler, by its index; [`stage::NONE`] without one.
#[inline(always)]
pub(crate) fn pick<S: Scheduler>(id: ServiceId, which: u32, key: &FlowKey, state: &mut SchedState) -> i64 {
    let Some((list, flags)) = list(id, which) else { return stage::NONE };
    S::pick(&list, &Request { key, flags }, state).map_or(stage::NONE, i64::from)
}

/// What a scheduler knows of the address that is asked for.
#[inline(always)]
pub(crate) fn known<L: Local>(id: ServiceId, which: u32, key: &FlowKey) -> i64 {
    let Some((list, flags)) = list(id, which) else { return stage::NONE };
    L::known(&list, &Request { key, flags }).map_or(stage::NONE, i64::from)
}

/// Lets a scheduler remember who took a connection.
#[inline(always)]
pub(crate) fn learn<L: Local>(id: ServiceId, which: u32, key: &FlowKey, index: u32) {
    if let Some((list, flags)) = list(id, which) {
        L::learn(&list, &Request { key, flags }, index);
    }
}

/// The list of a service, and its flags.
#[inline(always)]
fn list(id: ServiceId, which: u32) -> Option<(List, u16)> {
    let slot = slot(id, which as usize)?;
    let list = List {
        service: id,
        first: slot.first,
        count: slot.count,
        table: slot.table,
        version: slot.sched_version,
        attached: slot.attached,
    };
    Some((list, slot.flags))
}

/// What is kept of a service's scheduler.
#[inline(always)]
pub(crate) fn cell(id: ServiceId) -> Option<&'static SchedCell> {
    // SAFETY: values of arrays live as long as the program.
    SCHED.get_ptr(id).map(|p| unsafe { &*p })
}

/// A service's list of destinations.
#[derive(Clone, Copy)]
struct List {
    service: ServiceId,
    first: u32,
    count: u32,
    table: u32,
    version: u32,
    attached: u32,
}

/// What a step of the kernel's loop helper works on.
struct Frame<'a, S: Step> {
    list: &'a List,
    over: &'a S::Over,
    state: *mut S,
}

impl List {
    #[inline(always)]
    fn entry(&self, index: u32) -> Option<&'static ListEntry> {
        // SAFETY: values of arrays live as long as the program.
        LISTS.get_ptr(self.first.wrapping_add(index)).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn cache_key(&self, request: &Request<'_>) -> CacheKey {
        CacheKey { service: self.service, attached: self.attached, addr: request.key.dst.words() }
    }

    /// Counts an address that was remembered.
    #[inline(always)]
    fn count_remembered(&self) {
        if let Some(cell) = cell(self.service) {
            add(&cell.remembered, 1);
        }
    }
}

impl Candidates for List {
    #[inline(always)]
    fn count(&self) -> u32 {
        self.count
    }

    #[inline(always)]
    fn candidate(&self, index: u32) -> Option<Candidate> {
        let entry = self.entry(index)?;
        Some(Candidate::of(entry.weight, dest(entry.dest)?))
    }

    #[inline(always)]
    fn repeat<S: Step>(&self, steps: u32, over: &S::Over, state: S) -> S {
        const { assert!(size_of::<S>() <= SCRATCH && align_of::<S>() <= 8) };
        // In a map and not on the stack: a verifier before Linux 6.8 follows a loop's body once, from what it knows to lie on
        // the stack at the beginning, and takes out of the program what only later rounds come to.
        let Some(place) = SCRATCHES.get_ptr_mut(0) else { return state };
        let place = place.cast::<S>();
        // SAFETY: a per-CPU value, long enough, that only this program run touches now.
        unsafe { place.write(state) };
        let mut frame = Frame { list: self, over, state: place };
        repeat(steps, step::<S>, &mut frame);
        // SAFETY: as above.
        unsafe { place.read() }
    }

    #[inline(always)]
    fn place(&self, place: u32) -> Option<u32> {
        let row = TABLES.get_ptr(self.table.wrapping_add(place / ROW_PLACES as u32))?;
        // SAFETY: values of arrays live as long as the program.
        let index = unsafe { (*row).places[place as usize % ROW_PLACES] };
        (index != NO_PLACE).then_some(index as u32)
    }

    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: no arguments.
        unsafe { helpers::bpf_get_prandom_u32() }
    }

    #[inline(always)]
    fn first(&self) -> u32 {
        self.first
    }

    #[inline(always)]
    fn block(&self, index: u32) -> Option<&Block> {
        if self.count <= BLOCK_ENTRIES || !self.settled() {
            return None;
        }
        // SAFETY: values of arrays live as long as the program.
        BLOCKS.get_ptr(self.first.wrapping_add(index) / BLOCK_ENTRIES).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn version(&self) -> u32 {
        self.version
    }

    #[inline(always)]
    fn add(&self, counter: &Cell<u32>) {
        add(counter, 1);
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        now()
    }

    #[inline(always)]
    fn server(&self, index: u32) -> Option<Remembered> {
        let id = self.entry(index)?.dest;
        Some(sched::remembered(id, dest(id)?))
    }

    #[inline(always)]
    fn index_of(&self, server: Remembered) -> Option<u32> {
        sched::index_in(dest(server as u32)?, server, self.first, self.count)
    }

    #[inline(always)]
    fn settled(&self) -> bool {
        control().is_some_and(|control| control.prepared == control.generation.get())
    }

    #[inline(always)]
    fn locality(&self, request: &Request<'_>) -> Option<&Locality> {
        // SAFETY: an element that is dropped meanwhile stays memory of this map while the program runs; what is read of it is
        // checked by whoever uses it.
        LBLC.get_ptr(self.cache_key(request)).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn add_locality(&self, request: &Request<'_>, server: Remembered) {
        let new = Locality { last_use: Cell::new(now()), server: Cell::new(server) };
        if LBLC.insert(self.cache_key(request), new, BPF_NOEXIST.into()).is_ok() {
            self.count_remembered();
        }
    }

    #[inline(always)]
    fn replicas(&self, request: &Request<'_>) -> Option<&Replicas> {
        // SAFETY: as above.
        LBLCR.get_ptr(self.cache_key(request)).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn add_replicas(&self, request: &Request<'_>, server: Remembered) {
        let Some(nothing) = NEW_REPLICAS.get_ptr(0) else { return };
        let key = self.cache_key(request);
        // SAFETY: key and value have the sizes of the map's; the value, which nobody ever writes, has too many bytes for the
        // stack.
        let added = unsafe {
            helpers::bpf_map_update_elem(
                core::ptr::from_ref(&LBLCR).cast_mut().cast(),
                (&raw const key).cast(),
                nothing.cast(),
                BPF_NOEXIST.into(),
            )
        };
        if added == 0 {
            self.count_remembered();
            if let Some(replicas) = self.replicas(request) {
                replicas.begin(now(), server);
            }
        }
    }

    #[inline(always)]
    fn replica_hold(&self) -> u64 {
        control().map_or(0, |control| control.settings().lblcr_expiration.max(0) as u64 * 1_000_000_000)
    }

    #[inline(always)]
    fn lock(&self, replicas: &Replicas) {
        lock(&replicas.lock);
    }

    #[inline(always)]
    fn unlock(&self, replicas: &Replicas) {
        unlock(&replicas.lock);
    }
}

#[inline(always)]
fn control() -> Option<&'static Control> {
    // SAFETY: values of arrays live as long as the program.
    CONTROL.get_ptr(0).map(|p| unsafe { &*p })
}

/// One step of a loop. 1 ends it.
extern "C" fn step<S: Step>(number: u32, frame: *mut Frame<'_, S>) -> i64 {
    // SAFETY: the frame of `repeat`, and the state that it names.
    let (list, over, state) = unsafe { ((*frame).list, (*frame).over, &mut *(*frame).state) };
    match state.step(list, over, number) {
        Walk::Continue => 0,
        Walk::Break => 1,
    }
}
