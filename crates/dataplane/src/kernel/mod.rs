//! The data plane of a network namespace: eBPF programs and maps that belong to the namespace, not to a process.
//!
//! [`Director::open`] finds them or brings them into being, attached to every interface; after that packets are forwarded,
//! connections expire and rates are counted whether any process of ours is alive or not. What a director is made of lies
//! pinned in the directory that [`home`] describes, in the file system that [`place`] finds. [`update`] changes its table, by
//! the plans of [`change`]; [`listing`] and [`connections`] read it. Packets are not this module's business.

mod attach;
mod change;
mod connections;
pub mod decap;
mod detour;
pub mod explain;
mod features;
mod home;
mod links;
mod listing;
mod load;
mod map;
mod maps;
pub mod marks;
mod mmap;
mod mode;
mod netlink;
mod os;
mod place;
pub mod probes;
mod route;
mod settings;
mod status;
mod sys;
mod totals;
pub mod trace;
mod update;
pub mod watch;

pub use mode::Mode;
pub use status::{Features, Fill, InterfaceStatus, Status};
pub use sys::TestRun;

use crate::limits::Limits;
use crate::{Dataplane, Error, UpdateError};
use home::{Home, Purpose};
use maps::Maps;
use place::{How, Place, net_namespace};
use rvs_core::abi::{MarkRule, ServiceKey};
use rvs_core::settings::{Settings, defence};
use rvs_core::verdict::Reason;
use rvs_intent::{Connection, Edit, Listing, Table, Totals};
use rvs_wire::{Addr, Be16};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// The director of a network namespace: the one that the thread was in that opened it.
#[derive(Debug)]
pub struct Director {
    home: Home,
    maps: Maps,
}

/// A program that packets meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// `rvs_tc`.
    Tc,
    /// `rvs_xdp`.
    Xdp,
    /// `rvs_out`: for what this host sends itself.
    Out,
}

impl Hook {
    const fn pin(self) -> &'static str {
        match self {
            Self::Tc => load::programs::TC,
            Self::Xdp => load::programs::XDP,
            Self::Out => load::programs::OUT,
        }
    }
}

/// An error of the system in our terms, with what was being done.
fn failed(context: impl Into<String>, source: io::Error) -> Error {
    let context = context.into();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !features::privileged() => {
            Error::Permission(format!("{context} takes root (CAP_NET_ADMIN and CAP_SYS_ADMIN)"))
        }
        _ => Error::Io { context, source },
    }
}

impl Director {
    /// The director of the calling thread's network namespace; loads and attaches it when there is none. Interfaces that are
    /// new since the last call are served from now on, and what dead namespaces left behind is removed.
    ///
    /// # Errors
    /// Missing privileges, a kernel that is too old, nonsense in the variables of [`crate::limits`].
    pub fn open() -> Result<Self, Error> {
        Self::open_with(&Limits::from_env()?)
    }

    /// As [`Director::open`], with given limits for tables that are made now.
    ///
    /// # Errors
    /// As [`Director::open`].
    pub fn open_with(limits: &Limits) -> Result<Self, Error> {
        features::require()?;
        let place = Place::open(true)?.ok_or_else(|| Error::State("/run/rvs has disappeared".into()))?;
        let home = Home::new(place, Purpose::Director, net_namespace()?);
        home.collect()?;
        if !home.alive()? {
            let _lock = home.lock(How::Exclusive)?;
            if !home.alive()? {
                create(&home, limits)?;
            }
        }
        Self::ready(home)
    }

    /// The director of the calling thread's network namespace, if there is one.
    ///
    /// # Errors
    /// As [`Director::open`].
    pub fn existing() -> Result<Option<Self>, Error> {
        features::require()?;
        let Some(home) = Self::home()? else { return Ok(None) };
        home.collect()?;
        if home.alive()? { Self::ready(home).map(Some) } else { Ok(None) }
    }

    fn home() -> Result<Option<Home>, Error> {
        let inode = net_namespace()?;
        Ok(Place::open(false)?.map(|place| Home::new(place, Purpose::Director, inode)))
    }

    /// Opens what is there, brings it up to date with this tool and the interfaces.
    fn ready(home: Home) -> Result<Self, Error> {
        let older = |home: &Home| home.fact(load::OBJECT_FACT).as_deref() != Some(load::OBJECT_HASH);
        if older(&home) {
            let _lock = home.lock(How::Exclusive)?;
            if older(&home) {
                load::upgrade(&home)?;
            }
        }
        let mut maps = Maps::open(&home)?;
        probes::collect(&home, &mut maps)?;
        if attach::uncovered(&home)? {
            let _lock = home.lock(How::Exclusive)?;
            attach::cover(&home)?;
        }
        Ok(Self { home, maps })
    }

    /// Serves the interface `name` in this mode from now on, also when it comes back after having gone.
    ///
    /// # Errors
    /// An unknown interface, or a mode that does not fit it.
    pub fn attach(&mut self, name: &str, mode: Mode) -> Result<(), Error> {
        let _lock = self.home.lock(How::Exclusive)?;
        attach::attach(&self.home, name, mode)
    }

