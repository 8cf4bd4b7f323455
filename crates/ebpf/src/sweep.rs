//! What happens in the kernel by the clock alone: expiry and rates. No process has to be alive for it.
//!
//! A timer ticks [`PER_SECOND`] times a second. Each tick visits one part of the connection records that have ever been used,
//! so that every record is visited once a second, and takes the samples that are due, so that every estimator gets one each
//! two seconds.

use crate::kernel::{TcMaps, now, repeat};
use crate::maps::{CONTROL, RATE_DEST, RATE_SERVICE, SHARDS, STATS_DEST, STATS_SERVICE, TimerCell, shard_size};
use crate::stage;
use aya_ebpf::helpers::generated as helpers;
use core::ffi::c_void;
use rvs_core::abi::{self, Control, Counters, Rate};
use rvs_core::conn::life;
use rvs_core::stats;

/// Ticks in a second.
const PER_SECOND: u32 = 40;
/// Nanoseconds between ticks.
pub(crate) const TICK_NS: u64 = 1_000_000_000 / PER_SECOND as u64;
/// Ticks in an estimator's period.
const PER_PERIOD: u32 = (stats::PERIOD_NS / TICK_NS) as u32;
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
