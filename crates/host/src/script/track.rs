//! Running tracked scripts again and again and telling each result. What the results mean (rise, fall, weight) is not known
//! here.

use super::run::{Ended, Script, run};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// A tracked script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedScript {
    /// What to run.
    pub script: Script,
    /// How often it is begun; not less than a millisecond.
    pub interval: Duration,
    /// How long it may take; the interval when nothing is said.
    pub timeout: Option<Duration>,
}

/// Takes a result: the script's name and how it ended.
pub type Tell = Arc<dyn Fn(&str, Ended) + Send + Sync>;

/// The scripts that run now. Dropping it ends them.
pub struct ScriptTracker {
    tell: Tell,
    running: BTreeMap<String, (TrackedScript, JoinHandle<()>)>,
}

impl std::fmt::Debug for ScriptTracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptTracker").field("running", &self.running.keys()).finish_non_exhaustive()
    }
}

impl ScriptTracker {
    /// None yet. `tell` is called on the runtime and must not wait.
    pub fn new(tell: Tell) -> Self {
        Self { tell, running: BTreeMap::new() }
    }

    /// Makes these the scripts that run: new ones begin at once, those that are no longer there end, those that are as they
    /// were go on undisturbed. Must be called on a runtime.
    pub fn set(&mut self, mut wanted: BTreeMap<String, TrackedScript>) {
        let gone: Vec<String> = self
            .running
            .iter()
            .filter(|(name, (now, _))| wanted.get(*name) != Some(now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.stop(&name);
        }
        wanted.retain(|name, _| !self.running.contains_key(name));
        for (name, script) in wanted {
            let task = tokio::spawn(again_and_again(name.clone(), script.clone(), Arc::clone(&self.tell)));
            self.running.insert(name, (script, task));
        }
    }

    fn stop(&mut self, name: &str) {
        if let Some((_, task)) = self.running.remove(name) {
            task.abort();
        }
    }
}

impl Drop for ScriptTracker {
    fn drop(&mut self) {
        for (_, task) in self.running.values() {
            task.abort();
        }
    }
}

async fn again_and_again(name: String, script: TrackedScript, tell: Tell) {
    let interval = script.interval.max(Duration::from_millis(1));
    let longest = script.timeout.unwrap_or(interval);
    loop {
        let begun = Instant::now();
        tell(&name, run(&script.script, Some(longest)).await);
        // One that took longer than its interval begins again at the next whole one, never twice at once.
        let missed = begun.elapsed().as_nanos() / interval.as_nanos();
        let next = interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1);
        sleep_until(begun + next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::security::RunAs;
    use crate::testing::DEADLINE;
    use std::sync::Mutex;

    fn script(text: &str) -> TrackedScript {
        let by = RunAs { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        TrackedScript {
            script: Script::new(["/bin/sh", "-c", text].map(String::from).to_vec(), by),
            interval: Duration::from_millis(20),
            timeout: Some(Duration::from_secs(10)),
        }
    }

    #[test]
    fn results_come_again_and_again_until_the_script_is_taken_away() {
        let told: Arc<Mutex<Vec<(String, Ended)>>> = Arc::default();
        let count = |name: &str| told.lock().unwrap().iter().filter(|(who, _)| who == name).count();
        let wait_for = async |name: &str, more: usize| {
            let end = Instant::now() + DEADLINE;
            let wanted = count(name) + more;
            while count(name) < wanted {
                assert!(Instant::now() < end, "no result of {name}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        crate::testing::runtime().block_on(async {
            let sink = Arc::clone(&told);
            let mut tracker =
                ScriptTracker::new(Arc::new(move |name, ended| sink.lock().unwrap().push((name.into(), ended))));
            let set = |entries: &[(&str, &str)]| {
                entries.iter().map(|(name, text)| ((*name).to_owned(), script(text))).collect::<BTreeMap<_, _>>()
            };
            tracker.set(set(&[("good", "exit 0"), ("bad", "exit 3")]));
            wait_for("good", 3).await;
            wait_for("bad", 2).await;
            tracker.set(set(&[("good", "exit 0"), ("bad", "exit 4")]));
            wait_for("bad", 3).await;
            tracker.set(set(&[("good", "exit 0")]));
            tokio::task::yield_now().await;
            let before = count("bad");
            wait_for("good", 5).await;
            assert!(count("bad") <= before + 1, "went on");
            let last = told.lock().unwrap().iter().rev().find(|(name, _)| name == "bad").cloned();
            assert_eq!(last.unwrap().1, Ended::Exited(4));
        });
    }
}
