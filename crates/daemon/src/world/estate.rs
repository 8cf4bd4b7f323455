//! What is held in the kernel, and for whom. Something for which an interface is missing waits for it.

use crate::plan::{self, Catalogue, Statics, Tables};
use rvs_host::net::{AddressKey, Event, Holdings, Monitor, NetError, Thing, ThingKey};
use rvs_machine::Time;
use rvs_vrrp::params::{Name, VirtualAddress};
use std::collections::{BTreeMap, BTreeSet};

/// The owner of what is there as long as the daemon runs.
const STATIC: &str = "";

/// A line of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    /// An address, on an interface.
    Address(Name, Name),
    Route(Name),
    Rule(Name),
}

/// Whether nobody is to put it back when somebody removes it.
fn is_loose(line: &Line, catalogue: &Catalogue) -> bool {
    match line {
        Line::Address(text, _) => catalogue.addresses.get(text).is_some_and(|entry| entry.no_track),
        Line::Route(text) => catalogue.routes.get(text).is_some_and(|line| line.no_track),
        Line::Rule(text) => catalogue.rules.get(text).is_some_and(|line| line.no_track),
    }
}

/// What is held.
#[derive(Debug)]
pub(super) struct Estate {
    holdings: Holdings,
    tables: Tables,
    /// What each owner wants, and what the kernel was asked for; nothing if that was not possible yet.
    wanted: BTreeMap<(Name, Line), Option<ThingKey>>,
    /// What is not put back when somebody removes it (`no_track`).
    loose: BTreeSet<ThingKey>,
}

impl Estate {
    pub(super) fn open() -> Result<Self, NetError> {
        Ok(Self {
            holdings: Holdings::open()?,
            tables: Tables::system(),
            wanted: BTreeMap::new(),
            loose: BTreeSet::new(),
        })
    }

    fn resolve(&self, line: &Line, catalogue: &Catalogue, monitor: &Monitor) -> Result<Thing, String> {
        let index = |name: &str| monitor.named(name).map(|interface| interface.index);
        match line {
            Line::Address(text, device) => {
                let statics = catalogue.statics.addresses.iter().find(|(name, _)| name == text).map(|(_, entry)| entry);
                let entry = catalogue.addresses.get(text).or(statics).ok_or("it is not configured")?;
                let index = index(device).ok_or_else(|| format!("there is no interface {device}"))?;
                Ok(Thing::Address(plan::address(entry, index)?))
            }
            Line::Route(text) => {
                let line = catalogue.routes.get(text).ok_or("it is not configured")?;
                Ok(Thing::Route(Box::new(plan::route(line, &self.tables, &index)?)))
            }
            Line::Rule(text) => {
                let line = catalogue.rules.get(text).ok_or("it is not configured")?;
                Ok(Thing::Rule(Box::new(plan::rule(line, &self.tables)?)))
            }
        }
    }

    fn want(&mut self, now: Time, owner: &Name, line: Line, catalogue: &Catalogue, monitor: &Monitor) {
        let key = match self.resolve(&line, catalogue, monitor) {
            Ok(thing) => {
                let key = thing.key();
                if !is_loose(&line, catalogue) {
                    self.holdings.hold(now, thing);
                } else if let Err(error) = self.holdings.put(&thing) {
                    tracing::warn!(target: "Keepalived_vrrp", "{error}");
                } else {
                    self.loose.insert(key.clone());
                }
                Some(key)
            }
            Err(reason) => {
                let (Line::Address(text, _) | Line::Route(text) | Line::Rule(text)) = &line;
                tracing::warn!(target: "Keepalived_vrrp", "({owner}) cannot add {text}: {reason}");
                None
            }
        };
        self.wanted.insert((owner.clone(), line), key);
    }

    /// Removes it, unless somebody else wants the same. What nobody here asked for may be left over from an earlier run.
    fn release(&mut self, now: Time, owner: &Name, line: &Line, catalogue: &Catalogue, monitor: &Monitor) {
        let known = self.wanted.remove(&(owner.clone(), line.clone()));
        let key = match &known {
            Some(key) => key.clone(),
            None => self.resolve(line, catalogue, monitor).ok().map(|thing| thing.key()),
        };
        let Some(key) = key else { return };
        if self.wanted.values().any(|other| other.as_ref() == Some(&key)) {
            return;
        }
        if known.is_some() && !self.loose.remove(&key) {
            self.holdings.release(now, key);
        } else if let Err(error) = self.holdings.clear(&key) {
            tracing::debug!(target: "Keepalived_vrrp", "{error}");
        }
    }

