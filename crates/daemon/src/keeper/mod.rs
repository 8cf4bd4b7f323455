//! Who keeps the virtual servers: it owns their health ([`rvs_checker::Service`]) and the table, commits what follows from
//! verdicts, and says what happened. It has a thread of its own ([`spawn`]), so that neither VRRP nor scripts wait for commits.
//!
//! [`Keeper`] decides nothing about health and does no check: verdicts come in, transactions and words go out. Each event is at
//! most one transaction, that of a reload included.

mod admin;
mod board;
mod elsewhere;
mod fit;
mod life;
mod observe;
mod probes;
mod state;
mod table;
mod thread;
mod unit;

#[cfg(test)]
mod tests;

pub use admin::{Decided, Decision};
pub use board::{Board, CheckBoard, RealBoard, ServiceBoard};
pub use elsewhere::open_in;
pub use state::{State, key_text, read as read_state, write as write_state};
pub use table::Open;
pub use thread::{Hands, Order, Start, spawn};
pub use unit::Subject;

use crate::plan::Command;
use crate::plan::balance::Settings;
use fit::{Others, fit};
use rvs_checker::{Advice, CheckParams, Notify, Service, ServiceInput, ServiceOutput, Verdict};
use rvs_core::abi::ServiceKey;
use rvs_dataplane::UpdateError;
use rvs_intent::Edit;
use rvs_machine::{Machine, Time};
use rvs_prober::{Prober, Told};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use table::Table;
use unit::{Refused, Unit, place_of};

/// How the log names us.
const TARGET: &str = "Keepalived_healthcheckers";
/// Refusals that are worked around in one go; with more than this something is wrong with everything.
const MOST_REFUSALS: usize = 1000;

/// Who does checks.
pub trait Checks {
    /// Asks for a check; for equal parameters again: changes nothing.
    fn subscribe(&mut self, who: Subject, params: Arc<CheckParams>);
    /// Asks no longer.
    fn unsubscribe(&mut self, who: &Subject);
    /// Lets a check rest, or work again.
    fn suspend(&mut self, who: &Subject, rests: bool);
    /// Takes over what is known.
    fn adopt(&mut self, who: &Subject, up: bool, advice: Advice);
    /// The number in a tracked file.
    fn file(&mut self, who: &Subject, value: i64);
    /// Whether a session is up.
    fn session(&mut self, who: &Subject, up: bool);
}

impl Checks for Prober<Subject> {
    fn subscribe(&mut self, who: Subject, params: Arc<CheckParams>) {
        Self::subscribe(self, who, params);
    }
    fn unsubscribe(&mut self, who: &Subject) {
        Self::unsubscribe(self, who);
    }
    fn suspend(&mut self, who: &Subject, rests: bool) {
        Self::suspend(self, who, rests);
    }
    fn adopt(&mut self, who: &Subject, up: bool, advice: Advice) {
        Self::adopt(self, who, up, advice);
    }
    fn file(&mut self, who: &Subject, value: i64) {
        Self::file(self, who, value);
    }
    fn session(&mut self, who: &Subject, up: bool) {
        Self::session(self, who, up);
    }
}

/// What others are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Telling {
    /// Run this script; those of one queue one after the other.
    Run(Command, String),
    /// Write this line to the FIFOs, with the line's end.
    Line(String),
    /// Send a mail.
    Mail {
        /// Its subject.
        subject: String,
        /// Its body.
        body: String,
    },
}

/// What comes out when the table is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// For the log.
    Log(String),
    /// For the log, and worse.
    Warn(String),
    /// For others.
    Tell(Telling),
}

