//! The settings of a director: read from the root record, and changed in it by one store.

use super::change::store::{Area, Store};
use super::maps::Maps;
use crate::Error;
use nix::unistd::{SysconfVar, sysconf};
use rvs_core::abi::Control;
use rvs_core::settings::{CPUS, Settings};
use std::mem::offset_of;
use zerocopy::IntoBytes;

/// The settings of a new director on this machine.
pub(crate) fn initial() -> Settings {
    let pages = sysconf(SysconfVar::_PHYS_PAGES).ok().flatten().unwrap_or(0);
    let mut settings = Settings { sync_qlen_max: i32::try_from(pages / 32).unwrap_or(i32::MAX), ..Settings::DEFAULT };
    for cpu in aya::util::online_cpus().unwrap_or_default() {
        if (cpu as usize) < CPUS {
            settings.est_cpulist[cpu as usize / 32] |= 1 << (cpu % 32);
        }
    }
    settings
}

/// Writes the settings of a director that is being made.
pub(crate) fn begin(maps: &mut Maps) -> Result<(), Error> {
    maps.store(Area::Control, 0, slot(0), initial().as_bytes())
}

/// The settings in force.
pub(crate) fn read(maps: &Maps) -> Result<Settings, Error> {
    Ok(*maps.control()?.settings())
}

/// Puts other settings in force, all at once. The lock must be held.
pub(crate) fn change(maps: &mut Maps, settings: &Settings) -> Result<(), Error> {
    let now = maps.control()?.settings_at.get();
    let other = 1 - (now & 1);
    maps.store(Area::Control, 0, slot(other), settings.as_bytes())?;
    maps.store(Area::Control, 0, offset_of!(Control, settings_at), &other.to_ne_bytes())
}

const fn slot(which: u32) -> usize {
    offset_of!(Control, settings) + which as usize * size_of::<Settings>()
}
