//! The maps of one director, opened from their pins: the kernel's side of [`Store`], and what else is read from them.

use super::change::store::{Area, Store};
use super::failed;
use super::home::Home;
use super::map::Map;
use super::mmap::Shared;
use super::os;
use super::settings;
use super::sys::F_NO_PREALLOC;
use crate::Error;
use rvs_core::abi::{
    self, ABI_VERSION, Addresses, Conn, ConnId, Control, Counters, Dest, DestId, EngineData, ListEntry, MarkRule, Rate,
    SHARDS, SchedCell, SchedState, Service, ServiceId, ServiceKey, Shard, TableRow,
};
use rvs_intent::observed::plus;
use std::mem::offset_of;
use zerocopy::{FromBytes, IntoBytes};

/// Every map that is pinned.
pub(crate) const NAMES: [&str; 38] = [
    "CONTROL",
    "SERVICE_INDEX",
    "SERVICES",
    "LISTS",
    "DESTS",
    "CONNS",
    "BUCKETS",
    "SHARDS",
    "FREE",
    "EMBRYOS",
    "SCHED",
    "TABLES",
    "BLOCKS",
    "LBLC",
    "LBLCR",
    "NEW_REPLICAS",
    "STATS_SERVICE",
    "STATS_DEST",
    "BASE_SERVICE",
    "BASE_DEST",
    "RATE_SERVICE",
    "RATE_DEST",
    "REASONS",
    "FATES",
    "HELD",
    "HELD_COUNT",
    "TALKS",
    "ENGINE_DATA",
    "MARK_RULES",
    "PROBES",
    "PROBE_FLOWS",
    "HOPS",
    "ADDRESSES",
    "XDP_PORTS",
    "TIMERS",
    "TRACE",
    "TRACER",
    "EVENTS",
];

/// The maps of one director.
#[derive(Debug)]
pub(crate) struct Maps {
    control: Shared,
    services: Shared,
    lists: Shared,
    dests: Shared,
    addresses: Shared,
    tables: Shared,
    rate_service: Shared,
    rate_dest: Shared,
    service_index: Map,
    sched: Map,
    stats_service: Map,
    stats_dest: Map,
    base_service: Map,
    base_dest: Map,
    reasons: Map,
    shards: Map,
    conns: Map,
    mark_rules: Map,
    engine_data: Map,
}

/// Opens a pinned map whose keys and values must be of these sizes.
pub(crate) fn open(home: &Home, name: &str, key: usize, value: usize) -> Result<Map, Error> {
    let map = Map::new(home.need(name)?).map_err(|error| failed(format!("opening the map {name}"), error))?;
    let info = map.info();
    if (info.key_size as usize, info.value_size as usize) != (key, value) {
        return Err(Error::State(format!(
            "the map {name} holds keys and values of {} and {} bytes, not of {key} and {value}; `rvs teardown` removes it",
            info.key_size, info.value_size
        )));
    }
    Ok(map)
}

/// Opens a pinned map of indexes whose values must be of the size of `T`.
pub(crate) fn array<T>(home: &Home, name: &str) -> Result<Map, Error> {
    open(home, name, size_of::<u32>(), size_of::<T>())
}

fn shared<T>(home: &Home, name: &str) -> Result<Shared, Error> {
    let map = array::<T>(home, name)?;
    Shared::new(&map, size_of::<T>()).map_err(|error| failed(format!("mapping {name} into memory"), error))
}

