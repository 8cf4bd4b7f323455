//! Listings and reports as JSON, for programs. `docs/json.md` is the contract: fields are added, never renamed or removed while
//! [`VERSION`] stands. Addresses and ports are always numeric, figures always exact.

use super::changes::{Explained, touched};
use super::show;
use super::sort;
use rvs_core::abi::{Counters, Forward, ServiceKey, flags};
use rvs_intent::{
    Connection, Daemon, Dest, ListedDest, ListedService, Listing, Rates, Service, Timeouts, Tunnel, TunnelKind,
};
use rvs_wire::{Addr, Be16, Family};
use serde_json::{Map, Value, json};

/// Version of the schema.
pub const VERSION: u32 = 1;

/// A document: its version, its kind, and what is in it.
pub fn document(kind: &str, content: Value) -> Value {
    let mut fields = Map::new();
    fields.insert("version".to_owned(), VERSION.into());
    fields.insert("kind".to_owned(), kind.into());
    match content {
        Value::Object(more) => fields.extend(more),
        other => drop(fields.insert(kind.to_owned(), other)),
    }
    Value::Object(fields)
}

/// The table, or one service of it; `None` when there is no such service.
pub fn services(listing: &Listing, one: Option<&ServiceKey>, unsorted: bool) -> Option<Value> {
    let mut services: Vec<&ListedService> = listing.services.iter().collect();
    if let Some(key) = one {
        services.retain(|listed| listed.service.key == *key);
        services.first()?;
    }
    if !unsorted {
        services = sort::merge_sort(services, &|a, b| sort::services(&a.service, &b.service));
    }
    let services: Vec<Value> = services.into_iter().map(|listed| service(listed, unsorted)).collect();
    Some(document("services", services.into()))
}

fn service(listed: &ListedService, unsorted: bool) -> Value {
    let it = &listed.service;
    let mut dests: Vec<&ListedDest> = listed.dests.iter().collect();
    if !unsorted {
        dests = sort::merge_sort(dests, &|a, b| sort::dests(&a.dest, &b.dest));
    }
    let mut value = json!({
        "scheduler": it.sched.name(),
        "scheduler_flags": show::all_sched_flags(it).map_or(Vec::new(), |names| {
            names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }),
        "persistent": persistence(it),
        "engine": it.engine.map(rvs_intent::Engine::name),
        "one_packet": it.flags & flags::ONE_PACKET != 0,
        "stats": counters(&listed.counters),
        "rates": rates(&listed.rates),
        "destinations": dests.into_iter().map(destination).collect::<Vec<_>>(),
    });
    merge(&mut value, name(&it.key));
    value
}

/// How a service is named: its protocol and address, or its firewall mark.
fn name(key: &ServiceKey) -> Value {
    let family = show::family(key);
    match show::mark(key) {
        Some(mark) => json!({ "protocol": "fwmark", "family": family_name(family), "mark": mark }),
        None => {
            let mut value = json!({ "protocol": protocol(key.proto), "family": family_name(family) });
            merge(&mut value, endpoint((key.addr, key.port), family));
            value
        }
    }
}

fn merge(value: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (value, more) {
        fields.extend(more);
    }
}

fn persistence(service: &Service) -> Value {
    if service.flags & flags::PERSISTENT == 0 {
        return Value::Null;
    }
    json!({ "timeout_seconds": service.persist_secs, "netmask": show::netmask(service) })
}

fn destination(listed: &ListedDest) -> Value {
    let dest = &listed.dest;
    let mut value = json!({
        "family": family_name(dest.family),
        "forwarding": forwarding(dest.forward),
        "weight": dest.weight,
        "active": listed.active,
        "inactive": listed.inactive,
        "persistent": listed.persist,
        "thresholds": { "upper": dest.u_threshold, "lower": dest.l_threshold },
        "tunnel": tunnel(dest),
        "stats": counters(&listed.counters),
        "rates": rates(&listed.rates),
    });
    merge(&mut value, endpoint((dest.addr, dest.port), dest.family));
    value
}

