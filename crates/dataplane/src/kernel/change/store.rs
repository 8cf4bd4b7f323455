//! The maps that hold configuration, as something to load records from and store words in; and every kind of write there is.
//!
//! A [`Write`] is what a planner asks for; [`perform`] spells it out in stores whose order matters to readers and to whoever
//! finds them half done. The maps of the kernel and the vectors of the tests are the two [`Store`]s.

use crate::Error;
use rvs_core::abi::{
    Addresses, Control, Dest, DestId, DestState, ListEntry, SchedState, Service, ServiceId, ServiceKey, ServiceSlot,
    TableRow, Timeouts,
};
use rvs_wire::{Addr, Be16};
use std::mem::offset_of;
use zerocopy::{FromBytes, IntoBytes};

/// Array maps that configuration lives in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Area {
    /// `CONTROL`: one record.
    Control,
    /// `SERVICES`.
    Services,
    /// `LISTS`.
    Lists,
    /// `DESTS`.
    Dests,
    /// `ADDRESSES`: one record.
    Addresses,
    /// `TABLES`.
    Tables,
}

/// Access to the maps. Indexes and offsets come from records that a dead writer may have left, so all are checked.
pub(crate) trait Store {
    /// Number of records in an area.
    fn capacity(&self, area: Area) -> u32;
    /// A copy of a record.
    fn load<T: FromBytes>(&self, area: Area, index: u32) -> Result<T, Error>;
    /// The word at `offset` of a record.
    fn load_word(&self, area: Area, index: u32, offset: usize) -> Result<u32, Error>;
    /// Stores `bytes` at `offset` of a record, word by word in order; readers see them in that order too.
    fn store(&mut self, area: Area, index: u32, offset: usize, bytes: &[u8]) -> Result<(), Error>;
    /// Enters a service in `SERVICE_INDEX`, replacing what was there.
    fn index_insert(&mut self, key: ServiceKey, id: ServiceId) -> Result<(), Error>;
    /// Removes a service from `SERVICE_INDEX`, if it is there.
    fn index_remove(&mut self, key: ServiceKey) -> Result<(), Error>;
    /// All of `SERVICE_INDEX`.
    fn index(&self) -> Result<Vec<(ServiceKey, ServiceId)>, Error>;
    /// What `SCHED` holds for the first `count` services: the version it started from, and the state now.
    fn sched(&self, count: u32) -> Result<Vec<(u32, SchedState)>, Error>;
    /// Lets the counters of a service begin at zero.
    fn restart_service(&mut self, id: ServiceId) -> Result<(), Error>;
    /// Lets the counters of a destination begin at zero.
    fn restart_dest(&mut self, id: DestId) -> Result<(), Error>;
    /// Waits until no program runs that began before.
    fn wait_for_readers(&mut self) -> Result<(), Error>;
}

/// Where packets to a destination leave this host.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Way {
    /// Interface; 0: there is no route.
    pub(crate) ifindex: u32,
    /// Gateway, or the destination itself.
    pub(crate) gateway: Addr,
    /// Our address on that route.
    pub(crate) source: Addr,
}

