//! The tables of a director as of one moment, copied: decisions are made on them as in the kernel, and whatever they write stays
//! here. What the decisions ask for is noted as steps.
//!
//! Configuration is copied as a whole, under the lock of those who change it; connections and their hash buckets when they are
//! first looked at, because there may be millions.

use super::list::List;
use super::steps::{Candidate as Shown, Endpoint, Expiring, Sought, Step};
use crate::Error;
use crate::kernel::change::store::{Area, Store};
use crate::kernel::connections;
use crate::kernel::home::Home;
use crate::kernel::map::Map;
use crate::kernel::maps::{self, Maps};
use crate::kernel::mmap::Shared;
use crate::kernel::os::{self, Clock};
use crate::kernel::{failed, load, marks};
use rvs_core::abi::{
    Addresses, BUCKET_SLOTS, Block, Bucket, CacheKey, Conn, ConnId, Control, Dest, DestId, DestState, Fate, FlowKey,
    ListEntry, Locality, MarkRule, ProbeFlow, Replicas, SHARDS, SchedState, Service, ServiceId, ServiceKey,
    ServiceSlot, Shard, TableRow, active, embryos, flags,
};
use rvs_core::begin::{self, Choice, Stages};
use rvs_core::conn::table::{SECRETS, secrets};
use rvs_core::conn::{life, table};
use rvs_core::flow::Flow;
use rvs_core::mark;
use rvs_core::plan::Plan;
use rvs_core::sched::{self, Candidate, Candidates, Kind, Request};
use rvs_core::service::Found;
use rvs_core::sip;
use rvs_core::tables::{Count, Tables, sched_state};
use rvs_core::verdict::Reason;
use rvs_wire::{Be16, Family};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::mem::offset_of;
use zerocopy::FromBytes;

/// Records copied when they are first looked at; they stay where they are.
#[derive(Debug)]
struct Touched<T> {
    first: OnceCell<Box<Node<T>>>,
}

#[derive(Debug)]
struct Node<T> {
    index: u32,
    value: T,
    next: OnceCell<Box<Node<T>>>,
}

impl<T> Touched<T> {
    const fn none() -> Self {
        Self { first: OnceCell::new() }
    }

    fn get(&self, index: u32, load: impl FnOnce() -> Option<T>) -> Option<&T> {
        let mut place = &self.first;
        while let Some(node) = place.get() {
            if node.index == index {
                return Some(&node.value);
            }
            place = &node.next;
        }
        let value = load()?;
        Some(&place.get_or_init(|| Box::new(Node { index, value, next: OnceCell::new() })).value)
    }
}

fn hands(home: &Home) -> Result<Vec<Cell<u32>>, Error> {
    let shards = maps::array::<Shard>(home, "SHARDS")?.read_array(SHARDS as usize);
    let bytes = shards.map_err(|error| failed("reading the map SHARDS", error))?;
    let shards = bytes.chunks_exact(size_of::<Shard>()).filter_map(|bytes| Shard::read_from_bytes(bytes).ok());
    Ok(shards.map(|shard| shard.hand).collect())
}

/// The copy.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    maps: &'a Maps,
    now: u64,
    control: Control,
    seed: u64,
    secrets: [u64; SECRETS],
    services: Vec<Service>,
    index: HashMap<ServiceKey, ServiceId>,
    lists: Vec<ListEntry>,
    dests: Vec<Dest>,
    sched: RefCell<Vec<(u32, SchedState)>>,
    rules: Vec<MarkRule>,
    conns: Shared,
    touched_conns: Touched<Conn>,
    buckets: Map,
    touched_buckets: Touched<Bucket>,
    /// The hands of the rings of embryonic connections.
    hands: Vec<Cell<u32>>,
    rings: Map,
    touched_places: Touched<Cell<u64>>,
    /// What lblc and lblcr remember for the packet's address, by service.
    lblc: Map,
    localities: Touched<Locality>,
    lblcr: Map,
    replicas: Touched<Replicas>,
    /// Records that are free in the kernel's table.
    free: Cell<u32>,
    /// Records made here.
    made: Cell<u32>,
    steps: RefCell<Vec<Step>>,
}

fn copied<T: FromBytes>(maps: &Maps, area: Area, count: u32) -> Result<Vec<T>, Error> {
    (0..count.min(maps.capacity(area))).map(|index| maps.load(area, index)).collect()
}