impl Maps {
    /// Opens the maps, whose records must be of this version.
    pub(crate) fn open(home: &Home) -> Result<Self, Error> {
        let maps = Self {
            control: shared::<Control>(home, "CONTROL")?,
            services: shared::<Service>(home, "SERVICES")?,
            lists: shared::<ListEntry>(home, "LISTS")?,
            dests: shared::<Dest>(home, "DESTS")?,
            addresses: shared::<Addresses>(home, "ADDRESSES")?,
            tables: shared::<TableRow>(home, "TABLES")?,
            rate_service: shared::<Rate>(home, "RATE_SERVICE")?,
            rate_dest: shared::<Rate>(home, "RATE_DEST")?,
            service_index: open(home, "SERVICE_INDEX", size_of::<ServiceKey>(), size_of::<ServiceId>())?,
            sched: array::<SchedCell>(home, "SCHED")?,
            stats_service: array::<Counters>(home, "STATS_SERVICE")?,
            stats_dest: array::<Counters>(home, "STATS_DEST")?,
            base_service: array::<Counters>(home, "BASE_SERVICE")?,
            base_dest: array::<Counters>(home, "BASE_DEST")?,
            reasons: array::<u64>(home, "REASONS")?,
            shards: array::<Shard>(home, "SHARDS")?,
            conns: array::<Conn>(home, "CONNS")?,
            mark_rules: array::<MarkRule>(home, "MARK_RULES")?,
            engine_data: open(home, "ENGINE_DATA", size_of::<ConnId>(), size_of::<EngineData>())?,
        };
        let abi = maps.control.load(0, offset_of!(Control, abi)).unwrap_or(0);
        if abi != 0 && abi != ABI_VERSION {
            return Err(Error::State(format!(
                "the tables in the kernel are of ABI {abi}, this is RVS with ABI {ABI_VERSION}"
            )));
        }
        Ok(maps)
    }

    /// The root record.
    pub(crate) fn control(&self) -> Result<Control, Error> {
        self.load(Area::Control, 0)
    }

    /// Fills in the root record of maps that were just made.
    pub(crate) fn begin(&mut self, conns: u32, buckets: u32, timeouts: abi::Timeouts) -> Result<(), Error> {
        for (offset, value) in [
            (offset_of!(Control, abi), ABI_VERSION),
            (offset_of!(Control, conn_capacity), conns),
            (offset_of!(Control, buckets), buckets),
            (offset_of!(Control, generation), 1),
            (offset_of!(Control, prepared), 1),
        ] {
            self.store(Area::Control, 0, offset, &value.to_ne_bytes())?;
        }
        self.store(Area::Control, 0, offset_of!(Control, timeouts), timeouts.as_bytes())?;
        settings::begin(self)
    }

    fn area(&self, area: Area) -> &Shared {
        match area {
            Area::Control => &self.control,
            Area::Services => &self.services,
            Area::Lists => &self.lists,
            Area::Dests => &self.dests,
            Area::Addresses => &self.addresses,
            Area::Tables => &self.tables,
        }
    }

    /// Counters of the first `count` services: sums over CPUs since they were added or zeroed.
    pub(crate) fn service_counters(&self, count: u32) -> Result<Vec<Counters>, Error> {
        since(&self.stats_service, &self.base_service, count)
    }

    /// Counters of the first `count` destinations.
    pub(crate) fn dest_counters(&self, count: u32) -> Result<Vec<Counters>, Error> {
        since(&self.stats_dest, &self.base_dest, count)
    }

    /// Counters of each possible CPU over the first `count` services and all that had their indexes before.
    pub(crate) fn cpu_counters(&self, count: u32) -> Result<Vec<Counters>, Error> {
        let mut cpus = vec![Counters::default(); self.stats_service.value_bytes() / size_of::<Counters>()];
        let one = |bytes: &[u8]| Counters::read_from_bytes(bytes).unwrap_or_default();
        let read = self.stats_service.each_chunk(count as usize, |chunk| {
            for (index, value) in chunk.chunks_exact(size_of::<Counters>()).enumerate() {
                let cpu = index % cpus.len();
                cpus[cpu] = plus(&cpus[cpu], &one(value));
            }
        });
        read.map_err(|error| failed("reading the counters", error))?;
        Ok(cpus)
    }

