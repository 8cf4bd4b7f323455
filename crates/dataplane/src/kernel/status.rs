//! What there is to know about a director: for `rvs status`. Plain data.

use super::attach::{Attached, attached};
use super::change::image::Image;
use super::home::Home;
use super::maps::{self, Maps};
use super::mode::Mode;
use super::{features, links, load};
use crate::{Error, limits};
use rvs_core::abi::{ABI_VERSION, DestState};
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long to wait for the next tick of the timers, which come forty times a second.
const TICK_WAIT: Duration = Duration::from_millis(500);

/// A director's state.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Inode number of the network namespace, as `stat -L /proc/self/ns/net` shows it.
    pub namespace: u32,
    /// Version of the records in the maps.
    pub abi: u32,
    /// The object that the loaded programs come from.
    pub object: String,
    /// Whether that is this binary's.
    pub object_is_ours: bool,
    /// The interfaces, the loopback left out.
    pub interfaces: Vec<InterfaceStatus>,
    /// What the kernel offers.
    pub features: Features,
    /// How full the tables are.
    pub fill: Fill,
    /// Ticks of the timers that expire connections, since the director exists (modulo 2^32).
    pub ticks: u32,
    /// Whether they tick.
    pub ticking: bool,
    /// Number of configuration changes so far, plus 1.
    pub generation: u32,
}

/// An interface and what is attached to it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InterfaceStatus {
    /// Name.
    pub name: String,
    /// Index.
    pub index: u32,
    /// Driver; empty if it has none.
    pub driver: String,
    /// What the user chose; `None`: to be left alone, or no Ethernet.
    pub chosen: Option<Mode>,
    /// What is in force: `tc`, `xdp native + tc`, `xdp generic + tc`, or `none`.
    pub mode: &'static str,
    /// Id of the program at TC.
    pub tc_program: Option<u32>,
    /// Id of the link at TC; `None` with clsact.
    pub tc_link: Option<u32>,
    /// Id of the program at XDP.
    pub xdp_program: Option<u32>,
    /// Id of the link at XDP.
    pub xdp_link: Option<u32>,
}

/// What the kernel offers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Features {
    /// Its release.
    pub kernel: String,
    /// Links at TC (kernel 6.6); else clsact is used.
    pub tcx: bool,
    /// Timers in maps: proved by their ticking.
    pub timers: bool,
    /// Spin locks in maps of classifiers: proved by the loaded program.
    pub spin_locks: bool,
    /// Types of the kernel are described (`/sys/kernel/btf/vmlinux`).
    pub btf: bool,
}

/// How full the tables are.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fill {
    /// Connection records in use.
    pub connections: u32,
    /// Connection records there are.
    pub connection_capacity: u32,
    /// Bytes of one connection.
    pub bytes_per_connection: u32,
    /// Services.
    pub services: u32,
    /// Services there may be.
    pub service_capacity: u32,
    /// Destinations in force.
    pub dests: u32,
    /// Deleted destinations that are remembered for their connections.
    pub remembered_dests: u32,
    /// Destinations there may be.
    pub dest_capacity: u32,
    /// Memory of all maps, in bytes.
    pub memory: u64,
}

/// Reads the status; starts the timers if they should stand still.
pub(super) fn read(home: &Home, maps: &Maps) -> Result<Status, Error> {
    let image = Image::capture(maps)?;
    let mut ticking = ticks(maps)?;
    if !ticking {
        load::control(home, load::Command::Start)?;
        ticking = ticks(maps)?;
    }
    let control = maps.control()?;
    let object = home.fact(load::OBJECT_FACT).unwrap_or_default();
    Ok(Status {
        namespace: home.inode(),
        abi: ABI_VERSION,
        object_is_ours: object == load::OBJECT_HASH,
        object,
        interfaces: attached(home)?.into_iter().map(interface).collect(),
        features: Features {
            kernel: features::release(),
            tcx: features::tcx(),
            timers: ticking,
            spin_locks: home.open(load::programs::TC)?.is_some(),
            btf: features::btf(),
        },
        fill: fill(home, maps, &image, control.conn_capacity)?,
        ticks: control.ticks.get(),
        ticking,
        generation: image.heads.generation,
    })
}

/// Whether the timers tick.
fn ticks(maps: &Maps) -> Result<bool, Error> {
    let first = maps.control()?.ticks.get();
    let deadline = Instant::now() + TICK_WAIT;
    while maps.control()?.ticks.get() == first {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(true)
}

fn fill(home: &Home, maps: &Maps, image: &Image, connection_capacity: u32) -> Result<Fill, Error> {
    let (service_capacity, dest_capacity) = maps.sizes();
    let dests = |state| image.dests.iter().filter(|dest| dest.state == state).count() as u32;
    Ok(Fill {
        connections: maps.live_conns()?,
        connection_capacity,
        bytes_per_connection: limits::BYTES_PER_CONNECTION,
        services: image.order().len() as u32,
        service_capacity,
        dests: dests(DestState::Live),
        remembered_dests: dests(DestState::Trash),
        dest_capacity,
        memory: maps::memory(home)?,
    })
}

fn interface(at: Attached) -> InterfaceStatus {
    /// `XDP_ATTACHED_SKB`.
    const GENERIC: u8 = 2;
    let mode = match (at.tc, at.xdp) {
        (_, Some(_)) if at.interface.xdp_attached == GENERIC => "xdp generic + tc",
        (_, Some(_)) => "xdp native + tc",
        (Some(_), None) => "tc",
        (None, None) => "none",
    };
    InterfaceStatus {
        driver: links::driver(&at.interface.name),
        name: at.interface.name,
        index: at.interface.index,
        chosen: at.chosen,
        mode,
        tc_program: at.tc.map(|(_, program)| program),
        tc_link: at.tc.map(|(link, _)| link).filter(|link| *link != 0),
        xdp_program: at.xdp.map(|(_, program)| program),
        xdp_link: at.xdp.map(|(link, _)| link),
    }
}
