use super::*;
use rvs_core::abi::Counters;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::Fill;
use rvs_dataplane::model::Model;
use rvs_intent::Totals;
use std::time::Instant;

/// A director with one good service, and others without real servers.
fn glance(empty_services: u32) -> Glance {
    let mut text = String::from("-A -t 10.0.1.10:80\n-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m\n");
    (0..empty_services).for_each(|n| text += &format!("-A -u 10.0.1.10:{}\n", 100 + n));
    let names = rvs_config::names::FixedNames::default();
    let rules = rvs_config::ipvsadm::read_script(&text, &names).unwrap();
    let mut model = Model::default();
    model.update(&rules.rules.into_iter().map(|rule| rule.edit).collect::<Vec<_>>()).unwrap();
    let mut listing = model.listing().unwrap();
    listing.services[0].dests[0].active = 12;
    listing.services[0].dests[0].inactive = 3;
    listing.services[0].rates.in_pps = 1500;
    let fill =
        Fill { connections: 15, connection_capacity: 1024, service_capacity: 64, dest_capacity: 64, ..Fill::default() };
    let interface = InterfaceStatus { name: "eth0".into(), mode: "tc", ..InterfaceStatus::default() };
    let status = Status {
        namespace: 4026531840,
        interfaces: vec![interface],
        fill,
        ticking: true,
        object_is_ours: true,
        generation: 3,
        ..Status::default()
    };
    let totals = Totals {
        counters: Counters { conns: 100, ..Counters::default() },
        rates: Rates { cps: 7, in_pps: 1500, ..Rates::default() },
        per_cpu: Vec::new(),
    };
    let reasons =
        vec![(Reason::NatIn, 5000), (Reason::NoRoute, 4), (Reason::NoService, 40), (Reason::NoDestination, 0)];
    Glance { at: Instant::now(), status, listing, totals, reasons }
}

#[test]
fn no_director_is_an_answer_not_an_error() {
    assert_eq!(json(None, None, false), "{\n  \"director\": false\n}\n");
    assert!(page(None, None).contains("ipvsadm -A"));
}

#[test]
fn the_page_tells_what_is_done_and_that_all_is_well() {
    let text = page(Some(&glance(0)), None);
    for line in [
        "Director of network namespace 4026531840",
        "Services       1; destinations 1",
        "Connections    12 active, 3 inactive",
        "Averaged       7 connections/s; in 1.5k packets/s, 0 bytes/s; out 0 packets/s, 0 bytes/s",
        "Packets        forwarded 5000, passed 40, dropped 4, answered 0",
        "               no_route 4",
        "TCP  10.0.1.10:80                wlc              1         12       1500",
        "connections        15       1024",
        "Configuration changes: 2",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(!text.contains("Warning") && !text.contains("Last "), "{text}");
}

#[test]
fn what_happened_in_between_is_told_by_the_second() {
    let before = glance(0);
    let mut now = glance(0);
    now.at = before.at + Duration::from_secs(2);
    now.totals.counters.conns += 50;
    now.reasons[0].1 += 9000;
    now.reasons[3].1 += 1;
    let text = page(Some(&now), Some(&before));
    let line = "Last  2.0 s    25 connections/s; forwarded 4.5k/s, passed 0/s, dropped 0/s, answered 0/s";
    assert!(text.lines().any(|have| have == line), "{text}");
    assert!(text.lines().any(|have| have == "               no_destination 1"), "{text}");
    let value: Value = serde_json::from_str(&json(Some(&now), Some(&before), true)).unwrap();
    let interval = &value["interval"];
    assert_eq!((&interval["connections"], &interval["reasons"]["nat_in"]), (&json!(50), &json!(9000)));
    assert_eq!((&value["reasons"]["nat_in"], &value["connections"]["active"]), (&json!(14000), &json!(12)));
}

/// Counters that were zeroed between two looks do not become huge differences.
#[test]
fn zeroed_counters_are_counted_from_zero() {
    let before = glance(0);
    let mut now = glance(0);
    now.at = before.at + Duration::from_secs(1);
    now.totals.counters.conns = 2;
    assert!(page(Some(&now), Some(&before)).contains("    2 connections/s;"), "{}", page(Some(&now), Some(&before)));
}

#[test]
fn what_an_operator_should_look_at_is_a_warning() {
    let mut now = glance(1);
    now.status.fill.connections = 1000;
    now.status.ticking = false;
    now.status.object_is_ours = false;
    now.status.interfaces[0].mode = "none";
    let text = page(Some(&now), None);
    for warning in [
        "UDP  10.0.1.10:100 has no real server: new clients are refused",
        "the table of connections is nearly full: 1000 of 1024; see `rvs limits`",
        "nothing is attached to any interface: no packet is seen",
        "the timers stand still: connections do not expire",
        "the loaded programs are those of another build of RVS",
    ] {
        assert!(text.lines().any(|line| line == format!("Warning: {warning}")), "{warning}\n{text}");
    }
    now.listing.services[0].dests[0].dest.weight = 0;
    assert!(page(Some(&now), None).contains("10.0.1.10:80 has only real servers of weight 0"));
}

#[test]
fn the_page_stays_a_page_however_many_services_there_are() {
    let text = page(Some(&glance(1000)), None);
    assert!(text.lines().count() < 45, "{text}");
    assert!(text.contains("and 996 more; `ipvsadm -Ln` lists them all"), "{text}");
    assert!(text.contains("Warning: and so on;"), "{text}");
}

#[test]
fn numbers_in_few_digits() {
    for (number, text) in [
        (0.0, "0"),
        (0.4, "0"),
        (999.4, "999"),
        (999.6, "1.0k"),
        (12_345.0, "12.3k"),
        (123_456.0, "123k"),
        (4.56e6, "4.6M"),
        (9e15, "9000T"),
    ] {
        assert_eq!(amount(number), text);
    }
}
