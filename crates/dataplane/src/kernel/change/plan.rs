//! From the table that is to the table that shall be: the writes that prepare the next generation where no packet sees it.

use super::extents::{self, Extents};
use super::image::{ENGINE_SIP, Image, is_ftp, states};
use super::store::Write;
use rvs_core::abi::{
    self, Control, DestId, DestState, Forward, ListEntry, NO_PLACE, ROW_PLACES, Service as Record, ServiceId,
    ServiceKey, ServiceSlot, TableRow,
};
use rvs_core::sched::{Kind, mh};
use rvs_intent::{Dest, Engine, LocalNet, Service, Table};
use rvs_wire::{Addr, Be16, Family};
use std::collections::{HashMap, HashSet};
use std::mem::offset_of;

/// Seconds after which no program can hold a record that was given up. Programs run for microseconds; this is for machines
/// that stand still.
const REST_SECS: u32 = 2;

/// Why there is no plan: a map is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Full(pub(crate) String);

/// How much the maps hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Services.
    pub(crate) services: u32,
    /// Destinations.
    pub(crate) dests: u32,
    /// List entries.
    pub(crate) lists: u32,
    /// Rows of tables.
    pub(crate) tables: u32,
}

/// A change to plan.
pub(crate) struct Change<'a> {
    /// The records as they are, settled.
    pub(crate) image: &'a Image,
    /// The table that the image shows.
    pub(crate) old: &'a Table,
    /// The table that is wanted.
    pub(crate) new: &'a Table,
    /// Services that were deleted on the way; those among them that are wanted begin anew.
    pub(crate) reborn: &'a HashSet<ServiceKey>,
    /// Second of the boot clock.
    pub(crate) now: u32,
    /// Size of the maps.
    pub(crate) capacity: Capacity,
    /// The host's addresses: packets to a real server with one of them stay here.
    pub(crate) net: &'a dyn LocalNet,
}

/// What to do, in three steps: prepare, commit, then settle without the removed keys.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// To be carried out first.
    pub(crate) prepare: Vec<Write>,
    /// The generation to commit; `None` when nothing changes.
    pub(crate) commit: Option<u32>,
    /// Services that are gone after the commit.
    pub(crate) removed: Vec<ServiceKey>,
    /// Destinations that are new, or back: their ways have to be looked up.
    pub(crate) arrived: Vec<(DestId, Addr, Family)>,
}

/// Plans a change.
pub(crate) fn plan(change: &Change<'_>) -> Result<Plan, Full> {
    Planner::new(change).run()
}

struct Planner<'a> {
    change: &'a Change<'a>,
    next: u32,
    /// The services that exist, by key.
    ids: HashMap<ServiceKey, ServiceId>,
    /// Records of deleted services that destinations in the trash still refer to.
    remembered: HashMap<ServiceKey, ServiceId>,
    /// Destinations that are not free, by what identifies them.
    dests: HashMap<(ServiceId, Addr, Be16), DestId>,
    free_services: std::vec::IntoIter<(ServiceId, bool)>,
    free_dests: std::vec::IntoIter<DestId>,
    extents: Extents,
    tables: Extents,
    /// Destinations that this plan takes back from the trash.
    returned: HashSet<DestId>,
    plan: Plan,
    order: u32,
    sched_versions: u32,
    services_used: u32,
    dests_used: u32,
    rushed: bool,
}

impl<'a> Planner<'a> {
    fn new(change: &'a Change<'a>) -> Self {
        let image = change.image;
        let records = || (0..).zip(&image.services);
        let ids: HashMap<_, _> =
            records().filter(|(id, _)| image.slot(*id).is_some()).map(|(id, record)| (record.key, id)).collect();
        let mut dests = HashMap::new();
        let mut referred: HashSet<ServiceId> = HashSet::new();
        for (id, dest) in (0..).zip(&image.dests).filter(|(_, dest)| dest.state != DestState::Free) {
            dests.insert((dest.service, dest.addr, dest.port), id);
            referred.insert(dest.service);
        }
        let gone = |id: &ServiceId| image.slot(*id).is_none();
        let remembered = records()
            .filter(|(id, _)| gone(id) && referred.contains(id))
            .map(|(id, record)| (record.key, id))
            .collect();
        let slots = || image.services.iter().flat_map(|record| record.slots).filter(|slot| slot.generation != 0);
        let lists = slots().map(|slot| slot.first..slot.first + extents::span(slot.count));
        let tables = slots().map(|slot| slot.table..slot.table + rows(Kind::from_raw(slot.sched)));
        let orders = image.services.iter().flat_map(|record| record.slots).map(|slot| slot.order);
        Self {
            change,
            next: image.heads.generation + 1,
            ids,
            remembered,
            dests,
            free_services: free_services(change, &referred).into_iter(),
            free_dests: free_dests(change).into_iter(),
            extents: Extents::new(change.capacity.lists, image.heads.lists_cursor, lists),
            tables: Extents::new(change.capacity.tables, image.heads.tables_cursor, tables),
            returned: HashSet::new(),
            plan: Plan::default(),
            order: orders.max().unwrap_or(0),
            sched_versions: image.heads.sched_versions,
            services_used: image.heads.services_used,
            dests_used: image.heads.dests_used,
            rushed: false,
        }
    }

