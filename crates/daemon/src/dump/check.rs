//! The document for `rvs check --json`, and the table for people. Both may be about ten thousands of real servers: they are
//! written straight from the board.

use crate::keeper::{Board, CheckBoard, RealBoard, ServiceBoard, key_text};
use rvs_core::abi::{Counters, ServiceKey};
use serde::{Serialize, Serializer};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// The form of the document: while it stands, members are added but never renamed, removed or given another meaning.
const VERSION: u32 = 1;

/// How the virtual servers stand; docs/json.md describes it. Passwords are not in it.
pub fn check_status(board: &Board) -> impl Serialize + '_ {
    Status {
        version: VERSION,
        kind: "check",
        pid: std::process::id(),
        table_fits: board.table_fits,
        commits: board.commits,
        stuck_checks: board.stuck,
        virtual_servers: Each(&board.services, service),
    }
}

/// Elements that are made when they are written, one after the other.
struct Each<'a, T, U>(&'a [T], fn(&'a T) -> U);

impl<T, U: Serialize> Serialize for Each<'_, T, U> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(self.1))
    }
}

#[derive(Serialize)]
struct Status<'a> {
    version: u32,
    kind: &'static str,
    pid: u32,
    table_fits: bool,
    commits: u64,
    stuck_checks: u64,
    virtual_servers: Each<'a, ServiceBoard, Service<'a>>,
}

#[derive(Serialize)]
struct Service<'a> {
    name: &'a str,
    service_type: Option<&'a str>,
    members: Each<'a, (ServiceKey, Counters), Member>,
    quorum_up: bool,
    quorum: u32,
    hysteresis: u32,
    live_weight: i64,
    sorry_server: Option<Sorry<'a>>,
    suspended: bool,
    real_servers: Each<'a, RealBoard, Real<'a>>,
}

#[derive(Serialize)]
struct Member {
    service: String,
    counters: Figures,
}

#[derive(Serialize)]
struct Sorry<'a> {
    name: &'a str,
    stands_in: bool,
}

#[derive(Serialize)]
struct Figures {
    connections: u64,
    in_packets: u64,
    out_packets: u64,
    in_bytes: u64,
    out_bytes: u64,
}

#[derive(Serialize)]
struct Real<'a> {
    name: &'a str,
    address: SocketAddr,
    health: &'static str,
    failed_checks: usize,
    admin: &'static str,
    effective_admin: &'static str,
    why: Option<&'a str>,
    configured_weight: i64,
    weight: i64,
    weight_in_table: Option<i64>,
    starts_slowly: bool,
    ejected_for_seconds: Option<f64>,
    active_connections: u32,
    inactive_connections: u32,
    connections_over: Option<u32>,
    counters: Figures,
    checks: Each<'a, CheckBoard, Check>,
}

#[derive(Serialize)]
struct Check {
    kind: &'static str,
    target: SocketAddr,
    up: bool,
    has_run: bool,
    runs: u64,
    failures: u64,
    stuck: u64,
    last_run_seconds_ago: Option<f64>,
    took_seconds: Option<f64>,
    reason: Option<String>,
}

const fn figures(counters: &Counters) -> Figures {
    Figures {
        connections: counters.conns,
        in_packets: counters.in_pkts,
        out_packets: counters.out_pkts,
        in_bytes: counters.in_bytes,
        out_bytes: counters.out_bytes,
    }
}

fn service(service: &ServiceBoard) -> Service<'_> {
    Service {
        name: &service.name,
        service_type: service.kind.as_deref(),
        members: Each(&service.members, |(key, counters)| Member {
            service: key_text(key),
            counters: figures(counters),
        }),
        quorum_up: service.quorum_up,
        quorum: service.quorum.0,
        hysteresis: service.quorum.1,
        live_weight: service.live_weight,
        sorry_server: service.sorry.as_ref().map(|(name, stands_in)| Sorry { name, stands_in: *stands_in }),
        suspended: service.suspended,
        real_servers: Each(&service.reals, real),
    }
}

