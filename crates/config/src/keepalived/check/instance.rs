//! One VRRP instance by itself.

use super::{Context, routes};
use crate::keepalived::field::Lines;
use crate::keepalived::model::Config;
use crate::keepalived::model::vrrp::{AdvertInterval, Authentication, Instance};
use crate::keepalived::report::Level;
use crate::keepalived::value::choice::{AuthType, State};
use crate::keepalived::value::{AddressEntry, Int, Switch, Text, Tracked};
use std::collections::HashSet;
use std::net::IpAddr;

/// The longest interval of version 3: twelve bits of hundredths.
const LONGEST_V3: u64 = 40_950_000;

pub(super) fn check(config: &mut Config, context: &mut Context<'_>) {
    let names = Names::of(config);
    let defaults = (config.globals.vrrp_version, config.globals.vrrp_strict);
    config.instances.iter_mut().for_each(|instance| one(instance, defaults, &names, context));
}

fn one(
    instance: &mut Instance,
    (default_version, strict): (Option<Int<2, 3>>, Option<Switch>),
    names: &Names,
    context: &mut Context<'_>,
) {
    family(instance, context);
    let version = instance.version_or(default_version);
    basics(instance, context);
    interval(instance, version, context);
    authentication(instance, version, context);
    preemption(instance, context);
    if instance.strict_mode.or(strict) == Some(Switch(true)) {
        strictness(instance, version, context);
    }
    unicast(instance, context);
    tracks(instance, names, context);
    routes::addresses(&instance.addresses, context);
    routes::addresses(&instance.excluded_addresses, context);
    routes::routes(&instance.routes, context);
    routes::rules(&instance.rules, context);
}

/// The names of what can be tracked.
pub(super) struct Names {
    pub(super) scripts: HashSet<String>,
    pub(super) files: HashSet<String>,
    pub(super) processes: HashSet<String>,
    pub(super) bfds: HashSet<String>,
}

impl Names {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            scripts: config.scripts.iter().map(|item| item.name.0.clone()).collect(),
            files: config.track_files.iter().map(|item| item.name.0.clone()).collect(),
            processes: config.track_processes.iter().map(|item| item.name.0.clone()).collect(),
            bfds: config.bfds.iter().map(|item| item.name.0.clone()).collect(),
        }
    }
}

fn family(instance: &mut Instance, context: &mut Context<'_>) {
    let v6 = instance.is_ipv6();
    let name = instance.name.clone();
    let own = |entry: &AddressEntry| entry.net.address.is_ipv6() == v6;
    let reports = &mut *context.reports;
    if instance.native_ipv6 && instance.addresses.iter().any(|entry| !own(entry)) {
        reports.error(
            instance.spans.of("native_ipv6"),
            format!("({name}) Cannot specify native_ipv6 with IPv4 addresses"),
        );
        instance.native_ipv6 = false;
    }
    let v6 = instance.is_ipv6();
    instance.addresses.retain(|entry| {
        let good = entry.net.address.is_ipv6() == v6;
        if !good {
            let text = format!("({name}): address family must match VRRP instance [{}] - ignoring", entry.net.text());
            let help = Some("addresses of the other family may stand in virtual_ipaddress_excluded".to_owned());
            reports.add(Level::Error, entry.span, text, help);
        }
        good
    });
    duplicates(&mut instance.addresses, context);
    duplicates(&mut instance.excluded_addresses, context);
}

fn duplicates(list: &mut Lines<AddressEntry>, context: &mut Context<'_>) {
    let mut seen = std::collections::HashSet::new();
    for entry in list.iter() {
        if !seen.insert((entry.net, entry.dev.clone())) {
            context.reports.notice(entry.span, format!("address {} is there twice", entry.net.text()));
        }
    }
}

