use super::*;
use crate::names::FixedNames;
use rvs_core::abi::Counters;
use rvs_intent::{Capabilities, Edit, ListedDest, ListedService, NoInterfaces, Rules, Table};

fn listing(text: &str) -> Listing {
    let rules = crate::ipvsadm::read_script(text, &FixedNames::default()).unwrap();
    let edits: Vec<Edit> = rules.rules.into_iter().map(|rule| rule.edit).collect();
    let mut table = Table::default();
    table.apply_all(&edits, &Rules { capabilities: Capabilities::ALL_IPVS, net: &NoInterfaces }).unwrap();
    let counters = Counters { conns: 1, in_pkts: 2, out_pkts: 3, in_bytes: 4, out_bytes: u64::MAX };
    let rates = Default::default();
    let dest = |dest: &rvs_intent::Dest| ListedDest {
        dest: dest.clone(),
        active: 5,
        inactive: 6,
        persist: 7,
        counters,
        rates,
        openings: Default::default(),
    };
    let services = table.services.iter().map(|service| ListedService {
        dests: service.dests.iter().map(dest).collect(),
        service: service.clone(),
        counters,
        rates,
    });
    Listing { services: services.collect(), ..Listing::default() }
}

fn director() -> Director {
    Director {
        reasons: Reason::ALL.iter().map(|reason| (*reason, *reason as u64)).collect(),
        tables: vec![("connections", 3, 1024), ("services", 2, 16)],
        remembered: 1,
        memory: 1 << 30,
        connection_bytes: 164,
        ticking: true,
        changes: 12,
        abi: 1,
        kernel: "6.1.0-\"quoted\"".into(),
        interfaces: vec![("eth0".into(), "tc"), ("lo\n".into(), "none")],
    }
}

fn text(figures: &Figures) -> String {
    let mut out = Vec::new();
    write(figures, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const RULES: &str = "-A -t 192.168.0.22:3306\n-a -t 192.168.0.22:3306 -r 192.168.82.22:3306 -m -w 100\n\
    -A -t [fd00:1::10]:80\n-a -t [fd00:1::10]:80 -r [fd00:2::11]:8080 -m\n-A -u 192.168.0.22:53\n\
    -A --sctp-service 192.168.0.22:9\n-a --sctp-service 192.168.0.22:9 -r 192.168.82.1:9 -m -w 0\n\
    -A -f 268439552\n-a -f 268439552 -r 192.168.49.32:3306 -m -w 20\n-a -f 268439552 -r [fd00:2::9]:0 -i\n\
    -A -f 268439552 -6\n-a -f 268439552 -6 -r [fd00:2::9]:0 -i\n";

fn figures() -> Figures {
    let counters =
        Counters { conns: 23765872, in_pkts: 3811989221, out_pkts: 0, in_bytes: 89991519156915, out_bytes: 0 };
    let totals = Totals { counters, ..Totals::default() };
    Figures { listing: listing(RULES), totals, director: Some(director()) }
}

#[test]
fn every_family_is_there_and_the_text_is_what_prometheus_takes() {
    let text = text(&figures());
    let samples = strict::read(&text).unwrap();
    for name in names() {
        assert!(samples.keys().any(|series| series.split('{').next() == Some(name)), "{name}");
        assert!(text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

/// Names, labels and texts as node_exporter's own tests have them.
#[test]
fn the_series_of_node_exporter() {
    let text = text(&figures());
    for line in [
        "# HELP node_ipvs_backend_connections_active The current active connections by local and remote address.",
        "# TYPE node_ipvs_backend_connections_active gauge",
        "node_ipvs_backend_connections_active{local_address=\"\",local_mark=\"10001000\",local_port=\"0\",proto=\"FWM\",\
         remote_address=\"192.168.49.32\",remote_port=\"3306\"} 5",
        "node_ipvs_backend_weight{local_address=\"192.168.0.22\",local_mark=\"\",local_port=\"3306\",proto=\"TCP\",\
         remote_address=\"192.168.82.22\",remote_port=\"3306\"} 100",
        "# HELP node_ipvs_connections_total The total number of connections made.",
        "# TYPE node_ipvs_connections_total counter",
        "node_ipvs_connections_total 23765872",
        "node_ipvs_incoming_bytes_total 89991519156915",
        "node_ipvs_incoming_packets_total 3811989221",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
}

#[test]
fn a_server_of_a_mark_of_both_families_is_added_up_as_node_exporter_does() {
    let samples = strict::read(&text(&figures())).unwrap();
    let series = "node_ipvs_backend_connections_active{local_address=\"\",local_mark=\"10001000\",local_port=\"0\",\
                  proto=\"FWM\",remote_address=\"fd00:2::9\",remote_port=\"0\"}";
    assert_eq!(samples.get(series), Some(&10.0));
    for family in ["ipv4", "ipv6"] {
        let series = format!(
            "rvs_service_connections_total{{family=\"{family}\",local_address=\"\",local_mark=\"10001000\",\
             local_port=\"0\",proto=\"FWM\"}}"
        );
        assert_eq!(samples.get(&series), Some(&1.0), "{series}");
    }
}

#[test]
fn every_reason_has_its_counter() {
    let samples = strict::read(&text(&figures())).unwrap();
    for reason in Reason::ALL {
        let series = format!("rvs_packets_total{{outcome={:?},reason={:?}}}", reason.outcome().label(), reason.label());
        assert_eq!(samples.get(&series), Some(&f64::from(*reason as u8)), "{series}");
    }
}

#[test]
fn where_there_is_no_director_the_rest_is_told() {
    let none = Figures { listing: Listing::default(), totals: Totals::default(), director: None };
    let samples = strict::read(&text(&none)).unwrap();
    assert_eq!((samples["rvs_director"], samples["node_ipvs_connections_total"]), (0.0, 0.0));
    assert!(!samples.keys().any(|series| series.starts_with("rvs_packets_total")));
}

#[test]
fn the_documentation_lists_every_family() {
    let docs = include_str!("../../../../docs/metrics.md");
    for name in names() {
        assert!(docs.contains(&format!("`{name}`")), "docs/metrics.md lists `{name}`");
    }
    for word in docs.split('`').filter(|word| word.starts_with("rvs_") || word.starts_with("node_ipvs_")) {
        assert!(names().contains(&word), "docs/metrics.md lists `{word}`, which there is not");
    }
}

#[test]
fn the_reader_of_these_tests_is_strict() {
    let head = "# HELP a_total x\n# TYPE a_total counter\n";
    for (body, fits) in [
        ("a_total 1\n", true),
        ("a_total{x=\"1\",y=\"\\\\\\\"\\n\"} 1.5e3\n", true),
        ("a_total 1", false),
        ("a_total 1 1700000000\n", false),
        ("a_total -1\n", false),
        ("a_total NaN\n", false),
        ("a_total{x=\"1\",x=\"2\"} 1\n", false),
        ("a_total{x=\"1\"} 1\na_total{x=\"1\"} 2\n", false),
        ("a_total{x=1} 1\n", false),
        ("a_total{x=\"\\t\"} 1\n", false),
        ("b_total 1\n", false),
        ("a_total  1\n", false),
        ("\n", false),
        ("a_total 1\n# HELP a_total x\n# TYPE a_total counter\n", false),
    ] {
        assert_eq!(strict::read(&format!("{head}{body}")).is_ok(), fits, "{body:?}");
    }
    assert!(strict::read("# HELP a x\n# TYPE a counter\na 1\n").is_err(), "a counter is a total");
}
