//! What a data plane shows of itself: the table with its counters, and the connections.

use crate::model::{Dest, Engine, Service, Table, Timeouts};
use rvs_core::abi::{Counters, Forward, ServiceKey};
use rvs_wire::{Addr, Be16, Family};
use std::net::IpAddr;

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

impl Listing {
    /// The table without its figures.
    pub fn table(&self) -> Table {
        let service = |listed: &ListedService| Service {
            dests: listed.dests.iter().map(|listed| listed.dest.clone()).collect(),
            ..listed.service.clone()
        };
        Table { services: self.services.iter().map(service).collect(), timeouts: self.timeouts }
    }

    /// A destination of a service, if both are there.
    pub fn dest(&self, key: &ServiceKey, addr: Addr, port: Be16) -> Option<&ListedDest> {
        let service = self.services.iter().find(|listed| listed.service.key == *key)?;
        service.dests.iter().find(|listed| listed.dest.addr == addr && listed.dest.port == port)
    }
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
    /// What became of its new TCP connections.
    pub openings: Openings,
}

/// What a real server said first to new TCP connections that passed to it and back by masquerading, since it was added. Each
/// counts once, and never one whose client gave up before, or that made room for others in a flood: what is counted tells of
/// the server. The figures only grow; they go round at 2^32. Other forwarding methods and protocols count nothing: their answers
/// do not pass, or do not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// It accepted: a SYN of its own came back.
    pub answered: u32,
    /// It refused: an RST came back.
    pub refused: u32,
    /// It said nothing until the connection's time in SYN_RECV was up (60 seconds after the last SYN; under `secure_tcp`, and as
    /// timeouts are set).
    pub unanswered: u32,
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
    /// The persistence engine that made the template, and the bytes that it was made for.
    pub engine: Option<(Engine, Vec<u8>)>,
}

impl Connection {
    /// Whether it carries nothing any more and only waits for late packets.
    pub fn is_over(&self) -> bool {
        !self.template && ["TIME_WAIT", "CLOSE", "CLOSED", "REJECTED"].contains(&self.state)
    }
}

/// Side of the connection synchronisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DaemonRole {
    /// Sends.
    #[default]
    Master,
    /// Receives.
    Backup,
}

impl DaemonRole {
    /// The name that the tools know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Master, Self::Backup].into_iter().find(|role| role.name() == name)
    }
}

/// A daemon of the connection synchronisation: as it is to be started, or as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Its side.
    pub role: DaemonRole,
    /// The interface it sends or listens on.
    pub interface: String,
    /// Its syncid; as receiver 0 takes any.
    pub syncid: u8,
    /// Most bytes of a message; `None`, only before the start: as the interface's MTU allows.
    pub maxlen: Option<u16>,
    /// The multicast group.
    pub group: IpAddr,
    /// UDP port.
    pub port: u16,
    /// Multicast TTL.
    pub ttl: u8,
}

impl Daemon {
    /// As the kernel starts it when nothing but the side is said.
    pub fn new(role: DaemonRole) -> Self {
        Self {
            role,
            interface: "eth0".to_owned(),
            syncid: 0,
            maxlen: None,
            group: IpAddr::V4(std::net::Ipv4Addr::new(224, 0, 0, 81)),
            port: 8848,
            ttl: 1,
        }
    }
}
