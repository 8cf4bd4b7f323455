//! What a laboratory looks like: addresses, gateways, where the virtual address lives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
/// The director on the clients' side.
pub const DIRECTOR_FRONT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);
/// The director on the servers' side.
pub const DIRECTOR_BACK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
/// The router on the clients' side.
pub const ROUTER_FRONT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 254);
/// The router on the servers' side.
pub const ROUTER_BACK: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 254);

/// Address of the real server `n`, counted from 1.
pub const fn server(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 10 + n)
}

/// An address family. Every host has an address of each, which end in the same number but for the virtual address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The virtual address: 10.0.1.10 or fd00:1::10.
    pub const fn vip(self) -> IpAddr {
        self.pick(VIP, Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10))
    }

    /// The client.
    pub const fn client(self) -> IpAddr {
        self.client_number(0)
    }

    /// The client's address with this number, counted from 0.
    pub const fn client_number(self, number: u8) -> IpAddr {
        let [a, b, c, d] = CLIENT.octets();
        self.pick(Ipv4Addr::new(a, b, c, d + number), host6(1, d + number))
    }

    /// The real server `n`, counted from 1.
    pub const fn server(self, n: u8) -> IpAddr {
        self.pick(server(n), host6(2, 10 + n))
    }

    /// The director on the clients' side.
    pub const fn director_front(self) -> IpAddr {
        self.pick(DIRECTOR_FRONT, host6(1, 1))
    }

    /// The director on the servers' side.
    pub const fn director_back(self) -> IpAddr {
        self.pick(DIRECTOR_BACK, host6(2, 1))
    }

    /// The router on the clients' side.
    pub const fn router_front(self) -> IpAddr {
        self.pick(ROUTER_FRONT, host6(1, 254))
    }

    /// The router on the servers' side.
    pub const fn router_back(self) -> IpAddr {
        self.pick(ROUTER_BACK, host6(2, 254))
    }

    /// No address in particular.
    pub const fn unspecified(self) -> IpAddr {
        self.pick(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)
    }

    /// The address of this host itself.
    pub const fn localhost(self) -> IpAddr {
        self.pick(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
    }

    const fn pick(self, v4: Ipv4Addr, v6: Ipv6Addr) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(v4),
            Self::V6 => IpAddr::V6(v6),
        }
    }
}

const fn host6(segment: u16, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, segment, 0, 0, 0, 0, 0, host as u16)
}

/// A link layer address.
pub type Mac = [u8; 6];

/// MAC of the client.
pub const CLIENT_MAC: Mac = mac(1, 100);
/// MAC of the director on the clients' side.
pub const DIRECTOR_FRONT_MAC: Mac = mac(1, 1);
/// MAC of the director on the servers' side.
pub const DIRECTOR_BACK_MAC: Mac = mac(2, 1);
/// MAC of the router on the clients' side.
pub const ROUTER_FRONT_MAC: Mac = mac(1, 254);
/// MAC of the router on the servers' side.
pub const ROUTER_BACK_MAC: Mac = mac(2, 254);

/// MAC of the real server `n`, counted from 1.
pub const fn server_mac(n: u8) -> Mac {
    mac(2, 10 + n)
}

const fn mac(segment: u8, host: u8) -> Mac {
    [2, 0, 0, 0, segment, host]
}

/// In the usual notation.
pub(crate) fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// How the director hands packets to the real servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Masquerading; the director is the servers' gateway.
    Nat,
    /// Direct routing; servers hold the virtual address and answer through the router.
    Dr,
    /// IP-in-IP tunnels; servers hold the virtual address, unpack, and answer through the router.
    Tun,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nat, Self::Dr, Self::Tun];

    /// ipvsadm's option.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Nat => "-m",
            Self::Dr => "-g",
            Self::Tun => "-i",
        }
    }

    /// ipvsadm's word in listings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nat => "Masq",
            Self::Dr => "Route",
            Self::Tun => "Tunnel",
        }
    }

    /// The usual short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::Dr => "DR",
            Self::Tun => "TUN",
        }
    }
}

/// A laboratory to be built.
#[derive(Clone, Debug)]
pub struct Topology {
    pub(crate) method: Method,
    pub(crate) servers: u8,
    pub(crate) clients: u8,
    pub(crate) offloads: bool,
    pub(crate) http: bool,
    pub(crate) name: Option<String>,
}

impl Topology {
    /// For one forwarding method, with three real servers and offloads as they are by default.
    pub const fn of(method: Method) -> Self {
        Self { method, servers: 3, clients: 1, offloads: true, http: false, name: None }
    }

    /// For masquerading.
    pub const fn nat() -> Self {
        Self::of(Method::Nat)
    }

    /// For direct routing.
    pub const fn dr() -> Self {
        Self::of(Method::Dr)
    }

    /// For tunnels.
    pub const fn tun() -> Self {
        Self::of(Method::Tun)
    }

    /// Number of real servers, 1 to 9.
    pub const fn servers(mut self, count: u8) -> Self {
        self.servers = count;
        self
    }

    /// Number of client addresses: 10.0.1.100 and on, up to 100.
    pub const fn clients(mut self, count: u8) -> Self {
        self.clients = count;
        self
    }

    /// Whether senders leave checksums and segmentation to the device, as is usual. Without, every packet on the wire is
    /// complete and can be checked.
    pub const fn offloads(mut self, on: bool) -> Self {
        self.offloads = on;
        self
    }

    /// With a real web server (nginx) on every real server, ports 80 and 8080.
    pub const fn http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Names begin with `NAME-` instead of the process's own prefix.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}
