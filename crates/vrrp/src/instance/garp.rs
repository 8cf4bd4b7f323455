//! Telling the neighbours where the addresses are now: rounds of gratuitous ARP and neighbour advertisements, and the pace at
//! which an interface lets them out.

use super::Instance;
use crate::io::{Interface, Log, Output};
use crate::packet::{GratuitousArp, UnsolicitedNa};
use crate::params::{Config, Name, Pace, VirtualAddress};
use core::net::IpAddr;
use rvs_machine::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is known of interfaces.
pub(crate) type Links = BTreeMap<Name, Interface>;

/// What an instance may use while it changes.
pub(crate) struct Cx<'a> {
    pub(crate) now: Time,
    /// UTC at the machine clock's zero.
    pub(crate) utc: u64,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) links: &'a Links,
    pub(crate) pacers: &'a mut Pacers,
}

impl Cx<'_> {
    /// Writes to the log.
    pub(crate) fn log(&mut self, text: String) {
        self.out.push_back(Output::Log(Log { detail: false, text }));
    }

    /// Writes to the log if details are asked for.
    pub(crate) fn detail(&mut self, text: String) {
        self.out.push_back(Output::Log(Log { detail: true, text }));
    }
}

impl Instance {
    /// The MAC address and the "router" flag to tell for an address on `device`; `None` where nothing can be told.
    fn teller(&self, device: &Name, links: &Links) -> Option<([u8; 6], bool)> {
        let vmac = self.params.vmacs().find(|(_, vmac)| vmac.name == *device);
        let (mac, link) = match vmac.and_then(|(base, vmac)| Some((base, vmac.mac()?))) {
            Some((base, mac)) => (Some(mac), links.get(base)),
            None => (links.get(device).and_then(|link| link.mac), links.get(device)),
        };
        Some((mac?, link.is_some_and(|link| link.router)))
    }

    /// Sends or queues a frame for one address.
    fn tell(&self, cx: &mut Cx<'_>, address: &VirtualAddress, limit: u8) {
        let device = address.device.as_ref().unwrap_or(self.params.address_device());
        let Some((mac, router)) = self.teller(device, cx.links) else { return };
        // The pace is the physical interface's, also for frames that go by a macvlan above it.
        let vmac = self.params.vmacs().find(|(_, vmac)| vmac.name == *device);
        let below = vmac.map_or(device, |(base, _)| base);
        let frame =
            Frame { owner: self.params.name.clone(), device: device.clone(), address: address.address, mac, router };
        cx.pacers.offer(cx.now, below, frame, limit, cx.out);
    }

    /// A round: every address `repeat` times.
    pub(crate) fn tell_all(&mut self, cx: &mut Cx<'_>, repeat: u8) {
        if !self.holds {
            return;
        }
        for round in 0..repeat {
            for address in self.params.addresses.iter().chain(&self.params.excluded) {
                if round == 0 {
                    let what =
                        if address.address.is_ipv4() { "gratuitous ARPs" } else { "Unsolicited Neighbour Adverts" };
                    let device = address.device.as_ref().unwrap_or(self.params.address_device());
                    cx.detail(format!(
                        "({}) Sending/queueing {what} on {device} for {}",
                        self.params.name, address.address
                    ));
                }
                self.tell(cx, address, repeat);
            }
        }
    }

    /// One frame from every interface with our addresses that no advert leaves by.
    fn tell_vmacs(&mut self, cx: &mut Cx<'_>) {
        let mut done = BTreeSet::new();
        let advert_device = self.params.advert_device();
        for address in self.params.addresses.iter().chain(&self.params.excluded) {
            let device = address.device.as_ref().unwrap_or(self.params.address_device());
            if self.holds && device != advert_device && done.insert(device.clone()) {
                self.tell(cx, address, 1);
            }
        }
    }

    /// Tells our own address, as a unicast instance does when it is back: the master's ARP entry for us may be gone.
    pub(crate) fn tell_source(&mut self, cx: &mut Cx<'_>) {
        let Some(source) = self.source.filter(|_| self.params.is_unicast()) else { return };
        let what = if source.is_ipv4() { "ARP" } else { "NA" };
        cx.detail(format!("{}: sending gratuitous {what} for {source}", self.params.name));
        let Some(Interface { name, mac: Some(mac), router, .. }) = cx.links.get(&self.params.interface) else { return };
        let frame = Frame {
            owner: self.params.name.clone(),
            device: name.clone(),
            address: source,
            mac: *mac,
            router: *router,
        };
        frame.send(cx.out);
    }

    /// Sets the timers of the rounds that follow the first.
    pub(super) fn plan_rounds(&mut self, now: Time) {
        let garp = &self.params.garp;
        let after = |delay: core::time::Duration| (!delay.is_zero()).then(|| now + delay);
        self.rounds.second = after(garp.master_delay);
        self.rounds.refresh = after(garp.refresh).map(|at| at + garp.master_delay);
        self.rounds.vmac = after(garp.vmac_interval).map(|at| at + garp.master_delay);
        self.rounds.lower = None;
    }

    /// After an advert of lower priority: a round now and one later, but not more than one per advert interval.
    pub(crate) fn tell_after_lower(&mut self, cx: &mut Cx<'_>) {
        let garp = &self.params.garp;
        let recent = self.rounds.answered.is_some_and(|at| cx.now.since(at) < self.params.interval());
        if garp.lower_prio_repeat == 0 || recent {
            return;
        }
        if !garp.lower_prio_delay.is_zero() {
            self.rounds.lower = Some(cx.now + garp.lower_prio_delay);
        }
        self.rounds.answered = Some(cx.now);
        self.tell_all(cx, self.params.garp.lower_prio_repeat);
    }

