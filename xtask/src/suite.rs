//! `cargo xtask test`: every test there is, cheap ones first, one table at the end.

use crate::run::{cargo, is_root, run};
use crate::workspace::Workspace;
use crate::{build, oldkernel, setup, tidy, verifier};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How many tests a step ran; a step that is not made of tests has none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// What came of one step.
struct Outcome {
    name: &'static str,
    tests: Tests,
    end: End,
    took: Duration,
}

/// How a step ended.
enum End {
    Passed,
    Failed(anyhow::Error),
    /// Not run here; the text says why.
    Skipped(&'static str),
}

/// The steps so far.
#[derive(Default)]
struct Report {
    outcomes: Vec<Outcome>,
}

impl Report {
    /// Runs a step and notes what came of it; later steps run whatever it was. True if it succeeded.
    fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Tests) -> Result<()>) -> bool {
        println!("\n######## {name}");
        let start = Instant::now();
        let mut tests = Tests::default();
        let end = match work(&mut tests) {
            Ok(()) => End::Passed,
            Err(error) => {
                println!("{name}: FAILED: {error:#}");
                End::Failed(error)
            }
        };
        let passed = matches!(end, End::Passed);
        self.outcomes.push(Outcome { name, tests, end, took: start.elapsed() });
        passed
    }

    /// Notes that a step is not run.
    fn skip(&mut self, name: &'static str, why: &'static str) {
        self.outcomes.push(Outcome { name, tests: Tests::default(), end: End::Skipped(why), took: Duration::ZERO });
    }

    /// Steps and tests together: passed, failed.
    fn totals(&self) -> (u64, u64) {
        self.outcomes.iter().fold((0, 0), |(passed, failed), outcome| {
            let (good, bad) = match outcome.end {
                End::Passed => (1, 0),
                End::Failed(_) => (0, 1),
                End::Skipped(_) => (0, 0),
            };
            (passed + outcome.tests.passed + good, failed + outcome.tests.failed + bad)
        })
    }

    /// The table; its last line is the sum.
    fn table(&self) -> String {
        let mut text = format!("\n{:<22} {:>7} {:>7} {:>7} {:>9}\n", "step", "passed", "failed", "ignored", "time");
        for outcome in &self.outcomes {
            let Tests { passed, failed, ignored } = outcome.tests;
            text += &format!(
                "{:<22} {passed:>7} {failed:>7} {ignored:>7} {:>7.1} s",
                outcome.name,
                outcome.took.as_secs_f64()
            );
            text += &match &outcome.end {
                End::Passed => "\n".to_owned(),
                End::Failed(_) => "  FAILED\n".to_owned(),
                End::Skipped(why) => format!("  skipped: {why}\n"),
            };
        }
        for outcome in &self.outcomes {
            if let End::Failed(error) = &outcome.end {
                text += &format!("{}: {error:#}\n", outcome.name);
            }
        }
        let (passed, failed) = self.totals();
        text + &format!("{passed} passed, {failed} failed\n")
    }
}

/// Runs everything; `fast` leaves out what needs namespaces or a virtual machine.
pub(crate) fn suite(ws: &Workspace, fast: bool) -> Result<()> {
    let mut report = Report::default();
    report.step("setup", |_| setup::setup(ws));
    report.step("format", |_| {
        run(cargo(ws).args(["fmt", "--all", "--check"]))?;
        run(cargo(ws).args(["fmt", "--check", "--manifest-path", "crates/ebpf/Cargo.toml"]))
    });
    report.step("tidy", |_| tidy::tidy(ws));
    if report.step("build", |_| build::dist(ws)) {
        built(ws, fast, &mut report);
    }
    print!("{}", report.table());
    match report.totals().1 {
        0 => Ok(()),
        // The table has said it all, and its last line is meant to be the last.
        _ => std::process::exit(1),
    }
}

/// The steps that need the built product.
fn built(ws: &Workspace, fast: bool, report: &mut Report) {
    report.step("clippy", |_| {
        run(cargo(ws).args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--features",
            "xtask/verifier",
            "--",
            "-D",
            "warnings",
        ]))
    });
    if fast {
        report.step("tests", |tests| cargo_test(ws, &["--workspace", "--exclude", "rvs-e2e"], tests));
        return;
    }
    if is_root() {
        report.step("verifier", |_| verifier::check(ws, &[]));
    } else {
        report.skip("verifier", "needs root");
    }
    report.step("tests", |tests| cargo_test(ws, &["--workspace", "--features", "xtask/verifier"], tests));
    if oldkernel::SUPPORTED {
        report.step("old kernel", |_| oldkernel::boot(ws));
    } else {
        report.skip("old kernel", "x86-64 only");
    }
    // Private items as well: these pages are for who works on the project.
    report.step("documentation", |_| {
        run(cargo(ws)
            .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
    });
}

/// Runs `cargo test`, passes its output on and adds up its result lines.
fn cargo_test(ws: &Workspace, args: &[&str], tests: &mut Tests) -> Result<()> {
    let mut child = cargo(ws)
        .args(["test", "--profile", "suite", "--no-fail-fast"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo test")?;
    let stdout = child.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(result) = result_line(&line) {
            tests.passed += result.passed;
            tests.failed += result.failed;
            tests.ignored += result.ignored;
        }
    }
    let status = child.wait().context("waiting for cargo test")?;
    if !status.success() {
        bail!("cargo test: {status}, {} tests failed", tests.failed);
    }
    Ok(())
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn result_line(line: &str) -> Option<Tests> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |what: &str| counts.split("; ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
    Some(Tests { passed: number("passed")?, failed: number("failed")?, ignored: number("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(result_line(line), Some(Tests { passed: 12, failed: 3, ignored: 1 }));
        assert_eq!(result_line("running 4 tests"), None);
    }

    #[test]
    fn totals_count_steps_and_tests_and_come_last() {
        let mut report = Report::default();
        report.step("a", |tests| {
            tests.passed = 5;
            Ok(())
        });
        report.step("b", |tests| {
            *tests = Tests { passed: 1, failed: 2, ignored: 0 };
            bail!("no")
        });
        report.skip("c", "needs root");
        assert_eq!(report.totals(), (7, 3));
        assert!(report.table().ends_with("\nb: no\n7 passed, 3 failed\n"));
    }
}
