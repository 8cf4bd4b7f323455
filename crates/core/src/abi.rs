//! What lies in the maps: the one definition of every record that user space and the eBPF programs share.
//!
//! All records are `repr(C)`, of asserted size, without padding the compiler chose. Fields that the packet path changes are
//! `Cell`s: each program run treats them as its own; what must be exact between CPUs goes through the locks and atomic
//! additions of [`crate::tables::Tables`]. Every change of a layout or of the meaning of a field changes [`ABI_VERSION`].
//!
//! # How a configuration change is made
//!
//! Configuration is versioned by *generation*. A record that can change while packets use it has two slots; each slot says
//! from which generation on it holds. A reader takes, of the slots whose generation is at most [`Control::generation`], the
//! one with the greater generation ([`active`]). A writer fills the other slot of every record it changes with
//! `generation + 1`, and then stores `generation + 1` in [`Control::generation`]: that single store is the commit. A writer
//! that dies before it leaves slots of a generation that never comes to be; [`Control::prepared`] tells the next writer to
//! clear them first. A slot's generation is written before the rest of it: a reader that finds it changed afterwards was
//! overtaken by two commits and starts again.

use crate::settings::{Settings, defence};
use core::cell::Cell;
use rvs_wire::{Addr, Be16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of everything in this file; part of the path that the maps are pinned under.
pub const ABI_VERSION: u32 = 2;

/// Number of a service: its index in the map `SERVICES`.
pub type ServiceId = u32;
/// Number of a destination: its index in the map `DESTS`.
pub type DestId = u32;
/// Number of a connection: its index in the map `CONNS`.
pub type ConnId = u32;

/// What a packet is looked up by: who it comes from, whom it is for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct FlowKey {
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port; 0 in a persistence template.
    pub sport: Be16,
    /// Destination port.
    pub dport: Be16,
    /// IP protocol number; 0 in a template of a service by mark.
    pub proto: u8,
    /// Address family, as [`rvs_wire::Family::raw`].
    pub family: u8,
    /// Zero.
    pub pad: u16,
}

/// Key of the map `SERVICE_INDEX`. A service by firewall mark has `proto` 0, `port` 0 and the mark as address.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ServiceKey {
    /// Virtual address, or [`Addr::mark`].
    pub addr: Addr,
    /// Virtual port; 0 means every port (persistent services only).
    pub port: Be16,
    /// IP protocol number, or 0 for a mark.
    pub proto: u8,
    /// Address family.
    pub family: u8,
}

/// State of a scheduler between two decisions. User space computes it at each change of the destinations (as the kernel's
/// schedulers do), stores it in the service's slot; the packet path starts from there and goes on in `SCHED`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SchedState {
    /// Index in the list of the destination chosen last; -1: before the first.
    pub pos: i32,
    /// wrr: current weight.
    pub cw: i32,
    /// wrr: maximum weight, as the kernel keeps it (`max - (gcd - 1)`).
    pub mw: i32,
    /// wrr: greatest common divisor of the weights.
    pub di: i32,
}

impl SchedState {
    /// A scheduler that has not chosen yet.
    pub const START: Self = Self { pos: -1, cw: 0, mw: 0, di: 1 };

    /// The index after the destination chosen last.
    #[inline(always)]
    pub const fn next(&self) -> u32 {
        if self.pos < 0 { 0 } else { self.pos as u32 + 1 }
    }
}

impl Default for SchedState {
    fn default() -> Self {
        Self::START
    }
}

/// One version of a service's settings and list of destinations.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ServiceSlot {
    /// First generation that this slot holds for; 0: never written.
    pub generation: u32,
    /// 1: the service exists in this version; 0: it does not.
    pub present: u8,
    /// Scheduler, as [`crate::sched::Kind`].
    pub sched: u8,
    /// Service flags as in IPVS: [`flags::PERSISTENT`], [`flags::ONE_PACKET`], scheduler flags.
    pub flags: u16,
    /// First entry of its list in the map `LISTS`.
    pub first: u32,
    /// Number of entries, newest destination first.
    pub count: u32,
    /// Persistence timeout in seconds; 0 when not persistent.
    pub persist_secs: u32,
    /// Changes whenever `sched_start` must be taken over by the packet path.
    pub sched_version: u32,
    /// Where the scheduler starts from.
    pub sched_start: SchedState,
    /// Mask under which clients share a persistence template.
    pub netmask: Addr,
    /// Persistence engine: 0 none, 1 sip.
    pub engine: u32,
    /// Place among the services: they are listed in ascending order of it. A service that is added again gets a new one.
    pub order: u32,
    /// First row of its scheduler's table in the map `TABLES`; sh and mh only.
    pub table: u32,
    /// Number of the occasion on which the scheduler was attached to the service: what lblc and lblcr remember belongs to it.
    pub attached: u32,
}