impl<'a> Copy<'a> {
    /// Copies the tables. The lock must be held, shared or not.
    pub(super) fn capture(home: &Home, maps: &'a Maps) -> Result<Self, Error> {
        let control = maps.control()?;
        let used = control.services_used;
        let key = size_of::<CacheKey>();
        let seed = load::seed(home)?;
        Ok(Self {
            maps,
            now: os::now(Clock::MonotonicCoarse),
            seed,
            secrets: secrets(seed),
            services: copied(maps, Area::Services, used)?,
            index: maps.index()?.into_iter().collect(),
            lists: copied(maps, Area::Lists, u32::MAX)?,
            dests: copied(maps, Area::Dests, control.dests_used)?,
            sched: RefCell::new(maps.sched(used)?),
            rules: marks::read(maps)?,
            conns: maps.conns()?,
            touched_conns: Touched::none(),
            buckets: maps::array::<Bucket>(home, "BUCKETS")?,
            touched_buckets: Touched::none(),
            hands: hands(home)?,
            rings: maps::array::<u64>(home, "EMBRYOS")?,
            touched_places: Touched::none(),
            lblc: maps::open(home, "LBLC", key, size_of::<Locality>())?,
            localities: Touched::none(),
            lblcr: maps::open(home, "LBLCR", key, size_of::<Replicas>())?,
            replicas: Touched::none(),
            free: Cell::new(control.conn_capacity.saturating_sub(maps.live_conns()?)),
            made: Cell::new(0),
            steps: RefCell::default(),
            control,
        })
    }

    /// Notes a step.
    pub(super) fn note(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }

    /// Forgets the steps since the first `count`.
    pub(super) fn forget(&self, count: usize) {
        self.steps.borrow_mut().truncate(count);
    }

    /// Number of steps so far.
    pub(super) fn count_steps(&self) -> usize {
        self.steps.borrow().len()
    }

    /// The steps so far.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.take()
    }

    /// The ports of the services with this address and protocol; those of all ports have none.
    pub(super) fn ports(&self, key: &ServiceKey) -> Vec<u16> {
        let same = |found: &&ServiceKey| {
            let here = (found.addr, found.proto, found.family) == (key.addr, key.proto, key.family);
            here && found.port != Be16::ZERO
        };
        let mut ports: Vec<u16> = self.index.keys().filter(same).map(|found| found.port.host()).collect();
        ports.sort_unstable();
        ports
    }

    /// The slot of a service in force, if it exists.
    fn slot(&self, id: ServiceId) -> Option<&ServiceSlot> {
        let service = self.services.get(id as usize)?;
        let which = active(service.slots.map(|slot| slot.generation), self.control.generation.get())?;
        service.slots.get(which).filter(|slot| slot.present == 1)
    }

    /// A real server as people name it.
    pub(super) fn server(&self, id: DestId) -> Option<Endpoint> {
        let dest = self.dests.get(id as usize)?;
        Endpoint::new(dest.addr, dest.family, dest.port)
    }

    /// A connection's or template's state and remaining time.
    pub(super) fn expiring(&self, conn: &Conn) -> Expiring {
        let left = conn.expires.get().saturating_sub(self.now);
        Expiring {
            state: connections::state(conn.proto.get(), conn.state.get(), conn.flags.get()),
            expires_secs: left / 1_000_000_000,
        }
    }

    fn load_conn(&self, id: ConnId) -> Option<Conn> {
        if id >= self.control.conn_capacity {
            return (id - self.control.conn_capacity < self.made.get()).then(Conn::default);
        }
        self.conns.get(id as usize)
    }

    fn load_bucket(&self, index: u32) -> Option<Bucket> {
        let mut bytes = [0u8; size_of::<Bucket>()];
        self.buckets.lookup(&index.to_ne_bytes(), &mut bytes).ok()?;
        let bucket = Bucket::default();
        let (words, _) = bytes.get(offset_of!(Bucket, slots)..)?.as_chunks::<8>();
        for (slot, word) in bucket.slots.iter().zip(words) {
            slot.set(u64::from_ne_bytes(*word));
        }
        (words.len() == BUCKET_SLOTS).then_some(bucket)
    }

    /// A row of a scheduler's table.
    pub(super) fn row(&self, index: u32) -> Option<TableRow> {
        self.maps.load(Area::Tables, index).ok()
    }

    /// What lblc remembers.
    pub(super) fn locality(&self, key: &CacheKey, new: impl FnOnce() -> Option<Locality>) -> Option<&Locality> {
        self.localities.get(key.service, || {
            let mut value = [0; size_of::<Locality>()];
            let found = self.lblc.lookup(&cache_bytes(key), &mut value);
            if found.is_ok() { Locality::read_from_bytes(&value).ok() } else { new() }
        })
    }

    /// What lblcr remembers.
    pub(super) fn replicas(&self, key: &CacheKey, new: impl FnOnce() -> Option<Replicas>) -> Option<&Replicas> {
        self.replicas.get(key.service, || {
            let mut value = [0; size_of::<Replicas>()];
            let found = self.lblcr.lookup(&cache_bytes(key), &mut value);
            if found.is_ok() { Replicas::read_from_bytes(&value).ok() } else { new() }
        })
    }

    /// All candidates as a scheduler saw them, and what it made of each.
    fn candidates(&self, kind: Kind, list: &List<'_>, chosen: Option<u32>) -> Vec<Shown> {
        let one = |index: u32| {
            let (candidate, entry) = (list.candidate(index)?, list.entry(index)?);
            Some(Shown {
                server: self.server(entry.dest)?,
                weight: entry.weight,
                active: candidate.active,
                inactive: candidate.inactive,
                upper_threshold: entry.u_threshold,
                overloaded: candidate.overloaded,
                load: load_of(kind, candidate),
                chosen: chosen == Some(index),
            })
        };
        (0..list.count()).filter_map(one).collect()
    }
}

