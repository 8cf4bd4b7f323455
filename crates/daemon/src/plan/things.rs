//! Addresses, routes and rules: from the lines of the configuration to what the kernel is asked for.

use super::instance::words;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::field::Words as _;
use rvs_config::keepalived::model::vrrp::Instance;
use rvs_config::keepalived::value::address::{Broadcast, Lifetime};
use rvs_config::keepalived::value::route::{self, NextHop};
use rvs_config::keepalived::value::{AddressEntry, Net, rule as rules};
use rvs_host::net::{self, Address, Encap, Hop, Metric, Prefix, Route, RouteKind, Rule, RuleAction, TABLE_MAIN};
use rvs_vrrp::params::Name;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where rules without a preference go: before the kernel's own main table, as `ip rule` would put the first of them.
const PREFERENCE: u32 = 32_765;

/// The lines of the configuration by the names that the protocol hands them back by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    /// Addresses of instances.
    pub addresses: BTreeMap<Name, AddressEntry>,
    /// Routes of instances.
    pub routes: BTreeMap<Name, route::Route>,
    /// Rules of instances.
    pub rules: BTreeMap<Name, rules::Rule>,
    /// Those that are there as long as the daemon runs.
    pub statics: Statics,
}

/// What is there as long as the daemon runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statics {
    /// Addresses, each with its interface.
    pub addresses: Vec<(Name, AddressEntry)>,
    /// Routes.
    pub routes: Vec<Name>,
    /// Rules.
    pub rules: Vec<Name>,
    /// The instances that each of these matters to (`track_group`).
    pub watched: BTreeMap<Name, Vec<Name>>,
}

impl Catalogue {
    /// What does not belong to instances.
    pub(super) fn of_statics(config: &Config) -> Self {
        let mut catalogue = Self::default();
        let mut watched = BTreeMap::new();
        let mut watch = |line: Name, group: &Option<String>| {
            let group = group.as_ref().and_then(|name| config.track_groups.iter().find(|block| block.name.0 == *name));
            if let Some(group) = group {
                watched.insert(line, group.group.iter().map(|name| Name::from(name.0.as_str())).collect());
            }
        };
        let interface = config.globals.default_interface.as_ref().map_or("eth0", |name| name.0.as_str());
        for entry in config.static_addresses.iter() {
            let mut entry = (**entry).clone();
            entry.dev.get_or_insert_with(|| interface.to_owned());
            watch(words(&entry.words()), &entry.track_group);
            catalogue.statics.addresses.push((words(&entry.words()), entry));
        }
        for line in config.static_routes.iter() {
            watch(words(&line.words()), &line.track_group);
            catalogue.statics.routes.push(words(&line.words()));
            catalogue.routes.insert(words(&line.words()), (**line).clone());
        }
        for line in config.static_rules.iter() {
            watch(words(&line.words()), &line.track_group);
            catalogue.statics.rules.push(words(&line.words()));
            catalogue.rules.insert(words(&line.words()), (**line).clone());
        }
        catalogue.statics.watched = watched;
        catalogue
    }

    pub(super) fn add_instance(&mut self, block: &Instance) {
        let addresses = block.addresses.iter().chain(block.excluded_addresses.iter());
        self.addresses.extend(addresses.map(|entry| (words(&entry.words()), (**entry).clone())));
        self.routes.extend(block.routes.iter().map(|line| (words(&line.words()), (**line).clone())));
        self.rules.extend(block.rules.iter().map(|line| (words(&line.words()), (**line).clone())));
    }

