//! The page of `rvs status`, for people and as JSON.

use super::Glance;
use crate::report;
use rvs_config::ipvsadm::show::service_name;
use rvs_core::verdict::{Outcome, Reason};
use rvs_dataplane::kernel::{InterfaceStatus, Status};
use rvs_intent::observed::minus;
use rvs_intent::{ListedService, Rates};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Services on the page.
const BUSIEST: usize = 5;
/// A table that is fuller than this many hundredths is worth a warning.
const FULL: u64 = 90;
const OUTCOMES: [Outcome; 4] = [Outcome::Forwarded, Outcome::Passed, Outcome::Dropped, Outcome::Answered];

/// What happened between two looks.
struct Interval {
    took: Duration,
    reasons: Vec<(Reason, u64)>,
    conns: u64,
}

impl Interval {
    fn of(before: &Glance, now: &Glance) -> Self {
        let earlier = |reason: Reason| before.reasons.iter().find(|(known, _)| *known == reason).map_or(0, |(_, n)| *n);
        Self {
            took: now.at.duration_since(before.at).max(Duration::from_millis(1)),
            reasons: now.reasons.iter().map(|(reason, n)| (*reason, n.saturating_sub(earlier(*reason)))).collect(),
            conns: match minus(&now.totals.counters, &before.totals.counters).conns {
                // Zeroed in between.
                conns if conns > now.totals.counters.conns => now.totals.counters.conns,
                conns => conns,
            },
        }
    }

    fn per_second(&self, count: u64) -> String {
        amount(count as f64 / self.took.as_secs_f64())
    }
}

/// The page for people; `None`: there is no director.
pub fn page(now: Option<&Glance>, before: Option<&Glance>) -> String {
    let Some(now) = now else {
        return "There is no director in this network namespace; `ipvsadm -A` makes one.\n".to_owned();
    };
    let mut text = format!("Director of network namespace {}\n\n", now.status.namespace);
    text += &work(now);
    if let Some(before) = before {
        text += &interval(&Interval::of(before, now));
    }
    text += &busiest(&now.listing.services);
    text += &interfaces(&now.status.interfaces);
    text += &tables(&now.status);
    for warning in warnings(now) {
        text += &format!("Warning: {warning}\n");
    }
    text
}

/// What it has to do, and does.
fn work(now: &Glance) -> String {
    let services = &now.listing.services;
    let dests: usize = services.iter().map(|listed| listed.dests.len()).sum();
    let (active, inactive) = connections(now);
    let Rates { cps, in_pps, out_pps, in_bps, out_bps } = now.totals.rates;
    let [cps, in_pps, out_pps, in_bps, out_bps] = [cps, in_pps, out_pps, in_bps, out_bps].map(|n| amount(n as f64));
    format!(
        "Services       {}; destinations {dests}\n\
         Connections    {active} active, {inactive} inactive\n\
         Averaged       {cps} connections/s; in {in_pps} packets/s, {in_bps} bytes/s; out {out_pps} packets/s, {out_bps} bytes/s\n\
         Packets        {}\n{}",
        services.len(),
        outcomes(&now.reasons, |n| n.to_string()),
        unforwarded("               ", &now.reasons, |n| n.to_string()),
    )
}

fn interval(interval: &Interval) -> String {
    let per_second = |n| format!("{}/s", interval.per_second(n));
    format!(
        "Last {:>4.1} s    {} connections/s; {}\n{}",
        interval.took.as_secs_f64(),
        interval.per_second(interval.conns),
        outcomes(&interval.reasons, per_second),
        unforwarded("               ", &interval.reasons, |n| n.to_string()),
    )
}

fn sum(reasons: &[(Reason, u64)], outcome: Outcome) -> u64 {
    reasons.iter().filter(|(reason, _)| reason.outcome() == outcome).map(|(_, n)| n).sum()
}

