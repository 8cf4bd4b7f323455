//! Programs on interfaces: every interface of the network namespace has `rvs_tc` at TC ingress, some have `rvs_xdp` in front of
//! it. The loopback carries what clients on this host send.
//!
//! From kernel 6.6 on a link holds the program there, pinned as `tc-<index>` (XDP on all kernels: `xdp-<index>`); unpinning it
//! detaches. Below, a filter of the clsact qdisc does, with a fixed priority and handle, remembered by the fact `cls-<index>`.
//! While there is something to do for it (the fact `outlets` says so), `rvs_out` is at TC egress of the same interfaces: pins
//! `out-<index>`, facts `cout-<index>`.
//!
//! The facts `mode-<name>` hold what the user chose, so that an interface that comes back is served as before.

use super::detour;
use super::home::Home;
use super::links::{self, Interface};
use super::load::programs;
use super::map::Map;
use super::mode::{Mode, Xdp, choose};
use super::sys::{self, AttachType};
use super::{failed, features};
use crate::Error;
use aya::programs::links::Link;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use rvs_core::abi::{XdpPort, xdp_slot};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use zerocopy::IntoBytes;

/// Fact: an interface that the user wants to be left alone.
const OFF: &str = "off";
/// Priority of the filter below kernel 6.6: before those that `tc` adds by default.
const PRIORITY: u16 = 2;
/// Its handle.
const HANDLE: TcHandle = TcHandle::new(0, 0x5256);

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE`.
const XDP_GENERIC: u32 = 1 << 1;
const XDP_NATIVE: u32 = 1 << 2;

fn tc_pin(index: u32) -> String {
    format!("tc-{index}")
}

fn cls_fact(index: u32) -> String {
    format!("cls-{index}")
}

fn out_pin(index: u32) -> String {
    format!("out-{index}")
}

fn cout_fact(index: u32) -> String {
    format!("cout-{index}")
}

fn xdp_pin(index: u32) -> String {
    format!("xdp-{index}")
}

/// Names of facts may not hold dots, names of interfaces may.
fn mode_fact(name: &str) -> String {
    let hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("mode-{hex}")
}

/// What is attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// The interface.
    pub(crate) interface: Interface,
    /// What the user chose; `None`: to be left alone.
    pub(crate) chosen: Option<Mode>,
    /// Id of the link and of the program at TC; the link's is 0 for a filter.
    pub(crate) tc: Option<(u32, u32)>,
    /// Id of the link and of the program at XDP.
    pub(crate) xdp: Option<(u32, u32)>,
}

fn chosen(home: &Home, name: &str) -> Option<Mode> {
    match home.fact(&mode_fact(name)) {
        Some(fact) if fact == OFF => None,
        Some(fact) => Some(fact.parse().unwrap_or_default()),
        None => Some(Mode::Auto),
    }
}

/// Whether programs that see Ethernet headers fit an interface. The loopback's frames have them, too.
fn served(interface: &Interface) -> bool {
    (interface.ethernet || interface.loopback) && interface.name != detour::PEER
}

/// The ids of the link pinned there, if it is still on this interface.
fn link_ids(home: &Home, pin: &str, index: u32) -> Option<(u32, u32)> {
    let info = sys::link_info(home.open(pin).ok()??.as_fd()).ok()?;
    (info.target == index).then_some((info.id, info.prog_id))
}

fn tc_ids(home: &Home, index: u32) -> Option<(u32, u32)> {
    let filter = || Some((0, home.fact(&cls_fact(index))?.parse().ok()?));
    link_ids(home, &tc_pin(index), index).or_else(filter)
}

/// All interfaces, and what is attached to them.
pub(crate) fn attached(home: &Home) -> Result<Vec<Attached>, Error> {
    let interfaces = links::interfaces()?.into_iter();
    let one = |interface: Interface| Attached {
        chosen: chosen(home, &interface.name).filter(|_| served(&interface)),
        tc: tc_ids(home, interface.index),
        xdp: link_ids(home, &xdp_pin(interface.index), interface.index),
        interface,
    };
    Ok(interfaces.map(one).collect())
}

/// Whether [`cover`] has anything to do.
pub(crate) fn uncovered(home: &Home) -> Result<bool, Error> {
    let attached = attached(home)?;
    let lacks = |at: &Attached| at.tc.is_none() || needs_outlet(home, at.interface.index);
    let missing = attached.iter().any(|at| at.chosen.is_some() && lacks(at));
    Ok(missing || !vanished(home, &attached)?.is_empty())
}

/// Pins and facts of interfaces that are no more.
fn vanished(home: &Home, attached: &[Attached]) -> Result<Vec<String>, Error> {
    let gone = |pin: &String| {
        let index = ["tc-", "xdp-", "cls-", "out-", "cout-"]
            .iter()
            .find_map(|prefix| pin.strip_prefix(prefix)?.parse::<u32>().ok());
        index.is_some_and(|index| attached.iter().all(|at| at.interface.index != index))
    };
    Ok(home.pins()?.into_iter().filter(gone).collect())
}

/// Attaches to interfaces that are new, and forgets those that are no more. The lock must be held.
pub(crate) fn cover(home: &Home) -> Result<(), Error> {
    let attached = attached(home)?;
    for pin in vanished(home, &attached)? {
        match pin.strip_prefix("xdp-").and_then(|index| index.parse().ok()) {
            Some(index) => drop_xdp(home, index)?,
            None => home.unpin(&pin)?,
        }
    }
    for at in attached.iter().filter(|at| at.tc.is_none()) {
        let Some(mode) = at.chosen else { continue };
        match put(home, &at.interface, mode) {
            // It has gone while we looked.
            Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::ENODEV) => {}
            done => done?,
        }
    }
    let served: Vec<_> = attached.into_iter().filter(|at| at.chosen.is_some()).map(|at| at.interface).collect();
    served.iter().filter(|interface| needs_outlet(home, interface.index)).try_for_each(|interface| {
        match put_outlet(home, interface) {
            Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            done => done,
        }
    })
}

/// Fact: `rvs_out` is wanted; why, as the names of [`Outlet`]s.
const OUTLETS: &str = "outlets";

/// What `rvs_out` is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outlet {
    /// Answers of real servers on this host.
    Here,
    /// Health checks by virtual services.
    Probes,
}

impl Outlet {
    const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Probes => "probes",
        }
    }
}

/// Whether `rvs_out` is wanted for this.
pub(crate) fn has_outlet(home: &Home, why: Outlet) -> bool {
    home.fact(OUTLETS).is_some_and(|fact| fact.split(' ').any(|name| name == why.name()))
}

/// Wants `rvs_out` for this, or no longer. It is at the way out of every served interface when this returns, or at none. The
/// lock must be held.
pub(crate) fn want_outlet(home: &Home, why: Outlet, wanted: bool) -> Result<(), Error> {
    if has_outlet(home, why) == wanted {
        return Ok(());
    }
    let fact = home.fact(OUTLETS).unwrap_or_default();
    let mut names: Vec<&str> = fact.split(' ').filter(|name| !name.is_empty() && *name != why.name()).collect();
    if wanted {
        names.push(why.name());
        home.note(OUTLETS, &names.join(" "))?;
        return cover(home);
    }
    if !names.is_empty() {
        return home.note(OUTLETS, &names.join(" "));
    }
    home.unpin(OUTLETS)?;
    attached(home)?.iter().try_for_each(|at| take_outlet(home, &at.interface))
}

/// Whether `rvs_out` is wanted and not there.
fn needs_outlet(home: &Home, index: u32) -> bool {
    let there = || link_ids(home, &out_pin(index), index).is_some() || home.fact(&cout_fact(index)).is_some();
    home.fact(OUTLETS).is_some() && !there()
}

fn put_outlet(home: &Home, interface: &Interface) -> Result<(), Error> {
    let context = |error| failed(format!("attaching {} to {}", programs::OUT, interface.name), error);
    if features::tcx() {
        let program = home.need(programs::OUT)?;
        let link = sys::link_create(program.as_fd(), interface.index, AttachType::TcxEgress, 0).map_err(context)?;
        return home.pin(&out_pin(interface.index), link);
    }
    put_out_filter(home, interface, programs::OUT).map_err(|error| context(io::Error::other(error)))?;
    home.note(&cout_fact(interface.index), "1")
}

fn take_outlet(home: &Home, interface: &Interface) -> Result<(), Error> {
    drop_link(home, &out_pin(interface.index))?;
    let fact = cout_fact(interface.index);
    if home.fact(&fact).is_some() {
        let filter = SchedClassifierLink::attached(&interface.name, TcAttachType::Egress, PRIORITY, HANDLE, None);
        let detached = filter.and_then(|link| link.detach().map_err(io::Error::other));
        detached.map_err(|error| failed(format!("detaching from {}", interface.name), error))?;
        home.unpin(&fact)?;
    }
    Ok(())
}

/// Attaches as the user chose, and remembers it. The lock must be held.
pub(crate) fn attach(home: &Home, name: &str, mode: Mode) -> Result<(), Error> {
    let interface = find(name)?;
    if !served(&interface) {
        return Err(Error::Unsupported(format!("{name}: interfaces without Ethernet headers are not served")));
    }
    if interface.loopback && !matches!(mode, Mode::Auto | Mode::Tc) {
        return Err(Error::Unsupported(format!("{name}: the loopback is served at TC only")));
    }
    put(home, &interface, mode)?;
    home.note(&mode_fact(name), &mode.to_string())
}

/// Detaches, and remembers that the user wants it so. The lock must be held.
pub(crate) fn detach(home: &Home, name: &str) -> Result<(), Error> {
    let interface = find(name)?;
    home.note(&mode_fact(name), OFF)?;
    take(home, &interface)
}

/// The setting that lets packets from addresses of this host come in through the loopback, as real servers' answers to
/// clients on the director do.
const ACCEPT_LOCAL: &str = "/proc/sys/net/ipv4/conf/lo/accept_local";
/// Fact: it was off.
const LOCAL_WAS_OFF: &str = "accept-local-was-off";

fn accept_local(home: &Home) -> Result<(), Error> {
    if fs::read_to_string(ACCEPT_LOCAL).is_ok_and(|value| value.trim() == "0") {
        home.note(LOCAL_WAS_OFF, "1")?;
        fs::write(ACCEPT_LOCAL, "1").map_err(|error| failed(format!("setting {ACCEPT_LOCAL}"), error))?;
    }
    Ok(())
}

/// Detaches from everything that outlives its pin. The lock must be held.
pub(crate) fn release(home: &Home) -> Result<(), Error> {
    if home.fact(LOCAL_WAS_OFF).is_some() {
        fs::write(ACCEPT_LOCAL, "0").map_err(|error| failed(format!("setting {ACCEPT_LOCAL}"), error))?;
    }
    let filters = attached(home)?.into_iter().filter(|at| {
        [cls_fact(at.interface.index), cout_fact(at.interface.index)].iter().any(|fact| home.fact(fact).is_some())
    });
    filters.into_iter().try_for_each(|at| take(home, &at.interface))
}

pub(super) fn find(name: &str) -> Result<Interface, Error> {
    let found = links::interfaces()?.into_iter().find(|interface| interface.name == name);
    found.ok_or_else(|| failed(format!("interface {name}"), io::Error::from_raw_os_error(libc::ENODEV)))
}

fn put(home: &Home, interface: &Interface, mode: Mode) -> Result<(), Error> {
    let xdp = choose(mode, interface, &links::driver(&interface.name)).map_err(Error::Unsupported)?;
    put_tc(home, interface, programs::TC)?;
    if needs_outlet(home, interface.index) {
        put_outlet(home, interface)?;
    }
    if interface.loopback {
        accept_local(home)?;
    }
    let pin = xdp_pin(interface.index);
    drop_xdp(home, interface.index)?;
    let flags = match xdp {
        Xdp::No => return Ok(()),
        Xdp::Try | Xdp::Native => XDP_NATIVE,
        Xdp::Generic => XDP_GENERIC,
    };
    let program = home.need(programs::XDP)?;
    match sys::link_create(program.as_fd(), interface.index, AttachType::Xdp, flags) {
        Ok(link) => {
            home.pin(&pin, link)?;
            open_port(home, interface, flags == XDP_NATIVE)
        }
        Err(_) if xdp == Xdp::Try => Ok(()),
        Err(error) => Err(failed(format!("attaching XDP ({mode}) to {}", interface.name), error)),
    }
}

/// Attaches a program at TC ingress unless it is there.
pub(super) fn put_tc(home: &Home, interface: &Interface, program: &str) -> Result<(), Error> {
    if tc_ids(home, interface.index).is_some() {
        return Ok(());
    }
    let context = |error| failed(format!("attaching {program} to {}", interface.name), error);
    if features::tcx() {
        let program = home.need(program)?;
        let link = sys::link_create(program.as_fd(), interface.index, AttachType::TcxIngress, 0).map_err(context)?;
        return home.pin(&tc_pin(interface.index), link);
    }
    put_filter(home, interface, program).map_err(|error| context(io::Error::other(error)))?;
    let id = sys::prog_id(home.need(program)?.as_fd()).map_err(context)?;
    home.note(&cls_fact(interface.index), &id.to_string())
}

/// The pin of the program at the detour of marked packets.
pub(super) const EGRESS: &str = "egress";

/// Attaches a program at TC egress unless it is there. Where it is a filter, it goes with the interface.
pub(super) fn put_egress(home: &Home, interface: &Interface, program: &str) -> Result<(), Error> {
    if link_ids(home, EGRESS, interface.index).is_some() {
        return Ok(());
    }
    let context = |error| failed(format!("attaching {program} to {}", interface.name), error);
    home.unpin(EGRESS)?;
    if features::tcx() {
        let program = home.need(program)?;
        let link = sys::link_create(program.as_fd(), interface.index, AttachType::TcxEgress, 0).map_err(context)?;
        return home.pin(EGRESS, link);
    }
    put_out_filter(home, interface, program).map_err(|error| context(io::Error::other(error)))
}

fn put_out_filter(home: &Home, interface: &Interface, program: &str) -> Result<(), ProgramError> {
    match qdisc_add_clsact(&interface.name) {
        Ok(()) => {}
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    if let Ok(old) = SchedClassifierLink::attached(&interface.name, TcAttachType::Egress, PRIORITY, HANDLE, None) {
        let _ = old.detach();
    }
    let mut program = SchedClassifier::from_pin(home.path(program))?;
    let options = TcAttachOptions::Netlink(NlOptions { priority: PRIORITY, handle: HANDLE, classid: None });
    let link = program.attach_with_options(&interface.name, TcAttachType::Egress, options)?;
    // The link would take the filter away when dropped.
    std::mem::forget(program.take_link(link)?);
    Ok(())
}

fn put_filter(home: &Home, interface: &Interface, program: &str) -> Result<(), ProgramError> {
    match qdisc_add_clsact(&interface.name) {
        Ok(()) => {}
        // Somebody's clsact is as good as ours.
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    // One that nobody remembers is of a tool that died, or of tables that are gone.
    let _ = filter(interface).and_then(|link| link.detach().map_err(io::Error::other));
    let mut program = SchedClassifier::from_pin(home.path(program))?;
    let options = TcAttachOptions::Netlink(NlOptions { priority: PRIORITY, handle: HANDLE, classid: None });
    let link = program.attach_with_options(&interface.name, TcAttachType::Ingress, options)?;
    // The link would take the filter away when dropped.
    std::mem::forget(program.take_link(link)?);
    Ok(())
}

/// Puts the pinned `rvs_tc` into the filters that hold an older one.
pub(crate) fn replace_filters(home: &Home) -> Result<(), Error> {
    for at in attached(home)? {
        let fact = cls_fact(at.interface.index);
        if home.fact(&fact).is_none() {
            continue;
        }
        let context = |error| failed(format!("replacing the program on {}", at.interface.name), error);
        let replace = || -> Result<(), ProgramError> {
            let mut program = SchedClassifier::from_pin(home.path(programs::TC))?;
            let link = program.attach_to_link(filter(&at.interface)?)?;
            std::mem::forget(program.take_link(link)?);
            Ok(())
        };
        replace().map_err(|error| context(io::Error::other(error)))?;
        let id = sys::prog_id(home.need(programs::TC)?.as_fd()).map_err(context)?;
        home.note(&fact, &id.to_string())?;
        if home.fact(&cout_fact(at.interface.index)).is_some() {
            let replaced = put_out_filter(home, &at.interface, programs::OUT);
            replaced.map_err(|error| context(io::Error::other(error)))?;
        }
    }
    Ok(())
}

fn filter(interface: &Interface) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(&interface.name, TcAttachType::Ingress, PRIORITY, HANDLE, None)
}

/// Writes an interface's slot among those that have XDP, if there is a map for it: a real server's home has none.
fn write_port(home: &Home, index: u32, port: XdpPort) -> Result<(), Error> {
    let Some(fd) = home.open("XDP_PORTS")? else { return Ok(()) };
    let write = || Map::new(fd)?.update(&xdp_slot(index).to_ne_bytes(), port.as_bytes());
    write().map_err(|error| failed("telling XDP about an interface", error))
}

/// Lets XDP serve an interface, and send out of it when the program is in the driver.
fn open_port(home: &Home, interface: &Interface, native: bool) -> Result<(), Error> {
    let port = XdpPort { ifindex: interface.index, mac: interface.mac, native: native as u8, pad: 0 };
    write_port(home, interface.index, port)
}

/// Takes XDP off an interface, if it is there.
fn drop_xdp(home: &Home, index: u32) -> Result<(), Error> {
    let pin = xdp_pin(index);
    if home.open(&pin)?.is_some() {
        write_port(home, index, XdpPort::default())?;
    }
    drop_link(home, &pin)
}

/// Detaches the link pinned there, if there is one. Unpinning alone would detach it some time later.
fn drop_link(home: &Home, pin: &str) -> Result<(), Error> {
    if let Some(link) = home.open(pin)? {
        match sys::link_detach(link.as_fd()) {
            // Its interface has gone.
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) && error.raw_os_error() != Some(libc::ENOLINK) => {
                return Err(failed(format!("detaching `{pin}`"), error));
            }
            _ => {}
        }
    }
    home.unpin(pin)
}

/// Detaches from one interface.
pub(super) fn take(home: &Home, interface: &Interface) -> Result<(), Error> {
    drop_xdp(home, interface.index)?;
    take_outlet(home, interface)?;
    drop_link(home, &tc_pin(interface.index))?;
    let fact = cls_fact(interface.index);
    if home.fact(&fact).is_some() {
        let detached = filter(interface).and_then(|link| link.detach().map_err(io::Error::other));
        detached.map_err(|error| failed(format!("detaching from {}", interface.name), error))?;
        home.unpin(&fact)?;
    }
    Ok(())
}