fn basics(instance: &Instance, context: &mut Context<'_>) {
    let name = &instance.name;
    match instance.interface.as_deref() {
        Some(interface) if context.lacks(interface) => {
            let text = format!("WARNING - interface {interface} for vrrp_instance {name} doesn't exist");
            context.reports.warning(instance.spans.of("interface"), text);
        }
        Some(_) => {}
        None if instance.is_unicast() && instance.unicast_src_ip.or(instance.mcast_src_ip).is_some() => {}
        None => {
            let help = Some("add `interface NAME`".to_owned());
            context.reports.add(Level::Error, instance.spans.header(), format!("({name}) Unknown interface!"), help);
        }
    }
    if instance.virtual_router_id.is_none() {
        let help = Some("add `virtual_router_id NUMBER`, from 1 to 255, the same on all routers".to_owned());
        let text = format!("({name}) the virtual router id must be set");
        context.reports.add(Level::Error, instance.spans.header(), text, help);
    }
    if instance.addresses.is_empty() && !instance.no_virtual_ipaddress {
        let text = format!("({name}) No VIP specified; at least one is sensible");
        context.reports.warning(instance.spans.of("virtual_ipaddress"), text);
    }
    if instance.accept && instance.no_accept {
        context.reports.notice(instance.spans.of("no_accept"), format!("({name}) both accept and no_accept are set"));
    }
}

fn interval(instance: &mut Instance, version: u8, context: &mut Context<'_>) {
    let Some(interval) = instance.advert_int else { return };
    let (span, name) = (instance.spans.of("advert_int"), &instance.name);
    let micros = interval.micros();
    if version == 2 && micros % 1_000_000 != 0 {
        let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
        let text = format!("({name}) VRRPv2 advertisement interval {whole}.{part:06}s must be an integer. rounding");
        let help = Some("add `version 3` for parts of seconds".to_owned());
        context.reports.add(Level::Warning, span, text, help);
        let rounded = ((micros + 500_000) / 1_000_000).clamp(1, 255) * 1_000_000;
        instance.advert_int = AdvertInterval::from_micros(rounded);
    } else if version == 3 && micros > LONGEST_V3 {
        let text = format!(
            "({name}) VRRPv3 advertisement interval {}.{:02}s is out of range. Must be less than 40.96s. Setting to 40.95s",
            micros / 1_000_000,
            micros % 1_000_000 / 10_000
        );
        context.reports.warning(span, text);
        instance.advert_int = AdvertInterval::from_micros(LONGEST_V3);
    } else if version == 3 && micros % 10_000 != 0 {
        let text = format!("({name}) VRRPv3 advertisement interval must be a multiple of 0.01 seconds. rounding");
        context.reports.warning(span, text);
        instance.advert_int = AdvertInterval::from_micros((micros / 10_000).max(1) * 10_000);
    }
}

fn authentication(instance: &mut Instance, version: u8, context: &mut Context<'_>) {
    let name = instance.name.clone();
    let spans = instance.authentication.spans.clone();
    let Some(kind) = instance.authentication.auth_type else {
        if instance.authentication.auth_pass.is_some() && spans.of("auth_type") == spans.header() {
            let text = format!("({name}) a password without auth_type has no effect");
            context.reports.notice(spans.of("auth_pass"), text);
        }
        return;
    };
    if version == 3 {
        let text = format!("({name}) VRRP version 3 does not support authentication. Ignoring.");
        context.reports.warning(spans.header(), text);
        instance.authentication = Authentication::default();
        return;
    }
    match &instance.authentication.auth_pass {
        None => {
            let text = format!("({name}) Authentication specified but no password given. Ignoring");
            context.reports.warning(spans.header(), text);
            instance.authentication = Authentication::default();
            return;
        }
        Some(password) if password.len() > 8 => {
            context.reports.warning(spans.of("auth_pass"), "Truncating auth_pass to 8 characters");
            // By bytes, as on the wire; never through a character.
            let end = (0..=8).rev().find(|end| password.is_char_boundary(*end)).unwrap_or(0);
            instance.authentication.auth_pass = Some(Text(password.get(..end).unwrap_or_default().to_owned()));
        }
        Some(_) => {}
    }
    if kind == AuthType::Ah && instance.state == Some(State::Master) {
        let text = format!("({name}) Initial state master is incompatible with AH authentication - clearing");
        context.reports.warning(instance.spans.of("state"), text);
        instance.state = Some(State::Backup);
    }
}

