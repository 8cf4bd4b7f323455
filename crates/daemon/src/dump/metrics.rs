//! Figures for Prometheus, under the names of the two exporters that dashboards are made for, and our own.

use crate::run::Panel;
use crate::world::Snapshot;
use rvs_vrrp::{Instance, Stats};
use std::fmt::Write as _;

/// How a counter is read.
type Read = fn(&Stats) -> u64;
/// A counter: its name for gen2brain's exporter, its name for mehdy's, what it is, and how it is read.
type Row = (&'static str, &'static str, &'static str, Read);

const ROWS: [Row; 14] = [
    ("advert_rcvd", "advertisements_received", "Advertisements received", |s| s.advert_rcvd),
    ("advert_sent", "advertisements_sent", "Advertisements sent", |s| s.advert_sent),
    ("become_master", "become_master", "Became master", |s| s.become_master),
    ("release_master", "release_master", "Released master", |s| s.release_master),
    ("packet_len_err", "packet_length_errors", "Packet length errors", |s| s.packet_len_err),
    ("advert_interval_err", "advertisements_interval_errors", "Advertisement interval errors", |s| {
        s.advert_interval_err
    }),
    ("ip_ttl_err", "ip_ttl_errors", "TTL errors", |s| s.ip_ttl_err),
    ("invalid_type_rcvd", "invalid_type_received", "Invalid type errors", |s| s.invalid_type_rcvd),
    ("addr_list_err", "address_list_errors", "Address list errors", |s| s.addr_list_err),
    ("invalid_authtype", "authentication_invalid", "Authentication invalid", |s| s.invalid_authtype),
    ("authtype_mismatch", "authentication_mismatch", "Authentication mismatch", |s| s.authtype_mismatch),
    ("auth_failure", "authentication_failure", "Authentication failure", |s| s.auth_failure),
    ("pri_zero_rcvd", "priority_zero_received", "Priority zero received", |s| s.pri_zero_rcvd),
    ("pri_zero_sent", "priority_zero_sent", "Priority zero sent", |s| s.pri_zero_sent),
];

pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(super) fn head(page: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// The page.
pub fn metrics(snapshot: &Snapshot, panel: &Panel) -> String {
    let mut page = String::new();
    head(&mut page, "keepalived_up", "Whether keepalived runs", "gauge");
    page.push_str("keepalived_up 1\n");
    states(&mut page, snapshot);
    for (short, long, help, read) in ROWS {
        let name = format!("keepalived_vrrp_{short}");
        head(&mut page, &name, help, "counter");
        for instance in snapshot.router.instances() {
            let _ = writeln!(page, "{name}{{{}}} {}", short_labels(instance), read(instance.stats()));
        }
        let name = format!("keepalived_{long}_total");
        head(&mut page, &name, help, "counter");
        for instance in snapshot.router.instances() {
            let _ = writeln!(page, "{name}{{{}}} {}", labels(instance), read(instance.stats()));
        }
    }
    own(&mut page, snapshot, panel);
    page
}

fn labels(instance: &Instance) -> String {
    let params = instance.params();
    let (name, interface) = (escaped(instance.name()), escaped(&params.interface));
    format!("iname=\"{name}\",intf=\"{interface}\",vrid=\"{}\"", params.vrid)
}

fn short_labels(instance: &Instance) -> String {
    let params = instance.params();
    let (name, interface) = (escaped(instance.name()), escaped(&params.interface));
    let state = instance.state().word();
    format!("name=\"{name}\",intf=\"{interface}\",vrid=\"{}\",state=\"{state}\"", params.vrid)
}

fn states(page: &mut String, snapshot: &Snapshot) {
    let mut part = |name: &str, help: &str, excluded: bool| {
        head(page, name, help, "gauge");
        for instance in snapshot.router.instances() {
            let params = instance.params();
            let addresses = if excluded { &params.excluded } else { &params.addresses };
            for vip in addresses {
                let (labels, ip) = (labels(instance), vip.address);
                let _ = writeln!(page, "{name}{{{labels},ip_address=\"{ip}\"}} {}", instance.state().number());
            }
        }
    };
    part("keepalived_vrrp_state", "State of vrrp", false);
    part("keepalived_vrrp_excluded_state", "State of vrrp with excluded VIP", true);
}

fn own(page: &mut String, snapshot: &Snapshot, panel: &Panel) {
    let rows: [(&str, &str, Read); 5] = [
        ("rvs_vrrp_checksum_errors_total", "Adverts with a wrong checksum", |s| s.chk_err),
        ("rvs_vrrp_version_errors_total", "Adverts of another version", |s| s.vers_err),
        ("rvs_vrrp_ignored_total", "Adverts ignored", |s| s.ignored),
        ("rvs_vrrp_addresses_lost_total", "Addresses that somebody else removed", |s| s.addresses_lost),
        ("rvs_vrrp_late_wakes_total", "Timers that the process was woken for too late", |s| s.late_wakes),
    ];
    for (name, help, read) in rows {
        head(page, name, help, "counter");
        for instance in snapshot.router.instances() {
            let _ = writeln!(page, "{name}{{{}}} {}", labels(instance), read(instance.stats()));
        }
    }
    let priority = "rvs_vrrp_priority";
    head(page, priority, "Effective priority", "gauge");
    for instance in snapshot.router.instances() {
        let _ = writeln!(page, "{priority}{{{}}} {}", labels(instance), instance.priority());
    }
    let stats = snapshot.router.stats();
    for (name, help, value) in [
        ("rvs_vrrp_unknown_vrid_total", "Adverts for other virtual routers", stats.unknown_vrid),
        ("rvs_vrrp_malformed_total", "Packets that could not be read", stats.malformed.iter().sum()),
        ("rvs_vrrp_timer_late_total", "Wake-ups more than 10 ms late", panel.lateness.late()),
    ] {
        head(page, name, help, "counter");
        let _ = writeln!(page, "{name} {value}");
    }
}
