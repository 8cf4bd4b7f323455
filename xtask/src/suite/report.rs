//! What is told: of each step when it ends, and of all at the end, what failed last.

use super::step::{End, Outcome};
use std::fmt::Write as _;
use std::time::Duration;

/// How many lines of a failing test's output are shown from its beginning and from its end.
const SHOWN: usize = 30;
/// Programs of tests that took less than this share a line of the table.
const SHORT: Duration = Duration::from_secs(5);

/// How many tests a step ran; a step that is not made of tests has none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Tests {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tests {
    /// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn read(log: &str) -> Self {
        log.lines().filter_map(result_line).fold(Self::default(), Self::and)
    }

    fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

fn result_line(line: &str) -> Option<Tests> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |what: &str| counts.split("; ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
    Some(Tests { passed: number("passed")?, failed: number("failed")?, ignored: number("ignored")? })
}

/// The names below the last `failures:` of a program of tests.
fn failing(log: &str) -> Vec<&str> {
    let Some((_, list)) = log.rsplit_once("\nfailures:\n") else { return Vec::new() };
    list.lines().map_while(|line| line.strip_prefix("    ")).collect()
}

/// The first and the last lines of a text.
fn cut(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    if lines.len() <= 2 * SHOWN {
        return lines.join("\n") + "\n";
    }
    let (begin, end) = (&lines[..SHOWN], &lines[lines.len() - SHOWN..]);
    format!("{}\n[… {} lines …]\n{}\n", begin.join("\n"), lines.len() - 2 * SHOWN, end.join("\n"))
}

impl Outcome {
    /// What is shown when it has ended: all that it said, but for tests that passed.
    pub(super) fn shown(&self) -> String {
        let how = match &self.end {
            End::Passed => "passed".to_owned(),
            End::Failed(how) => format!("FAILED, {how}"),
            End::Skipped(why) => format!("skipped, {why}"),
        };
        let mut text = format!("\n######## {}: {how}, {:.1} s\n", self.name, self.took.as_secs_f64());
        let dull = |line: &str| {
            let passed = line.starts_with("test ") && (line.ends_with("... ok") || line.contains("... ignored"));
            line.trim().is_empty() || line.starts_with('{') || (self.tests && passed)
        };
        for line in self.log.lines().filter(|line| !dull(line)) {
            text += line;
            text.push('\n');
        }
        text
    }

    /// Why it failed, once more: each failing test's output, or the end of what it said.
    fn failure(&self) -> String {
        let End::Failed(how) = &self.end else { return String::new() };
        let mut text = format!("\n######## {} FAILED, {how}\n", self.name);
        let sections =
            self.log.split_once("\nfailures:\n").and_then(|(_, rest)| Some(rest.rsplit_once("\nfailures:\n")?.0));
        match sections {
            Some(sections) => {
                for section in sections.split("\n---- ") {
                    text += &cut(section.trim_start_matches("---- "));
                }
            }
            None => {
                let lines: Vec<&str> = self.log.trim().lines().filter(|line| !line.starts_with('{')).collect();
                text += &(lines[lines.len().saturating_sub(2 * SHOWN)..].join("\n") + "\n");
            }
        }
        text
    }

    fn count(&self) -> Tests {
        Tests::read(&self.log)
    }
}

/// The steps so far.
#[derive(Default)]
pub(super) struct Report {
    pub(super) outcomes: Vec<Outcome>,
}

impl Report {
    /// Notes that a step is not run.
    pub(super) fn skip(&mut self, name: &str, why: &'static str) {
        let (end, log) = (End::Skipped(why), String::new());
        self.outcomes.push(Outcome { name: name.to_owned(), tests: false, end, took: Duration::ZERO, log });
    }

    /// Whether these steps have run and passed.
    pub(super) fn all_passed(&self, names: &[&str]) -> bool {
        let passed = |name| self.outcomes.iter().any(|step| step.name == name && matches!(step.end, End::Passed));
        names.iter().all(|name| passed(*name))
    }

    /// What a step said.
    pub(super) fn log(&self, name: &str) -> &str {
        self.outcomes.iter().find(|step| step.name == name).map_or("", |step| &step.log)
    }