    /// Adds what another one has: while a reload goes on, what is to go is still asked for by its name.
    pub fn extend(&mut self, other: &Self) {
        let copy = |(name, value): (&Name, &AddressEntry)| (name.clone(), value.clone());
        self.addresses.extend(other.addresses.iter().map(copy));
        self.routes.extend(other.routes.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.rules.extend(other.rules.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.statics = other.statics.clone();
    }

    /// True if routes or rules are held.
    pub fn has_routes(&self) -> bool {
        !self.routes.is_empty() || !self.rules.is_empty()
    }
}

/// Names of routing tables, as iproute2 has them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tables(BTreeMap<String, u32>);

impl Tables {
    /// Reads files of the form `number name`.
    pub fn parse(text: &str) -> Self {
        let mut tables = BTreeMap::from([("main".into(), 254), ("default".into(), 253), ("local".into(), 255)]);
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            if let (Some(number), Some(name)) = (words.next().and_then(number), words.next()) {
                tables.insert(name.to_owned(), number);
            }
        }
        Self(tables)
    }

    /// The tables of this machine.
    pub fn system() -> Self {
        let paths = ["/usr/share/iproute2/rt_tables", "/usr/lib/iproute2/rt_tables", "/etc/iproute2/rt_tables"];
        let text: Vec<String> = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        Self::parse(&text.join("\n"))
    }

    fn find(&self, name: &str) -> Result<u32, String> {
        number(name).or_else(|| self.0.get(name).copied()).ok_or_else(|| format!("there is no routing table `{name}`"))
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn need<T: TryFrom<u32>>(name: &str, text: &str) -> Result<T, String> {
    number(text).and_then(|value| T::try_from(value).ok()).ok_or_else(|| format!("{name}: `{text}` is no such number"))
}

fn scope(text: &str) -> Result<u8, String> {
    Ok(match text {
        "global" => 0,
        "site" => 200,
        "link" => 253,
        "host" => 254,
        "nowhere" => 255,
        other => need("scope", other)?,
    })
}

const fn prefix(net: Net) -> Prefix {
    let length = match net.prefix {
        Some(length) => length,
        None if net.address.is_ipv4() => 32,
        None => 128,
    };
    Prefix { ip: net.address, length }
}

/// An address on the interface of this number.
pub fn address(entry: &AddressEntry, index: u32) -> Result<Address, String> {
    let mut address = Address::new(index, entry.net.address, entry.net.prefix_or_host());
    if let Some(peer) = entry.peer {
        address.key.peer = Some(peer.address);
        address.key.prefix = peer.prefix_or_host();
    }
    address.broadcast = match entry.broadcast {
        None => net::Broadcast::None,
        Some(Broadcast::Set) => net::Broadcast::Ones,
        Some(Broadcast::Clear) => net::Broadcast::Zeros,
        Some(Broadcast::Address(IpAddr::V4(address))) => net::Broadcast::Is(address),
        Some(Broadcast::Address(IpAddr::V6(_))) => net::Broadcast::None,
    };
    // An address that only this host can reach has that scope, whatever it is put on.
    address.scope = entry.scope.as_deref().map_or(Ok(if entry.net.address.is_loopback() { 254 } else { 0 }), scope)?;
    address.label.clone_from(&entry.label);
    address.home = entry.home;
    address.mngtmpaddr = entry.mngtmpaddr;
    address.noprefixroute = entry.noprefixroute;
    address.autojoin = entry.autojoin;
    address.detect_duplicates = entry.nodad;
    address.preferred_lft = entry.preferred_lft.map(|time| match time {
        Lifetime::Forever => u32::MAX,
        Lifetime::Seconds(seconds) => seconds,
    });
    Ok(address)
}

fn hop(hop: &NextHop, index: &dyn Fn(&str) -> Option<u32>) -> Result<Hop, String> {
    let encap = if hop.encap.is_empty() { None } else { Some(Encap::parse(&hop.encap)?) };
    let device = |name: &String| index(name).ok_or_else(|| format!("there is no interface {name}"));
    let index = hop.dev.as_ref().map(device).transpose()?;
    Ok(Hop {
        via: hop.via,
        index,
        weight: hop.weight.map_or(1, u16::from).max(1),
        onlink: hop.onlink,
        realm: None,
        encap,
    })
}

fn kind(word: &str) -> RouteKind {
    match word {
        "local" => RouteKind::Local,
        "broadcast" => RouteKind::Broadcast,
        "anycast" => RouteKind::Anycast,
        "multicast" => RouteKind::Multicast,
        "blackhole" => RouteKind::Blackhole,
        "unreachable" => RouteKind::Unreachable,
        "prohibit" => RouteKind::Prohibit,
        "throw" => RouteKind::Throw,
        _ => RouteKind::Unicast,
    }
}

fn metric(name: &str) -> Option<Metric> {
    Some(match name {
        "mtu" => Metric::Mtu,
        "hoplimit" => Metric::HopLimit,
        "advmss" => Metric::AdvMss,
        "rtt" => Metric::Rtt,
        "rttvar" => Metric::RttVar,
        "reordering" => Metric::Reordering,
        "window" => Metric::Window,
        "cwnd" => Metric::Cwnd,
        "ssthresh" => Metric::SsThresh,
        "rto_min" => Metric::RtoMin,
        "initcwnd" => Metric::InitCwnd,
        "initrwnd" => Metric::InitRwnd,
        "quickack" => Metric::QuickAck,
        "fastopen_no_cookie" => Metric::FastOpenNoCookie,
        _ => return None,
    })
}

/// A route. `index`: the number of an interface by its name.
pub fn route(line: &route::Route, tables: &Tables, index: &dyn Fn(&str) -> Option<u32>) -> Result<Route, String> {
    let mut route = Route::new(prefix(line.to));
    route.kind = kind(&line.kind);
    route.from = line.from.map(prefix);
    route.source = line.src;
    route.key.table = line.table.as_deref().map_or(Ok(TABLE_MAIN), |table| tables.find(table))?;
    route.key.metric = line.metric.unwrap_or(0);
    for one in line.hops.iter().chain((line.hop != NextHop::default()).then_some(&line.hop)) {
        route.hops.push(hop(one, index)?);
    }
    for item in &line.metrics {
        let metric = metric(&item.name).ok_or_else(|| format!("unknown metric {}", item.name))?;
        route.metrics.push((metric, item.value));
        route.locked.extend(item.lock.then_some(metric));
    }
    for (name, value) in &line.named {
        named_of_route(&mut route, name, value)?;
    }
    Ok(route)
}

fn named_of_route(route: &mut Route, name: &str, value: &str) -> Result<(), String> {
    match name {
        "scope" => route.scope = Some(scope(value)?),
        "protocol" => route.protocol = Some(protocol(value)?),
        "tos" => route.key.tos = need(name, value)?,
        "congctl" => route.congestion = Some(value.to_owned()),
        "expires" => route.expires = Some(need(name, value)?),
        "ttl-propagate" => route.ttl_propagate = Some(matches!(value, "enabled" | "on" | "true" | "1")),
        "pref" => {
            route.preference = Some(match value {
                "low" => 3,
                "high" => 1,
                _ => 0,
            });
        }
        "realms" => {
            let realm = realms(value)?;
            route.hops.iter_mut().for_each(|hop| hop.realm = Some(realm));
        }
        other => return Err(format!("`{other}` of routes has no meaning to RVS")),
    }
    Ok(())
}

fn protocol(text: &str) -> Result<u8, String> {
    Ok(match text {
        "kernel" => 2,
        "boot" => 3,
        "static" => 4,
        "ra" => 9,
        "bird" => 12,
        "keepalived" => 18,
        other => need("protocol", other)?,
    })
}

fn realms(text: &str) -> Result<(u16, u16), String> {
    let (from, to) = text.split_once('/').map_or((None, text), |(from, to)| (Some(from), to));
    Ok((from.map_or(Ok(0), |from| need("realms", from))?, need("realms", to)?))
}

fn range<T: TryFrom<u32> + Copy>(name: &str, text: &str) -> Result<(T, T), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Ok((need(name, from)?, need(name, to)?))
}

/// A rule.
pub fn rule(line: &rules::Rule, tables: &Tables) -> Result<Rule, String> {
    let nets = [line.from, line.to];
    let ipv6 = line.inet6 || nets.iter().flatten().any(|net| net.address.is_ipv6());
    let action = match (&line.table, line.action.as_deref()) {
        (Some(table), _) => RuleAction::Table(tables.find(table)?),
        (None, Some("blackhole")) => RuleAction::Blackhole,
        (None, Some("unreachable")) => RuleAction::Unreachable,
        (None, Some("prohibit")) => RuleAction::Prohibit,
        (None, Some(_)) => RuleAction::Nop,
        (None, None) => RuleAction::Table(TABLE_MAIN),
    };
    let mut rule = Rule::new(ipv6, line.preference.unwrap_or(PREFERENCE), action);
    rule.invert = line.not;
    rule.from = line.from.map(prefix);
    rule.to = line.to.map(prefix);
    rule.l3mdev = line.l3mdev;
    for (name, value) in &line.named {
        named_of_rule(&mut rule, name, value)?;
    }
    Ok(rule)
}

fn named_of_rule(rule: &mut Rule, name: &str, value: &str) -> Result<(), String> {
    match name {
        "fwmark" => {
            let (mark, mask) = value.split_once('/').unwrap_or((value, "0xffffffff"));
            rule.mark = Some((need(name, mark)?, need(name, mask)?));
        }
        "iif" => rule.input = Some(value.to_owned()),
        "oif" => rule.output = Some(value.to_owned()),
        "tos" => rule.tos = need(name, value)?,
        "realms" => rule.realm = Some(realms(value)?),
        "goto" => rule.action = RuleAction::Goto(need(name, value)?),
        "uidrange" => rule.uids = Some(range(name, value)?),
        "ip_proto" => {
            rule.protocol = Some(match value {
                "icmp" => 1,
                "tcp" => 6,
                "udp" => 17,
                "icmpv6" | "ipv6-icmp" => 58,
                "sctp" => 132,
                other => need(name, other)?,
            });
        }
        "sport" => rule.source_ports = Some(range(name, value)?),
        "dport" => rule.destination_ports = Some(range(name, value)?),
        "tun_id" => rule.tunnel = Some(value.parse().map_err(|_| format!("tun_id: `{value}` is no number"))?),
        "suppress_prefixlength" => rule.suppress_prefix = Some(need(name, value)?),
        "suppress_ifgroup" => rule.suppress_group = Some(need(name, value)?),
        other => return Err(format!("`{other}` of rules has no meaning to RVS")),
    }
    Ok(())
}

/// Says what of the configuration is not done yet.
pub(super) fn remark(config: &Config, remarks: &mut Vec<String>) {
    let globals = &config.globals;
    for (keyword, given) in [("lvs_sync_daemon", globals.lvs_sync_daemon.is_some())] {
        if given {
            remarks.push(format!("{keyword} is read but not acted on: that part is not there yet"));
        }
    }
}
