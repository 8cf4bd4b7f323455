//! Figures of virtual servers and checks for Prometheus: gen2brain's names where there are any, and our own.

use super::metrics::{escaped, head};
use crate::keeper::{Board, CheckBoard, RealBoard, ServiceBoard};
use rvs_checker::{Admin, Facts};
use rvs_core::abi::{Counters, ServiceKey};
use rvs_wire::Family;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// How a counter is read.
type Read = fn(&Counters) -> u64;

const COUNTERS: [(&str, &str, Read); 5] = [
    ("in_packets", "Incoming packets", |it| it.in_pkts),
    ("out_packets", "Outgoing packets", |it| it.out_pkts),
    ("in_bytes", "Incoming bytes", |it| it.in_bytes),
    ("out_bytes", "Outgoing bytes", |it| it.out_bytes),
    ("conn", "Connections", |it| it.conns),
];

fn proto(key: &ServiceKey) -> &'static str {
    match key.proto {
        6 => "TCP",
        17 => "UDP",
        132 => "SCTP",
        _ => "FWM",
    }
}

/// `10.0.1.10:80`, or the mark.
fn place(key: &ServiceKey) -> String {
    match Family::from_raw(key.family) {
        Some(family) if key.proto != 0 => SocketAddr::new(key.addr.to_ip(family), key.port.host()).to_string(),
        _ => key.addr.last().raw().to_string(),
    }
}

/// The part of the page about virtual servers; nothing where there are none.
pub fn check_metrics(board: &Board) -> String {
    let mut page = String::new();
    if board.services.is_empty() {
        return page;
    }
    lvs(&mut page, board);
    services(&mut page, board);
    reals(&mut page, board);
    checks(&mut page, board);
    for (name, help, kind, value) in [
        (
            "rvs_check_table_fits",
            "Whether the table is as the virtual servers want it",
            "gauge",
            u64::from(board.table_fits),
        ),
        ("rvs_check_commits_total", "Transactions on the table", "counter", board.commits),
        ("rvs_check_stuck_total", "Checks that were far behind their time and were begun anew", "counter", board.stuck),
    ] {
        head(&mut page, name, help, kind);
        let _ = writeln!(page, "{name} {value}");
    }
    page
}

/// gen2brain's names.
fn lvs(page: &mut String, board: &Board) {
    for (what, help, read) in COUNTERS {
        let name = format!("keepalived_lvs_vip_{what}");
        head(page, &name, help, "counter");
        for (key, counters) in board.services.iter().flat_map(|service| &service.members) {
            let _ = writeln!(page, "{name}{{addr=\"{}\",proto=\"{}\"}} {}", place(key), proto(key), read(counters));
        }
        let name = format!("keepalived_lvs_rs_{what}");
        head(page, &name, help, "counter");
        for service in &board.services {
            let Some((key, _)) = service.members.first() else { continue };
            for real in &service.reals {
                let (vip, addr, proto) = (place(key), real.view.address, proto(key));
                let value = read(&real.counters);
                let _ = writeln!(page, "{name}{{addr=\"{addr}\",proto=\"{proto}\",vip=\"{vip}\"}} {value}");
            }
        }
    }
}

fn services(page: &mut String, board: &Board) {
    type Row = (&'static str, &'static str, fn(&ServiceBoard) -> i64);
    let rows: [Row; 4] = [
        ("rvs_virtual_server_quorum_up", "Whether the live real servers suffice", |it| i64::from(it.quorum_up)),
        ("rvs_virtual_server_live_weight", "Weight of the live real servers", |it| it.live_weight),
        ("rvs_virtual_server_sorry", "Whether the sorry server stands in", |it| {
            i64::from(it.sorry.as_ref().is_some_and(|(_, stands_in)| *stands_in))
        }),
        ("rvs_virtual_server_suspended", "Whether checks rest (ha_suspend)", |it| i64::from(it.suspended)),
    ];
    for (name, help, read) in rows {
        head(page, name, help, "gauge");
        for service in &board.services {
            let _ = writeln!(page, "{name}{{service=\"{}\"}} {}", escaped(&service.name), read(service));
        }
    }
}

fn labels(service: &ServiceBoard, real: &RealBoard) -> String {
    format!("service=\"{}\",real=\"{}\"", escaped(&service.name), escaped(&real.name))
}