/// A key as it lies in the maps.
fn cache_bytes(key: &CacheKey) -> Vec<u8> {
    let words = [key.service, key.attached].into_iter().chain(key.addr);
    words.flat_map(u32::to_ne_bytes).collect()
}

/// What schedulers that compare loads compare.
fn load_of(kind: Kind, candidate: Candidate) -> Option<String> {
    match kind {
        Kind::Lc => Some(candidate.overhead().to_string()),
        Kind::Wlc => Some(format!("{}/{}", candidate.overhead(), candidate.weight)),
        Kind::Sed | Kind::Nq => Some(format!("{}/{}", i64::from(candidate.active) + 1, candidate.weight)),
        _ => None,
    }
}

impl Tables for Copy<'_> {
    fn now(&self) -> u64 {
        self.now
    }

    fn control(&self) -> Option<&Control> {
        Some(&self.control)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn secret(&self, index: usize) -> u64 {
        self.secrets[index]
    }

    fn bucket_mask(&self) -> u32 {
        self.control.buckets.wrapping_sub(1)
    }

    fn bucket(&self, index: u32) -> Option<&Bucket> {
        self.touched_buckets.get(index, || self.load_bucket(index))
    }

    fn masqueraded_server(&self, from: &FlowKey, count: u32, engine: bool) -> Option<DestId> {
        (0..count).find(|id| {
            let Some(dest) = self.dest(*id) else { return false };
            let (entry, service) = (self.list_entry(dest.entry.get()), self.service(dest.service));
            let (Some(entry), Some(service)) = (entry, service) else { return false };
            begin::is_masqueraded_source(dest, entry, &service.key, from) && (!engine || begin::has_engine(self, dest))
        })
    }

    fn lock(&self, _bucket: &Bucket) {}

    fn unlock(&self, _bucket: &Bucket) {}

    fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.touched_conns.get(id, || self.load_conn(id))
    }

    fn alloc_conn(&self) -> Option<ConnId> {
        self.free.set(self.free.get().checked_sub(1)?);
        self.made.set(self.made.get() + 1);
        Some(self.control.conn_capacity + self.made.get() - 1)
    }

    fn ring_size(&self) -> u32 {
        embryos(self.control.conn_capacity) / SHARDS
    }

    fn ring_hand(&self, ring: u32) -> Option<u32> {
        self.hands.get(ring as usize).map(Cell::get)
    }

    fn move_hand(&self, ring: u32, from: u32) -> bool {
        self.hands.get(ring as usize).is_some_and(|hand| hand.replace(from.wrapping_add(1)) == from)
    }

    fn ring_place(&self, ring: u32, at: u32) -> Option<&Cell<u64>> {
        let size = self.ring_size();
        let index = ring.wrapping_mul(size).wrapping_add(at & size.wrapping_sub(1));
        self.touched_places.get(index, || {
            let mut place = [0; 8];
            self.rings.lookup(&index.to_ne_bytes(), &mut place).ok()?;
            Some(Cell::new(u64::from_ne_bytes(place)))
        })
    }

    fn free_conn(&self, _id: ConnId) -> bool {
        true
    }

    fn service_id(&self, key: &ServiceKey) -> Option<ServiceId> {
        let id = self.index.get(key).copied();
        let slot = id.and_then(|id| self.slot(id));
        self.note(Step::Service {
            sought: Sought::new(key),
            found: slot.is_some(),
            scheduler: slot.and_then(|slot| Kind::from_raw(slot.sched)).map(Kind::name),
            persistent_secs: slot.filter(|slot| slot.flags & flags::PERSISTENT != 0).map(|slot| slot.persist_secs),
            servers: slot.map(|slot| slot.count),
        });
        id
    }

    fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id as usize)
    }

    fn slot_generation(&self, id: ServiceId, which: usize) -> u32 {
        self.service(id).and_then(|service| service.slots.get(which)).map_or(0, |slot| slot.generation)
    }

    fn addresses(&self) -> Option<&Addresses> {
        // The steps of the long way are explained.
        None
    }

    fn list_entry(&self, index: u32) -> Option<&ListEntry> {
        self.lists.get(index as usize)
    }

    fn dest(&self, id: DestId) -> Option<&Dest> {
        self.dests.get(id as usize)
    }

    fn block(&self, _index: u32) -> Option<&Block> {
        // They only spare schedulers looking at every server.
        None
    }

    fn schedule(&self, found: &Found<'_>, key: &FlowKey) -> Option<u32> {
        let kind = Kind::from_raw(found.slot.sched)?;
        let (version, kept) = self.sched.borrow().get(found.id as usize).copied()?;
        let mut state = sched_state(version, kept, found.slot);
        let list = List { copy: self, service: found.id, slot: found.slot };
        let chosen = sched::pick(kind, &list, &Request { key, flags: found.slot.flags }, &mut state);
        self.note(Step::Schedule {
            scheduler: kind.name(),
            at_random: kind == Kind::Twos,
            candidates: self.candidates(kind, &list, chosen),
            chosen: chosen.and_then(|index| self.server(self.list_entry(found.slot.first + index)?.dest)),
        });
        if chosen.is_some()
            && let Some(place) = self.sched.borrow_mut().get_mut(found.id as usize)
        {
            *place = (found.slot.sched_version, state);
        }
        chosen
    }

    fn add(&self, counter: &Cell<u32>, by: i32) {
        counter.set(counter.get().wrapping_add_signed(by));
    }

    fn count(&self, _service: ServiceId, _dest: DestId, _what: Count) {}

    fn can_send(&self, _plan: &Plan, _len: u32) -> bool {
        true
    }

    fn can_answer(&self) -> bool {
        true
    }

    fn fate(&self, _key: &FlowKey) -> Option<Fate> {
        // Only pieces of packets have one, and the packet that is explained is whole.
        None
    }

    fn probe_flow(&self, _key: &FlowKey) -> Option<ProbeFlow> {
        // The packet that is explained is a client's or an answer to one, not a health check.
        None
    }

    fn call(&self) -> u64 {
        // The packet that is explained has no payload to find one in.
        sip::NONE
    }

    fn keep_engine_data(&self, _template: ConnId) {}

    fn mark_by_rules(&self, key: &FlowKey, _first: u32, _count: u32) -> u32 {
        // The copy holds the rules in force, and no others.
        let hit = self.rules.iter().position(|rule| mark::matches(rule, key));
        let mark = hit.map_or(0, |number| self.rules[number].mark);
        self.note(Step::MarkRules { rule: hit.map(|number| number + 1), mark });
        mark
    }
}