/// One step of a change.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Write {
    /// Marks the tables as being worked on.
    Begin,
    /// Marks them as settled.
    End(u32),
    /// The commit: packets see this generation from now on.
    Commit(u32),
    /// Waits for programs that may still read what is about to be used again.
    Grace,
    /// A field of `CONTROL`, by its offset.
    Control(usize, u32),
    /// A version of the timeouts.
    Timeouts(usize, Timeouts),
    /// Takes a free service record for a new use.
    TakeService { id: ServiceId, key: ServiceKey, serial: u32 },
    /// A field of a service, by its offset.
    Service(ServiceId, usize, u32),
    /// Writes a slot.
    Slot(ServiceId, usize, ServiceSlot),
    /// Invalidates a slot.
    ClearSlot(ServiceId, usize),
    /// Part of `LISTS`.
    List(u32, Vec<ListEntry>),
    /// Rows of `TABLES`.
    Table(u32, Vec<TableRow>),
    /// Takes a free destination record for a new use.
    TakeDest { id: DestId, addr: Addr, port: Be16, family: u8, service: ServiceId, serial: u32 },
    /// Whether a destination takes packets; with the second in which it was deleted.
    DestState { id: DestId, port: Be16, family: u8, state: DestState, trashed_at: u32 },
    /// Thresholds of a destination; the overload mark goes when `relieve` is set.
    Thresholds { id: DestId, upper: u32, lower: u32, relieve: bool },
    /// Where in `LISTS` a destination's settings are, for connections of persistent clients.
    Entry(DestId, u32),
    /// Way to a destination.
    Way(DestId, Way),
    /// Enters a service in the index.
    Index(ServiceKey, ServiceId),
    /// Removes it.
    Unindex(ServiceKey),
    /// Counters of a service begin at zero.
    RestartService(ServiceId),
    /// Counters of a destination begin at zero.
    RestartDest(DestId),
}

fn word(value: u32) -> [u8; 4] {
    value.to_ne_bytes()
}

/// The word of a destination that holds port, family and state.
fn state_word(port: Be16, family: u8, state: DestState) -> [u8; 4] {
    let [a, b] = port.raw().to_ne_bytes();
    [a, b, family, state as u8]
}

const _: () = {
    // `state_word` is stored at the port's offset, as one word.
    assert!(offset_of!(Dest, port).is_multiple_of(4));
    assert!(
        offset_of!(Dest, family) == offset_of!(Dest, port) + 2 && offset_of!(Dest, state) == offset_of!(Dest, port) + 3
    );
    assert!(offset_of!(ServiceSlot, generation) == 0 && offset_of!(Timeouts, generation) == 0);
    assert!(offset_of!(Dest, hop_source) == offset_of!(Dest, hop_gateway) + size_of::<Addr>());
};

/// Carries out one write.
pub(crate) fn perform(store: &mut impl Store, write: &Write) -> Result<(), Error> {
    let prepared = offset_of!(Control, prepared);
    match write {
        Write::Begin => store.store(Area::Control, 0, prepared, &word(0)),
        Write::End(generation) => store.store(Area::Control, 0, prepared, &word(*generation)),
        Write::Commit(generation) => store.store(Area::Control, 0, offset_of!(Control, generation), &word(*generation)),
        Write::Grace => store.wait_for_readers(),
        Write::Control(offset, value) => store.store(Area::Control, 0, *offset, &word(*value)),
        Write::Timeouts(slot, timeouts) => {
            let at = offset_of!(Control, timeouts) + slot * size_of::<Timeouts>();
            store.store(Area::Control, 0, at, timeouts.as_bytes())
        }
        Write::Index(key, id) => store.index_insert(*key, *id),
        Write::Unindex(key) => store.index_remove(*key),
        Write::RestartService(id) => store.restart_service(*id),
        Write::RestartDest(id) => store.restart_dest(*id),
        Write::List(first, entries) => {
            (*first..).zip(entries).try_for_each(|(at, entry)| store.store(Area::Lists, at, 0, entry.as_bytes()))
        }
        Write::Table(first, rows) => {
            (*first..).zip(rows).try_for_each(|(at, row)| store.store(Area::Tables, at, 0, row.as_bytes()))
        }
        Write::TakeService { .. } | Write::Service(..) | Write::Slot(..) | Write::ClearSlot(..) => {
            service(store, write)
        }
        Write::TakeDest { .. }
        | Write::DestState { .. }
        | Write::Thresholds { .. }
        | Write::Entry(..)
        | Write::Way(..) => dest(store, write),
    }
}

