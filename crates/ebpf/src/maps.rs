//! The maps, and the constants that the loader fills in. Sizes here are placeholders where the loader sets the real ones.

use aya_ebpf::btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use rvs_core::abi;
use rvs_core::conn::table::SECRETS;
use rvs_core::trace;

/// `BPF_F_MMAPABLE`: user space reads and writes these in place. It also lets values begin at a page, so that records of the size of
/// cache lines are cache lines; without it they lie across two.
const MMAP: usize = 1 << 10;
/// `BPF_F_NO_PREALLOC`: an element takes memory when it comes to be.
const ON_DEMAND: usize = 1;

/// The kernel's timer; it knows it by this name.
#[repr(C)]
pub(crate) struct bpf_timer {
    opaque: [u64; 2],
}

/// A timer of ours.
#[repr(C)]
pub(crate) struct TimerCell {
    pub(crate) timer: bpf_timer,
}

/// What is being found out about a packet: in a map, because program stacks are small. A CPU runs one of our programs at a
/// time, but each kind has a record of its own all the same.
#[repr(C)]
pub(crate) struct Work {
    pub(crate) flow: rvs_core::flow::Flow,
    pub(crate) plan: rvs_core::plan::Plan,
    /// Which program, as [`trace::hook`].
    pub(crate) hook: u8,
}

/// Whose [`Work`] it is.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Worker {
    /// The classifiers: `rvs_tc` and `rvs_mark`.
    Tc = 0,
    /// `rvs_xdp`.
    Xdp = 1,
    /// `rvs_out`.
    Out = 2,
}

/// A record for a new packet, which the program at `hook` decides.
#[inline(always)]
pub(crate) fn work(
    worker: Worker,
    hook: u8,
) -> Option<(&'static mut rvs_core::flow::Flow, &'static mut rvs_core::plan::Plan)> {
    // SAFETY: a per-CPU value that only this program run touches now.
    let work = WORK.get_ptr_mut(worker as u32).map(|p| unsafe { &mut *p })?;
    work.flow = rvs_core::flow::Flow::default();
    work.plan = rvs_core::plan::Plan::default();
    work.hook = hook;
    Some((&mut work.flow, &mut work.plan))
}

/// Bytes being summed up, or how far a scheduler's walk is.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) bytes: [u8; SCRATCH],
}

/// Size of [`Scratch`]: a piece of 512 bytes and its padding, and so much that a mask shows the verifier the bound.
pub(crate) const SCRATCH: usize = 1024;

/// Fragments that can be held at once.
pub(crate) const HELD_SLOTS: u32 = 64;

/// A fragment that came before the first one.
#[repr(C)]
pub(crate) struct Held {
    /// Guards `state`.
    pub(crate) lock: abi::bpf_spin_lock,
    /// Whose it is; see the module `pieces`.
    pub(crate) state: u32,
    /// Which packet's fragment.
    pub(crate) key: abi::FlowKey,
    /// Until when it waits.
    pub(crate) expires: u64,
    /// Length of the frame.
    pub(crate) len: u32,
    /// The interface that it came in through.
    pub(crate) ifindex: u32,
    /// The frame: no longer than jumbo frames are.
    pub(crate) bytes: [u8; HELD_BYTES as usize],
}

/// The longest frame that can be held.
pub(crate) const HELD_BYTES: u32 = 9216;

/// The longest frame that is cut or kept while held fragments are let go.
pub(crate) const LONGEST: u32 = 16384;
/// Masks a length or place to below twice the longest.
pub(crate) const LENGTH_MASK: u32 = 0x3fff;

/// A frame while its buffer carries others.
#[repr(C)]
pub(crate) struct Long {
    bytes: [u8; 2 * LONGEST as usize],
}

/// Bytes behind a rewritten text that can be moved.
pub(crate) const TAIL: u32 = 2048;

/// Where payloads are looked at.
#[repr(C)]
pub(crate) struct Desk {
    /// A payload, or its end while it is moved.
    pub(crate) bytes: [u8; TAIL as usize],
    /// What persistence engines found.
    pub(crate) engine: abi::EngineData,
    /// A TCP header.
    pub(crate) header: [u8; rvs_core::ftp::adjust::HEADER],
    /// A text to be put in.
    pub(crate) text: [u8; 32],
    /// Its length.
    pub(crate) len: u32,
    /// What a control connection says.
    pub(crate) ftp: rvs_core::ftp::scan::Scan,
    /// By how much its numbers are moved.
    pub(crate) talk: abi::Talk,
    /// A walk along TCP options.
    pub(crate) options: rvs_core::ftp::adjust::Options,
    /// What a SIP datagram says.
    pub(crate) sip: rvs_core::sip::Scan,
}