    /// The rules that mark packets where connections begin, in the order in which they are tried.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn mark_rules(&self) -> Result<Vec<MarkRule>, Error> {
        let _lock = self.home.lock(How::Shared)?;
        marks::read(&self.maps)
    }

    /// Replaces them, all at once: what `change` makes of those that hold.
    ///
    /// # Errors
    /// More than [`marks::MAX_RULES`], what `change` refuses, or maps that cannot be written.
    pub fn change_mark_rules(
        &mut self,
        change: impl FnOnce(&mut Vec<MarkRule>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let _lock = self.home.lock(How::Exclusive)?;
        let mut rules = marks::read(&self.maps)?;
        change(&mut rules)?;
        marks::write(&mut self.maps, &rules)
    }

    /// Leaves the interface `name` alone from now on.
    ///
    /// # Errors
    /// An unknown interface.
    pub fn detach(&mut self, name: &str) -> Result<(), Error> {
        let _lock = self.home.lock(How::Exclusive)?;
        attach::detach(&self.home, name)
    }

    /// Removes the director of the calling thread's network namespace with its table, connections and counters, those of
    /// other versions of RVS as well. Returns whether there was one.
    ///
    /// # Errors
    /// Missing privileges, or pins that cannot be removed.
    pub fn teardown() -> Result<bool, Error> {
        features::require()?;
        let Some(home) = Self::home()? else { return Ok(false) };
        home.collect()?;
        let lock = home.lock(How::Exclusive)?;
        let others = home.others(Purpose::Director)?;
        for name in &others {
            home.remove_other(name)?;
        }
        let alive = home.alive()?;
        if alive {
            detour::remove(&home)?;
            attach::release(&home)?;
        }
        home.remove_with(lock)?;
        Ok(alive || !others.is_empty())
    }

    /// How many packets ended for each reason, on all interfaces since the director exists.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn reasons(&self) -> Result<Vec<(Reason, u64)>, Error> {
        let counts = self.maps.reasons()?;
        let count = |reason: &Reason| (*reason, counts.get(*reason as usize).copied().unwrap_or(0));
        Ok(Reason::ALL.iter().map(count).collect())
    }

    /// What is attached where, what the kernel offers, how full the tables are.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        status::read(&self.home, &self.maps)
    }

    /// The settings in force.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn settings(&self) -> Result<Settings, Error> {
        settings::read(&self.maps)
    }

    /// The settings of a director that is made now on this machine.
    pub fn initial_settings() -> Settings {
        settings::initial()
    }

    /// Whether so few connection records are free that the automatic defences are on.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn is_short(&self) -> Result<bool, Error> {
        Ok(self.maps.control()?.defends(defence::SHORT))
    }

    /// Changes the settings, all at once or, when `change` refuses, not at all. The defences follow before this returns.
    ///
    /// # Errors
    /// What `change` refuses with; the tables cannot be written.
    pub fn change_settings<E: From<Error>>(
        &mut self,
        change: impl FnOnce(&mut Settings) -> Result<(), E>,
    ) -> Result<(), E> {
        let _lock = self.home.lock(How::Exclusive)?;
        let mut settings = settings::read(&self.maps)?;
        change(&mut settings)?;
        settings::change(&mut self.maps, &settings)?;
        Ok(load::control(&self.home, load::Command::Defend)?)
    }

    /// What would become of a packet now, and why. Changes nothing.
    ///
    /// # Errors
    /// A packet that cannot be, or tables that cannot be read.
    pub fn explain(&self, query: &explain::Query) -> Result<explain::Explanation, Error> {
        explain::explain(self, query)
    }

    /// Tells of packets that fit `filter`, of one in `sample` of them on each CPU, until what is returned is dropped.
    ///
    /// # Errors
    /// Somebody else is being told, or the maps cannot be opened.
    pub fn trace(&self, filter: &trace::Filter, sample: u32) -> Result<trace::Tracing, Error> {
        trace::Tracing::begin(self, filter, sample)
    }

    /// Runs a program on `packet` (from the Ethernet header on) `repeat` times, without sending anything. The packet comes in
    /// through the loopback.
    ///
    /// # Errors
    /// A packet shorter than an Ethernet header or longer than the kernel takes.
    pub fn test_run(&self, hook: Hook, packet: &[u8], repeat: u32) -> Result<TestRun, Error> {
        let program = self.home.need(hook.pin())?;
        let told = match hook {
            Hook::Tc | Hook::Out => sys::Told::Tc(0),
            Hook::Xdp => sys::Told::Nothing,
        };
        let run = sys::test_run(program.as_fd(), packet, repeat, told);
        run.map_err(|error| failed("running a program on a packet", error))
    }

    /// Runs the program of a hook at TC once on a packet with a firewall mark.
    ///
    /// # Errors
    /// As [`Director::test_run`], and XDP, where packets have no mark.
    pub fn test_run_marked(&self, hook: Hook, mark: u32, packet: &[u8]) -> Result<TestRun, Error> {
        if hook == Hook::Xdp {
            return Err(Error::Unsupported("packets at XDP have no mark".into()));
        }
        let program = self.home.need(hook.pin())?;
        let run = sys::test_run(program.as_fd(), packet, 1, sys::Told::Tc(mark));
        run.map_err(|error| failed("running a program on a packet", error))
    }

    /// Runs `rvs_xdp` once on a packet that comes in through the interface `name`, which must have XDP in its driver.
    ///
    /// # Errors
    /// As [`Director::test_run`], and an unknown interface.
    pub fn test_run_xdp(&self, name: &str, packet: &[u8]) -> Result<TestRun, Error> {
        let program = self.home.need(Hook::Xdp.pin())?;
        let run = sys::test_run(program.as_fd(), packet, 1, sys::Told::Xdp(attach::find(name)?.index));
        run.map_err(|error| failed("running a program on a packet", error))
    }

    /// Where the program of a hook is pinned, for those who want to run it themselves. Valid while the director is open.
    pub fn program_pin(&self, hook: Hook) -> PathBuf {
        self.home.path(hook.pin())
    }

    /// Visits every connection now, as the kernel does by itself once a second: those whose time is up are gone afterwards.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn sweep(&self) -> Result<(), Error> {
        load::control(&self.home, load::Command::Sweep)
    }

    /// Makes a round through the addresses that lblc and lblcr remember, as the kernel does by itself once a minute: see
    /// [`rvs_core::sched::cache`].
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn forget_addresses(&self) -> Result<(), Error> {
        load::control(&self.home, load::Command::Forget)
    }

    /// How many addresses lblc and lblcr remember, for all services together.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn remembered_addresses(&self) -> Result<u32, Error> {
        self.maps.remembered_addresses()
    }
}

