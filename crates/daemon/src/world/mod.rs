//! The prompt thread: the machines of VRRP and BFD, the sockets they speak by, and what they hold in the kernel.
//!
//! All input is handed over before anything is woken (see [`rvs_host::thread::World`]). Nothing here waits for anybody: what
//! takes time (scripts, mails, files) is wished for and done elsewhere.

mod bfd;
mod effects;
mod estate;
mod links;
mod ports;

use crate::plan::{Catalogue, Plan};
use bfd::BfdPorts;
use effects::Equipment;
use estate::Estate;
use links::Links;
use ports::Ports;
use rvs_bfd::Speaker;
use rvs_host::clock;
use rvs_host::net::{Dropped, Event, Firewall, Interface, Monitor, NetError};
use rvs_host::socket::FrameSender;
use rvs_host::thread::{Mailbox, World};
use rvs_machine::{Machine, Time};
use rvs_vrrp::params::{Name, VirtualAddress, Vmac};
use rvs_vrrp::{Input, Notify, Output, Received, Router, wall_clock};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the clock of the day is looked at, for authentication that goes by it.
const WALL_CLOCK: Duration = Duration::from_secs(10);

/// What the thread is asked for.
#[derive(Debug)]
pub enum Order {
    /// Begin.
    Start,
    /// Something tracked.
    Tracked(Input),
    /// Another plan.
    Reload(Box<Plan>),
    /// How everything stands.
    Snapshot(SyncSender<Box<Snapshot>>),
    /// Set all counters to zero.
    ClearStatistics,
    /// End; `keep`: leave addresses and routes where they are.
    Stop {
        /// Leave them.
        keep: bool,
    },
}

/// What the thread wishes to be done elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Tell scripts, FIFOs, mails.
    Notify(Notify),
    /// Tell checks that follow this session whether it is up.
    Session(String, bool),
    /// The new plan is in force.
    Reloaded,
}

/// How everything stands.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The virtual routers.
    pub router: Router,
    /// The BFD sessions.
    pub bfd: Vec<rvs_bfd::Session>,
    /// The interfaces, each with its addresses.
    pub interfaces: Vec<(Interface, Vec<IpAddr>)>,
    /// The moment, by the clock of the machines.
    pub now: Time,
    /// The same by the clock of the day: seconds and microseconds since 1970.
    pub wall: (u64, u32),
    /// Wishes that were dropped because nobody took them.
    pub dropped: u64,
}

/// The thread's world.
#[derive(Debug)]
pub struct Director {
    router: Router,
    speaker: Speaker,
    catalogue: Catalogue,
    monitor: Monitor,
    links: Links,
    estate: Estate,
    equipment: Equipment,
    firewall: Firewall,
    frames: FrameSender,
    ports: Ports,
    bfd: BfdPorts,
    mailbox: Mailbox<Order>,
    wishes: mpsc::Sender<Wish>,
    /// Static things that instances were told to lack.
    lacking: BTreeSet<(Name, Name)>,
    dropped: u64,
    next_wall: Time,
    watch_addresses: bool,
    /// Somebody waits for our timers; from then on memory is locked.
    prompt: bool,
    keep: bool,
    finished: bool,
}

fn io_error(error: NetError) -> io::Error {
    io::Error::other(error)
}

impl Director {
    /// Opens everything in the calling thread's namespace. Nothing is sent before [`Order::Start`].
    pub fn open(plan: Plan, mailbox: Mailbox<Order>, wishes: mpsc::Sender<Wish>, seed: u64) -> io::Result<Self> {
        let now = clock::now();
        let monitor = Monitor::open(plan.catalogue.has_routes()).map_err(io_error)?;
        info("Registering Kernel netlink reflector");
        let estate = Estate::open().map_err(io_error)?;
        info("Registering Kernel netlink command channel");
        let frames = FrameSender::open().map_err(io_error)?;
        info("Registering gratuitous ARP shared channel");
        let mut director = Self {
            prompt: plan.must_be_prompt(),
            links: Links::new(plan.options.delays.clone()),
            ports: Ports::new(plan.options.room),
            bfd: BfdPorts::new(seed),
            speaker: Speaker::new(plan.bfd, seed, now),
            router: Router::new(plan.vrrp),
            catalogue: plan.catalogue,
            equipment: Equipment::default(),
            firewall: Firewall::new(plan.options.firewall),
            monitor,
            estate,
            frames,
            mailbox,
            wishes,
            lacking: BTreeSet::new(),
            dropped: 0,
            next_wall: now,
            watch_addresses: plan.options.watch_addresses,
            keep: false,
            finished: false,
        };
        if let Err(error) = director.firewall.clear() {
            tracing::warn!(target: "Keepalived_vrrp", "{error}");
        }
        director.equipment.no_local_igmp(plan.options.no_local_igmp);
        director.look_at_clock(now);
        director.links.look(now, &director.monitor, &mut director.router);
        Ok(director)
    }

