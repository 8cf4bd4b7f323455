//! What the machines are told of interfaces: when something changed that they care for, and not before it has lasted as long
//! as the configuration wants.

use rvs_host::net::sysctl::{self, SysctlFamily, interface_path};
use rvs_host::net::{Interface, LinkDelays, LinkState, Monitor};
use rvs_machine::{Machine, Time};
use rvs_vrrp::params::Name;
use rvs_vrrp::{Input, Router};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

type Told = rvs_vrrp::Interface;

/// What was told so far.
#[derive(Debug)]
pub(super) struct Links {
    delays: LinkDelays,
    /// Whether each interface counts as up.
    up: BTreeMap<String, bool>,
    told: BTreeMap<Name, Told>,
    /// Instances whose configured source was missing when last looked for.
    homeless: BTreeSet<Name>,
}

impl Links {
    pub(super) fn new(delays: BTreeMap<String, (Duration, Duration)>) -> Self {
        Self { delays: LinkDelays::new(delays), up: BTreeMap::new(), told: BTreeMap::new(), homeless: BTreeSet::new() }
    }

    pub(super) fn set_delays(&mut self, delays: BTreeMap<String, (Duration, Duration)>) {
        self.delays = LinkDelays::new(delays);
    }

    /// Looks at all interfaces and tells the router what is new.
    pub(super) fn look(&mut self, now: Time, monitor: &Monitor, router: &mut Router) {
        for interface in monitor.interfaces() {
            self.delays.handle(now, LinkState { name: interface.name.clone(), up: interface.running });
        }
        self.settle();
        let virtual_ones = virtual_addresses(router);
        let mut seen = BTreeSet::new();
        for interface in monitor.interfaces() {
            let facts = self.facts(interface, monitor, &virtual_ones);
            seen.insert(facts.name.clone());
            if self.told.get(&facts.name) != Some(&facts) {
                self.told.insert(facts.name.clone(), facts.clone());
                router.handle(now, Input::Interface(facts));
            }
        }
        // Where there is no interface in the configuration, there is nothing that could be down.
        let gone: Vec<Name> = self.told.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        for name in gone {
            self.told.remove(&name);
            self.up.remove(&*name);
            router.handle(now, Input::InterfaceGone(name));
        }
        self.look_for_sources(now, monitor, router);
    }

    fn settle(&mut self) {
        while let Some(state) = self.delays.poll() {
            self.up.insert(state.name, state.up);
        }
    }

    fn facts(&self, interface: &Interface, monitor: &Monitor, virtual_ones: &BTreeSet<IpAddr>) -> Told {
        let index = interface.index;
        let ipv4 = monitor.primary_ipv4(index, |ip| virtual_ones.contains(&ip.into()));
        let ipv6 = monitor.link_local(index, |ip| virtual_ones.contains(&ip.into()));
        Told {
            name: interface.name.as_str().into(),
            up: self.up.get(&interface.name).copied().unwrap_or(interface.running),
            mac: interface.ethernet().filter(|_| !interface.noarp && !interface.loopback),
            // An owner has its virtual address as its own.
            ipv4: ipv4.or_else(|| monitor.primary_ipv4(index, |_| false)),
            ipv6,
            router: forwards(&interface.name),
        }
    }

    fn look_for_sources(&mut self, now: Time, monitor: &Monitor, router: &mut Router) {
        let sources: Vec<(Name, IpAddr)> = router
            .config()
            .instances
            .iter()
            .filter(|params| params.track_source)
            .filter_map(|params| Some((params.name.clone(), params.source?)))
            .collect();
        for (name, source) in sources {
            let present = monitor.addresses(None).any(|facts| facts.key.ip == source);
            let changed = if present { self.homeless.remove(&name) } else { self.homeless.insert(name.clone()) };
            if changed {
                router.handle(now, Input::SourcePresent(name, present));
            }
        }
    }

    /// Logs the addresses that adverts will be sent from.
    pub(super) fn announce(&self, router: &Router) {
        let mut interfaces: Vec<&Name> = router.config().instances.iter().map(|params| &params.interface).collect();
        interfaces.sort();
        interfaces.dedup();
        for facts in interfaces.into_iter().filter_map(|name| self.told.get(name)) {
            let addresses = [facts.ipv4.map(IpAddr::V4), facts.ipv6.map(IpAddr::V6)];
            for ip in addresses.into_iter().flatten() {
                tracing::debug!(target: "Keepalived_vrrp", "Assigned address {ip} for interface {}", facts.name);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.delays.deadline()
    }

    pub(super) fn wake(&mut self, now: Time, router: &mut Router) {
        self.delays.wake(now);
        while let Some(state) = self.delays.poll() {
            self.up.insert(state.name.clone(), state.up);
            if let Some(facts) = self.told.get_mut(state.name.as_str())
                && facts.up != state.up
            {
                facts.up = state.up;
                router.handle(now, Input::Interface(facts.clone()));
            }
        }
    }
}

fn forwards(interface: &str) -> bool {
    let path = interface_path(SysctlFamily::Ipv6, interface, "forwarding");
    path.and_then(|path| sysctl::read(&path).ok()).is_some_and(|value| value == "1")
}

fn virtual_addresses(router: &Router) -> BTreeSet<IpAddr> {
    let instances = router.config().instances.iter();
    instances.flat_map(|params| params.addresses.iter().chain(&params.excluded)).map(|vip| vip.address).collect()
}
