//! What is presented to the programs. Data only: names, packets, how many connections they belong to, and in which scene.

use crate::scene::{self, Method, Scene};
use rvs_core::frames::{self, Shape};
use rvs_core::sched::Kind;
use rvs_wire::Family;
use rvs_wire::tcp::{ACK, SYN};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port of the client.
const CLIENT_PORT: u16 = 4000;
/// Connections of the largest table.
pub const MILLION: u32 = 1 << 20;

/// Where packets are presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// XDP.
    Xdp,
    /// TC.
    Tc,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Xdp, Self::Tc];

    /// Its name in tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Xdp => "XDP",
            Self::Tc => "TC",
        }
    }
}

/// What the packets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packet {
    /// Through the floor instead of the director.
    Floor,
    /// Through the bare balancer instead of the director.
    Bare(Method),
    /// From a client to a service.
    Request(Method),
    /// From a client to the service with this scheduler and the number of servers at this place in [`scene::SERVERS`].
    Scheduled(Kind, usize),
    /// From a masquerading service's server to a client.
    Reply,
    /// The beginning of a connection to a port of the virtual address where there is no service.
    Unknown,
    /// Of other people's connections.
    Foreign,
}

/// How many connections they belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// One.
    One,
    /// So many, a power of two, in turn.
    Many(u32),
    /// Every packet begins one.
    New,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What tables call it.
    pub name: String,
    /// How the director is configured.
    pub scene: Scene,
    /// Where the packets are presented.
    pub place: Place,
    /// What they are.
    pub packet: Packet,
    /// Whether they are UDP; else TCP.
    pub udp: bool,
    /// Their family.
    pub family: Family,
    /// How many connections.
    pub load: Load,
}

impl Case {
    fn new(scene: Scene, place: Place, packet: Packet, load: Load, what: &str) -> Self {
        Self { name: format!("{} {what}", place.label()), scene, place, packet, udp: false, family: Family::V4, load }
    }

    fn udp(mut self) -> Self {
        self.udp = true;
        self
    }

    fn v6(mut self) -> Self {
        self.family = Family::V6;
        self
    }

    /// Whether its packets leave wrapped.
    pub const fn is_tunnel(&self) -> bool {
        matches!(self.packet, Packet::Request(method) | Packet::Bare(method) if method.is_tunnel())
    }

    /// Whether each packet needs a run of its own: TC marks a tunnelled packet as encapsulated, which nothing takes back.
    pub const fn is_single(&self) -> bool {
        matches!(self.place, Place::Tc) && self.is_tunnel()
    }

    /// Whether the packets are to leave the director; else they are left to the host.
    pub const fn is_sent(&self) -> bool {
        !matches!(self.packet, Packet::Unknown | Packet::Foreign)
    }

    /// The name of the floor it is compared with, among the cases of its scene.
    pub fn floor(&self) -> String {
        let which = match (self.load, self.family) {
            (_, Family::V6) => " IPv6",
            (Load::Many(MILLION), _) => " of 1 M",
            _ => "",
        };
        format!("{} floor{which}", self.place.label())
    }

    /// A frame as the client sends it. `begin`: the first of its connection.
    pub fn request(&self, begin: bool) -> Vec<u8> {
        let port = match self.packet {
            Packet::Request(method) | Packet::Bare(method) => method.port(),
            Packet::Scheduled(kind, size) => scene::scheduled_port(kind, size),
            Packet::Reply | Packet::Floor | Packet::Foreign => Method::Nat.port(),
            Packet::Unknown => scene::NO_PORT,
        };
        let to: IpAddr = match (self.packet, self.family) {
            (Packet::Foreign, Family::V6) => Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x63).into(),
            (Packet::Foreign, Family::V4) => Ipv4Addr::new(10, 0, 2, 99).into(),
            (_, Family::V6) => scene::VIP6.into(),
            (_, Family::V4) => scene::VIP.into(),
        };
        self.frame((self.client(), CLIENT_PORT), (to, port), begin)
    }

    /// The frame that is measured.
    pub fn measured(&self) -> Vec<u8> {
        if self.packet != Packet::Reply {
            return self.request(self.load == Load::New || self.packet == Packet::Unknown);
        }
        let server = if self.family == Family::V6 { scene::SERVER6.into() } else { scene::SERVER.into() };
        self.frame((server, Method::Nat.port()), (self.client(), CLIENT_PORT), false)
    }

    fn client(&self) -> IpAddr {
        match self.family {
            Family::V6 => Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x64).into(),
            Family::V4 => Ipv4Addr::new(10, 0, 1, 100).into(),
        }
    }

    fn frame(&self, from: (IpAddr, u16), to: (IpAddr, u16), begin: bool) -> Vec<u8> {
        let shape = Shape { payload: vec![0; 42], ..Shape::default() };
        if self.udp {
            return frames::udp(from, to, &shape);
        }
        frames::tcp(from, to, if begin { SYN } else { ACK }, &shape)
    }
}

