//! One virtual server as a machine: what verdicts about its real servers make of its table. Each event makes at most one
//! transaction: what the table should hold is worked out anew and compared with what it holds.
//!
//! Sentences and their order are keepalived's, as recorded; what keepalived does not know (administrative states, ejection) has
//! sentences of ours.

mod io;
mod outlier;
mod params;
mod quorum;
mod real;
mod reload;
mod resume;
#[cfg(test)]
mod tests;

pub use io::{Dest, Edit, Notify, RealView, ServiceInput, ServiceOutput};
pub use params::{Admin, Outlier, RealParams, ServiceParams, Sorry};
pub use resume::{RealState, ServiceState};

use crate::verdict::Verdict;
use core::net::SocketAddr;
use real::Real;
use rvs_machine::{Machine, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// A virtual server.
#[derive(Clone, Debug)]
pub struct Service {
    params: ServiceParams,
    reals: Vec<Real>,
    /// Where each of them is in the list.
    places: HashMap<SocketAddr, usize>,
    /// What the live ones weigh together; each knows what it is counted with.
    live: i64,
    /// Some weight grows or some absence ends; may be true for a moment too long.
    timed: bool,
    quorum: u32,
    quorum_up: bool,
    /// The sorry server stands in.
    sorry_on: bool,
    running: bool,
    table: BTreeMap<Dest, i64>,
    touched: Touched,
    pending: Vec<ServiceOutput>,
    out: VecDeque<ServiceOutput>,
    now: Time,
}

/// Which entries of the table an event may have changed: with thousands of real servers it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Touched {
    Some(BTreeSet<usize>),
    All,
}

impl Service {
    /// A virtual server that has not begun.
    pub fn new(params: ServiceParams, now: Time) -> Self {
        let reals = params.reals.iter().cloned().map(Real::new).collect();
        let mut service = Self {
            quorum: 1,
            params,
            reals,
            places: HashMap::new(),
            live: 0,
            timed: false,
            quorum_up: false,
            sorry_on: false,
            running: false,
            table: BTreeMap::new(),
            touched: Touched::All,
            pending: Vec::new(),
            out: VecDeque::new(),
            now,
        };
        service.reindex();
        service.limit_quorum();
        service
    }

    /// Takes note of where the real servers are and what they weigh, after any change of the list.
    fn reindex(&mut self) {
        self.places = self.reals.iter().enumerate().map(|(at, real)| (real.params.address, at)).collect();
        self.live = 0;
        for real in &mut self.reals {
            real.counted = real.live_weight();
            self.live = self.live.saturating_add(real.counted);
        }
        self.timed = true;
    }

    /// Takes note of what a real server weighs now.
    fn recount(&mut self, at: usize) {
        let real = &mut self.reals[at];
        let now = real.live_weight();
        self.live = self.live.saturating_add(now - core::mem::replace(&mut real.counted, now));
    }

    /// Its parameters.
    pub fn params(&self) -> &ServiceParams {
        &self.params
    }

    /// Whether its live real servers suffice.
    pub fn has_quorum(&self) -> bool {
        self.quorum_up
    }

    /// The weight of all live real servers together.
    pub fn live_weight(&self) -> i64 {
        self.live
    }

    /// What it has put into the table.
    pub fn table(&self) -> &BTreeMap<Dest, i64> {
        &self.table
    }