    /// Tests, and steps that are not made of tests, together: passed, failed. A program of tests that failed without a test
    /// that did is counted as well.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.outcomes.iter().fold((0, 0), |(passed, failed), outcome| {
            let tests = outcome.count();
            let (good, bad) = match outcome.end {
                End::Passed => (u64::from(!outcome.tests), 0),
                End::Failed(_) => (0, u64::from(tests.failed == 0)),
                End::Skipped(_) => (0, 0),
            };
            (passed + tests.passed + good, failed + tests.failed + bad)
        })
    }

    /// The end of the suite: what failed and why, the table, the names of what failed, and the sum as its last line.
    pub(super) fn end(&self) -> String {
        let mut text: String = self.outcomes.iter().map(Outcome::failure).collect();
        text += &format!("\n{:<26} {:>7} {:>7} {:>7} {:>9}\n", "step", "passed", "failed", "ignored", "time");
        let is_short = |step: &Outcome| step.tests && step.took < SHORT && matches!(step.end, End::Passed);
        for outcome in self.outcomes.iter().filter(|outcome| !is_short(outcome)) {
            let note = match &outcome.end {
                End::Passed => String::new(),
                End::Failed(how) => format!("  FAILED: {how}"),
                End::Skipped(why) => format!("  skipped: {why}"),
            };
            text += &row(&outcome.name, outcome.count(), outcome.took, &note);
        }
        let short: Vec<&Outcome> = self.outcomes.iter().filter(|outcome| is_short(outcome)).collect();
        if !short.is_empty() {
            let tests = short.iter().map(|step| step.count()).fold(Tests::default(), Tests::and);
            let took = short.iter().map(|step| step.took).sum();
            text += &row(&format!("{} short programs", short.len()), tests, took, "");
        }
        for outcome in self.outcomes.iter().filter(|outcome| matches!(outcome.end, End::Failed(_))) {
            let names = failing(&outcome.log);
            let _ = writeln!(text, "FAILED {}", outcome.name);
            names.iter().for_each(|name| text += &format!("    {name}\n"));
        }
        let (passed, failed) = self.totals();
        text + &format!("{passed} passed, {failed} failed\n")
    }
}

fn row(name: &str, tests: Tests, took: Duration, note: &str) -> String {
    let Tests { passed, failed, ignored } = tests;
    format!("{name:<26} {passed:>7} {failed:>7} {ignored:>7} {:>7.1} s{note}\n", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "
running 3 tests
test one ... ok
test a::two ... FAILED
test three ... FAILED

failures:

---- a::two stdout ----
thread panicked

---- three stdout ----
Error: no

failures:
    a::two
    three

test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn outcome(name: &str, tests: bool, end: End, log: &str) -> Outcome {
        Outcome { name: name.into(), tests, end, took: Duration::from_secs(7), log: log.into() }
    }

    #[test]
    fn result_lines_are_read() {
        assert_eq!(Tests::read(FAILED), Tests { passed: 1, failed: 2, ignored: 1 });
        assert_eq!(result_line("running 4 tests"), None);
    }

    #[test]
    fn what_failed_is_told_once_more_by_name_and_output_and_the_sum_comes_last() {
        let mut report = Report::default();
        report.outcomes.push(outcome("build", false, End::Passed, "Compiling\n"));
        report.outcomes.push(outcome("tests", true, End::Failed("exit status: 101".into()), FAILED));
        report.skip("verifier", "needs root");
        report.outcomes.push(outcome(
            "more",
            true,
            End::Passed,
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured\n",
        ));
        report.outcomes.push(outcome("clippy", false, End::Failed("exit status: 1".into()), "error: bad\n"));
        assert_eq!(report.totals(), (7, 3));
        assert!(report.all_passed(&["build"]) && !report.all_passed(&["build", "tests"]));
        let end = report.end();
        let said = end.find("a::two stdout ----\nthread panicked\nthree stdout ----\nError: no\n").unwrap();
        assert!(said < end.find("\nstep ").unwrap(), "{end}");
        assert!(end.contains("clippy FAILED, exit status: 1\nerror: bad\n"), "{end}");
        assert!(end.ends_with("\nFAILED tests\n    a::two\n    three\nFAILED clippy\n7 passed, 3 failed\n"), "{end}");
    }

    #[test]
    fn a_program_that_dies_shows_its_last_lines_and_is_counted() {
        let log: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let mut report = Report::default();
        report.outcomes.push(outcome("dead", true, End::Failed("signal: 9".into()), &log));
        let end = report.end();
        assert!(end.contains("line 499\n") && !end.contains("line 100\n"), "{end}");
        assert_eq!(report.totals(), (0, 1));
    }

    #[test]
    fn passing_tests_are_not_listed_and_all_else_is() {
        let shown = outcome("tests", true, End::Failed("x".into()), FAILED).shown();
        assert!(!shown.contains("test one") && shown.contains("test three ... FAILED"), "{shown}");
        assert!(cut(&"x\n".repeat(100)).contains("[… 40 lines …]"));
    }
}
