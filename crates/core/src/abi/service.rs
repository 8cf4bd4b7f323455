//! Records of services and destinations, and the lists that join them.

use super::*;

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
    /// TCP connections by masquerading whose SYN the server answered with a SYN of its own; each counts once.
    pub answered: Cell<u32>,
    /// Such connections that the server refused: its first word was an RST.
    pub refused: Cell<u32>,
    /// Such connections whose time was up in SYN_RECV before the server said either.
    pub unanswered: Cell<u32>,
    /// Zero.
    pub pad: [u32; 3],
}

/// Which addresses services and real servers have had, one bit for all addresses with the same [`Addresses::place`]: the value of
/// the map `ADDRESSES`. Bits are never taken back, since connections outlive what they began with.
#[derive(Debug, FromBytes)]
#[repr(C)]
pub struct Addresses {
    /// The bits.
    pub words: [Cell<u32>; ADDRESS_WORDS],
}

/// Words in [`Addresses`], a power of two.
pub const ADDRESS_WORDS: usize = 2048;

impl Default for Addresses {
    fn default() -> Self {
        Self { words: [const { Cell::new(0) }; ADDRESS_WORDS] }
    }
}

impl Addresses {
    /// Where an address has its bit: the word, and the bit in it.
    #[inline(always)]
    pub const fn place(addr: Addr) -> (usize, u32) {
        let mixed = addr.fold().raw().wrapping_mul(0x9e37_79b1);
        (((mixed >> 21) as usize) & (ADDRESS_WORDS - 1), 1 << (mixed >> 16 & 31))
    }

    /// Whether an address may be one of them; `false` is certain.
    #[inline(always)]
    pub fn may_have(&self, addr: Addr) -> bool {
        let (word, bit) = Self::place(addr);
        self.words[word].get() & bit != 0
    }

    /// Adds an address.
    pub fn add(&self, addr: Addr) {
        let (word, bit) = Self::place(addr);
        self.words[word].set(self.words[word].get() | bit);
    }
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