/// Keeps the virtual servers.
#[derive(Debug)]
pub struct Keeper {
    settings: Settings,
    units: Vec<Unit>,
    index: HashMap<Arc<str>, usize>,
    table: Table,
    refused: Refused,
    /// Services that were ours and are to go.
    leaving: HashSet<ServiceKey>,
    /// The table has to be looked at before it is changed.
    whole: bool,
    edits: Vec<Edit>,
    words: Vec<Word>,
    files: BTreeMap<String, i64>,
    sessions: BTreeMap<String, bool>,
    addresses: Option<BTreeSet<IpAddr>>,
    /// Checks that go by virtual services.
    probes: probes::Probes,
    /// What became of new connections, as it was when it was last looked at.
    openings: observe::Seen,
    /// The next commit that had failed is tried again with the next look.
    failing: bool,
    /// Health, administrative states or the table have changed since they were written down.
    changed: bool,
    commits: u64,
}

impl Keeper {
    /// Keeps nothing yet.
    pub fn new(open: Open) -> Self {
        Self {
            settings: Settings::default(),
            units: Vec::new(),
            index: HashMap::new(),
            table: Table::new(open),
            refused: Refused::default(),
            leaving: HashSet::new(),
            whole: false,
            edits: Vec::new(),
            words: Vec::new(),
            files: BTreeMap::new(),
            sessions: BTreeMap::new(),
            addresses: None,
            probes: probes::Probes::default(),
            openings: observe::Seen::default(),
            failing: false,
            changed: false,
            commits: 0,
        }
    }

    fn log(&mut self, text: impl Into<String>) {
        self.words.push(Word::Log(text.into()));
    }

    fn unit(&mut self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// What a check has to tell.
    pub fn told(&mut self, now: Time, told: Told<Subject>) {
        match told {
            Told::Log(who, sentence) => {
                let Some(unit) = self.unit(&who.service).map(|at| &self.units[at]) else { return };
                let text = sentence.text(unit.real_name(who.real), &unit.name);
                self.words.extend(text.map(Word::Log));
            }
            Told::Verdict(who, verdict) => self.verdict(now, &who, verdict),
            Told::Unusable(who, why) => {
                let Some(unit) = self.unit(&who.service).map(|at| &self.units[at]) else { return };
                let text = format!("A check of {} of VS {} cannot be done: {why}", unit.real_name(who.real), unit.name);
                self.words.push(Word::Warn(text));
                // Nothing is known of this server, and nothing ever would be.
                self.verdict(now, &who, Verdict::Up { first: true, mail: None });
            }
            Told::Stuck(what, behind) => {
                let text = format!("{what} was {} s behind its time and has been begun anew", behind.as_secs());
                self.words.push(Word::Warn(text));
            }
        }
    }

    fn verdict(&mut self, now: Time, who: &Subject, verdict: Verdict) {
        let (real, check) = (who.real, who.check);
        // That what is up is up is no news.
        self.changed |= !matches!(verdict, Verdict::Up { mail: None, .. });
        self.handle(now, &who.service, ServiceInput::Verdict { real, check, verdict });
    }

    fn handle(&mut self, now: Time, name: &str, input: ServiceInput) {
        let Some(at) = self.unit(name) else { return };
        self.units[at].service.handle(now, input);
        self.collect(at);
    }

    /// When somebody wants to be woken.
    pub fn deadline(&self) -> Option<Time> {
        self.units.iter().filter_map(|unit| unit.service.deadline()).min()
    }

    /// Wakes those whose time has come.
    pub fn wake(&mut self, now: Time) {
        for at in 0..self.units.len() {
            if self.units[at].service.deadline().is_some_and(|deadline| deadline <= now) {
                self.units[at].service.wake(now);
                self.collect(at);
            }
        }
    }

    /// Takes what a virtual server wants.
    fn collect(&mut self, at: usize) {
        while let Some(output) = self.units[at].service.poll() {
            self.changed = true;
            let unit = &self.units[at];
            match output {
                ServiceOutput::Commit(changes) => match unit.edits(&changes, &self.refused) {
                    Some(edits) if !self.whole => self.edits.extend(edits),
                    _ => self.whole = true,
                },
                ServiceOutput::Log(text) => self.words.push(Word::Log(text)),
                ServiceOutput::Notify(notify) => {
                    let told =
                        script(unit, notify).map(|(command, queue)| Word::Tell(Telling::Run(command.clone(), queue)));
                    self.words.extend(told);
                }
                ServiceOutput::Fifo(line) => self.words.push(Word::Tell(Telling::Line(line))),
                ServiceOutput::Mail { subject, body } => {
                    self.words.push(Word::Tell(Telling::Mail { subject, body }));
                }
            }
        }
    }

    /// Commits what has come together, as one transaction, and hands over the words about it.
    pub fn flush(&mut self) -> Vec<Word> {
        let edits = std::mem::take(&mut self.edits);
        if !self.whole && !edits.is_empty() {
            match self.table.update(&edits) {
                Ok(()) => self.commits += 1,
                // Somebody else has been there, or the table wants to be opened anew: only a look tells what is to be done.
                Err(_) => self.whole = true,
            }
        }
        if std::mem::take(&mut self.whole) {
            self.fit();
        }
        std::mem::take(&mut self.words)
    }

    /// Makes the table fit, whatever it holds.
    fn fit(&mut self) {
        let listed = self.table.listing();
        match listed {
            Ok(listing) => self.fit_to(&listing.table()),
            Err(error) => self.failed(&error.to_string()),
        }
    }

    fn wanted(&self) -> Vec<fit::Wanted> {
        self.units.iter().flat_map(|unit| unit.wanted(&self.refused)).collect()
    }

    /// Returns through [`Keeper::failing`] whether it worked.
    fn fit_to(&mut self, table: &rvs_intent::Table) {
        for _ in 0..MOST_REFUSALS {
            let others = Others::Remove(self.leaving.clone());
            let edits = fit(table, &self.wanted(), &others, self.settings.timeouts);
            if edits.is_empty() {
                return self.fits();
            }
            match self.table.update(&edits) {
                Ok(()) => {
                    self.commits += 1;
                    return self.fits();
                }
                Err(UpdateError::Refused { index, refusal }) => {
                    let Some(edit) = edits.get(index) else { break };
                    let (key, place, what) = subject_of(edit);
                    self.words.push(Word::Warn(format!("The table refuses {what}: {refusal}")));
                    if !self.refused.add(key, place) {
                        break;
                    }
                }
                Err(UpdateError::Failed(error)) => return self.failed(&error.to_string()),
            }
        }
        self.failed("it refuses too much");
    }

    fn fits(&mut self) {
        self.leaving.clear();
        if std::mem::take(&mut self.failing) {
            self.log("The table is as it should be again");
        }
    }

    fn failed(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            self.words.push(Word::Warn(format!("The table cannot be changed: {why}; this is tried again and again")));
        }
    }