/// All cases. Those that leave many connections behind come last in their scene.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    methods(&mut cases);
    for kind in Kind::ALL {
        for (size, servers) in scene::SERVERS.into_iter().enumerate() {
            let what = format!("NAT new, {} of {servers}", kind.name());
            cases.push(Case::new(Scene::Schedulers, Place::Xdp, Packet::Scheduled(kind, size), Load::New, &what));
        }
    }
    for (count, many) in [(1, "1 service"), (100, "100 services"), (10_000, "10 k services")] {
        for place in Place::ALL {
            let mut add = |packet, load, what: &str| {
                cases.push(Case::new(Scene::Services(count), place, packet, load, &format!("{what} beside {many}")));
            };
            add(Packet::Request(Method::Nat), Load::One, "NAT established");
            add(Packet::Request(Method::Nat), Load::New, "NAT new");
            add(Packet::Unknown, Load::One, "SYN of no service");
            add(Packet::Foreign, Load::One, "not ours");
        }
    }
    let floors = floors(&cases);
    cases.splice(0..0, floors);
    cases
}

/// The floors of each scene and family that cases have, with one connection.
fn floors(cases: &[Case]) -> Vec<Case> {
    let mut kinds = Vec::new();
    for case in cases {
        if !kinds.contains(&(case.scene, case.family)) {
            kinds.push((case.scene, case.family));
        }
    }
    let floor = |scene, place, family| match family {
        Family::V4 => Case::new(scene, place, Packet::Floor, Load::One, "floor"),
        Family::V6 => Case::new(scene, place, Packet::Floor, Load::One, "floor IPv6").v6(),
    };
    kinds.into_iter().flat_map(|(scene, family)| Place::ALL.map(|place| floor(scene, place, family))).collect()
}

/// The cases of a small table: methods, families, protocols, numbers of connections.
fn methods(cases: &mut Vec<Case>) {
    let scene = Scene::Methods;
    for method in Method::CLASSIC {
        let what = format!("{} bare", method.label());
        cases.push(Case::new(scene, Place::Xdp, Packet::Bare(method), Load::One, &what));
    }
    for place in Place::ALL {
        let case = |packet, load, what: &str| Case::new(scene, place, packet, load, what);
        for method in Method::ALL {
            let (packet, name) = (Packet::Request(method), method.label());
            cases.extend([
                case(packet, Load::One, &format!("{name} established")),
                case(packet, Load::New, &format!("{name} new")),
                case(packet, Load::One, &format!("{name} UDP established")).udp(),
                case(packet, Load::New, &format!("{name} UDP new")).udp(),
                case(packet, Load::One, &format!("{name} IPv6 established")).v6(),
                case(packet, Load::New, &format!("{name} IPv6 new")).v6(),
                case(packet, Load::One, &format!("{name} IPv6 UDP established")).v6().udp(),
                case(packet, Load::New, &format!("{name} IPv6 UDP new")).v6().udp(),
            ]);
        }
        cases.extend([
            case(Packet::Reply, Load::One, "NAT reply established"),
            case(Packet::Reply, Load::One, "NAT reply UDP established").udp(),
            case(Packet::Reply, Load::One, "NAT reply IPv6 established").v6(),
            case(Packet::Reply, Load::One, "NAT reply IPv6 UDP established").v6().udp(),
            case(Packet::Unknown, Load::One, "SYN of no service"),
            case(Packet::Unknown, Load::One, "SYN of no service IPv6").v6(),
            case(Packet::Foreign, Load::One, "not ours"),
            case(Packet::Foreign, Load::One, "not ours IPv6").v6(),
        ]);
    }
    for place in Place::ALL {
        let case = |packet, load, what: &str| Case::new(scene, place, packet, load, what);
        for (load, many) in [(1 << 10, "1 k"), (1 << 16, "64 k"), (MILLION, "1 M")] {
            let load = Load::Many(load);
            cases.push(case(Packet::Floor, load, &format!("floor of {many}")));
            for method in Method::CLASSIC {
                cases.push(case(Packet::Request(method), load, &format!("{} of {many} established", method.label())));
            }
            cases.push(case(Packet::Reply, load, &format!("NAT reply of {many} established")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_differ_and_every_case_has_its_floor() {
        let cases = all();
        let name = |case: &Case| (case.scene.edits().len(), case.name.clone());
        assert_eq!(cases.iter().map(name).collect::<BTreeSet<_>>().len(), cases.len());
        for case in &cases {
            let floor = cases.iter().find(|other| other.scene == case.scene && other.name == case.floor());
            let floor = floor.unwrap_or_else(|| panic!("{} has no floor", case.name));
            assert!(floor.packet == Packet::Floor && floor.family == case.family, "{}", case.name);
        }
    }
}
