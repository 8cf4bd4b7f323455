//! What is tracked: how it stands, and what that makes of the instances.

use super::Router;
use crate::instance::Instance;
use crate::io::{Input, Log, Output};
use crate::params::{Config, InstanceParams, Name, TrackParams, Tracked};
use crate::track::{Effect, Script, Standing, Tally, effect};
use std::collections::{BTreeMap, BTreeSet};

/// How everything tracked stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Standings {
    scripts: BTreeMap<Name, Script>,
    files: BTreeMap<Name, i64>,
    processes: BTreeMap<Name, u32>,
    bfd: BTreeMap<Name, bool>,
    /// Instances whose configured source address is on no interface.
    homeless: BTreeMap<Name, bool>,
    /// What instances lack, as the driver says.
    lacking: BTreeMap<Name, BTreeSet<Name>>,
}

impl Standings {
    pub(super) fn new(config: &Config) -> Self {
        let scripts = config.scripts.iter().map(|params| (params.name.clone(), Script::new(params.clone()))).collect();
        Self { scripts, ..Self::default() }
    }

    /// The same after a reload: what is known of things that are still there.
    #[must_use]
    pub(super) fn reloaded(mut self, config: &Config) -> Self {
        self.lacking.retain(|name, _| config.instances.iter().any(|params| params.name == *name));
        let mut known = core::mem::take(&mut self.scripts);
        for params in &config.scripts {
            let script = known.remove(&params.name).map(|script| script.reloaded(params.clone()));
            self.scripts.insert(params.name.clone(), script.unwrap_or_else(|| Script::new(params.clone())));
        }
        self
    }
}

impl Router {
    /// How something stands.
    fn standing(&self, what: &Tracked) -> Standing {
        let standings = &self.standings;
        match what {
            Tracked::Interface(name) => Standing::of(self.links.get(name).is_some_and(|link| link.up)),
            Tracked::Script(name) => standings.scripts.get(name).map_or(Standing::Unknown, Script::standing),
            Tracked::File(name) => Standing::Value(standings.files.get(name).copied().unwrap_or(0)),
            Tracked::Bfd(name) => Standing::of(standings.bfd.get(name).copied().unwrap_or(false)),
            Tracked::Process(name) => {
                let running = standings.processes.get(name).copied().unwrap_or(0);
                let params = self.config.processes.iter().find(|params| params.name == *name);
                let (least, most) = params.map_or((1, u32::MAX), |params| (params.quorum, params.quorum_max));
                Standing::of((least..=most).contains(&running))
            }
        }
    }

    /// The sum of what an instance and its group track.
    ///
    /// In a group without `sync_group_tracking_weight` a member's own weights are conditions; an owner's own weights do not
    /// count at all, and make a group's weights conditions.
    fn tally(&self, at: usize, params: &InstanceParams) -> Tally {
        let mut tally = Tally::default();
        let group = self.membership[at].map(|group| &self.groups[group]);
        let mut add = |track: &TrackParams, weighted: bool| {
            let weight = if weighted { track.weight } else { 0 };
            tally.add(effect(&TrackParams { weight, ..track.clone() }, self.standing(&track.what)));
        };
        for track in &params.track {
            if !(params.is_owner() && track.weight != 0) {
                add(track, group.is_none_or(|group| group.params().tracking_weight));
            }
        }
        if let Some(group) = group {
            let is_owner = |member: usize| match member == at {
                true => params.is_owner(),
                false => self.instances[member].params().is_owner(),
            };
            let owners = group.members().iter().any(|member| is_owner(*member));
            for track in &group.params().track {
                add(track, !owners);
            }
        }
        tally
    }

    /// Sets an instance's faults and priority by what it tracks, before it begins.
    pub(super) fn assess(&mut self, at: usize) {
        let params = self.instances[at].params();
        let tally = self.tally(at, params);
        let priority = tally.priority(params.priority);
        self.set_faults(at, &tally);
        self.instances[at].init_priority(priority);
    }

    fn set_faults(&mut self, at: usize, tally: &Tally) {
        let homeless = self.standings.homeless.contains_key(self.instances[at].name());
        let lacking = self.standings.lacking.contains_key(self.instances[at].name());
        let instance = &mut self.instances[at];
        instance.faults.tracked = tally.faults;
        instance.faults.pending = tally.pending;
        instance.faults.lacking = lacking;
        if instance.params().source.is_some() {
            instance.faults.source = instance.params().track_source && homeless;
        }
    }

    /// Says why an instance begins in fault.
    pub(super) fn explain(&mut self, at: usize) {
        let instance = &self.instances[at];
        let (name, params) = (instance.name(), instance.params());
        let mut lines = Vec::new();
        if instance.faults.interface {
            lines.push(format!("({name}): entering FAULT state (interface {} down)", params.interface));
        }
        if instance.faults.source && params.source.is_none() {
            let version = if params.ipv6 { 6 } else { 4 };
            lines.push(format!("({name}) entering FAULT state (no IPv{version} address for interface)"));
        }
        let group = self.membership[at].map(|group| &self.groups[group].params().track[..]);
        for track in params.track.iter().chain(group.unwrap_or_default()) {
            let standing = self.standing(&track.what);
            if effect(track, standing) != Effect::Fault {
                continue;
            }
            lines.push(match (&track.what, standing) {
                (Tracked::Interface(tracked), _) => {
                    format!("({name}): entering FAULT state (interface {tracked} down)")
                }
                (Tracked::File(tracked), Standing::Value(value)) => {
                    format!("({name}): entering FAULT state (tracked file {tracked} has status {value})")
                }
                (Tracked::Process(tracked), _) => {
                    format!("({name}) entering FAULT state (tracked process {tracked} quorum not achieved)")
                }
                (Tracked::Bfd(tracked), _) => format!("({name}): entering FAULT state (BFD instance {tracked} down)"),
                (Tracked::Script(tracked) | Tracked::File(tracked), _) => {
                    format!("({name}): entering FAULT state due to script {tracked}")
                }
            });
        }
        self.out.extend(lines.into_iter().map(|text| Output::Log(Log { detail: false, text })));
    }

