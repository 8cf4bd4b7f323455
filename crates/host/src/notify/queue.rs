//! Notify scripts, one after the other per name: a script that is told of MASTER is never overtaken by the one that is told of
//! BACKUP. Queues of different names run beside each other.

use crate::script::{Ended, Script, run};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The most scripts waiting in one queue; more are dropped, with a line in the log.
pub const WAITING: usize = 64;

/// A script to run for a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// With all its arguments.
    pub script: Script,
    /// How long it may take.
    pub timeout: Duration,
}

/// The queues. Dropping it ends what runs; [`Queues::finish`] lets it end by itself.
#[derive(Debug, Default)]
pub struct Queues {
    queues: BTreeMap<String, (mpsc::Sender<Job>, JoinHandle<()>)>,
    dropped: u64,
}

impl Queues {
    /// None yet.
    pub const fn new() -> Self {
        Self { queues: BTreeMap::new(), dropped: 0 }
    }

    /// Puts a script at the end of the queue of this name. `false`: the queue is full and the script was dropped. Never waits;
    /// must be called on a runtime.
    pub fn push(&mut self, name: &str, job: Job) -> bool {
        let (queue, _) = self.queues.entry(name.to_owned()).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WAITING);
            (sender, tokio::spawn(work(name.to_owned(), receiver)))
        });
        let taken = queue.try_send(job).is_ok();
        if !taken {
            self.dropped += 1;
            tracing::warn!("Too many notify scripts are waiting for {name}; one was dropped");
        }
        taken
    }

    /// How many scripts were dropped.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes no more and waits until all scripts are through, at most so long; what is left is ended. `true`: all went
    /// through.
    pub async fn finish(&mut self, longest: Duration) -> bool {
        let mut workers = Vec::new();
        for (_, (sender, worker)) in std::mem::take(&mut self.queues) {
            drop(sender);
            workers.push(worker);
        }
        let all = async {
            for worker in &mut workers {
                let _ = worker.await; // It can only have been ended by us.
            }
        };
        let through = timeout(longest, all).await.is_ok();
        workers.iter().for_each(JoinHandle::abort);
        through
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        for (_, worker) in self.queues.values() {
            worker.abort();
        }
    }
}

async fn work(name: String, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        match run(&job.script, Some(job.timeout)).await {
            Ended::Exited(0) => tracing::debug!("Notify script {} for {name} succeeded", job.script.name()),
            ended => tracing::info!("Notify script {} for {name} {ended}", job.script.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::security::RunAs;
    use crate::testing::{DEADLINE, runtime};
    use std::path::Path;

    fn job(text: &str, out: &Path) -> Job {
        let by = RunAs { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let mut script = Script::new(["/bin/sh", "-c", text].map(String::from).to_vec(), by);
        script.variables = vec![("OUT".into(), out.display().to_string())];
        Job { script, timeout: Duration::from_secs(20) }
    }

    #[test]
    fn one_name_is_in_order_and_names_do_not_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        runtime().block_on(async {
            let mut queues = Queues::new();
            // The first of A waits for B: it could never end if B waited for it.
            assert!(queues.push("A", job("until grep -q b1 $OUT; do sleep 0.01; done; echo a1 >> $OUT", &out)));
            assert!(queues.push("A", job("echo a2 >> $OUT", &out)));
            assert!(queues.push("A", job("echo a3 >> $OUT", &out)));
            assert!(queues.push("B", job("echo b1 >> $OUT", &out)));
            assert!(queues.finish(DEADLINE).await);
        });
        assert_eq!(std::fs::read_to_string(out).unwrap(), "b1\na1\na2\na3\n");
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_the_end_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        runtime().block_on(async {
            let mut queues = Queues::new();
            for _ in 0..WAITING {
                assert!(queues.push("A", job("exec sleep 1000", &out)));
            }
            assert!(!queues.push("A", job("true", &out)));
            assert_eq!(queues.dropped(), 1);
            assert!(!queues.finish(Duration::from_millis(50)).await);
        });
    }

    #[test]
    fn a_script_that_hangs_does_not_hold_up_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        runtime().block_on(async {
            let mut queues = Queues::new();
            let mut hangs = job("exec sleep 1000", &out);
            hangs.timeout = Duration::from_millis(50);
            queues.push("A", hangs);
            queues.push("A", job("echo next >> $OUT", &out));
            assert!(queues.finish(DEADLINE).await);
        });
        assert_eq!(std::fs::read_to_string(out).unwrap(), "next\n");
    }
}
