//! Packets of FTP control connections at TC, before they are masqueraded: what they announce is entered, the address in a
//! server's reply replaced, sequence numbers moved. What is said and what to do about it decides [`rvs_core::ftp`].
//!
//! Whatever is walked along byte by byte lies in a per-CPU value ([`Desk`]): of that the verifier keeps no account, so that each
//! walk is checked as one step.

use crate::access::{Skb, counted};
use crate::kernel::{TcMaps, repeat};
use crate::maps::{DESKS, Desk, TAIL, TALKS};
use crate::stage;
use aya_ebpf::bindings::{BPF_ANY, BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM};
use aya_ebpf::helpers::generated as helpers;
use core::ffi::c_void;
use core::ptr::{from_mut, null_mut};
use rvs_core::abi::{ConnId, Talk};
use rvs_core::flow::{Flow, L3, piece};
use rvs_core::ftp::adjust::{self, HEADER, Options, STEPS};
use rvs_core::ftp::scan::{self, Scan, TEXT, WINDOW};
use rvs_core::ftp::{Expected, is_heard, judge, resized};
use rvs_core::packet::{Packet, PacketMut};
use rvs_core::plan::Plan;
use rvs_core::tables::Tables;
use rvs_core::verdict::Reason;
use rvs_wire::Be16;
use rvs_wire::checksum::{Delta, fold};
use rvs_wire::ipv4::Ipv4;
use rvs_wire::tcp::TcpHead;

/// All is well.
pub(crate) const FINE: u32 = u32::MAX;

/// The desk of this CPU, which nobody else uses while this program runs.
#[inline(always)]
pub(crate) fn desk() -> Option<&'static mut Desk> {
    // SAFETY: a per-CPU value that only this program run touches now.
    DESKS.get_ptr_mut(0).map(|desk| unsafe { &mut *desk })
}

/// What is remembered of a connection; the verifier wants the key in memory.
#[inline(always)]
fn remembered(id: ConnId, serial: u32) -> Talk {
    // SAFETY: read at once; one that is replaced meanwhile is as good as the new one.
    let talk: Option<Talk> = TALKS.get_ptr(&id).map(|talk| unsafe { *talk });
    match talk {
        Some(talk) if talk.serial == serial => talk,
        _ => Talk { serial, ..Talk::default() },
    }
}

/// Sees to a packet; [`FINE`], or the number of the reason why it is to be dropped.
#[inline(always)]
pub(crate) fn tend(skb: Skb, flow: &mut Flow, plan: &Plan, now: u64) -> u32 {
    let maps = TcMaps::at(now);
    let (Some(conn), Some(desk)) = (maps.conn(plan.conn), desk()) else { return Reason::LostRace as u32 };
    let mut talk = remembered(plan.conn, conn.serial.get());
    if is_heard(flow, conn) && listen(skb, flow, plan) {
        let before = talk;
        let deed = judge(conn, &desk.ftp, &mut talk);
        if deed.expected != Expected::Nobody {
            let reason = stage::expect(plan.conn, deed.expected, deed.port, now);
            if reason != FINE {
                return reason;
            }
        }
        if deed.rewrite && !rewrite(skb, flow, desk, conn.vaddr.get().last().host(), &mut talk) {
            return Reason::RewriteFailed as u32;
        }
        if talk != before {
            keep(plan.conn, &talk);
        }
    }
    if talk.is_shifted() && flow.piece != piece::LATER && !stage::shift(skb, flow, plan, &talk) {
        return Reason::RewriteFailed as u32;
    }
    FINE
}

fn keep(id: ConnId, talk: &Talk) {
    let map: *mut c_void = core::ptr::from_ref(&TALKS).cast_mut().cast();
    let (id, talk) = (&raw const id, core::ptr::from_ref(talk));
    // SAFETY: key and value are of the map's types.
    unsafe { helpers::bpf_map_update_elem(map, id.cast_mut().cast(), talk.cast_mut().cast(), BPF_ANY as u64) };
}

/// Reads the payload; `true` when it says something.
#[inline(always)]
fn listen(skb: Skb, flow: &Flow, plan: &Plan) -> bool {
    let Some(desk) = desk() else { return false };
    let from = flow.payload() as u32;
    let rest = (flow.len + L3 as u32).wrapping_sub(from);
    let len = if rest > WINDOW { WINDOW } else { rest };
    desk.ftp = Scan::new(plan.outward != 0);
    if load(skb, from, &mut desk.bytes, len as u64).is_none() {
        return false;
    }
    repeat(len & (2 * WINDOW - 1), listen_one, &mut 0u32);
    desk.ftp.said != scan::NOTHING
}

/// One byte. 1 ends the loop.
extern "C" fn listen_one(index: u32, _frame: *mut u32) -> i64 {
    let Some(desk) = desk() else { return 1 };
    let byte = desk.bytes[(index & (WINDOW - 1)) as usize];
    desk.ftp.byte(index, byte) as i64
}

/// Reads `len` bytes at `from` into a buffer that holds as many as the mask of its size lets through.
#[inline(always)]
pub(crate) fn load<const N: usize>(skb: Skb, from: u32, buffer: &mut [u8; N], len: u64) -> Option<()> {
    let len = counted(len, N as u64)?;
    // SAFETY: the context is valid, and the buffer as long as was checked.
    let read = unsafe { helpers::bpf_skb_load_bytes(skb.0.cast(), from, buffer.as_mut_ptr().cast(), len as u32) };
    (read == 0).then_some(())
}