/// Makes the director. The lock must be held.
fn create(home: &Home, limits: &Limits) -> Result<(), Error> {
    if let Some(other) = home.others(Purpose::Director)?.first() {
        return Err(Error::State(format!(
            "this network namespace has the tables of another version of RVS ({other}); `rvs teardown` removes them"
        )));
    }
    home.create(|home| load::director(home, limits))
}

impl Dataplane for Director {
    fn set_probe(&mut self, number: u16, probe: &probes::Probe) -> Result<u32, Error> {
        Self::set_probe(self, number, probe)
    }

    fn remove_probe(&mut self, number: u16) -> Result<(), Error> {
        Self::remove_probe(self, number)
    }

    fn renew_probes(&mut self) -> Result<(), Error> {
        Self::renew_probes(self)
    }

    fn probes(&mut self) -> Result<Vec<(u16, probes::Probe)>, Error> {
        Self::probes(self)
    }

    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        let _lock = self.home.lock(How::Exclusive)?;
        let home = &self.home;
        update::update(
            &mut self.maps,
            edits,
            |marks| detour::fit(home, marks),
            |wanted| attach::want_outlet(home, attach::Outlet::Here, wanted),
        )?;
        let deletes = |edit: &Edit| matches!(edit, Edit::DeleteService(_) | Edit::DeleteDest(..) | Edit::Flush);
        if edits.iter().any(deletes) && settings::read(&self.maps)?.expire_nodest_conn != 0 {
            // The sweeper would find the connections of what was deleted within a second; they are to end at once.
            load::control(&self.home, load::Command::Sweep)?;
        }
        Ok(())
    }

    fn purge(&mut self, service: &ServiceKey, addr: Addr, port: Be16) -> Result<u32, UpdateError> {
        // Nobody may give the destination's number to another meanwhile.
        let _lock = self.home.lock(How::Exclusive)?;
        let (dest, connections) = update::purged(&mut self.maps, service, addr, port)?;
        load::control_number(&self.home, load::Command::Purge, dest)?;
        Ok(connections)
    }

    fn preview(&mut self, edits: &[Edit]) -> Result<Table, UpdateError> {
        let _lock = self.home.lock(How::Shared)?;
        update::preview(&self.maps, edits)
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        let _lock = self.home.lock(How::Shared)?;
        listing::read(&self.maps)
    }

    fn revision(&mut self) -> Result<Option<u32>, Error> {
        Ok(Some(self.maps.control()?.generation.get()))
    }

    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        connections::read(&self.maps)
    }

    fn each_connection(&mut self, visit: &mut dyn FnMut(&Connection) -> ControlFlow<()>) -> Result<(), Error> {
        connections::each(&self.maps, visit)
    }

    fn totals(&mut self) -> Result<Totals, Error> {
        let _lock = self.home.lock(How::Shared)?;
        totals::read(&self.home, &self.maps)
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError> {
        let _lock = self.home.lock(How::Exclusive)?;
        update::zero(&mut self.maps, service)?;
        if service.is_none() {
            totals::zero(&self.home, &self.maps)?;
        }
        Ok(())
    }
}
