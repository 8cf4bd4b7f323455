//! `cargo xtask bench`: the parts of the benchmark suite. The measuring is done by binaries of other packages, or in a virtual
//! machine; this file chooses, keeps time, and has the page on performance written.

use crate::demo::prepare;
use crate::run::{cargo, run, step};
use crate::workspace::Workspace;
use crate::{build, guestbench, guestcontrol, setup};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The longest that one part may take, in seconds, where nobody watches: several times what it takes on a quiet machine. The
/// virtual machine has a limit of its own.
const LIMIT: &str = "3600";

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Packets,
    Throughput,
    Guest,
    Control,
}

impl Part {
    const ALL: [Self; 4] = [Self::Packets, Self::Throughput, Self::Guest, Self::Control];

    const fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Throughput => "throughput",
            Self::Guest => "guest",
            Self::Control => "control",
        }
    }

    /// Measures; what comes of it goes to our standard output, or into a file.
    fn run(self, ws: &Workspace, options: &[String], file: Option<&Path>) -> Result<()> {
        let object = ws.object().with_file_name("bench.o");
        match self {
            Self::Packets => {
                prepare(ws, "rvs-benches", "packets")?;
                let program = ws.target.join("release/packets");
                finish(&program, file, |command| command.args(options).env("RVS_BENCH_OBJECT", &object))
            }
            Self::Throughput => {
                prepare(ws, "rvs-benches", "sender")?;
                prepare(ws, "rvs-e2e", "bench")?;
                finish(&ws.target.join("release/bench"), file, |command| {
                    command.args(options).env("RVS_BIN_DIR", ws.sbin()).env("RVS_BENCH_OBJECT", &object)
                })
            }
            Self::Guest => {
                setup::setup(ws)?;
                build::dist(ws)?;
                let text = guestbench::measure(ws, options.iter().any(|option| option == "--json"))?;
                match file {
                    Some(file) => fs::write(file, text).with_context(|| format!("writing {}", file.display())),
                    None => {
                        print!("{text}");
                        Ok(())
                    }
                }
            }
            Self::Control => {
                prepare(ws, "rvs-e2e", "control")?;
                let (without, options): (Vec<_>, Vec<_>) = options.iter().partition(|option| *option == NO_GUEST);
                let guest = if without.is_empty() { Some(guestcontrol::measure(ws)?) } else { None };
                finish(&ws.target.join("release/control"), file, |command| {
                    command.args(options).env("RVS_BIN_DIR", ws.sbin());
                    match &guest {
                        Some(path) => command.arg("--guest").arg(path),
                        None => command,
                    }
                })
            }
        }
    }
}

/// Leaves the virtual machine out of the control plane's part.
const NO_GUEST: &str = "--no-guest";

