//! Frames for benches: `BPF_PROG_TEST_RUN` does not restore a packet between its repeats, so this program does, and then jumps
//! into the program that is measured. Never part of a director.
#![no_std]
#![no_main]

mod bare;
mod floor;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, xdp_action};
use aya_ebpf::btf_maps::{Array, PerCpuArray, ProgramArray};
use aya_ebpf::helpers::generated as helpers;
use aya_ebpf::macros::{btf_map, classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use core::hint::black_box;

/// Bytes that are restored: Ethernet, IPv6 and TCP headers without options.
const HEAD: usize = 74;

/// What a frame is restored to.
#[repr(C)]
pub struct Template {
    /// The first bytes of the frame, and two of padding.
    head: [u16; 38],
    /// Length of the frame.
    len: u32,
    /// Flows minus 1, a power of two minus 1; 0: the head as it is.
    flow_mask: u32,
    /// First flow.
    flow_base: u32,
    /// 1: IPv6. 2: an answer, whose client is the destination.
    kind: u32,
}

#[btf_map]
static TEMPLATE: Array<Template, 1> = Array::new();
#[btf_map]
static SEQUENCE: PerCpuArray<u32, 1> = PerCpuArray::new();
#[btf_map]
static XDP_NEXT: ProgramArray<1> = ProgramArray::new();
#[btf_map]
static TC_NEXT: ProgramArray<1> = ProgramArray::new();

/// Restores the frame at XDP, then measures.
#[xdp]
pub fn restore_xdp(ctx: XdpContext) -> u32 {
    let Some(template) = TEMPLATE.get_ptr(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: values of arrays live as long as the program; the kernel hands a valid context to the program.
    unsafe {
        let len = black_box((*ctx.ctx).data_end - (*ctx.ctx).data);
        let delta = len as i32 - (*template).len as i32;
        if delta != 0 && helpers::bpf_xdp_adjust_head(ctx.ctx, delta) != 0 {
            return xdp_action::XDP_ABORTED;
        }
        let (start, end) = ((*ctx.ctx).data as usize, (*ctx.ctx).data_end as usize);
        if start + HEAD > end {
            return xdp_action::XDP_ABORTED;
        }
        fill(start, template);
        let _ = XDP_NEXT.tail_call(&ctx, 0);
    }
    xdp_action::XDP_ABORTED
}

/// Restores the frame at TC, then measures.
#[classifier]
pub fn restore_tc(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    let Some(template) = TEMPLATE.get_ptr(0) else { return -1 };
    // SAFETY: as above.
    unsafe {
        let delta = (*skb).len as i32 - (*template).len as i32;
        if delta != 0 && helpers::bpf_skb_adjust_room(skb, -delta, BPF_ADJ_ROOM_MAC, 0) != 0 {
            return -1;
        }
        let (start, end) = ((*skb).data as usize, (*skb).data_end as usize);
        if start + HEAD > end {
            return -1;
        }
        fill(start, template);
        let _ = TC_NEXT.tail_call(&ctx, 0);
    }
    let _ = ctx.as_ptr();
    -1
}

/// Writes the head, with another client for each flow.
#[inline(always)]
unsafe fn fill(start: usize, template: *const Template) {
    let frame = start as *mut u16;
    // SAFETY: the caller checked that HEAD bytes are there.
    unsafe {
        for i in 0..HEAD / 2 {
            *frame.add(i) = (*template).head[i];
        }
        if (*template).flow_mask != 0
            && let Some(sequence) = SEQUENCE.get_ptr_mut(0)
        {
            *sequence = (*sequence).wrapping_add(1);
            let flow =
                ((*sequence).wrapping_mul(0x9e37_79b1) & (*template).flow_mask).wrapping_add((*template).flow_base);
            // The last half word of the client's address, and the client's port.
            let (address, port) = match (*template).kind {
                0 => (14, 17),
                1 => (18, 27),
                2 => (16, 18),
                _ => (26, 28),
            };
            *frame.add(address) = ((flow >> 14) as u16).to_be();
            *frame.add(port) = (1024 + (flow & 0x3fff) as u16).to_be();
        }
    }
}

/// The baseline: nothing.
#[xdp]
pub fn base_xdp(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Where [`wire_xdp`] sends everything: an interface's index.
#[btf_map]
static WIRE: Array<u32, 1> = Array::new();

/// A wire: every frame out of another interface, unread.
#[xdp]
pub fn wire_xdp(_ctx: XdpContext) -> u32 {
    match WIRE.get(0) {
        // SAFETY: a helper that takes two numbers.
        Some(ifindex) => unsafe { helpers::bpf_redirect(*ifindex, 0) as u32 },
        None => xdp_action::XDP_ABORTED,
    }
}

/// The baseline: nothing.
#[classifier]
pub fn base_tc(_ctx: TcContext) -> i32 {
    2
}

/// The baseline with room made in front, which the restoring takes back.
#[xdp]
pub fn base_grow_xdp(ctx: XdpContext) -> u32 {
    // SAFETY: the kernel hands a valid context to the program.
    unsafe { helpers::bpf_xdp_adjust_head(ctx.ctx, -20) };
    xdp_action::XDP_DROP
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