    /// The estimator of a service.
    pub(crate) fn service_rate(&self, id: ServiceId) -> Rate {
        self.rate_service.get(id as usize).unwrap_or_default()
    }

    /// The estimator of a destination.
    pub(crate) fn dest_rate(&self, id: DestId) -> Rate {
        self.rate_dest.get(id as usize).unwrap_or_default()
    }

    /// Zeroes the counters of services and destinations.
    pub(crate) fn zero(&mut self, services: &[ServiceId], dests: &[DestId]) -> Result<(), Error> {
        rebase(&self.stats_service, &self.base_service, services)?;
        rebase(&self.stats_dest, &self.base_dest, dests)
    }

    /// Packets by reason, by the reason's number.
    pub(crate) fn reasons(&self) -> Result<Vec<u64>, Error> {
        let count = self.reasons.info().max_entries as usize;
        let bytes = self.reasons.read_array(count).map_err(|error| failed("reading the reasons", error))?;
        let words = |value: &[u8]| value.chunks_exact(8).filter_map(|word| u64::read_from_bytes(word).ok()).sum();
        Ok(bytes.chunks_exact(self.reasons.value_bytes()).map(words).collect())
    }

    /// How many addresses lblc and lblcr remember.
    pub(crate) fn remembered_addresses(&self) -> Result<u32, Error> {
        let services = self.control()?.services_used as usize;
        let bytes = self.sched.read_array(services).map_err(|error| failed("reading the schedulers", error))?;
        let cells = bytes.chunks_exact(size_of::<SchedCell>());
        let remembered = |cell: &[u8]| Some(u32::read_from_prefix(&cell[offset_of!(SchedCell, remembered)..]).ok()?.0);
        Ok(cells.filter_map(remembered).fold(0, u32::wrapping_add))
    }

    /// Ranges of connection records that have ever been used.
    pub(crate) fn used_conns(&self) -> Result<Vec<std::ops::Range<usize>>, Error> {
        let bytes = self.shards.read_array(SHARDS as usize).map_err(|error| failed("reading the map SHARDS", error))?;
        let size = (self.conns.info().max_entries / SHARDS) as usize;
        let shards = bytes.chunks_exact(size_of::<Shard>()).filter_map(|bytes| Shard::read_from_bytes(bytes).ok());
        Ok(shards.enumerate().map(|(n, shard)| n * size..n * size + (shard.fresh.get() as usize).min(size)).collect())
    }

    /// A rule that marks packets, by its index.
    pub(crate) fn mark_rule(&self, index: u32) -> Result<MarkRule, Error> {
        let mut rule = MarkRule::default();
        let read = self.mark_rules.lookup(&index.to_ne_bytes(), rule.as_mut_bytes());
        read.map(|()| rule).map_err(|error| failed("reading the map MARK_RULES", error))
    }

    /// Writes a rule that marks packets. It must not hold yet.
    pub(crate) fn set_mark_rule(&mut self, index: u32, rule: &MarkRule) -> Result<(), Error> {
        let written = self.mark_rules.update(&index.to_ne_bytes(), rule.as_bytes());
        written.map_err(|error| failed("writing the map MARK_RULES", error))
    }

    /// Says which rules hold, as [`Control::mark_rules`].
    pub(crate) fn set_mark_word(&mut self, word: u32) -> Result<(), Error> {
        self.store(Area::Control, 0, offset_of!(Control, mark_rules), &word.to_ne_bytes())
    }

    /// Number of connection records in use.
    pub(crate) fn live_conns(&self) -> Result<u32, Error> {
        let bytes = self.shards.read_array(SHARDS as usize).map_err(|error| failed("reading the map SHARDS", error))?;
        let shards = bytes.chunks_exact(size_of::<Shard>()).filter_map(|bytes| Shard::read_from_bytes(bytes).ok());
        Ok(shards.map(|shard| shard.fresh.get().saturating_sub(shard.free.get())).sum())
    }

