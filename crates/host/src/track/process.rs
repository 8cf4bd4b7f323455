//! Tracked processes: how many run of each, told whenever it changes. What the number means (quorum, delays) is not known here.

use super::connector::{Connector, Happening};
use super::matching::{ProcessFacts, ProcessPattern};
use super::{Stop, Stopper, stopper};
use crate::clock;
use crate::thread::{Lateness, Promptness, World, spawn};
use rvs_machine::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often all processes are looked at where the kernel does not tell.
const POLL: Duration = Duration::from_secs(1);
/// And where it does: messages may be lost without a word when a namespace is left.
const CHECK: Duration = Duration::from_secs(60);
/// How much of a command line is looked at.
const LONGEST_COMMAND: u64 = 4096;

/// Takes a number: the tracked process's name in the configuration and how many run.
pub type TellProcess = Arc<dyn Fn(&str, u32) + Send + Sync>;

/// Watches processes. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct ProcessTracker(#[allow(dead_code)] Stopper); // Held for its end.

impl ProcessTracker {
    /// Begins: each number is told at once, and then when it changes. Without the right to listen to the kernel's messages, or
    /// in another network namespace than the first, processes are counted once a second.
    pub fn start(patterns: BTreeMap<String, ProcessPattern>, tell: TellProcess) -> io::Result<Self> {
        Self::start_with(patterns, tell, true)
    }

    fn start_with(patterns: BTreeMap<String, ProcessPattern>, tell: TellProcess, listen: bool) -> io::Result<Self> {
        let (stopper, stop) = stopper()?;
        let make = move || {
            let connector = if listen { Connector::open() } else { Err(io::ErrorKind::Unsupported.into()) };
            if let Err(error) = &connector {
                tracing::info!("The kernel does not tell of processes ({error}); they are counted once a second");
            }
            let commands = patterns.values().any(ProcessPattern::needs_command);
            let mut watcher = Watcher {
                connector: connector.ok(),
                commands,
                told: BTreeMap::new(),
                running: patterns.keys().map(|name| (name.clone(), BTreeSet::new())).collect(),
                patterns,
                tell,
                stop,
                next: Time::ZERO,
            };
            watcher.look_at_all(clock::now());
            Ok(watcher)
        };
        spawn("process-tracker", Promptness::default(), Arc::new(Lateness::default()), make)?;
        Ok(Self(stopper))
    }
}

struct Watcher {
    connector: Option<Connector>,
    patterns: BTreeMap<String, ProcessPattern>,
    /// Whether any pattern is about command lines: reading one may wait for a process that is swapped out.
    commands: bool,
    running: BTreeMap<String, BTreeSet<u32>>,
    told: BTreeMap<String, u32>,
    tell: TellProcess,
    stop: Stop,
    next: Time,
}

impl Watcher {
    fn look_at_all(&mut self, now: Time) {
        self.running.values_mut().for_each(BTreeSet::clear);
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                self.look_at(pid);
            }
        }
        self.next = now + if self.connector.is_some() { CHECK } else { POLL };
        self.tell_changes();
    }

    fn look_at(&mut self, pid: u32) {
        let facts = facts(pid, self.commands);
        for (name, pattern) in &self.patterns {
            let Some(running) = self.running.get_mut(name) else { continue };
            if facts.as_ref().is_some_and(|facts| pattern.fits(facts)) {
                running.insert(pid);
            } else {
                running.remove(&pid);
            }
        }
    }

    fn tell_changes(&mut self) {
        for (name, running) in &self.running {
            let count = u32::try_from(running.len()).unwrap_or(u32::MAX);
            if self.told.insert(name.clone(), count) != Some(count) {
                (self.tell)(name, count);
            }
        }
    }
}

impl World for Watcher {
    fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.push(self.stop.as_fd());
        fds.extend(self.connector.as_ref().map(AsFd::as_fd));
    }

    fn take_in(&mut self, now: Time) -> bool {
        let Some(connector) = &self.connector else { return false };
        let mut happenings = Vec::new();
        let more = connector.drain(&mut happenings);
        if happenings.contains(&Happening::Lost) {
            self.look_at_all(now);
            return more;
        }
        for happening in happenings {
            match happening {
                Happening::Changed(pid) => self.look_at(pid),
                Happening::Ended(pid) => self.running.values_mut().for_each(|running| {
                    running.remove(&pid);
                }),
                Happening::Lost => {}
            }
        }
        self.tell_changes();
        more
    }

    fn carry_out(&mut self, _: Time) {}

    fn deadline(&self) -> Option<Time> {
        Some(self.next)
    }

    fn wake(&mut self, now: Time) {
        self.look_at_all(now);
    }

    fn finished(&self) -> bool {
        self.stop.is_set()
    }
}

/// What is known of a process; `None`: it is gone, or a zombie.
fn facts(pid: u32, command: bool) -> Option<ProcessFacts> {
    let stat = read(Path::new(&format!("/proc/{pid}/stat")))?;
    // The name is in brackets and may itself hold any bytes: it ends at the last bracket.
    let begin = stat.iter().position(|byte| *byte == b'(')? + 1;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    if matches!(stat.get(end + 2), Some(b'Z' | b'X')) {
        return None;
    }
    let comm = stat.get(begin..end)?.to_vec();
    let command = if command { read(Path::new(&format!("/proc/{pid}/cmdline")))? } else { Vec::new() };
    Some(ProcessFacts { comm, command })
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LONGEST_COMMAND).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Ns, eventually, is_root};
    use crate::track::matching::Arguments;
    use std::process::{Child, Command};
    use std::sync::Mutex;

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Counts `sleep` processes with an argument that nobody else uses.
    fn follow(mark: &str, listen: bool) {
        let pattern =
            ProcessPattern { program: "sleep".into(), full: false, arguments: Arguments::Exact(vec![mark.to_owned()]) };
        let told: Arc<Mutex<Vec<u32>>> = Arc::default();
        let sink = Arc::clone(&told);
        let tell: TellProcess = Arc::new(move |_, count| sink.lock().unwrap().push(count));
        let tracker = ProcessTracker::start_with(BTreeMap::from([("p".to_owned(), pattern)]), tell, listen);
        let says = |count: u32| {
            eventually(&format!("{count} running"), || told.lock().unwrap().last() == Some(&count));
        };
        says(0);
        let sleep = || Sleeper(Command::new("sleep").arg(mark).spawn().unwrap());
        let first = sleep();
        says(1);
        let second = sleep();
        says(2);
        drop(first);
        says(1);
        drop(second);
        says(0);
        drop(tracker);
    }

    #[test]
    fn processes_are_counted_as_they_come_and_go() {
        follow("86411.1", true);
    }

    #[test]
    fn without_the_kernels_messages_they_are_counted_all_the_same() {
        follow("86411.2", false);
    }

    #[test]
    fn another_namespace_has_no_messages_but_counts() {
        if is_root() {
            Ns::new().run(|| {
                assert!(Connector::open().is_err());
                follow("86411.3", true);
            });
        }
    }

    #[test]
    fn a_process_is_known_by_name_and_command() {
        let own = facts(std::process::id(), true).unwrap();
        assert!(!own.comm.is_empty() && own.comm.len() <= 15 && !own.command.is_empty());
        assert_eq!(facts(u32::MAX, true), None);
    }
}
