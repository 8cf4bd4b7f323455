//! The document for `rvs vrrp --json`, and the table for people made of it.

use crate::run::Panel;
use crate::world::Snapshot;
use rvs_vrrp::packet::Malformed;
use rvs_vrrp::params::{Protocol, Tracked};
use rvs_vrrp::{Instance, Stats};
use serde_json::{Map, Value, json};

/// How everything stands. Passwords are not in it.
pub fn status(snapshot: &Snapshot, panel: &Panel) -> Value {
    let router = &snapshot.router;
    let instances: Vec<Value> = router.instances().iter().map(|instance| one(snapshot, instance)).collect();
    let group = |group: &rvs_vrrp::Group| {
        let members: Vec<&str> =
            group.members().iter().filter_map(|at| router.instances().get(*at)).map(|it| &**it.name()).collect();
        json!({ "name": &**group.name(), "state": group.state().word(), "instances": members })
    };
    let session = |session: &rvs_bfd::Session| {
        let params = session.params();
        json!({
            "name": &*params.name,
            "neighbour": params.neighbour.to_string(),
            "state": format!("{:?}", session.state()).to_lowercase(),
        })
    };
    let malformed: Map<String, Value> = Malformed::ALL
        .iter()
        .zip(router.stats().malformed)
        .map(|(reason, count)| (reason.label().to_owned(), count.into()))
        .collect();
    json!({
        "pid": std::process::id(),
        "instances": instances,
        "groups": router.groups().iter().map(group).collect::<Vec<Value>>(),
        "bfd": snapshot.bfd.iter().map(session).collect::<Vec<Value>>(),
        "unknown_vrid": router.stats().unknown_vrid,
        "unwanted": router.stats().unwanted,
        "malformed": malformed,
        "notifications_dropped": snapshot.dropped,
        "timers": {
            "wakes": panel.lateness.wakes(),
            "late": panel.lateness.late(),
            "worst_seconds": panel.lateness.worst().as_secs_f64(),
        },
    })
}

fn one(snapshot: &Snapshot, instance: &Instance) -> Value {
    let params = instance.params();
    let addresses = |list: &[rvs_vrrp::params::VirtualAddress]| -> Vec<String> {
        list.iter().map(|vip| format!("{}/{}", vip.address, vip.prefix)).collect()
    };
    let tracked: Vec<Value> = params
        .track
        .iter()
        .map(|track| {
            let (kind, name) = match &track.what {
                Tracked::Interface(name) => ("interface", name),
                Tracked::Script(name) => ("script", name),
                Tracked::File(name) => ("file", name),
                Tracked::Process(name) => ("process", name),
                Tracked::Bfd(name) => ("bfd", name),
            };
            json!({ "kind": kind, "name": &**name, "weight": track.weight })
        })
        .collect();
    json!({
        "name": &**instance.name(),
        "state": instance.state().word(),
        "interface": &*params.interface,
        "vrid": params.vrid.get(),
        "version": if matches!(params.protocol, Protocol::V3 { .. }) { 3 } else { 2 },
        "base_priority": params.priority.get(),
        "priority": instance.priority().get(),
        "source": instance.source().map(|ip| ip.to_string()),
        "master": instance.master().map(|(ip, priority)| json!({ "address": ip.to_string(), "priority": priority })),
        "interval_seconds": params.interval().as_secs_f64(),
        "master_down_seconds": instance.master_down().as_secs_f64(),
        "since_seconds": snapshot.now.since(instance.last_transition()).as_secs_f64(),
        "holds_addresses": instance.holds_addresses(),
        "addresses": addresses(&params.addresses),
        "excluded_addresses": addresses(&params.excluded),
        "tracks": tracked,
        "counters": counters(instance.stats()),
    })
}

fn counters(stats: &Stats) -> Value {
    json!({
        "advert_rcvd": stats.advert_rcvd,
        "advert_sent": stats.advert_sent,
        "become_master": stats.become_master,
        "release_master": stats.release_master,
        "packet_len_err": stats.packet_len_err,
        "advert_interval_err": stats.advert_interval_err,
        "ip_ttl_err": stats.ip_ttl_err,
        "invalid_type_rcvd": stats.invalid_type_rcvd,
        "addr_list_err": stats.addr_list_err,
        "invalid_authtype": stats.invalid_authtype,
        "authtype_mismatch": stats.authtype_mismatch,
        "auth_failure": stats.auth_failure,
        "auth_ext_missing": stats.auth_ext_missing,
        "auth_ext_malformed": stats.auth_ext_malformed,
        "auth_ext_unknown_key": stats.auth_ext_unknown_key,
        "auth_ext_invalid_hmac": stats.auth_ext_invalid_hmac,
        "auth_ext_stale": stats.auth_ext_stale,
        "auth_ext_replay": stats.auth_ext_replay,
        "pri_zero_rcvd": stats.pri_zero_rcvd,
        "pri_zero_sent": stats.pri_zero_sent,
        "checksum_err": stats.chk_err,
        "version_err": stats.vers_err,
        "ignored": stats.ignored,
        "addresses_lost": stats.addresses_lost,
        "late_wakes": stats.late_wakes,
        "logs_suppressed": stats.logs_suppressed,
    })
}

/// The table of `rvs vrrp`.
pub fn table(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut rows =
        vec![["INSTANCE", "STATE", "INTERFACE", "VRID", "PRIO", "MASTER", "SINCE", "ADDRESSES"].map(str::to_owned)];
    for instance in status["instances"].as_array().into_iter().flatten() {
        let addresses = instance["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let master = match instance["state"].as_str() {
            Some("MASTER") => "itself".to_owned(),
            _ => text(&instance["master"]["address"]),
        };
        rows.push([
            text(&instance["name"]),
            text(&instance["state"]),
            text(&instance["interface"]),
            instance["vrid"].to_string(),
            instance["priority"].to_string(),
            master,
            format!("{:.0} s", instance["since_seconds"].as_f64().unwrap_or(0.0)),
            addresses.collect::<Vec<_>>().join(" "),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    let line = |row: &[String; 8]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
