//! All virtual routers of a daemon, their groups and what they track: one machine.
//!
//! Read [`Router::wake`] and [`Router::handle`] first. A change of one virtual router is the instance's business; what it
//! means for others is decided here.

mod groups;
mod reload;
mod standing;

pub use groups::Group;

use crate::instance::{Cx, Heard, Instance, Links};
use crate::io::{Event, Input, Notify, Output, Received, State};
use crate::packet::{Malformed, Packet};
use crate::params::{Config, Name};
use crate::stats::RouterStats;
use rvs_machine::{Machine, Time};
use standing::Standings;
use std::collections::VecDeque;

/// A VRRP router: everything that one daemon runs.
#[derive(Clone, Debug)]
pub struct Router {
    config: Config,
    instances: Vec<Instance>,
    /// The group of each instance.
    membership: Vec<Option<usize>>,
    groups: Vec<Group>,
    links: Links,
    standings: Standings,
    pacers: crate::instance::Pacers,
    out: VecDeque<Output>,
    stats: RouterStats,
    now: Time,
    utc: u64,
    /// When it began.
    started: Option<Time>,
}

impl Router {
    /// A router that has not begun: it waits for [`Input::Start`].
    pub fn new(config: Config) -> Self {
        let instances: Vec<_> =
            config.instances.iter().map(|params| Instance::new(params.clone(), Time::ZERO)).collect();
        let (groups, membership) = groups::build(&config, &instances);
        Self {
            instances,
            membership,
            groups,
            links: Links::new(),
            standings: Standings::new(&config),
            pacers: crate::instance::Pacers::new(&config),
            out: VecDeque::new(),
            stats: RouterStats::default(),
            now: Time::ZERO,
            utc: 0,
            started: None,
            config,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The instances, in the order of the configuration.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The instance of this name.
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| &**instance.name() == name)
    }

    /// The sync groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What belongs to no instance.
    pub fn stats(&self) -> &RouterStats {
        &self.stats
    }

