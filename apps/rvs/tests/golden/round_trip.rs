//! Any table that the tool can make is restored from its saved rules, to the byte.

use crate::world::Host;
use proptest::prelude::*;
use rvs_core::sched::Kind;
use rvs_intent::Capabilities;

/// A service: its option, and what may follow it.
fn service() -> impl Strategy<Value = (String, String)> {
    let v4 = (1u8..5, 1u16..5).prop_map(|(host, port)| format!("10.0.1.{host}:{port}"));
    let v6 = (1u8..4, 1u16..4).prop_map(|(host, port)| format!("[fd00:1::{host}]:{port}"));
    let addressed = ("(-t|-u|--sctp-service)", prop_oneof![4 => v4, 1 => v6]).prop_map(|(o, at)| format!("{o} {at}"));
    let mark = (1u32..i32::MAX as u32, any::<bool>())
        .prop_map(|(mark, v6)| format!("-f {}{}", 1 + mark % 7, if v6 { " -6" } else { "" }));
    let all_ports = (1u8..4).prop_map(|host| format!("-t 10.0.3.{host}:0"));
    let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let sched = prop::sample::select(names).prop_map(|name| format!(" -s {name}"));
    let persistent = prop_oneof![
        4 => Just(String::new()),
        1 => Just(" -p".to_owned()),
        2 => (1u32..100_000).prop_map(|secs| format!(" -p {secs}")),
    ];
    let rest = prop::sample::subsequence(vec![" -M 255.255.255.0", " -o", " --pe sip", " -b flag-1,flag-2"], 0..3);
    let options = (sched, persistent, rest).prop_map(|(sched, p, rest)| format!("{sched}{p}{}", rest.concat()));
    (prop_oneof![5 => addressed, 2 => mark, 1 => all_ports], options)
}

/// A real server with its options.
fn server() -> impl Strategy<Value = String> {
    let at = prop_oneof![
        4 => (1u8..9).prop_map(|host| format!("10.0.2.{host}")),
        2 => (1u8..4, 1u16..9).prop_map(|(host, port)| format!("10.0.2.{host}:{port}")),
        1 => (1u8..4).prop_map(|host| format!("[fd00:2::{host}]:80")),
    ];
    let method = prop::sample::select(vec![
        "",
        " -g",
        " -m",
        " -i",
        " -i --tun-type gue --tun-port 6080 --tun-csum",
        " -i --tun-type gue --tun-port 6081 --tun-remcsum",
        " -i --tun-type gre",
        " -i --tun-type gre --tun-csum",
    ]);
    let weight = prop_oneof![Just(String::new()), any::<u16>().prop_map(|weight| format!(" -w {weight}"))];
    let thresholds = prop_oneof![
        2 => Just(String::new()),
        1 => (1u32..1000).prop_map(|upper| format!(" -x {upper}")),
        1 => (1u32..1000, 1u32..1000).prop_map(|(upper, lower)| format!(" -x {} -y {lower}", upper + lower)),
    ];
    (at, method, weight, thresholds).prop_map(|(at, method, weight, more)| format!("-r {at}{method}{weight}{more}"))
}

/// Makes a table; what is refused on the way is left out.
fn host(services: &[((String, String), Vec<String>)]) -> Host {
    let host = Host::new(Capabilities::ALL_IPVS);
    for ((service, options), servers) in services {
        host.line(&format!("-A {service}{options}"));
        for server in servers {
            host.line(&format!("-a {service} {server}"));
        }
    }
    host
}

const LISTINGS: [&str; 4] = ["-Ln", "-L", "-Ln --tun-info", "-Ln --persistent-conn"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn save_clear_restore(services in prop::collection::vec((service(), prop::collection::vec(server(), 0..5)), 0..12)) {
        let host = host(&services);
        let saved = host.line("-S -n").out;
        let listed = LISTINGS.map(|listing| host.line(listing).out);
        prop_assert_eq!(host.line("-C").status, 0);
        prop_assert_eq!(host.ipvsadm(&["-R"], &saved).err, "");
        prop_assert_eq!(host.line("-S -n").out, saved);
        for (listing, before) in LISTINGS.into_iter().zip(listed) {
            prop_assert_eq!(host.line(listing).out, before);
        }
    }

    #[test]
    fn a_full_save_restores_the_rest(
        services in prop::collection::vec((service(), prop::collection::vec(server(), 0..5)), 0..8),
        timeouts in (0u32..1000, 0u32..1000, 0u32..1000),
        daemon in any::<bool>(),
    ) {
        // Daemons and servers of the other family exclude each other.
        let mixed = services.iter().any(|((service, _), servers)| {
            servers.iter().any(|server| server.contains("fd00") != (service.contains("fd00") || service.contains("-6")))
        });
        let host = host(&services);
        host.line(&format!("--set {} {} {}", timeouts.0, timeouts.1, timeouts.2));
        host.line("-A -f 4000000000 -s rr -b flag-3");
        if daemon && !mixed {
            let ours = host.line("--start-daemon backup --mcast-interface eth1 --syncid 9 --mcast-group ff05::99");
            prop_assert_eq!(ours.err, "");
        }
        let saved = host.line("-S --full").out;
        let views = ["-Ln --thresholds", "-L --timeout", "-L --daemon", "-Ln", "-L --json"];
        let other = Host::new(Capabilities::ALL_IPVS);
        prop_assert_eq!(other.ipvsadm(&["-R"], &saved).err, "");
        prop_assert_eq!(other.line("-S --full").out, saved);
        for view in views {
            prop_assert_eq!(other.line(view).out, host.line(view).out);
        }
    }
}
