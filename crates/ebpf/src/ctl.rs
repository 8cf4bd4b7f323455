//! What the tools have the kernel do, through a program that they run themselves (`BPF_PROG_TEST_RUN`).

use crate::access::Xdp;
use crate::maps::{CONTROL, TIMERS, TimerCell};
use crate::stage;
use crate::sweep::{self, TICK_NS, purge, sweep, tick};
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use core::ffi::c_void;
use rvs_core::packet::Packet;

/// Starts the timer; once started it stays so.
const START: u8 = 0;
/// Visits every connection record now.
const SWEEP: u8 = 1;
/// Makes a round through what lblc and lblcr remember.
const FORGET: u8 = 2;
/// Ends the connections of the destination whose number stands in bytes 4 to 7.
const PURGE: u8 = 3;
/// Where a command's number stands.
const NUMBER: usize = 4;
/// Works out the defences anew.
const DEFEND: u8 = 4;

/// The clock that timers go by.
const CLOCK_MONOTONIC: u64 = 1;

/// The first byte of the "packet" is the command. Succeeds with `XDP_PASS`.
#[xdp]
pub fn rvs_ctl(ctx: XdpContext) -> u32 {
    let done = match Xdp(ctx.ctx).read::<u8>(0) {
        Some(START) => start(),
        Some(SWEEP) => {
            sweep(0, 1);
            true
        }
        Some(FORGET) => forget(),
        Some(PURGE) => match Xdp(ctx.ctx).read::<[u8; 4]>(NUMBER) {
            Some(dest) => {
                purge(u32::from_ne_bytes(dest));
                true
            }
            None => false,
        },
        Some(DEFEND) => stage::defend(),
        _ => false,
    };
    if done { xdp_action::XDP_PASS } else { xdp_action::XDP_ABORTED }
}

#[inline(always)]
fn forget() -> bool {
    // SAFETY: values of arrays live as long as the program.
    let Some(control) = CONTROL.get_ptr(0).map(|p| unsafe { &*p }) else { return false };
    sweep::forget(control);
    true
}

#[inline(always)]
fn start() -> bool {
    let Some(cell) = TIMERS.get_ptr_mut(0) else { return false };
    let map: *mut c_void = core::ptr::from_ref(&TIMERS).cast_mut().cast();
    let callback: extern "C" fn(*mut c_void, *mut u32, *mut TimerCell) -> i32 = tick;
    // SAFETY: the timer lies in a value of the map named; initialising it again is refused and does no harm.
    unsafe {
        let timer = (&raw mut (*cell).timer).cast();
        helpers::bpf_timer_init(timer, map, CLOCK_MONOTONIC);
        helpers::bpf_timer_set_callback(timer, callback as *mut c_void) == 0
            && helpers::bpf_timer_start(timer, TICK_NS, 0) == 0
    }
}
