//! Fragments that came too early, and packets to be cut: both end as frames that go through the interface's ingress once more.
//!
//! There they are decided like any other. So nothing here forwards: a held fragment is let go as it came when its first one
//! showed the way, and a packet too long for its way out is cut into fragments as if its sender had done so.

use crate::access::{Skb, counted};
use crate::kernel::repeat;
use crate::maps::{FATES, HELD, HELD_BYTES, HELD_COUNT, HELD_SLOTS, Held, LENGTH_MASK, LONG, LONGEST};
use aya_ebpf::bindings::BPF_F_INGRESS;
use aya_ebpf::helpers::generated as helpers;
use core::arch::asm;
use rvs_core::abi::{Fate, FlowKey, fates};
use rvs_core::flow::{Flow, L3};
use rvs_core::fragment;
use rvs_core::packet::{Packet, PacketMut};
use rvs_wire::Be16;
use rvs_wire::checksum::Delta;
use rvs_wire::ipv4::{self, Ipv4};

/// [`Held::state`]: nothing in it.
const FREE: u32 = 0;
/// Somebody is putting a frame in or taking it out.
const BUSY: u32 = 1;
/// A frame is in it.
const FULL: u32 = 2;

/// Most pieces that a packet is cut into: 64 KB at the least IPv4 MTU that any link has in practice.
const MAX_PIECES: u32 = 128;

/// What became of a fragment that was to be held.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Hold {
    /// It is held.
    Done = 0,
    /// There was no room, or it is too long.
    Lost = 1,
    /// Its first fragment came at this very moment: decide it again.
    Known = 2,
}

impl Hold {
    /// From a register.
    #[inline(always)]
    pub(crate) const fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Done,
            2 => Self::Known,
            _ => Self::Lost,
        }
    }
}

/// What the search for a slot works on.
struct Search {
    now: u64,
    slot: u32,
}

/// Holds a fragment. As a `copy`: the fragment goes on to the host, but its first one may still come to the detour for marks,
/// which alone sees what the host's rules make of it.
#[inline(always)]
pub(crate) fn hold(skb: Skb, flow: &Flow, now: u64, copy: bool) -> Hold {
    let mut search = Search { now, slot: HELD_SLOTS };
    repeat(HELD_SLOTS, find_room, &mut search);
    let Some(held) = HELD.get_ptr_mut(search.slot) else { return Hold::Lost };
    // SAFETY: values of arrays live as long as the program; a busy slot is its taker's.
    let held: &mut Held = unsafe { &mut *held };
    let key = fragment::key(flow);
    if store(skb, held).is_none() {
        held.state = FREE;
        return Hold::Lost;
    }
    held.key = key;
    held.expires = now + fragment::HOLD_NS;
    set_state(held, FULL);
    add_held(1);
    // The first fragment may have looked for this one between the look at its fate and now.
    let decided = fate(&key).is_some_and(|fate| !copy || fate.kind == fates::FORWARDED);
    if decided && take(held, &key) { Hold::Known } else { Hold::Done }
}

/// A step of the search for a slot: takes the first that is free, or whose frame waited for too long.
extern "C" fn find_room(index: u32, search: *mut Search) -> i64 {
    // SAFETY: the search of `hold`.
    let search = unsafe { &mut *search };
    let Some(held) = HELD.get_ptr_mut(index) else { return 1 };
    // SAFETY: values of arrays live as long as the program.
    let held: &mut Held = unsafe { &mut *held };
    let mut was = BUSY;
    lock(held);
    if held.state == FREE || (held.state == FULL && held.expires <= search.now) {
        was = held.state;
        held.state = BUSY;
    }
    unlock(held);
    if was == BUSY {
        return 0;
    }
    if was == FULL {
        add_held(-1);
    }
    search.slot = index;
    1
}

/// A frame's length, if it is at most `MAX`.
#[inline(always)]
fn bounded<const MAX: u32>(len: u32) -> Option<u64> {
    counted(len as u64, MAX as u64).filter(|len| *len >= L3 as u64)
}

/// Copies a frame into a slot.
#[inline(always)]
fn store(skb: Skb, held: &mut Held) -> Option<()> {
    // SAFETY: the kernel hands a valid context to the program.
    let len = bounded::<HELD_BYTES>(unsafe { (*skb.0).len })?;
    held.len = len as u32;
    // SAFETY: as above.
    held.ifindex = unsafe { (*skb.0).ifindex };
    // SAFETY: the context is valid, the buffer at least as long as checked.
    let loaded = unsafe { helpers::bpf_skb_load_bytes(skb.0.cast(), 0, held.bytes.as_mut_ptr().cast(), len as u32) };
    (loaded == 0).then_some(())
}

