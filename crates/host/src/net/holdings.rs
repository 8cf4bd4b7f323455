//! The addresses, routes and rules that this host holds for virtual routers: added, put back when others remove them, removed
//! at the end. The deciding is [`Keeper`]'s; here it meets the kernel.

use super::keeper::{Keeper, KeeperInput, KeeperOutput};
use super::monitor::Event;
use super::{Address, AddressKey, NetError, Route, RouteKey, Rtnl, Rule};
use rvs_machine::{Machine, Time};
use std::collections::BTreeSet;

/// Something held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// An address of an interface.
    Address(Address),
    /// A route.
    Route(Box<Route>),
    /// A rule.
    Rule(Box<Rule>),
}

/// What makes a thing one and the same. In this order things are listed; they are added in the order of asking.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThingKey {
    /// An address.
    Address(AddressKey),
    /// A route.
    Route(RouteKey),
    /// A rule.
    Rule(Box<Rule>),
}

impl std::fmt::Display for ThingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(key) => key.fmt(f),
            Self::Route(key) => key.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

impl Thing {
    /// Its key.
    pub fn key(&self) -> ThingKey {
        match self {
            Self::Address(address) => ThingKey::Address(address.key),
            Self::Route(route) => ThingKey::Route(route.key.normal()),
            Self::Rule(rule) => ThingKey::Rule(rule.clone()),
        }
    }
}

/// The things held.
#[derive(Debug)]
pub struct Holdings {
    rtnl: Rtnl,
    keeper: Keeper<ThingKey, Thing>,
}

impl Holdings {
    /// Nothing held yet; the socket belongs to the calling thread's namespace.
    pub fn open() -> Result<Self, NetError> {
        Ok(Self { rtnl: Rtnl::open()?, keeper: Keeper::new() })
    }

    /// Adds a thing and keeps it from now on. When this returns, the kernel has it, or the refusal is in the log and it will be
    /// tried again.
    pub fn hold(&mut self, now: Time, thing: Thing) {
        self.keeper.handle(now, KeeperInput::Want(thing.key(), thing));
        self.act(now);
    }

    /// Adds a thing once: nobody puts it back.
    pub fn put(&mut self, thing: &Thing) -> Result<(), NetError> {
        add(&mut self.rtnl, thing)
    }

    /// Whether a kept thing is there, as far as is known: the kernel has not refused it, nor has somebody else removed it.
    pub fn is_well(&self, key: &ThingKey) -> bool {
        self.keeper.is_well(key)
    }

    /// Removes a thing and keeps it no longer.
    pub fn release(&mut self, now: Time, key: ThingKey) {
        self.keeper.handle(now, KeeperInput::Release(key));
        self.act(now);
    }

    /// Removes all, the last added first.
    pub fn release_all(&mut self, now: Time) {
        self.keeper.handle(now, KeeperInput::ReleaseAll);
        self.act(now);
    }

    /// Leaves all where it is and keeps it no longer (`--dont-release-vrrp`).
    pub fn forget(&mut self, now: Time) {
        self.keeper.handle(now, KeeperInput::Forget);
    }

    /// Removes a thing that an earlier run may have left, held or not. `true`: it was there.
    pub fn clear(&mut self, key: &ThingKey) -> Result<bool, NetError> {
        remove(&mut self.rtnl, key)
    }

    /// Whether the thing is held.
    pub fn holds(&self, key: &ThingKey) -> bool {
        self.keeper.wants(key)
    }

    /// All that is held.
    pub fn held(&self) -> impl Iterator<Item = &ThingKey> {
        self.keeper.wanted().map(|(key, _)| key)
    }

    /// Takes the changes that the kernel told of.
    pub fn events(&mut self, now: Time, events: &[Event]) {
        let mut compare = false;
        for event in events {
            match event {
                Event::AddressGone(key) => {
                    // With its last IPv4 address an interface loses its routes, of which the kernel does not tell.
                    compare |= key.ip.is_ipv4();
                    self.keeper.handle(now, KeeperInput::Gone(ThingKey::Address(*key)));
                }
                Event::RouteGone(key) => self.keeper.handle(now, KeeperInput::Gone(ThingKey::Route(*key))),
                Event::RuleGone(ipv6, priority) => self.keeper.compare(now, |key| match key {
                    ThingKey::Rule(rule) => rule.ipv6 != *ipv6 || rule.priority != *priority,
                    _ => true,
                }),
                // When a link goes down the kernel drops IPv4 routes through it, again without telling; they can be put back
                // when the link is up.
                Event::Link(link, before) => {
                    compare |= link.up && before.as_ref().is_some_and(|before| !before.running);
                }
                Event::Resync => compare = true,
                Event::LinkGone(_) | Event::Address(_) | Event::Route(_) => {}
            }
        }
        self.act(now); // First, so that the comparison does not see as missing what was just put back.
        if compare && self.keeper.wanted().next().is_some() {
            self.compare(now);
        }
    }

