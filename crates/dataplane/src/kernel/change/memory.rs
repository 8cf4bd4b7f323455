//! The maps as vectors, with a writer that can be stopped after any word it stores: for tests.

use super::image::{is_ftp, present};
use super::store::{Area, Store};
use crate::Error;
use rvs_core::abi::{
    self, Addresses, Control, Dest, DestId, ListEntry, SchedState, Service, ServiceId, ServiceKey, ServiceSlot,
    TableRow,
};
use rvs_core::sched::Kind;
use rvs_wire::{Addr, Be16};
use std::collections::BTreeMap;
use std::mem::offset_of;
use zerocopy::FromBytes;

/// The maps, and how many more words may be stored.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    control: Vec<u8>,
    services: Vec<u8>,
    lists: Vec<u8>,
    dests: Vec<u8>,
    addresses: Vec<u8>,
    tables: Vec<u8>,
    index: BTreeMap<Vec<u8>, (ServiceKey, ServiceId)>,
    pub(crate) sched: Vec<(u32, SchedState)>,
    pub(crate) budget: usize,
}

/// A service as packets see it: settings, destinations with what their list entry says, and its scheduler's table.
pub(crate) type Seen = BTreeMap<Vec<u8>, (ServiceSlot, Vec<(Addr, Be16, ListEntry)>, Vec<TableRow>)>;

impl Memory {
    /// Empty maps with room for so many records.
    pub(crate) fn new(services: usize, dests: usize, lists: usize, rows: usize) -> Self {
        let mut memory = Self {
            control: vec![0; size_of::<Control>()],
            services: vec![0; services * size_of::<Service>()],
            lists: vec![0; lists * size_of::<ListEntry>()],
            dests: vec![0; dests * size_of::<Dest>()],
            addresses: vec![0; size_of::<Addresses>()],
            tables: vec![0; rows * size_of::<TableRow>()],
            index: BTreeMap::new(),
            sched: vec![(0, SchedState::START); services],
            budget: usize::MAX,
        };
        let one = 1u32.to_ne_bytes();
        for offset in [offset_of!(Control, generation), offset_of!(Control, prepared), offset_of!(Control, timeouts)] {
            memory.store(Area::Control, 0, offset, &one).unwrap();
        }
        memory
    }

    fn area(&self, area: Area) -> (&Vec<u8>, usize) {
        match area {
            Area::Control => (&self.control, size_of::<Control>()),
            Area::Services => (&self.services, size_of::<Service>()),
            Area::Lists => (&self.lists, size_of::<ListEntry>()),
            Area::Dests => (&self.dests, size_of::<Dest>()),
            Area::Addresses => (&self.addresses, size_of::<Addresses>()),
            Area::Tables => (&self.tables, size_of::<TableRow>()),
        }
    }

    fn spend(&mut self) -> Result<(), Error> {
        self.budget = self.budget.checked_sub(1).ok_or_else(|| Error::State("killed".into()))?;
        Ok(())
    }

    /// Sets a counter of a destination, as packets do.
    pub(crate) fn count(&mut self, id: DestId, inactive: u32) {
        self.store(Area::Dests, id, offset_of!(Dest, inactive), &inactive.to_ne_bytes()).unwrap();
    }

    /// What packets see: found through the index as they do it.
    pub(crate) fn seen(&self) -> (Seen, [u32; 3]) {
        let control: Control = self.load(Area::Control, 0).unwrap();
        let generation = control.generation.get();
        let mut seen = Seen::new();
        for (bytes, (key, id)) in &self.index {
            let service: Service = self.load(Area::Services, *id).unwrap();
            let Some(slot) = present(&service, generation).filter(|_| service.key == *key) else { continue };
            assert!(key.proto != 0 || control.mark_services > 0, "a service by mark that packets do not look for");
            let addresses: Addresses = self.load(Area::Addresses, 0).unwrap();
            assert!(key.proto == 0 || addresses.may_have(key.addr), "a service that packets take for a stranger");
            assert!(!is_ftp(key) || control.ftp_services > 0, "an FTP service that packets do not look for");
            let dests = (slot.first..slot.first + slot.count).map(|at| {
                let entry: ListEntry = self.load(Area::Lists, at).unwrap();
                let dest: Dest = self.load(Area::Dests, entry.dest).unwrap();
                assert!(addresses.may_have(dest.addr), "a destination that packets take for a stranger");
                assert_eq!(dest.service, *id, "a destination of another service in the list");
                // Which record it has, and what it was set to by which generation, is no part of the configuration.
                (dest.addr, dest.port, ListEntry { dest: 0, ..entry })
            });
            let settings =
                ServiceSlot { generation: 0, first: 0, sched_version: 0, order: 0, table: 0, attached: 0, ..*slot };
            seen.insert(bytes.clone(), (settings, dests.collect(), self.table(slot)));
        }
        let slots = &control.timeouts;
        let active = abi::active(slots.map(|slot| slot.generation), generation).unwrap();
        (seen, [slots[active].tcp[1], slots[active].tcp[4], slots[active].udp])
    }