    /// How its real servers stand.
    pub fn reals(&self) -> impl Iterator<Item = RealView> + '_ {
        self.reals.iter().map(|real| RealView {
            address: real.params.address,
            alive: real.alive,
            failed_checks: real.checks.iter().filter(|check| !check.up).count(),
            weight: real.weight(),
            in_table: self.table.get(&Dest::Real(real.params.address)).copied(),
            admin: real.admin,
            effective_admin: real.admin(),
            ejected_until: real.ejected_until,
            starts_slowly: real.ramp.is_some(),
        })
    }

    fn log(&mut self, text: String) {
        self.pending.push(ServiceOutput::Log(text));
    }

    fn notify(&mut self, notify: Notify) {
        self.pending.push(ServiceOutput::Notify(notify));
    }

    fn touch(&mut self, at: usize) {
        if let Touched::Some(touched) = &mut self.touched {
            touched.insert(at);
        }
    }

    fn position(&self, real: SocketAddr) -> Option<usize> {
        self.places.get(&real).copied()
    }

    /// Scripts and FIFOs hear of a real server.
    fn tell(&mut self, at: usize, up: bool) {
        let RealParams { address, name, .. } = &self.reals[at].params;
        let word = if up { "UP" } else { "DOWN" };
        let line = format!("RS {name} {} {word}", self.params.name);
        let notify = if up { Notify::Up(*address) } else { Notify::Down(*address) };
        self.notify(notify);
        self.pending.push(ServiceOutput::Fifo(line));
    }

    fn mail_real(&mut self, at: usize, up: bool, body: String) {
        if self.reals[at].params.smtp_alert {
            let word = if up { "UP" } else { "DOWN" };
            let (real, service) = (&self.reals[at].params.name, &self.params.name);
            let subject = format!("Realserver {real} of virtual server {service} - {word}");
            self.pending.push(ServiceOutput::Mail { subject, body });
        }
    }

    fn verdict(&mut self, at: usize, check: usize, verdict: Verdict) {
        self.touch(at);
        let before = self.reals[at].weight();
        let Some(state) = self.reals[at].checks.get_mut(check) else { return };
        match verdict {
            Verdict::Advice(advice) => {
                state.advice = advice;
                self.weight_changed(at, before);
                self.recount(at);
                self.update_quorum();
            }
            Verdict::Wish(wish) => {
                state.wish = wish;
                self.recount(at);
                self.update_quorum();
            }
            Verdict::Up { first: _, mail } => {
                state.up = true;
                let changed = !self.reals[at].alive && self.reals[at].checks.iter().all(|check| check.up);
                if changed {
                    self.rise(at);
                }
                if let Some(body) = mail
                    && (changed || !self.params.no_checker_emails)
                {
                    self.mail_real(at, true, body);
                }
            }
            Verdict::Down { first, reason: _, mail } => {
                let news = state.up || first;
                state.up = false;
                let changed = self.reals[at].alive;
                if changed {
                    self.fall(at);
                } else if first {
                    // It was down to begin with (alpha): now that is known, once for each check.
                    self.tell(at, false);
                }
                if news && (changed || !self.params.no_checker_emails) {
                    self.mail_real(at, false, mail);
                }
            }
        }
    }

    fn rise(&mut self, at: usize) {
        let now = self.now;
        let real = &mut self.reals[at];
        real.alive = true;
        real.ramp = (!real.params.slow_start.is_zero()).then_some(now);
        self.timed |= real.ramp.is_some();
        (real.unanswered, real.ejected_until) = (0, None);
        let (name, service) = (&real.params.name, &self.params.name);
        let text = if real.params.inhibit_on_failure {
            format!("Enabling service {name} of VS {service}")
        } else {
            format!("Adding service {name} to VS {service}")
        };
        self.log(text);
        self.tell(at, true);
        self.recount(at);
        self.update_quorum();
    }

    fn fall(&mut self, at: usize) {
        let real = &mut self.reals[at];
        real.alive = false;
        (real.ramp, real.ejected_until) = (None, None);
        let (name, service) = (&real.params.name, &self.params.name);
        let text = if real.params.inhibit_on_failure {
            format!("Disabling service {name} of VS {service}")
        } else {
            format!("Removing service {name} from VS {service}")
        };
        self.log(text);
        self.tell(at, false);
        self.recount(at);
        self.update_quorum();
    }

    fn weight_changed(&mut self, at: usize, before: i64) {
        let real = &self.reals[at];
        let after = real.weight();
        if before != after {
            let state = if real.alive { "active" } else { "inactive" };
            let (name, service) = (&real.params.name, &self.params.name);
            self.log(format!("Changing weight from {before} to {after} for {state} service {name} of VS {service}"));
        }
    }

    fn administer(&mut self, at: usize, state: Admin, why: &str) {
        let real = &mut self.reals[at];
        if real.admin == state {
            return;
        }
        if real.admin == Admin::Maint && !real.params.slow_start.is_zero() && real.alive {
            real.ramp = Some(self.now);
            self.timed = true;
        }
        real.admin = state;
        let (name, service) = (&real.params.name, &self.params.name);
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let text = format!("Setting service {name} of VS {service} to {}{why}", state.name());
        self.log(text);
        self.touch(at);
        self.recount(at);
        self.update_quorum();
    }

    fn stop(&mut self, keep: bool) {
        self.running = false;
        if keep {
            return;
        }
        for at in 0..self.reals.len() {
            let (name, service) = (&self.reals[at].params.name, &self.params.name);
            self.log(format!("Shutting down service {name} from VS {service}"));
            if self.params.omega && self.reals[at].alive {
                self.tell(at, false);
            }
        }
        if self.params.omega && self.quorum_up {
            self.quorum_up = false;
            self.tell_quorum();
        }
        self.touched = Touched::All;
        self.commit();
    }

    /// What the table should hold of a real server.
    fn wanted(&self, real: &Real) -> (Dest, Option<i64>) {
        (Dest::Real(real.params.address), real.in_table(self.now, !self.sorry_on))
    }

    fn wanted_sorry(&self) -> Option<(Dest, i64)> {
        let sorry = self.params.sorry.as_ref().filter(|sorry| self.sorry_on || sorry.inhibit)?;
        Some((Dest::Sorry(sorry.address), i64::from(self.sorry_on)))
    }

    /// Makes the table hold what it should, by the fewest changes: what comes is there before what goes.
    fn commit(&mut self) {
        let touched = core::mem::replace(&mut self.touched, Touched::Some(BTreeSet::new()));
        let (mut edits, mut gone) = (Vec::new(), Vec::new());
        let mut put = |table: &mut BTreeMap<Dest, i64>, dest: Dest, weight: i64| match table.insert(dest, weight) {
            None => edits.push(Edit::Add(dest, weight)),
            Some(known) if known != weight => edits.push(Edit::SetWeight(dest, weight)),
            Some(_) => {}
        };
        match touched {
            Touched::Some(touched) => {
                for at in touched {
                    match self.reals.get(at).map(|real| self.wanted(real)) {
                        Some((dest, Some(weight))) => put(&mut self.table, dest, weight),
                        Some((dest, None)) => gone.push(dest),
                        None => {}
                    }
                }
            }
            Touched::All => {
                let mut wanted: BTreeMap<Dest, i64> = BTreeMap::new();
                if self.running {
                    let reals = self.reals.iter().map(|real| self.wanted(real));
                    wanted.extend(reals.filter_map(|(dest, weight)| Some((dest, weight?))));
                    wanted.extend(self.wanted_sorry());
                }
                gone.extend(self.table.keys().filter(|dest| !wanted.contains_key(dest)).copied());
                wanted.into_iter().for_each(|(dest, weight)| put(&mut self.table, dest, weight));
            }
        }
        gone.retain(|dest| self.table.remove(dest).is_some());
        edits.extend(gone.into_iter().map(Edit::Remove));
        if !edits.is_empty() {
            self.out.push_back(ServiceOutput::Commit(edits));
        }
    }

    /// Passes on what an event has brought about: the transaction first, so that a script finds the table as it is told.
    fn finish(&mut self) {
        if self.running {
            self.commit();
        }
        self.out.extend(self.pending.drain(..));
    }
}