    /// Looks whether others have changed the table, and puts it right if that is wanted.
    pub fn look(&mut self) {
        if self.units.is_empty() && !self.failing {
            return;
        }
        match self.table.changed() {
            Ok(None) if !self.failing => {}
            Ok(None) => self.fit(),
            Ok(Some((revision, listing))) => self.compare(revision, &listing.table()),
            Err(error) => self.failed(&error.to_string()),
        }
    }

    fn compare(&mut self, revision: Option<u32>, table: &rvs_intent::Table) {
        let others = Others::Remove(self.leaving.clone());
        let edits = fit(table, &self.wanted(), &others, self.settings.timeouts);
        if edits.is_empty() {
            self.fits();
        } else if self.settings.repair || self.failing {
            if !self.failing {
                let text = "Somebody else has changed the table of virtual servers; it is put right";
                self.words.push(Word::Warn(format!("{text} ({} changes)", edits.len())));
            }
            return self.fit_to(table);
        } else {
            let text = "Somebody else has changed the table of virtual servers; lvs_repair is off, and it stays so";
            self.words.push(Word::Warn(text.to_owned()));
        }
        self.table.is_right(revision);
    }

    /// Makes the way to the table once, with what that takes, and lets go of it. What fails here fails again, and is told,
    /// when the table is needed.
    pub fn reach(&mut self) {
        let _ = self.table.plane_mut();
        self.rest();
    }

