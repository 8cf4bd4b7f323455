//! What happens in the kernel by the clock alone: expiry and rates. No process has to be alive for it.
//!
//! A timer ticks [`PER_SECOND`] times a second. Each tick visits one part of the connection records that have ever been used,
//! so that every record is visited once a second, and takes the samples that are due, so that every estimator gets one each
//! two seconds.

use crate::kernel::{TcMaps, add, now, repeat, slot};
use crate::maps::{
    CONTROL, LBLC, LBLCR, RATE_DEST, RATE_SERVICE, SHARDS, STATS_DEST, STATS_SERVICE, TimerCell, shard_size,
};
use crate::{sched, stage};
use aya_ebpf::helpers::generated as helpers;
use core::ffi::c_void;
use rvs_core::abi::{self, CacheKey, Control, Counters, DestId, Locality, Rate, Replicas, ServiceSlot, active};
use rvs_core::conn::life;
use rvs_core::sched::cache::{self, Drop};
use rvs_core::stats;

/// Ticks in a second.
const PER_SECOND: u32 = 40;
/// Nanoseconds between ticks.
pub(crate) const TICK_NS: u64 = 1_000_000_000 / PER_SECOND as u64;
/// Ticks in an estimator's period.
const PER_PERIOD: u32 = (stats::PERIOD_NS / TICK_NS) as u32;
/// Ticks between two rounds through what lblc and lblcr remember.
const PER_ROUND: u32 = (cache::ROUND_NS / TICK_NS) as u32;
/// CPUs that counters are summed over.
const MAX_CPUS: u32 = 512;

/// One tick.
pub(crate) extern "C" fn tick(_map: *mut c_void, _key: *mut u32, cell: *mut TimerCell) -> i32 {
    // SAFETY: the kernel hands the timer's own value.
    unsafe { helpers::bpf_timer_start((&raw mut (*cell).timer).cast(), TICK_NS, 0) };
    // SAFETY: values of arrays live as long as the program.
    let Some(control) = CONTROL.get_ptr(0).map(|p| unsafe { &*p }) else { return 0 };
    let at = control.ticks.get();
    control.ticks.set(at.wrapping_add(1));
    sweep(at % PER_SECOND, PER_SECOND);
    if at % PER_SECOND == 0 {
        stage::defend();
    }
    if at % PER_ROUND == PER_ROUND - 1 {
        forget(control);
    }
    if control.settings().run_estimation != 0 {
        estimate(control, at % PER_PERIOD);
    }
    0
}

/// Works out which defences are in force, from the settings and the number of free connection records.
#[inline(always)]
pub(crate) fn defend() -> Option<()> {
    // SAFETY: values of arrays live as long as the program.
    let control = CONTROL.get_ptr(0).map(|p| unsafe { &*p })?;
    let mut free = 0u32;
    for shard in 0..abi::SHARDS {
        // SAFETY: as above.
        let record = SHARDS.get_ptr(shard).map(|p| unsafe { &*p })?;
        let fresh = shard_size().saturating_sub(record.fresh.get());
        free = free.wrapping_add(fresh).wrapping_add(record.free.get());
    }
    let settings = control.settings();
    control.drop_rate.set(settings.drop_rate(free));
    control.defence.set(settings.defences(free));
    Some(())
}

/// A range of indexes for one loop.
struct Range {
    first: u32,
    now: u64,
}

/// Part `phase` of `phases` of a table of `used` records: where it begins, and how many.
#[inline(always)]
fn part(used: u32, phase: u32, phases: u32) -> (u32, u32) {
    let first = used as u64 * phase as u64 / phases as u64;
    let end = used as u64 * (phase as u64 + 1) / phases as u64;
    (first as u32, (end - first) as u32)
}

/// Visits one part of every shard's records.
#[inline(always)]
pub(crate) fn sweep(phase: u32, phases: u32) {
    let now = now();
    for shard in 0..abi::SHARDS {
        // SAFETY: values of arrays live as long as the program.
        let Some(record) = SHARDS.get_ptr(shard).map(|p| unsafe { &*p }) else { return };
        let (first, count) = part(record.fresh.get(), phase, phases);
        let mut range = Range { first: shard.wrapping_mul(shard_size()).wrapping_add(first), now };
        repeat(count, sweep_one, &mut range);
    }
}

extern "C" fn sweep_one(step: u32, range: *mut Range) -> i64 {
    // SAFETY: the range of `sweep`.
    let range = unsafe { &*range };
    life::sweep(&TcMaps::at(range.now), range.first.wrapping_add(step), range.now);
    0
}

/// A round through the addresses that lblc and lblcr remember.
struct Round {
    now: u64,
    generation: u32,
    expiration: u32,
    full: bool,
}

/// Drops the addresses that lblc and lblcr need not remember any longer.
#[inline(always)]
pub(crate) fn forget(control: &Control) {
    let number = control.cache_round.get().wrapping_add(1);
    control.cache_round.set(number);
    let mut range = Range { first: 0, now: 0 };
    repeat(control.services_used, allow_excess, &mut range);
    let (now, generation, full) = (now(), control.generation.get(), cache::is_full(number));
    let round = |expiration| Round { now, generation, expiration, full };
    for_each(
        core::ptr::from_ref(&LBLC).cast(),
        forget_locality,
        &round(control.settings().lblc_expiration.max(0) as u32),
    );
    for_each(
        core::ptr::from_ref(&LBLCR).cast(),
        forget_replicas,
        &round(control.settings().lblcr_expiration.max(0) as u32),
    );
}

extern "C" fn allow_excess(step: u32, _range: *mut Range) -> i64 {
    let Some(cell) = sched::cell(step) else { return 1 };
    cell.excess.set(cache::excess(cell.remembered.get()));
    0
}