/// Runs a program of ours; its standard output goes into the file, where there is one, and then its time is limited.
fn finish(program: &Path, file: Option<&Path>, with: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let Some(path) = file else { return run(with(&mut Command::new(program))) };
    let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
    // It takes its namespaces down at SIGTERM.
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=60", LIMIT]).arg(program);
    let status = with(&mut command).stdin(Stdio::null()).stdout(file).status().context("starting `timeout`")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(124) => bail!("{} took longer than {LIMIT} s", program.display()),
        _ => bail!("{} failed: {status}", program.display()),
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Wish {
    parts: Vec<Part>,
    options: Vec<String>,
    page: bool,
}

/// Runs the parts that are named, or all. Options go to the part; with several, only those that all of them know.
pub(crate) fn bench(ws: &Workspace, args: &[String]) -> Result<()> {
    let wish = choose(args)?;
    if wish.page {
        return page(ws, &wish);
    }
    wish.parts.iter().try_for_each(|part| part.run(ws, &wish.options, None))
}

fn choose(args: &[String]) -> Result<Wish> {
    let (pages, args): (Vec<_>, Vec<_>) = args.iter().partition(|arg| *arg == "--page");
    let split = args.iter().position(|arg| Part::ALL.iter().all(|part| part.name() != *arg)).unwrap_or(args.len());
    let (named, options) = args.split_at(split);
    let parts: Vec<_> = Part::ALL.into_iter().filter(|part| named.iter().any(|name| *name == part.name())).collect();
    let parts = if parts.is_empty() { Part::ALL.to_vec() } else { parts };
    let shared = options.iter().all(|option| *option == "--json");
    let own = parts.len() == 1 && parts[0] != Part::Guest;
    let listed = options.iter().map(|option| option.as_str()).collect::<Vec<_>>().join(" ");
    ensure!(
        shared || own,
        "bench: {listed} is an option of one part; name `packets`, `throughput` or `control` before it"
    );
    Ok(Wish { parts, options: options.iter().map(|option| (*option).clone()).collect(), page: !pages.is_empty() })
}

/// Measures the parts, keeps their documents below `target/bench`, and writes docs/performance.md with its plots out of them.
fn page(ws: &Workspace, wish: &Wish) -> Result<()> {
    let dir = ws.target.join("bench");
    fs::create_dir_all(&dir)?;
    let mut options = wish.options.clone();
    options.retain(|option| option != "--json");
    options.push("--json".into());
    let mut documents = Vec::new();
    for part in &wish.parts {
        let path = dir.join(format!("{}.json", part.name()));
        // Not in one go: a part that fails leaves the document of the time before.
        let new = path.with_extension("new");
        let conditions = conditions();
        step(&format!("bench: {}", part.name()), || part.run(ws, &options, Some(&new)))?;
        let text = fs::read_to_string(&new)?;
        let mut document: Value = serde_json::from_str(&text).with_context(|| format!("what {} told", part.name()))?;
        document["conditions"] = conditions;
        fs::write(&path, format!("{document:#}\n"))?;
        fs::remove_file(new)?;
        documents.push((*part, path));
    }
    report(ws, &documents)
}

fn report(ws: &Workspace, documents: &[(Part, PathBuf)]) -> Result<()> {
    step("report: compile", || {
        run(cargo(ws).args(["build", "--quiet", "--release", "--package", "rvs-benches", "--bin", "report"]))
    })?;
    let mut command = Command::new(ws.target.join("release/report"));
    command.arg("--docs").arg(ws.root.join("docs"));
    for (part, path) in documents {
        command.arg(format!("--{}", part.name())).arg(path);
    }
    run(&mut command)
}

/// Where and how busy: kernel, processors, and how many processes wanted to run when it began.
fn conditions() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let load = read("/proc/loadavg").split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim(), "processor": model(&read("/proc/cpuinfo")),
        "processors": processors, "load": load,
    })
}

/// The first processor's name in `/proc/cpuinfo`.
fn model(cpuinfo: &str) -> Option<&str> {
    cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_first_and_options_belong_to_one() {
        let choose = |line: &str| super::choose(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(choose("").unwrap().parts, Part::ALL);
        let guest = choose("guest --json").unwrap();
        assert_eq!((guest.parts, guest.options), (vec![Part::Guest], vec!["--json".to_owned()]));
        let packets = choose("packets --rounds 3 floor").unwrap();
        assert_eq!((packets.parts, packets.options.len(), packets.page), (vec![Part::Packets], 3, false));
        assert!(choose("--rounds 3").is_err());
        assert!(choose("guest --rounds 3").is_err());
    }

    #[test]
    fn the_page_is_of_all_parts_or_of_those_that_are_named() {
        let choose = |line: &str| super::choose(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(choose("--page").unwrap(), Wish { parts: Part::ALL.to_vec(), options: Vec::new(), page: true });
        let one = choose("control --page --rounds 3").unwrap();
        assert_eq!((one.parts, one.options.len(), one.page), (vec![Part::Control], 2, true));
    }

    #[test]
    fn the_processor_has_a_name() {
        assert_eq!(model("processor\t: 0\nmodel name\t: A Chip\nflags\t: a\n"), Some("A Chip"));
        assert_eq!(model("processor: 0"), None);
    }
}
