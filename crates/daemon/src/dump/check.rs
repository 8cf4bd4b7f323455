//! The document for `rvs check --json`, and the table for people made of it.

use crate::keeper::{Board, CheckBoard, RealBoard, ServiceBoard, key_text};
use rvs_core::abi::Counters;
use serde_json::{Value, json};
use std::time::Duration;

/// How the virtual servers stand. Passwords are not in it.
pub fn check_status(board: &Board) -> Value {
    json!({
        "pid": std::process::id(),
        "table_fits": board.table_fits,
        "commits": board.commits,
        "virtual_servers": board.services.iter().map(service).collect::<Vec<_>>(),
    })
}

fn counters(counters: &Counters) -> Value {
    json!({
        "connections": counters.conns,
        "in_packets": counters.in_pkts,
        "out_packets": counters.out_pkts,
        "in_bytes": counters.in_bytes,
        "out_bytes": counters.out_bytes,
    })
}

fn service(service: &ServiceBoard) -> Value {
    let member = |(key, figures): &(_, Counters)| json!({ "service": key_text(key), "counters": counters(figures) });
    json!({
        "name": service.name,
        "service_type": service.kind,
        "members": service.members.iter().map(member).collect::<Vec<_>>(),
        "quorum_up": service.quorum_up,
        "quorum": service.quorum.0,
        "hysteresis": service.quorum.1,
        "live_weight": service.live_weight,
        "sorry_server": service.sorry.as_ref().map(|(name, stands_in)| json!({ "name": name, "stands_in": stands_in })),
        "suspended": service.suspended,
        "real_servers": service.reals.iter().map(real).collect::<Vec<_>>(),
    })
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn real(real: &RealBoard) -> Value {
    let view = &real.view;
    json!({
        "name": real.name,
        "address": view.address.to_string(),
        "health": if view.alive { "up" } else { "down" },
        "failed_checks": view.failed_checks,
        "admin": view.admin.name(),
        "effective_admin": view.effective_admin.name(),
        "why": real.why,
        "configured_weight": real.base_weight,
        "weight": view.weight,
        "weight_in_table": view.in_table,
        "starts_slowly": view.starts_slowly,
        "ejected_for_seconds": seconds(real.ejected_for),
        "active_connections": real.connections.0,
        "inactive_connections": real.connections.1,
        "counters": counters(&real.counters),
        "checks": real.checks.iter().map(check).collect::<Vec<_>>(),
    })
}

fn check(check: &CheckBoard) -> Value {
    json!({
        "kind": check.kind,
        "target": check.params.target.address.to_string(),
        "up": check.up,
        "has_run": check.has_run,
        "runs": check.facts.runs,
        "failures": check.facts.failures,
        "last_run_seconds_ago": seconds(check.age),
        "took_seconds": check.facts.last_run.map(|_| check.facts.took.as_secs_f64()),
        "reason": check.facts.reason.as_ref().map(ToString::to_string),
    })
}

/// The table of `rvs check`.
pub fn check_table(status: &Value) -> String {
    let mut text = String::new();
    for service in status["virtual_servers"].as_array().into_iter().flatten() {
        text += &head(service);
        let mut rows = vec![
            ["", "REAL SERVER", "HEALTH", "ADMIN", "WEIGHT", "TABLE", "ACTIVE", "INACTIVE", "LAST CHECK", "FAILURES"]
                .map(str::to_owned),
        ];
        rows.extend(service["real_servers"].as_array().into_iter().flatten().map(row));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text += &format!("{}\n", cells.join("  ").trim_end());
        }
    }
    if text.is_empty() {
        text.push_str("There are no virtual servers.\n");
    }
    if status["table_fits"] == false {
        text.push_str("The table cannot be changed; the log of keepalived says why.\n");
    }
    text
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

fn head(service: &Value) -> String {
    let mut text = format!("{}: quorum ", word(&service["name"]));
    text += if service["quorum_up"] == true { "up" } else { "down" };
    text += &format!(" ({} of {})", service["live_weight"], service["quorum"]);
    if let Some(sorry) = service["sorry_server"].as_object() {
        let stands = if sorry["stands_in"] == true { " stands in" } else { "" };
        text += &format!(", sorry server {}{stands}", word(&sorry["name"]));
    }
    if service["suspended"] == true {
        text += ", checks are suspended";
    }
    text + "\n"
}

fn row(real: &Value) -> [String; 10] {
    let checks = real["checks"].as_array().map_or(&[][..], Vec::as_slice);
    let last = checks
        .iter()
        .filter_map(|check| check["last_run_seconds_ago"].as_f64())
        .fold(None, |least, age| Some(least.map_or(age, |least: f64| least.min(age))));
    let failed = checks.iter().find(|check| !check["reason"].is_null());
    let failures: u64 = checks.iter().filter_map(|check| check["failures"].as_u64()).sum();
    let failures = match failed {
        Some(check) => format!("{failures} ({}: {})", word(&check["kind"]), word(&check["reason"])),
        None => failures.to_string(),
    };
    let mut admin = word(&real["effective_admin"]);
    if let Some(why) = real["why"].as_str() {
        admin += &format!(" ({why})");
    } else if real["admin"] != real["effective_admin"] {
        admin += " (agent)";
    } else if let Some(left) = real["ejected_for_seconds"].as_f64() {
        admin += &format!(", ejected for {left:.0} s");
    }
    [
        String::new(),
        word(&real["name"]),
        word(&real["health"]),
        admin,
        real["weight"].to_string(),
        if real["weight_in_table"].is_null() { "-".to_owned() } else { real["weight_in_table"].to_string() },
        real["active_connections"].to_string(),
        real["inactive_connections"].to_string(),
        last.map_or("-".to_owned(), |age| format!("{age:.1} s ago")),
        failures,
    ]
}
