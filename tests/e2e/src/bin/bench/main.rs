//! The benchmark through namespaces: how the director's throughput compares to plain forwarding and to what else people use for
//! balancing, on the same machine, through the same kind of namespaces, in the same minute. Absolute figures mean little
//! elsewhere; ratios travel.

mod measure;
mod report;
mod ways;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use std::io::{IsTerminal as _, stderr};
use ways::{Site, Way};

/// Compares throughput through RVS with plain forwarding, nftables, HAProxy and nginx: bulk transfer by iperf3, packets per
/// second, new connections by wrk.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// Only ways whose names contain one of these, beside those that they are compared with.
    only: Vec<String>,
    /// Rounds; every round measures everything once, medians count.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each single measurement.
    #[arg(long, default_value_t = 1)]
    seconds: u64,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if !lab::is_root() {
        bail!("needs root, for network namespaces: run it with sudo");
    }
    ensure!((1..=20).contains(&options.rounds) && (1..=10).contains(&options.seconds), "too many rounds or seconds");
    let wanted = |way: &Way| {
        let name = way.name();
        options.only.is_empty() || options.only.iter().any(|part| name.contains(part))
    };
    let needed = |way: &Way| {
        wanted(way) || *way == Way::Direct || Way::ALL.iter().any(|other| wanted(other) && other.ceiling() == *way)
    };
    let chosen: Vec<Way> = Way::ALL.into_iter().filter(needed).collect();
    ensure!(chosen.iter().any(wanted), "no way has such a name");
    let sites = Site::of(&chosen)?;
    let mut all: report::All = chosen.into_iter().map(|way| (way, Vec::new())).collect();
    for round in 1..=options.rounds {
        for (way, figures) in &mut all {
            if stderr().is_terminal() {
                eprint!("\rround {round} of {}: {:<24}", options.rounds, way.name());
            }
            let site = sites.iter().find(|site| site.fits(*way)).context("no laboratory for a way")?;
            let measured = site.open(*way).and_then(|open| {
                let measured = measure::measure(&open, options.seconds);
                open.close()?;
                measured
            });
            figures.push(measured.with_context(|| format!("measuring {}", way.name()))?);
        }
    }
    if stderr().is_terminal() {
        eprint!("\r{:<50}\r", "");
    }
    if options.json {
        println!("{:#}", report::to_json(&all, options.rounds, options.seconds));
    } else {
        report::print(&all, options.rounds, options.seconds);
    }
    Ok(())
}
