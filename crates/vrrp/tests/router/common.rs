//! Directors on one perfect wire, in virtual time.

use core::net::IpAddr;
use core::time::Duration;
use rvs_machine::{Machine, Time};
use rvs_vrrp::packet::Packet;
use rvs_vrrp::params::{Config, InstanceParams, LegacyAuth, Protocol, VirtualAddress};
use rvs_vrrp::{Centis, Datagram, Input, Interface, Name, Output, Priority, Received, Router, Seconds, State, Vrid};

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn ms(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn priority(priority: u8) -> Priority {
    Priority::new(priority).unwrap()
}

pub(crate) fn vip(text: &str) -> VirtualAddress {
    VirtualAddress { address: ip(text), prefix: 24, device: None, options: "".into() }
}

/// The instance of the recordings: version 2, password "secret", two addresses.
pub(crate) fn recorded(prio: u8) -> InstanceParams {
    let mut params = InstanceParams::new("VI_1", "eth0", Vrid::new(51).unwrap());
    params.priority = priority(prio);
    params.protocol = Protocol::V2 { interval: Seconds::new(1).unwrap(), auth: LegacyAuth::Password(*b"secret\0\0") };
    params.addresses = vec![vip("10.0.1.10"), vip("10.0.1.11")];
    params
}

/// An instance of version 3 with an interval of 0.5 s.
pub(crate) fn version3(name: &str, vrid: u8, prio: u8, addresses: &[&str]) -> InstanceParams {
    let mut params = InstanceParams::new(name, "eth0", Vrid::new(vrid).unwrap());
    params.priority = priority(prio);
    params.ipv6 = addresses[0].contains(':');
    if params.ipv6 {
        params.transport = rvs_vrrp::params::Transport::Multicast { group: ip("ff02::12") };
    }
    params.protocol =
        Protocol::V3 { interval: Centis::new(50).unwrap(), checksum_as_v2: false, old_unicast: Default::default() };
    params.addresses = addresses.iter().map(|address| vip(address)).collect();
    params
}

pub(crate) fn one(params: InstanceParams) -> Config {
    Config { instances: vec![params], ..Config::default() }
}

pub(crate) fn eth0(host: u8, up: bool) -> Interface {
    Interface {
        name: "eth0".into(),
        up,
        mac: Some([2, 0, 0, 0, 1, host]),
        ipv4: Some([10, 0, 1, host].into()),
        ipv6: Some(format!("fe80::ff:fe00:10{host}").parse().unwrap()),
        router: true,
    }
}

/// One director and everything it did.
pub(crate) struct Node {
    pub(crate) router: Router,
    pub(crate) host: u8,
    pub(crate) done: Vec<(Time, Output)>,
    pub(crate) alive: bool,
}

impl Node {
    pub(crate) fn new(host: u8, config: Config) -> Self {
        Self { router: Router::new(config), host, done: Vec::new(), alive: true }
    }

    /// Begun at `now`, with its interface up.
    pub(crate) fn started(host: u8, config: Config, now: Time) -> Self {
        let mut node = Self::new(host, config);
        node.input(now, Input::Interface(eth0(host, true)));
        node.input(now, Input::Start);
        node
    }

    /// An input, with everything done that was due before.
    pub(crate) fn input(&mut self, now: Time, input: Input) -> Vec<Datagram> {
        let mut sent = self.pass(now, false);
        self.router.handle(now, input);
        sent.extend(self.drain(now));
        sent
    }

    /// Awake until `now`, and what is due then.
    pub(crate) fn wake(&mut self, now: Time) -> Vec<Datagram> {
        self.pass(now, true)
    }

    /// Asleep until `now`; what the socket kept is handed over before anything else.
    pub(crate) fn oversleep(&mut self, now: Time, kept: Option<Input>) {
        if let Some(input) = kept {
            self.router.handle(now, input);
        }
        self.router.wake(now);
        self.drain(now);
    }

    fn pass(&mut self, end: Time, inclusive: bool) -> Vec<Datagram> {
        let mut sent = Vec::new();
        while let Some(at) = self.router.deadline().filter(|at| *at < end || (inclusive && *at == end)) {
            self.router.wake(at);
            sent.extend(self.drain(at));
        }
        sent
    }

    fn drain(&mut self, now: Time) -> Vec<Datagram> {
        let mut sent = Vec::new();
        while let Some(output) = self.router.poll() {
            if let Output::Send(datagram) = &output {
                sent.push(datagram.clone());
            }
            self.done.push((now, output));
        }
        sent
    }

    /// The first instance's next advert, or the end of its master. There are other reasons to wake a router.
    pub(crate) fn due(&self) -> Option<Time> {
        self.router.instances()[0].timer()
    }

    pub(crate) fn state(&self) -> State {
        self.router.instances()[0].state()
    }

    /// Takes out the log lines so far.
    pub(crate) fn logs(&mut self) -> Vec<String> {
        let logs = self.done.iter().filter_map(|(_, output)| match output {
            Output::Log(log) => Some(log.text.clone()),
            _ => None,
        });
        logs.collect()
    }

    /// The lines for the FIFO so far.
    pub(crate) fn notified(&self) -> Vec<String> {
        let lines = self.done.iter().filter_map(|(_, output)| match output {
            Output::Notify(notify) => Some(notify.to_string()),
            _ => None,
        });
        lines.collect()
    }

    /// When adverts were sent, and their priorities.
    pub(crate) fn adverts(&self) -> Vec<(Time, u8)> {
        let sent = self.done.iter().filter_map(|(at, output)| match output {
            Output::Send(datagram) => Some((*at, advert_priority(datagram))),
            _ => None,
        });
        sent.collect()
    }

    pub(crate) fn frames(&self) -> usize {
        self.done.iter().filter(|(_, output)| matches!(output, Output::Frame { .. })).count()
    }
}

pub(crate) fn advert_priority(datagram: &Datagram) -> u8 {
    match datagram.source {
        IpAddr::V4(_) => Packet::parse_v4(&datagram.bytes).unwrap().priority(),
        IpAddr::V6(_) => datagram.bytes[2],
    }
}

pub(crate) fn delivered(datagram: &Datagram) -> Input {
    let ipv6 = match (datagram.source, datagram.destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => Some((source, destination, Some(datagram.hop_limit))),
        _ => None,
    };
    Input::Received(Received { interface: Name::from("eth0"), bytes: datagram.bytes.clone(), ipv6 })
}

/// A wire that loses nothing and takes no time.
pub(crate) struct Wire {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Time,
}

impl Wire {
    pub(crate) fn new(nodes: Vec<Node>) -> Self {
        let now = nodes.iter().flat_map(|node| node.done.iter().map(|(at, _)| *at)).max().unwrap_or_default();
        Self { nodes, now }
    }

    /// Gives everybody but the sender what was sent.
    pub(crate) fn deliver(&mut self, from: usize, sent: Vec<Datagram>) {
        for datagram in sent {
            for to in 0..self.nodes.len() {
                let addressed = datagram.destination.is_multicast()
                    || datagram.destination == IpAddr::V4([10, 0, 1, self.nodes[to].host].into());
                if to != from && self.nodes[to].alive && addressed {
                    let answers = self.nodes[to].input(self.now, delivered(&datagram));
                    self.deliver(to, answers);
                }
            }
        }
    }

    pub(crate) fn input(&mut self, at: usize, input: Input) {
        let sent = self.nodes[at].input(self.now, input);
        self.deliver(at, sent);
    }

    /// Lets time pass until `end`.
    pub(crate) fn run_until(&mut self, end: Time) {
        loop {
            let deadline = |node: &Node| node.alive.then(|| node.router.deadline()).flatten();
            let next = self.nodes.iter().enumerate().filter_map(|(at, node)| Some((deadline(node)?, at))).min();
            let Some((time, at)) = next.filter(|(time, _)| *time <= end) else { break };
            self.now = self.now.max(time);
            let sent = self.nodes[at].wake(self.now);
            self.deliver(at, sent);
        }
        self.now = end;
    }
}
