//! The table of virtual services, as people think of it.

use rvs_core::abi::{Forward, SchedState, ServiceKey};
use rvs_core::sched;
use rvs_wire::{Addr, Be16, Family};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The virtual services, in the order in which they were added.
    pub services: Vec<Service>,
    /// Timeouts that `--set` changes.
    pub timeouts: Timeouts,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Protocol, address and port, or firewall mark.
    pub key: ServiceKey,
    /// Scheduler.
    pub sched: sched::Kind,
    /// [`rvs_core::abi::flags`].
    pub flags: u16,
    /// Persistence timeout in seconds; 0 when not persistent.
    pub persist_secs: u32,
    /// Mask under which clients share a template. IPv4: the mask as an address. IPv6: the mask of the prefix length.
    pub netmask: Addr,
    /// Persistence engine.
    pub engine: Option<Engine>,
    /// Where its scheduler stands.
    pub sched_state: SchedState,
    /// Its destinations, newest first: the kernel's order.
    pub dests: Vec<Dest>,
}

/// Whether a key is that of a service by firewall mark.
pub fn is_mark(key: &ServiceKey) -> bool {
    key.proto == 0
}

/// Persistence engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// By the Call-ID of SIP over UDP.
    Sip,
}

impl Engine {
    /// The name that `--pe` knows it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
        }
    }

    /// By name.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::Sip.name()).then_some(Self::Sip)
    }
}

/// A destination: a real server of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dest {
    /// Address.
    pub addr: Addr,
    /// Family of `addr`.
    pub family: Family,
    /// Port. Of a [`Forward::Route`] or [`Forward::Tunnel`] destination always the service's.
    pub port: Be16,
    /// Forwarding method.
    pub forward: Forward,
    /// Weight; 0 quiesces.
    pub weight: i32,
    /// Last weight that was not 0.
    pub last_weight: i32,
    /// Upper threshold of connections; 0: none.
    pub u_threshold: u32,
    /// Lower threshold.
    pub l_threshold: u32,
    /// Tunnel settings; meaningful with [`Forward::Tunnel`].
    pub tunnel: Tunnel,
}

impl Dest {
    /// A destination as a tool names it when it gives nothing but its address: direct routing, weight 1, no thresholds.
    pub fn new(addr: Addr, family: Family, port: Be16) -> Self {
        Self {
            addr,
            family,
            port,
            forward: Forward::Route,
            weight: 1,
            last_weight: 1,
            u_threshold: 0,
            l_threshold: 0,
            tunnel: Tunnel::default(),
        }
    }
}

/// Encapsulation of a tunnelled destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Type.
    pub kind: TunnelKind,
    /// Destination port (GUE).
    pub port: Be16,
    /// 1: checksum, 2: remote checksum.
    pub flags: u16,
}

/// Tunnel types, with the kernel's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TunnelKind {
    /// IP in IP.
    #[default]
    Ipip = 0,
    /// Generic UDP encapsulation.
    Gue = 1,
    /// Generic routing encapsulation.
    Gre = 2,
}

/// Timeouts in seconds, as `ipvsadm --set` and `-L --timeout` know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Established TCP.
    pub tcp: u32,
    /// TCP in FIN_WAIT.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { tcp: 900, tcp_fin: 120, udp: 300 }
    }
}