    fn run(mut self) -> Result<Plan, Full> {
        let change = self.change;
        let old: HashMap<ServiceKey, &Service> = change.old.services.iter().map(|s| (s.key, s)).collect();
        for service in &change.new.services {
            let reborn = change.reborn.contains(&service.key);
            match old.get(&service.key) {
                Some(was) if !reborn && *was == service => {}
                Some(was) => self.edit(self.ids[&service.key], was, service, reborn)?,
                None => self.add(service)?,
            }
        }
        let kept: HashSet<ServiceKey> = change.new.services.iter().map(|service| service.key).collect();
        for service in change.old.services.iter().filter(|service| !kept.contains(&service.key)) {
            let id = self.ids[&service.key];
            self.slot(id, ServiceSlot { generation: self.next, ..ServiceSlot::default() });
            self.plan.removed.push(service.key);
        }
        self.timeouts();
        Ok(self.finish())
    }

    /// Adds what goes around the writes gathered so far.
    fn finish(mut self) -> Plan {
        let body = std::mem::take(&mut self.plan.prepare);
        if body.is_empty() {
            return self.plan;
        }
        let heads = &self.change.image.heads;
        let marks = self.change.new.services.iter().filter(|service| service.key.proto == 0).count() as u32;
        let ftp = self.change.new.services.iter().filter(|service| is_ftp(&service.key)).count() as u32;
        let engines = self.change.new.services.iter().filter(|service| service.engine.is_some()).count() as u32;
        let prepare = &mut self.plan.prepare;
        prepare.push(Write::Begin);
        if self.rushed || self.extents.wrapped() || self.tables.wrapped() {
            prepare.push(Write::Grace);
        }
        for (offset, was, is) in [
            (offset_of!(Control, services_used), heads.services_used, self.services_used),
            (offset_of!(Control, dests_used), heads.dests_used, self.dests_used),
            (offset_of!(Control, lists_cursor), heads.lists_cursor, self.extents.cursor()),
            (offset_of!(Control, tables_cursor), heads.tables_cursor, self.tables.cursor()),
            (offset_of!(Control, sched_versions), heads.sched_versions, self.sched_versions),
            // Too many only costs packets a look-up; too few would hide a service. Settling makes it exact.
            (offset_of!(Control, mark_services), heads.mark_services, heads.mark_services.max(marks)),
            (offset_of!(Control, ftp_services), heads.ftp_services, heads.ftp_services.max(ftp)),
            (offset_of!(Control, engine_services), heads.engine_services, heads.engine_services.max(engines)),
        ] {
            if was != is {
                prepare.push(Write::Control(offset, is));
            }
        }
        prepare.extend(body);
        self.plan.commit = Some(self.next);
        self.plan
    }

    fn push(&mut self, write: Write) {
        self.plan.prepare.push(write);
    }

    /// Writes the slot of a service that is not in force.
    fn slot(&mut self, id: ServiceId, value: ServiceSlot) {
        let generations = self.change.image.services.get(id as usize).map(|record| record.slots.map(|s| s.generation));
        let active = generations.and_then(|generations| abi::active(generations, self.change.image.heads.generation));
        self.push(Write::Slot(id, active.map_or(0, |active| 1 - active), value));
    }

    fn edit(&mut self, id: ServiceId, was: &Service, service: &Service, reborn: bool) -> Result<(), Full> {
        let image = self.change.image;
        let Some(slot) = image.slot(id) else { return Ok(()) };
        let list = self.list(id, &service.dests)?;
        let same_list = image.lists[id as usize] == list;
        let (first, count) = if same_list { (slot.first, slot.count) } else { self.write_list(list)? };
        let goes_on = same_list && !reborn && was.sched == service.sched && was.sched_state == service.sched_state;
        let (sched_version, sched_start) =
            if goes_on { (slot.sched_version, slot.sched_start) } else { (self.sched_version(), service.sched_state) };
        let order = if reborn { self.next_order() } else { slot.order };
        let same_scheduler = was.sched == service.sched;
        let table = if same_list && same_scheduler { slot.table } else { self.write_table(service)? };
        let attached = if same_scheduler && !reborn { slot.attached } else { sched_version };
        let value =
            ServiceSlot { first, count, sched_version, sched_start, order, table, attached, ..self.settings(service) };
        self.slot(id, value);
        Ok(())
    }

