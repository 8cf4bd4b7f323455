//! All checks of a daemon. Equal checks are one: it is done once, and everybody who asked for it hears its verdicts, with the
//! log in each one's own names. The clock of thousands of checks is one table of timers.
//!
//! Nothing is stuck in silence: each check's last run is known, and one that is far behind its own deadline is begun anew.

use crate::check::{Check, Facts, Input, Output};
use crate::sentence::{mail_down, mail_up};
use crate::verdict::{Advice, Verdict, Wish};
use crate::{CheckParams, Reason, Sentence};
use core::time::Duration;
use rvs_machine::{Machine, Rng, Time, TimerTable};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// A check of the registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CheckId(u64);

impl CheckId {
    /// As a number, for tables of the runner.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What happens to the checks. `S`: who asks for a check, such as a virtual server, a real server and a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistryInput<S> {
    /// Somebody asks for a check. Whoever comes second hears at once what is known.
    Subscribe(S, Arc<CheckParams>),
    /// Somebody asks no longer. A check that nobody asks for ends.
    Unsubscribe(S),
    /// Somebody's checks rest (`ha_suspend`). A check rests when all who asked for it rest.
    Suspend(S, bool),
    /// Something happened to a check.
    Check(CheckId, Input),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistryOutput<S> {
    /// One of a check's wishes: connections, bytes and programs. Never a log line or a verdict.
    Check(CheckId, Output),
    /// Write to the log, about this subscriber's real server.
    Log(S, Sentence),
    /// A verdict for this subscriber.
    Verdict(S, Verdict),
    /// The check cannot be done at all; why. Nobody is subscribed.
    Unusable(S, String),
    /// The check was this far behind its deadline and has been begun anew.
    Stuck(CheckId, Duration),
}

#[derive(Debug)]
struct Entry<S> {
    check: Check,
    /// Whether each subscriber rests.
    subscribers: BTreeMap<S, bool>,
    /// Why it has failed, for those who come later.
    reason: Option<Reason>,
}

/// All checks.
#[derive(Debug)]
pub struct Registry<S> {
    entries: BTreeMap<CheckId, Entry<S>>,
    by_params: HashMap<Arc<CheckParams>, CheckId>,
    by_subscriber: BTreeMap<S, CheckId>,
    timers: TimerTable<CheckId>,
    out: VecDeque<RegistryOutput<S>>,
    rng: Rng,
    next: u64,
    stuck: u64,
    now: Time,
}

impl<S: Ord + Clone> Registry<S> {
    /// How far behind its deadline a check is taken for stuck.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// No checks. `seed`: for the start of each and for numbers in requests; another one at every start of the daemon.
    pub fn new(seed: u64, now: Time) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_params: HashMap::new(),
            by_subscriber: BTreeMap::new(),
            timers: TimerTable::new(),
            out: VecDeque::new(),
            rng: Rng::new(seed),
            next: 0,
            stuck: 0,
            now,
        }
    }

    /// The check that a subscriber has asked for.
    pub fn of(&self, subscriber: &S) -> Option<CheckId> {
        self.by_subscriber.get(subscriber).copied()
    }

    /// A check.
    pub fn check(&self, id: CheckId) -> Option<&Check> {
        self.entries.get(&id).map(|entry| &entry.check)
    }

    /// All checks, with how many asked for each.
    pub fn checks(&self) -> impl Iterator<Item = (CheckId, &Check, usize)> {
        self.entries.iter().map(|(&id, entry)| (id, &entry.check, entry.subscribers.len()))
    }

    /// How often a check was stuck and was begun anew.
    pub fn stuck(&self) -> u64 {
        self.stuck
    }

    /// What has been seen of the check of a subscriber, and how old that is at `now`.
    pub fn facts(&self, subscriber: &S, now: Time) -> Option<(&Facts, Option<Duration>)> {
        let facts = self.check(self.of(subscriber)?)?.facts();
        Some((facts, facts.last_run.map(|last| now.since(last))))
    }

    /// Takes over what an earlier daemon has found out by the check of a subscriber, who is not told it again.
    pub fn adopt(&mut self, subscriber: &S, up: bool, advice: Advice) {
        if let Some(entry) = self.of(subscriber).and_then(|id| self.entries.get_mut(&id)) {
            entry.check.adopt(up, advice);
        }
    }

    /// Begins anew what is stuck at `now`: to be called now and then, before [`Machine::wake`]. Who drives the machine in time
    /// never has such checks; a timer that was lost shows here.
    pub fn watch(&mut self, now: Time) {
        self.now = self.now.max(now);
        let behind = |(&id, entry): (&CheckId, &Entry<S>)| {
            let overdue = entry.check.overdue(now);
            (overdue > Self::PATIENCE).then_some((id, overdue))
        };
        let stuck: Vec<_> = self.entries.iter().filter_map(behind).collect();
        for (id, overdue) in stuck {
            self.stuck += 1;
            self.out.push_back(RegistryOutput::Stuck(id, overdue));
            self.drive(id, |check, now| check.handle(now, Input::Restart));
        }
    }

    fn subscribe(&mut self, subscriber: S, params: Arc<CheckParams>) {
        if let Some(&known) = self.by_subscriber.get(&subscriber) {
            if self.entries.get(&known).is_some_and(|entry| *entry.check.params() == params) {
                return;
            }
            self.unsubscribe(&subscriber);
        }
        let id = match self.by_params.get(&params) {
            Some(&id) => id,
            None => match Check::new(Arc::clone(&params), self.rng.next(), self.now) {
                Ok(check) => self.add(params, check),
                Err(why) => return self.out.push_back(RegistryOutput::Unusable(subscriber, why)),
            },
        };
        self.by_subscriber.insert(subscriber.clone(), id);
        if let Some(entry) = self.entries.get_mut(&id) {
            self.out
                .extend(news(entry).into_iter().map(|verdict| RegistryOutput::Verdict(subscriber.clone(), verdict)));
            entry.subscribers.insert(subscriber, false);
            self.rest(id);
        }
    }

    fn add(&mut self, params: Arc<CheckParams>, check: Check) -> CheckId {
        let id = CheckId(self.next);
        self.next += 1;
        if let Some(deadline) = check.deadline() {
            self.timers.set(id, deadline);
        }
        self.by_params.insert(params, id);
        self.entries.insert(id, Entry { check, subscribers: BTreeMap::new(), reason: None });
        id
    }

    fn unsubscribe(&mut self, subscriber: &S) {
        let Some(id) = self.by_subscriber.remove(subscriber) else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.subscribers.remove(subscriber);
        if !entry.subscribers.is_empty() {
            return self.rest(id);
        }
        // What is going on is broken off in order.
        self.drive(id, |check, now| check.handle(now, Input::Suspend(true)));
        self.timers.stop(&id);
        if let Some(entry) = self.entries.remove(&id) {
            self.by_params.remove(entry.check.params());
        }
    }

    /// Lets a check rest when all who asked for it do.
    fn rest(&mut self, id: CheckId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let rests = !entry.subscribers.is_empty() && entry.subscribers.values().all(|&rests| rests);
        self.drive(id, |check, now| check.handle(now, Input::Suspend(rests)));
    }

    /// Lets a check work, and passes on what it wants.
    fn drive(&mut self, id: CheckId, work: impl FnOnce(&mut Check, Time)) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        work(&mut entry.check, self.now);
        while let Some(output) = entry.check.poll() {
            match output {
                Output::Log(sentence) => {
                    let logs = entry.subscribers.keys().cloned();
                    self.out.extend(logs.map(|who| RegistryOutput::Log(who, sentence.clone())));
                }
                Output::Verdict(verdict) => {
                    if let Verdict::Down { reason, .. } = &verdict {
                        entry.reason = Some(reason.clone());
                    }
                    let told = entry.subscribers.keys().cloned();
                    self.out.extend(told.map(|who| RegistryOutput::Verdict(who, verdict.clone())));
                }
                other => self.out.push_back(RegistryOutput::Check(id, other)),
            }
        }
        match entry.check.deadline() {
            Some(deadline) if self.timers.get(&id) == Some(deadline) => {}
            Some(deadline) => self.timers.set(id, deadline),
            None => {
                self.timers.stop(&id);
            }
        }
    }
}

