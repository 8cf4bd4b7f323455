//! `/proc/net/ip_vs_stats` and `ip_vs_stats_percpu`: the figures of the whole director.

use rvs_core::abi::Counters;
use rvs_intent::{Rates, Totals};
use std::io::{self, Write};

/// Writes `ip_vs_stats`.
///
/// # Errors
/// Those of the writer.
pub fn stats(totals: &Totals, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "   Total Incoming Outgoing         Incoming         Outgoing")?;
    writeln!(out, "   Conns  Packets  Packets            Bytes            Bytes")?;
    writeln!(out, "{}\n", figures(8, counters(&totals.counters)))?;
    writeln!(out, " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s")?;
    writeln!(out, "{}", figures(8, rates(&totals.rates)))
}

/// Writes `ip_vs_stats_percpu`.
///
/// # Errors
/// Those of the writer.
pub fn stats_percpu(totals: &Totals, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "       Total Incoming Outgoing         Incoming         Outgoing")?;
    writeln!(out, "CPU    Conns  Packets  Packets            Bytes            Bytes")?;
    for (cpu, counted) in totals.per_cpu.iter().enumerate() {
        writeln!(out, "{cpu:3X} {}", figures(8, counters(counted)))?;
    }
    writeln!(out, "  ~ {}\n", figures(8, counters(&totals.counters)))?;
    writeln!(out, "     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s")?;
    writeln!(out, "{}", figures(12, rates(&totals.rates)))
}

fn figures(first: usize, [conns, in_pkts, out_pkts, in_bytes, out_bytes]: [u64; 5]) -> String {
    format!("{conns:first$X} {in_pkts:8X} {out_pkts:8X} {in_bytes:16X} {out_bytes:16X}")
}

fn counters(counters: &Counters) -> [u64; 5] {
    let Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes } = *counters;
    [conns, in_pkts, out_pkts, in_bytes, out_bytes]
}

fn rates(rates: &Rates) -> [u64; 5] {
    let Rates { cps, in_pps, out_pps, in_bps, out_bps } = *rates;
    [cps, in_pps, out_pps, in_bps, out_bps]
}