/// Writes `len` bytes from a buffer.
#[inline(always)]
fn store<const N: usize>(skb: Skb, at: u32, buffer: &mut [u8; N], len: u64, flags: u64) -> Option<()> {
    let len = counted(len, N as u64)?;
    // SAFETY: as above.
    let stored = unsafe { helpers::bpf_skb_store_bytes(skb.0, at, buffer.as_mut_ptr().cast(), len as u32, flags) };
    (stored == 0).then_some(())
}

/// Puts the virtual address into the server's reply. `false`: it can't be done, and the packet is spoilt.
#[inline(always)]
fn rewrite(skb: Skb, flow: &mut Flow, desk: &mut Desk, addr: u32, talk: &mut Talk) -> bool {
    desk.len = scan::text(addr, desk.ftp.port, &mut desk.text);
    let growth = desk.len as i32 - desk.ftp.end.wrapping_sub(desk.ftp.from) as i32;
    let seq = match skb.read::<TcpHead>(flow.l4 as usize) {
        Some(head) => head.seq.host(),
        None => return false,
    };
    if !stage::replace(skb, flow, growth) {
        return false;
    }
    if growth != 0 {
        talk.rewritten(seq.wrapping_add(desk.ftp.end), growth);
    }
    true
}

/// Replaces the text found by the one on the desk; `growth` is the difference of their lengths.
#[inline(always)]
pub(crate) fn replace(skb: Skb, flow: &mut Flow, growth: i32) -> Option<()> {
    let desk = desk()?;
    let payload = flow.payload() as u32;
    let (at, behind) = (payload.wrapping_add(desk.ftp.from), payload.wrapping_add(desk.ftp.end));
    let (end, base) = (flow.len + L3 as u32, at.wrapping_sub(at.wrapping_sub(flow.l4 as u32) & 1));
    let old = fold(stage::sum(skb, base, end.wrapping_sub(base))?);
    if growth != 0 {
        // The line's end at least follows.
        let rest = end.wrapping_sub(behind);
        if rest > TAIL {
            return None;
        }
        load(skb, behind, &mut desk.bytes, rest as u64)?;
        // SAFETY: no pointers but the context.
        if unsafe { helpers::bpf_skb_change_tail(skb.0, end.wrapping_add_signed(growth), 0) } != 0 {
            return None;
        }
        store(skb, behind.wrapping_add_signed(growth), &mut desk.bytes, rest as u64, 0)?;
    }
    if desk.len > TEXT as u32 {
        return None;
    }
    store(skb, at, &mut desk.text, desk.len as u64, 0)?;
    let end = end.wrapping_add_signed(growth);
    let new = fold(stage::sum(skb, base, end.wrapping_sub(base))?);
    let was = Be16::new(flow.l4_bytes() as u16);
    resize(skb, flow, growth)?;
    let length = Delta::NONE.word(was, Be16::new(flow.l4_bytes() as u16));
    let text = Delta::NONE.word(Be16::from_raw(old), Be16::from_raw(new));
    let sum = flow.checksum_offset() as u32;
    // The length is part of the pseudo header, which an unfinished checksum already holds; the text is not.
    update(skb, sum, length.folded(), BPF_F_PSEUDO_HDR as u64)?;
    update(skb, sum, text.folded(), 0)
}

/// The IP header's length, and its checksum. Only IPv4 addresses are ever rewritten.
#[inline(always)]
fn resize(skb: Skb, flow: &mut Flow, growth: i32) -> Option<()> {
    let mut packet = skb;
    let total = flow.len.wrapping_add_signed(growth);
    let ip: Ipv4 = packet.read(L3)?;
    packet.write(L3, resized(ip, Be16::new(total as u16)))?;
    flow.len = total;
    Some(())
}

#[inline(always)]
fn update(skb: Skb, offset: u32, difference: u16, flags: u64) -> Option<()> {
    // SAFETY: the context is valid; the helper checks the offset.
    (unsafe { helpers::bpf_l4_csum_replace(skb.0, offset, 0, difference as u64, flags) } == 0).then_some(())
}

/// Moves the numbers in the header.
#[inline(always)]
pub(crate) fn shift(skb: Skb, flow: &Flow, plan: &Plan, talk: &Talk) -> Option<()> {
    let desk = desk()?;
    let (l4, len) = (flow.l4 as u32, flow.l4_len as u64);
    desk.header = [0; HEADER];
    desk.talk = *talk;
    load(skb, l4, &mut desk.header, len)?;
    let old = header_sum(desk);
    adjust::header(&mut desk.header, plan.outward != 0, talk);
    if plan.outward == 0 {
        desk.options = Options::new(len as u32);
        repeat(STEPS, shift_one, &mut 0u32);
    }
    let new = header_sum(desk);
    store(skb, l4, &mut desk.header, len, BPF_F_RECOMPUTE_CSUM as u64)?;
    let delta = Delta::NONE.word(Be16::from_raw(old), Be16::from_raw(new));
    update(skb, flow.checksum_offset() as u32, delta.folded(), 0)
}

/// One option. 1 ends the loop.
extern "C" fn shift_one(_step: u32, _frame: *mut u32) -> i64 {
    let Some(desk) = desk() else { return 1 };
    desk.options.step(&mut desk.header, &desk.talk) as i64
}

#[inline(always)]
fn header_sum(desk: &mut Desk) -> u16 {
    let header = from_mut(&mut desk.header).cast();
    // SAFETY: the buffer is of the length given.
    fold(unsafe { helpers::bpf_csum_diff(null_mut(), 0, header, HEADER as u32, 0) } as u64 & 0xffff_ffff)
}