/// What a check that has already run says to somebody who asks for it now.
fn news<S>(entry: &Entry<S>) -> Vec<Verdict> {
    let check = &entry.check;
    let mut news = Vec::new();
    if check.advice() != Advice::default() {
        news.push(Verdict::Advice(check.advice()));
    }
    if check.wish() != Wish::default() {
        news.push(Verdict::Wish(check.wish()));
    }
    if check.has_run() {
        news.push(match (check.is_up(), &entry.reason) {
            (false, Some(reason)) => {
                let mail = mail_down(check.params(), check.params().target.address, reason);
                Verdict::Down { first: true, reason: reason.clone(), mail }
            }
            (up, _) => Verdict::Up { first: true, mail: (!up).then(|| mail_up(&check.params().probe)) },
        });
    }
    news
}

impl<S: Ord + Clone> Machine for Registry<S> {
    type Input = RegistryInput<S>;
    type Output = RegistryOutput<S>;

    fn handle(&mut self, now: Time, input: RegistryInput<S>) {
        self.now = self.now.max(now);
        match input {
            RegistryInput::Subscribe(subscriber, params) => self.subscribe(subscriber, params),
            RegistryInput::Unsubscribe(subscriber) => self.unsubscribe(&subscriber),
            RegistryInput::Suspend(subscriber, rests) => {
                let Some(id) = self.of(&subscriber) else { return };
                if let Some(known) = self.entries.get_mut(&id).and_then(|entry| entry.subscribers.get_mut(&subscriber))
                {
                    *known = rests;
                }
                self.rest(id);
            }
            RegistryInput::Check(id, input) => self.drive(id, |check, now| check.handle(now, input)),
        }
    }

    fn wake(&mut self, now: Time) {
        self.now = self.now.max(now);
        while let Some(id) = self.timers.expired(self.now) {
            self.drive(id, Check::wake);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.deadline()
    }

    fn poll(&mut self) -> Option<RegistryOutput<S>> {
        self.out.pop_front()
    }
}
