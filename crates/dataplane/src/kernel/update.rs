//! One update of the table: read, edit, plan, prepare, commit, settle. The lock is held by the caller.

use super::change::image::Image;
use super::change::plan::{Capacity, Change, plan};
use super::change::settle::{roll_back, settle, stale};
use super::change::store::{Area, Store, Write, perform, perform_all};
use super::maps::Maps;
use super::os::{self, Clock};
use super::route::Router;
use crate::{Error, UpdateError};
use rvs_core::abi::{DestId, DestState, Forward, ServiceKey};
use rvs_intent::{Capabilities, Dest, Edit, LocalNet, Refusal, Rules, Service, Table};
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Be16, Family};
use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

/// How long an update spends on looking up the ways to servers it does not change.
const REFRESH: Duration = Duration::from_millis(10);

/// Applies the edits in order, or none of them. `follow` is told the marks that services go by when they change: before the
/// commit those that come in addition, after it those that are left. `outlet` is told likewise whether there are real servers on
/// this host whose answers must be translated.
pub(crate) fn update(
    maps: &mut Maps,
    edits: &[Edit],
    follow: impl Fn(&BTreeSet<(Family, u32)>) -> Result<(), Error>,
    outlet: impl Fn(bool) -> Result<(), Error>,
) -> Result<(), UpdateError> {
    let now = boot_second();
    let image = settled(maps, now)?;
    let old = image.table(&maps.sched(image.heads.services_used)?)?;
    let router = Router::new()?;
    let (services, dests) = maps.sizes();
    let (new, reborn) = edited(&old, edits, &router, services)?;
    let capacity = Capacity { services, dests, lists: maps.capacity(Area::Lists), tables: maps.capacity(Area::Tables) };
    let change = Change { image: &image, old: &old, new: &new, reborn: &reborn, now, capacity, net: &router };
    let full = |full: super::change::plan::Full| UpdateError::Refused {
        index: edits.iter().rposition(|edit| matches!(edit, Edit::AddDest(..) | Edit::AddService(..))).unwrap_or(0),
        refusal: Refusal::Limit(full.0),
    };
    let mut plan = plan(&change).map_err(full)?;
    let Some(generation) = plan.commit else { return Ok(()) };
    for (id, addr, family) in &plan.arrived {
        plan.prepare.push(Write::Way(*id, router.way(*addr, *family)));
    }
    let (before, after) = (marks(&old), marks(&new));
    if !after.is_subset(&before) {
        follow(&after.union(&before).copied().collect())?;
    }
    let answers = answers_here(&new, &router);
    if answers {
        outlet(true)?;
    }
    perform_all(maps, &plan.prepare)?;
    perform(maps, &Write::Commit(generation))?;
    let image = Image::capture(maps)?;
    perform_all(maps, &refresh(&image, &router))?;
    perform_all(maps, &settle(&image, plan.removed, now))?;
    if !before.is_subset(&after) {
        follow(&after)?;
    }
    if !answers {
        outlet(false)?;
    }
    Ok(())
}

/// Whether a real server is this host under another address or port than its service's, and its answers have to be translated
/// at the way out: see [`rvs_core::here`].
fn answers_here(table: &Table, router: &Router) -> bool {
    let datagrams = |service: &&Service| matches!(service.key.proto, 0 | proto::UDP);
    table.services.iter().filter(datagrams).any(|service| {
        let elsewhere = |dest: &Dest| dest.addr != { service.key.addr } || dest.port != service.key.port;
        let here = |dest: &&Dest| dest.forward == Forward::Masq && router.is_local(dest.addr, dest.family);
        service.dests.iter().filter(here).any(elsewhere)
    })
}

/// The marks that services go by.
fn marks(table: &Table) -> BTreeSet<(Family, u32)> {
    let keys = table.services.iter().map(|service| &service.key).filter(|key| key.proto == 0);
    keys.filter_map(|key| Some((Family::from_raw(key.family)?, key.addr.last().raw()))).collect()
}