fn preemption(instance: &mut Instance, context: &mut Context<'_>) {
    let name = instance.name.clone();
    let owner = instance.priority.is_some_and(|priority| priority.get() == 255);
    if instance.nopreempt && owner {
        let text = format!("({name}) nopreempt is incompatible with priority 255. resetting nopreempt");
        context.reports.warning(instance.spans.of("nopreempt"), text);
        instance.nopreempt = false;
    }
    if instance.state != Some(State::Master) {
        return;
    }
    if instance.nopreempt {
        let text = format!("({name}) Warning - nopreempt will not work with initial state MASTER - clearing");
        let help = Some("set `state BACKUP`".to_owned());
        context.reports.add(Level::Warning, instance.spans.of("nopreempt"), text, help);
        instance.nopreempt = false;
    }
    if instance.preempt_delay.is_some_and(|delay| delay.micros() > 0) {
        let text = format!("({name}) Warning - preempt delay will not work with initial state MASTER - clearing");
        context.reports.warning(instance.spans.of("preempt_delay"), text);
        instance.preempt_delay = None;
    }
}

fn strictness(instance: &mut Instance, version: u8, context: &mut Context<'_>) {
    let name = instance.name.clone();
    let owner = instance.priority.is_some_and(|priority| priority.get() == 255);
    let mut told = |keyword: &str, text: &str| {
        context.reports.warning(instance.spans.of(keyword), format!("({name}) {text}"));
    };
    if (instance.state == Some(State::Master)) != owner && instance.state.is_some() {
        told("state", "State MASTER must match being address owner");
        instance.state = Some(if owner { State::Master } else { State::Backup });
    }
    if instance.authentication.auth_type.is_some() {
        told("authentication", "Strict mode does not support authentication. Ignoring.");
        instance.authentication = Authentication::default();
    }
    if instance.preempt_delay.is_some_and(|delay| delay.micros() > 0) {
        told("preempt_delay", "preempt_delay is incompatible with strict mode - resetting");
        instance.preempt_delay = None;
    }
    if instance.is_unicast() {
        told("unicast_peer", "Strict mode does not support unicast - ignoring the peers");
        instance.unicast_peers = Lines::default();
    }
    if instance.accept && version == 2 {
        told("accept", "Strict mode has no accept mode in version 2 - resetting");
        instance.accept = false;
    }
    if instance.vmac_xmit_base {
        told("vmac_xmit_base", "vmac_xmit_base is incompatible with strict mode - resetting");
        instance.vmac_xmit_base = false;
    }
    if instance.higher_prio_send_advert == Some(Switch(true)) {
        told("higher_prio_send_advert", "higher_prio_send_advert is incompatible with strict mode - resetting");
        instance.higher_prio_send_advert = None;
    }
    if instance.lower_prio_no_advert == Some(Switch(false)) {
        told("lower_prio_no_advert", "lower_prio_no_advert must be set in strict mode - setting");
        instance.lower_prio_no_advert = Some(Switch(true));
    }
    let link_local = |entry: &AddressEntry| match entry.net.address {
        IpAddr::V6(address) => address.is_unicast_link_local(),
        IpAddr::V4(_) => true,
    };
    if instance.addresses.first().is_some_and(|first| !link_local(first)) {
        told("virtual_ipaddress", "the first IPv6 address must be link-local in strict mode");
    }
}