/// Writes to `SERVICES`.
fn service(store: &mut impl Store, write: &Write) -> Result<(), Error> {
    let slot_at = |slot: usize| offset_of!(Service, slots) + slot * size_of::<ServiceSlot>();
    match write {
        Write::TakeService { id, key, serial } => {
            if key.proto != 0 {
                add_address(store, key.addr)?;
            }
            store.store(Area::Services, *id, offset_of!(Service, key), key.as_bytes())?;
            store.store(Area::Services, *id, offset_of!(Service, serial), &word(*serial))?;
            store.store(Area::Services, *id, offset_of!(Service, removed_at), &word(0))
        }
        Write::Service(id, offset, value) => store.store(Area::Services, *id, *offset, &word(*value)),
        // The generation lies first and is stored first: a reader of what the slot held before finds it changed.
        Write::Slot(id, slot, value) => store.store(Area::Services, *id, slot_at(*slot), value.as_bytes()),
        Write::ClearSlot(id, slot) => {
            store.store(Area::Services, *id, slot_at(*slot), ServiceSlot::default().as_bytes())
        }
        _ => Ok(()),
    }
}

/// Adds an address to those that packets are no strangers with: before anything has it.
fn add_address(store: &mut impl Store, addr: Addr) -> Result<(), Error> {
    let (at, bit) = Addresses::place(addr);
    let offset = size_of::<u32>() * at;
    let bits = store.load_word(Area::Addresses, 0, offset)?;
    if bits & bit != 0 { Ok(()) } else { store.store(Area::Addresses, 0, offset, &word(bits | bit)) }
}

/// Writes to `DESTS`: field by field, since programs count connections in the same record.
fn dest(store: &mut impl Store, write: &Write) -> Result<(), Error> {
    match write {
        Write::TakeDest { id, addr, port, family, service, serial } => {
            add_address(store, *addr)?;
            let area = Area::Dests;
            store.store(area, *id, offset_of!(Dest, addr), addr.as_bytes())?;
            store.store(area, *id, offset_of!(Dest, service), &word(*service))?;
            store.store(area, *id, offset_of!(Dest, serial), &word(*serial))?;
            store.store(area, *id, offset_of!(Dest, hop_ifindex), &word(0))?;
            store.store(area, *id, offset_of!(Dest, overload), &word(0))?;
            store.store(area, *id, offset_of!(Dest, u_threshold), &word(0))?;
            store.store(area, *id, offset_of!(Dest, l_threshold), &word(0))?;
            store.store(area, *id, offset_of!(Dest, answered), &[0; 12])?;
            store.store(area, *id, offset_of!(Dest, port), &state_word(*port, *family, DestState::Live))
        }
        Write::DestState { id, port, family, state, trashed_at } => {
            store.store(Area::Dests, *id, offset_of!(Dest, trashed_at), &word(*trashed_at))?;
            store.store(Area::Dests, *id, offset_of!(Dest, port), &state_word(*port, *family, *state))
        }
        Write::Thresholds { id, upper, lower, relieve } => {
            store.store(Area::Dests, *id, offset_of!(Dest, l_threshold), &word(*lower))?;
            if *relieve {
                store.store(Area::Dests, *id, offset_of!(Dest, overload), &word(0))?;
            }
            store.store(Area::Dests, *id, offset_of!(Dest, u_threshold), &word(*upper))
        }
        Write::Entry(id, at) => store.store(Area::Dests, *id, offset_of!(Dest, entry), &word(*at)),
        Write::Way(id, way) => {
            // Between the first and the last store there is no way; packets never see one route's gateway on another's
            // interface.
            store.store(Area::Dests, *id, offset_of!(Dest, hop_ifindex), &word(0))?;
            store.store(Area::Dests, *id, offset_of!(Dest, hop_gateway), way.gateway.as_bytes())?;
            store.store(Area::Dests, *id, offset_of!(Dest, hop_source), way.source.as_bytes())?;
            store.store(Area::Dests, *id, offset_of!(Dest, hop_ifindex), &word(way.ifindex))
        }
        _ => Ok(()),
    }
}

/// Carries out many writes.
pub(crate) fn perform_all(store: &mut impl Store, writes: &[Write]) -> Result<(), Error> {
    writes.iter().try_for_each(|write| perform(store, write))
}