/// The number of a destination, and how many connections it has: templates of persistence included.
pub(crate) fn purged(
    maps: &mut Maps,
    service: &ServiceKey,
    addr: Addr,
    port: Be16,
) -> Result<(DestId, u32), UpdateError> {
    let refused = |refusal| UpdateError::Refused { index: 0, refusal };
    let image = settled(maps, boot_second())?;
    let order = image.order();
    let id = order.iter().find(|id| image.services[**id as usize].key == *service);
    let list = &image.lists[*id.ok_or(refused(Refusal::NoService))? as usize];
    let found = list.iter().find(|entry| {
        let dest = &image.dests[entry.dest as usize];
        dest.addr == addr && dest.port == port
    });
    let number = found.ok_or(refused(Refusal::NoDest))?.dest;
    let dest = &image.dests[number as usize];
    Ok((number, dest.active.saturating_add(dest.inactive).saturating_add(dest.persist)))
}

/// The table as it would be after the edits.
pub(crate) fn preview(maps: &Maps, edits: &[Edit]) -> Result<Table, UpdateError> {
    let image = Image::capture(maps)?;
    let old = image.table(&maps.sched(image.heads.services_used)?)?;
    let (services, _) = maps.sizes();
    Ok(edited(&old, edits, &Router::new()?, services)?.0)
}

/// Zeroes the counters of a service and its destinations, or of all.
pub(crate) fn zero(maps: &mut Maps, service: Option<ServiceKey>) -> Result<(), UpdateError> {
    let image = settled(maps, boot_second())?;
    let mut services = image.order();
    if let Some(key) = service {
        services.retain(|id| image.services[*id as usize].key == key);
        if services.is_empty() {
            return Err(UpdateError::Refused { index: 0, refusal: Refusal::NoService });
        }
    }
    let dests: Vec<DestId> =
        services.iter().flat_map(|id| &image.lists[*id as usize]).map(|entry| entry.dest).collect();
    Ok(maps.zero(&services, &dests)?)
}

/// The records, after putting right what a writer that died may have left.
fn settled(maps: &mut Maps, now: u32) -> Result<Image, Error> {
    let image = Image::capture(maps)?;
    if image.heads.prepared == image.heads.generation {
        return Ok(image);
    }
    perform_all(maps, &roll_back(&image))?;
    let image = Image::capture(maps)?;
    let stale = stale(&image, &maps.index()?);
    perform_all(maps, &settle(&image, stale, now))?;
    Image::capture(maps)
}

/// The table after the edits, and the services that were deleted on the way.
fn edited(
    old: &Table,
    edits: &[Edit],
    router: &Router,
    most_services: u32,
) -> Result<(Table, HashSet<ServiceKey>), UpdateError> {
    let rules = Rules { capabilities: Capabilities::THIS_VERSION, net: router };
    let mut table = old.clone();
    let mut reborn = HashSet::new();
    for (index, edit) in edits.iter().enumerate() {
        match edit {
            Edit::DeleteService(key) => {
                reborn.insert(*key);
            }
            Edit::Flush => reborn.extend(table.services.iter().map(|service| service.key)),
            _ => {}
        }
        table.apply_in(edit, &rules).map_err(|refusal| UpdateError::Refused { index, refusal })?;
        if table.services.len() > most_services as usize {
            let refusal = Refusal::Limit(format!("the director holds at most {most_services} services"));
            return Err(UpdateError::Refused { index, refusal });
        }
    }
    Ok((table, reborn))
}

/// Ways that have changed since they were looked up, of as many servers as there is time for; each update goes on where
/// the one before stopped, roughly.
fn refresh(image: &Image, router: &Router) -> Vec<Write> {
    let deadline = Instant::now() + REFRESH;
    let count = image.dests.len();
    let start = (image.heads.generation as usize).wrapping_mul(256) % count.max(1);
    let mut writes = Vec::new();
    for at in (start..count).chain(0..start) {
        let dest = &image.dests[at];
        let Some(family) = Family::from_raw(dest.family).filter(|_| dest.state != DestState::Free) else { continue };
        let way = router.way(dest.addr, family);
        if way != dest.way {
            writes.push(Write::Way(at as DestId, way));
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    writes
}

/// The second of the clock that also runs while the machine sleeps.
fn boot_second() -> u32 {
    u32::try_from(os::now(Clock::Boot) / 1_000_000_000).unwrap_or(u32::MAX)
}
