//! Nanoseconds per packet: each case is run over and over by `BPF_PROG_TEST_RUN`, the packet restored in between by a small
//! program of ours, whose own cost (measured with an empty program in place of the director's) is taken off.
//!
//! Rounds of all cases alternate, and medians are shown beside the floor of the same round, because machines are noisy: ratios
//! within one run travel, absolute numbers do not.

use anyhow::{Result, ensure};
use clap::Parser;
use rvs_benches::cases::{self, Case};
use rvs_benches::lab::Size;
use rvs_benches::run::{Amount, Cost, run, sizes};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, stderr};

/// What is measured, and how often.
#[derive(Parser)]
#[command(name = "packets", about = "What a packet costs, in nanoseconds and as a ratio to the floor")]
struct Options {
    /// Only cases whose names contain one of these, and the floors.
    only: Vec<String>,
    /// Rounds of all cases; medians count.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Packets per round and case.
    #[arg(long, default_value_t = 200_000)]
    repeat: u32,
    /// Packets per round where each needs a run of its own.
    #[arg(long, default_value_t = 2_000)]
    singles: u32,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Print the names of the cases and measure nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.rounds > 0 && options.repeat > 0 && options.singles > 0, "nothing to measure");
    let cases = chosen(cases::all(), &options.only);
    ensure!(!cases.is_empty(), "no case has such a name; see --list");
    if options.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return Ok(());
    }
    let amount = Amount { rounds: options.rounds, repeat: options.repeat, singles: options.singles };
    let costs = run(cases, &amount, |what| {
        if stderr().is_terminal() {
            eprint!("\r{what:<70}");
        }
    })?;
    if stderr().is_terminal() {
        eprint!("\r{:<70}\r", "");
    }
    if options.json {
        let rows: Vec<_> = costs.iter().map(row).collect();
        let programs: Vec<_> = sizes()?.iter().map(program).collect();
        let counts = json!({ "rounds": options.rounds, "repeat": options.repeat, "cases": rows, "programs": programs });
        println!("{counts:#}");
    } else {
        print(&costs, options.rounds);
    }
    Ok(())
}

/// The cases with such names, and the floors they are compared with.
fn chosen(cases: Vec<Case>, only: &[String]) -> Vec<Case> {
    let wanted = |case: &Case| only.is_empty() || only.iter().any(|part| case.name.contains(part));
    let floors: Vec<_> = cases.iter().filter(|case| wanted(case)).map(|case| (case.scene, case.floor())).collect();
    cases.into_iter().filter(|case| wanted(case) || floors.contains(&(case.scene, case.name.clone()))).collect()
}

fn row(cost: &Cost) -> Value {
    let (ns, base): (Vec<_>, Vec<_>) = cost.samples.iter().copied().unzip();
    json!({
        "case": cost.case.name, "scene": format!("{:?}", cost.case.scene), "floor": cost.case.floor(),
        "ns": ns, "baseline_ns": base, "net_ns": cost.net(),
        "ratio": { "min": cost.ratio.min, "median": cost.ratio.median, "max": cost.ratio.max },
    })
}

fn program(size: &Size) -> Value {
    json!({
        "program": size.place.label(), "verified": size.verified, "instructions": size.instructions,
        "machine_code": size.machine_code,
    })
}

fn print(costs: &[Cost], rounds: usize) {
    println!("{:<46} {:>8} {:>9}   least to most", "case", "net ns", "to floor");
    for cost in costs {
        let ratio = cost.ratio;
        println!(
            "{:<46} {:>8} {:>9.2}   {:.2} to {:.2}",
            cost.case.name,
            cost.net(),
            ratio.median,
            ratio.min,
            ratio.max
        );
    }
    println!("medians of {rounds} rounds; the floor parses, looks one entry up and rewrites the MAC addresses");
}
