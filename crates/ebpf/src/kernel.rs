//! The tables of decisions, backed by the maps. All accesses to map values are here.

use crate::hop;
use crate::maps::{
    ADDRESSES, BLOCKS, BUCKETS, CONNS, CONTROL, DESTS, EMBRYOS, FREE, LISTS, MARK_RULES, PROBE_FLOWS, SERVICE_INDEX,
    SERVICES, SHARDS, STATS_DEST, STATS_SERVICE, bucket_mask, hash_secret, hash_seed, ring_size, shard_size,
};
use crate::{pieces, sip, stage};
use aya_ebpf::helpers::generated as helpers;
use core::arch::asm;
use core::cell::Cell;
use core::ffi::c_void;
use rvs_core::abi::{
    Addresses, Block, Bucket, Conn, ConnId, Control, Counters, Dest, DestId, Fate, FlowKey, Hop, ListEntry,
    MARK_RULES as MARK_RULE_COUNT, MarkRule, ProbeFlow, SHARDS as SHARD_COUNT, Service, ServiceId, ServiceKey,
    ServiceSlot, Shard, bpf_spin_lock,
};
use rvs_core::begin;
use rvs_core::conn::embryo::Taken;
use rvs_core::conn::life::End;
use rvs_core::conn::table::Entered;
use rvs_core::flow::Flow;
use rvs_core::mark;
use rvs_core::plan::Plan;
use rvs_core::sched::Kind;
use rvs_core::service::Found;
use rvs_core::tables::{Count, Tables};

/// The maps, at one of the hooks, while one packet is decided.
pub(crate) struct Maps<const XDP: bool> {
    /// The time, read once for each packet.
    now: u64,
}

impl<const XDP: bool> Maps<XDP> {
    /// The maps at a time.
    #[inline(always)]
    pub(crate) fn at(now: u64) -> Self {
        Self { now }
    }
}

/// At the hook that decides everything.
pub(crate) type TcMaps = Maps<false>;
/// At the accelerator.
pub(crate) type XdpMaps = Maps<true>;

impl XdpMaps {
    /// The way of a packet of `len` bytes, if XDP can send it: not when it is too big, or the tunnel wants a sum over all of it.
    #[inline(always)]
    pub(crate) fn way(&self, plan: &Plan, len: u32) -> Option<&'static Hop> {
        if plan.is_tunnel() && plan.tunnel().is_summed() {
            return None;
        }
        let hop = hop::fresh(plan, self.now).filter(|hop| hop::takes_frames(hop))?;
        plan.fits(len, hop::mtu(hop, plan, self.now)).then_some(hop)
    }
}

/// How often an index is tried to be taken or given back while others do the same.
const TRIES: usize = 4;

/// How often a decision of a scheduler with state is made anew because another CPU decided in between.
const SCHED_TRIES: usize = 8;

impl<const XDP: bool> Tables for Maps<XDP> {
    #[inline(always)]
    fn now(&self) -> u64 {
        self.now
    }

