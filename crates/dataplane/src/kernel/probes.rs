//! Health checks by virtual services: registered here, done by whoever opens the sockets.
//!
//! A real server of direct routing or of a tunnel may answer for the virtual address only. To check it as clients meet it, give
//! it a number with [`Director::set_probe`], mark a socket with what that returns (`SO_MARK`), and connect it to the real
//! server's own address and port, over TCP or UDP: its packets travel as a client's would, their answers come back to the socket
//! ([`rvs_core::probe`] says how). Requests must fit in a packet together with the tunnel's headers, and answers over UDP in one
//! packet.
//!
//! Probes hold for [`LEASE`] after the last [`Director::set_probe`] or [`Director::renew_probes`]: whoever registers them and
//! then dies costs packets nothing after that, and the next call of any tool removes what is left. Until then the program
//! `rvs_out` is at every way out.

use super::attach::{self, Outlet};
use super::change::store::{Area, Store};
use super::home::Home;
use super::map::Map;
use super::maps::{self, Maps};
use super::os::{self, Clock};
use super::place::How;
use super::{Director, failed};
use crate::Error;
use rvs_core::abi::{self, Control, Forward, MAX_PROBES};
use rvs_core::probe;
use rvs_intent::{Tunnel, TunnelKind};
use rvs_wire::{Addr, Be16, Family};
use std::mem::offset_of;
use std::net::SocketAddr;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// How long probes hold without being renewed.
pub const LEASE: Duration = Duration::from_secs(60);

/// Most probes at once.
pub const MAX: u32 = MAX_PROBES;

/// How a real server is checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Probe {
    /// The real server: where the socket connects to.
    pub real: SocketAddr,
    /// The virtual service: what the real server sees as the destination.
    pub service: SocketAddr,
    /// The tunnel that leads to it; `None`: direct routing, so the real server is on a network of the director's.
    pub tunnel: Option<Tunnel>,
}

impl Probe {
    fn record(&self) -> Result<abi::Probe, Error> {
        let ((rip, family), (vip, other)) = (Addr::from_ip(self.real.ip()), Addr::from_ip(self.service.ip()));
        if family != other {
            let (real, service) = (self.real, self.service);
            return Err(Error::Unsupported(format!(
                "a check of {real} by {service}: a socket has one family; check it by its own address"
            )));
        }
        if self.real.port() == 0 || self.service.port() == 0 {
            return Err(Error::Unsupported(format!("a check of {} by {}: which port?", self.real, self.service)));
        }
        let tunnel = self.tunnel.unwrap_or_default();
        Ok(abi::Probe {
            rip,
            vip,
            rport: Be16::new(self.real.port()),
            vport: Be16::new(self.service.port()),
            family: family.raw(),
            forward: if self.tunnel.is_some() { Forward::Tunnel } else { Forward::Route } as u8,
            tun_type: tunnel.kind as u8,
            tun_flags: tunnel.flags as u8,
            tun_port: tunnel.port,
            pad: [0; 3],
        })
    }

    fn of(record: &abi::Probe) -> Option<Self> {
        let family = Family::from_raw(record.family)?;
        let at = |addr: Addr, port: Be16| SocketAddr::new(addr.to_ip(family), port.host());
        let kind = [TunnelKind::Ipip, TunnelKind::Gue, TunnelKind::Gre].into_iter();
        let kind = kind.into_iter().find(|kind| *kind as u8 == record.tun_type)?;
        let tunnel = Tunnel { kind, port: record.tun_port, flags: record.tun_flags.into() };
        Some(Self {
            real: at(record.rip, record.rport),
            service: at(record.vip, record.vport),
            tunnel: (record.forward == Forward::Tunnel as u8).then_some(tunnel),
        })
    }
}

fn table(home: &Home) -> Result<Map, Error> {
    maps::open(home, "PROBES", size_of::<u32>(), size_of::<abi::Probe>())
}

fn hold(maps: &mut Maps, until: u32) -> Result<(), Error> {
    maps.store(Area::Control, 0, offset_of!(Control, probes_until), &until.to_ne_bytes())
}

fn second() -> u32 {
    (os::now(Clock::MonotonicCoarse) / 1_000_000_000) as u32
}

