//! Start, reload and end.

use super::fit::{Others, fit};
use super::probes::way;
use super::state::{SavedService, State};
use super::unit::Unit;
use super::{Checks, Keeper, Subject, Word};
use crate::plan::Balance;
use crate::plan::balance::{AtEnd, Server};
use rvs_checker::{Admin, Advice, CheckParams, Probe, Service, ServiceInput, ServiceState};
use rvs_core::abi::ServiceKey;
use rvs_dataplane::Error;
use rvs_intent::{Dest, Edit};
use rvs_machine::{Machine, Time};
use rvs_prober::Told;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

impl Keeper {
    /// Begins, perhaps where an earlier daemon has stopped: what it had put into the table is taken over and what it knew is
    /// known; connections and counters stay.
    pub fn start(&mut self, now: Time, plan: Balance, mut state: State, checks: &mut dyn Checks) {
        self.settings = plan.settings;
        for server in plan.servers {
            let saved = state.services.remove(&server.params.name);
            self.begin(now, server, saved, checks);
        }
        self.leaving = state.services.into_values().filter(|saved| saved.live).flat_map(|saved| saved.keys).collect();
        if self.settings.flush {
            self.leave_others();
        }
        self.reindex();
        let active = self.units.iter().filter(|unit| !unit.suspended);
        self.words.extend(active.flat_map(|unit| unit.activations(true)).map(Word::Log));
        if !self.units.is_empty() {
            self.log("Activating BFD healthchecker");
        }
        // Of the whole daemon: VRRP has begun by now, and nobody else waits for a table.
        self.log("Startup complete");
        self.whole = !self.units.is_empty() || !self.leaving.is_empty();
        self.changed = true;
    }

    /// `lvs_flush`: whatever is in the table and nobody's of ours goes, in the first transaction. What is ours and there
    /// already keeps its connections.
    fn leave_others(&mut self) {
        match self.table.listing() {
            Ok(listing) => self.leaving.extend(listing.services.iter().map(|listed| listed.service.key)),
            Err(error) => self.failed(&error.to_string()),
        }
    }

    /// Enters a virtual server that is new to this daemon.
    fn begin(&mut self, now: Time, server: Server, saved: Option<SavedService>, checks: &mut dyn Checks) {
        let at = self.units.len();
        let live = saved.as_ref().is_some_and(|saved| saved.live);
        let service = match &saved {
            Some(saved) if live => Service::resume(server.params.clone(), saved.state.clone(), now),
            _ => Service::new(server.params.clone(), now),
        };
        self.units.push(Unit::new(server, service));
        let unit = &mut self.units[at];
        self.index.insert(Arc::clone(&unit.name), at);
        if let Some(saved) = &saved {
            unit.reasons.clone_from(&saved.reasons);
        }
        if !live {
            let kept = saved.iter().flat_map(|saved| &saved.state.reals).filter(|(_, real)| real.admin != Admin::Ready);
            for (real, state) in kept {
                let why = unit.reasons.get(real).cloned().unwrap_or_default();
                unit.service.handle(now, ServiceInput::Admin { real: *real, state: state.admin, why });
            }
            unit.service.handle(now, ServiceInput::Start);
        }
        self.collect(at);
        let subjects: Vec<Subject> = self.units[at].subjects().collect();
        for who in subjects {
            let known = saved.as_ref().filter(|_| live).and_then(|saved| known(&saved.state, &self.units[at], &who));
            self.subscribe(now, at, who, known, checks);
        }
        self.suspend(checks, at);
    }

    fn subscribe(
        &mut self,
        now: Time,
        at: usize,
        who: Subject,
        known: Option<(bool, Advice)>,
        checks: &mut dyn Checks,
    ) {
        let unit = &self.units[at];
        let Some(params) = unit.server.checks.get(&who.real).and_then(|all| all.get(who.check)) else { return };
        let Some(params) = self.marked(now, at, &who, Arc::clone(params)) else { return };
        checks.subscribe(who.clone(), Arc::clone(&params));
        if let Some((up, advice)) = known {
            checks.adopt(&who, up, advice);
        }
        if self.units[at].suspended {
            checks.suspend(&who, true);
        }
        match &params.probe {
            Probe::File(file) => {
                if let Some(value) = self.files.get(&file.name) {
                    checks.file(&who, *value);
                }
            }
            Probe::Bfd(bfd) => {
                if let Some(up) = self.sessions.get(&bfd.name) {
                    checks.session(&who, *up);
                }
            }
            _ => {}
        }
    }

