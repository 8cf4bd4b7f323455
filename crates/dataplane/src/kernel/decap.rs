//! A real server's end of tunnels: `rvs_decap` at TC ingress of a device takes IP-in-IP, GRE and GUE apart, where the
//! kernel has no tunnel device for it. Lives in a directory of its own in the bpf file system and needs none of a director's tables.

use super::home::{Home, Purpose};
use super::load::{self, programs};
use super::place::{How, Place, net_namespace};
use super::{attach as on, failed};
use crate::Error;
use std::io;

fn home(create: bool) -> Result<Option<Home>, Error> {
    let inode = net_namespace()?;
    Ok(Place::open(create)?.map(|place| Home::new(place, Purpose::Decap, inode)))
}

/// The UDP port that GUE comes to unless another is chosen.
pub const GUE_PORT: u16 = 6080;

/// Attaches to the device `name` of the calling thread's network namespace, with GUE at `gue_port` (all devices of a namespace
/// share it; `None`: as it is, at first [`GUE_PORT`]). Attaching again does nothing.
///
/// # Errors
/// Missing privileges, an old kernel, an unknown device, another port for GUE than the namespace already has.
pub fn attach(name: &str, gue_port: Option<u16>) -> Result<(), Error> {
    let interface = on::find(name)?;
    let home = home(true)?.ok_or_else(|| Error::State("/run/rvs has disappeared".into()))?;
    home.collect()?;
    let _lock = home.lock(How::Exclusive)?;
    if !home.alive()? {
        home.create(|home| load::decap(home, gue_port.unwrap_or(GUE_PORT)))?;
    } else if let (Some(wanted), Some(had)) = (gue_port, home.fact(load::GUE_PORT_FACT))
        && had != wanted.to_string()
    {
        return Err(Error::State(format!(
            "GUE is taken at port {had} here; detach all devices to change it to {wanted}"
        )));
    }
    on::put_tc(&home, &interface, programs::DECAP)
}

/// Detaches from the device `name`; when it was the last, nothing is left.
///
/// # Errors
/// Not attached, or an unknown device.
pub fn detach(name: &str) -> Result<(), Error> {
    let interface = on::find(name)?;
    let none = || failed(format!("{name} takes no tunnels apart"), io::ErrorKind::NotFound.into());
    let home = home(false)?.ok_or_else(none)?;
    let lock = home.lock(How::Exclusive)?;
    if !home.alive()? {
        return Err(none());
    }
    on::take(&home, &interface)?;
    let used = home.pins()?.iter().any(|pin| pin.starts_with("tc-") || pin.starts_with("cls-"));
    if used { Ok(()) } else { home.remove_with(lock) }
}
