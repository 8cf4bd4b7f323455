//! The tables as `nft` lists them, in namespaces of their own.

use super::*;
use crate::testing::{in_namespace, ip};
use std::process::Command;

fn listed() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn dropped(address: &str, device: &str) -> Dropped {
    Dropped { address: address.parse().unwrap(), device: device.into() }
}

fn pings(address: &str) -> bool {
    Command::new("ping").args(["-n", "-c", "1", "-W", "1", address]).output().unwrap().status.success()
}

#[test]
fn packets_to_what_is_held_are_dropped_and_others_are_not() {
    in_namespace(|| {
        for address in ["10.1.0.1/32", "10.1.0.2/32", "fd01::1/128", "fd01::2/128"] {
            ip(&format!("addr add {address} dev lo"));
        }
        let mut firewall = Firewall::new(FirewallOptions::default());
        firewall.clear().unwrap();
        assert_eq!(listed(), "");
        let (a, b): (Arc<str>, Arc<str>) = ("A".into(), "B".into());
        firewall.hold(&a, [dropped("10.1.0.1", "lo"), dropped("fe80::1", "lo"), dropped("fd01::1", "lo")]).unwrap();
        firewall.hold(&b, [dropped("10.1.0.1", "lo")]).unwrap();
        let text = listed();
        for part in ["table ip keepalived", "ip daddr @vips drop", "ip6 daddr . iifname @vips_link_local drop"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.contains("fe80::1 . \"lo\"") && text.contains("priority filter - 1"), "{text}");
        assert!(!pings("10.1.0.1") && pings("10.1.0.2") && !pings("fd01::1") && pings("fd01::2"));
        firewall.release(&a).unwrap();
        assert!(!pings("10.1.0.1") && pings("fd01::1"), "another owner wants the first");
        firewall.hold(&b, [dropped("10.1.0.2", "lo")]).unwrap();
        assert!(pings("10.1.0.1") && !pings("10.1.0.2"));
        firewall.release(&b).unwrap();
        assert_eq!(listed(), "");
    });
}

#[test]
fn what_somebody_flushes_comes_back_with_the_next_change_and_a_next_run_removes_it() {
    in_namespace(|| {
        let mut firewall = Firewall::new(FirewallOptions { counters: true, ..FirewallOptions::default() });
        let (a, b): (Arc<str>, Arc<str>) = ("A".into(), "B".into());
        firewall.hold(&a, [dropped("10.1.0.1", "lo")]).unwrap();
        assert!(Command::new("nft").args(["flush", "ruleset"]).status().unwrap().success());
        firewall.hold(&b, [dropped("10.1.0.2", "lo")]).unwrap();
        let text = listed();
        assert!(text.contains("10.1.0.1, 10.1.0.2") && text.contains("@vips counter packets 0"), "{text}");
        let other = FirewallOptions { table: "other name".into(), priority: 7, counters: false };
        firewall.set_options(other.clone()).unwrap();
        let text = listed();
        assert!(text.contains("table ip other_name") && text.contains("priority filter + 7"), "{text}");
        assert!(!text.contains("keepalived") && text.contains("10.1.0.1, 10.1.0.2"), "{text}");
        drop(firewall);
        assert!(!listed().is_empty(), "it stays with the addresses");
        Firewall::new(other).clear().unwrap();
        assert_eq!(listed(), "");
    });
}

#[test]
fn thousands_of_addresses_fit() {
    in_namespace(|| {
        let many = (0..3000u32)
            .map(|n| Dropped { address: IpAddr::V6((1u128 << 120 | u128::from(n)).into()), device: "lo".into() });
        let mut firewall = Firewall::new(FirewallOptions::default());
        firewall.hold(&"A".into(), many).unwrap();
        assert_eq!(listed().matches("100::").count(), 3000);
    });
}

#[test]
fn answers_of_any_bytes_end() {
    for bytes in [&[][..], &[0; 20], &[255; 64], &[20, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]]
    {
        assert!(answers(bytes).len() <= 1);
    }
}