    /// Reads what the kernel has and puts back what is missing.
    pub fn compare(&mut self, now: Time) {
        match self.list() {
            Ok(there) => self.keeper.compare(now, |key| match key {
                ThingKey::Rule(rule) => there.2.contains(&(rule.ipv6, rule.priority)),
                ThingKey::Address(key) => there.0.contains(key),
                ThingKey::Route(key) => there.1.contains(key),
            }),
            Err(error) => tracing::warn!("Unable to compare what is held with the kernel: {error}"),
        }
        self.act(now);
    }

    #[allow(clippy::type_complexity)] // Three lists; a name for them would say no more.
    fn list(&mut self) -> Result<(BTreeSet<AddressKey>, BTreeSet<RouteKey>, BTreeSet<(bool, u32)>), NetError> {
        let (mut routes, mut rules) = (BTreeSet::new(), BTreeSet::new());
        // A table of routes may be long, and most hosts hold none.
        if self.keeper.wanted().any(|(key, _)| matches!(key, ThingKey::Route(_))) {
            routes = self.rtnl.routes()?.into_iter().collect();
        }
        if self.keeper.wanted().any(|(key, _)| matches!(key, ThingKey::Rule(_))) {
            rules = self.rtnl.rules()?.into_iter().collect();
        }
        Ok((self.rtnl.addresses()?.into_iter().map(|facts| facts.key).collect(), routes, rules))
    }

    /// When [`Holdings::wake`] is due.
    pub fn deadline(&self) -> Option<Time> {
        self.keeper.deadline()
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Time) {
        self.keeper.wake(now);
        self.act(now);
    }

    fn act(&mut self, now: Time) {
        while let Some(output) = self.keeper.poll() {
            match output {
                KeeperOutput::Add(key, thing) => {
                    if let Err(error) = add(&mut self.rtnl, &thing) {
                        tracing::warn!("{error}");
                        self.keeper.handle(now, KeeperInput::Refused(key));
                    }
                }
                KeeperOutput::Remove(key) => {
                    if let Err(error) = remove(&mut self.rtnl, &key) {
                        tracing::warn!("{error}");
                    }
                }
                KeeperOutput::Contested(key) => {
                    tracing::warn!("Something keeps removing {key}; putting it back at most once a second");
                }
            }
        }
    }
}

fn add(rtnl: &mut Rtnl, thing: &Thing) -> Result<(), NetError> {
    match thing {
        Thing::Address(address) => rtnl.add_address(address),
        Thing::Route(route) => rtnl.add_route(route),
        Thing::Rule(rule) => rtnl.add_rule(rule),
    }
}

fn remove(rtnl: &mut Rtnl, key: &ThingKey) -> Result<bool, NetError> {
    match key {
        ThingKey::Address(key) => rtnl.remove_address(key),
        ThingKey::Route(key) => rtnl.remove_route(key),
        ThingKey::Rule(rule) => rtnl.remove_rule(rule),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::net::{Hop, Monitor, Prefix, RuleAction};
    use crate::testing::{eventually, in_namespace, ip, ip_output};

    fn shown() -> String {
        [ip_output("addr show dev v0"), ip_output("route show"), ip_output("rule show")].concat()
    }

    const PARTS: [&str; 3] = ["10.0.1.10/24", "192.0.2.0/24", "lookup 55"];

    fn all_there() -> bool {
        let text = shown();
        PARTS.iter().all(|part| text.contains(part))
    }

    fn hold_all(holdings: &mut Holdings, index: u32) {
        let now = clock::now();
        holdings.hold(now, Thing::Address(Address::new(index, "10.0.1.10".parse().unwrap(), 24)));
        let mut route = Route::new(Prefix { ip: "192.0.2.0".parse().unwrap(), length: 24 });
        route.hops = vec![Hop { via: Some("10.0.1.254".parse().unwrap()), index: Some(index), ..Hop::default() }];
        holdings.hold(now, Thing::Route(Box::new(route)));
        holdings.hold(now, Thing::Rule(Box::new(Rule::new(false, 500, RuleAction::Table(55)))));
    }

    #[test]
    fn what_others_remove_is_put_back_and_what_is_released_goes() {
        in_namespace(|| {
            ip("link add v0 type veth peer name v1");
            ip("link set v0 up");
            ip("link set v1 up");
            let mut monitor = Monitor::open(true).unwrap();
            let mut holdings = Holdings::open().unwrap();
            hold_all(&mut holdings, monitor.named("v0").unwrap().index);
            assert!(all_there(), "{}", shown());
            let mut turn = || {
                let mut events = Vec::new();
                monitor.drain(&mut events).unwrap();
                holdings.events(clock::now(), &events);
                holdings.wake(clock::now());
                all_there()
            };
            for command in ["addr del 10.0.1.10/24 dev v0", "route del 192.0.2.0/24", "rule del priority 500"] {
                ip(command);
                assert!(!all_there());
                eventually(command, &mut turn);
            }
            ip("link set v0 down");
            ip("link set v0 up");
            eventually("route after the link came back", &mut turn);
            holdings.release_all(clock::now());
            let text = shown();
            assert!(PARTS.iter().all(|part| !text.contains(part)), "{text}");
        });
    }
}
