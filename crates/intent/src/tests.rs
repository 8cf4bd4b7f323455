//! What the kernel refuses, in which order destinations stand, and that a refusal leaves no trace.

use crate::*;
use proptest::prelude::*;
use rvs_core::abi::{Forward, SchedState, ServiceKey};
use rvs_core::sched::Kind;
use rvs_wire::{Addr, Be16, Family};
use std::net::{IpAddr, Ipv4Addr};

const TCP: u8 = 6;

fn key(port: u16) -> ServiceKey {
    ServiceKey { addr: Ipv4Addr::new(10, 0, 1, 10).into(), port: Be16::new(port), proto: TCP, family: Family::V4.raw() }
}

fn settings(key: ServiceKey, sched: &str) -> ServiceSettings {
    let netmask = Addr::from(Ipv4Addr::BROADCAST);
    ServiceSettings { key, sched: sched.into(), flags: 0, persist_secs: 0, netmask, engine: None }
}

fn dest(host: u8, weight: i32) -> Dest {
    let addr = Addr::from(Ipv4Addr::new(10, 0, 2, host));
    Dest { weight, forward: Forward::Masq, ..Dest::new(addr, Family::V4, Be16::new(80)) }
}

fn at(text: &str) -> Dest {
    let (addr, family) = Addr::from_ip(text.parse::<IpAddr>().unwrap());
    Dest { forward: Forward::Masq, ..Dest::new(addr, family, Be16::new(80)) }
}

fn table(sched: &str, dests: &[Dest]) -> Table {
    let mut table = Table::default();
    table.apply(&Edit::AddService(settings(key(80), sched))).unwrap();
    for dest in dests {
        table.apply(&Edit::AddDest(key(80), dest.clone())).unwrap();
    }
    table
}

fn hosts(table: &Table) -> Vec<u8> {
    table.services[0].dests.iter().map(|d| d.addr.last().host() as u8).collect()
}

/// One connected network, as the host at 10.0.2.1/24 sees it.
struct Connected;

impl LocalNet for Connected {
    fn is_broadcast(&self, addr: Addr) -> bool {
        addr == Addr::from(Ipv4Addr::new(10, 0, 2, 255))
    }

    fn is_local(&self, addr: Addr, family: Family) -> bool {
        addr.to_ip(family) == "fe80::1".parse::<IpAddr>().unwrap()
    }
}

#[test]
fn what_is_missing_or_there_already_is_refused() {
    let mut table = table("rr", &[dest(11, 1)]);
    let refused = |table: &mut Table, edit| table.apply(&edit).unwrap_err();
    assert_eq!(refused(&mut table, Edit::AddService(settings(key(80), "wlc"))), Refusal::ServiceExists);
    assert_eq!(refused(&mut table, Edit::EditService(settings(key(81), "wlc"))), Refusal::NoService);
    assert_eq!(refused(&mut table, Edit::DeleteService(key(81))), Refusal::NoService);
    assert_eq!(refused(&mut table, Edit::AddDest(key(81), dest(11, 1))), Refusal::NoService);
    assert_eq!(refused(&mut table, Edit::AddDest(key(80), dest(11, 1))), Refusal::DestExists);
    assert_eq!(refused(&mut table, Edit::EditDest(key(80), dest(12, 1))), Refusal::NoDest);
    assert_eq!(refused(&mut table, Edit::DeleteDest(key(80), dest(12, 1).addr, Be16::new(80))), Refusal::NoDest);
    assert_eq!(refused(&mut table, Edit::EditService(settings(key(80), "nonesuch"))), Refusal::NoScheduler);
}

#[test]
fn thresholds_must_be_in_order_and_weights_not_negative() {
    let mut table = table("rr", &[]);
    let with = |u_threshold, l_threshold| Dest { u_threshold, l_threshold, ..dest(11, 1) };
    assert_eq!(table.apply(&Edit::AddDest(key(80), with(10, 20))), Err(Refusal::Range));
    assert_eq!(table.apply(&Edit::AddDest(key(80), with(0, 1))), Err(Refusal::Range));
    assert_eq!(table.apply(&Edit::AddDest(key(80), dest(11, -1))), Err(Refusal::Range));
    assert_eq!(table.apply(&Edit::AddDest(key(80), with(10, 10))), Ok(()));
}