    /// The table of a service's scheduler.
    pub(crate) fn table(&self, slot: &ServiceSlot) -> Vec<TableRow> {
        let places = Kind::from_raw(slot.sched).map_or(0, Kind::table_len);
        let rows = places.div_ceil(abi::ROW_PLACES) as u32;
        (slot.table..slot.table + rows).map(|row| self.load(Area::Tables, row).unwrap()).collect()
    }

    /// The states of all destination records.
    pub(crate) fn states(&self) -> Vec<u8> {
        let count = (self.dests.len() / size_of::<Dest>()) as u32;
        (0..count).map(|id| self.load::<Dest>(Area::Dests, id).unwrap().state.get()).collect()
    }

    /// Entries of the index.
    pub(crate) fn index_len(&self) -> usize {
        self.index.len()
    }
}

impl Store for Memory {
    fn capacity(&self, area: Area) -> u32 {
        let (bytes, size) = self.area(area);
        (bytes.len() / size) as u32
    }

    fn load<T: FromBytes>(&self, area: Area, index: u32) -> Result<T, Error> {
        let (bytes, size) = self.area(area);
        let at = index as usize * size;
        let record = bytes.get(at..at + size).ok_or_else(|| Error::State(format!("{area:?} {index}")))?;
        T::read_from_bytes(record).map_err(|_| Error::State(format!("{area:?}: size")))
    }

    fn load_word(&self, area: Area, index: u32, offset: usize) -> Result<u32, Error> {
        let (bytes, size) = self.area(area);
        let at = index as usize * size + offset;
        let word = bytes.get(at..at + 4).and_then(|word| u32::read_from_bytes(word).ok());
        word.ok_or_else(|| Error::State(format!("{area:?} {index}")))
    }

    fn store(&mut self, area: Area, index: u32, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let (_, size) = self.area(area);
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4) && offset + bytes.len() <= size);
        for (i, word) in bytes.chunks_exact(4).enumerate() {
            self.spend()?;
            let to = match area {
                Area::Control => &mut self.control,
                Area::Services => &mut self.services,
                Area::Lists => &mut self.lists,
                Area::Dests => &mut self.dests,
                Area::Addresses => &mut self.addresses,
                Area::Tables => &mut self.tables,
            };
            let at = index as usize * size + offset + 4 * i;
            to[at..at + 4].copy_from_slice(word);
        }
        Ok(())
    }

    fn index_insert(&mut self, key: ServiceKey, id: ServiceId) -> Result<(), Error> {
        use zerocopy::IntoBytes;
        self.spend()?;
        self.index.insert(key.as_bytes().to_vec(), (key, id));
        Ok(())
    }

    fn index_remove(&mut self, key: ServiceKey) -> Result<(), Error> {
        use zerocopy::IntoBytes;
        self.spend()?;
        self.index.remove(key.as_bytes());
        Ok(())
    }

    fn index(&self) -> Result<Vec<(ServiceKey, ServiceId)>, Error> {
        Ok(self.index.values().copied().collect())
    }

    fn sched(&self, count: u32) -> Result<Vec<(u32, SchedState)>, Error> {
        Ok(self.sched[..count as usize].to_vec())
    }

    fn restart_service(&mut self, _: ServiceId) -> Result<(), Error> {
        self.spend()
    }

    fn restart_dest(&mut self, _: DestId) -> Result<(), Error> {
        self.spend()
    }

    fn wait_for_readers(&mut self) -> Result<(), Error> {
        self.spend()
    }
}
