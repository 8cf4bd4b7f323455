//! The services of the table that a virtual server is, and how a destination gets its packets.

use super::MOST_MEMBERS;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::field::Words as _;
use rvs_config::keepalived::model::server::{RealServer, VirtualServer};
use rvs_config::keepalived::value::choice::{Family as Inet, Protocol};
use rvs_config::keepalived::value::lvs::{Forward, GroupMember, ServiceKey as Key, TunnelChecksum};
use rvs_config::keepalived::value::net::Granularity;
use rvs_core::abi::{self, ServiceKey, flags};
use rvs_intent::{Dest, Engine, ServiceSettings, Tunnel, TunnelKind};
use rvs_wire::{Addr, Be16, Family};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol numbers, as the kernel keys services by.
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

pub(super) fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

pub(super) fn addr(address: IpAddr) -> Addr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Address and port, or the mark, of each service.
fn keys(block: &VirtualServer, config: &Config, remarks: &mut Vec<String>) -> Vec<ServiceKey> {
    let proto = match block.protocol {
        Some(Protocol::Tcp) => TCP,
        Some(Protocol::Sctp) => SCTP,
        Some(Protocol::Udp) | None => UDP,
    };
    let at = |address: IpAddr, port: Option<u16>| ServiceKey {
        addr: addr(address),
        port: Be16::new(port.unwrap_or(0)),
        proto,
        family: family(address).raw(),
    };
    let by_mark = |mark: u32, family: Family| ServiceKey {
        addr: Addr::mark(mark),
        port: Be16::ZERO,
        proto: 0,
        family: family.raw(),
    };
    match &block.key {
        Key::Address(endpoint) => vec![at(endpoint.address, endpoint.port)],
        Key::Mark(mark) => vec![by_mark(*mark, family_of_mark(block, None))],
        Key::Group(name) => {
            let Some(group) = config.server_groups.iter().find(|group| group.name.0 == *name) else {
                return Vec::new();
            };
            let first = group.members.values().find_map(|member| member.bounds().map(|(first, _)| family(first)));
            let (mut keys, mut known) = (Vec::new(), HashSet::new());
            for member in group.members.values() {
                match member {
                    GroupMember::Mark { mark, family } => {
                        let family = family.map(inet).or(first);
                        keys.push(by_mark(*mark, family_of_mark(block, family)));
                    }
                    GroupMember::Range { port, .. } | GroupMember::Network { port, .. } => {
                        let Some((first, last)) = member.bounds() else { continue };
                        let addresses = between(first, last, MOST_MEMBERS + 1);
                        keys.extend(addresses.into_iter().map(|address| at(address, *port)));
                    }
                }
                if keys.len() > MOST_MEMBERS {
                    remarks.push(format!(
                        "Virtual server group {name} has more than {MOST_MEMBERS} addresses and marks - the others are \
                         ignored"
                    ));
                    keys.truncate(MOST_MEMBERS);
                    break;
                }
            }
            keys.retain(|key| known.insert(*key));
            keys
        }
    }
}

const fn inet(family: Inet) -> Family {
    match family {
        Inet::Inet => Family::V4,
        Inet::Inet6 => Family::V6,
    }
}

/// The family of a service by mark: as said, else that of the real servers.
fn family_of_mark(block: &VirtualServer, said: Option<Family>) -> Family {
    let of_reals = || block.real_servers.first().map(|real| family(real.endpoint.address));
    said.or(block.ip_family.map(inet)).or_else(of_reals).unwrap_or(Family::V4)
}

/// The addresses from the first to the last, at most so many.
fn between(first: IpAddr, last: IpAddr, most: usize) -> Vec<IpAddr> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            (u32::from(first)..=u32::from(last)).take(most).map(|address| IpAddr::V4(Ipv4Addr::from(address))).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => (u128::from(first)..=u128::from(last))
            .take(most)
            .map(|address| IpAddr::V6(Ipv6Addr::from(address)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The services of a virtual server.
pub(super) fn members(block: &VirtualServer, config: &Config, remarks: &mut Vec<String>) -> Vec<ServiceSettings> {
    let engine = block.persistence_engine.as_ref().map(|text| text.0.clone());
    let engine = engine.filter(|name| Engine::from_name(name).is_some());
    // An engine without a timeout would have nothing to remember: the original persists for its default time.
    let persist_secs = match (block.persistence_timeout, &engine) {
        (Some(timeout), _) => timeout.0,
        (None, Some(_)) => 360,
        (None, None) => 0,
    };
    let mut bits = if persist_secs > 0 { flags::PERSISTENT } else { 0 };
    for (set, flag) in [
        (block.ops, flags::ONE_PACKET),
        (block.flag_1, flags::SCHED_1),
        (block.flag_2, flags::SCHED_2),
        (block.flag_3, flags::SCHED_3),
    ] {
        bits |= if set { flag } else { 0 };
    }
    let sched = block.scheduler.map_or_else(|| "wlc".to_owned(), |scheduler| scheduler.words().concat());
    let settings = |key: ServiceKey| ServiceSettings {
        netmask: netmask(block.persistence_granularity, key.family == Family::V6.raw()),
        key,
        sched: sched.clone(),
        flags: bits,
        persist_secs,
        engine: engine.clone(),
    };
    keys(block, config, remarks).into_iter().map(settings).collect()
}

fn netmask(granularity: Option<Granularity>, v6: bool) -> Addr {
    match (granularity, v6) {
        (Some(Granularity::Mask(mask)), false) => mask.into(),
        (Some(Granularity::Prefix(bits)), false) => {
            let bits = u32::from(bits.min(32));
            Ipv4Addr::from(u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into()
        }
        (None, false) => Ipv4Addr::BROADCAST.into(),
        (granularity, true) => {
            let bits = match granularity {
                Some(Granularity::Prefix(bits)) => u32::from(bits.min(128)),
                _ => 128,
            };
            Ipv6Addr::from(u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into()
        }
    }
}

/// A destination as the table has it, with weight 1 and without thresholds.
pub(super) fn dest(address: IpAddr, port: u16, forward: Forward) -> Dest {
    let mut dest = Dest::new(addr(address), family(address), Be16::new(port));
    let checksum = |checksum: Option<TunnelChecksum>| match checksum {
        None | Some(TunnelChecksum::None) => 0,
        Some(TunnelChecksum::Full) => 1,
        Some(TunnelChecksum::Remote) => 2,
    };
    (dest.forward, dest.tunnel) = match forward {
        Forward::Nat => (abi::Forward::Masq, Tunnel::default()),
        Forward::Dr => (abi::Forward::Route, Tunnel::default()),
        Forward::Ipip => (abi::Forward::Tunnel, Tunnel::default()),
        Forward::Gue { port, checksum: sum } => {
            (abi::Forward::Tunnel, Tunnel { kind: TunnelKind::Gue, port: Be16::new(port), flags: checksum(sum) })
        }
        Forward::Gre { checksum: sum } => {
            (abi::Forward::Tunnel, Tunnel { kind: TunnelKind::Gre, port: Be16::ZERO, flags: checksum(sum) })
        }
    };
    dest
}

/// The port of a real server: its own, or that of the service.
pub(super) fn port(block: &VirtualServer, real: &RealServer) -> u16 {
    let of_service = match &block.key {
        Key::Address(at) => at.port,
        Key::Mark(_) | Key::Group(_) => None,
    };
    real.endpoint.port.or(of_service).unwrap_or(0)
}