fn reals(page: &mut String, board: &Board) {
    type Row = (&'static str, &'static str, fn(&RealBoard) -> i64);
    let rows: [Row; 6] = [
        ("rvs_real_server_up", "Whether all checks say up", |it| i64::from(it.view.alive)),
        ("rvs_real_server_weight", "Weight with all advice", |it| it.view.weight),
        ("rvs_real_server_weight_in_table", "Weight in the table; -1: it is not there", |it| {
            it.view.in_table.unwrap_or(-1)
        }),
        ("rvs_real_server_ejected", "Whether it is ejected as an outlier", |it| i64::from(it.ejected_for.is_some())),
        ("rvs_real_server_active_connections", "Active connections", |it| it.connections.0.into()),
        ("rvs_real_server_inactive_connections", "Inactive connections", |it| it.connections.1.into()),
    ];
    for (name, help, read) in rows {
        head(page, name, help, "gauge");
        for service in &board.services {
            for real in &service.reals {
                let _ = writeln!(page, "{name}{{{}}} {}", labels(service, real), read(real));
            }
        }
    }
    let name = "rvs_real_server_admin";
    head(page, name, "What an administrator has decided: 1 for the state that holds", "gauge");
    for service in &board.services {
        for real in &service.reals {
            for state in [Admin::Ready, Admin::Drain, Admin::Maint] {
                let (labels, holds) = (labels(service, real), u8::from(real.view.admin == state));
                let _ = writeln!(page, "{name}{{{labels},state=\"{}\"}} {holds}", state.name());
            }
        }
    }
}

/// Each check with its labels.
fn each(board: &Board) -> impl Iterator<Item = (String, &CheckBoard)> {
    board.services.iter().flat_map(|service| {
        service.reals.iter().flat_map(move |real| {
            real.checks.iter().enumerate().map(move |(at, check)| {
                (format!("{},check=\"{at}\",kind=\"{}\"", labels(service, real), check.kind), check)
            })
        })
    })
}

fn checks(page: &mut String, board: &Board) {
    type Row = (&'static str, &'static str, &'static str, fn(&CheckBoard) -> Option<f64>);
    let rows: [Row; 5] = [
        ("rvs_check_up", "Whether the check says up", "gauge", |it| Some(f64::from(u8::from(it.up)))),
        ("rvs_check_last_run_age_seconds", "Time since the end of the last run", "gauge", |it| {
            it.age.map(|age| age.as_secs_f64())
        }),
        ("rvs_check_runs_total", "Runs", "counter", |it| Some(it.facts.runs as f64)),
        ("rvs_check_failures_total", "Failed runs", "counter", |it| Some(it.facts.failures as f64)),
        ("rvs_check_restarts_total", "Times that it was stuck and was begun anew", "counter", |it| {
            Some(it.facts.stuck as f64)
        }),
    ];
    for (name, help, kind, read) in rows {
        head(page, name, help, kind);
        for (labels, check) in each(board) {
            if let Some(value) = read(check) {
                let _ = writeln!(page, "{name}{{{labels}}} {value}");
            }
        }
    }
    // Of all checks of a kind together: one histogram for each of thousands would be a page that nobody reads.
    let name = "rvs_check_duration_seconds";
    head(page, name, "How long runs take, by kind of check", "histogram");
    let mut kinds: Vec<(&str, [u64; Facts::BOUNDS.len() + 1], Duration)> = Vec::new();
    for (_, check) in each(board) {
        match kinds.iter_mut().find(|(kind, ..)| *kind == check.kind) {
            Some((_, sums, took)) => {
                sums.iter_mut().zip(check.facts.histogram).for_each(|(sum, more)| *sum += more);
                *took = took.saturating_add(check.facts.took_in_all);
            }
            None => kinds.push((check.kind, check.facts.histogram, check.facts.took_in_all)),
        }
    }
    for (kind, sums, took) in kinds {
        let mut so_far = 0;
        for (bound, count) in Facts::BOUNDS.iter().zip(sums) {
            so_far += count;
            let bound = f64::from(*bound) / 1000.0;
            let _ = writeln!(page, "{name}_bucket{{kind=\"{kind}\",le=\"{bound}\"}} {so_far}");
        }
        let all: u64 = sums.iter().sum();
        let _ = writeln!(page, "{name}_bucket{{kind=\"{kind}\",le=\"+Inf\"}} {all}");
        let _ = writeln!(page, "{name}_sum{{kind=\"{kind}\"}} {}", took.as_secs_f64());
        let _ = writeln!(page, "{name}_count{{kind=\"{kind}\"}} {all}");
    }
}