/// What the ICMP limiter of one CPU has left.
#[repr(C)]
pub(crate) struct Bucket {
    pub(crate) tokens: u64,
    pub(crate) filled: u64,
}

#[btf_map]
pub(crate) static CONTROL: Array<abi::Control, 1, MMAP> = Array::new();
#[btf_map]
pub(crate) static SERVICE_INDEX: HashMap<abi::ServiceKey, u32, 16384> = HashMap::new();
#[btf_map]
pub(crate) static SERVICES: Array<abi::Service, 16384, MMAP> = Array::new();
#[btf_map]
pub(crate) static LISTS: Array<abi::ListEntry, 131072, MMAP> = Array::new();
#[btf_map]
pub(crate) static DESTS: Array<abi::Dest, 32768, MMAP> = Array::new();
#[btf_map]
pub(crate) static CONNS: Array<abi::Conn, 1024, MMAP> = Array::new();
#[btf_map]
pub(crate) static BUCKETS: Array<abi::Bucket, 1024, MMAP> = Array::new();
#[btf_map]
pub(crate) static SHARDS: Array<abi::Shard, { abi::SHARDS as usize }> = Array::new();
#[btf_map]
pub(crate) static FREE: Array<u32, 1024> = Array::new();
/// Rings of embryonic connections, one after the other.
#[btf_map]
pub(crate) static EMBRYOS: Array<u64, 512> = Array::new();
#[btf_map]
pub(crate) static SCHED: Array<abi::SchedCell, 16384> = Array::new();
/// Rows of the hashing schedulers' tables.
#[btf_map]
pub(crate) static TABLES: Array<abi::TableRow, 16384, MMAP> = Array::new();
/// The best of each part of a long list.
#[btf_map]
pub(crate) static BLOCKS: Array<abi::Block, 4096> = Array::new();
#[btf_map]
pub(crate) static LBLC: HashMap<abi::CacheKey, abi::Locality, 16384, ON_DEMAND> = HashMap::new();
#[btf_map]
pub(crate) static LBLCR: HashMap<abi::CacheKey, abi::Replicas, 16384, ON_DEMAND> = HashMap::new();
/// Nothing but zeroes: what a new element of `LBLCR` is made from.
#[btf_map]
pub(crate) static NEW_REPLICAS: Array<[u64; size_of::<abi::Replicas>() / 8], 1> = Array::new();
#[btf_map]
pub(crate) static STATS_SERVICE: PerCpuArray<abi::Counters, 16384> = PerCpuArray::new();
#[btf_map]
pub(crate) static STATS_DEST: PerCpuArray<abi::Counters, 32768> = PerCpuArray::new();
#[btf_map]
pub(crate) static BASE_SERVICE: Array<abi::Counters, 16384> = Array::new();
#[btf_map]
pub(crate) static BASE_DEST: Array<abi::Counters, 32768> = Array::new();
#[btf_map]
pub(crate) static RATE_SERVICE: Array<abi::Rate, 16384, MMAP> = Array::new();
#[btf_map]
pub(crate) static RATE_DEST: Array<abi::Rate, 32768, MMAP> = Array::new();
#[btf_map]
pub(crate) static REASONS: PerCpuArray<u64, { rvs_core::verdict::REASON_SLOTS as usize }> = PerCpuArray::new();
#[btf_map]
pub(crate) static HOPS: PerCpuArray<abi::Hop, { crate::hop::ENTRIES as usize }> = PerCpuArray::new();
#[btf_map]
pub(crate) static ADDRESSES: Array<abi::Addresses, 1, MMAP> = Array::new();
/// Interfaces that have our program at XDP.
#[btf_map]
pub(crate) static XDP_PORTS: Array<abi::XdpPort, { abi::XDP_SLOTS as usize }> = Array::new();
#[btf_map]
pub(crate) static TIMERS: Array<TimerCell, 1> = Array::new();
#[btf_map]
pub(crate) static SCRATCHES: PerCpuArray<Scratch, 1> = PerCpuArray::new();
/// What became of first fragments.
#[btf_map]
pub(crate) static FATES: LruHashMap<abi::FlowKey, abi::Fate, 8192> = LruHashMap::new();
#[btf_map]
pub(crate) static HELD: Array<Held, { HELD_SLOTS as usize }> = Array::new();
/// Slots of `HELD` that are full.
#[btf_map]
pub(crate) static HELD_COUNT: Array<u32, 1> = Array::new();
#[btf_map]
pub(crate) static LONG: PerCpuArray<Long, 1> = PerCpuArray::new();
/// What is remembered of control connections of FTP. The kernel gives up the least recently used.
#[btf_map]
pub(crate) static TALKS: LruHashMap<abi::ConnId, abi::Talk, 1024> = LruHashMap::new();
/// What persistence engines made templates for: for listings, and given up likewise.
#[btf_map]
pub(crate) static ENGINE_DATA: LruHashMap<abi::ConnId, abi::EngineData, 1024> = LruHashMap::new();
#[btf_map]
pub(crate) static DESKS: PerCpuArray<Desk, 1> = PerCpuArray::new();
/// Health checks by virtual services, by their marks.
#[btf_map]
pub(crate) static PROBES: HashMap<u32, abi::Probe, { abi::MAX_PROBES as usize }, ON_DEMAND> = HashMap::new();
/// Whom they went to. The kernel gives up the least recently used.
#[btf_map]
pub(crate) static PROBE_FLOWS: LruHashMap<abi::FlowKey, abi::ProbeFlow, 8192> = LruHashMap::new();
/// Rules that mark packets.
#[btf_map]
pub(crate) static MARK_RULES: Array<abi::MarkRule, { abi::MARK_RULES as usize }> = Array::new();
#[btf_map]
pub(crate) static WORK: PerCpuArray<Work, 3> = PerCpuArray::new();
/// Which packets somebody watches.
#[btf_map]
pub(crate) static TRACE: Array<trace::Trace, 1, MMAP> = Array::new();
#[btf_map]
pub(crate) static TRACER: PerCpuArray<trace::Tracer, 1> = PerCpuArray::new();
#[btf_map]
/// Events of [`trace::Event`]. The map itself knows no type of them: libbpf loads no ring whose values have a size.
pub(crate) static EVENTS: RingBuf<(), { trace::RING_BYTES as usize }> = RingBuf::new();
#[btf_map]
pub(crate) static LIMITER: PerCpuArray<Bucket, 1> = PerCpuArray::new();