    /// The parameters of a check with the mark that leads it by the virtual service, if that is its way. `None`: it is not done
    /// now.
    fn marked(&mut self, now: Time, at: usize, who: &Subject, params: Arc<CheckParams>) -> Option<Arc<CheckParams>> {
        self.probes.give_back(who, &mut self.table);
        if params.target.via_vip.is_none() {
            return Some(params);
        }
        let unit = &self.units[at];
        let mut own = CheckParams::clone(&params);
        let Some(probe) = unit.server.dests.get(&who.real).and_then(|dest| way(&params.target, dest)) else {
            own.target.via_vip = None;
            return Some(Arc::new(own));
        };
        match self.probes.take(who, probe, &mut self.table) {
            Ok(mark) => {
                own.target.mark = mark;
                Some(Arc::new(own))
            }
            Err(Error::Unsupported(why)) => {
                self.told(now, Told::Unusable(who.clone(), why));
                None
            }
            Err(error) => {
                let text = format!("A check of {} of VS {} waits: {error}", unit.real_name(who.real), unit.name);
                self.words.push(Word::Warn(text));
                self.probes.wait(who.clone());
                None
            }
        }
    }

    /// Keeps alive what checks by virtual services need, and begins those that wait for it; to be called every few seconds.
    pub fn hold_probes(&mut self, now: Time, checks: &mut dyn Checks) {
        for who in self.probes.waiting() {
            if let Some(at) = self.unit(&who.service) {
                self.subscribe(now, at, who, None, checks);
            }
        }
        // What fails here fails for the table, too, where it is told.
        let _ = self.probes.renew(&mut self.table);
    }

    fn unsubscribe(&mut self, who: &Subject, checks: &mut dyn Checks) {
        checks.unsubscribe(who);
        self.probes.give_back(who, &mut self.table);
    }

    /// Keeps other virtual servers from now on. What is as it was does not notice; what is not changes in one transaction.
    pub fn reload(&mut self, now: Time, plan: Balance, checks: &mut dyn Checks) {
        let before: HashSet<ServiceKey> = self.keys().collect();
        let mut activations = Vec::new();
        self.settings = plan.settings;
        self.refused.clear();
        // Whatever the services say now, the table is compared as a whole, once.
        self.whole = true;
        let mut old: HashMap<Arc<str>, Unit> =
            std::mem::take(&mut self.units).into_iter().map(|unit| (Arc::clone(&unit.name), unit)).collect();
        let wanted: HashSet<&str> = plan.servers.iter().map(|server| server.params.name.as_str()).collect();
        let mut gone: Vec<Arc<str>> = old.keys().filter(|name| !wanted.contains(&***name)).cloned().collect();
        gone.sort();
        for name in gone {
            let Some(unit) = old.remove(&name) else { continue };
            self.log(format!("Removing Virtual Server {name}"));
            self.end_unit(now, unit, checks);
        }
        self.index.clear();
        for server in plan.servers {
            match old.remove(server.params.name.as_str()) {
                None => {
                    self.begin(now, server, None, checks);
                    let active = self.units.last().filter(|unit| !unit.suspended);
                    activations.extend(active.into_iter().flat_map(|unit| unit.activations(true)));
                }
                Some(unit) => activations.extend(self.renew(now, unit, server, checks)),
            }
        }
        self.reindex();
        let kept: HashSet<ServiceKey> = self.keys().collect();
        self.leaving.retain(|key| !kept.contains(key));
        self.leaving.extend(before.difference(&kept));
        // Who keeps nothing has no business with the table: looking at it would make one.
        self.whole = !self.units.is_empty() || !self.leaving.is_empty();
        // Of the whole daemon: VRRP has its part by now.
        self.log("Reload complete");
        activations.into_iter().for_each(|line| self.log(line));
        self.changed = true;
    }