    #[inline(always)]
    fn control(&self) -> Option<&Control> {
        // SAFETY: values of arrays live as long as the program.
        CONTROL.get_ptr(0).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn seed(&self) -> u64 {
        hash_seed()
    }

    #[inline(always)]
    fn secret(&self, index: usize) -> u64 {
        hash_secret(index)
    }

    #[inline(always)]
    fn bucket_mask(&self) -> u32 {
        bucket_mask()
    }

    #[inline(always)]
    fn bucket(&self, index: u32) -> Option<&Bucket> {
        // SAFETY: values of arrays live as long as the program; shared words are cells.
        BUCKETS.get_ptr(index).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn lock(&self, bucket: &Bucket) {
        lock(&bucket.lock);
    }

    #[inline(always)]
    fn unlock(&self, bucket: &Bucket) {
        unlock(&bucket.lock);
    }

    #[inline(always)]
    fn conn(&self, id: ConnId) -> Option<&Conn> {
        // SAFETY: as above.
        CONNS.get_ptr(id).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn alloc_conn(&self) -> Option<ConnId> {
        // SAFETY: no arguments.
        let cpu = unsafe { helpers::bpf_get_smp_processor_id() };
        for i in 0..SHARD_COUNT {
            let shard = cpu.wrapping_add(i) % SHARD_COUNT;
            let id = stage::take_index(shard);
            if id >= 0 {
                return Some(id as ConnId);
            }
        }
        None
    }

    #[inline(always)]
    fn put(&self, bucket: u32, entry: u64) -> Entered {
        stage::put(bucket, entry)
    }

    #[inline(always)]
    fn look(&self, bucket: u32, entry: u64) -> u32 {
        stage::look(bucket, entry)
    }

    #[inline(always)]
    fn try_embryo(&self, ring: u32) -> Taken {
        stage::try_embryo(ring, self.now)
    }

    #[inline(always)]
    fn note_first_word(&self, id: ConnId, event: u8, of_server: bool) {
        stage::note_first_word(id, event, of_server);
    }

    #[inline(always)]
    fn probe_answered(&self, flow: &Flow, plan: &mut Plan) -> bool {
        stage::probe_answered(flow, plan)
    }

    #[inline(always)]
    fn expire(&self, id: ConnId, end: End) {
        stage::expire(id, end, self.now);
    }

    #[inline(always)]
    fn ring_size(&self) -> u32 {
        ring_size()
    }

    #[inline(always)]
    fn ring_hand(&self, ring: u32) -> Option<u32> {
        shard(ring).map(|shard| shard.hand.get())
    }

    #[inline(always)]
    fn move_hand(&self, ring: u32, from: u32) -> bool {
        let Some(shard) = shard(ring) else { return false };
        let mut moved = false;
        lock(&shard.lock);
        if shard.hand.get() == from {
            shard.hand.set(from.wrapping_add(1));
            moved = true;
        }
        unlock(&shard.lock);
        moved
    }

    #[inline(always)]
    fn ring_place(&self, ring: u32, at: u32) -> Option<&Cell<u64>> {
        let size = ring_size();
        // SAFETY: values of arrays live as long as the program; shared words are cells.
        EMBRYOS.get_ptr(ring.wrapping_mul(size).wrapping_add(at & size.wrapping_sub(1))).map(|p| unsafe { &*p.cast() })
    }

    #[inline(always)]
    fn free_conn(&self, id: ConnId) -> bool {
        give_index(id)
    }

    #[inline(always)]
    fn service_id(&self, key: &ServiceKey) -> Option<ServiceId> {
        // SAFETY: read at once; an element that is freed meanwhile gives a number that the caller checks.
        SERVICE_INDEX.get_ptr(key).map(|p| unsafe { *p })
    }

    #[inline(always)]
    fn service(&self, id: ServiceId) -> Option<&Service> {
        // SAFETY: as above.
        SERVICES.get_ptr(id).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn slot_generation(&self, id: ServiceId, which: usize) -> u32 {
        let Some(slot) = slot(id, which) else { return 0 };
        // SAFETY: as above; volatile, because user space may have written since it was read before.
        unsafe { core::ptr::read_volatile(&raw const slot.generation) }
    }

    #[inline(always)]
    fn addresses(&self) -> Option<&Addresses> {
        // SAFETY: as above.
        ADDRESSES.get_ptr(0).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn list_entry(&self, index: u32) -> Option<&ListEntry> {
        // SAFETY: as above.
        LISTS.get_ptr(index).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn dest(&self, id: DestId) -> Option<&Dest> {
        dest(id)
    }

    #[inline(always)]
    fn block(&self, index: u32) -> Option<&Block> {
        // SAFETY: as above.
        BLOCKS.get_ptr(index).map(|p| unsafe { &*p })
    }

    #[inline(always)]
    fn schedule(&self, found: &Found<'_>, key: &FlowKey) -> Option<u32> {
        let kind = Kind::from_raw(found.slot.sched)?;
        if !kind.has_state() {
            return u32::try_from(stage::pick(kind, key, found.id, found.which as u32)).ok();
        }
        let mut chosen = stage::NONE;
        for _ in 0..SCHED_TRIES {
            let attempt = stage::schedule(found.id, found.which as u32, key);
            if attempt != stage::AGAIN {
                chosen = attempt;
                break;
            }
        }
        u32::try_from(chosen).ok()
    }

    #[inline(always)]
    fn add(&self, counter: &Cell<u32>, by: i32) {
        add(counter, by);
    }

    #[inline(always)]
    fn count(&self, service: ServiceId, dest: DestId, what: Count) {
        add_up(STATS_SERVICE.get_ptr_mut(service), what);
        add_up(STATS_DEST.get_ptr_mut(dest), what);
    }

    #[inline(always)]
    fn can_send(&self, plan: &Plan, len: u32) -> bool {
        if !XDP {
            return true;
        }
        !plan.is_local() && XdpMaps::at(self.now).way(plan, len).is_some()
    }

    #[inline(always)]
    fn can_answer(&self) -> bool {
        !XDP
    }

    #[inline(always)]
    fn masqueraded_server(&self, from: &FlowKey, count: u32, engine: bool) -> Option<DestId> {
        u32::try_from(stage::masqueraded_server(from, count, engine)).ok()
    }

    #[inline(always)]
    fn fate(&self, key: &FlowKey) -> Option<Fate> {
        pieces::fate(key)
    }

    #[inline(always)]
    fn probe_flow(&self, key: &FlowKey) -> Option<ProbeFlow> {
        // Linux 6.1 takes keys from the stack, and not from where this one may lie.
        let key = core::hint::black_box(*key);
        // SAFETY: read at once; an element that is replaced meanwhile is of another health check.
        PROBE_FLOWS.get_ptr(&key).map(|p| unsafe { *p })
    }

    #[inline(always)]
    fn call(&self) -> u64 {
        sip::call()
    }

    #[inline(always)]
    fn keep_engine_data(&self, template: ConnId) {
        let serial = self.conn(template).map_or(0, |conn| conn.serial.get());
        stage::keep_engine_data(template, serial);
    }

    #[inline(always)]
    fn mark_by_rules(&self, key: &FlowKey, first: u32, count: u32) -> u32 {
        stage::mark_by_rules(key, first, count)
    }
}

/// What a step of the search for a server works on.
struct ServerSearch<'a> {
    from: &'a FlowKey,
    engine: bool,
    found: i64,
}

/// A masqueraded destination of the first `count` that a packet comes from, `engine`: of a service with a persistence engine;
/// -1: none. Walks through all: for the rare packets that are nobody's, where the setting or a service asks for it.
#[inline(always)]
pub(crate) fn masqueraded_server(from: &FlowKey, count: u32, engine: bool) -> i64 {
    let mut search = ServerSearch { from, engine, found: -1 };
    repeat(count, try_server, &mut search);
    search.found
}

/// One destination. 1 ends the loop.
extern "C" fn try_server(index: u32, search: *mut ServerSearch<'_>) -> i64 {
    // SAFETY: the search of `masqueraded_server`.
    let search = unsafe { &mut *search };
    let Some(dest) = dest(index) else { return 1 };
    // Most are somebody else: their lists and services need no look.
    if dest.addr != search.from.src {
        return 0;
    }
    // SAFETY: values of arrays live as long as the program.
    let entry: Option<&ListEntry> = LISTS.get_ptr(dest.entry.get()).map(|p| unsafe { &*p });
    // SAFETY: as above.
    let service: Option<&Service> = SERVICES.get_ptr(dest.service).map(|p| unsafe { &*p });
    let (Some(entry), Some(service)) = (entry, service) else { return 0 };
    let is_it = begin::is_masqueraded_source(dest, entry, &service.key, search.from);
    if is_it && (!search.engine || begin::has_engine(&TcMaps::at(0), dest)) {
        search.found = index as i64;
        return 1;
    }
    0
}

/// What a step of the search for a mark works on.
struct MarkSearch<'a> {
    key: &'a FlowKey,
    first: u32,
    mark: u32,
}

/// The mark of the first of `count` rules from `first` on that a packet matches; 0: none.
#[inline(always)]
pub(crate) fn mark_by_rules(key: &FlowKey, first: u32, count: u32) -> u32 {
    let mut search = MarkSearch { key, first, mark: 0 };
    repeat(count.min(MARK_RULE_COUNT), try_rule, &mut search);
    search.mark
}

/// One rule. 1 ends the loop.
extern "C" fn try_rule(index: u32, search: *mut MarkSearch<'_>) -> i64 {
    // SAFETY: the search of `mark_by_rules`.
    let search = unsafe { &mut *search };
    // SAFETY: values of arrays live as long as the program.
    let Some(rule): Option<&MarkRule> = MARK_RULES.get_ptr(search.first.wrapping_add(index)).map(|p| unsafe { &*p })
    else {
        return 1;
    };
    if mark::matches(rule, search.key) {
        search.mark = rule.mark;
        return 1;
    }
    0
}

/// Adds to a counter in a map, exactly.
#[inline(always)]
pub(crate) fn add(counter: &Cell<u32>, by: i32) {
    let pointer = counter.as_ptr();
    // SAFETY: an atomic addition to a word of a map value.
    unsafe { asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) pointer, in(reg) by as i64, options(nostack)) };
}

/// A shard.
#[inline(always)]
fn shard(number: u32) -> Option<&'static Shard> {
    // SAFETY: values of arrays live as long as the program.
    SHARDS.get_ptr(number).map(|p| unsafe { &*p })
}

/// A destination.
#[inline(always)]
pub(crate) fn dest(id: DestId) -> Option<&'static Dest> {
    // SAFETY: values of arrays live as long as the program.
    DESTS.get_ptr(id).map(|p| unsafe { &*p })
}