    /// Nothing is to be done at the table for now.
    pub fn rest(&mut self) {
        self.table.let_go();
    }

    /// The number in a tracked file.
    pub fn file(&mut self, checks: &mut dyn Checks, name: &str, value: i64) {
        self.files.insert(name.to_owned(), value);
        for (who, params) in self.all_checks() {
            if matches!(&params.probe, rvs_checker::Probe::File(file) if file.name == name) {
                checks.file(&who, value);
            }
        }
    }

    /// Whether a session is up.
    pub fn session(&mut self, checks: &mut dyn Checks, name: &str, up: bool) {
        self.sessions.insert(name.to_owned(), up);
        for (who, params) in self.all_checks() {
            if matches!(&params.probe, rvs_checker::Probe::Bfd(bfd) if bfd.name == name) {
                checks.session(&who, up);
            }
        }
    }

    fn all_checks(&self) -> impl Iterator<Item = (Subject, &Arc<CheckParams>)> {
        self.units.iter().flat_map(|unit| {
            let each = unit.server.checks.iter();
            each.flat_map(move |(real, checks)| {
                checks.iter().enumerate().map(move |(check, params)| (unit.subject(*real, check), params))
            })
        })
    }

    /// The addresses of this host: checks of virtual servers with `ha_suspend` rest while it has none of theirs.
    pub fn addresses(&mut self, checks: &mut dyn Checks, addresses: BTreeSet<IpAddr>) {
        self.addresses = Some(addresses);
        for at in 0..self.units.len() {
            self.suspend(checks, at);
        }
    }

    fn suspend(&mut self, checks: &mut dyn Checks, at: usize) {
        let Some(addresses) = &self.addresses else { return };
        let unit = &self.units[at];
        let needed = &unit.server.suspend_without;
        let rests = !needed.is_empty() && needed.is_disjoint(addresses);
        if rests == unit.suspended {
            return;
        }
        let lines: Vec<Word> = unit.activations(!rests).map(Word::Log).collect();
        unit.subjects().for_each(|who| checks.suspend(&who, rests));
        self.words.extend(lines);
        self.units[at].suspended = rests;
    }

    /// Whether something is worth writing down since the last time this was asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// How many transactions there were.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Its health, by name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.index.get(name).map(|at| &self.units[*at].service)
    }
}

fn script(unit: &Unit, notify: Notify) -> Option<(&Command, String)> {
    let tells = &unit.server.tells;
    let of_real = |real: SocketAddr| format!("real server {} of {}", unit.real_name(real), unit.name);
    let of_service = || format!("virtual server {}", unit.name);
    match notify {
        Notify::Up(real) => Some((tells.reals.get(&real)?.0.as_ref()?, of_real(real))),
        Notify::Down(real) => Some((tells.reals.get(&real)?.1.as_ref()?, of_real(real))),
        Notify::QuorumUp => Some((tells.quorum_up.as_ref()?, of_service())),
        Notify::QuorumDown => Some((tells.quorum_down.as_ref()?, of_service())),
    }
}

/// What an edit is about.
fn subject_of(edit: &Edit) -> (ServiceKey, Option<SocketAddr>, String) {
    let key = |key: &ServiceKey| state::key_text(key);
    match edit {
        Edit::AddService(settings) | Edit::EditService(settings) => {
            (settings.key, None, format!("the service {}", key(&settings.key)))
        }
        Edit::DeleteService(of) => (*of, None, format!("to remove the service {}", key(of))),
        Edit::AddDest(of, dest) | Edit::EditDest(of, dest) => {
            let place = place_of(dest);
            (*of, Some(place), format!("the real server {place} of the service {}", key(of)))
        }
        Edit::DeleteDest(of, ..) => (*of, None, format!("to remove a real server of the service {}", key(of))),
        Edit::Flush | Edit::SetTimeouts(_) => (ServiceKey::default(), None, "time-outs".to_owned()),
    }
}