    fn add(&mut self, service: &Service) -> Result<(), Full> {
        let order = self.next_order();
        let id = self.take_service(service.key, order)?;
        let list = self.list(id, &service.dests)?;
        let (first, count) = self.write_list(list)?;
        let (sched_version, sched_start) = (self.sched_version(), service.sched_state);
        let (table, attached) = (self.write_table(service)?, sched_version);
        let value =
            ServiceSlot { first, count, sched_version, sched_start, order, table, attached, ..self.settings(service) };
        self.slot(id, value);
        self.push(Write::Index(service.key, id));
        Ok(())
    }

    fn settings(&self, service: &Service) -> ServiceSlot {
        ServiceSlot {
            generation: self.next,
            present: 1,
            sched: service.sched as u8,
            flags: service.flags,
            persist_secs: service.persist_secs,
            netmask: service.netmask,
            engine: match service.engine {
                Some(Engine::Sip) => ENGINE_SIP,
                None => 0,
            },
            ..ServiceSlot::default()
        }
    }

    fn next_order(&mut self) -> u32 {
        self.order += 1;
        self.order
    }

    fn sched_version(&mut self) -> u32 {
        self.sched_versions = self.sched_versions.wrapping_add(1).max(1);
        self.sched_versions
    }

    /// A record for a service that is new: its own from before when that is still remembered, else a free one.
    fn take_service(&mut self, key: ServiceKey, order: u32) -> Result<ServiceId, Full> {
        let used = self.change.image.heads.services_used;
        let id = match self.remembered.remove(&key) {
            Some(id) => id,
            None => {
                let full = || Full(format!("the director holds at most {} services", self.change.capacity.services));
                let (id, rushed) = self.free_services.next().ok_or_else(full)?;
                self.rushed |= rushed;
                id
            }
        };
        self.services_used = self.services_used.max(id + 1);
        let serial = self.change.image.services.get(id as usize).map_or(0, |record| record.serial) + 1;
        self.push(Write::TakeService { id, key, serial });
        if id < used {
            self.push(Write::RestartService(id));
        }
        self.push(Write::Service(id, offset_of!(Record, based_on), order));
        Ok(id)
    }

    /// The list of a service: destinations keep their records, those in the trash come back, others get free ones.
    fn list(&mut self, service: ServiceId, dests: &[Dest]) -> Result<Vec<ListEntry>, Full> {
        let net = self.change.net;
        let local = |dest: &Dest| net.is_local(dest.addr, dest.family);
        dests.iter().map(|dest| Ok(entry(self.take_dest(service, dest)?, dest, local(dest)))).collect()
    }

    fn take_dest(&mut self, service: ServiceId, dest: &Dest) -> Result<DestId, Full> {
        let (addr, port, family) = (dest.addr, dest.port, dest.family.raw());
        let image = self.change.image;
        if let Some(id) = self.dests.get(&(service, addr, port)) {
            if image.dests[*id as usize].state == DestState::Trash {
                self.plan.arrived.push((*id, addr, dest.family));
                self.returned.insert(*id);
            }
            return Ok(*id);
        }
        let full = || Full(format!("the director holds at most {} destinations", self.change.capacity.dests));
        let returned = &self.returned;
        let id = self.free_dests.find(|id| !returned.contains(id)).ok_or_else(full)?;
        if let Some(forgotten) = image.dests.get(id as usize).filter(|record| record.state != DestState::Free) {
            self.dests.remove(&(forgotten.service, forgotten.addr, forgotten.port));
        }
        let serial = image.dests.get(id as usize).map_or(0, |record| record.serial) + 1;
        self.push(Write::TakeDest { id, addr, port, family, service, serial });
        if id < image.heads.dests_used {
            self.push(Write::RestartDest(id));
        }
        self.dests_used = self.dests_used.max(id + 1);
        self.plan.arrived.push((id, addr, dest.family));
        Ok(id)
    }