/// Places in one row of a scheduler's table.
pub const ROW_PLACES: usize = 32;

/// Place in a table that leads nowhere.
pub const NO_PLACE: u16 = u16::MAX;

/// A part of a scheduler's table (hash value to destination): value of the map `TABLES`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TableRow {
    /// Indexes into the service's list, or [`NO_PLACE`].
    pub places: [u16; ROW_PLACES],
}

/// Entries of `LISTS` in one block.
pub const BLOCK_ENTRIES: u32 = 32;

/// Who is best among the entries of a block of a long list: value of the map `BLOCKS`, for entries `32 n` to `32 n + 31` of
/// `LISTS`. A list of more than [`BLOCK_ENTRIES`] entries begins at a block's first and shares no block with another.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Block {
    /// Counts the changes of what schedulers look at in its members, once it is in use.
    pub changes: Cell<u32>,
    /// 1: a scheduler remembers its best member.
    pub used: Cell<u32>,
    /// The best member, with the count of changes that it is good for; see [`crate::sched::contest`].
    pub best: Cell<u64>,
}

/// Key of the maps `LBLC` and `LBLCR`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct CacheKey {
    /// The service.
    pub service: ServiceId,
    /// Its [`ServiceSlot::attached`].
    pub attached: u32,
    /// Destination address of the packets, as four words.
    pub addr: [u32; 4],
}

/// A destination as it is remembered: its number in the low half, its [`Dest::serial`] in the high half; 0 is nobody (serials
/// count from 1).
pub type Remembered = u64;

/// Where lblc sends the packets for one address: value of the map `LBLC`.
#[derive(Clone, Debug, Default, FromBytes)]
#[repr(C)]
pub struct Locality {
    /// When it was last used, nanoseconds of the coarse monotonic clock.
    pub last_use: Cell<u64>,
    /// To whom.
    pub server: Cell<Remembered>,
}

/// Most destinations that lblcr remembers for one address.
pub const MAX_REPLICAS: usize = 64;

/// Where lblcr sends the packets for one address: value of the map `LBLCR`.
#[derive(Clone, Debug, FromBytes)]
#[repr(C)]
pub struct Replicas {
    /// Guards the changes of the rest.
    pub lock: bpf_spin_lock,
    /// Number of destinations.
    pub len: Cell<u16>,
    /// 1 while somebody takes one out.
    pub busy: Cell<u16>,
    /// When it was last used, nanoseconds of the coarse monotonic clock.
    pub last_use: Cell<u64>,
    /// When a destination was last added or forgotten, likewise.
    pub last_change: Cell<u64>,
    /// To whom, oldest first.
    pub servers: [Cell<Remembered>; MAX_REPLICAS],
}

impl Replicas {
    /// Begins with one destination.
    #[inline(always)]
    pub fn begin(&self, now: u64, server: Remembered) {
        self.last_use.set(now);
        self.last_change.set(now);
        self.servers[0].set(server);
        self.len.set(1);
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            lock: bpf_spin_lock::default(),
            len: Cell::new(0),
            busy: Cell::new(0),
            last_use: Cell::new(0),
            last_change: Cell::new(0),
            servers: [const { Cell::new(0) }; MAX_REPLICAS],
        }
    }
}

/// A virtual service: value of the map `SERVICES`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Service {
    /// Its key; checked by the reader, because an index may be used again.
    pub key: ServiceKey,
    /// Counts the uses of this index.
    pub serial: u32,
    /// The two versions.
    pub slots: [ServiceSlot; 2],
    /// Second (of the boot clock) in which it was seen to be gone; 0 while it exists or was never used.
    pub removed_at: u32,
    /// The [`ServiceSlot::order`] that `BASE_SERVICE` was taken for: its counters start with that use.
    pub based_on: u32,
}