    fn look_at_clock(&mut self, now: Time) {
        if now < self.next_wall {
            return;
        }
        self.next_wall = now + WALL_CLOCK;
        let (seconds, micros) = clock::wall();
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(micros) * 1000);
        self.router.handle(now, wall_clock(nanos, now.since(Time::ZERO)));
    }

    fn obey(&mut self, now: Time, order: Order) {
        match order {
            Order::Start => self.start(now),
            Order::Tracked(input) => self.router.handle(now, input),
            Order::Reload(plan) => self.reload(now, *plan),
            Order::ClearStatistics => self.router.handle(now, Input::ClearStatistics),
            Order::Snapshot(to) => {
                // Who asked and went away misses nothing.
                let _ = to.try_send(Box::new(self.snapshot(now)));
            }
            Order::Stop { keep } => {
                self.keep = keep;
                self.router.handle(now, Input::Stop);
            }
        }
    }

    fn start(&mut self, now: Time) {
        self.estate.set_statics(now, &self.catalogue, &self.monitor);
        self.watch_statics(now);
        self.links.announce(&self.router);
        self.open_ports(now);
        self.router.handle(now, Input::Start);
    }

    fn open_ports(&mut self, now: Time) {
        self.ports.refresh(self.router.config(), &self.monitor);
        self.bfd.refresh(&self.speaker);
        self.links.look(now, &self.monitor, &mut self.router);
    }

    fn reload(&mut self, now: Time, plan: Plan) {
        if plan.must_be_prompt() && !std::mem::replace(&mut self.prompt, true) {
            let refused = plan.options.promptness.apply();
            if !refused.is_empty() {
                tracing::warn!("VRRP runs without {}", refused.join(", "));
            }
        }
        self.catalogue.extend(&plan.catalogue);
        self.links.set_delays(plan.options.delays.clone());
        self.equipment.no_local_igmp(plan.options.no_local_igmp);
        if let Err(error) = self.firewall.set_options(plan.options.firewall) {
            tracing::warn!(target: "Keepalived_vrrp", "{error}");
        }
        self.links.look(now, &self.monitor, &mut self.router);
        self.speaker.handle(now, rvs_bfd::Input::Reload(plan.bfd));
        self.router.handle(now, Input::Reload(Box::new(plan.vrrp)));
        self.carry_out(now);
        self.catalogue = plan.catalogue;
        self.estate.set_statics(now, &self.catalogue, &self.monitor);
        self.watch_statics(now);
        self.open_ports(now);
        // That the whole daemon has reloaded is said by the keeper of virtual servers, which comes behind this.
        self.wish(Wish::Reloaded);
    }

    fn snapshot(&self, now: Time) -> Snapshot {
        let of = |interface: &Interface| {
            self.monitor.addresses(Some(interface.index)).map(|facts| facts.key.ip).collect::<Vec<_>>()
        };
        Snapshot {
            router: self.router.clone(),
            bfd: self.speaker.sessions().to_vec(),
            interfaces: self.monitor.interfaces().map(|interface| (interface.clone(), of(interface))).collect(),
            now,
            wall: clock::wall(),
            dropped: self.dropped,
        }
    }

    fn wish(&mut self, wish: Wish) {
        if self.wishes.try_send(wish).is_err() {
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                tracing::warn!(target: "Keepalived_vrrp", "{} notifications were dropped so far", self.dropped);
            }
        }
    }

    fn hear_kernel(&mut self, now: Time) {
        let mut events = Vec::new();
        if let Err(error) = self.monitor.drain(&mut events) {
            tracing::warn!(target: "Keepalived_vrrp", "{error}");
        }
        if events.is_empty() {
            return;
        }
        for event in &events {
            if let Event::AddressGone(key) = event {
                // Asked before the event is taken, which may end the holding.
                for owner in self.estate.owners(key) {
                    self.router.handle(now, Input::AddressLost(owner, key.ip));
                }
            }
        }
        if self.watch_addresses {
            events.iter().for_each(|event| announce(event, &self.monitor));
        }
        let links = events.iter().any(|event| matches!(event, Event::Link(..) | Event::LinkGone(_) | Event::Resync));
        self.estate.events(now, &events, &self.catalogue, &self.monitor);
        if links {
            for (instance, name, there) in self.equipment.mend(&self.monitor) {
                self.tell_lack(now, instance, &format!("interface {name}"), !there);
            }
            self.ports.refresh(self.router.config(), &self.monitor);
        }
        self.watch_statics(now);
        self.links.look(now, &self.monitor, &mut self.router);
    }

    fn hear_peers(&mut self, now: Time) -> bool {
        let router = &mut self.router;
        let mut more = self.ports.drain(|device, packet| {
            let received = match (packet.source, packet.destination) {
                (IpAddr::V6(source), Some(IpAddr::V6(destination))) => {
                    let ipv6 = Some((source, destination, packet.hop_limit));
                    Received { interface: device.clone(), bytes: packet.bytes, ipv6 }
                }
                (IpAddr::V4(_), _) => Received { interface: device.clone(), bytes: packet.bytes, ipv6: None },
                _ => return,
            };
            router.handle(now, Input::Received(received));
        });
        let speaker = &mut self.speaker;
        more |= self.bfd.drain(|multihop, packet| {
            let (source, hop_limit, bytes) = (packet.source, packet.hop_limit, packet.bytes);
            speaker.handle(now, rvs_bfd::Input::Received { source, multihop, hop_limit, bytes });
        });
        more
    }

    fn act(&mut self, now: Time, output: Output) {
        match output {
            Output::Send(datagram) => self.ports.send(&datagram),
            Output::Frame { interface, bytes } => effects::send_frame(&self.frames, &self.monitor, &interface, &bytes),
            Output::Addresses { instance, addresses, add } => {
                if add || !self.keep {
                    let device = self.router.instance(&instance).map(|known| known.params().address_device().clone());
                    self.estate.addresses(
                        now,
                        &instance,
                        device.as_ref(),
                        &addresses,
                        add,
                        &self.catalogue,
                        &self.monitor,
                    );
                }
            }
            Output::Routes { instance, routes, add } => self.things(now, &instance, &routes, add, true),
            Output::Rules { instance, rules, add } => self.things(now, &instance, &rules, add, false),
            Output::Vmac { instance, base, vmac, add } => {
                if add || !self.keep {
                    self.equip(now, instance, &base, &vmac, add);
                }
            }
            Output::PromoteSecondaries { interface, set } => self.equipment.promote(&interface, set),
            Output::DropRule { instance, addresses, add } => self.drop_packets(&instance, &addresses, add),
            Output::Notify(notify) => self.wish(Wish::Notify(notify)),
            Output::Log(line) if line.detail => tracing::debug!(target: "Keepalived_vrrp", "{}", line.text),
            Output::Log(line) => info(&line.text),
            Output::Stopped => self.end(now),
        }
    }

    fn things(&mut self, now: Time, instance: &Name, names: &[Name], add: bool, routes: bool) {
        if add || !self.keep {
            self.estate.things(now, instance, names, add, routes, &self.catalogue, &self.monitor);
        }
    }

    fn equip(&mut self, now: Time, instance: Name, base: &Name, vmac: &Vmac, add: bool) {
        let changed = match add {
            true => self.equipment.add(&instance, base, vmac, &self.monitor),
            false => self.equipment.remove(&instance, vmac),
        };
        self.tell_lack(now, instance, &format!("interface {}", vmac.name), add && !changed);
        if changed {
            self.hear_kernel(now);
            self.ports.refresh(self.router.config(), &self.monitor);
        }
    }

    fn tell_lack(&mut self, now: Time, instance: Name, what: &str, lacking: bool) {
        self.router.handle(now, Input::Lacks { instance, what: what.into(), lacking });
    }

    /// Tells instances of static things that matter to them and are not there.
    fn watch_statics(&mut self, now: Time) {
        if self.catalogue.statics.watched.is_empty() && self.lacking.is_empty() {
            return;
        }
        let lacking = self.estate.lacking(&self.catalogue.statics);
        let before = std::mem::replace(&mut self.lacking, lacking.clone());
        for (instance, what) in before.difference(&lacking).cloned().collect::<Vec<_>>() {
            self.tell_lack(now, instance, &what, false);
        }
        for (instance, what) in lacking.difference(&before).cloned().collect::<Vec<_>>() {
            self.tell_lack(now, instance, &what, true);
        }
    }

    /// Begins or ceases to drop packets to addresses of an instance that does not accept them.
    fn drop_packets(&mut self, instance: &Name, addresses: &[VirtualAddress], add: bool) {
        let done = if !add {
            if self.keep { Ok(()) } else { self.firewall.release(instance) }
        } else {
            let device = self.router.instance(instance).map(|known| known.params().address_device().clone());
            let dropped = |vip: &VirtualAddress| {
                let device = vip.device.clone().or_else(|| device.clone()).unwrap_or_else(|| "".into());
                Dropped { address: vip.address, device }
            };
            self.firewall.hold(instance, addresses.iter().map(dropped))
        };
        if let Err(error) = done {
            tracing::warn!(target: "Keepalived_vrrp", "({instance}) {error}");
        }
    }

    fn end(&mut self, now: Time) {
        if self.keep {
            self.estate.forget(now);
            self.equipment.forget();
        } else {
            self.estate.release_all(now);
        }
        for session in self.speaker.sessions().iter().map(|session| session.params().name.clone()).collect::<Vec<_>>() {
            self.speaker.handle(now, rvs_bfd::Input::AdminDown(session, true));
        }
        self.finished = true;
    }

    fn act_bfd(&mut self, now: Time, output: rvs_bfd::Output) {
        match output {
            rvs_bfd::Output::Send(name, bytes) => self.bfd.send(&self.speaker, &name, &bytes),
            rvs_bfd::Output::Up(name, up) => {
                self.wish(Wish::Session(name.to_string(), up));
                self.router.handle(now, Input::Bfd(name, up));
            }
            rvs_bfd::Output::Log(text) => tracing::info!(target: "Keepalived_bfd", "{text}"),
        }
    }
}

