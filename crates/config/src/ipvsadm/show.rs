//! How services, servers and their settings are written, in listings and in saved rules.

use crate::names::Names;
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_intent::{Service, model::is_mark};
use rvs_wire::{Addr, Be16, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Looks names up, or prints numbers (`-n`).
#[derive(Clone, Copy)]
pub(super) struct Style<'a> {
    pub(super) names: Option<&'a dyn Names>,
}

impl Style<'_> {
    /// `host:port`; an IPv6 address in brackets.
    pub(super) fn endpoint(self, addr: Addr, family: Family, port: Be16, proto: u8) -> String {
        let ip = addr.to_ip(family);
        let host = self.names.and_then(|names| names.host_name(ip)).unwrap_or_else(|| ip.to_string());
        let port_name = self.names.filter(|_| port != Be16::ZERO).and_then(|names| names.port_name(port.host(), proto));
        let port = port_name.unwrap_or_else(|| port.host().to_string());
        match ip {
            IpAddr::V4(_) => format!("{host}:{port}"),
            IpAddr::V6(_) => format!("[{host}]:{port}"),
        }
    }

    /// The address of a service that is not by mark.
    pub(super) fn service(self, key: &ServiceKey) -> String {
        self.endpoint(key.addr, family(key), key.port, key.proto)
    }
}

/// A service as it is named on a command line, in numbers: `ADDRESS:PORT`, or its mark.
pub fn service_name(key: &ServiceKey) -> String {
    match mark(key) {
        Some(mark) => mark.to_string(),
        None => Style { names: None }.service(key),
    }
}

/// The firewall mark of a service, if it is by mark.
pub(crate) fn mark(key: &ServiceKey) -> Option<u32> {
    let [.., mark] = key.addr.words();
    is_mark(key).then_some(mark)
}

/// The family of a service; keys hold no other than the two.
pub(crate) fn family(key: &ServiceKey) -> Family {
    Family::from_raw(key.family).unwrap_or_default()
}

/// The name of an IP protocol in listings.
pub const fn protocol(proto: u8) -> &'static str {
    match proto {
        0 => "IP",
        6 => "TCP",
        17 => "UDP",
        132 => "SCTP",
        _ => "UNK",
    }
}

/// The name of a forwarding method in listings.
pub(crate) const fn forward(forward: Forward) -> &'static str {
    match forward {
        Forward::Masq => "Masq",
        Forward::Local => "Local",
        Forward::Tunnel => "Tunnel",
        Forward::Route => "Route",
    }
}

/// The mask of a persistent service, unless it tells every client apart.
pub(super) fn netmask(service: &Service) -> Option<String> {
    match service.netmask.to_ip(family(&service.key)) {
        IpAddr::V4(Ipv4Addr::BROADCAST) => None,
        IpAddr::V4(mask) => Some(mask.to_string()),
        IpAddr::V6(mask) => match u128::from(mask).count_ones() {
            Ipv6Addr::BITS => None,
            bits => Some(bits.to_string()),
        },
    }
}

/// The scheduler's flags, joined by commas, or `None` when there are none. What the scheduler has no name for is left out.
pub(super) fn sched_flags(service: &Service) -> Option<String> {
    if !has_sched_flags(service) {
        return None;
    }
    Some(flag_names(service, own_flag_names(service)).join(","))
}

/// The same with all flags, under names that can be read back.
pub(super) fn all_sched_flags(service: &Service) -> Option<String> {
    if !has_sched_flags(service) {
        return None;
    }
    let [first, second, third] = GENERIC_FLAGS;
    let names = match own_flag_names(service) {
        [first, second] => [*first, *second, third],
        _ => [first, second, third],
    };
    Some(flag_names(service, &names).join(","))
}

const SCHED_FLAGS: [u16; 3] = [flags::SCHED_1, flags::SCHED_2, flags::SCHED_3];
const GENERIC_FLAGS: [&str; 3] = ["flag-1", "flag-2", "flag-3"];

fn has_sched_flags(service: &Service) -> bool {
    SCHED_FLAGS.iter().any(|flag| service.flags & flag != 0)
}

fn own_flag_names(service: &Service) -> &'static [&'static str] {
    match service.sched.name() {
        "sh" => &["sh-fallback", "sh-port"],
        "mh" => &["mh-fallback", "mh-port"],
        _ => &GENERIC_FLAGS,
    }
}

fn flag_names(service: &Service, names: &[&'static str]) -> Vec<&'static str> {
    SCHED_FLAGS.iter().zip(names).filter(|(flag, _)| service.flags & **flag != 0).map(|(_, name)| *name).collect()
}
