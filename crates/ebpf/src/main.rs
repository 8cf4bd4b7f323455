//! The programs that run in the kernel: entry points, access to packets and maps, and how a plan is applied. What they decide
//! is in `rvs_core`; here is only what a decision meets in the kernel.
//!
//! | program | where | what |
//! |---|---|---|
//! | `rvs_tc` | TC ingress of every interface | decides every packet and finishes it |
//! | `rvs_xdp` | XDP of physical interfaces | the same for packets that need nothing of the kernel's stack; leaves the rest to `rvs_tc` |
//! | `rvs_mark` | TC egress of the detour of marked packets | decides those that somebody else marked |
//! | `rvs_out` | TC egress of every interface, while needed | answers of real servers on this host; health checks by virtual services |
//! | `rvs_ctl` | never attached; run by the tools | starts the timers, sweeps on demand |
//! | `rvs_anchor` | the network namespace | nothing: as long as its link names a namespace, that namespace lives |
//! | `rvs_decap` | TC ingress of a real server | takes IP-in-IP, GRE and GUE apart |
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod access;
mod answer;
mod ctl;
mod decap;
mod ftp;
mod hop;
mod kernel;
mod local;
mod maps;
mod out;
mod pieces;
mod sched;
mod sip;
mod stage;
mod sum;
mod sweep;
mod tc;
mod trace;
mod verdict;
mod xdp;

use aya_ebpf::macros::sk_lookup;
use aya_ebpf::programs::SkLookupContext;

/// The namespace's anchor: lets every look-up go on as if it were not there.
#[sk_lookup]
pub fn rvs_anchor(_ctx: SkLookupContext) -> u32 {
    const SK_PASS: u32 = 1;
    SK_PASS
}

/// The verifier accepts no program that can reach this: code that could panic does not load.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
