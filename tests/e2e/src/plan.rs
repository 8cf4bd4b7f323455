//! The commands of iproute2 that make a topology. Text only; running them is the lab's work.

use crate::topology::{
    CLIENT_MAC, DIRECTOR_BACK_MAC, DIRECTOR_FRONT_MAC, Family, Method, ROUTER_BACK_MAC, ROUTER_FRONT_MAC, Topology,
    mac_text, server_mac,
};
use std::fmt::Write as _;
use std::net::IpAddr;

/// The roles of the namespaces, as their names end.
pub(crate) fn roles(topology: &Topology) -> Vec<String> {
    let fixed = ["sw", "cl", "rt", "dr"].into_iter().map(str::to_owned);
    fixed.chain((1..=topology.servers).map(|n| format!("rs{n}"))).collect()
}

/// The switch: two bridges and a cable from them to every interface. `name` gives a role's namespace.
pub(crate) fn switch(topology: &Topology, name: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for bridge in ["front", "back"] {
        let _ = writeln!(text, "link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
        let _ = writeln!(text, "link set {bridge} up");
    }
    let mut cables = vec![
        ("front", "cl".to_owned(), "eth0", CLIENT_MAC),
        ("front", "dr".to_owned(), "eth0", DIRECTOR_FRONT_MAC),
        ("back", "dr".to_owned(), "eth1", DIRECTOR_BACK_MAC),
        ("front", "rt".to_owned(), "eth0", ROUTER_FRONT_MAC),
        ("back", "rt".to_owned(), "eth1", ROUTER_BACK_MAC),
    ];
    cables.extend((1..=topology.servers).map(|n| ("back", format!("rs{n}"), "eth0", server_mac(n))));
    for (bridge, role, interface, mac) in cables {
        let port = format!("{role}.{interface}");
        let (netns, mac) = (name(&role), mac_text(mac));
        let _ = writeln!(text, "link add {port} type veth peer name {interface} netns {netns} address {mac}");
        let _ = writeln!(text, "link set {port} master {bridge} up");
    }
    text
}

/// The client: one or more addresses; the servers' network is reached through the router.
pub(crate) fn client(topology: &Topology) -> String {
    let mut text = up(&["eth0"]);
    for family in Family::ALL {
        for n in 0..topology.clients {
            text += &address(family.client_number(n), "eth0");
        }
        let _ = writeln!(text, "route add {} via {}", back_network(family), family.router_front());
    }
    text
}

/// The director, with the virtual addresses.
pub(crate) fn director() -> String {
    let mut text = up(&["eth0", "eth1"]);
    for family in Family::ALL {
        text += &address(family.director_front(), "eth0");
        text += &host_address(family.vip(), "eth0");
        text += &address(family.director_back(), "eth1");
    }
    text
}

/// The router.
pub(crate) fn router() -> String {
    let mut text = up(&["eth0", "eth1"]);
    for family in Family::ALL {
        text += &address(family.router_front(), "eth0");
        text += &address(family.router_back(), "eth1");
    }
    text
}

/// Real server `n`: its gateway, and whether it holds the virtual addresses, depend on the method.
pub(crate) fn real_server(topology: &Topology, n: u8) -> String {
    let mut text = up(&["eth0"]);
    for family in Family::ALL {
        text += &address(family.server(n), "eth0");
        let gateway = if holds_vip(topology) { family.router_back() } else { family.director_back() };
        let _ = writeln!(text, "route add default via {gateway}");
        if holds_vip(topology) {
            text += &host_address(family.vip(), "lo");
        }
    }
    text
}

/// An address of a segment's network.
fn address(address: IpAddr, interface: &str) -> String {
    match address {
        IpAddr::V4(v4) => format!("addr add {v4}/24 dev {interface}\n"),
        IpAddr::V6(v6) => format!("addr add {v6}/64 dev {interface} nodad\n"),
    }
}

/// An address alone.
fn host_address(address: IpAddr, interface: &str) -> String {
    match address {
        IpAddr::V4(v4) => format!("addr add {v4}/32 dev {interface}\n"),
        IpAddr::V6(v6) => format!("addr add {v6}/128 dev {interface} nodad\n"),
    }
}

/// The servers' network.
const fn back_network(family: Family) -> &'static str {
    match family {
        Family::V4 => "10.0.2.0/24",
        Family::V6 => "fd00:2::/64",
    }
}

/// Whether the real servers hold the virtual address themselves.
pub(crate) fn holds_vip(topology: &Topology) -> bool {
    topology.method != Method::Nat
}

fn up(interfaces: &[&str]) -> String {
    let mut text = String::from("link set lo up\n");
    for interface in interfaces {
        let _ = writeln!(text, "link set {interface} up");
    }
    text
}
