//! What is not versioned, brought in line with what is committed.
//!
//! Runs after every commit, and first of all when a writer died. Its input is the committed configuration alone, never what
//! somebody had in mind, so it does not matter who died where.

use super::image::{Image, is_ftp, present};
use super::store::Write;
use rvs_core::abi::{self, Control, DestState, ListEntry, Service, ServiceId, ServiceKey, Timeouts};
use std::mem::offset_of;

/// Seconds that a deleted destination is remembered for at least, with its counters and connections.
pub(crate) const TRASH_SECS: u32 = 60;

/// A version of the timeouts that holds in no generation.
const NO_TIMEOUTS: Timeouts = Timeouts { generation: 0, tcp: [0; 11], udp: 0, pad: [0; 3] };

/// What to do about slots that a dead writer prepared and never committed.
pub(crate) fn roll_back(image: &Image) -> Vec<Write> {
    let mut writes = vec![Write::Begin];
    let late = |generation: u32| generation > image.heads.generation;
    for (id, service) in (0..).zip(&image.services) {
        let slots = (0..).zip(&service.slots).filter(|(_, slot)| late(slot.generation));
        writes.extend(slots.map(|(slot, _)| Write::ClearSlot(id, slot)));
    }
    let timeouts = (0..).zip(&image.heads.timeouts).filter(|(_, timeouts)| late(timeouts.generation));
    writes.extend(timeouts.map(|(slot, _)| Write::Timeouts(slot, NO_TIMEOUTS)));
    writes
}

/// Entries of the index that lead to no service.
pub(crate) fn stale(image: &Image, index: &[(ServiceKey, ServiceId)]) -> Vec<ServiceKey> {
    let leads = |key: &ServiceKey, id: ServiceId| {
        image.slot(id).is_some() && image.services.get(id as usize).is_some_and(|service| service.key == *key)
    };
    index.iter().filter(|(key, id)| !leads(key, *id)).map(|(key, _)| *key).collect()
}

/// The writes that settle the tables. `unindex` are keys to remove from the index; `now` is the second of the boot clock.
pub(crate) fn settle(image: &Image, unindex: Vec<ServiceKey>, now: u32) -> Vec<Write> {
    let mut writes: Vec<Write> = unindex.into_iter().map(Write::Unindex).collect();
    for (id, service) in (0..).zip(&image.services) {
        settle_service(&mut writes, id, service, image.heads.generation, now);
    }
    settle_dests(&mut writes, image, now);
    let marks = image.order().iter().filter(|id| image.services[**id as usize].key.proto == 0).count() as u32;
    if marks != image.heads.mark_services {
        writes.push(Write::Control(offset_of!(Control, mark_services), marks));
    }
    let ftp = image.order().iter().filter(|id| is_ftp(&image.services[**id as usize].key)).count() as u32;
    if ftp != image.heads.ftp_services {
        writes.push(Write::Control(offset_of!(Control, ftp_services), ftp));
    }
    let has_engine = |id: &&ServiceId| image.slot(**id).is_some_and(|slot| slot.engine != 0);
    let engines = image.order().iter().filter(has_engine).count() as u32;
    if engines != image.heads.engine_services {
        writes.push(Write::Control(offset_of!(Control, engine_services), engines));
    }
    writes.push(Write::End(image.heads.generation));
    writes
}

fn settle_service(writes: &mut Vec<Write>, id: ServiceId, service: &Service, generation: u32, now: u32) {
    if let Some(slot) = present(service, generation) {
        if slot.order != service.based_on {
            writes.push(Write::RestartService(id));
            writes.push(Write::Service(id, offset_of!(Service, based_on), slot.order));
        }
        return;
    }
    // The list of the version before is given back; the slot that says the service is gone stays.
    let gone = abi::active(service.slots.map(|slot| slot.generation), generation);
    let held = (0..).zip(&service.slots).filter(|(slot, held)| Some(*slot) != gone && held.generation != 0);
    writes.extend(held.map(|(slot, _)| Write::ClearSlot(id, slot)));
    if service.removed_at == 0 {
        writes.push(Write::Service(id, offset_of!(Service, removed_at), now.max(1)));
    }
}

fn settle_dests(writes: &mut Vec<Write>, image: &Image, now: u32) {
    let mut listed: Vec<Option<(u32, &ListEntry)>> = vec![None; image.dests.len()];
    for (id, list) in (0..).zip(&image.lists) {
        let first = image.slot(id).map_or(0, |slot| slot.first);
        for (at, entry) in (first..).zip(list) {
            listed[entry.dest as usize] = Some((at, entry));
        }
    }
    for ((id, dest), listed) in (0..).zip(&image.dests).zip(listed) {
        let state =
            |state, trashed_at| Write::DestState { id, port: dest.port, family: dest.family, state, trashed_at };
        match (listed, dest.state) {
            (Some((at, entry)), was) => {
                let (upper, lower) = (entry.u_threshold, entry.l_threshold);
                if (upper, lower) != (dest.u_threshold, dest.l_threshold) {
                    // As the kernel: more room, or no limit, lifts the overload at once.
                    let relieve = upper == 0 || upper > dest.u_threshold;
                    writes.push(Write::Thresholds { id, upper, lower, relieve });
                }
                if at != dest.entry {
                    writes.push(Write::Entry(id, at));
                }
                if was != DestState::Live {
                    writes.push(state(DestState::Live, 0));
                }
            }
            (None, DestState::Live) => writes.push(state(DestState::Trash, now)),
            (None, DestState::Trash) if dest.idle() && now.saturating_sub(dest.trashed_at) > TRASH_SECS => {
                writes.push(state(DestState::Free, 0));
            }
            (None, DestState::Trash | DestState::Free) => {}
        }
    }
}