impl Stages for Copy<'_> {
    fn find_template(&self, flow: &Flow, found: &Found<'_>) -> Option<Choice> {
        let key = begin::template_key(flow, found);
        let hit = table::find(self, &key, table::hash(&key, self));
        let seen = hit.map(|hit| {
            let dest = self.dest(hit.conn.dest.get());
            let live = dest.is_some_and(|dest| dest.state.get() == DestState::Live as u8);
            (self.server(hit.conn.dest.get()), self.expiring(hit.conn), life::is_expired(hit.conn, self.now), live)
        });
        let choice = begin::find_template(self, flow, found);
        let client = Family::from_raw(flow.key.family).map(|family| key.src.to_ip(family));
        let Some(client) = client else { return choice };
        self.note(match seen {
            None => Step::NoTemplate { client, over: None, server_gone: false },
            Some((server, expiring, ..)) if choice.is_some() => Step::Template { client, server, expiring },
            Some((server, _, expired, live)) => {
                Step::NoTemplate { client, over: server.filter(|_| expired || !live), server_gone: !live }
            }
        });
        choice
    }

    fn create_template(&self, flow: &Flow, found: &Found<'_>, entry: u32, id: ConnId) -> bool {
        let made = begin::create_template(self, flow, found, entry, id);
        let key = begin::template_key(flow, found);
        if let (true, Some(family)) = (made, Family::from_raw(flow.key.family)) {
            self.note(Step::NewTemplate { client: key.src.to_ip(family), secs: found.slot.persist_secs });
        }
        made
    }

    fn create(&self, flow: &Flow, service: ServiceId, choice: Choice, id: ConnId) -> Result<(), Reason> {
        let made = begin::create(self, flow, service, choice, id);
        if let (Ok(()), Some(conn)) = (made, self.conn(id)) {
            self.note(Step::NewConnection { expiring: self.expiring(conn) });
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_loaded_once_and_changes_stay() {
        let touched = Touched::none();
        let loads = Cell::new(0);
        let get = |index: u32| {
            touched.get(index, || {
                loads.set(loads.get() + 1);
                (index < 10).then(|| Cell::new(index))
            })
        };
        let third = get(3).unwrap();
        third.set(33);
        assert_eq!((get(4).unwrap().get(), get(3).unwrap().get(), loads.get()), (4, 33, 2));
        assert!(get(10).is_none());
        assert_eq!(third.get(), 33);
    }
}
