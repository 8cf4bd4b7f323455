//! Virtual servers with their real servers.

use super::{Context, checkers, first_of_name};
use crate::keepalived::model::Config;
use crate::keepalived::model::server::{RealServer, VirtualServer};
use crate::keepalived::report::Level;
use crate::keepalived::value::choice::{Protocol, Scheduler};
use crate::keepalived::value::lvs::{Forward, GroupMember, Persistence, ServiceKey};
use crate::keepalived::value::{Endpoint, Int};
use std::collections::{HashMap, HashSet};

pub(super) fn check(config: &mut Config, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    first_of_name(
        &mut config.server_groups,
        |item| &item.name,
        |item| {
            reports.error(item.spans.header(), format!("virtual server group {} already defined", item.name));
        },
    );
    // The families of the groups' addresses.
    let groups: HashMap<&str, Vec<bool>> = config
        .server_groups
        .iter()
        .map(|group| {
            let families = group.members.values().filter_map(GroupMember::bounds).map(|(first, _)| first.is_ipv6());
            (&*group.name, families.collect())
        })
        .collect();
    let names = checkers::Names::of(&config.track_files, &config.bfds);
    let mut seen: HashSet<String> = HashSet::new();
    config.servers.retain_mut(|server| {
        basics(server, &groups, context);
        let family = match &server.key {
            ServiceKey::Address(at) => Some(at.address.is_ipv6()),
            ServiceKey::Group(name) => groups.get(name.as_str()).and_then(|families| families.first().copied()),
            ServiceKey::Mark(_) => None,
        };
        reals(server, family, context);
        for real in &mut server.real_servers {
            checkers::check(real, &names, context);
        }
        let text = server.text();
        if server.real_servers.is_empty() {
            context
                .reports
                .error(server.spans.header(), format!("Virtual server {text} has no real servers - ignoring"));
            return false;
        }
        quorum(server, context);
        if !seen.insert(text.clone()) {
            context.reports.notice(server.spans.header(), format!("virtual server {text} is there twice"));
        }
        true
    });
}

fn basics(server: &mut VirtualServer, groups: &HashMap<&str, Vec<bool>>, context: &mut Context<'_>) {
    let spans = server.spans.clone();
    let reports = &mut *context.reports;
    let mut told = |keyword: &str, text: String| reports.warning(spans.of(keyword), text);
    match &server.key {
        ServiceKey::Mark(_) if server.protocol.is_some() => {
            let text = server.text();
            told(
                "protocol",
                format!("Warning: Virtual server {text}: protocol specified for fwmark - protocol will be ignored"),
            );
            server.protocol = None;
        }
        ServiceKey::Mark(_) => {}
        ServiceKey::Group(name) if !groups.contains_key(name.as_str()) => {
            reports.error(spans.header(), format!("Virtual server group {name} is not defined"));
            return;
        }
        ServiceKey::Group(_) | ServiceKey::Address(_) if server.protocol.is_none() => {
            let text = server.text();
            let help = Some("add `protocol TCP`, `UDP` or `SCTP`".to_owned());
            let text = format!("Virtual server {text}: no protocol set - defaulting to UDP");
            reports.add(Level::Warning, spans.header(), text, help);
            server.protocol = Some(Protocol::Udp);
        }
        ServiceKey::Group(_) | ServiceKey::Address(_) => {}
    }
    let text = server.text();
    let mut told =
        |keyword: &str, what: &str| reports.warning(spans.of(keyword), format!("Virtual server {text}: {what}"));
    if server.scheduler.is_none() {
        told("lvs_sched", "no scheduler set, setting default 'wlc'");
        server.scheduler = Some(Scheduler::Wlc);
    }
    let reals = &server.real_servers;
    let missing = reals.is_empty() || reals.iter().any(|real| real.lvs_method.is_none());
    if server.lvs_method.is_none() && missing {
        told("lvs_method", "no forwarding method set, setting default NAT");
        server.lvs_method = Some(Forward::Nat);
    }
    let portless = matches!(&server.key, ServiceKey::Address(Endpoint { port: None, .. }));
    if portless && server.persistence_timeout.is_none() {
        told("virtual_server", "zero port only valid for persistent services - setting");
        server.persistence_timeout = Some(Persistence(360));
    }
    if server.ops && server.protocol.is_some_and(|protocol| protocol != Protocol::Udp) {
        told("ops", "one packet scheduling requires UDP - resetting");
        server.ops = false;
    }
    if let Some(engine) = server.persistence_engine.as_deref().filter(|engine| *engine != "sip") {
        reports.notice(spans.of("persistence_engine"), format!("there is no persistence engine '{engine}', only sip"));
    }
}

