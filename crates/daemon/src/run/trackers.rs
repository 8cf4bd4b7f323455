//! Looking at what is tracked, and telling the prompt thread.

use crate::keeper;
use crate::plan::{Plan, TrackedFile, TrackedProcess};
use crate::world::Order;
use rvs_host::script::{Ended, ScriptTracker, TrackedScript};
use rvs_host::thread::Mailer;
use rvs_host::track::{FileTracker, ProcessTracker, initialise, read_value, trackable};
use rvs_vrrp::{Input, ScriptEnd};
use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the first count of processes may take.
const FIRST_COUNT: Duration = Duration::from_secs(5);

/// Those who hear what is tracked.
#[derive(Debug, Clone)]
pub(super) struct Ears {
    /// The prompt thread.
    pub(super) vrrp: Mailer<Order>,
    /// The keeper of the virtual servers.
    pub(super) keeper: mpsc::Sender<keeper::Order>,
}

/// The trackers.
#[derive(Debug)]
pub(super) struct Trackers {
    orders: Ears,
    scripts: ScriptTracker,
    files: (BTreeMap<String, TrackedFile>, Option<FileTracker>),
    processes: (BTreeMap<String, TrackedProcess>, Option<ProcessTracker>),
}

fn post(ears: &Ears, input: Input) {
    if let Input::File(name, value) = &input
        && ears.keeper.try_send(keeper::Order::File(name.to_string(), *value)).is_err()
    {
        tracing::warn!("The keeper of virtual servers is busy; a tracked value was lost");
    }
    if ears.vrrp.post(Order::Tracked(input)).is_err() {
        tracing::warn!("The thread of VRRP is busy; a tracked value was lost");
    }
}

impl Trackers {
    pub(super) fn new(orders: Ears) -> Self {
        let to = orders.clone();
        let tell = Arc::new(move |name: &str, ended: Ended| {
            let end = match ended {
                Ended::Exited(status) => ScriptEnd::Exited(status),
                Ended::Signalled(signal) => ScriptEnd::Signalled(signal),
                Ended::TimedOut => ScriptEnd::TimedOut,
                Ended::NotStarted(reason) => {
                    tracing::debug!(target: "Keepalived_vrrp", "Track script {name} could not be started: {reason}");
                    ScriptEnd::Exited(127)
                }
            };
            post(&to, Input::Script(name.into(), end));
        });
        Self {
            orders,
            scripts: ScriptTracker::new(tell),
            files: (BTreeMap::new(), None),
            processes: (BTreeMap::new(), None),
        }
    }

    /// Begins to look at files and processes that are new, and says how they stand before this returns: a router that begins
    /// or takes over a plan has to know.
    pub(super) fn look(&mut self, plan: &Plan) {
        if self.files.0 != plan.files {
            self.files = (plan.files.clone(), self.track_files(&plan.files));
        }
        if self.processes.0 != plan.processes {
            self.processes = (plan.processes.clone(), self.track_processes(&plan.processes));
        }
    }

    /// Runs these scripts from now on.
    pub(super) fn run(&mut self, scripts: BTreeMap<String, TrackedScript>) {
        self.scripts.set(scripts);
    }

    fn track_files(&self, files: &BTreeMap<String, TrackedFile>) -> Option<FileTracker> {
        let mut paths = BTreeMap::new();
        for (name, file) in files {
            if !trackable(&file.path) {
                tracing::warn!("track_file {name}: {} is no file", file.path.display());
                continue;
            }
            if let Some((value, overwrite)) = file.first
                && let Err(error) = initialise(&file.path, value, overwrite)
            {
                tracing::warn!("track_file {name}: cannot write {}: {error}", file.path.display());
            }
            post(&self.orders, Input::File(name.as_str().into(), read_value(&file.path)));
            paths.insert(name.clone(), file.path.clone());
        }
        if paths.is_empty() {
            return None;
        }
        let orders = self.orders.clone();
        let tell = Arc::new(move |name: &str, value| post(&orders, Input::File(name.into(), value)));
        told("files", FileTracker::start(paths, tell))
    }

    fn track_processes(&self, processes: &BTreeMap<String, TrackedProcess>) -> Option<ProcessTracker> {
        if processes.is_empty() {
            return None;
        }
        let (first, counted) = channel();
        let first = Mutex::new(Some(first));
        let delays: BTreeMap<String, (Duration, Duration)> =
            processes.iter().map(|(name, it)| (name.clone(), (it.fork_delay, it.terminate_delay))).collect();
        let steady = Steady::new(self.orders.clone(), delays);
        let tell = Arc::new(move |name: &str, count: u32| {
            // The first counts are waited for; who counts does not know, so a closed ear is the sign.
            let mut ear = first.lock().unwrap_or_else(PoisonError::into_inner);
            if ear.as_ref().is_some_and(|ear| ear.send((name.to_owned(), count)).is_ok()) {
                return;
            }
            *ear = None;
            steady.tell(name, count);
        });
        let patterns = processes.iter().map(|(name, it)| (name.clone(), it.pattern.clone())).collect();
        let tracker = told("processes", ProcessTracker::start(patterns, tell))?;
        let mut missing: Vec<&String> = processes.keys().collect();
        while !missing.is_empty()
            && let Ok((name, count)) = counted.recv_timeout(FIRST_COUNT)
        {
            missing.retain(|other| **other != name);
            post(&self.orders, Input::Process(name.as_str().into(), count));
        }
        // Between the last count and this nothing may get lost.
        for (name, count) in counted.try_iter() {
            post(&self.orders, Input::Process(name.as_str().into(), count));
        }
        Some(tracker)
    }
}

fn told<T>(what: &str, started: std::io::Result<T>) -> Option<T> {
    started.inspect_err(|error| tracing::warn!("Unable to track {what}: {error}")).ok()
}

/// Holds counts back until they have lasted.
struct Steady {
    orders: Ears,
    delays: BTreeMap<String, (Duration, Duration)>,
    runtime: tokio::runtime::Handle,
    last: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Steady {
    fn new(orders: Ears, delays: BTreeMap<String, (Duration, Duration)>) -> Self {
        Self { orders, delays, runtime: tokio::runtime::Handle::current(), last: Arc::default() }
    }

    fn tell(&self, name: &str, count: u32) {
        let before = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.insert(name.to_owned(), count)
        };
        let (fork, terminate) = self.delays.get(name).copied().unwrap_or_default();
        let delay = if before.is_some_and(|before| before < count) { fork } else { terminate };
        if delay.is_zero() {
            return post(&self.orders, Input::Process(name.into(), count));
        }
        let (orders, last, name) = (self.orders.clone(), Arc::clone(&self.last), name.to_owned());
        self.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            let lasted = last.lock().unwrap_or_else(PoisonError::into_inner).get(&name) == Some(&count);
            if lasted {
                post(&orders, Input::Process(name.as_str().into(), count));
            }
        });
    }
}