#[test]
fn real_servers_are_unicast() {
    let rules = Rules { capabilities: Capabilities::ALL_IPVS, net: &Connected };
    let mut v6 = Table::default();
    let v6_key = ServiceKey { family: Family::V6.raw(), addr: at("fd00::1").addr, ..key(80) };
    v6.apply_in(&Edit::AddService(settings(v6_key, "rr")), &rules).unwrap();
    let mut v4 = table("rr", &[]);
    for bad in ["224.0.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255", "10.0.2.255"] {
        assert_eq!(v4.apply_in(&Edit::AddDest(key(80), at(bad)), &rules), Err(Refusal::Invalid), "{bad}");
    }
    for bad in ["ff02::1", "fe80::5", "::", "10.0.2.11"] {
        assert_eq!(v6.apply_in(&Edit::AddDest(v6_key, at(bad)), &rules), Err(Refusal::Invalid), "{bad}");
    }
    for good in ["10.0.1.10", "203.0.113.5", "127.0.0.1", "240.0.0.1", "10.0.3.255"] {
        assert_eq!(v4.apply_in(&Edit::AddDest(key(80), at(good)), &rules), Ok(()), "{good}");
    }
    for good in ["fd99::1", "fe80::1", "::1"] {
        assert_eq!(v6.apply_in(&Edit::AddDest(v6_key, at(good)), &rules), Ok(()), "{good}");
    }
}

#[test]
fn what_a_data_plane_cannot_balance_is_refused_by_name() {
    let mut table = table("rr", &[]);
    let least =
        Capabilities { ipv6: false, sctp: false, marks: false, one_packet: false, engines: false, gue_gre: false };
    let rules = Rules { capabilities: least, ..Rules::default() };
    let base = settings(key(81), "rr");
    let v6 = ServiceKey { family: Family::V6.raw(), addr: at("fd00::1").addr, ..key(80) };
    let mark = ServiceKey { addr: Addr::mark(1), port: Be16::ZERO, proto: 0, ..key(80) };
    let sctp = ServiceKey { proto: 132, ..key(80) };
    let services = [
        (settings(v6, "rr"), "IPv6"),
        (settings(mark, "rr"), "firewall mark"),
        (settings(sctp, "rr"), "SCTP"),
        (ServiceSettings { engine: Some("sip".into()), ..base }, "Persistence engines"),
    ];
    for (settings, word) in services {
        match table.apply_in(&Edit::AddService(settings), &rules) {
            Err(Refusal::Unsupported(text)) => assert!(text.contains(word), "{text}"),
            other => panic!("{word}: {other:?}"),
        }
    }
    let gre = Tunnel { kind: TunnelKind::Gre, ..Tunnel::default() };
    for dest in [Dest { forward: Forward::Tunnel, tunnel: gre, ..dest(11, 1) }, at("fd00::1")] {
        assert!(matches!(table.apply_in(&Edit::AddDest(key(80), dest), &rules), Err(Refusal::Unsupported(_))));
    }
}

#[test]
fn routing_and_tunnelling_take_the_port_of_the_service() {
    let mut table = table("rr", &[]);
    for (forward, port) in [(Forward::Route, 80), (Forward::Tunnel, 80), (Forward::Masq, 8080)] {
        let host = 11 + forward as u8;
        let dest = Dest { forward, port: Be16::new(8080), ..dest(host, 1) };
        table.apply(&Edit::AddDest(key(80), dest)).unwrap();
        assert_eq!(table.services[0].dests[0].port, Be16::new(port));
    }
}

#[test]
fn the_newest_destination_stands_first_and_editing_keeps_its_place() {
    let mut table = table("rr", &[dest(11, 1), dest(12, 1), dest(13, 1)]);
    assert_eq!(hosts(&table), [13, 12, 11]);
    table.apply(&Edit::EditDest(key(80), dest(12, 7))).unwrap();
    assert_eq!(hosts(&table), [13, 12, 11]);
    assert_eq!(table.services[0].dests[1].weight, 7);
}

#[test]
fn the_last_weight_outlives_quiescing() {
    let mut table = table("rr", &[dest(11, 5)]);
    table.apply(&Edit::EditDest(key(80), dest(11, 0))).unwrap();
    assert_eq!((table.services[0].dests[0].weight, table.services[0].dests[0].last_weight), (0, 5));
}

#[test]
fn a_round_robin_position_stays_with_its_destination() {
    let mut table = table("rr", &[dest(11, 1), dest(12, 1), dest(13, 1)]);
    table.services[0].sched_state.pos = 1; // 12
    table.apply(&Edit::AddDest(key(80), dest(14, 1))).unwrap();
    assert_eq!(table.services[0].sched_state.pos, 2);
    table.apply(&Edit::DeleteDest(key(80), dest(13, 1).addr, Be16::new(80))).unwrap();
    assert_eq!(table.services[0].sched_state.pos, 1);
    table.apply(&Edit::DeleteDest(key(80), dest(12, 1).addr, Be16::new(80))).unwrap();
    assert_eq!(table.services[0].sched_state.pos, 0); // 14, the one before
    table.apply(&Edit::DeleteDest(key(80), dest(14, 1).addr, Be16::new(80))).unwrap();
    assert_eq!(table.services[0].sched_state.pos, -1);
}

