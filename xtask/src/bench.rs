//! `cargo xtask bench`: the parts of the benchmark suite. The measuring is done by binaries of other packages, or in a virtual
//! machine; this file chooses.

use crate::demo::prepare;
use crate::run::run;
use crate::workspace::Workspace;
use crate::{build, guestbench, setup};
use anyhow::{Result, ensure};
use std::process::Command;

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Packets,
    Throughput,
    Guest,
}

impl Part {
    const ALL: [Self; 3] = [Self::Packets, Self::Throughput, Self::Guest];

    const fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Throughput => "throughput",
            Self::Guest => "guest",
        }
    }

    fn run(self, ws: &Workspace, options: &[String]) -> Result<()> {
        match self {
            Self::Packets => {
                prepare(ws, "rvs-benches", "packets")?;
                let object = ws.object().with_file_name("bench.o");
                run(Command::new(ws.target.join("release/packets")).args(options).env("RVS_BENCH_OBJECT", object))
            }
            Self::Throughput => {
                prepare(ws, "rvs-benches", "sender")?;
                prepare(ws, "rvs-e2e", "bench")?;
                let object = ws.object().with_file_name("bench.o");
                let mut bench = Command::new(ws.target.join("release/bench"));
                run(bench.args(options).env("RVS_BIN_DIR", ws.sbin()).env("RVS_BENCH_OBJECT", object))
            }
            Self::Guest => {
                setup::setup(ws)?;
                build::dist(ws)?;
                guestbench::measure(ws, options.iter().any(|option| option == "--json"))
            }
        }
    }
}

/// Runs the parts that are named, or all. Options go to the part; with several, only those that all of them know.
pub(crate) fn bench(ws: &Workspace, args: &[String]) -> Result<()> {
    let (parts, options) = choose(args)?;
    for part in parts {
        part.run(ws, &options)?;
    }
    Ok(())
}

fn choose(args: &[String]) -> Result<(Vec<Part>, Vec<String>)> {
    let split = args.iter().position(|arg| Part::ALL.iter().all(|part| part.name() != arg)).unwrap_or(args.len());
    let (named, options) = args.split_at(split);
    let parts: Vec<_> = Part::ALL.into_iter().filter(|part| named.iter().any(|name| name == part.name())).collect();
    let parts = if parts.is_empty() { Part::ALL.to_vec() } else { parts };
    let shared = options.iter().all(|option| option == "--json");
    ensure!(
        shared || (parts.len() == 1 && parts[0] != Part::Guest),
        "bench: {} is an option of one part; name `packets` or `throughput` before it",
        options.join(" ")
    );
    Ok((parts, options.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_first_and_options_belong_to_one() {
        let choose = |line: &str| super::choose(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(choose("").unwrap().0, Part::ALL);
        assert_eq!(choose("guest --json").unwrap(), (vec![Part::Guest], vec!["--json".to_owned()]));
        let (parts, options) = choose("packets --rounds 3 floor").unwrap();
        assert_eq!((parts, options.len()), (vec![Part::Packets], 3));
        assert!(choose("--rounds 3").is_err());
        assert!(choose("guest --rounds 3").is_err());
    }
}
