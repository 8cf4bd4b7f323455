//! A writer is stopped after every single word it stores: a reader then sees the old table or the new one, and the next
//! writer repairs and completes the work.

use super::image::{Image, is_ftp};
use super::memory::Memory;
use super::plan::{Capacity, Change, plan, table};
use super::store::{Area, Store, Write, perform, perform_all};
use super::{settle, store};
use crate::Error;
use proptest::prelude::*;
use rvs_core::abi::{DestState, Forward, ListEntry, SchedState, ServiceKey};
use rvs_core::sched::Kind;
use rvs_intent::{Dest, NoInterfaces, Service, Table, Timeouts, Tunnel};
use rvs_wire::{Addr, Be16, Family};
use std::collections::HashSet;

const SERVICES: usize = 6;
const DESTS: usize = 48;
/// So few that the search for room wraps around often, and now and then finds none.
const LISTS: usize = 14;
/// Enough for a few of the small tables.
const ROWS: usize = 40;

/// A wanted table, and the services that are deleted on the way there.
#[derive(Clone, Debug)]
struct Step {
    table: Table,
    reborn: Vec<ServiceKey>,
    seconds: u32,
}

fn key(n: u8) -> ServiceKey {
    let mark = n >= 4;
    ServiceKey {
        addr: if mark { Addr::mark(u32::from(n)) } else { Addr::from(std::net::Ipv4Addr::new(10, 0, 0, n)) },
        port: if mark { Be16::ZERO } else { Be16::new(80) },
        proto: if mark { 0 } else { 6 },
        family: Family::V4.raw(),
    }
}

fn dest() -> impl Strategy<Value = Dest> {
    (0u8..8, 0i32..3, 0u32..3).prop_map(|(n, weight, u_threshold)| Dest {
        addr: Addr::from(std::net::Ipv4Addr::new(10, 1, 0, n)),
        family: Family::V4,
        port: Be16::new(80),
        forward: Forward::Masq,
        weight,
        last_weight: weight.max(1),
        u_threshold,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    })
}