#[test]
fn the_same_scheduler_keeps_its_state_and_another_begins_anew() {
    let mut table = table("wrr", &[dest(11, 2), dest(12, 4), dest(13, 6)]);
    let filled = table.services[0].sched_state;
    assert_eq!((filled.mw, filled.di), (5, 2));
    table.apply(&Edit::EditService(settings(key(80), "wrr"))).unwrap();
    assert_eq!(table.services[0].sched_state, filled);
    table.apply(&Edit::EditService(settings(key(80), "rr"))).unwrap();
    assert_eq!(table.services[0].sched_state, SchedState::START);
    table.apply(&Edit::EditService(settings(key(80), "wrr"))).unwrap();
    assert_eq!(table.services[0].sched_state, Kind::Wrr.changed(SchedState::START, [6, 4, 2].into_iter()));
    assert_eq!(hosts(&table), [13, 12, 11]);
}

#[test]
fn a_zero_timeout_keeps_the_old_value() {
    let mut table = Table::default();
    table.apply(&Edit::SetTimeouts(Timeouts { tcp: 1000, tcp_fin: 100, udp: 200 })).unwrap();
    table.apply(&Edit::SetTimeouts(Timeouts { tcp: 0, tcp_fin: 0, udp: 50 })).unwrap();
    assert_eq!(table.timeouts, Timeouts { tcp: 1000, tcp_fin: 100, udp: 50 });
    table.apply(&Edit::Flush).unwrap();
    assert_eq!(table.timeouts.tcp, 1000);
}

fn any_dest() -> impl Strategy<Value = Dest> {
    let forward = prop_oneof![Just(Forward::Masq), Just(Forward::Route), Just(Forward::Tunnel)];
    (0u8..4, 80u16..82, -1i32..4, 0u32..3, 0u32..3, forward).prop_map(|(host, port, weight, u, l, forward)| {
        let addr = if host == 0 { "224.0.0.1".parse().unwrap() } else { Ipv4Addr::new(10, 0, 2, host) };
        let base = Dest::new(addr.into(), Family::V4, Be16::new(port));
        Dest { weight, last_weight: weight, u_threshold: u, l_threshold: l, forward, ..base }
    })
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let keyed = (80u16..83).prop_map(key);
    let service = (keyed.clone(), prop_oneof![Just("rr"), Just("wrr"), Just("wlc"), Just("mh")])
        .prop_map(|(key, sched)| settings(key, sched));
    prop_oneof![
        3 => service.clone().prop_map(Edit::AddService),
        1 => service.prop_map(Edit::EditService),
        1 => keyed.clone().prop_map(Edit::DeleteService),
        6 => (keyed.clone(), any_dest()).prop_map(|(key, dest)| Edit::AddDest(key, dest)),
        2 => (keyed.clone(), any_dest()).prop_map(|(key, dest)| Edit::EditDest(key, dest)),
        2 => (keyed, any_dest()).prop_map(|(key, dest)| Edit::DeleteDest(key, dest.addr, dest.port)),
    ]
}

proptest! {
    #[test]
    fn a_refused_edit_changes_nothing_and_the_table_stays_sound(edits in prop::collection::vec(any_edit(), 0..60)) {
        let mut table = Table::default();
        for edit in &edits {
            let before = table.clone();
            if table.apply(edit).is_err() {
                prop_assert_eq!(&table, &before);
            }
            for (i, service) in table.services.iter().enumerate() {
                prop_assert!(table.services[..i].iter().all(|other| other.key != service.key));
                prop_assert!(service.sched_state.pos < service.dests.len() as i32);
                for (j, dest) in service.dests.iter().enumerate() {
                    let twin = service.dests[..j].iter().any(|d| (d.addr, d.port) == (dest.addr, dest.port));
                    prop_assert!(!twin && dest.weight >= 0 && dest.l_threshold <= dest.u_threshold);
                    prop_assert!(dest.forward == Forward::Masq || dest.port == service.key.port);
                }
            }
        }
    }

    #[test]
    fn many_edits_are_one_or_none(edits in prop::collection::vec(any_edit(), 0..20)) {
        let (mut together, mut singly) = (Table::default(), Table::default());
        let first = edits.iter().position(|edit| singly.apply(edit).is_err());
        match together.apply_all(&edits, &Rules::default()) {
            Ok(()) => {
                prop_assert_eq!(first, None);
                prop_assert_eq!(together, singly);
            }
            Err((index, _)) => {
                prop_assert_eq!(Some(index), first);
                prop_assert_eq!(together, Table::default());
            }
        }
    }
}
