//! The commands of iproute2 that make a topology. Text only; running them is the lab's work.

use crate::topology::{
    CLIENT, CLIENT_MAC, DIRECTOR_BACK, DIRECTOR_BACK_MAC, DIRECTOR_FRONT, DIRECTOR_FRONT_MAC, Method, ROUTER_BACK,
    ROUTER_BACK_MAC, ROUTER_FRONT, ROUTER_FRONT_MAC, Topology, VIP, mac_text, server, server_mac,
};
use std::fmt::Write as _;

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
    let [a, b, c, d] = CLIENT.octets();
    for n in 0..topology.clients {
        let _ = writeln!(text, "addr add {a}.{b}.{c}.{}/24 dev eth0", d + n);
    }
    let _ = writeln!(text, "route add 10.0.2.0/24 via {ROUTER_FRONT}");
    text
}

/// The director, with the virtual address.
pub(crate) fn director() -> String {
    let mut text = up(&["eth0", "eth1"]);
    let _ = writeln!(text, "addr add {DIRECTOR_FRONT}/24 dev eth0");
    let _ = writeln!(text, "addr add {VIP}/32 dev eth0");
    let _ = writeln!(text, "addr add {DIRECTOR_BACK}/24 dev eth1");
    text
}

/// The router.
pub(crate) fn router() -> String {
    let mut text = up(&["eth0", "eth1"]);
    let _ = writeln!(text, "addr add {ROUTER_FRONT}/24 dev eth0");
    let _ = writeln!(text, "addr add {ROUTER_BACK}/24 dev eth1");
    text
}

/// Real server `n`: its gateway, and whether it holds the virtual address, depend on the method.
pub(crate) fn real_server(topology: &Topology, n: u8) -> String {
    let mut text = up(&["eth0"]);
    let _ = writeln!(text, "addr add {}/24 dev eth0", server(n));
    let gateway = if topology.method == Method::Nat { DIRECTOR_BACK } else { ROUTER_BACK };
    let _ = writeln!(text, "route add default via {gateway}");
    if holds_vip(topology) {
        let _ = writeln!(text, "addr add {VIP}/32 dev lo");
    }
    text
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