fn reals(server: &mut VirtualServer, family: Option<bool>, context: &mut Context<'_>) {
    let reports = &mut *context.reports;
    let text = server.text();
    let port = match &server.key {
        ServiceKey::Address(at) => Some(at.port),
        // Packets by mark go to the port that they came for.
        ServiceKey::Mark(_) => Some(None),
        ServiceKey::Group(_) => None,
    };
    let mut list = std::mem::take(&mut server.real_servers);
    list.retain_mut(|real| {
        let forward = server.forward(real);
        let v6 = real.endpoint.address.is_ipv6();
        if family.is_some_and(|family| family != v6) && !forward.is_tunnel() {
            let text = format!(
                "Address family of virtual server and real server {} don't match - skipping real server.",
                real.endpoint.address
            );
            reports.error(real.spans.header(), text);
            return false;
        }
        ports(server, real, port, (forward, &text), reports);
        thresholds(real, reports);
        true
    });
    let mut seen = HashSet::new();
    list.retain(|real| {
        let name = server.real_text(real);
        let new = seen.insert(name.clone());
        if !new {
            let text = format!("VS {text}: real server {name} is duplicated - removing second rs");
            reports.error(real.spans.header(), text);
        }
        new
    });
    server.real_servers = list;
    let forward = server.sorry_server_lvs_method.or(server.lvs_method).unwrap_or(Forward::Nat);
    if let Some(sorry) = server.sorry_server
        && family.is_some_and(|family| family != sorry.address.is_ipv6())
        && !forward.is_tunnel()
    {
        let text = format!(
            "Address family of virtual server and sorry server {} don't match - skipping sorry server.",
            sorry.address
        );
        reports.error(server.spans.of("sorry_server"), text);
        server.sorry_server = None;
    }
}

/// Only NAT changes ports.
fn ports(
    server: &VirtualServer,
    real: &mut RealServer,
    port: Option<Option<u16>>,
    (forward, service): (Forward, &str),
    reports: &mut crate::keepalived::Reports,
) {
    let (Some(port), Some(own)) = (port, real.endpoint.port) else { return };
    if forward == Forward::Nat || port == Some(own) {
        return;
    }
    let name = server.real_text(real);
    let text = match server.key {
        ServiceKey::Mark(_) => {
            format!("WARNING - fwmark virtual server {service}, real server {name} has port specified - clearing")
        }
        ServiceKey::Address(_) | ServiceKey::Group(_) => {
            format!("WARNING - virtual server {service} and real server {name} ports don't match - resetting")
        }
    };
    reports.warning(real.spans.header(), text);
    real.endpoint.port = port;
}

fn thresholds(real: &RealServer, reports: &mut crate::keepalived::Reports) {
    let (upper, lower) = (real.uthreshold.map(Int::get), real.lthreshold.map(Int::get));
    if upper.zip(lower).is_some_and(|(upper, lower)| upper > 0 && lower > upper) {
        reports.notice(real.spans.of("lthreshold"), "lthreshold is greater than uthreshold");
    }
}

fn quorum(server: &mut VirtualServer, context: &mut Context<'_>) {
    let default = server.weight.map_or(1, Int::get);
    let total: i64 = server.real_servers.iter().map(|real| real.weight.map_or(default, Int::get)).sum();
    let quorum = server.quorum.map_or(1, Int::get);
    let text = server.text();
    let told = if quorum > total {
        let text = format!(
            "Warning - quorum {quorum} for {text} exceeds total weight of real servers {total}, reducing quorum to {total}"
        );
        context.reports.warning(server.spans.of("quorum"), text);
        // A quorum of nothing cannot be lost; with no weight at all it stays at 1 and is never reached.
        server.quorum = Int::new(total.max(1));
        total.max(1)
    } else {
        quorum
    };
    if let Some(hysteresis) = server.hysteresis.map(Int::get).filter(|hysteresis| *hysteresis >= told) {
        let least = told - 1;
        let text =
            format!("Virtual server {text}: hysteresis {hysteresis} >= quorum {told}; setting hysteresis to {least}");
        context.reports.warning(server.spans.of("hysteresis"), text);
        server.hysteresis = Int::new(least);
    }
}