const fn health(alive: bool) -> &'static str {
    if alive { "up" } else { "down" }
}

fn real(real: &RealBoard) -> Real<'_> {
    let view = &real.view;
    Real {
        name: &real.name,
        address: view.address,
        health: health(view.alive),
        failed_checks: view.failed_checks,
        admin: view.admin.name(),
        effective_admin: view.effective_admin.name(),
        why: real.why.as_deref(),
        configured_weight: real.base_weight,
        weight: view.weight,
        weight_in_table: view.in_table,
        starts_slowly: view.starts_slowly,
        ejected_for_seconds: real.ejected_for.as_ref().map(Duration::as_secs_f64),
        active_connections: real.connections.0,
        inactive_connections: real.connections.1,
        connections_over: real.over,
        counters: figures(&real.counters),
        checks: Each(&real.checks, check),
    }
}

fn check(check: &CheckBoard) -> Check {
    Check {
        kind: check.kind,
        target: check.params.target.address,
        up: check.up,
        has_run: check.has_run,
        runs: check.facts.runs,
        failures: check.facts.failures,
        stuck: check.facts.stuck,
        last_run_seconds_ago: check.age.as_ref().map(Duration::as_secs_f64),
        took_seconds: check.facts.last_run.map(|_| check.facts.took.as_secs_f64()),
        reason: check.facts.reason.as_ref().map(ToString::to_string),
    }
}

/// The table of `rvs check`.
pub fn check_table(board: &Board) -> String {
    let mut text = String::new();
    for service in &board.services {
        text += &head(service);
        let mut rows = vec![
            ["", "REAL SERVER", "HEALTH", "ADMIN", "WEIGHT", "TABLE", "ACTIVE", "INACTIVE", "LAST CHECK", "FAILURES"]
                .map(str::to_owned),
        ];
        rows.extend(service.reals.iter().map(row));
        let mut widths = [0; 10];
        for row in &rows {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
        }
        for row in &rows {
            let line = text.len();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(text, "{cell:width$}  ");
            }
            text.truncate(line + text[line..].trim_end().len());
            text.push('\n');
        }
    }
    if text.is_empty() {
        text.push_str("There are no virtual servers.\n");
    }
    if !board.table_fits {
        text.push_str("The table cannot be changed; the log of keepalived says why.\n");
    }
    text
}

fn head(service: &ServiceBoard) -> String {
    let quorum = if service.quorum_up { "up" } else { "down" };
    let mut text = format!("{}: quorum {quorum} ({} of {})", service.name, service.live_weight, service.quorum.0);
    if let Some((name, stands_in)) = &service.sorry {
        let stands = if *stands_in { " stands in" } else { "" };
        let _ = write!(text, ", sorry server {name}{stands}");
    }
    if service.suspended {
        text += ", checks are suspended";
    }
    text + "\n"
}

fn row(real: &RealBoard) -> [String; 10] {
    let view = &real.view;
    let last = real.checks.iter().filter_map(|check| check.age).min();
    let failed = real.checks.iter().find_map(|check| Some((check.kind, check.facts.reason.as_ref()?)));
    let failures: u64 = real.checks.iter().map(|check| check.facts.failures).sum();
    let failures = match failed {
        Some((kind, reason)) => format!("{failures} ({kind}: {reason})"),
        None => failures.to_string(),
    };
    let mut admin = view.effective_admin.name().to_owned();
    if let Some(why) = &real.why {
        admin += &format!(" ({why})");
    } else if view.admin != view.effective_admin {
        admin += " (agent)";
    } else if let Some(left) = real.ejected_for {
        admin += &format!(", ejected for {:.0} s", left.as_secs_f64());
    }
    [
        String::new(),
        real.name.clone(),
        health(view.alive).to_owned(),
        admin,
        view.weight.to_string(),
        view.in_table.map_or("-".to_owned(), |weight| weight.to_string()),
        real.connections.0.to_string(),
        real.connections.1.to_string(),
        last.map_or("-".to_owned(), |age| format!("{:.1} s ago", age.as_secs_f64())),
        failures,
    ]
}