/// Shows every element of a hash map to `visit`.
#[inline(always)]
fn for_each<V>(
    map: *const c_void,
    visit: extern "C" fn(*mut c_void, *const CacheKey, *const V, *const Round) -> i64,
    round: &Round,
) {
    // SAFETY: the map is one of ours, and the function takes what the helper hands to it.
    unsafe {
        helpers::bpf_for_each_map_elem(
            map.cast_mut(),
            visit as *mut c_void,
            core::ptr::from_ref(round).cast_mut().cast(),
            0,
        )
    };
}

extern "C" fn forget_locality(
    map: *mut c_void,
    key: *const CacheKey,
    value: *const Locality,
    round: *const Round,
) -> i64 {
    // SAFETY: the kernel hands an element of the map, and the round of `forget`.
    forget_one(map, key, unsafe { (*value).last_use.get() }, unsafe { &*round })
}

extern "C" fn forget_replicas(
    map: *mut c_void,
    key: *const CacheKey,
    value: *const Replicas,
    round: *const Round,
) -> i64 {
    // SAFETY: as above.
    forget_one(map, key, unsafe { (*value).last_use.get() }, unsafe { &*round })
}

/// Drops an address, if it is to go.
#[inline(always)]
fn forget_one(map: *mut c_void, key: *const CacheKey, last_use: u64, round: &Round) -> i64 {
    // SAFETY: as above.
    let (service, attached) = unsafe { ((*key).service, (*key).attached) };
    let Some(cell) = sched::cell(service) else { return 0 };
    let stale = slot_in_force(service, round.generation).is_none_or(|slot| slot.attached != attached);
    let excess = cell.excess.get();
    let verdict = cache::verdict(round.full, round.now, last_use, round.expiration, excess);
    if !stale && verdict == Drop::No {
        return 0;
    }
    if verdict == Drop::Excess {
        cell.excess.set(excess.wrapping_sub(1));
    }
    // SAFETY: the kernel allows the deletion of elements while it goes through them.
    if unsafe { helpers::bpf_map_delete_elem(map, key.cast_mut().cast()) } == 0 {
        add(&cell.remembered, -1);
    }
    0
}

#[inline(always)]
fn slot_in_force(service: abi::ServiceId, generation: u32) -> Option<&'static ServiceSlot> {
    let slots = [slot(service, 0)?, slot(service, 1)?];
    let which = active([slots[0].generation, slots[1].generation], generation)?;
    let slot = if which == 0 { slots[0] } else { slots[1] };
    (slot.present == 1).then_some(slot)
}

/// Ends the connections of a destination.
#[inline(always)]
pub(crate) fn purge(dest: DestId) {
    let now = now();
    for shard in 0..abi::SHARDS {
        // SAFETY: values of arrays live as long as the program.
        let Some(record) = SHARDS.get_ptr(shard).map(|p| unsafe { &*p }) else { return };
        let mut range = Purge { first: shard.wrapping_mul(shard_size()), dest, now };
        repeat(record.fresh.get(), purge_one, &mut range);
    }
}

/// A range of indexes, and whose connections are to end.
struct Purge {
    first: u32,
    dest: DestId,
    now: u64,
}

extern "C" fn purge_one(step: u32, range: *mut Purge) -> i64 {
    // SAFETY: the range of `purge`.
    let range = unsafe { &*range };
    life::purge(&TcMaps::at(range.now), range.first.wrapping_add(step), range.dest, range.now);
    0
}

/// Takes the samples that are due.
#[inline(always)]
fn estimate(control: &Control, phase: u32) {
    let (first, count) = part(control.services_used.wrapping_add(1), phase, PER_PERIOD);
    let mut range = Range { first, now: 0 };
    repeat(count, estimate_service, &mut range);
    let (first, count) = part(control.dests_used.wrapping_add(1), phase, PER_PERIOD);
    let mut range = Range { first, now: 0 };
    repeat(count, estimate_dest, &mut range);
}

extern "C" fn estimate_service(step: u32, range: *mut Range) -> i64 {
    // SAFETY: the range of `estimate`.
    let index = unsafe { (*range).first }.wrapping_add(step);
    let Some(rate) = RATE_SERVICE.get_ptr_mut(index) else { return 1 };
    sample(rate, core::ptr::from_ref(&STATS_SERVICE).cast_mut().cast(), index);
    0
}

extern "C" fn estimate_dest(step: u32, range: *mut Range) -> i64 {
    // SAFETY: the range of `estimate`.
    let index = unsafe { (*range).first }.wrapping_add(step);
    let Some(rate) = RATE_DEST.get_ptr_mut(index) else { return 1 };
    sample(rate, core::ptr::from_ref(&STATS_DEST).cast_mut().cast(), index);
    0
}

/// One estimator's sample: the counters of all CPUs summed up.
#[inline(always)]
fn sample(rate: *mut Rate, counters: *mut c_void, index: u32) {
    let mut sum = Counters::default();
    for cpu in 0..MAX_CPUS {
        // SAFETY: a per-CPU array of counters; the key is a word.
        let one = unsafe { helpers::bpf_map_lookup_percpu_elem(counters, (&raw const index).cast(), cpu) };
        if one.is_null() {
            break;
        }
        // SAFETY: not null; another CPU may be adding, so a sum may miss its last packet.
        let one = unsafe { &*one.cast::<Counters>() };
        sum.conns += one.conns;
        sum.in_pkts += one.in_pkts;
        sum.out_pkts += one.out_pkts;
        sum.in_bytes += one.in_bytes;
        sum.out_bytes += one.out_bytes;
    }
    // SAFETY: only the timer writes estimators that are in use.
    stats::sample(unsafe { &mut *rate }, sum);
}
