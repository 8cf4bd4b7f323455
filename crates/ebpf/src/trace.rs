//! Tells whoever watches what became of packets. While nobody does, one word is looked at.

use crate::kernel::now;
use crate::maps::{EVENTS, TRACE, TRACER, WORK, Worker};
use aya_ebpf::helpers::generated as helpers;
use core::ptr;
use rvs_core::trace::{Trace, describe, wants};

const SECOND: u64 = 1_000_000_000;

/// Whether anybody watches.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    // SAFETY: values of arrays live as long as the program; volatile, because user space writes it.
    TRACE.get_ptr(0).is_some_and(|trace| unsafe { ptr::read_volatile((&raw const (*trace).until).cast::<u32>()) } != 0)
}

/// Tells of the packet in the record of `worker`, which ended with the reason of this number.
#[inline(always)]
pub(crate) fn tell(worker: Worker, number: u32) {
    if is_on() {
        stage_trace(worker as u32, number);
    }
}

/// As [`tell`], when somebody watches; always 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stage_trace(worker: u32, number: u32) -> u32 {
    let Some(trace) = TRACE.get_ptr(0) else { return 0 };
    // SAFETY: values of arrays live as long as the program; user space writes the words before `until` turns it on.
    let trace: &Trace = unsafe { &*trace };
    if now() / SECOND >= trace.until.get() as u64 {
        return 0;
    }
    // SAFETY: per-CPU values that only this program run touches now.
    let (Some(work), Some(tracer)) =
        (unsafe { (WORK.get_ptr(worker).map(|work| &*work), TRACER.get_ptr_mut(0).map(|tracer| &mut *tracer)) })
    else {
        return 0;
    };
    describe(&mut tracer.event, work.hook, number, &work.flow, &work.plan);
    if !wants(trace, &tracer.event) {
        return 0;
    }
    tracer.skipped += 1;
    if tracer.skipped < trace.sample as u64 {
        return 0;
    }
    tracer.skipped = 0;
    // SAFETY: no arguments.
    tracer.event.time = unsafe { helpers::bpf_ktime_get_ns() };
    if EVENTS.output_untyped::<rvs_core::trace::Event>(&tracer.event, 0).is_err() {
        tracer.lost += 1;
    }
    0
}