    /// Addresses of an instance. `device`: where those go that name no interface; nothing if the instance is gone.
    #[allow(clippy::too_many_arguments)] // Each is a different thing, and none of them belongs here.
    pub(super) fn addresses(
        &mut self,
        now: Time,
        owner: &Name,
        device: Option<&Name>,
        addresses: &[VirtualAddress],
        add: bool,
        catalogue: &Catalogue,
        monitor: &Monitor,
    ) {
        for vip in addresses {
            let known = |line: &Line| matches!(line, Line::Address(text, _) if *text == vip.options);
            let mine = |(who, line): &&(Name, Line)| who == owner && known(line);
            let line = match (&vip.device, device, self.wanted.keys().find(mine)) {
                // Where it was put, even if that is no longer what is configured.
                (_, _, Some((_, line))) if !add => line.clone(),
                (Some(device), ..) | (None, Some(device), _) => Line::Address(vip.options.clone(), device.clone()),
                (None, None, _) => continue,
            };
            if add {
                self.want(now, owner, line, catalogue, monitor);
            } else {
                self.release(now, owner, &line, catalogue, monitor);
            }
        }
    }

    /// Routes or rules of an instance.
    #[allow(clippy::too_many_arguments)] // As above.
    pub(super) fn things(
        &mut self,
        now: Time,
        owner: &Name,
        names: &[Name],
        add: bool,
        routes: bool,
        catalogue: &Catalogue,
        monitor: &Monitor,
    ) {
        for name in names {
            let line = if routes { Line::Route(name.clone()) } else { Line::Rule(name.clone()) };
            if add {
                self.want(now, owner, line, catalogue, monitor);
            } else {
                self.release(now, owner, &line, catalogue, monitor);
            }
        }
    }

    /// Makes what is configured to be there always be there, and removes what no longer is.
    pub(super) fn set_statics(&mut self, now: Time, catalogue: &Catalogue, monitor: &Monitor) {
        let owner: Name = STATIC.into();
        let statics = &catalogue.statics;
        let mut lines: Vec<Line> = Vec::new();
        for (text, entry) in &statics.addresses {
            lines.extend(entry.dev.as_deref().map(|device| Line::Address(text.clone(), device.into())));
        }
        lines.extend(statics.routes.iter().cloned().map(Line::Route));
        lines.extend(statics.rules.iter().cloned().map(Line::Rule));
        let old = self.wanted.keys().filter(|(who, line)| *who == owner && !lines.contains(line));
        for (_, line) in old.cloned().collect::<Vec<_>>() {
            self.release(now, &owner, &line, catalogue, monitor);
        }
        for line in lines {
            if !self.wanted.contains_key(&(owner.clone(), line.clone())) {
                self.want(now, &owner, line, catalogue, monitor);
            }
        }
    }

    /// The instances that hold this address.
    pub(super) fn owners(&self, key: &AddressKey) -> Vec<Name> {
        let key = Some(ThingKey::Address(*key));
        let owners = self.wanted.iter().filter(|(_, known)| **known == key).map(|((owner, _), _)| owner);
        owners.filter(|owner| &***owner != STATIC).cloned().collect()
    }

    /// Takes what the kernel told; asks for what had to wait for an interface.
    pub(super) fn events(&mut self, now: Time, events: &[Event], catalogue: &Catalogue, monitor: &Monitor) {
        for event in events {
            let Event::LinkGone(interface) = event else { continue };
            for held in self.wanted.values_mut() {
                let on_it = |key: &ThingKey| matches!(key, ThingKey::Address(key) if key.index == interface.index);
                if let Some(key) = held.take_if(|key| on_it(key)) {
                    self.holdings.release(now, key); // It went with its interface; another one has another number.
                }
            }
        }
        self.holdings.events(now, events);
        let new = |event: &Event| matches!(event, Event::Link(..) | Event::Resync);
        if events.iter().any(new) {
            let waiting = self.wanted.iter().filter(|(_, key)| key.is_none()).map(|(line, _)| line.clone());
            for (owner, line) in waiting.collect::<Vec<_>>() {
                if self.resolve(&line, catalogue, monitor).is_ok() {
                    self.want(now, &owner, line, catalogue, monitor);
                }
            }
        }
    }

    /// What instances lack of the static things that matter to them: by instance and line.
    pub(super) fn lacking(&self, statics: &Statics) -> BTreeSet<(Name, Name)> {
        let mut lacking = BTreeSet::new();
        for ((owner, line), key) in &self.wanted {
            let (Line::Address(text, _) | Line::Route(text) | Line::Rule(text)) = line;
            let Some(instances) = statics.watched.get(text).filter(|_| &**owner == STATIC) else { continue };
            if !key.as_ref().is_some_and(|key| self.loose.contains(key) || self.holdings.is_well(key)) {
                lacking.extend(instances.iter().map(|instance| (instance.clone(), text.clone())));
            }
        }
        lacking
    }

    pub(super) fn release_all(&mut self, now: Time) {
        self.wanted.clear();
        for key in std::mem::take(&mut self.loose) {
            if let Err(error) = self.holdings.clear(&key) {
                tracing::debug!(target: "Keepalived_vrrp", "{error}");
            }
        }
        self.holdings.release_all(now);
    }

    pub(super) fn forget(&mut self, now: Time) {
        self.wanted.clear();
        self.holdings.forget(now);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.holdings.deadline()
    }

    pub(super) fn wake(&mut self, now: Time) {
        self.holdings.wake(now);
    }
}