    /// An instance together with what it may use.
    fn with<R>(&mut self, at: usize, work: impl FnOnce(&mut Instance, Option<State>, &mut Cx<'_>) -> R) -> R {
        let group = self.membership[at].map(|group| self.groups[group].state());
        let mut cx =
            Cx { now: self.now, utc: self.utc, out: &mut self.out, links: &self.links, pacers: &mut self.pacers };
        work(&mut self.instances[at], group, &mut cx)
    }

    fn start(&mut self) {
        if self.started.is_some() {
            return;
        }
        self.started = Some(self.now);
        for at in 0..self.instances.len() {
            self.equip(at, true);
            self.with(at, |instance, _, cx| instance.look_at(cx.links.get(&instance.params().interface.clone())));
            self.assess(at);
            self.explain(at);
        }
        self.begin_groups();
        for at in 0..self.instances.len() {
            let group = self.membership[at].map(|group| self.groups[group].state());
            if self.instances[at].faults.any() || group == Some(State::Fault) {
                let text = format!("({}) entering FAULT state", self.instances[at].name());
                self.out.push_back(Output::Log(crate::io::Log { detail: false, text }));
            }
        }
        for at in 0..self.instances.len() {
            self.begin(at);
        }
    }

    /// Starts an instance whose faults are known.
    fn begin(&mut self, at: usize) {
        let ready = self.peers_ready(at);
        let delay = self.quiet_for();
        self.with(at, |instance, group, cx| instance.begin(group, ready, delay, cx));
    }

    /// How much is left of the delay after the start.
    fn quiet_for(&self) -> core::time::Duration {
        let since = self.started.map_or(core::time::Duration::ZERO, |started| self.now.since(started));
        self.config.startup_delay.saturating_sub(since)
    }

    /// What an instance needs from the system for as long as it is there.
    fn equip(&mut self, at: usize, add: bool) {
        let params = self.instances[at].params();
        for (base, vmac) in params.vmacs() {
            let (instance, base, vmac) = (params.name.clone(), base.clone(), vmac.clone());
            self.out.push_back(Output::Vmac { instance, base, vmac, add });
        }
        if params.promote_secondaries {
            let interface = params.address_device().clone();
            self.out.push_back(Output::PromoteSecondaries { interface, set: add });
        }
    }

    fn stop(&mut self) {
        for at in 0..self.instances.len() {
            self.with(at, |instance, _, cx| instance.end(cx));
        }
        for at in 0..self.instances.len() {
            self.with(at, |instance, _, cx| instance.push_notify(cx, Event::Stop));
        }
        for at in 0..self.groups.len() {
            self.notify_group(at, Event::Stop);
        }
        for at in 0..self.instances.len() {
            self.equip(at, false);
        }
        self.started = None;
        self.out.push_back(Output::Stopped);
    }

    fn notify_group(&mut self, group: usize, event: Event) {
        let name = self.groups[group].params().name.clone();
        self.out.push_back(Output::Notify(Notify { group: true, name, event, priority: 0 }));
    }

    /// Takes a packet.
    fn receive(&mut self, received: &Received) {
        let packet = match received.ipv6 {
            None => Packet::parse_v4(&received.bytes),
            Some((source, destination, limit)) => Packet::parse_v6(&received.bytes, source, destination, limit),
        };
        let packet = match packet {
            Ok(packet) if packet.source().is_ipv4() == packet.destination().is_ipv4() => packet,
            Ok(_) => return self.stats.count(Malformed::Families),
            Err(reason) => return self.stats.count(reason),
        };
        let Some(at) = self.addressee(&received.interface, &packet) else {
            self.stats.unknown_vrid += 1;
            if self.config.log_unknown_vrids {
                let (vrid, interface) = (packet.vrid(), &received.interface);
                let text = format!("Unknown VRID({vrid}) received on interface({interface}). ignoring...");
                self.out.push_back(Output::Log(crate::io::Log { detail: false, text }));
            }
            return;
        };
        if !self.quiet_for().is_zero() || matches!(self.instances[at].state(), State::Init | State::Fault) {
            self.stats.unwanted += 1;
            return;
        }
        match self.with(at, |instance, _, cx| instance.hear(&packet, cx)) {
            Heard::Own | Heard::Refused(_) => {}
            Heard::GiveWay => {
                self.with(at, |instance, group, cx| instance.leave_master(false, group, cx));
                self.sync_backup(at);
            }
            Heard::Lower => {
                for other in self.other_members(at) {
                    self.with(other, |instance, _, cx| instance.tell_after_lower(cx));
                }
            }
        }
    }

    /// The instance that a packet is for: same interface, family and VRID; of several, the one whose peer the sender is, else
    /// the one that expects such a destination, else the first, which will say what is wrong.
    fn addressee(&self, interface: &Name, packet: &Packet<'_>) -> Option<usize> {
        let multicast = packet.destination().is_multicast();
        let candidates = || {
            self.instances.iter().enumerate().filter(|(_, instance)| {
                let params = instance.params();
                params.vrid.get() == packet.vrid()
                    && params.ipv6 != packet.source().is_ipv4()
                    && params.interface == *interface
            })
        };
        let fits = |instance: &Instance| instance.params().is_unicast() != multicast;
        let knows = |instance: &Instance| match &instance.params().transport {
            crate::params::Transport::Unicast { peers, .. } => peers.iter().any(|peer| peer.address == packet.source()),
            crate::params::Transport::Multicast { .. } => true,
        };
        let choose = |wanted: &dyn Fn(&Instance) -> bool| candidates().find(|(_, instance)| wanted(instance));
        choose(&|instance| fits(instance) && knows(instance))
            .or_else(|| choose(&fits))
            .or_else(|| candidates().next())
            .map(|(at, _)| at)
    }

    /// Does what is due for an instance.
    fn wake_instance(&mut self, at: usize) {
        self.with(at, |instance, _, cx| {
            instance.do_rounds(cx);
            instance.check_rogue(cx);
            instance.check_pulse(cx);
        });
        if !self.instances[at].is_due(self.now) {
            return;
        }
        if self.instances[at].state() == State::Master {
            if self.with(at, |instance, _, cx| instance.advertise(cx)) {
                self.sync_master(at);
            } else {
                self.with(at, |instance, group, cx| instance.leave_master(false, group, cx));
                self.sync_backup(at);
            }
            return;
        }
        self.with(at, |instance, _, cx| instance.time_out(cx));
        self.lead(at);
    }

    /// Becomes master together with its group, or waits until all of the group want to.
    fn lead(&mut self, at: usize) {
        if self.may_lead(at) {
            self.with(at, |instance, group, cx| instance.become_master(group, cx));
            self.sync_master(at);
        } else {
            self.with(at, |instance, _, cx| instance.wait_for_master(cx.now));
        }
    }
}

impl Machine for Router {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Start => self.start(),
            Input::Stop => self.stop(),
            Input::Received(received) => {
                if self.started.is_some() {
                    self.receive(&received);
                }
            }
            Input::WallClock(utc) => self.utc = utc,
            Input::Reload(config) => self.reload(*config),
            Input::ClearStatistics => {
                self.stats = RouterStats::default();
                self.instances.iter_mut().for_each(Instance::clear_stats);
            }
            Input::AddressLost(name, _) => {
                let lost = self.instances.iter_mut().filter(|instance| *instance.name() == name);
                lost.for_each(Instance::lost_address);
            }
            input => self.learn(input),
        }
    }

    fn wake(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.started.is_none() {
            return;
        }
        self.pacers.wake(self.now, &mut self.out);
        for at in 0..self.instances.len() {
            self.wake_instance(at);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.started?;
        let instances = self.instances.iter().filter_map(Instance::deadline);
        instances.chain(self.pacers.deadline()).min()
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}
