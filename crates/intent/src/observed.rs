//! What a data plane shows of itself: the table with its counters, and the connections.

use crate::model::{Dest, Service, Timeouts};
use rvs_core::abi::{Counters, Forward};
use rvs_wire::{Addr, Be16, Family};

/// The table as it is, with counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The services in the order in which they were added.
    pub services: Vec<ListedService>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// `size=` of ipvsadm's banner: hash buckets of the connection table as IPVS counts them.
    pub conn_table_size: u32,
}

/// A service and its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedService {
    /// Its settings (with `dests` empty; they are below).
    pub service: Service,
    /// Counters since it was added or zeroed.
    pub counters: Counters,
    /// Rates.
    pub rates: Rates,
    /// Its destinations, newest first.
    pub dests: Vec<ListedDest>,
}

/// A destination and its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDest {
    /// Its settings.
    pub dest: Dest,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistence templates.
    pub persist: u32,
    /// Counters since it was added or zeroed.
    pub counters: Counters,
    /// Rates.
    pub rates: Rates,
}

/// Rates per second, as the kernel rounds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Connections.
    pub cps: u64,
    /// Packets from clients.
    pub in_pps: u64,
    /// Packets from real servers.
    pub out_pps: u64,
    /// Bytes from clients.
    pub in_bps: u64,
    /// Bytes from real servers.
    pub out_bps: u64,
}

impl Rates {
    /// Adds another's.
    pub fn add(&mut self, more: &Self) {
        self.cps += more.cps;
        self.in_pps += more.in_pps;
        self.out_pps += more.out_pps;
        self.in_bps += more.in_bps;
        self.out_bps += more.out_bps;
    }
}

/// The sum of two counters, modulo 2^64 as the kernel counts.
pub const fn plus(a: &Counters, b: &Counters) -> Counters {
    Counters {
        conns: a.conns.wrapping_add(b.conns),
        in_pkts: a.in_pkts.wrapping_add(b.in_pkts),
        out_pkts: a.out_pkts.wrapping_add(b.out_pkts),
        in_bytes: a.in_bytes.wrapping_add(b.in_bytes),
        out_bytes: a.out_bytes.wrapping_add(b.out_bytes),
    }
}

/// What has been counted since `start`.
pub const fn minus(now: &Counters, start: &Counters) -> Counters {
    Counters {
        conns: now.conns.wrapping_sub(start.conns),
        in_pkts: now.in_pkts.wrapping_sub(start.in_pkts),
        out_pkts: now.out_pkts.wrapping_sub(start.out_pkts),
        in_bytes: now.in_bytes.wrapping_sub(start.in_bytes),
        out_bytes: now.out_bytes.wrapping_sub(start.out_bytes),
    }
}

/// The figures of a whole director.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Counters since the director exists or was zeroed.
    pub counters: Counters,
    /// Rates.
    pub rates: Rates,
    /// Counters of each possible CPU since the director exists; zeroing leaves them alone. Empty where CPUs are not told
    /// apart.
    pub per_cpu: Vec<Counters>,
}

impl Totals {
    /// The sums of a listing.
    pub fn of(listing: &Listing) -> Self {
        let mut totals = Self::default();
        for service in &listing.services {
            totals.counters = plus(&totals.counters, &service.counters);
            totals.rates.add(&service.rates);
        }
        totals
    }
}

/// An entry of the connection table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// IP protocol; 0 for a template of a service by mark.
    pub proto: u8,
    /// Family of client and virtual address.
    pub family: Family,
    /// Client.
    pub client: (Addr, Be16),
    /// Virtual service.
    pub virt: (Addr, Be16),
    /// Real server.
    pub dest: (Addr, Be16),
    /// Family of the real server.
    pub dest_family: Family,
    /// Forwarding method.
    pub forward: Forward,
    /// Name of its state, as ipvsadm prints it.
    pub state: &'static str,
    /// Seconds until it expires, rounded down.
    pub expires_secs: u32,
    /// Whether it is a persistence template.
    pub template: bool,
}
