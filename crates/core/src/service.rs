//! Which virtual service a packet is for, in the version of the configuration that holds now.

use crate::abi::{FlowKey, ServiceId, ServiceKey, ServiceSlot, active, flags};
use crate::tables::Tables;
use rvs_wire::Be16;

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
    /// Its port; 0 for a service of all ports.
    pub port: Be16,
}

/// Looks for the service of exactly this address and port, then for a persistent one of all ports.
#[inline(always)]
pub fn lookup<'a, T: Tables>(tables: &'a T, key: &FlowKey) -> Option<Found<'a>> {
    let exact = ServiceKey { addr: key.dst, port: key.dport, proto: key.proto, family: key.family };
    by_key(tables, &exact).or_else(|| {
        by_key(tables, &ServiceKey { port: Be16::ZERO, ..exact }).filter(|s| s.slot.flags & flags::PERSISTENT != 0)
    })
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
    (slot.present == 1).then_some(Found { id, which, slot, generation: slot.generation, port: key.port })
}

/// The service with this number, in this slot.
#[inline(always)]
pub fn at<T: Tables>(tables: &T, id: ServiceId, which: usize) -> Option<Found<'_>> {
    let service = tables.service(id)?;
    let slot = if which == 0 { &service.slots[0] } else { &service.slots[1] };
    Some(Found { id, which, slot, generation: slot.generation, port: service.key.port })
}

/// Whether the slot still is what it was when it was found: nobody began to write a new version over it. (A writer clears the
/// generation before it touches anything else.)
#[inline(always)]
pub fn unchanged<T: Tables>(tables: &T, found: &Found<'_>) -> bool {
    tables.slot_generation(found.id, found.which) == found.generation
}