fn tunnel(dest: &Dest) -> Value {
    if dest.forward != Forward::Tunnel {
        return Value::Null;
    }
    let Tunnel { kind, port, flags } = dest.tunnel;
    let checksum = match flags {
        _ if kind == TunnelKind::Ipip => Value::Null,
        super::tunnel::REMCSUM => "remote".into(),
        super::tunnel::CSUM => "own".into(),
        _ => "none".into(),
    };
    let port = (kind == TunnelKind::Gue).then(|| port.host());
    json!({ "type": super::tunnel::name(kind), "port": port, "checksum": checksum })
}

fn counters(counters: &Counters) -> Value {
    let Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes } = *counters;
    json!({
        "connections": conns, "in_packets": in_pkts, "out_packets": out_pkts, "in_bytes": in_bytes, "out_bytes": out_bytes,
    })
}

fn rates(rates: &Rates) -> Value {
    let Rates { cps, in_pps, out_pps, in_bps, out_bps } = *rates;
    json!({
        "connections": cps, "in_packets": in_pps, "out_packets": out_pps, "in_bytes": in_bps, "out_bytes": out_bps,
    })
}

/// The connections, in the order given.
pub fn connections(entries: &[Connection]) -> Value {
    document("connections", entries.iter().map(connection).collect::<Vec<_>>().into())
}

fn connection(entry: &Connection) -> Value {
    let virt = match entry.proto {
        0 => {
            let [.., mark] = entry.virt.0.words();
            json!({ "mark": mark })
        }
        _ => endpoint(entry.virt, entry.family),
    };
    json!({
        "protocol": if entry.proto == 0 { "fwmark" } else { protocol(entry.proto) },
        "family": family_name(entry.family),
        "state": entry.state,
        "expires_seconds": entry.expires_secs,
        "template": entry.template,
        "forwarding": forwarding(entry.forward),
        "client": endpoint(entry.client, entry.family),
        "virtual": virt,
        "destination": endpoint(entry.dest, entry.dest_family),
    })
}

/// The timeouts that `--set` changes, seconds.
pub fn timeouts(timeouts: &Timeouts) -> Value {
    let Timeouts { tcp, tcp_fin, udp } = *timeouts;
    document("timeouts", json!({ "timeouts": { "tcp": tcp, "tcp_fin": tcp_fin, "udp": udp } }))
}

/// The synchronisation daemons.
pub fn daemons(daemons: &[Daemon]) -> Value {
    let one = |daemon: &Daemon| {
        json!({
            "role": daemon.role.name(),
            "interface": daemon.interface,
            "syncid": daemon.syncid,
            "maxlen": daemon.maxlen,
            "group": daemon.group,
            "port": daemon.port,
            "ttl": daemon.ttl,
        })
    };
    document("daemons", daemons.iter().map(one).collect::<Vec<_>>().into())
}

/// What a dry run or a comparison found.
pub fn changes(changes: &[Explained]) -> Value {
    let one = |change: &Explained| {
        json!({
            "change": change.kind,
            "what": change.what,
            "before": change.before,
            "after": change.after,
            "active": change.active,
            "inactive": change.inactive,
        })
    };
    let list: Vec<Value> = changes.iter().map(one).collect();
    document("changes", json!({ "changes": list, "connections_losing_server": touched(changes) }))
}

/// An address and a port.
pub fn endpoint((addr, port): (Addr, Be16), family: Family) -> Value {
    json!({ "address": addr.to_ip(family), "port": port.host() })
}

const fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

const fn protocol(proto: u8) -> &'static str {
    match proto {
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        _ => "unknown",
    }
}

const fn forwarding(forward: Forward) -> &'static str {
    match forward {
        Forward::Masq => "masq",
        Forward::Local => "local",
        Forward::Tunnel => "tunnel",
        Forward::Route => "route",
    }
}