/// Whether tunnels keep the inner packet's DF (`pmtu_disc`).
#[inline(always)]
pub(crate) fn keeps_df() -> bool {
    // SAFETY: values of arrays live as long as the program.
    let control: Option<&Control> = CONTROL.get_ptr(0).map(|p| unsafe { &*p });
    control.is_none_or(|control| control.settings().pmtu_disc != 0)
}

/// The coarse monotonic clock: a tick of the kernel exact, and cheap.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { helpers::bpf_ktime_get_coarse_ns() }
}

#[inline(always)]
fn add_up(counters: Option<*mut Counters>, what: Count) {
    if let Some(counters) = counters {
        // SAFETY: per-CPU values that only this program run touches now.
        what.add_to(unsafe { &mut *counters });
    }
}

/// Takes a lock that lies in a map value.
#[inline(always)]
pub(crate) fn lock(lock: &bpf_spin_lock) {
    // SAFETY: the lock lies in a map value, where the verifier follows it.
    unsafe { helpers::bpf_spin_lock(core::ptr::from_ref(lock).cast_mut().cast()) };
}

/// Gives it back.
#[inline(always)]
pub(crate) fn unlock(lock: &bpf_spin_lock) {
    // SAFETY: as above; the verifier refuses an unlock without its lock.
    unsafe { helpers::bpf_spin_unlock(core::ptr::from_ref(lock).cast_mut().cast()) };
}

