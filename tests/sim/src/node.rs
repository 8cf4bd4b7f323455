//! A director: the router under test, and the little of a host that it needs: a clock, a socket's queue, interfaces with
//! addresses. It carries out what the router wants and notes whether the order makes sense.

use core::net::IpAddr;
use rvs_machine::{Machine, Time};
use rvs_vrrp::params::Config;
use rvs_vrrp::{Datagram, Event, Input, Interface, Output, Received, Router, State, wall_clock};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a socket holds at most, in packets; more are dropped, as by the kernel.
const QUEUE: usize = 64;

/// What a director is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// It runs.
    Awake,
    /// Its process is stopped; the kernel goes on and keeps its packets.
    Stopped,
    /// The whole host is stopped; packets are lost.
    Frozen,
    /// The process is dead; its addresses stay where they are.
    Killed,
    /// The host is off.
    Off,
}

/// A director.
pub(crate) struct Node {
    pub(crate) host: u8,
    pub(crate) life: Life,
    pub(crate) router: Router,
    pub(crate) link_up: bool,
    config: Config,
    queue: VecDeque<Datagram>,
    /// The addresses on its interfaces.
    pub(crate) held: BTreeSet<IpAddr>,
    /// UTC at the world's zero, in nanoseconds; steps of its clock change it.
    pub(crate) utc: u64,
    /// How often each instance's state has changed.
    pub(crate) changes: BTreeMap<String, u64>,
    /// What went wrong in what the router wanted.
    pub(crate) complaint: Option<String>,
}

impl Node {
    pub(crate) fn new(host: u8, config: Config) -> Self {
        Self {
            host,
            life: Life::Off,
            router: Router::new(config.clone()),
            link_up: true,
            config,
            queue: VecDeque::new(),
            held: BTreeSet::new(),
            utc: 1_700_000_000_000_000_000,
            changes: BTreeMap::new(),
            complaint: None,
        }
    }

    /// Its own addresses, one per family.
    pub(crate) fn has_address(&self, address: IpAddr) -> bool {
        let (ipv4, ipv6) = own(self.host);
        address == IpAddr::V4(ipv4) || address == IpAddr::V6(ipv6)
    }

    fn interface(&self) -> Interface {
        let (ipv4, ipv6) = own(self.host);
        Interface {
            name: "eth0".into(),
            up: self.link_up,
            mac: Some([2, 0, 0, 0, 0, self.host]),
            ipv4: Some(ipv4),
            ipv6: Some(ipv6),
            router: false,
        }
    }

    /// Starts the process, on a host where an earlier one may have left addresses.
    pub(crate) fn start(&mut self, now: Time) -> Vec<Datagram> {
        self.life = Life::Awake;
        self.queue.clear();
        self.router = Router::new(self.config.clone());
        self.router.handle(now, wall_clock(self.utc, core::time::Duration::ZERO));
        self.router.handle(now, Input::Interface(self.interface()));
        self.router.handle(now, Input::Start);
        self.carry_out()
    }

    /// Ends its life in this way.
    pub(crate) fn end(&mut self, life: Life) {
        self.life = life;
        self.queue.clear();
        if life == Life::Off {
            self.held.clear();
        }
    }

    /// Gives it an input, if it can take any.
    pub(crate) fn input(&mut self, now: Time, input: Input) -> Vec<Datagram> {
        if self.life != Life::Awake {
            return Vec::new();
        }
        self.router.handle(now, input);
        self.carry_out()
    }

    /// Reads its configuration again; it is the same.
    pub(crate) fn reload(&mut self, now: Time) -> Vec<Datagram> {
        let config = Box::new(self.config.clone());
        self.input(now, Input::Reload(config))
    }

    /// Its link goes up or down. A sleeper learns it when it wakes up.
    pub(crate) fn set_link(&mut self, now: Time, up: bool) -> Vec<Datagram> {
        self.link_up = up;
        let interface = self.interface();
        self.input(now, Input::Interface(interface))
    }

    /// A packet has reached its host.
    pub(crate) fn arrive(&mut self, now: Time, datagram: Datagram) -> Vec<Datagram> {
        match self.life {
            _ if !self.link_up => Vec::new(),
            Life::Awake => self.input(now, delivered(&datagram)),
            Life::Stopped => {
                if self.queue.len() < QUEUE {
                    self.queue.push_back(datagram);
                }
                Vec::new()
            }
            Life::Frozen | Life::Killed | Life::Off => Vec::new(),
        }
    }

    /// It goes on after it was stopped: first what the kernel kept, as the driver must, then the timers.
    pub(crate) fn go_on(&mut self, now: Time) -> Vec<Datagram> {
        self.life = Life::Awake;
        let interface = self.interface();
        self.router.handle(now, Input::Interface(interface));
        while let Some(datagram) = self.queue.pop_front() {
            self.router.handle(now, delivered(&datagram));
        }
        self.router.wake(now);
        self.carry_out()
    }

    pub(crate) fn wake(&mut self, now: Time) -> Vec<Datagram> {
        self.router.wake(now);
        self.carry_out()
    }

    /// When it wants to be woken; it cannot be while it sleeps.
    pub(crate) fn deadline(&self) -> Option<Time> {
        (self.life == Life::Awake).then(|| self.router.deadline()).flatten()
    }

    /// Does what the router wants; returns what is to be sent.
    fn carry_out(&mut self) -> Vec<Datagram> {
        let mut sent = Vec::new();
        while let Some(output) = self.router.poll() {
            match output {
                Output::Send(datagram) if self.link_up => sent.push(datagram),
                Output::Addresses { addresses, add, .. } => {
                    for address in addresses {
                        if add {
                            self.held.insert(address.address);
                        } else {
                            self.held.remove(&address.address);
                        }
                    }
                }
                Output::Frame { bytes, .. } => self.check_frame(&bytes),
                Output::Notify(notify) if !notify.group => {
                    if let Event::Entered(State::Master | State::Backup | State::Fault) = notify.event {
                        *self.changes.entry(notify.name.to_string()).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
        sent
    }

    /// Nobody is told of an address that is not here.
    fn check_frame(&mut self, bytes: &[u8]) {
        use rvs_vrrp::packet::{GratuitousArp, UnsolicitedNa};
        let arp = GratuitousArp::parse(bytes).map(|arp| IpAddr::V4(arp.address));
        let told = arp.or_else(|| UnsolicitedNa::parse(bytes).map(|na| IpAddr::V6(na.address)));
        match told {
            Some(address) if self.held.contains(&address) || self.has_address(address) => {}
            told => self.complaint = Some(format!("director {} tells of {told:?}, which it does not hold", self.host)),
        }
    }
}

/// A director's own addresses.
pub(crate) fn own(host: u8) -> (core::net::Ipv4Addr, core::net::Ipv6Addr) {
    ([10, 0, 0, host].into(), core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(host)))
}

fn delivered(datagram: &Datagram) -> Input {
    let ipv6 = match (datagram.source, datagram.destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => Some((source, destination, Some(datagram.hop_limit))),
        _ => None,
    };
    Input::Received(Received { interface: "eth0".into(), bytes: datagram.bytes.clone(), ipv6 })
}