    /// The priority that tracking makes of an instance with these parameters.
    pub(super) fn tracked_priority(&self, at: usize, params: &InstanceParams) -> crate::Priority {
        self.tally(at, params).priority(params.priority)
    }

    /// Takes over what tracking says of an instance that runs.
    pub(super) fn reassess(&mut self, at: usize) {
        let tally = self.tally(at, self.instances[at].params());
        self.set_faults(at, &tally);
        let base = self.instances[at].params().priority;
        self.with(at, |instance, _, cx| instance.set_priority(tally.priority(base), cx));
        self.react(at);
    }

    /// True for each instance that could take part, as far as it knows.
    fn able(&self) -> Vec<bool> {
        let able = |instance: &Instance| !instance.faults.any() && instance.faults.pending == 0;
        self.instances.iter().map(able).collect()
    }

    /// Takes over what tracking says of all instances: first of those that are concerned themselves, whose groups follow.
    fn reassess_all(&mut self, before: &[bool]) {
        if self.started.is_none() {
            return;
        }
        for at in 0..self.instances.len() {
            let tally = self.tally(at, self.instances[at].params());
            self.set_faults(at, &tally);
        }
        let after = self.able();
        let concerned = |at: &usize| before[*at] != after[*at];
        let (first, rest): (Vec<usize>, Vec<usize>) = (0..self.instances.len()).partition(concerned);
        for at in first.into_iter().chain(rest) {
            self.reassess(at);
        }
    }

    /// Learns how something stands now.
    pub(super) fn learn(&mut self, input: Input) {
        let before = self.able();
        match input {
            Input::Interface(link) => {
                let name = link.name.clone();
                self.links.insert(name.clone(), link);
                self.look_at(&name);
            }
            Input::InterfaceGone(name) => {
                self.links.remove(&name);
                self.look_at(&name);
            }
            Input::Script(name, end) => {
                let Some(script) = self.standings.scripts.get_mut(&name) else { return };
                for text in script.ended(end).log {
                    self.out.push_back(Output::Log(Log { detail: false, text }));
                }
            }
            Input::File(name, value) => {
                self.standings.files.insert(name, value);
            }
            Input::Process(name, count) => self.learn_process(&name, count),
            Input::Bfd(name, up) => self.learn_bfd(&name, up),
            Input::SourcePresent(name, present) => {
                self.standings.homeless.remove(&name);
                if !present {
                    self.standings.homeless.insert(name, true);
                }
            }
            Input::Lacks { instance, what, lacking } => self.learn_lack(instance, what, lacking),
            // The rest is taken care of before.
            _ => return,
        }
        self.reassess_all(&before);
    }

    fn look_at(&mut self, name: &Name) {
        for at in 0..self.instances.len() {
            if self.instances[at].params().interface == *name {
                self.with(at, |instance, _, cx| instance.look_at(cx.links.get(name)));
            }
        }
    }

    fn learn_process(&mut self, name: &Name, count: u32) {
        let what = Tracked::Process(name.clone());
        let before = self.standing(&what);
        self.standings.processes.insert(name.clone(), count);
        let after = self.standing(&what);
        if before != after {
            let word = if after == Standing::Up { "gained" } else { "lost" };
            let text = format!("Quorum {word} for tracked process {name}");
            self.out.push_back(Output::Log(Log { detail: false, text }));
        }
    }

    fn learn_lack(&mut self, instance: Name, what: Name, lacking: bool) {
        let known = self.standings.lacking.entry(instance.clone()).or_default();
        let changed = if lacking { known.insert(what.clone()) } else { known.remove(&what) };
        if known.is_empty() {
            self.standings.lacking.remove(&instance);
        }
        if changed {
            let text = match lacking {
                true => format!("({instance}) entering FAULT state ({what} missing)"),
                false => format!("({instance}) {what} is there again"),
            };
            self.out.push_back(Output::Log(Log { detail: false, text }));
        }
    }

    fn learn_bfd(&mut self, name: &Name, up: bool) {
        let before = self.standings.bfd.insert(name.clone(), up).unwrap_or(false);
        if before == up {
            return;
        }
        let what = Tracked::Bfd(name.clone());
        for instance in self.instances.iter().filter(|instance| crate::track::concerns(&instance.params().track, &what))
        {
            let word = if up { "UP" } else { "DOWN" };
            let text = format!("VRRP_Instance({}) Tracked BFD instance {name} is {word}", instance.name());
            self.out.push_back(Output::Log(Log { detail: false, text }));
        }
    }
}
