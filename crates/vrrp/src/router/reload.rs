//! A reload by difference: what is unchanged goes on as if nothing had happened, without an advert more or less.

use super::{Router, groups};
use crate::instance::{Instance, Pacers};
use crate::io::{Event, State};
use crate::params::{Config, InstanceParams, Name};
use std::collections::BTreeMap;

impl Router {
    /// Takes over another configuration.
    pub(super) fn reload(&mut self, config: Config) {
        if self.started.is_none() {
            let (links, utc, now) = (core::mem::take(&mut self.links), self.utc, self.now);
            *self = Self { links, utc, now, ..Self::new(config) };
            return;
        }
        self.remove_instances(&config);
        let old_groups: BTreeMap<Name, State> =
            self.groups.iter().map(|group| (group.name().clone(), group.state())).collect();
        let mut old: BTreeMap<Name, Instance> =
            self.instances.drain(..).map(|instance| (instance.name().clone(), instance)).collect();
        let mut fates = Vec::new();
        for params in &config.instances {
            // An instance keeps its old parameters until it is told the new ones, so that the difference can be seen.
            let kept = old.remove(&params.name);
            fates.push(kept.is_some());
            self.instances.push(kept.unwrap_or_else(|| Instance::new(params.clone(), self.now)));
        }
        if config.pacing != self.config.pacing || config.default_pace != self.config.default_pace {
            self.pacers = Pacers::new(&config);
        }
        self.standings = core::mem::take(&mut self.standings).reloaded(&config);
        self.config = config;
        (self.groups, self.membership) = groups::build(&self.config, &self.instances);
        for (at, kept) in fates.iter().enumerate() {
            if *kept {
                self.change(at);
            } else {
                self.equip(at, true);
                self.with(at, |instance, _, cx| instance.look_at(cx.links.get(&instance.params().interface.clone())));
                self.assess(at);
            }
        }
        self.resume(&fates, &old_groups);
    }

    /// Ends what the new configuration does not have, or has as another virtual router.
    fn remove_instances(&mut self, config: &Config) {
        let survives = |instance: &Instance| {
            let old = instance.params();
            config.instances.iter().any(|new| new.name == old.name && is_same_router(new, old))
        };
        for at in (0..self.instances.len()).rev() {
            if survives(&self.instances[at]) {
                continue;
            }
            self.with(at, |instance, _, cx| {
                instance.end(cx);
                // Whoever has not asked for the new word hears the old one.
                let event =
                    if instance.params().notify_deleted { Event::Deleted } else { Event::Entered(State::Fault) };
                instance.push_notify(cx, event);
            });
            self.equip(at, false);
            self.instances.remove(at);
            self.membership.remove(at);
        }
        // Members are numbered anew with the new groups; until then nobody looks at the old ones.
        self.membership.fill(None);
    }

    /// Gives an instance its new parameters, if they are new.
    fn change(&mut self, at: usize) {
        let new = self.config.instances[at].clone();
        if *self.instances[at].params() == new {
            return;
        }
        let equipment =
            |params: &InstanceParams| (params.vmac.clone(), params.side_vmacs.clone(), params.promote_secondaries);
        let changed = equipment(self.instances[at].params()) != equipment(&new);
        if changed {
            self.equip(at, false);
        }
        let priority = self.tracked_priority(at, &new);
        for (base, vmac) in new.vmacs().filter(|_| changed) {
            let (instance, base, vmac) = (new.name.clone(), base.clone(), vmac.clone());
            self.out.push_back(crate::io::Output::Vmac { instance, base, vmac, add: true });
        }
        let promote = changed && new.promote_secondaries;
        self.with(at, |instance, _, cx| instance.reload(new, priority, cx));
        if promote {
            let interface = self.instances[at].params().address_device().clone();
            self.out.push_back(crate::io::Output::PromoteSecondaries { interface, set: true });
        }
    }

    /// Lets groups and new instances go on.
    fn resume(&mut self, fates: &[bool], old_groups: &BTreeMap<Name, State>) {
        for group in 0..self.groups.len() {
            let before = old_groups.get(self.groups[group].name()).copied();
            let all_new = self.groups[group].members().iter().all(|at| !fates[*at]);
            if all_new {
                self.begin_group(group);
            } else {
                self.resume_group(group, before);
            }
        }
        for (at, kept) in fates.iter().enumerate() {
            if *kept {
                self.instances[at].mark_told();
                self.reassess(at);
            } else {
                self.begin(at);
            }
        }
    }
}

/// True if both are the same virtual router on the wire.
fn is_same_router(a: &InstanceParams, b: &InstanceParams) -> bool {
    (a.vrid, &a.interface, a.ipv6) == (b.vrid, &b.interface, b.ipv6)
}
