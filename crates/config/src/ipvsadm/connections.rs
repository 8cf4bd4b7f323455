//! The list of connections.

use super::parse::ListRequest;
use super::show::{self, Style};
use crate::names::Names;
use rvs_intent::Connection;
use rvs_wire::{Addr, Family};
use std::net::Ipv4Addr;

/// All entries, in the order given.
pub fn connections(entries: &[Connection], request: &ListRequest, names: &dyn Names) -> String {
    let style = Style { names: (!request.numeric).then_some(names) };
    let mut text = String::from("IPVS connection entries\n");
    text += "pro expire state       source             virtual            destination";
    text += if request.engine_columns { "        pe name          pe_data\n" } else { "\n" };
    for entry in entries {
        text += &line(entry, style, request.engine_columns);
    }
    text
}

fn line(entry: &Connection, style: Style<'_>, engine_columns: bool) -> String {
    let endpoint = |(addr, port), family| style.endpoint(addr, family, port, entry.proto);
    let source = endpoint(entry.client, entry.family);
    let virt = match entry.proto {
        0 => {
            let (mark, port) = entry.virt;
            style.endpoint(mark_as_address(mark), Family::V4, port, 0)
        }
        _ => endpoint(entry.virt, entry.family),
    };
    let dest = endpoint(entry.dest, entry.dest_family);
    let expires = format!("{:02}:{:02}", entry.expires_secs / 60, entry.expires_secs % 60);
    let proto = show::protocol(entry.proto);
    let line = format!("{proto:<3} {expires:<6} {:<11} {source:<18} {virt:<18} ", entry.state);
    match &entry.engine {
        Some((engine, data)) if engine_columns => {
            format!("{line}{dest:<16} {:<18} {}\n", engine.name(), String::from_utf8_lossy(data))
        }
        _ => format!("{line}{dest}\n"),
    }
}

/// A template of a service by mark shows the mark as an address: 0.0.0.7.
fn mark_as_address(mark: Addr) -> Addr {
    let [.., mark] = mark.words();
    Ipv4Addr::from(mark).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::FixedNames;
    use rvs_core::abi::Forward;
    use rvs_intent::Engine;
    use rvs_wire::Be16;

    #[test]
    fn lines_as_recorded() {
        let at = |d, port| (Addr::from(Ipv4Addr::from(d)), Be16::new(port));
        let entry = Connection {
            proto: 6,
            family: Family::V4,
            client: at([10, 0, 1, 100], 0),
            virt: at([10, 0, 1, 10], 80),
            dest: at([10, 0, 2, 13], 80),
            dest_family: Family::V4,
            forward: Forward::Masq,
            state: "ASSURED",
            expires_secs: 59,
            template: true,
            engine: None,
        };
        let mark = Connection { proto: 0, virt: (Addr::mark(7), Be16::ZERO), expires_secs: 6000, ..entry.clone() };
        let call = Connection {
            proto: 17,
            virt: at([10, 0, 1, 10], 5060),
            dest: at([10, 0, 2, 13], 5060),
            engine: Some((Engine::Sip, b"one@host".to_vec())),
            ..entry.clone()
        };
        let request = ListRequest { numeric: true, engine_columns: true, ..ListRequest::default() };
        let expected = "\
IPVS connection entries
pro expire state       source             virtual            destination        pe name          pe_data
TCP 00:59  ASSURED     10.0.1.100:0       10.0.1.10:80       10.0.2.13:80
IP  100:00 ASSURED     10.0.1.100:0       0.0.0.7:0          10.0.2.13:80
UDP 00:59  ASSURED     10.0.1.100:0       10.0.1.10:5060     10.0.2.13:5060   sip                one@host
";
        assert_eq!(connections(&[entry, mark, call], &request, &FixedNames::default()), expected);
    }
}