/// Takes a free connection index from a shard: one that was given back, or else the next that was never used.
#[inline(always)]
pub(crate) fn take_index(number: u32) -> Option<ConnId> {
    let shard = shard(number)?;
    let base = number.wrapping_mul(shard_size());
    for _ in 0..TRIES {
        // No look-up is allowed under the lock: look first, then see under the lock whether it still is the top.
        let top = shard.free.get();
        if top == 0 {
            break;
        }
        let cell = FREE.get_ptr(base.wrapping_add(top - 1))?;
        let mut taken = None;
        lock(&shard.lock);
        if shard.free.get() == top {
            shard.free.set(top - 1);
            // SAFETY: as above; the lock makes it ours.
            taken = Some(unsafe { *cell });
        }
        unlock(&shard.lock);
        if taken.is_some() {
            return taken;
        }
    }
    let size = shard_size();
    let mut fresh = size;
    lock(&shard.lock);
    if shard.fresh.get() < size {
        fresh = shard.fresh.get();
        shard.fresh.set(fresh + 1);
    }
    unlock(&shard.lock);
    (fresh < size).then(|| base.wrapping_add(fresh))
}

/// Gives a connection index back to its shard.
#[inline(always)]
fn give_index(id: ConnId) -> bool {
    let size = shard_size();
    let Some(number) = id.checked_div(size) else { return false };
    let Some(shard) = shard(number) else { return false };
    for _ in 0..TRIES {
        let top = shard.free.get();
        let Some(cell) = FREE.get_ptr_mut(number.wrapping_mul(size).wrapping_add(top)) else { return false };
        let mut given = false;
        lock(&shard.lock);
        if shard.free.get() == top && top < size {
            // SAFETY: as above; the lock makes it ours.
            unsafe { *cell = id };
            shard.free.set(top + 1);
            given = true;
        }
        unlock(&shard.lock);
        if given {
            return true;
        }
    }
    false
}

/// A slot of a service.
#[inline(always)]
pub(crate) fn slot(id: ServiceId, which: usize) -> Option<&'static ServiceSlot> {
    // SAFETY: values of arrays live as long as the program.
    let service: &Service = SERVICES.get_ptr(id).map(|p| unsafe { &*p })?;
    Some(if which == 0 { &service.slots[0] } else { &service.slots[1] })
}

/// Calls `step` so many times with the number of the step and `frame`, until it returns 1.
///
/// The compiler hands a `u32` over in a 64-bit register without clearing its upper half, and the verifier's own version of the
/// helper compares all 64 bits: a count that came out of arithmetic with carry would run the loop not at all. So the upper half
/// is cleared here.
#[inline(always)]
pub(crate) fn repeat<F>(count: u32, step: extern "C" fn(u32, *mut F) -> i64, frame: &mut F) {
    let mut count = count as u64;
    // SAFETY: shifts of a register of ours. The frame outlives the call; the helper calls back with what it was given.
    unsafe {
        asm!("{0} <<= 32", "{0} >>= 32", inout(reg) count, options(nomem, nostack));
        helpers::bpf_loop(count as u32, step as *mut c_void, core::ptr::from_mut(frame).cast(), 0);
    }
}