fn unicast(instance: &mut Instance, context: &mut Context<'_>) {
    let v6 = instance.is_ipv6();
    let name = instance.name.clone();
    let spans = instance.spans.clone();
    let reports = &mut *context.reports;
    let mut source = |keyword: &str, address: &mut Option<IpAddr>| {
        if let Some(wrong) = address.filter(|address| address.is_ipv6() != v6) {
            let text = format!(
                "Configuration error: VRRP instance[{name}] and src address[{wrong}] MUST be of the same family !!! \
                 Skipping..."
            );
            reports.error(spans.of(keyword), text);
            *address = None;
        }
    };
    source("mcast_src_ip", &mut instance.mcast_src_ip);
    source("unicast_src_ip", &mut instance.unicast_src_ip);
    if let Some(group) = instance.mcast_dst_ip.filter(|group| group.is_ipv6() != v6 || !group.is_multicast()) {
        let text =
            format!("({name}) mcast_dst_ip [{group}] is not a multicast address of the instance's family. Skipping");
        reports.error(spans.of("mcast_dst_ip"), text);
        instance.mcast_dst_ip = None;
    }
    let mut seen = Vec::new();
    instance.unicast_peers.retain(|peer| {
        let good = peer.address.is_ipv6() == v6;
        if !good {
            let text = format!(
                "Configuration error: VRRP instance[{name}] and unicast peer address[{}] MUST be of the same family !!! \
                 Skipping...",
                peer.address
            );
            reports.error(peer.span, text);
        } else if seen.contains(&peer.address) {
            reports.notice(peer.span, format!("({name}) peer {} is there twice", peer.address));
        }
        seen.push(peer.address);
        good
    });
    for peer in instance.unicast_peers.iter() {
        if peer.min_ttl.zip(peer.max_ttl).is_some_and(|(min, max)| min > max) {
            reports.error(peer.span, format!("({name}) min_ttl of peer {} is greater than max_ttl", peer.address));
        }
    }
}

fn tracks(instance: &mut Instance, names: &Names, context: &mut Context<'_>) {
    let name = instance.name.0.clone();
    let owner = instance.priority.is_some_and(|priority| priority.get() == 255);
    let own = instance.interface.clone();
    let tracks = &mut instance.tracks;
    named(&mut tracks.scripts, "script", &name, owner, |item| names.scripts.contains(item), context);
    named(&mut tracks.files, "file", &name, owner, |item| names.files.contains(item), context);
    named(&mut tracks.processes, "process", &name, owner, |item| names.processes.contains(item), context);
    named(&mut tracks.bfds, "bfd", &name, owner, |item| names.bfds.contains(item), context);
    let mut seen: Vec<String> = Vec::new();
    tracks.interfaces.retain(|item| {
        if context.lacks(&item.name) {
            context.reports.warning(item.span, format!("({name}) tracked interface {} doesn't exist", item.name));
        }
        if seen.contains(&item.name) {
            context.reports.warning(item.span, format!("({name}) duplicate track_interface {} - ignoring", item.name));
            return false;
        }
        seen.push(item.name.clone());
        if own.as_ref().is_some_and(|own| own.0 == item.name) && item.weight.is_none() {
            let text = format!("({name}) Ignoring track_interface {} since own interface", item.name);
            context.reports.warning(item.span, text);
            return false;
        }
        true
    });
}

/// Things that are tracked by name: they must exist, each once, and an address owner has no use for weights.
pub(super) fn named<const LIMIT: i64>(
    list: &mut Lines<Tracked<LIMIT>>,
    kind: &str,
    name: &str,
    owner: bool,
    known: impl Fn(&str) -> bool,
    context: &mut Context<'_>,
) {
    let mut seen: Vec<String> = Vec::new();
    list.retain(|item| {
        if !known(&item.name) {
            let text = format!("({name}) track {kind} {} not found, ignoring...", item.name);
            context.reports.error(item.span, text);
            return false;
        }
        if seen.contains(&item.name) {
            context.reports.warning(item.span, format!("({name}) duplicate track_{kind} {} - ignoring", item.name));
            return false;
        }
        seen.push(item.name.clone());
        if owner && item.weight.is_some_and(|weight| weight.value != 0) {
            let text = format!("({name}) ignoring tracked {kind} {} with weights due to address_owner", item.name);
            context.reports.warning(item.span, text);
            return false;
        }
        true
    });
}