    /// Does the rounds that are due.
    pub(crate) fn do_rounds(&mut self, cx: &mut Cx<'_>) {
        let due = |timer: &mut Option<Time>, again: core::time::Duration| {
            let is_due = timer.is_some_and(|at| at <= cx.now);
            if is_due {
                *timer = (!again.is_zero()).then(|| cx.now + again);
            }
            is_due
        };
        let zero = core::time::Duration::ZERO;
        let garp = self.params.garp.clone();
        let second = due(&mut self.rounds.second, zero);
        let lower = due(&mut self.rounds.lower, zero);
        let refresh = due(&mut self.rounds.refresh, garp.refresh);
        let vmac = due(&mut self.rounds.vmac, garp.vmac_interval);
        for (is_due, repeat) in
            [(second, garp.master_repeat), (lower, garp.lower_prio_repeat), (refresh, garp.refresh_repeat)]
        {
            if is_due {
                self.tell_all(cx, repeat);
            }
        }
        if vmac {
            self.tell_vmacs(cx);
        }
    }
}

/// A frame to be sent.
#[derive(Clone, PartialEq, Debug)]
struct Frame {
    owner: Name,
    device: Name,
    address: IpAddr,
    mac: [u8; 6],
    router: bool,
}

impl Frame {
    fn send(self, out: &mut VecDeque<Output>) {
        let Self { device, address, mac, router, .. } = self;
        let what = if address.is_ipv4() { "gratuitous ARP" } else { "unsolicited Neighbour Advert" };
        let text = format!("Sending {what} on {device} for {address}");
        out.push_back(Output::Log(Log { detail: true, text }));
        let bytes = match address {
            IpAddr::V4(address) => GratuitousArp { mac, address }.emit(),
            IpAddr::V6(address) => UnsolicitedNa { mac, address, router }.emit(),
        };
        out.push_back(Output::Frame { interface: device, bytes });
    }
}

/// The paces of all interfaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pacers {
    default: Pace,
    /// The pacer of each interface that was named in a set.
    shared: BTreeMap<Name, usize>,
    pacers: Vec<Pacer>,
}

/// One pace with its queues: gratuitous ARP, neighbour advertisements.
#[derive(Clone, Debug, Default)]
struct Pacer {
    pace: Pace,
    lanes: [Lane; 2],
}

#[derive(Clone, Debug, Default)]
struct Lane {
    free_at: Option<Time>,
    /// Frames with how often each is still to be sent, taking turns.
    queue: VecDeque<(Frame, u8)>,
}

impl Pacers {
    /// The paces of a configuration; what is queued is dropped.
    pub(crate) fn new(config: &Config) -> Self {
        let mut pacers = Self { default: config.default_pace, ..Self::default() };
        for params in &config.pacing {
            for interface in &params.interfaces {
                pacers.shared.insert(interface.clone(), pacers.pacers.len());
            }
            pacers.pacers.push(Pacer { pace: params.pace, ..Pacer::default() });
        }
        pacers
    }

    /// Sends a frame now, or queues it at most `limit` times.
    fn offer(&mut self, now: Time, interface: &Name, frame: Frame, limit: u8, out: &mut VecDeque<Output>) {
        let at = *self.shared.entry(interface.clone()).or_insert_with(|| {
            self.pacers.push(Pacer { pace: self.default, ..Pacer::default() });
            self.pacers.len() - 1
        });
        let pacer = &mut self.pacers[at];
        let (lane, pace) = if frame.address.is_ipv4() { (0, pacer.pace.arp) } else { (1, pacer.pace.na) };
        let lane = &mut pacer.lanes[lane];
        if let Some((_, count)) = lane.queue.iter_mut().find(|(queued, _)| *queued == frame) {
            *count = (*count + 1).min(limit);
        } else if pace.is_zero() {
            frame.send(out);
        } else if lane.free_at.is_some_and(|at| now < at) {
            lane.queue.push_back((frame, 1));
        } else {
            lane.free_at = Some(now + pace);
            frame.send(out);
        }
    }

    /// Drops what is queued for an instance.
    pub(crate) fn forget(&mut self, owner: &Name) {
        for lane in self.pacers.iter_mut().flat_map(|pacer| &mut pacer.lanes) {
            lane.queue.retain(|(frame, _)| frame.owner != *owner);
        }
    }

    /// Sends what is due.
    pub(crate) fn wake(&mut self, now: Time, out: &mut VecDeque<Output>) {
        for pacer in &mut self.pacers {
            let pace = pacer.pace;
            for (lane, pace) in pacer.lanes.iter_mut().zip([pace.arp, pace.na]) {
                while lane.free_at.is_some_and(|at| at <= now) {
                    let Some((frame, count)) = lane.queue.pop_front() else { break };
                    if count > 1 {
                        lane.queue.push_back((frame.clone(), count - 1));
                    }
                    lane.free_at = Some(now + pace);
                    frame.send(out);
                }
            }
        }
    }

    /// When the next queued frame is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let lanes = self.pacers.iter().flat_map(|pacer| &pacer.lanes);
        lanes.filter(|lane| !lane.queue.is_empty()).filter_map(|lane| lane.free_at).min()
    }
}