    /// One that was there before; the lines for checks that are new to it.
    fn renew(&mut self, now: Time, unit: Unit, server: Server, checks: &mut dyn Checks) -> Vec<String> {
        let at = self.units.len();
        self.index.insert(Arc::clone(&unit.name), at);
        self.units.push(unit);
        if self.units[at].server == server {
            return Vec::new();
        }
        let unit = &mut self.units[at];
        let had: HashMap<Subject, Arc<rvs_checker::CheckParams>> = unit
            .server
            .checks
            .iter()
            .flat_map(|(real, all)| {
                let unit = &*unit;
                all.iter().enumerate().map(move |(check, params)| (unit.subject(*real, check), Arc::clone(params)))
            })
            .collect();
        let same_way = |new: &Dest, old: &Dest| (new.forward, new.tunnel) == (old.forward, old.tunnel);
        let old = &unit.server.dests;
        let differs = |(real, new): &(&SocketAddr, &Dest)| old.get(*real).is_none_or(|old| !same_way(new, old));
        let moved: HashSet<SocketAddr> = server.dests.iter().filter(differs).map(|(real, _)| *real).collect();
        if unit.server.params != server.params {
            unit.service.handle(now, ServiceInput::Reload(server.params.clone()));
        }
        unit.replace(server);
        unit.reasons.retain(|real, _| unit.server.dests.contains_key(real));
        self.collect(at);
        let subjects: HashSet<Subject> = self.units[at].subjects().collect();
        had.keys().filter(|who| !subjects.contains(who)).for_each(|who| self.unsubscribe(who, checks));
        let (mut lines, mut fresh) = (Vec::new(), Vec::new());
        let unit = &self.units[at];
        for real in &unit.server.params.reals {
            for (check, params) in unit.server.checks.get(&real.address).into_iter().flatten().enumerate() {
                let who = unit.subject(real.address, check);
                let goes_elsewhere = params.target.via_vip.is_some() && moved.contains(&real.address);
                if had.get(&who) != Some(params) || goes_elsewhere {
                    fresh.push(who);
                    lines.push(rvs_checker::activation(true, &real.name, &unit.name));
                }
            }
        }
        fresh.into_iter().for_each(|who| self.subscribe(now, at, who, None, checks));
        self.suspend(checks, at);
        lines
    }

    fn end_unit(&mut self, now: Time, unit: Unit, checks: &mut dyn Checks) {
        let at = self.units.len();
        unit.subjects().for_each(|who| self.unsubscribe(&who, checks));
        self.units.push(unit);
        self.units[at].service.handle(now, ServiceInput::Stop { keep: false });
        self.collect(at);
        self.units.pop();
    }

    fn reindex(&mut self) {
        self.index = self.units.iter().enumerate().map(|(at, unit)| (Arc::clone(&unit.name), at)).collect();
    }

    fn keys(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.units.iter().flat_map(|unit| unit.server.members.iter().map(|member| member.key))
    }

    /// Ends. `keep`: the table stays as it is, for the next daemon. Returns what the next one is to know.
    pub fn stop(&mut self, now: Time, keep: bool, checks: &mut dyn Checks) -> State {
        let state = self.state(keep);
        for at in 0..self.units.len() {
            let subjects: Vec<Subject> = self.units[at].subjects().collect();
            subjects.iter().for_each(|who| self.unsubscribe(who, checks));
            self.units[at].service.handle(now, ServiceInput::Stop { keep });
            self.collect(at);
        }
        self.edits.clear();
        self.whole = false;
        if !keep {
            let keys: HashSet<ServiceKey> = self.keys().chain(self.leaving.iter().copied()).collect();
            let everything = self.settings.at_end == AtEnd::Everything;
            if !keys.is_empty() || everything {
                self.remove(keys, everything);
            }
        }
        self.units.clear();
        self.index.clear();
        state
    }

    fn remove(&mut self, keys: HashSet<ServiceKey>, everything: bool) {
        let done = self.table.listing().map_err(|error| error.to_string()).and_then(|listing| {
            let others = if everything { Others::RemoveAll } else { Others::Remove(keys) };
            let edits: Vec<Edit> = fit(&listing.table(), &[], &others, None);
            let done = if edits.is_empty() { Ok(()) } else { self.table.update(&edits) };
            done.map_err(|error| error.to_string())
        });
        if let Err(why) = done {
            self.words.push(Word::Warn(format!("The virtual servers could not be removed from the table: {why}")));
        }
    }
}

/// What an earlier daemon knew of a check. Checks are told apart by their places; another number of them is another set.
fn known(state: &ServiceState, unit: &Unit, who: &Subject) -> Option<(bool, Advice)> {
    let real = state.reals.get(&who.real)?;
    let same = unit.server.checks.get(&who.real).is_some_and(|checks| checks.len() == real.checks.len());
    let (up, advice, _) = real.checks.get(who.check).filter(|_| same)?;
    Some((*up, *advice))
}