    /// The connection records, mapped for as long as they are looked at.
    pub(crate) fn conns(&self) -> Result<Shared, Error> {
        Shared::new(&self.conns, size_of::<Conn>()).map_err(|error| failed("mapping CONNS into memory", error))
    }

    /// What a persistence engine made this template for, if the record is still there.
    pub(crate) fn engine_data(&self, template: ConnId, serial: u32) -> Option<Vec<u8>> {
        let mut value = [0; size_of::<EngineData>()];
        self.engine_data.lookup(template.as_bytes(), &mut value).ok()?;
        let data = EngineData::read_from_bytes(&value).ok().filter(|data| data.serial == serial)?;
        data.bytes.get(..data.len as usize).map(<[u8]>::to_vec)
    }

    /// Capacity for services and destinations.
    pub(crate) fn sizes(&self) -> (u32, u32) {
        (self.services.len() as u32, self.dests.len() as u32)
    }
}

/// Bytes that maps of these sizes take, but for those whose elements take memory only when they come to be.
pub(crate) fn memory(home: &Home) -> Result<u64, Error> {
    NAMES.iter().try_fold(0, |sum, name| {
        let map = Map::new(home.need(name)?).map_err(|error| failed(format!("opening the map {name}"), error))?;
        if map.info().flags & F_NO_PREALLOC != 0 {
            return Ok(sum);
        }
        // A ring buffer's entries are bytes.
        let entry = (map.value_bytes() as u64).next_multiple_of(8).max(1);
        Ok(sum + u64::from(map.info().max_entries) * entry)
    })
}

fn add(sum: &mut Counters, more: &Counters) {
    sum.conns = sum.conns.wrapping_add(more.conns);
    sum.in_pkts = sum.in_pkts.wrapping_add(more.in_pkts);
    sum.out_pkts = sum.out_pkts.wrapping_add(more.out_pkts);
    sum.in_bytes = sum.in_bytes.wrapping_add(more.in_bytes);
    sum.out_bytes = sum.out_bytes.wrapping_add(more.out_bytes);
}

/// The sum over the CPUs of one value of a per-CPU map.
fn sum(value: &[u8]) -> Counters {
    let mut sum = Counters::default();
    for cpu in value.chunks_exact(size_of::<Counters>()).filter_map(|bytes| Counters::read_from_bytes(bytes).ok()) {
        add(&mut sum, &cpu);
    }
    sum
}

fn since(stats: &Map, base: &Map, count: u32) -> Result<Vec<Counters>, Error> {
    let read = |map: &Map| map.read_array(count as usize).map_err(|error| failed("reading the counters", error));
    let (stats_bytes, base_bytes) = (read(stats)?, read(base)?);
    let sums = stats_bytes.chunks_exact(stats.value_bytes()).map(sum);
    let bases =
        base_bytes.chunks_exact(size_of::<Counters>()).filter_map(|bytes| Counters::read_from_bytes(bytes).ok());
    let less = |(sum, base): (Counters, Counters)| Counters {
        conns: sum.conns.wrapping_sub(base.conns),
        in_pkts: sum.in_pkts.wrapping_sub(base.in_pkts),
        out_pkts: sum.out_pkts.wrapping_sub(base.out_pkts),
        in_bytes: sum.in_bytes.wrapping_sub(base.in_bytes),
        out_bytes: sum.out_bytes.wrapping_sub(base.out_bytes),
    };
    Ok(sums.zip(bases).map(less).collect())
}

/// Takes the present sums as the zero of these indexes.
fn rebase(stats: &Map, base: &Map, indexes: &[u32]) -> Result<(), Error> {
    let Some(last) = indexes.iter().max() else { return Ok(()) };
    let bytes = stats.read_array(*last as usize + 1).map_err(|error| failed("reading the counters", error))?;
    let size = stats.value_bytes();
    let sums: Vec<Counters> = indexes.iter().map(|id| sum(&bytes[*id as usize * size..][..size])).collect();
    base.update_many(indexes.as_bytes(), sums.as_bytes()).map_err(|error| failed("zeroing counters", error))
}