/// A destination as one version of a service sees it: value of the map `LISTS`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ListEntry {
    /// Which destination.
    pub dest: DestId,
    /// Weight, 0 to 2147483647; 0 quiesces.
    pub weight: i32,
    /// Upper threshold of connections; 0: none.
    pub u_threshold: u32,
    /// Lower threshold; 0: three quarters of the upper one.
    pub l_threshold: u32,
    /// Last weight that was not 0.
    pub last_weight: i32,
    /// Forwarding method, as [`Forward`].
    pub forward: u8,
    /// Tunnel type: 0 ipip, 1 gue, 2 gre.
    pub tun_type: u8,
    /// Tunnel flags: 1 checksum, 2 remote checksum.
    pub tun_flags: u16,
    /// Tunnel port.
    pub tun_port: Be16,
    /// Forwarding method as configured; `forward` differs from it when the real server is this host.
    pub configured: u16,
    /// Zero.
    pub pad: [u16; 2],
}

/// Whether a destination takes packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DestState {
    /// The index is free.
    Free = 0,
    /// In a service's list.
    Live = 1,
    /// Deleted, remembered for its connections; the same server added again comes back with its counters.
    Trash = 2,
}

/// A destination (real server of one service): value of the map `DESTS`. Identity and run-time counters, which outlive any
/// version of the configuration; settings are in [`ListEntry`].
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Dest {
    /// Address of the real server.
    pub addr: Addr,
    /// Its port.
    pub port: Be16,
    /// Its family.
    pub family: u8,
    /// A [`DestState`].
    pub state: Cell<u8>,
    /// The service it belongs or belonged to.
    pub service: ServiceId,
    /// Counts the uses of this index.
    pub serial: u32,
    /// Interface that user space's route look-up gave at the last change; 0: no route. Used where the kernel's look-up from
    /// eBPF cannot be (forwarding disabled).
    pub hop_ifindex: u32,
    /// Gateway of that route, or the server itself when on link.
    pub hop_gateway: Addr,
    /// The director's own address on that route: source of tunnel headers.
    pub hop_source: Addr,
    /// Connections whose state counts as active.
    pub active: Cell<u32>,
    /// Connections whose state counts as inactive.
    pub inactive: Cell<u32>,
    /// Persistence templates.
    pub persist: Cell<u32>,
    /// 1 while the upper threshold keeps new connections away.
    pub overload: Cell<u32>,
    /// Second (of the boot clock) in which it was deleted; while [`DestState::Trash`].
    pub trashed_at: u32,
    /// Upper threshold of the newest committed version, for the packet path's overload check.
    pub u_threshold: Cell<u32>,
    /// Lower threshold, likewise.
    pub l_threshold: Cell<u32>,
    /// Its entry in `LISTS`, likewise: how connections of a persistent client are forwarded.
    pub entry: Cell<u32>,
    /// Tunnels: the MTU that a router on the way told; 0: none.
    pub path_mtu: Cell<u32>,
    /// Until which second (of the coarse monotonic clock) that holds.
    pub path_mtu_until: Cell<u32>,
    /// Zero.
    pub pad: [u32; 6],
}

/// How packets reach the real server; the kernel's numbers (`IP_VS_CONN_F_MASQ` …).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Forward {
    /// Masquerading: destination address and port rewritten, replies rewritten back.
    Masq = 0,
    /// The real server is the director itself.
    Local = 1,
    /// Tunnelling.
    Tunnel = 2,
    /// Direct routing.
    Route = 3,
}

impl Forward {
    /// From the number in a record.
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::Masq),
            1 => Some(Self::Local),
            2 => Some(Self::Tunnel),
            3 => Some(Self::Route),
            _ => None,
        }
    }
}

/// Flags of services (IPVS' numbers).
pub mod flags {
    /// `-p`.
    pub const PERSISTENT: u16 = 0x0001;
    /// `--ops`.
    pub const ONE_PACKET: u16 = 0x0004;
    /// `flag-1`: sh-fallback, mh-fallback.
    pub const SCHED_1: u16 = 0x0008;
    /// `flag-2`: sh-port, mh-port.
    pub const SCHED_2: u16 = 0x0010;
    /// `flag-3`.
    pub const SCHED_3: u16 = 0x0020;
}

