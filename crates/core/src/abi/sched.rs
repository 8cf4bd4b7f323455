//! Records of schedulers: where they stand, the tables and blocks that they choose by, what they remember of addresses.

use super::*;

/// State of a scheduler between two decisions. User space computes it at each change of the destinations (as the kernel's
/// schedulers do), stores it in the service's slot; the packet path starts from there and goes on in `SCHED`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SchedState {
    /// Index in the list of the destination chosen last; -1: before the first.
    pub pos: i32,
    /// wrr: current weight.
    pub cw: i32,
    /// wrr: maximum weight, as the kernel keeps it (`max - (gcd - 1)`).
    pub mw: i32,
    /// wrr: greatest common divisor of the weights.
    pub di: i32,
}

impl SchedState {
    /// A scheduler that has not chosen yet.
    pub const START: Self = Self { pos: -1, cw: 0, mw: 0, di: 1 };

    /// The index after the destination chosen last.
    #[inline(always)]
    pub const fn next(&self) -> u32 {
        if self.pos < 0 { 0 } else { self.pos as u32 + 1 }
    }
}

impl Default for SchedState {
    fn default() -> Self {
        Self::START
    }
}

/// Places in one row of a scheduler's table.
pub const ROW_PLACES: usize = 32;

/// Place in a table that leads nowhere.
pub const NO_PLACE: u16 = u16::MAX;

/// A part of a scheduler's table (hash value to destination): value of the map `TABLES`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TableRow {
    /// Indexes into the service's list, or [`NO_PLACE`].
    pub places: [u16; ROW_PLACES],
}

/// Entries of `LISTS` in one block.
pub const BLOCK_ENTRIES: u32 = 32;

/// Who is best among the entries of a block of a long list: value of the map `BLOCKS`, for entries `32 n` to `32 n + 31` of
/// `LISTS`. A list of more than [`BLOCK_ENTRIES`] entries begins at a block's first and shares no block with another.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromBytes)]
#[repr(C)]
pub struct Block {
    /// Counts the changes of what schedulers look at in its members, once it is in use.
    pub changes: Cell<u32>,
    /// 1: a scheduler remembers its best member.
    pub used: Cell<u32>,
    /// The best member, with the count of changes that it is good for; see [`crate::sched::contest`].
    pub best: Cell<u64>,
}

/// Key of the maps `LBLC` and `LBLCR`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct CacheKey {
    /// The service.
    pub service: ServiceId,
    /// Its [`ServiceSlot::attached`].
    pub attached: u32,
    /// Destination address of the packets, as four words.
    pub addr: [u32; 4],
}

/// A destination as it is remembered: its number in the low half, its [`Dest::serial`] in the high half; 0 is nobody (serials
/// count from 1).
pub type Remembered = u64;

/// Where lblc sends the packets for one address: value of the map `LBLC`.
#[derive(Clone, Debug, Default, FromBytes)]
#[repr(C)]
pub struct Locality {
    /// When it was last used, nanoseconds of the coarse monotonic clock.
    pub last_use: Cell<u64>,
    /// To whom.
    pub server: Cell<Remembered>,
}

/// Most destinations that lblcr remembers for one address.
pub const MAX_REPLICAS: usize = 64;

/// Where lblcr sends the packets for one address: value of the map `LBLCR`.
#[derive(Clone, Debug, FromBytes)]
#[repr(C)]
pub struct Replicas {
    /// Guards the changes of the rest.
    pub lock: bpf_spin_lock,
    /// Number of destinations.
    pub len: Cell<u16>,
    /// 1 while somebody takes one out.
    pub busy: Cell<u16>,
    /// When it was last used, nanoseconds of the coarse monotonic clock.
    pub last_use: Cell<u64>,
    /// When a destination was last added or forgotten, likewise.
    pub last_change: Cell<u64>,
    /// To whom, oldest first.
    pub servers: [Cell<Remembered>; MAX_REPLICAS],
}

impl Replicas {
    /// Begins with one destination.
    #[inline(always)]
    pub fn begin(&self, now: u64, server: Remembered) {
        self.last_use.set(now);
        self.last_change.set(now);
        self.servers[0].set(server);
        self.len.set(1);
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            lock: bpf_spin_lock::default(),
            len: Cell::new(0),
            busy: Cell::new(0),
            last_use: Cell::new(0),
            last_change: Cell::new(0),
            servers: [const { Cell::new(0) }; MAX_REPLICAS],
        }
    }
}

/// Where a scheduler stands: value of the map `SCHED`, by service.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SchedCell {
    /// Guards the rest.
    pub lock: bpf_spin_lock,
    /// [`ServiceSlot::sched_version`] that `state` goes on from.
    pub version: Cell<u32>,
    /// The state.
    pub state: Cell<SchedState>,
    /// lblc, lblcr: addresses remembered. May be a few off, when the scheduler was just exchanged.
    pub remembered: Cell<u32>,
    /// lblc, lblcr: how many of them the present round of the sweeper may still drop because there are too many.
    pub excess: Cell<u32>,
}
