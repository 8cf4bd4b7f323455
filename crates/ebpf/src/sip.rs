//! Datagrams for a service with a persistence engine: what the engine knows them by.

use crate::access::Skb;
use crate::ftp::{desk, load};
use crate::kernel::repeat;
use crate::maps::{ENGINE_DATA, hash_seed};
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated as helpers;
use core::ffi::c_void;
use rvs_core::abi::{ConnId, ENGINE_BYTES};
use rvs_core::flow::{Flow, L3};
use rvs_core::sip::{NONE, Scan, WINDOW};

/// Looks into a datagram.
#[inline(always)]
pub(crate) fn look(skb: Skb, flow: &mut Flow) {
    let Some(desk) = desk() else { return };
    flow.tcp_flags = 1;
    desk.sip = Scan::new(hash_seed());
    let from = flow.payload() as u32;
    let rest = (flow.len + L3 as u32).wrapping_sub(from);
    let len = if rest > WINDOW { WINDOW } else { rest };
    if load(skb, from, &mut desk.bytes, len as u64).is_none() {
        return;
    }
    repeat(len & WINDOW, look_one, &mut 0u32);
}

/// What the datagram at hand is known by, once it was looked into.
#[inline(always)]
pub(crate) fn call() -> u64 {
    desk().map_or(NONE, |desk| desk.sip.result())
}

/// One byte. 1 ends the loop.
extern "C" fn look_one(index: u32, _frame: *mut u32) -> i64 {
    let Some(desk) = desk() else { return 1 };
    let byte = desk.bytes[(index & WINDOW) as usize];
    desk.sip.byte(index, byte) as i64
}

/// Keeps what was found as what a template was made for.
#[inline(always)]
pub(crate) fn keep(template: ConnId, serial: u32) {
    let Some(desk) = desk() else { return };
    desk.engine.serial = serial;
    desk.engine.len = desk.sip.len;
    desk.engine.bytes = [0; ENGINE_BYTES];
    repeat(desk.sip.len & (ENGINE_BYTES as u32 - 1), copy_one, &mut 0u32);
    let map: *mut c_void = core::ptr::from_ref(&ENGINE_DATA).cast_mut().cast();
    let (key, value) = (&raw const template, &raw const desk.engine);
    // SAFETY: key and value are of the map's types.
    unsafe { helpers::bpf_map_update_elem(map, key.cast_mut().cast(), value.cast_mut().cast(), BPF_ANY as u64) };
}

extern "C" fn copy_one(index: u32, _frame: *mut u32) -> i64 {
    let Some(desk) = desk() else { return 1 };
    let from = desk.sip.from.wrapping_add(index) & WINDOW;
    desk.engine.bytes[index as usize & (ENGINE_BYTES - 1)] = desk.bytes[from as usize];
    0
}
