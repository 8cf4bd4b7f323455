//! Many connections at once: a flood that must hurt nobody, and a full table that must count right.
#![allow(missing_docs, clippy::unwrap_used)] // A failed step is a failed test.

mod common;

use common::storm::{Storm, VIP};
use common::{in_namespace, key};
use rvs_core::abi::{Forward, ServiceKey};
use rvs_core::frames::{self, Shape};
use rvs_core::settings::Settings;
use rvs_dataplane::limits::Limits;
use rvs_dataplane::{Dataplane, Error};
use rvs_intent::{Dest, Edit, ServiceSettings, Timeouts};
use rvs_wire::Be16;
use rvs_wire::tcp::{ACK, SYN};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits { conns: 1 << 20, services: 64, dests: 512 };
const SERVERS: u32 = 2;

fn service() -> ServiceKey {
    ServiceKey { addr: VIP.into(), ..key(1) }
}

fn setup(storm: &mut Storm, forward: Forward) {
    let settings = ServiceSettings {
        key: service(),
        sched: "rr".into(),
        flags: 0,
        persist_secs: 0,
        netmask: Ipv4Addr::BROADCAST.into(),
        engine: None,
    };
    let mut edits = vec![Edit::SetTimeouts(Timeouts::default()), Edit::AddService(settings)];
    for n in 0..SERVERS {
        let addr = Ipv4Addr::new(10, 0, 2, 11 + u8::try_from(n).unwrap()).into();
        edits.push(Edit::AddDest(service(), Dest { addr, port: Be16::new(80), forward, ..common::dest(n, 1) }));
    }
    storm.director.update(&edits).unwrap();
}

/// (active, inactive) of all destinations, and how many connections are listed.
fn counted(storm: &mut Storm) -> (u32, u32, usize) {
    let listing = storm.director.listing().unwrap();
    let dests = &listing.services[0].dests;
    let sum = |of: fn(&rvs_intent::ListedDest) -> u32| dests.iter().map(of).sum::<u32>();
    (sum(|d| d.active), sum(|d| d.inactive), storm.director.connections().unwrap().len())
}

fn segment(client: Ipv4Addr, port: u16, flags: u8) -> Vec<u8> {
    frames::tcp((client, port), (VIP, 80), flags, &Shape { payload: Vec::new(), ..Shape::default() })
}

#[test]
fn a_million_syns_do_no_harm_to_those_who_answer() {
    in_namespace(|| {
        let mut storm = Storm::new(&LIMITS);
        setup(&mut storm, Forward::Masq);
        let friend = Ipv4Addr::new(192, 0, 2, 7);
        for port in 0..100 {
            assert!(storm.one(&segment(friend, 1000 + port, SYN)) && storm.one(&segment(friend, 1000 + port, ACK)));
        }
        const ROUNDS: u32 = 40;
        const EACH: u32 = 25_000;
        let enemy = segment(Ipv4Addr::new(11, 0, 0, 1), 999, SYN);
        for round in 0..ROUNDS {
            // Clients who come in the middle of it: a SYN that finds no place is sent again, as any host does.
            let port = 20_000 + u16::try_from(round).unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while !storm.one(&segment(friend, port, SYN)) {
                assert!(Instant::now() < deadline, "a new client waits for its place");
            }
            storm.many(&enemy, 24, 1 << 28, EACH);
            assert!(storm.one(&segment(friend, port, ACK)), "round {round}: a client who answers is forgotten");
            for port in 0..100 {
                assert!(storm.one(&segment(friend, 1000 + port, ACK)), "round {round}: an established one is lost");
            }
        }
        let (flooded, full) = (storm.count("flooded"), storm.count("table_full"));
        assert_eq!(full, 0);
        let (active, inactive, listed) = counted(&mut storm);
        assert_eq!((active as usize, inactive), (listed, 0));
        let most = LIMITS.conns as usize / 2 + 100 + ROUNDS as usize;
        assert!(listed < most, "{listed} connections for a budget of {most}");
        assert!(storm.director.status().unwrap().fill.connections as usize <= most);
        println!("{} SYNs: {flooded} found no place, {listed} connections listed", ROUNDS * EACH);
        for round in 0..u16::try_from(ROUNDS).unwrap() {
            assert!(storm.one(&segment(friend, 20_000 + round, ACK)), "who was established under fire stays so");
        }
    });
}

#[test]
fn a_small_table_under_fire_still_takes_new_clients() {
    in_namespace(|| {
        let mut storm = Storm::new(&Limits { conns: 1 << 12, services: 64, dests: 512 });
        setup(&mut storm, Forward::Route);
        let friend = Ipv4Addr::new(192, 0, 2, 7);
        let enemy = segment(Ipv4Addr::new(11, 0, 0, 1), 999, SYN);
        for port in 0..1500u16 {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !storm.one(&segment(friend, 1000 + port, SYN)) {
                assert!(Instant::now() < deadline, "a new client waits for its place");
            }
            assert!(storm.one(&segment(friend, 1000 + port, ACK)));
            if port % 100 == 0 {
                storm.many(&enemy, 24, 1 << 28, 20_000);
            }
        }
        for port in 0..1500 {
            assert!(storm.one(&segment(friend, 1000 + port, ACK)), "an established one is lost");
        }
        let (active, inactive, listed) = counted(&mut storm);
        assert_eq!((active as usize, inactive), (listed, 0));
        assert!(storm.count("flooded") > 0, "the flood was too slow to show anything");
    });
}

#[test]
fn a_million_connections_are_counted_and_found() {
    in_namespace(|| {
        let mut storm = Storm::new(&LIMITS);
        setup(&mut storm, Forward::Route);
        let sloppy = |settings: &mut Settings| {
            settings.sloppy_tcp = 1;
            Ok::<_, Error>(())
        };
        storm.director.change_settings(sloppy).unwrap();
        let client = segment(Ipv4Addr::new(11, 0, 0, 1), 999, ACK);
        // Blocks of powers of two that make a million, each client once.
        let blocks: Vec<(u32, u32)> = (0..20)
            .rev()
            .filter(|bit| 1_000_000 >> bit & 1 != 0)
            .scan(1 << 28, |first, bit| {
                let block = (bit, *first);
                *first += 1 << bit;
                Some(block)
            })
            .collect();
        for (bits, first) in &blocks {
            assert!(storm.many(&client, *bits, *first, 1 << bits));
        }
        assert_eq!(counted(&mut storm), (1_000_000, 0, 1_000_000));
        assert_eq!(storm.director.status().unwrap().fill.connections, 1_000_000);
        // Again: every one is found, none is made.
        for (bits, first) in &blocks {
            assert!(storm.many(&client, *bits, *first, 1 << bits));
        }
        assert_eq!(counted(&mut storm), (1_000_000, 0, 1_000_000));
        assert_eq!((storm.count("dr"), storm.count("table_full")), (2_000_000, 0));
        let listing = storm.director.listing().unwrap();
        let sum = |of: fn(&rvs_core::abi::Counters) -> u64| {
            listing.services[0].dests.iter().map(|dest| of(&dest.counters)).sum::<u64>()
        };
        assert_eq!((sum(|c| c.conns), sum(|c| c.in_pkts)), (1_000_000, 2_000_000));
    });
}
