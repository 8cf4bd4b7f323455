//! Programs of checks: one task each, ended in order when the check says so, and killed when the prober goes.

use rvs_checker::{CheckId, Ended, Misc};
use rvs_host::script::security::RunAs;
use rvs_host::script::{self, Script};
use std::collections::HashMap;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The end of a program.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) id: CheckId,
    pub(crate) attempt: u64,
    pub(crate) how: Ended,
}

#[derive(Debug)]
pub(crate) struct Programs {
    tasks: JoinSet<End>,
    /// Dropped, it stops the program.
    stops: HashMap<(CheckId, u64), oneshot::Sender<()>>,
    pub(crate) by: RunAs,
    /// Supplementary groups of users, so that they are looked up once.
    groups: HashMap<(u32, u32), Vec<u32>>,
    pub(crate) with_groups: bool,
}

impl Programs {
    pub(crate) fn new() -> Self {
        let (by, _) = script::default_user();
        let (tasks, stops, groups) = (JoinSet::new(), HashMap::new(), HashMap::new());
        Self { tasks, stops, by, groups, with_groups: false }
    }

    pub(crate) fn start(&mut self, id: CheckId, attempt: u64, misc: &Misc) {
        let by = misc.user.map_or(self.by, |(uid, gid)| RunAs { uid, gid });
        let mut script = Script::new(misc.command.clone(), by);
        if self.with_groups {
            let groups = self.groups.entry((by.uid, by.gid)).or_insert_with(|| script::supplementary_groups(by));
            script.groups.clone_from(groups);
        }
        let (stop, stopped) = oneshot::channel();
        self.stops.insert((id, attempt), stop);
        self.tasks.spawn(async move {
            let asked = async {
                // Both a word and its absence for good mean: stop.
                let _ = stopped.await;
            };
            End { id, attempt, how: ended(script::run_until(&script, asked).await) }
        });
    }

    /// Asks it to end (SIGTERM), and forces it when it does not. Its end is told as any other.
    pub(crate) fn stop(&mut self, id: CheckId, attempt: u64) {
        self.stops.remove(&(id, attempt));
    }

    /// The next end of a program; for ever without programs. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> End {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(end)) => {
                    self.stops.remove(&(end.id, end.attempt));
                    return end;
                }
                // Its check's own limit of time takes care of it.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.tasks.len()
    }
}

fn ended(how: script::Ended) -> Ended {
    match how {
        script::Ended::Exited(status) => Ended::Status(status),
        script::Ended::Signalled(signal) => Ended::Signal(signal),
        script::Ended::TimedOut => Ended::Signal(nix::libc::SIGTERM),
        script::Ended::NotStarted(why) => Ended::NotStarted(why),
    }
}
