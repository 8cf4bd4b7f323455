//! A step of the suite: a process, its output in a file, and what came of it.

use crate::run::which;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest time that a step may take, in seconds: what hangs is told to end, so that the others' results are seen.
const LIMIT: &str = "1200";
/// How much later it is killed.
const GRACE: &str = "30";

/// What a step does with its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// It waits for timers and answers most of the time, and measures some: nothing may get in its way.
    Waits,
    /// It computes, and some of it measures how long that takes.
    Computes,
    /// It works, and nobody looks at the clock.
    Works,
}

impl Pace {
    /// How much it stands back.
    const fn nice(self) -> &'static str {
        match self {
            Self::Waits => "0",
            Self::Computes => "5",
            Self::Works => "15",
        }
    }
}

/// What is to be done.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) pace: Pace,
    pub(super) command: Command,
    /// Whether its failure is one of the suite.
    pub(super) counts: bool,
    /// Whether it is a program of tests.
    pub(super) tests: bool,
}

impl Step {
    pub(super) fn new(name: &str, pace: Pace, command: Command) -> Self {
        Self { name: name.to_owned(), pace, command, counts: true, tests: false }
    }

    /// The same, but failing does no harm.
    pub(super) fn whatever_comes(self) -> Self {
        Self { counts: false, ..self }
    }

    /// Runs it to its end, with standard output and errors in a file of `logs`.
    pub(super) fn run(self, logs: &Path) -> Outcome {
        let start = Instant::now();
        let file = logs.join(format!("{}.log", self.name.replace([' ', '/', ':'], "-")));
        let status = status(self.pace, &self.command, &file);
        // Not text only: tests print what they sent.
        let log = fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let end = match status {
            Ok(status) if status.success() => End::Passed,
            Ok(status) => End::Failed(said(status)),
            Err(error) => End::Failed(format!("{error:#}")),
        };
        // What does not count would only alarm.
        let (end, log) = if self.counts { (end, log) } else { (End::Passed, String::new()) };
        Outcome { name: self.name, tests: self.tests, end, took: start.elapsed(), log }
    }
}

/// Runs a command within the limit, and as far in the background as it may be.
fn status(pace: Pace, command: &Command, log: &Path) -> Result<ExitStatus> {
    let out = File::create(log).with_context(|| format!("writing {}", log.display()))?;
    let mut words: Vec<OsString> = Vec::new();
    if which("nice").is_some() {
        words.extend(["nice", "-n", pace.nice()].map(OsString::from));
    }
    if which("timeout").is_some() {
        // In the foreground: the terminal's signals reach it as they reach us.
        words.extend(["timeout", "--foreground", "--kill-after", GRACE, LIMIT].map(OsString::from));
    }
    words.push(command.get_program().to_owned());
    words.extend(command.get_args().map(OsString::from));
    let mut whole = Command::new(&words[0]);
    whole.args(&words[1..]).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            None => whole.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        whole.current_dir(dir);
    }
    whole.status().with_context(|| format!("starting `{}`", words[0].to_string_lossy()))
}

fn said(status: ExitStatus) -> String {
    match status.code() {
        Some(124 | 137) => format!("did not end within {LIMIT} s"),
        _ => status.to_string(),
    }
}

/// What came of one step.
pub(super) struct Outcome {
    pub(super) name: String,
    /// Whether it is a program of tests.
    pub(super) tests: bool,
    pub(super) end: End,
    pub(super) took: Duration,
    pub(super) log: String,
}

/// How a step ended.
pub(super) enum End {
    Passed,
    /// The text says how.
    Failed(String),
    /// Not run here; the text says why.
    Skipped(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_output_in_order_its_environment_and_its_end() {
        let logs = std::env::temp_dir().join(format!("rvs-xtask-step-{}", std::process::id()));
        fs::create_dir_all(&logs).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; pwd; echo $COLOUR; exit 3"]).env("COLOUR", "red").current_dir("/");
        let outcome = Step::new("a b", Pace::Works, command).run(&logs);
        assert_eq!(outcome.log, "out\nerr\n/\nred\n");
        assert!(matches!(outcome.end, End::Failed(how) if how == "exit status: 3"));
        let ahead = Step::new("c", Pace::Waits, Command::new("false")).whatever_comes().run(&logs);
        assert!(matches!(ahead.end, End::Passed));
        let nothing = Step::new("d", Pace::Waits, Command::new("/does/not/exist")).run(&logs);
        assert!(matches!(nothing.end, End::Failed(_)));
        fs::remove_dir_all(&logs).unwrap();
    }
}
