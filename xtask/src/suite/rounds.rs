//! A round: steps that run side by side, as many of a kind as do well together, the first ones first.

use super::report::Report;
use super::step::{Outcome, Pace, Step};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

/// How many steps that wait run side by side. Each has several threads; more of them would be late for their timers.
const WAITING: usize = 2;
/// How many that compute, or work: cargo uses all processors by itself, but not all the time; an emulated machine is one thread.
const WORKING: usize = 2;

/// Runs the steps; returns when all have ended.
pub(super) fn round(ws: &Workspace, steps: Vec<Step>, report: &mut Report) -> Result<()> {
    let logs = ws.test_logs();
    run(steps, &logs, |outcome| {
        print!("{}", outcome.shown());
        report.outcomes.push(outcome);
    })
}

/// Runs the steps and hands over each outcome as it comes.
fn run(steps: Vec<Step>, logs: &Path, mut done: impl FnMut(Outcome)) -> Result<()> {
    let (waiting, working): (VecDeque<Step>, VecDeque<Step>) =
        steps.into_iter().partition(|step| step.pace == Pace::Waits);
    let mut queues = [(waiting, WAITING), (working, WORKING)];
    let mut running = 0;
    let (sender, ended) = mpsc::channel();
    thread::scope(|scope| {
        loop {
            for (at, (queue, free)) in queues.iter_mut().enumerate() {
                while *free > 0
                    && let Some(step) = queue.pop_front()
                {
                    *free -= 1;
                    running += 1;
                    println!("==> {} begins", step.name);
                    let sender = sender.clone();
                    scope.spawn(move || {
                        // The receiver is there as long as something runs.
                        let _ = sender.send((at, step.run(logs)));
                    });
                }
            }
            if running == 0 {
                return Ok(());
            }
            let (at, outcome) = ended.recv().context("a step ended without a word")?;
            running -= 1;
            queues[at].1 += 1;
            done(outcome);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn all_steps_run_and_not_too_many_at_once() {
        let logs = std::env::temp_dir().join(format!("rvs-xtask-round-{}", std::process::id()));
        fs::create_dir_all(&logs).unwrap();
        let dir = logs.display();
        let step = |number: usize| {
            let mut command = Command::new("sh");
            let text = format!("touch {dir}/{number}.runs; ls {dir}/*.runs | wc -l; sleep 0.2; rm {dir}/{number}.runs");
            command.args(["-c", &text]);
            Step::new(&number.to_string(), Pace::Waits, command)
        };
        let mut seen = Vec::new();
        run((0..9).map(step).collect(), &logs, |outcome| seen.push((outcome.name, outcome.log))).unwrap();
        let most = seen.iter().map(|(_, log)| log.trim().parse::<usize>().unwrap()).max().unwrap();
        assert_eq!(seen.len(), 9);
        assert!((2..=WAITING).contains(&most), "{most} at once");
        fs::remove_dir_all(&logs).unwrap();
    }
}