impl Machine for Service {
    type Input = ServiceInput;
    type Output = ServiceOutput;

    fn handle(&mut self, now: Time, input: ServiceInput) {
        self.now = self.now.max(now);
        match input {
            ServiceInput::Start => self.start(),
            ServiceInput::Verdict { real, check, verdict } => {
                if let Some(at) = self.position(real) {
                    self.verdict(at, check, verdict);
                }
            }
            ServiceInput::Admin { real, state, why } => {
                if let Some(at) = self.position(real) {
                    self.administer(at, state, &why);
                }
            }
            ServiceInput::Passive { real, answered } => {
                if let Some(at) = self.position(real) {
                    self.observe(at, answered);
                }
            }
            ServiceInput::Reload(params) => self.reload(params),
            ServiceInput::Stop { keep } => self.stop(keep),
        }
        self.finish();
    }

    fn wake(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.end_ejections();
        let now = self.now;
        for at in 0..self.reals.len() {
            if self.reals[at].ramp.is_some() {
                self.reals[at].end_ramp(now);
                self.touch(at);
            }
        }
        self.timed = self.reals.iter().any(|real| real.ramp.is_some() || real.ejected_until.is_some());
        self.finish();
    }

    fn deadline(&self) -> Option<Time> {
        // Asked for after each event, and almost always for nothing.
        if !self.timed {
            return None;
        }
        let ramps = self.reals.iter().filter_map(|real| real.ramp_deadline(self.now));
        ramps.chain(self.reals.iter().filter_map(|real| real.ejected_until)).min()
    }

    fn poll(&mut self) -> Option<ServiceOutput> {
        self.out.pop_front()
    }
}