fn service() -> impl Strategy<Value = Service> {
    let kind = prop::sample::select(vec![Kind::Rr, Kind::Wrr, Kind::Wlc, Kind::Sh, Kind::Lblc]);
    (0u8..6, kind, prop::collection::vec(dest(), 0..5), -1i32..2).prop_map(|(n, sched, mut dests, pos)| {
        let mut met = HashSet::new();
        dests.retain(|dest| met.insert(dest.addr));
        Service {
            key: key(n),
            sched,
            flags: 0,
            persist_secs: 0,
            netmask: Addr::UNSPECIFIED,
            engine: None,
            sched_state: SchedState { pos, ..SchedState::START },
            dests,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let reborn = prop::collection::vec((0u8..6).prop_map(key), 0..3);
    let services = prop::collection::vec(service(), 0..3);
    (services, reborn, 900u32..902, prop::sample::select(vec![0u32, 1, 3, 70])).prop_map(
        |(mut services, reborn, tcp, seconds)| {
            let mut met = HashSet::new();
            services.retain(|service| met.insert(service.key));
            Step { table: Table { services, timeouts: Timeouts { tcp, ..Timeouts::default() } }, reborn, seconds }
        },
    )
}

/// The step as it is taken from `table`: services that it does not name stay, but for those that it deletes.
fn from(table: &Table, step: &Step) -> Step {
    let mut step = step.clone();
    let named: HashSet<ServiceKey> =
        step.table.services.iter().map(|service| service.key).chain(step.reborn.clone()).collect();
    let mut services: Vec<Service> =
        table.services.iter().filter(|service| !named.contains(&service.key)).cloned().collect();
    services.append(&mut step.table.services);
    step.table.services = services;
    step
}

/// What the kernel backend does for an update, but for looking up routes.
fn update(memory: &mut Memory, step: &Step, now: u32) -> Result<(), Error> {
    let mut image = Image::capture(memory)?;
    if image.heads.prepared != image.heads.generation {
        perform_all(memory, &settle::roll_back(&image))?;
        image = Image::capture(memory)?;
        let stale = settle::stale(&image, &memory.index()?);
        perform_all(memory, &settle::settle(&image, stale, now))?;
        image = Image::capture(memory)?;
    }
    let old = image.table(&memory.sched(image.heads.services_used)?)?;
    let reborn = step.reborn.iter().copied().collect();
    let capacity = Capacity {
        services: memory.capacity(Area::Services),
        dests: memory.capacity(Area::Dests),
        lists: memory.capacity(Area::Lists),
        tables: memory.capacity(Area::Tables),
    };
    let change =
        Change { image: &image, old: &old, new: &step.table, reborn: &reborn, now, capacity, net: &NoInterfaces };
    let plan = plan(&change).map_err(|full| Error::State(full.0))?;
    perform_all(memory, &plan.prepare)?;
    let Some(generation) = plan.commit else { return Ok(()) };
    perform(memory, &Write::Commit(generation))?;
    let image = Image::capture(memory)?;
    store::perform_all(memory, &settle::settle(&image, plan.removed, now))
}

/// What must hold whenever no writer works.
fn assert_settled(memory: &Memory, wanted: &Table) {
    let image = Image::capture(memory).unwrap();
    assert_eq!(image.heads.prepared, image.heads.generation);
    let listed: HashSet<u32> = image.lists.iter().flatten().map(|entry| entry.dest).collect();
    for (id, state) in memory.states().into_iter().enumerate() {
        assert_eq!(state == DestState::Live as u8, listed.contains(&(id as u32)), "destination {id}");
    }
    for entry in image.lists.iter().flatten() {
        let dest = &image.dests[entry.dest as usize];
        assert_eq!(dest.u_threshold, entry.u_threshold);
        assert_eq!(memory.load::<ListEntry>(Area::Lists, dest.entry).unwrap(), *entry);
    }
    let ids = image.order();
    for id in &ids {
        let key = image.services[*id as usize].key;
        let service = wanted.services.iter().find(|service| service.key == key).unwrap();
        assert_eq!(memory.table(image.slot(*id).unwrap()), table(service), "the table of {:?}", service.sched);
    }
    assert_eq!(memory.index_len(), wanted.services.len());
    let marks = wanted.services.iter().filter(|service| service.key.proto == 0).count() as u32;
    assert_eq!(image.heads.mark_services, marks);
    let ftp = wanted.services.iter().filter(|service| is_ftp(&service.key)).count() as u32;
    assert_eq!(image.heads.ftp_services, ftp);
    let engines = wanted.services.iter().filter(|service| service.engine.is_some()).count() as u32;
    assert_eq!(image.heads.engine_services, engines);
    let mut seen = image.table(&memory.sched(image.heads.services_used).unwrap()).unwrap();
    let mut wanted = wanted.clone();
    seen.services.sort_by_key(|service| (service.key.proto, service.key.addr.words()));
    wanted.services.sort_by_key(|service| (service.key.proto, service.key.addr.words()));
    assert_eq!(seen, wanted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_writer_killed_anywhere_leaves_the_old_table_or_the_new_one(steps in prop::collection::vec(step(), 1..16)) {
        let mut memory = Memory::new(SERVICES, DESTS, LISTS, ROWS);
        let mut now = 100;
        let mut table = Table::default();
        for (n, step) in steps.iter().enumerate() {
            let step = &from(&table, step);
            now += step.seconds;
            let before = memory.seen();
            let mut done = memory.clone();
            if let Err(full) = update(&mut done, step, now) {
                prop_assert!(full.to_string().starts_with("no room"), "{full}");
                prop_assert!(done.seen() == before);
                continue;
            }
            assert_settled(&done, &step.table);
            let after = done.seen();
            for budget in 0.. {
                let mut killed = memory.clone();
                killed.budget = budget;
                let finished = update(&mut killed, step, now).is_ok();
                killed.budget = usize::MAX;
                let seen = killed.seen();
                prop_assert!(seen == before || seen == after, "a mixture after {budget} words");
                if finished {
                    break;
                }
                // The next writer may want the same, or something else.
                let next = if budget % 2 == 0 { step } else { &from(&table, &steps[(n + 1) % steps.len()]) };
                match update(&mut killed, next, now + 1) {
                    Ok(()) => assert_settled(&killed, &next.table),
                    Err(full) => prop_assert!(full.to_string().starts_with("no room"), "{full}"),
                }
            }
            memory = done;
            table = step.table.clone();
        }
    }
}

fn one_dest(weight: i32) -> Step {
    let dest = Dest {
        addr: Addr::from(std::net::Ipv4Addr::new(10, 1, 0, 1)),
        family: Family::V4,
        port: Be16::new(80),
        forward: Forward::Route,
        weight,
        last_weight: weight,
        u_threshold: 0,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    };
    let service = Service {
        key: key(1),
        sched: Kind::Rr,
        flags: 0,
        persist_secs: 0,
        netmask: Addr::UNSPECIFIED,
        engine: None,
        sched_state: SchedState::START,
        dests: vec![dest],
    };
    Step { table: Table { services: vec![service], timeouts: Timeouts::default() }, reborn: Vec::new(), seconds: 0 }
}

fn nothing() -> Step {
    Step { table: Table::default(), reborn: Vec::new(), seconds: 0 }
}

#[test]
fn a_deleted_destination_comes_back_with_its_record_while_it_is_remembered() {
    let mut memory = Memory::new(SERVICES, DESTS, LISTS, ROWS);
    update(&mut memory, &one_dest(1), 100).unwrap();
    memory.count(0, 7);
    update(&mut memory, &nothing(), 101).unwrap();
    assert_eq!(memory.states()[0], DestState::Trash as u8);
    // Long after: it still has connections.
    update(&mut memory, &one_dest(2), 1000).unwrap();
    let image = Image::capture(&memory).unwrap();
    assert_eq!((image.lists[0][0].dest, image.dests[0].inactive, image.dests[0].serial), (0, 7, 1));
}

#[test]
fn a_destination_without_connections_is_forgotten_after_a_minute() {
    let mut memory = Memory::new(SERVICES, DESTS, LISTS, ROWS);
    update(&mut memory, &one_dest(1), 100).unwrap();
    update(&mut memory, &nothing(), 101).unwrap();
    let timeouts = Table { timeouts: Timeouts { tcp: 1, ..Timeouts::default() }, ..Table::default() };
    update(&mut memory, &Step { table: timeouts, ..nothing() }, 162).unwrap();
    assert_eq!(memory.states()[0], DestState::Free as u8);
}

#[test]
fn a_service_whose_scheduler_went_on_keeps_its_version_until_the_list_changes() {
    let mut memory = Memory::new(SERVICES, DESTS, LISTS, ROWS);
    update(&mut memory, &one_dest(1), 100).unwrap();
    let slot = *Image::capture(&memory).unwrap().slot(0).unwrap();
    memory.sched[0] = (slot.sched_version, SchedState { pos: 0, ..SchedState::START });
    let mut step = one_dest(1);
    step.table.services[0].sched_state.pos = 0;
    step.table.services[0].flags = 8;
    update(&mut memory, &step, 101).unwrap();
    assert_eq!(Image::capture(&memory).unwrap().slot(0).unwrap().sched_version, slot.sched_version);
    let mut step = one_dest(2);
    step.table.services[0].sched_state.pos = 0;
    update(&mut memory, &step, 102).unwrap();
    let changed = *Image::capture(&memory).unwrap().slot(0).unwrap();
    assert_ne!(changed.sched_version, slot.sched_version);
    assert_eq!(changed.sched_start.pos, 0);
}

#[test]
fn a_full_map_is_an_error_and_changes_nothing() {
    let mut memory = Memory::new(1, 1, LISTS, ROWS);
    update(&mut memory, &one_dest(1), 100).unwrap();
    let mut step = one_dest(1);
    let mut second = step.table.services[0].clone();
    second.key = key(2);
    step.table.services.push(second);
    let before = memory.seen();
    assert!(update(&mut memory, &step, 101).is_err());
    assert_eq!(memory.seen(), before);
}
