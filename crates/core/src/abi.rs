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
mod conn;
mod packet;
mod sched;
mod service;

pub use conn::*;
pub use packet::*;
pub use sched::*;
pub use service::*;

use core::cell::Cell;
use rvs_wire::{Addr, Be16};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of everything in this file; part of the path that the maps are pinned under.
pub const ABI_VERSION: u32 = 4;

/// Priority of packets that are only tried, by the kernel's test runs: they have not come from anywhere.
pub const TRIAL: u32 = 0x5256_5354;

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
/// Packed, so that it has no padding: the bytes of keys are compared.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, packed(4))]
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

/// The kernel's spin lock; it knows it by this name, wherever it lies in a map's value.
#[derive(Clone, Debug, Default, FromBytes)]
#[repr(C)]
pub struct bpf_spin_lock {
    /// The kernel's business.
    pub val: Cell<u32>,
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
    /// Second of the coarse monotonic clock until which probes hold ([`crate::probe`]); 0: there are none.
    pub probes_until: Cell<u32>,
    /// Services with a persistence engine that exist; 0 spares real servers' datagrams of no connection the look.
    pub engine_services: u32,
    /// Zero.
    pub rest: [u32; 2],
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
    assert!(size_of::<Probe>() == 48);
    assert!(size_of::<ProbeFlow>() == 24);
};
