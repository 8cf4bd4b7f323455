//! `cargo xtask test`: every test there is, side by side where that does no harm, and at the end what failed and how long what
//! took.
//!
//! Two processors are busy while something is compiled and idle while tests wait for timers. So the suite goes in rounds; in
//! each, what only works is done in the background of what waits (`rounds`). Every step is a process of its own (`step`),
//! whose output is shown when it has ended; what failed is shown once more at the end (`report`).

mod programs;
mod report;
mod rounds;
mod step;

use crate::run::{cargo, is_root, run, which};
use crate::workspace::Workspace;
use crate::{build, oldkernel, setup, tidy, verifier};
use anyhow::{Context, Result, bail};
pub(crate) use programs::ALL;
use programs::Tests;
use report::Report;
use rounds::round;
use std::fs;
use std::process::Command;
use step::{Pace, Step};

/// What a part does.
type Work = fn(&Workspace) -> Result<()>;

/// What `cargo xtask test --only` knows: its name and what it does. The suite runs each of them in a process of its own.
const PARTS: [(&str, Work); 9] = [
    ("setup", setup_and_object),
    ("format", format),
    ("tidy", tidy::tidy),
    ("build", build::dist),
    ("clippy", clippy),
    ("verifier", |ws| verifier::check(ws, &[])),
    ("old kernel", oldkernel::boot),
    ("doctests", doctests),
    ("documentation", documentation),
];

/// One part of the suite, in this process.
pub(crate) fn only(ws: &Workspace, name: &str) -> Result<()> {
    match PARTS.iter().find(|part| part.0 == name) {
        Some((_, work)) => work(ws),
        None => bail!("no such part `{name}`; there are {}", PARTS.map(|part| part.0).join(", ")),
    }
}

/// Runs everything; `fast` leaves out what needs namespaces or a virtual machine.
pub(crate) fn suite(ws: &Workspace, fast: bool) -> Result<()> {
    fs::create_dir_all(ws.test_logs()).context("making a directory for the steps' output")?;
    let mut report = Report::default();
    prepare(ws, &mut report)?;
    let mut tests = Tests::default();
    if report.all_passed(&["setup"]) || ws.object().exists() {
        let compile = Step::new("compile tests", Pace::Works, programs::compile(ws));
        let cheap = [part("format", Pace::Works)?, part("tidy", Pace::Works)?];
        round(ws, [part("build", Pace::Works)?, compile].into_iter().chain(cheap).collect(), &mut report)?;
        if report.all_passed(&["build", "compile tests"]) {
            tests = programs::found(ws, report.log("compile tests"), fast)?;
        }
        round(ws, tests.prompt, &mut report)?;
        last(ws, tests.others, fast, &mut report)?;
    }
    print!("{}", report.end());
    match report.totals().1 {
        0 => Ok(()),
        // The report has said it all, and its last line is meant to be the last.
        _ => std::process::exit(1),
    }
}

/// A part as a step.
fn part(name: &'static str, pace: Pace) -> Result<Step> {
    let mut command = Command::new(std::env::current_exe().context("finding xtask itself")?);
    command.args(["test", "--only", name]);
    Ok(Step::new(name, pace, command))
}

/// What building needs, and the eBPF programs, which are part of everything else.
fn prepare(ws: &Workspace, report: &mut Report) -> Result<()> {
    let mut steps = vec![part("setup", Pace::Works)?];
    if !setup::is_complete(ws) && which("cc").is_some() {
        // Packages come from far away: time to compile what does without them. What comes of it is seen when it is asked for.
        steps.push(Step::new("compile ahead", Pace::Works, programs::compile_ahead(ws)).whatever_comes());
    }
    round(ws, steps, report)
}

/// In one step: what is compiled ahead goes on meanwhile.
fn setup_and_object(ws: &Workspace) -> Result<()> {
    // Where something cannot be installed, most of the suite can be run all the same.
    setup::setup(ws).and(build::object(ws))
}

/// The tests, and in their background everything else.
fn last(ws: &Workspace, tests: Vec<Step>, fast: bool, report: &mut Report) -> Result<()> {
    let (built, programs) = (report.all_passed(&["build"]), !tests.is_empty());
    let mut steps = Vec::new();
    if !fast && built && programs {
        // First: it takes longest.
        if oldkernel::SUPPORTED {
            steps.push(part("old kernel", Pace::Works)?);
        } else {
            report.skip("old kernel", "x86-64 only");
        }
    }
    steps.extend(tests);
    if !fast && is_root() {
        steps.push(part("verifier", Pace::Works)?);
    } else if !fast {
        report.skip("verifier", "needs root");
    }
    steps.push(part("clippy", Pace::Works)?);
    if !fast {
        steps.push(part("doctests", Pace::Works)?);
        steps.push(part("documentation", Pace::Works)?);
    }
    round(ws, steps, report)
}

fn format(ws: &Workspace) -> Result<()> {
    run(cargo(ws).args(["fmt", "--all", "--check"]))?;
    run(cargo(ws).args(["fmt", "--check", "--manifest-path", "crates/ebpf/Cargo.toml"]))
}

fn clippy(ws: &Workspace) -> Result<()> {
    run(cargo(ws)
        .args(["clippy", "--quiet", "--workspace", "--all-targets", "--features", "xtask/verifier"])
        .args(["--", "-D", "warnings"]))
}

fn doctests(ws: &Workspace) -> Result<()> {
    run(cargo(ws).args(["test", "--quiet", "--doc", "--no-fail-fast"]).args(ALL))
}

/// Private items as well: these pages are for who works on the project.
fn documentation(ws: &Workspace) -> Result<()> {
    run(cargo(ws)
        .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
}
