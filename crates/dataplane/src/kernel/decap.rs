//! A real server's end of tunnels: `rvs_decap` at TC ingress of a device takes IP-in-IP apart, where the kernel has no tunnel
//! device for it. Lives in a directory of its own in the bpf file system and needs none of a director's tables.

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

/// Attaches to the device `name` of the calling thread's network namespace. Attaching again does nothing.
///
/// # Errors
/// Missing privileges, an old kernel, an unknown device.
pub fn attach(name: &str) -> Result<(), Error> {
    let interface = on::find(name)?;
    let home = home(true)?.ok_or_else(|| Error::State("/run/rvs has disappeared".into()))?;
    home.collect()?;
    let _lock = home.lock(How::Exclusive)?;
    if !home.alive()? {
        home.create(load::decap)?;
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