fn outcomes(reasons: &[(Reason, u64)], print: impl Fn(u64) -> String) -> String {
    let one = |outcome: &Outcome| format!("{} {}", outcome.label(), print(sum(reasons, *outcome)));
    OUTCOMES.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A line with the reasons of packets that ended here, if there are any.
fn unforwarded(indent: &str, reasons: &[(Reason, u64)], print: impl Fn(u64) -> String) -> String {
    let ended = |reason: &Reason| matches!(reason.outcome(), Outcome::Dropped | Outcome::Answered);
    let named: Vec<String> = reasons
        .iter()
        .filter(|(reason, n)| *n > 0 && ended(reason))
        .map(|(reason, n)| format!("{} {}", reason.label(), print(*n)))
        .collect();
    if named.is_empty() { String::new() } else { format!("{indent}{}\n", named.join(", ")) }
}

fn connections(now: &Glance) -> (u64, u64) {
    let dests = now.listing.services.iter().flat_map(|listed| &listed.dests);
    dests
        .fold((0, 0), |(active, inactive), dest| (active + u64::from(dest.active), inactive + u64::from(dest.inactive)))
}

fn busiest(services: &[ListedService]) -> String {
    if services.is_empty() {
        return "\n".to_owned();
    }
    let active = |listed: &ListedService| listed.dests.iter().map(|dest| u64::from(dest.active)).sum::<u64>();
    let mut order: Vec<&ListedService> = services.iter().collect();
    order.sort_by_key(|listed| std::cmp::Reverse((listed.rates.in_pps, active(listed))));
    let mut text = String::from("\nService                          Scheduler  Servers     Active  Packets/s\n");
    for listed in order.iter().take(BUSIEST) {
        let (name, sched) = (named(listed), listed.service.sched.name());
        let (servers, active, pps) = (listed.dests.len(), active(listed), listed.rates.in_pps);
        text += &format!("{name:<32} {sched:<10} {servers:>7} {active:>10} {pps:>10}\n");
    }
    if let Some(more @ 1..) = services.len().checked_sub(BUSIEST) {
        text += &format!("and {more} more; `ipvsadm -Ln` lists them all\n");
    }
    text + "\n"
}

fn named(listed: &ListedService) -> String {
    use rvs_config::ipvsadm::show::protocol;
    let key = &listed.service.key;
    let kind = if rvs_intent::model::is_mark(key) { "FWM" } else { protocol(key.proto) };
    format!("{kind:<4} {}", service_name(key))
}

fn interfaces(interfaces: &[InterfaceStatus]) -> String {
    let mut text = String::from("Interface        Driver           Chosen      Attached\n");
    for at in interfaces {
        let chosen = at.chosen.map_or("-".to_owned(), |mode| mode.to_string());
        text += &format!("{:<16} {:<16} {chosen:<11} {}\n", at.name, at.driver, at.mode);
    }
    text
}

/// Name, entries in use and entries that there can be, of each table.
fn fill(status: &Status) -> [(&'static str, u64, u64); 3] {
    let fill = &status.fill;
    [
        ("connections", fill.connections.into(), fill.connection_capacity.into()),
        ("services", fill.services.into(), fill.service_capacity.into()),
        ("destinations", (fill.dests + fill.remembered_dests).into(), fill.dest_capacity.into()),
    ]
}

fn tables(status: &Status) -> String {
    let mut text = String::from("\nTable          in use   capacity\n");
    for (name, used, capacity) in fill(status) {
        text += &format!("{name:<12} {used:>8} {capacity:>10}\n");
    }
    let features = &status.features;
    let yes = |is: bool| if is { "yes" } else { "no" };
    text += &format!(
        "Memory of all maps: {} MiB\nConfiguration changes: {}\n\
         Kernel {}: tcx {}, timers {}, spin locks {}, BTF {}\n",
        status.fill.memory >> 20,
        status.generation.saturating_sub(1),
        features.kernel,
        yes(features.tcx),
        yes(features.timers),
        yes(features.spin_locks),
        yes(features.btf)
    );
    text
}

/// What an operator should look at.
fn warnings(now: &Glance) -> Vec<String> {
    let mut warnings = Vec::new();
    for listed in &now.listing.services {
        if !listed.dests.iter().any(|dest| dest.dest.weight > 0) {
            let why = if listed.dests.is_empty() { "has no real server" } else { "has only real servers of weight 0" };
            warnings.push(format!("{} {why}: new clients are refused", named(listed)));
        }
        if warnings.len() > BUSIEST {
            warnings.push("and so on; `ipvsadm -Ln` lists all services".to_owned());
            break;
        }
    }
    for (name, used, capacity) in fill(&now.status) {
        if used * 100 >= capacity * FULL {
            warnings.push(format!("the table of {name} is nearly full: {used} of {capacity}; see `rvs limits`"));
        }
    }
    if now.status.interfaces.iter().all(|interface| interface.mode == "none") {
        warnings.push("nothing is attached to any interface: no packet is seen".to_owned());
    }
    if !now.status.ticking {
        warnings.push("the timers stand still: connections do not expire".to_owned());
    }
    if !now.status.object_is_ours {
        warnings.push("the loaded programs are those of another build of RVS".to_owned());
    }
    warnings
}

/// A number in few digits: 950, 12.3k, 4.56M.
fn amount(number: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut unit = 0;
    let mut number = number;
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || number >= 99.95 { 0 } else { 1 };
    format!("{number:.digits$}{}", UNITS[unit])
}

/// The same as JSON, on one line if it is one of many.
pub fn json(now: Option<&Glance>, before: Option<&Glance>, many: bool) -> String {
    let value = now.map_or_else(|| json!({ "director": false }), |now| value(now, before));
    if many { report::json_line(&value) } else { report::json(&value) }
}

fn value(now: &Glance, before: Option<&Glance>) -> Value {
    let Value::Object(mut fields) = report::to_value(&now.status) else { return Value::Null };
    let (active, inactive) = connections(now);
    let Rates { cps, in_pps, out_pps, in_bps, out_bps } = now.totals.rates;
    let counters = &now.totals.counters;
    fields.insert("director".into(), true.into());
    fields.insert("connections".into(), json!({ "active": active, "inactive": inactive }));
    fields.insert(
        "totals".into(),
        json!({
            "connections": counters.conns, "in_packets": counters.in_pkts, "out_packets": counters.out_pkts,
            "in_bytes": counters.in_bytes, "out_bytes": counters.out_bytes,
        }),
    );
    fields.insert(
        "rates".into(),
        json!({
            "connections": cps, "in_packets": in_pps, "out_packets": out_pps, "in_bytes": in_bps, "out_bytes": out_bps,
        }),
    );
    fields.insert("reasons".into(), by_label(&now.reasons));
    if let Some(before) = before {
        let interval = Interval::of(before, now);
        let (seconds, reasons) = (interval.took.as_secs_f64(), by_label(&interval.reasons));
        let interval = json!({ "seconds": seconds, "connections": interval.conns, "reasons": reasons });
        fields.insert("interval".into(), interval);
    }
    fields.insert("warnings".into(), warnings(now).into());
    Value::Object(fields)
}

fn by_label(reasons: &[(Reason, u64)]) -> Value {
    Value::Object(reasons.iter().map(|(reason, n)| (reason.label().to_owned(), Value::from(*n))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests;