/// Records in `CONNS`: a power of two, at least [`abi::SHARDS`].
#[unsafe(no_mangle)]
static CONN_CAPACITY: u32 = 1024;
/// Buckets in `BUCKETS` minus 1.
#[unsafe(no_mangle)]
static BUCKET_MASK: u32 = 1023;
/// Secret of the connection hash.
#[unsafe(no_mangle)]
static HASH_SEED: u64 = 0;
/// What the secret comes to for the table of connections.
#[unsafe(no_mangle)]
static HASH_SECRETS: [u64; SECRETS] = [0; SECRETS];

/// UDP port that `rvs_decap` takes GUE at, host order.
#[unsafe(no_mangle)]
static GUE_PORT: u16 = 6080;

/// UDP port of GUE.
#[inline(always)]
pub(crate) fn gue_port() -> rvs_wire::Be16 {
    rvs_wire::Be16::new(load(&GUE_PORT))
}

/// Connection records per shard.
#[inline(always)]
pub(crate) fn shard_size() -> u32 {
    load(&CONN_CAPACITY) / abi::SHARDS
}

/// Places in each ring of embryonic connections, a power of two.
#[inline(always)]
pub(crate) fn ring_size() -> u32 {
    abi::embryos(load(&CONN_CAPACITY)) / abi::SHARDS
}

/// Buckets minus 1.
#[inline(always)]
pub(crate) fn bucket_mask() -> u32 {
    load(&BUCKET_MASK)
}

/// Secret of the hash.
#[inline(always)]
pub(crate) fn hash_seed() -> u64 {
    load(&HASH_SEED)
}

/// Secret word of the hash of the table of connections.
#[inline(always)]
pub(crate) fn hash_secret(index: usize) -> u64 {
    load(&HASH_SECRETS[index])
}

/// Reads a constant that the loader filled in, which the compiler must not take for its initial value.
#[inline(always)]
fn load<T: Copy>(constant: &'static T) -> T {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::read_volatile(constant) }
}