    fn write_list(&mut self, list: Vec<ListEntry>) -> Result<(u32, u32), Full> {
        let count = list.len() as u32;
        let full = || Full(format!("no room for a list of {count} destinations"));
        let first = self.extents.take(count).ok_or_else(full)?;
        if count > 0 {
            // Of destinations that live, packets still go by the entry in force; settling moves it.
            let state = |id: DestId| self.change.image.dests.get(id as usize).map(|dest| dest.state);
            let arriving = (first..).zip(&list).filter(|(_, entry)| state(entry.dest) != Some(DestState::Live));
            let entries: Vec<_> = arriving.map(|(at, entry)| Write::Entry(entry.dest, at)).collect();
            self.plan.prepare.extend(entries);
            self.push(Write::List(first, list));
        }
        Ok((first, count))
    }

    /// The table of a service's scheduler, if it has one; its first row.
    fn write_table(&mut self, service: &Service) -> Result<u32, Full> {
        let count = rows(Some(service.sched));
        if count == 0 {
            return Ok(0);
        }
        let full = || {
            let (name, rows) = (service.sched.name(), self.change.capacity.tables);
            Full(format!("no room for the table of a service with the scheduler {name} in {rows} rows of tables"))
        };
        let first = self.tables.take_rows(count).ok_or_else(full)?;
        self.push(Write::Table(first, table(service)));
        Ok(first)
    }

    fn timeouts(&mut self) {
        let wanted = self.change.new.timeouts;
        if wanted == self.change.old.timeouts {
            return;
        }
        let mut timeouts = self.change.image.timeouts();
        timeouts.generation = self.next;
        timeouts.tcp[states::ESTABLISHED] = wanted.tcp;
        timeouts.tcp[states::FIN_WAIT] = wanted.tcp_fin;
        timeouts.udp = wanted.udp;
        let heads = &self.change.image.heads;
        let active = abi::active(heads.timeouts.map(|slot| slot.generation), heads.generation);
        self.push(Write::Timeouts(active.map_or(0, |active| 1 - active), timeouts));
    }
}

/// Rows that the table of a scheduler takes.
fn rows(kind: Option<Kind>) -> u32 {
    kind.map_or(0, Kind::table_len).div_ceil(ROW_PLACES) as u32
}

/// The table of a service's scheduler.
pub(crate) fn table(service: &Service) -> Vec<TableRow> {
    let one =
        |dest: &Dest| (dest.weight, mh::Claimant { addr: dest.addr, port: dest.port, last_weight: dest.last_weight });
    let mut places = vec![NO_PLACE; service.sched.table_len()];
    let mut claims = vec![mh::Claim::default(); service.dests.len()];
    service.sched.fill_table(service.dests.iter().map(one), &mut claims, &mut places);
    let row = |chunk: &[u16]| {
        let mut row = TableRow { places: [NO_PLACE; ROW_PLACES] };
        row.places[..chunk.len()].copy_from_slice(chunk);
        row
    };
    places.chunks(ROW_PLACES).map(row).collect()
}

fn entry(id: DestId, dest: &Dest, local: bool) -> ListEntry {
    ListEntry {
        dest: id,
        weight: dest.weight,
        u_threshold: dest.u_threshold,
        l_threshold: dest.l_threshold,
        last_weight: dest.last_weight,
        forward: if local { Forward::Local } else { dest.forward } as u8,
        tun_type: dest.tunnel.kind as u8,
        tun_flags: dest.tunnel.flags,
        tun_port: dest.tunnel.port,
        configured: u16::from(dest.forward as u8),
        pad: [0; 2],
    }
}

/// Service records that may be taken, best first, and whether a grace period is needed before: those that rested, those never
/// used, those given up just now.
fn free_services(change: &Change<'_>, referred: &HashSet<ServiceId>) -> Vec<(ServiceId, bool)> {
    let image = change.image;
    let free = (0..).zip(&image.services).filter(|(id, _)| image.slot(*id).is_none() && !referred.contains(id));
    let (rested, recent): (Vec<_>, Vec<_>) = free
        .map(|(id, record)| (id, change.now.saturating_sub(record.removed_at) < REST_SECS))
        .partition(|(_, recent)| !recent);
    let unused = (image.heads.services_used..change.capacity.services).map(|id| (id, false));
    rested.into_iter().chain(unused).chain(recent).collect()
}

/// Destination records that may be taken, best first: free ones, those never used, those that rest in the trash without
/// connections.
fn free_dests(change: &Change<'_>) -> Vec<DestId> {
    let records = || (0..).zip(&change.image.dests);
    let free = records().filter(|(_, dest)| dest.state == DestState::Free).map(|(id, _)| id);
    let unused = change.image.heads.dests_used..change.capacity.dests;
    let rested = records().filter(|(_, dest)| {
        dest.state == DestState::Trash && dest.idle() && change.now.saturating_sub(dest.trashed_at) >= REST_SECS
    });
    free.chain(unused).chain(rested.map(|(id, _)| id)).collect()
}
