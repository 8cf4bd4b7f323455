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
