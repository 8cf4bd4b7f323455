//! The benchmark of the control plane: how long administrators and failures wait for the tools and the daemon, and what memory
//! and processor they take, beside the distribution's keepalived with the same configuration. What needs the kernel's IPVS is
//! measured in a virtual machine by `cargo xtask bench control`, which hands its lines over with `--guest`.

mod failover;
mod figures;
mod instances;
mod reals;
mod table;
mod usage;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use figures::Figures;
use std::fs;
use std::io::{IsTerminal as _, stderr};
use std::path::PathBuf;

/// Compares the control plane with the original's: tables, failovers, daemons, checked real servers.
#[derive(Parser)]
#[command(name = "control")]
struct Options {
    /// Only these of `table`, `failover`, `instances`, `reals`; all when none is named.
    only: Vec<String>,
    /// Rounds; every round measures everything once, medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Lines of the virtual machine, to be shown as well.
    #[arg(long)]
    guest: Option<PathBuf>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Be the real servers.
    #[arg(long, hide = true)]
    serve: bool,
}

/// What is measured: its name, and what measures it so many times.
type Topic = (&'static str, fn(&mut Figures, usize) -> Result<()>);

const TOPICS: [Topic; 4] = [
    ("table", table::measure),
    ("failover", failover::measure),
    ("instances", instances::measure),
    ("reals", reals::measure),
];

fn main() -> Result<()> {
    let options = Options::parse();
    if options.serve {
        return reals::serve();
    }
    ensure!((1..=20).contains(&options.rounds), "1 to 20 rounds, not {}", options.rounds);
    if let Some(name) = options.only.iter().find(|name| TOPICS.iter().all(|(topic, _)| topic != name)) {
        bail!("there is no `{name}`; there are {}", TOPICS.map(|(name, _)| name).join(", "));
    }
    if !lab::is_root() {
        bail!("needs root, for network namespaces: run it with sudo");
    }
    let mut figures = Figures::default();
    for (name, measure) in TOPICS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            if stderr().is_terminal() {
                eprint!("\r{name:<20}");
            }
            measure(&mut figures, options.rounds).with_context(|| format!("measuring `{name}`"))?;
        }
    }
    if stderr().is_terminal() {
        eprint!("\r{:<20}\r", "");
    }
    if let Some(path) = &options.guest {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        text.lines().try_for_each(|line| figures.add_line(line))?;
    }
    if options.json {
        println!("{:#}", figures.to_json(options.rounds));
    } else {
        figures.print(options.rounds);
    }
    Ok(())
}
