//! `/proc/net/ip_vs_conn`: connections and templates.

use super::address;
use crate::ipvsadm::show;
use rvs_intent::Connection;

/// The first line.
pub const CONNECTIONS_HEAD: &str = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n";

/// A connection's line.
pub fn connection(entry: &Connection) -> String {
    // A template of a service by mark has the mark in the place of the virtual address.
    let virt = match entry.proto {
        0 => {
            let [.., mark] = entry.virt.0.words();
            format!("{mark:08X}")
        }
        _ => address(entry.virt.0, entry.family),
    };
    let (client, dest) = (address(entry.client.0, entry.family), address(entry.dest.0, entry.dest_family));
    let [client_port, virt_port, dest_port] = [entry.client.1, entry.virt.1, entry.dest.1].map(|port| port.host());
    let engine = entry
        .engine
        .as_ref()
        .map_or(String::new(), |(engine, data)| format!(" {} {}", engine.name(), String::from_utf8_lossy(data)));
    format!(
        "{:<3} {client} {client_port:04X} {virt} {virt_port:04X} {dest} {dest_port:04X} {:<11} {:>7}{engine}\n",
        show::protocol(entry.proto),
        entry.state,
        entry.expires_secs
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_core::abi::Forward;
    use rvs_wire::{Addr, Be16, Family};
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn a_tunnel_may_lead_to_the_other_family() {
        let entry = Connection {
            proto: 6,
            family: Family::V4,
            client: (Ipv4Addr::new(10, 0, 1, 100).into(), Be16::new(40000)),
            virt: (Ipv4Addr::new(10, 0, 1, 10).into(), Be16::new(80)),
            dest: (Addr::from(Ipv6Addr::LOCALHOST), Be16::new(80)),
            dest_family: Family::V6,
            forward: Forward::Tunnel,
            state: "SYN_RECV",
            expires_secs: 60,
            template: false,
            engine: None,
        };
        let expected =
            "TCP 0A000164 9C40 0A00010A 0050 0000:0000:0000:0000:0000:0000:0000:0001 0050 SYN_RECV         60\n";
        assert_eq!(connection(&entry), expected);
    }

    #[test]
    fn a_template_of_an_engine_tells_what_it_was_made_for() {
        let entry = Connection {
            proto: 17,
            family: Family::V4,
            client: (Ipv4Addr::new(10, 0, 1, 100).into(), Be16::ZERO),
            virt: (Ipv4Addr::new(10, 0, 1, 10).into(), Be16::new(5060)),
            dest: (Ipv4Addr::new(10, 0, 2, 13).into(), Be16::new(5060)),
            dest_family: Family::V4,
            forward: Forward::Masq,
            state: "ASSURED",
            expires_secs: 35,
            template: true,
            engine: Some((rvs_intent::Engine::Sip, b"one@host".to_vec())),
        };
        let recorded = "UDP 0A000164 0000 0A00010A 13C4 0A00020D 13C4 ASSURED          35 sip one@host\n";
        assert_eq!(connection(&entry), recorded);
    }
}