/// Flags of a connection.
pub mod conn_flags {
    /// In the table. A record without it is free (0) or dead.
    pub const LIVE: u8 = 0x01;
    /// Unlinked; its index is given back at the sweeper's next visit, when no packet can hold it any more.
    pub const DEAD: u8 = 0x02;
    /// Only the client's side is seen (DR, TUN): the input-only column of the state table.
    pub const NO_OUTPUT: u8 = 0x04;
    /// Counted as inactive at its destination.
    pub const INACTIVE: u8 = 0x08;
    /// Persistence template.
    pub const TEMPLATE: u8 = 0x10;
    /// Template: a controlled connection was established. Connection: its template has been told.
    pub const ASSURED: u8 = 0x20;
    /// Purged: no longer listed or counted at its destination. It stays until its time is up, to tell both ends, each by an
    /// RST for its next packet.
    pub const PURGED: u8 = 0x40;
    /// Nobody has shown yet that it is wanted: it may be ended to make room for others like it. Kept when it is dead.
    pub const EMBRYO: u8 = 0x80;
}

/// A connection: value of the map `CONNS`. Two cache lines: the first is all that a packet of a DR or TUN connection
/// touches; the second adds what NAT, expiry and listing need.
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Conn {
    /// Client address (CIP).
    pub caddr: Cell<Addr>,
    /// Virtual address (VIP).
    pub vaddr: Cell<Addr>,
    /// Client port.
    pub cport: Cell<Be16>,
    /// Virtual port.
    pub vport: Cell<Be16>,
    /// IP protocol.
    pub proto: Cell<u8>,
    /// Family of client and virtual address.
    pub family: Cell<u8>,
    /// State in the protocol's table.
    pub state: Cell<u8>,
    /// [`conn_flags`].
    pub flags: Cell<u8>,
    /// When it expires: nanoseconds of the coarse monotonic clock.
    pub expires: Cell<u64>,
    /// Destination.
    pub dest: Cell<DestId>,
    /// Service.
    pub service: Cell<ServiceId>,
    /// Packets from the client.
    pub in_pkts: Cell<u32>,
    /// Timeout of its present state, in milliseconds.
    pub timeout_ms: Cell<u32>,

    /// Real server's address (RIP).
    pub daddr: Cell<Addr>,
    /// Real server's port.
    pub dport: Cell<Be16>,
    /// Real server's family.
    pub dfamily: Cell<u8>,
    /// Forwarding method, as [`Forward`].
    pub forward: Cell<u8>,
    /// Tunnel type.
    pub tun_type: Cell<u8>,
    /// Tunnel flags.
    pub tun_flags: Cell<u8>,
    /// Tunnel port.
    pub tun_port: Cell<Be16>,
    /// Hash of the client's key.
    pub hash: Cell<u64>,
    /// Hash of the real server's key; 0: not entered (DR, TUN, templates). Templates of a persistence engine: what the engine
    /// knows the client's call by.
    pub rev_hash: Cell<u64>,
    /// The persistence template that controls it, plus 1; 0: none.
    pub control: Cell<u32>,
    /// Template: connections it controls.
    pub controlled: Cell<u32>,
    /// Firewall mark of the service; 0: none.
    pub mark: Cell<u32>,
    /// Counts the uses of this index.
    pub serial: Cell<u32>,
    /// When it was marked [`conn_flags::DEAD`].
    pub died: Cell<u64>,
}

/// What is remembered of a control connection of FTP: value of the map `TALKS`, by connection.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Talk {
    /// The connection's [`Conn::serial`]; a record of another is none.
    pub serial: u32,
    /// 1: the client asked for passive connections last, so that replies that name a port count.
    pub passive: u32,
    /// Sequence number, as the server counts, of the byte behind the text that was rewritten last.
    pub at: u32,
    /// By how much the server's bytes from there on are moved for the client.
    pub delta: i32,
    /// By how much those before are.
    pub before: i32,
    /// Zero.
    pub pad: u32,
}

/// What a persistence engine made a template for: value of the map `ENGINE_DATA`, by template.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes)]
#[repr(C)]
pub struct EngineData {
    /// The template's [`Conn::serial`]; a record of another is none.
    pub serial: u32,
    /// Number of bytes.
    pub len: u32,
    /// The bytes.
    pub bytes: [u8; ENGINE_BYTES],
}

