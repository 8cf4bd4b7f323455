//! The series of node_exporter's `ipvs` collector: names, labels and help texts are its own, so that dashboards and alerts
//! made for IPVS go on working.

use super::Figures;
use super::family::{Family, counter, gauge};
use crate::ipvsadm::show;
use crate::proc::labels;
use rvs_intent::{ListedDest, ListedService};
use std::collections::BTreeMap;
use std::io::{self, Write};

const TOTALS: [Family; 5] = [
    counter("node_ipvs_connections_total", "The total number of connections made."),
    counter("node_ipvs_incoming_packets_total", "The total number of incoming packets."),
    counter("node_ipvs_outgoing_packets_total", "The total number of outgoing packets."),
    counter("node_ipvs_incoming_bytes_total", "The total amount of incoming data."),
    counter("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."),
];

const BACKENDS: [Family; 3] = [
    gauge("node_ipvs_backend_connections_active", "The current active connections by local and remote address."),
    gauge("node_ipvs_backend_connections_inactive", "The current inactive connections by local and remote address."),
    gauge("node_ipvs_backend_weight", "The current backend weight by local and remote address."),
];

pub(super) fn names() -> Vec<&'static str> {
    TOTALS.iter().chain(&BACKENDS).map(|family| family.name).collect()
}

pub(super) fn write(figures: &Figures, out: &mut dyn Write) -> io::Result<()> {
    let counters = &figures.totals.counters;
    let totals = [counters.conns, counters.in_pkts, counters.out_pkts, counters.in_bytes, counters.out_bytes];
    for (family, value) in TOTALS.iter().zip(totals) {
        family.single(value, out)?;
    }
    for (index, family) in BACKENDS.iter().enumerate() {
        family.begin(out)?;
        for listed in figures.listing.services.iter().filter(|listed| show::mark(&listed.service.key).is_none()) {
            for dest in &listed.dests {
                backend(family, listed, dest, values(dest)[index], out)?;
            }
        }
        for (listed, dest, sums) in by_mark(figures) {
            backend(family, listed, dest, sums[index], out)?;
        }
    }
    Ok(())
}

fn values(dest: &ListedDest) -> [i64; 3] {
    [i64::from(dest.active), i64::from(dest.inactive), i64::from(dest.dest.weight)]
}

/// Destinations of services by mark. The labels do not tell a mark of IPv4 from that of IPv6; where the same server serves
/// both, node_exporter adds up, and so does this.
fn by_mark(figures: &Figures) -> Vec<(&ListedService, &ListedDest, [i64; 3])> {
    let mut sums: BTreeMap<_, (&ListedService, &ListedDest, [i64; 3])> = BTreeMap::new();
    for listed in &figures.listing.services {
        let Some(mark) = show::mark(&listed.service.key) else { continue };
        for dest in &listed.dests {
            let at = (mark, dest.dest.addr.to_ip(dest.dest.family), dest.dest.port.host());
            let more = values(dest);
            sums.entry(at)
                .and_modify(|(.., sum)| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more))
                .or_insert((listed, dest, more));
        }
    }
    sums.into_values().collect()
}

fn backend(
    family: &Family,
    listed: &ListedService,
    dest: &ListedDest,
    value: i64,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (proto, address, port, mark) = labels(listed);
    let labels = [
        ("local_address", address.as_str()),
        ("local_mark", mark.as_str()),
        ("local_port", &port.host().to_string()),
        ("proto", proto),
        ("remote_address", &dest.dest.addr.to_ip(dest.dest.family).to_string()),
        ("remote_port", &dest.dest.port.host().to_string()),
    ];
    family.sample(&labels, value, out)
}
