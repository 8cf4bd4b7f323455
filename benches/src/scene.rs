//! What the director under measurement is configured with. Data only.

use rvs_core::abi::{Forward, ServiceKey};
use rvs_core::sched::Kind;
use rvs_intent::{Dest, Edit, ServiceSettings, Timeouts, Tunnel, TunnelKind};
use rvs_wire::{Be16, Family};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
/// The virtual address in IPv6.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);
/// The real server.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 11);
/// The real server in IPv6.
pub const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0xb);
/// Where nothing listens.
pub const NO_PORT: u16 = 9;

/// Numbers of servers that schedulers are measured with.
pub const SERVERS: [u16; 4] = [3, 10, 100, 1000];
/// Where the real server expects GUE.
const GUE_PORT: u16 = 6080;

/// The port of the service with this scheduler and the `size`-th number of servers.
pub const fn scheduled_port(kind: Kind, size: usize) -> u16 {
    1000 + 10 * kind as u16 + size as u16
}

/// A configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scene {
    /// A service for each forwarding method, protocol and family.
    Methods,
    /// The same, and one for each scheduler and number of servers.
    Schedulers,
    /// One masquerading service, and as many others that this makes the number.
    Services(u32),
}

/// Forwarding methods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Masquerading.
    Nat,
    /// Direct routing.
    Dr,
    /// Tunnelling, IP in IP.
    Tun,
    /// Tunnelling, GUE.
    Gue,
}

impl Method {
    /// All.
    pub const ALL: [Self; 4] = [Self::Nat, Self::Dr, Self::Tun, Self::Gue];
    /// Those that IPVS has always had.
    pub const CLASSIC: [Self; 3] = [Self::Nat, Self::Dr, Self::Tun];

    /// The port of its service.
    pub const fn port(self) -> u16 {
        80 + self as u16
    }

    /// Its name in tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::Dr => "DR",
            Self::Tun => "TUN",
            Self::Gue => "TUN gue",
        }
    }

    /// Whether packets are wrapped.
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Self::Tun | Self::Gue)
    }

    /// The kernel's number of it.
    pub(crate) const fn forward(self) -> Forward {
        match self {
            Self::Nat => Forward::Masq,
            Self::Dr => Forward::Route,
            Self::Tun | Self::Gue => Forward::Tunnel,
        }
    }

    fn dest(self, family: Family) -> Dest {
        let mut dest = dest(self.port(), self.forward(), 1);
        if family == Family::V6 {
            dest.addr = SERVER6.into();
            dest.family = family;
        }
        if self == Self::Gue {
            dest.tunnel = Tunnel { kind: TunnelKind::Gue, port: Be16::new(GUE_PORT), flags: 0 };
        }
        dest
    }
}

impl Scene {
    /// The edits that make it, from an empty table.
    pub fn edits(self) -> Vec<Edit> {
        // Datagrams that begin connections by the million must not fill the table while others are measured.
        let mut edits = vec![Edit::SetTimeouts(Timeouts { udp: 5, ..Timeouts::default() })];
        match self {
            Self::Methods => methods(&mut edits),
            Self::Schedulers => {
                methods(&mut edits);
                schedulers(&mut edits);
            }
            Self::Services(count) => {
                let at = key(Method::Nat.port());
                edits.extend([service(at, "rr"), Edit::AddDest(at, Method::Nat.dest(Family::V4))]);
                for n in 1..count {
                    let at = ServiceKey { addr: Ipv4Addr::from(0x0a09_0000 + n).into(), ..at };
                    edits.extend([service(at, "rr"), Edit::AddDest(at, Method::Nat.dest(Family::V4))]);
                }
            }
        }
        edits
    }
}

fn methods(edits: &mut Vec<Edit>) {
    for method in Method::ALL {
        for (proto, family) in [(6, Family::V4), (17, Family::V4), (6, Family::V6), (17, Family::V6)] {
            let mut key = ServiceKey { proto, family: family.raw(), ..key(method.port()) };
            if family == Family::V6 {
                key.addr = VIP6.into();
            }
            edits.extend([service(key, "rr"), Edit::AddDest(key, method.dest(family))]);
        }
    }
}

fn schedulers(edits: &mut Vec<Edit>) {
    for kind in Kind::ALL {
        for (size, servers) in SERVERS.into_iter().enumerate() {
            let key = key(scheduled_port(kind, size));
            edits.push(service(key, kind.name()));
            // One address, so that there is one next hop; weights of 1 to 7, or so much more that ovf's never flow over.
            let unit = if kind == Kind::Ovf { 100_000 } else { 1 };
            let weight = |n| unit * (1 + i32::from(n) % 7);
            edits.extend((1..=servers).map(|n| Edit::AddDest(key, dest(n, Forward::Masq, weight(n)))));
        }
    }
}

fn key(port: u16) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(port), proto: 6, family: Family::V4.raw() }
}

fn service(key: ServiceKey, sched: &str) -> Edit {
    Edit::AddService(ServiceSettings {
        key,
        sched: sched.into(),
        flags: 0,
        persist_secs: 0,
        netmask: Ipv4Addr::BROADCAST.into(),
        engine: None,
    })
}

fn dest(port: u16, forward: Forward, weight: i32) -> Dest {
    Dest {
        addr: SERVER.into(),
        family: Family::V4,
        port: Be16::new(port),
        forward,
        weight,
        last_weight: weight,
        u_threshold: 0,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    }
}