/// Room in [`EngineData`].
pub const ENGINE_BYTES: usize = 256;

/// In [`Conn::family`] (and the key) of a persistence template: it can never be taken for a connection.
pub const TEMPLATE_FAMILY: u8 = 0x80;

/// The kernel's spin lock; it knows it by this name, wherever it lies in a map's value.
#[derive(Clone, Debug, Default, FromBytes)]
#[repr(C)]
pub struct bpf_spin_lock {
    /// The kernel's business.
    pub val: Cell<u32>,
}

/// Where a scheduler stands: value of the map `SCHED`, by service.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SchedCell {
    /// Guards the rest.
    pub lock: bpf_spin_lock,
    /// [`ServiceSlot::sched_version`] that `state` goes on from.
    pub version: Cell<u32>,
    /// The state.
    pub state: Cell<SchedState>,
    /// lblc, lblcr: addresses remembered. May be a few off, when the scheduler was just exchanged.
    pub remembered: Cell<u32>,
    /// lblc, lblcr: how many of them the present round of the sweeper may still drop because there are too many.
    pub excess: Cell<u32>,
}

/// Entries in one bucket of the connection table.
pub const BUCKET_SLOTS: usize = 7;

/// One cache line of the connection hash table: value of the map `BUCKETS`.
///
/// A slot is 0 when empty; else the low half is the connection's index plus 1, the high half a tag: 31 bits of the hash and,
/// lowest, 1 for the real server's key.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Bucket {
    /// Writers hold it, readers do not.
    pub lock: bpf_spin_lock,
    /// Zero.
    pub pad: u32,
    /// The entries.
    pub slots: [Cell<u64>; BUCKET_SLOTS],
}

/// Number of shards that connection indexes are handed out from.
pub const SHARDS: u32 = 8;

/// A range of connection indexes and the free ones among them: value of the map `SHARDS`.
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Shard {
    /// Guards the rest.
    pub lock: bpf_spin_lock,
    /// Number of free indexes on the stack `FREE[base ..]`.
    pub free: Cell<u32>,
    /// Indexes from `base + fresh` on have never been used.
    pub fresh: Cell<u32>,
    /// Place in the shard's ring of embryonic connections that comes next; counts on past the ring's end.
    pub hand: Cell<u32>,
}

/// Places in the rings of embryonic connections (the map `EMBRYOS`), for so many connections: of half the records.
pub const fn embryos(conns: u32) -> u32 {
    conns / 2
}

/// Counters of a service or destination, per CPU: value of `STATS_SERVICE` and `STATS_DEST`. They only ever grow; what
/// `ipvsadm -Z` and a new use of an index subtract is in [`Base`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Counters {
    /// Connections scheduled.
    pub conns: u64,
    /// Packets from clients.
    pub in_pkts: u64,
    /// Packets from real servers.
    pub out_pkts: u64,
    /// Bytes from clients (IP length).
    pub in_bytes: u64,
    /// Bytes from real servers.
    pub out_bytes: u64,
}

/// What to subtract from the sum of [`Counters`]: value of `BASE_SERVICE` and `BASE_DEST`. Only user space writes it.
pub type Base = Counters;

/// Rate estimator of a service or destination, the kernel's arithmetic: value of `RATE_SERVICE` and `RATE_DEST`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Rate {
    /// Sums at the last sample.
    pub last: Counters,
    /// Exponentially weighted rates, scaled: conns and packets by 2^10, bytes by 2^5. See [`crate::stats`].
    pub ewma: Counters,
    /// Zero.
    pub pad: u64,
}

/// Timeouts in seconds, by protocol and state.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Timeouts {
    /// First generation that this slot holds for.
    pub generation: u32,
    /// TCP, by state number.
    pub tcp: [u32; 11],
    /// UDP.
    pub udp: u32,
    /// Zero.
    pub pad: [u32; 3],
}