/// What the release works on.
struct Release {
    skb: Skb,
    key: FlowKey,
}

/// Lets go the fragments that wait for the one in `skb`. The packet carries them, one after the other, and is then what it
/// was; `None` when it could not be made so.
#[inline(always)]
pub(crate) fn release(skb: Skb, flow: &Flow) -> Option<()> {
    let count = HELD_COUNT.get_ptr(0)?;
    // SAFETY: values of arrays live as long as the program.
    if unsafe { core::ptr::read_volatile(count) } == 0 {
        return Some(());
    }
    let len = save(skb)?;
    let mut work = Release { skb, key: fragment::key(flow) };
    repeat(HELD_SLOTS, let_go, &mut work);
    restore(skb, len)
}

/// A step of the release.
extern "C" fn let_go(index: u32, work: *mut Release) -> i64 {
    // SAFETY: the work of `release`.
    let work = unsafe { &mut *work };
    let Some(held) = HELD.get_ptr_mut(index) else { return 1 };
    // SAFETY: values of arrays live as long as the program.
    let held: &mut Held = unsafe { &mut *held };
    if held.state != FULL || held.key != work.key || !take_busy(held) {
        return 0;
    }
    // Between the look and the taking it may have become another frame's: that one goes on as well, and is held again.
    if let Some(len) = bounded::<HELD_BYTES>(held.len) {
        // SAFETY: the context is valid, the buffer as long as checked.
        unsafe {
            if helpers::bpf_skb_change_tail(work.skb.0, len as u32, 0) == 0
                && helpers::bpf_skb_store_bytes(work.skb.0, 0, held.bytes.as_ptr().cast(), len as u32, 0) == 0
            {
                once_more(work.skb, held.ifindex);
            }
        }
    }
    set_state(held, FREE);
    0
}

/// Sends a copy of the packet through an interface's ingress.
#[inline(always)]
fn once_more(skb: Skb, ifindex: u32) {
    // SAFETY: the context is valid.
    unsafe { helpers::bpf_clone_redirect(skb.0, ifindex, BPF_F_INGRESS as u64) };
}

/// Copies the packet to memory of ours; its length.
#[inline(always)]
fn save(skb: Skb) -> Option<u32> {
    let long = LONG.get_ptr_mut(0)?;
    // SAFETY: the kernel hands a valid context to the program.
    let len = bounded::<LONGEST>(unsafe { (*skb.0).len })?;
    // SAFETY: a per-CPU value that only this program run touches now, as long as checked.
    let loaded = unsafe { helpers::bpf_skb_load_bytes(skb.0.cast(), 0, long.cast(), len as u32) };
    (loaded == 0).then_some(len as u32)
}

/// Makes the packet again what [`save`] saved.
#[inline(always)]
fn restore(skb: Skb, len: u32) -> Option<()> {
    let long = LONG.get_ptr(0)?;
    let len = bounded::<LONGEST>(len)?;
    // SAFETY: the context is valid, the buffer as long as checked.
    let done = unsafe {
        helpers::bpf_skb_change_tail(skb.0, len as u32, 0) == 0
            && helpers::bpf_skb_store_bytes(skb.0, 0, long.cast(), len as u32, 0) == 0
    };
    done.then_some(())
}

/// What the cutting works on.
struct Cut {
    skb: Skb,
    /// The header of the whole.
    ip: Ipv4,
    /// Payload of a piece, a multiple of eight.
    chunk: u32,
    /// Payload of the whole.
    total: u32,
    failed: u32,
}

/// Cuts an IPv4 packet into fragments of at most `mtu` bytes, which go through the ingress. The packet itself is used up.
#[inline(always)]
pub(crate) fn cut(skb: Skb, flow: &Flow, mtu: u32) -> Option<()> {
    let ip: Ipv4 = skb.read(L3)?;
    // Options would have to be sorted into those that go with every piece and those that don't.
    if ip.version_ihl != 0x45 || mtu < 68 {
        return None;
    }
    save(skb)?;
    let chunk = (mtu - ipv4::LEN as u32) & !7;
    let mut work = Cut { skb, ip, chunk, total: flow.len - ipv4::LEN as u32, failed: 1 };
    repeat(MAX_PIECES, send_piece, &mut work);
    (work.failed == 0).then_some(())
}