/// Takes the present sum as the zero of one index, and lets its estimator begin anew.
fn restart(stats: &Map, base: &Map, rates: &Shared, id: u32) -> Result<(), Error> {
    let error = |error| failed("zeroing counters", error);
    let mut value = vec![0; stats.value_bytes()];
    stats.lookup(id.as_bytes(), &mut value).map_err(error)?;
    let sum = sum(&value);
    base.update(id.as_bytes(), sum.as_bytes()).map_err(error)?;
    let rate = Rate { last: sum, ..Rate::default() };
    rates.store(id as usize, 0, rate.as_bytes()).ok_or_else(|| out_of_range("RATE", id))
}

fn out_of_range(map: &str, index: u32) -> Error {
    Error::State(format!(
        "the tables in the kernel are damaged: {map} has no record {index}; `rvs teardown` removes them"
    ))
}

impl Store for Maps {
    fn capacity(&self, area: Area) -> u32 {
        self.area(area).len() as u32
    }

    fn load<T: FromBytes>(&self, area: Area, index: u32) -> Result<T, Error> {
        self.area(area).get(index as usize).ok_or_else(|| out_of_range(&format!("{area:?}"), index))
    }

    fn load_word(&self, area: Area, index: u32, offset: usize) -> Result<u32, Error> {
        self.area(area).load(index as usize, offset).ok_or_else(|| out_of_range(&format!("{area:?}"), index))
    }

    fn store(&mut self, area: Area, index: u32, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let stored = self.area(area).store(index as usize, offset, bytes);
        stored.ok_or_else(|| out_of_range(&format!("{area:?}"), index))
    }

    fn index_insert(&mut self, key: ServiceKey, id: ServiceId) -> Result<(), Error> {
        let inserted = self.service_index.update(key.as_bytes(), id.as_bytes());
        inserted.map_err(|error| failed("entering a service in the index", error))
    }

    fn index_remove(&mut self, key: ServiceKey) -> Result<(), Error> {
        let removed = self.service_index.remove(key.as_bytes());
        removed.map_err(|error| failed("removing a service from the index", error))
    }

    fn index(&self) -> Result<Vec<(ServiceKey, ServiceId)>, Error> {
        let pairs = self.service_index.read_hash().map_err(|error| failed("reading the index of services", error))?;
        let parse = |(key, id): (Vec<u8>, Vec<u8>)| {
            Some((ServiceKey::read_from_bytes(&key).ok()?, ServiceId::read_from_bytes(&id).ok()?))
        };
        Ok(pairs.into_iter().filter_map(parse).collect())
    }

    fn sched(&self, count: u32) -> Result<Vec<(u32, SchedState)>, Error> {
        let bytes = self.sched.read_array(count as usize).map_err(|error| failed("reading the schedulers", error))?;
        let state = |cell: &[u8]| {
            let version = u32::read_from_prefix(&cell[offset_of!(SchedCell, version)..]).ok()?.0;
            Some((version, SchedState::read_from_prefix(&cell[offset_of!(SchedCell, state)..]).ok()?.0))
        };
        Ok(bytes.chunks_exact(size_of::<SchedCell>()).filter_map(state).collect())
    }

    fn restart_service(&mut self, id: ServiceId) -> Result<(), Error> {
        restart(&self.stats_service, &self.base_service, &self.rate_service, id)
    }

    fn restart_dest(&mut self, id: DestId) -> Result<(), Error> {
        restart(&self.stats_dest, &self.base_dest, &self.rate_dest, id)
    }

    fn wait_for_readers(&mut self) -> Result<(), Error> {
        os::wait_for_programs().map_err(|error| failed("waiting for programs that run", error))
    }
}