/// The root of everything: value 0 of the map `CONTROL`.
#[derive(Debug, Default, FromBytes)]
#[repr(C)]
pub struct Control {
    /// [`ABI_VERSION`].
    pub abi: u32,
    /// The generation that packets see. Storing it is the commit.
    pub generation: Cell<u32>,
    /// Equal to `generation` when no writer is at work; 0 while one is, from its first change until it has cleaned up after
    /// the commit. A writer that finds 0 repairs what the last one left.
    pub prepared: u32,
    /// Services with a greater index have never been used.
    pub services_used: u32,
    /// Destinations with a greater index have never been used.
    pub dests_used: u32,
    /// Where the next list is looked for in `LISTS`.
    pub lists_cursor: u32,
    /// Entries of `CONNS`.
    pub conn_capacity: u32,
    /// Buckets, a power of two.
    pub buckets: u32,
    /// Ticks of the sweeper so far; shows that it runs.
    pub ticks: Cell<u32>,
    /// Services by firewall mark that exist; 0 spares packets the look-up.
    pub mark_services: u32,
    /// Ids given out to scheduler versions.
    pub sched_versions: u32,
    /// Which rules in `MARK_RULES` hold: the first in the upper half, how many in the lower.
    pub mark_rules: Cell<u32>,
    /// Which of `settings` holds: 0 or 1. Storing it is what changes them.
    pub settings_at: Cell<u32>,
    /// The defences in force, flags of [`defence`]; the sweeper's.
    pub defence: Cell<u32>,
    /// Of how many new connections one is dropped, 0: none; the sweeper's.
    pub drop_rate: Cell<u32>,
    /// Where the next scheduler's table is looked for in `TABLES`.
    pub tables_cursor: u32,
    /// Two versions of the timeouts.
    pub timeouts: [Timeouts; 2],
    /// Two versions of the settings.
    pub settings: [Settings; 2],
    /// Connections that may begin until the next one is dropped.
    pub drop_counter: Cell<u32>,
    /// Minutes until lblc and lblcr look through all that they remember.
    pub cache_round: Cell<u32>,
    /// Services of port 21 that exist; 0 spares packets for other ports the look-up.
    pub ftp_services: u32,
    /// Second of the coarse monotonic clock until which data connections may be expected.
    pub expects_until: Cell<u32>,
    /// Zero.
    pub rest: [u32; 12],
}

impl Control {
    /// The settings in force.
    #[inline(always)]
    pub fn settings(&self) -> &Settings {
        let [first, second] = &self.settings;
        if self.settings_at.get() & 1 == 0 { first } else { second }
    }

    /// Whether a defence (of [`defence`]) is in force.
    #[inline(always)]
    pub fn defends(&self, which: u32) -> bool {
        self.defence.get() & which != 0
    }

    /// Whether TCP goes by the table of `secure_tcp`.
    #[inline(always)]
    pub fn secure_tcp(&self) -> bool {
        self.defends(defence::SECURE_TCP)
    }

    /// Whether a packet that would begin a connection is to be dropped (`drop_packet`).
    #[inline(always)]
    pub fn drops_next(&self) -> bool {
        let rate = self.drop_rate.get();
        if rate == 0 {
            return false;
        }
        // Not exact when several CPUs count at once, nor need it be: a few more or less are dropped.
        let left = self.drop_counter.get();
        let drops = left <= 1 || left > rate;
        self.drop_counter.set(if drops { rate } else { left - 1 });
        drops
    }
}

/// A next hop, cached per CPU: value of the map `HOPS`.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Hop {
    /// The IP destination that this entry is for.
    pub dst: Addr,
    /// The IP source that it is for; unspecified for packets to real servers.
    pub src: Addr,
    /// The gateway's address, or the destination's own.
    pub gateway: Addr,
    /// Valid until (coarse monotonic nanoseconds).
    pub until: u64,
    /// Way out.
    pub ifindex: u32,
    /// Its MTU for this route; 0: unknown.
    pub mtu: u32,
    /// Destination MAC.
    pub dmac: [u8; 6],
    /// Source MAC.
    pub smac: [u8; 6],
    /// Family of `dst`.
    pub family: u8,
    /// 1: the MAC addresses are good; 2: the next hop is this host itself.
    pub resolved: u8,
    /// 1: the way out takes frames from XDP.
    pub xdp: u8,
    /// Zero.
    pub pad: u8,
}

/// An interface that has `rvs_xdp`: value of the map `XDP_PORTS`, at [`xdp_slot`] of its index.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct XdpPort {
    /// Its index; 0: none here.
    pub ifindex: u32,
    /// Its MAC address: XDP sees also frames for others when the interface listens to all.
    pub mac: [u8; 6],
    /// 1: in the driver, which then takes frames from XDP, too; 0: before the stack.
    pub native: u8,
    /// Zero.
    pub pad: u8,
}