/// A step of the cutting: one piece.
extern "C" fn send_piece(index: u32, work: *mut Cut) -> i64 {
    const BEFORE: u32 = (L3 + ipv4::LEN) as u32;
    // SAFETY: the work of `cut`.
    let work = unsafe { &mut *work };
    work.failed = 1;
    let offset = index.wrapping_mul(work.chunk);
    let rest = work.total.wrapping_sub(offset);
    let is_last = rest <= work.chunk;
    let len = if is_last { rest } else { work.chunk };
    let Some(size) = counted(len as u64, LENGTH_MASK as u64) else { return 1 };
    let size = size as u32;
    // Masked, so that the verifier sees that place and length stay inside the buffer.
    let mut from = u64::from(BEFORE.wrapping_add(offset) & LENGTH_MASK);
    // SAFETY: a register is copied to itself.
    unsafe { asm!("{0} = {0}", inout(reg) from, options(nomem, nostack, preserves_flags)) };
    let from = from as u32 & LENGTH_MASK;
    let Some(long) = LONG.get_ptr(0) else { return 1 };
    // SAFETY: the context is valid; place and length together end in the buffer.
    unsafe {
        if helpers::bpf_skb_change_tail(work.skb.0, BEFORE + size, 0) != 0 {
            return 1;
        }
        let bytes = long.cast::<u8>().add(from as usize);
        if helpers::bpf_skb_store_bytes(work.skb.0, BEFORE, bytes.cast(), size, 0) != 0 {
            return 1;
        }
    }
    let mut packet = work.skb;
    if packet.write(L3, piece_header(work.ip, offset, len, is_last)).is_none() {
        return 1;
    }
    // SAFETY: the context is valid.
    once_more(work.skb, unsafe { (*work.skb.0).ifindex });
    work.failed = 0;
    is_last as i64
}

/// The header of a piece: RFC 791, section 3.2.
#[inline(always)]
fn piece_header(whole: Ipv4, offset: u32, len: u32, is_last: bool) -> Ipv4 {
    let old = whole.frag.host();
    let more = if is_last { old & 0x2000 } else { 0x2000 };
    // One that was not to be cut is, where the setting says so; its pieces may be cut again.
    let frag = Be16::new((old & 0x1fff).wrapping_add((offset / 8) as u16) | more);
    let total_len = Be16::new((ipv4::LEN as u32 + len) as u16);
    let delta = Delta::NONE.word(whole.frag, frag).word(whole.total_len, total_len);
    Ipv4 { frag, total_len, checksum: delta.apply(whole.checksum), ..whole }
}

/// What became of a packet's first fragment.
#[inline(always)]
pub(crate) fn fate(key: &FlowKey) -> Option<Fate> {
    // SAFETY: read at once; an element that is replaced meanwhile gives a fate whose connection is checked.
    FATES.get_ptr(key).map(|fate| unsafe { *fate })
}

/// Remembers what became of a first fragment.
#[inline(always)]
pub(crate) fn remember(flow: &Flow, fate: &Fate) {
    // The least recently used goes when the map is full.
    let _ = FATES.insert(fragment::key(flow), *fate, 0);
}

/// Takes a full slot with this key and empties it.
#[inline(always)]
fn take(held: &mut Held, key: &FlowKey) -> bool {
    let ours = held.key == *key && take_busy(held);
    if ours {
        set_state(held, FREE);
    }
    ours
}

/// Makes a full slot busy; `false` when it is not full.
#[inline(always)]
fn take_busy(held: &mut Held) -> bool {
    let mut taken = false;
    lock(held);
    if held.state == FULL {
        held.state = BUSY;
        taken = true;
    }
    unlock(held);
    if taken {
        add_held(-1);
    }
    taken
}

#[inline(always)]
fn set_state(held: &mut Held, state: u32) {
    lock(held);
    held.state = state;
    unlock(held);
}

#[inline(always)]
fn add_held(by: i64) {
    if let Some(count) = HELD_COUNT.get_ptr_mut(0) {
        // SAFETY: an atomic addition to a word of a map value.
        unsafe { asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) count, in(reg) by, options(nostack)) };
    }
}

#[inline(always)]
fn lock(held: &mut Held) {
    // SAFETY: the lock lies in a map value, where the verifier follows it.
    unsafe { helpers::bpf_spin_lock(core::ptr::from_mut(&mut held.lock).cast()) };
}

#[inline(always)]
fn unlock(held: &mut Held) {
    // SAFETY: as above; the verifier refuses an unlock without its lock.
    unsafe { helpers::bpf_spin_unlock(core::ptr::from_mut(&mut held.lock).cast()) };
}
