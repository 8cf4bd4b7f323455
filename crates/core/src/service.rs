//! Which virtual service a packet is for, in the version of the configuration that holds now.

use crate::abi::{ServiceId, ServiceKey, ServiceSlot, active, flags};
use crate::flow::Flow;
use crate::tables::Tables;
use crate::{ftp, mark};
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Be16};

/// A service found, with the slot that holds.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its number.
    pub id: ServiceId,
    /// Which of its slots.
    pub which: usize,
    /// That slot. Believe what was read of it only if [`unchanged`] afterwards.
    pub slot: &'a ServiceSlot,
    /// Its generation when it was found.
    pub generation: u32,
    /// Its port; 0 for a service of all ports or by mark.
    pub port: Be16,
    /// Its firewall mark; 0 for a service by address.
    pub mark: u32,
}

/// Looks for the service of the packet's mark, then for that of exactly this address and port, then for the FTP service of the
/// address, whose data connections come to other ports, then for a persistent one of all ports.
#[inline(always)]
pub fn lookup<'a, T: Tables>(tables: &'a T, flow: &Flow) -> Option<Found<'a>> {
    let key = &flow.key;
    if has_marks(tables) {
        let mark = mark::of(tables, flow);
        let by_mark = ServiceKey { addr: Addr::mark(mark), port: Be16::ZERO, proto: 0, family: key.family };
        if mark != 0
            && let Some(found) = by_key(tables, &by_mark)
        {
            return Some(found);
        }
    }
    let exact = ServiceKey { addr: key.dst, port: key.dport, proto: key.proto, family: key.family };
    let found = by_key(tables, &exact);
    if found.is_some() {
        return found;
    }
    let ftp = tables.control().is_some_and(|control| control.ftp_services != 0);
    let found = if ftp && key.proto == proto::TCP && ftp::is_data_port(key.dport) {
        by_key(tables, &ServiceKey { port: ftp::CONTROL, ..exact })
    } else {
        None
    };
    found.or_else(|| {
        by_key(tables, &ServiceKey { port: Be16::ZERO, ..exact }).filter(|s| s.slot.flags & flags::PERSISTENT != 0)
    })
}

/// Whether there are services by mark.
#[inline(always)]
pub fn has_marks<T: Tables>(tables: &T) -> bool {
    tables.control().is_some_and(|control| control.mark_services != 0)
}

#[inline(always)]
fn by_key<'a, T: Tables>(tables: &'a T, key: &ServiceKey) -> Option<Found<'a>> {
    let id = tables.service_id(key)?;
    let service = tables.service(id)?;
    if service.key != *key {
        return None;
    }
    let generation = tables.control()?.generation.get();
    let which = active([service.slots[0].generation, service.slots[1].generation], generation)?;
    let slot = if which == 0 { &service.slots[0] } else { &service.slots[1] };
    (slot.present == 1).then_some(Found {
        id,
        which,
        slot,
        generation: slot.generation,
        port: key.port,
        mark: mark_of(key),
    })
}

/// The service with this number, as it is now; `None` when there is none any more.
#[inline(always)]
pub fn now<T: Tables>(tables: &T, id: ServiceId) -> Option<Found<'_>> {
    let service = tables.service(id)?;
    let generation = tables.control()?.generation.get();
    let which = active([service.slots[0].generation, service.slots[1].generation], generation)?;
    at(tables, id, which).filter(|found| found.slot.present == 1)
}

/// The service with this number, in this slot.
#[inline(always)]
pub fn at<T: Tables>(tables: &T, id: ServiceId, which: usize) -> Option<Found<'_>> {
    let service = tables.service(id)?;
    let slot = if which == 0 { &service.slots[0] } else { &service.slots[1] };
    let (port, mark) = (service.key.port, mark_of(&service.key));
    Some(Found { id, which, slot, generation: slot.generation, port, mark })
}

/// The mark in the key of a service by mark; 0 in others.
#[inline(always)]
pub const fn mark_of(key: &ServiceKey) -> u32 {
    if key.proto == 0 { key.addr.last().raw() } else { 0 }
}

/// Whether the slot still is what it was when it was found: nobody began to write a new version over it. (A writer clears the
/// generation before it touches anything else.)
#[inline(always)]
pub fn unchanged<T: Tables>(tables: &T, found: &Found<'_>) -> bool {
    tables.slot_generation(found.id, found.which) == found.generation
}