/// Removes all probes, and what they need. The lock must be held.
fn clear(home: &Home, maps: &mut Maps) -> Result<(), Error> {
    hold(maps, 0)?;
    let table = table(home)?;
    let removed = table.read_hash().and_then(|probes| probes.iter().try_for_each(|(mark, _)| table.remove(mark)));
    removed.map_err(|error| failed("removing health checks", error))?;
    attach::want_outlet(home, Outlet::Probes, false)
}

/// Whether there are probes that nobody holds any more.
fn are_left(home: &Home, maps: &Maps) -> Result<bool, Error> {
    Ok(attach::has_outlet(home, Outlet::Probes) && maps.control()?.probes_until.get() <= second())
}

/// Removes probes that nobody holds any more.
pub(super) fn collect(home: &Home, maps: &mut Maps) -> Result<(), Error> {
    if are_left(home, maps)? {
        let _lock = home.lock(How::Exclusive)?;
        if are_left(home, maps)? {
            clear(home, maps)?;
        }
    }
    Ok(())
}

impl Director {
    /// Registers a probe under a number, in place of one that has it, and gives the mark for its sockets. All probes hold for
    /// another [`LEASE`].
    ///
    /// # Errors
    /// Addresses of different families, no ports, more than [`MAX`] probes, or programs that cannot be attached.
    pub fn set_probe(&mut self, number: u16, probe: &Probe) -> Result<u32, Error> {
        let record = probe.record()?;
        let mark = probe::mark(number);
        let _lock = self.home.lock(How::Exclusive)?;
        attach::want_outlet(&self.home, Outlet::Probes, true)?;
        let table = table(&self.home)?;
        table.update(&mark.to_ne_bytes(), record.as_bytes()).map_err(|error| match error.raw_os_error() {
            Some(libc::E2BIG) => Error::State(format!("at most {MAX} health checks can go by virtual services")),
            _ => failed("registering a health check", error),
        })?;
        hold(&mut self.maps, second() + LEASE.as_secs() as u32)?;
        Ok(mark)
    }

    /// Removes the probe with this number, if there is one.
    ///
    /// # Errors
    /// The tables cannot be written.
    pub fn remove_probe(&mut self, number: u16) -> Result<(), Error> {
        let _lock = self.home.lock(How::Exclusive)?;
        match table(&self.home)?.remove(&probe::mark(number).to_ne_bytes()) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => done.map_err(|error| failed("removing a health check", error)),
        }
    }

    /// Removes all probes, and takes the program off the ways out unless something else needs it.
    ///
    /// # Errors
    /// The tables cannot be written.
    pub fn clear_probes(&mut self) -> Result<(), Error> {
        let _lock = self.home.lock(How::Exclusive)?;
        if attach::has_outlet(&self.home, Outlet::Probes) { clear(&self.home, &mut self.maps) } else { Ok(()) }
    }

    /// Lets all probes hold for another [`LEASE`]. Call it at least twice in that time.
    ///
    /// # Errors
    /// The tables cannot be written.
    pub fn renew_probes(&mut self) -> Result<(), Error> {
        let _lock = self.home.lock(How::Exclusive)?;
        if attach::has_outlet(&self.home, Outlet::Probes) {
            hold(&mut self.maps, second() + LEASE.as_secs() as u32)?;
        }
        Ok(())
    }

    /// All probes with their numbers, in ascending order.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn probes(&self) -> Result<Vec<(u16, Probe)>, Error> {
        let _lock = self.home.lock(How::Shared)?;
        let records = table(&self.home)?.read_hash().map_err(|error| failed("reading the health checks", error))?;
        let one = |(mark, record): &(Vec<u8>, Vec<u8>)| {
            let mark = u32::from_ne_bytes(*mark.first_chunk()?);
            let record = abi::Probe::read_from_bytes(record).ok()?;
            Some(((mark & (probe::MARKS - 1)) as u16, Probe::of(&record)?))
        };
        let mut probes: Vec<_> = records.iter().filter_map(one).collect();
        probes.sort_by_key(|(number, _)| *number);
        Ok(probes)
    }
}
