//! Large numbers as recorded under real traffic: from the exact listing the shortened one must come out, and itself.

use crate::recording::{entries, text};
use rvs_config::ipvsadm::{ListRequest, View, list};
use rvs_config::names::FixedNames;
use rvs_core::abi::{Counters, Forward, SchedState, ServiceKey};
use rvs_core::sched::Kind;
use rvs_intent::{Dest, ListedDest, ListedService, Listing, Openings, Rates, Service, Timeouts};
use rvs_wire::{Addr, Be16, Family};
use std::net::Ipv4Addr;

/// The recorded table: one service, one server, both with these figures.
fn table(figures: [u64; 5]) -> Listing {
    let [conns, in_pkts, out_pkts, in_bytes, out_bytes] = figures;
    let counters = Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes };
    let rates = Rates { cps: conns, in_pps: in_pkts, out_pps: out_pkts, in_bps: in_bytes, out_bps: out_bytes };
    let (vip, rip) = (Ipv4Addr::new(10, 0, 1, 10).into(), Ipv4Addr::new(10, 0, 2, 11).into());
    let service = Service {
        key: ServiceKey { addr: vip, port: Be16::new(80), proto: 6, family: Family::V4.raw() },
        sched: Kind::Rr,
        flags: 0,
        persist_secs: 0,
        netmask: Addr::from(Ipv4Addr::BROADCAST),
        engine: None,
        sched_state: SchedState::START,
        dests: Vec::new(),
    };
    let dest = Dest { forward: Forward::Masq, ..Dest::new(rip, Family::V4, Be16::new(80)) };
    let dest = ListedDest { dest, active: 0, inactive: 0, persist: 0, counters, rates, openings: Openings::default() };
    let listed = ListedService { service, counters, rates, dests: vec![dest] };
    Listing { services: vec![listed], timeouts: Timeouts::default(), conn_table_size: 4096 }
}

#[test]
fn recorded_columns() {
    let mut compared = 0;
    let recorded = entries(&text("recorded/e3_largenum.txt"));
    for pair in recorded.chunks_exact(2) {
        let (short, exact) = (&pair[0], &pair[1]);
        let view = if exact.command.contains("--stats") { View::Stats } else { View::Rate };
        let row = exact.out.lines().nth(3).expect("a service is listed");
        let figures: Vec<u64> = row.split_whitespace().skip(2).map(|n| n.parse().expect("a number")).collect();
        let table = table(figures.try_into().expect("five columns"));
        for (entry, exact) in [(short, false), (exact, true)] {
            assert_eq!(entry.command.contains("--exact"), exact);
            let request = ListRequest { view, exact, numeric: true, ..ListRequest::default() };
            assert_eq!(list(&table, None, &request, &FixedNames::default()).as_ref(), Some(&entry.out));
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
}