/// What became of the first fragment of a packet: value of the map `FATES`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Fate {
    /// Until when it holds (coarse monotonic nanoseconds).
    pub expires: u64,
    /// Forwarded: the connection.
    pub conn: ConnId,
    /// Its [`Conn::serial`].
    pub serial: u32,
    /// One of [`fates`].
    pub kind: u8,
    /// Forwarded: 1 towards the client.
    pub outward: u8,
    /// Zero.
    pub pad: [u8; 6],
}

/// Values of [`Fate::kind`].
pub mod fates {
    /// Left to the host.
    pub const PASSED: u8 = 0;
    /// Sent on.
    pub const FORWARDED: u8 = 1;
    /// Dropped.
    pub const DROPPED: u8 = 2;
}

/// A rule that marks packets: value of the map `MARK_RULES`. A new connection's packet gets the mark of the first rule that it
/// matches.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MarkRule {
    /// Network of the source, under `src_mask`.
    pub src: Addr,
    /// Its mask; all zero: any source.
    pub src_mask: Addr,
    /// Network of the destination, under `dst_mask`.
    pub dst: Addr,
    /// Its mask.
    pub dst_mask: Addr,
    /// Destination ports, each from the first to the second, host order; 0 to 0: unused, except that the first pair then means
    /// any port.
    pub ports: [[u16; 2]; MARK_RANGES],
    /// The mark; never 0.
    pub mark: u32,
    /// IP protocol; 0: any.
    pub proto: u8,
    /// Address family.
    pub family: u8,
    /// Zero.
    pub pad: u16,
}

/// Ranges of ports in a [`MarkRule`].
pub const MARK_RANGES: usize = 6;
/// Entries of `MARK_RULES`: two lists, of which one holds.
pub const MARK_RULES: u32 = 256;

/// Entries of `XDP_PORTS`.
pub const XDP_SLOTS: u32 = 256;

/// Where an interface is kept in `XDP_PORTS`. Two with the same slot can't both have XDP's help; TC serves the other.
#[inline(always)]
pub const fn xdp_slot(ifindex: u32) -> u32 {
    ifindex % XDP_SLOTS
}

/// Of two slots, the index of the one that holds in `generation`, if any does.
#[inline(always)]
pub const fn active(slots: [u32; 2], generation: u32) -> Option<usize> {
    // Generation 0 marks a slot that was never written.
    let ok0 = slots[0] != 0 && slots[0] <= generation;
    let ok1 = slots[1] != 0 && slots[1] <= generation;
    match (ok0, ok1) {
        (false, false) => None,
        (true, false) => Some(0),
        (false, true) => Some(1),
        (true, true) => Some(if slots[1] > slots[0] { 1 } else { 0 }),
    }
}

const _: () = {
    assert!(size_of::<FlowKey>() == 40);
    assert!(size_of::<ServiceKey>() == 20);
    assert!(size_of::<ServiceSlot>() == 72);
    assert!(size_of::<Service>() == 176);
    assert!(size_of::<TableRow>() == 64);
    assert!(size_of::<Block>() == 16);
    assert!(size_of::<CacheKey>() == 24);
    assert!(size_of::<Locality>() == 16);
    assert!(size_of::<Replicas>() == 24 + 8 * MAX_REPLICAS);
    assert!(size_of::<ListEntry>() == 32);
    assert!(size_of::<Dest>() == 128);
    assert!(size_of::<Conn>() == 128);
    assert!(size_of::<Bucket>() == 64);
    assert!(size_of::<Shard>() == 16);
    assert!(size_of::<SchedCell>() == 32);
    assert!(size_of::<Counters>() == 40);
    assert!(size_of::<Rate>() == 88);
    assert!(size_of::<Timeouts>() == 64);
    assert!(size_of::<Control>() == 640);
    assert!(size_of::<Hop>() == 80);
    assert!(size_of::<XdpPort>() == 12);
    assert!(size_of::<Fate>() == 24);
    assert!(size_of::<Talk>() == 24);
    assert!(size_of::<EngineData>() == 264);
    assert!(size_of::<MarkRule>() == 96);
};