/// `-a`: tells of an address that came or went.
fn announce(event: &Event, monitor: &Monitor) {
    let (key, word) = match event {
        Event::Address(facts) => (&facts.key, "added"),
        Event::AddressGone(key) => (key, "deleted"),
        _ => return,
    };
    let name = monitor.interface(key.index).map_or("(gone)", |interface| interface.name.as_str());
    info(&format!("Netlink reports {}/{} {word} on {name}", key.ip, key.prefix));
}

fn info(text: &str) {
    tracing::info!(target: "Keepalived_vrrp", "{text}");
}

impl World for Director {
    fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.extend([self.mailbox.as_fd(), self.monitor.as_fd()]);
        self.ports.watch(fds);
        self.bfd.watch(fds);
    }

    fn take_in(&mut self, now: Time) -> bool {
        self.look_at_clock(now);
        let more = self.hear_peers(now);
        self.hear_kernel(now);
        for order in self.mailbox.take() {
            // What was asked for before is done first: a reload must not overtake an address.
            self.carry_out(now);
            self.obey(now, order);
        }
        more
    }

    fn carry_out(&mut self, now: Time) {
        loop {
            if let Some(output) = self.speaker.poll() {
                self.act_bfd(now, output);
            } else if let Some(output) = self.router.poll() {
                self.act(now, output);
            } else {
                return;
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        let deadlines =
            [self.router.deadline(), self.speaker.deadline(), self.estate.deadline(), self.links.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn wake(&mut self, now: Time) {
        self.links.wake(now, &mut self.router);
        self.speaker.wake(now);
        self.router.wake(now);
        self.estate.wake(now);
        self.watch_statics(now);
    }

    fn late(&mut self, by: Duration) {
        let text = format!("VRRP thread timer expired {}.{:06} seconds ago", by.as_secs(), by.subsec_micros());
        tracing::event!(target: "Keepalived_vrrp", tracing::Level::DEBUG, "{text}");
    }

    fn finished(&self) -> bool {
        self.finished
    }
}
