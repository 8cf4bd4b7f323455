//! Our own series: what node_exporter does not have. Services and real servers have the labels that it would give them, and
//! the family of the service, by which a mark of IPv4 is told from that of IPv6.

use super::family::{Family, counter, gauge};
use super::{Director, Figures};
use crate::ipvsadm::show;
use crate::proc::labels;
use rvs_core::abi::Counters;
use rvs_intent::{ListedDest, ListedService};
use std::io::{self, Write};

const DIRECTOR: Family = gauge("rvs_director", "Whether there is a director in this network namespace.");
const INFO: Family = gauge("rvs_info", "Versions: of RVS, of its tables and of the kernel.");
const PACKETS: Family = counter("rvs_packets_total", "Packets by the reason why they ended as they did.");
const ENTRIES: Family = gauge("rvs_table_entries", "Entries of a table that are in use.");
const CAPACITY: Family = gauge("rvs_table_capacity", "Entries that a table can have.");
const REMEMBERED: Family =
    gauge("rvs_remembered_destinations", "Deleted destinations that are remembered for their connections.");
const MEMORY: Family = gauge("rvs_memory_bytes", "Memory of all tables.");
const CONNECTION_BYTES: Family = gauge("rvs_connection_bytes", "Memory of one connection.");
const TICKING: Family = gauge("rvs_timers_running", "Whether connections expire.");
const CHANGES: Family = counter("rvs_configuration_changes_total", "Changes of the configuration.");
const INTERFACE: Family =
    gauge("rvs_interface_attached", "Whether packets of an interface are seen, and by which hooks.");
const DESTINATIONS: Family = gauge("rvs_service_destinations", "Destinations of a service.");
const PERSISTENT: Family = gauge("rvs_backend_persistence_templates", "Persistence templates of a destination.");
const U_THRESHOLD: Family =
    gauge("rvs_backend_upper_threshold", "Connections above which a destination gets no more; 0: no limit.");

const SERVICE: [Family; 5] = [
    counter("rvs_service_connections_total", "Connections of a service."),
    counter("rvs_service_incoming_packets_total", "Packets from clients of a service."),
    counter("rvs_service_outgoing_packets_total", "Packets to clients of a service that passed the director."),
    counter("rvs_service_incoming_bytes_total", "Bytes from clients of a service."),
    counter("rvs_service_outgoing_bytes_total", "Bytes to clients of a service that passed the director."),
];

const BACKEND: [Family; 5] = [
    counter("rvs_backend_connections_total", "Connections of a destination."),
    counter("rvs_backend_incoming_packets_total", "Packets to a destination."),
    counter("rvs_backend_outgoing_packets_total", "Packets from a destination that passed the director."),
    counter("rvs_backend_incoming_bytes_total", "Bytes to a destination."),
    counter("rvs_backend_outgoing_bytes_total", "Bytes from a destination that passed the director."),
];

pub(super) fn names() -> Vec<&'static str> {
    let single = [
        DIRECTOR,
        INFO,
        PACKETS,
        ENTRIES,
        CAPACITY,
        REMEMBERED,
        MEMORY,
        CONNECTION_BYTES,
        TICKING,
        CHANGES,
        INTERFACE,
        DESTINATIONS,
        PERSISTENT,
        U_THRESHOLD,
    ];
    single.iter().chain(&SERVICE).chain(&BACKEND).map(|family| family.name).collect()
}

pub(super) fn write(figures: &Figures, out: &mut dyn Write) -> io::Result<()> {
    DIRECTOR.single(u8::from(figures.director.is_some()), out)?;
    if let Some(director) = &figures.director {
        of_director(director, out)?;
    }
    let services = &figures.listing.services;
    DESTINATIONS.begin(out)?;
    services.iter().try_for_each(|listed| of_service(&DESTINATIONS, listed, listed.dests.len() as u64, out))?;
    for (index, family) in SERVICE.iter().enumerate() {
        family.begin(out)?;
        services.iter().try_for_each(|listed| of_service(family, listed, values(&listed.counters)[index], out))?;
    }
    for (index, family) in BACKEND.iter().enumerate() {
        each_backend(family, figures, |dest| values(&dest.counters)[index], out)?;
    }
    each_backend(&PERSISTENT, figures, |dest| dest.persist.into(), out)?;
    each_backend(&U_THRESHOLD, figures, |dest| dest.dest.u_threshold.into(), out)
}

fn of_director(director: &Director, out: &mut dyn Write) -> io::Result<()> {
    INFO.begin(out)?;
    let abi = director.abi.to_string();
    let info = [("abi", abi.as_str()), ("kernel", &director.kernel), ("version", env!("CARGO_PKG_VERSION"))];
    INFO.sample(&info, 1, out)?;
    PACKETS.begin(out)?;
    for (reason, packets) in &director.reasons {
        PACKETS.sample(&[("outcome", reason.outcome().label()), ("reason", reason.label())], packets, out)?;
    }
    ENTRIES.begin(out)?;
    director.tables.iter().try_for_each(|(name, used, _)| ENTRIES.sample(&[("table", name)], used, out))?;
    CAPACITY.begin(out)?;
    director.tables.iter().try_for_each(|(name, _, most)| CAPACITY.sample(&[("table", name)], most, out))?;
    REMEMBERED.single(director.remembered, out)?;
    MEMORY.single(director.memory, out)?;
    CONNECTION_BYTES.single(director.connection_bytes, out)?;
    TICKING.single(u8::from(director.ticking), out)?;
    CHANGES.single(director.changes, out)?;
    INTERFACE.begin(out)?;
    let attached = |mode: &str| u8::from(mode != "none");
    let one = |(name, mode): &(String, &'static str)| {
        INTERFACE.sample(&[("interface", name), ("mode", mode)], attached(mode), out)
    };
    director.interfaces.iter().try_for_each(one)
}

fn values(counters: &Counters) -> [u64; 5] {
    let Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes } = *counters;
    [conns, in_pkts, out_pkts, in_bytes, out_bytes]
}

fn of_service(family: &Family, listed: &ListedService, value: u64, out: &mut dyn Write) -> io::Result<()> {
    let (proto, address, port, mark) = labels(listed);
    let labels = [
        ("family", ip_version(listed)),
        ("local_address", address.as_str()),
        ("local_mark", mark.as_str()),
        ("local_port", &port.host().to_string()),
        ("proto", proto),
    ];
    family.sample(&labels, value, out)
}

fn each_backend(
    family: &Family,
    figures: &Figures,
    value: impl Fn(&ListedDest) -> u64,
    out: &mut dyn Write,
) -> io::Result<()> {
    family.begin(out)?;
    for listed in &figures.listing.services {
        let (proto, address, port, mark) = labels(listed);
        let port = port.host().to_string();
        for dest in &listed.dests {
            let labels = [
                ("family", ip_version(listed)),
                ("local_address", address.as_str()),
                ("local_mark", mark.as_str()),
                ("local_port", port.as_str()),
                ("proto", proto),
                ("remote_address", &dest.dest.addr.to_ip(dest.dest.family).to_string()),
                ("remote_port", &dest.dest.port.host().to_string()),
            ];
            family.sample(&labels, value(dest), out)?;
        }
    }
    Ok(())
}

fn ip_version(listed: &ListedService) -> &'static str {
    match show::family(&listed.service.key) {
        rvs_wire::Family::V4 => "ipv4",
        rvs_wire::Family::V6 => "ipv6",
    }
}
