//! Schedulers: which destination a new connection goes to. One file each, behind one trait.
//!
//! Each gives the kernel's answer, decision for decision: the list is walked newest destination first, ties go to the first
//! met, weight 0 and overloaded destinations are skipped. A scheduler is a pure function of the list, the counters it reads
//! through [`Candidates`] and its [`SchedState`]; where that state is kept, and under which lock, is not its business.

pub mod cache;
pub mod contest;
pub mod dh;
pub mod fo;
pub mod hash;
pub mod lblc;
pub mod lblcr;
pub mod lc;
pub mod mh;
pub mod nq;
pub mod ovf;
pub mod rr;
pub mod sed;
pub mod sh;
pub mod twos;
pub mod wlc;
pub mod wrr;

use crate::abi::{Block, Dest, DestState, FlowKey, Locality, Remembered, Replicas, SchedState};
use core::cell::Cell;

/// The schedulers there are, with the numbers that [`crate::abi::ServiceSlot::sched`] holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Round robin.
    Rr = 1,
    /// Weighted round robin.
    Wrr = 2,
    /// Least connection.
    Lc = 3,
    /// Weighted least connection, the default.
    Wlc = 4,
    /// Shortest expected delay.
    Sed = 5,
    /// Never queue.
    Nq = 6,
    /// Weighted failover.
    Fo = 7,
    /// Weighted overflow.
    Ovf = 8,
    /// Locality-based least connection.
    Lblc = 9,
    /// Locality-based least connection with replication.
    Lblcr = 10,
    /// Destination hashing.
    Dh = 11,
    /// Source hashing.
    Sh = 12,
    /// Maglev hashing.
    Mh = 13,
    /// Power of two choices.
    Twos = 14,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Rr,
        Self::Wrr,
        Self::Lc,
        Self::Wlc,
        Self::Sed,
        Self::Nq,
        Self::Fo,
        Self::Ovf,
        Self::Lblc,
        Self::Lblcr,
        Self::Dh,
        Self::Sh,
        Self::Mh,
        Self::Twos,
    ];

    /// The name that ipvsadm and keepalived know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rr => "rr",
            Self::Wrr => "wrr",
            Self::Lc => "lc",
            Self::Wlc => "wlc",
            Self::Sed => "sed",
            Self::Nq => "nq",
            Self::Fo => "fo",
            Self::Ovf => "ovf",
            Self::Lblc => "lblc",
            Self::Lblcr => "lblcr",
            Self::Dh => "dh",
            Self::Sh => "sh",
            Self::Mh => "mh",
            Self::Twos => "twos",
        }
    }

    /// By name; the empty name is the default (`ipvsadm -s ''`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Wlc),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// From the number in a record.
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            1 => Some(Self::Rr),
            2 => Some(Self::Wrr),
            3 => Some(Self::Lc),
            4 => Some(Self::Wlc),
            5 => Some(Self::Sed),
            6 => Some(Self::Nq),
            7 => Some(Self::Fo),
            8 => Some(Self::Ovf),
            9 => Some(Self::Lblc),
            10 => Some(Self::Lblcr),
            11 => Some(Self::Dh),
            12 => Some(Self::Sh),
            13 => Some(Self::Mh),
            14 => Some(Self::Twos),
            _ => None,
        }
    }

    /// The state after the destinations or their weights changed (or the scheduler was attached, `state` being
    /// [`SchedState::START`]): what the kernel's schedulers do at each single add, edit and delete.
    ///
    /// `weights` are those of the new list, newest first; `pos` of `state` is already an index into the new list.
    pub fn changed(self, state: SchedState, weights: impl Iterator<Item = i32> + Clone) -> SchedState {
        match self {
            Self::Wrr => wrr::changed(state, weights),
            _ => state,
        }
    }

    /// Whether it has a state that a decision moves on.
    #[inline(always)]
    pub const fn has_state(self) -> bool {
        matches!(self, Self::Rr | Self::Wrr)
    }

    /// Places in its table; 0: it has none.
    pub const fn table_len(self) -> usize {
        match self {
            Self::Sh => sh::PLACES as usize,
            Self::Mh => mh::PLACES as usize,
            _ => 0,
        }
    }

    /// Fills `table`, of [`Kind::table_len`] places, for these servers, newest first. `claims` is scratch room for at least
    /// one entry per server.
    ///
    /// The kernel does this whenever a destination is added, edited or deleted. The result depends on the list alone.
    pub fn fill_table<S>(self, servers: S, claims: &mut [mh::Claim], table: &mut [u16])
    where
        S: ExactSizeIterator<Item = (i32, mh::Claimant)> + Clone,
    {
        match self {
            Self::Sh => sh::deal(servers.map(|(weight, _)| weight), table),
            Self::Mh => mh::populate(servers.map(|(_, claimant)| claimant), claims, table),
            _ => {}
        }
    }
}

/// What asks for a destination: the first packet of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// From whom, for whom.
    pub key: &'a FlowKey,
    /// Flags of the service, among them the scheduler's.
    pub flags: u16,
}

/// A scheduler: chooses from a list, moving its state on.
pub trait Scheduler {
    /// The index of the chosen destination, or `None` when no destination can take a connection (the state is then as before).
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, state: &mut SchedState) -> Option<u32>;
}

/// Chooses by `kind`.
#[inline(always)]
pub fn pick<C: Candidates>(kind: Kind, list: &C, request: &Request<'_>, state: &mut SchedState) -> Option<u32> {
    match kind {
        Kind::Rr => rr::Rr::pick(list, request, state),
        Kind::Wrr => wrr::Wrr::pick(list, request, state),
        Kind::Lc => lc::Lc::pick(list, request, state),
        Kind::Wlc => wlc::Wlc::pick(list, request, state),
        Kind::Sed => sed::Sed::pick(list, request, state),
        Kind::Nq => nq::Nq::pick(list, request, state),
        Kind::Fo => fo::Fo::pick(list, request, state),
        Kind::Ovf => ovf::Ovf::pick(list, request, state),
        Kind::Lblc => lblc::Lblc::pick(list, request, state),
        Kind::Lblcr => lblcr::Lblcr::pick(list, request, state),
        Kind::Dh => dh::Dh::pick(list, request, state),
        Kind::Sh => sh::Sh::pick(list, request, state),
        Kind::Mh => mh::Mh::pick(list, request, state),
        Kind::Twos => twos::Twos::pick(list, request, state),
    }
}

/// What a scheduler may know about the destinations of a service, and what it may remember.
pub trait Candidates: Sized {
    /// Number of entries in the list.
    fn count(&self) -> u32;

    /// The entry at `index`.
    fn candidate(&self, index: u32) -> Option<Candidate>;

    /// Takes up to `steps` steps, until one breaks. The state goes in and comes out by value, because the kernel's loop helper,
    /// which takes the place of this loop in the programs, wants everything that a step touches in one place.
    fn repeat<S: Step>(&self, steps: u32, over: &S::Over, mut state: S) -> S {
        for number in 0..steps {
            if state.step(self, over, number) == Walk::Break {
                break;
            }
        }
        state
    }

    /// The place number `place` of the scheduler's table: an index into the list.
    fn place(&self, place: u32) -> Option<u32>;

    /// 32 random bits.
    fn random(&self) -> u32;

    /// Where the list begins in `LISTS`.
    fn first(&self) -> u32;

    /// The block that begins at `index`, if the list has blocks and nobody is just changing the configuration.
    fn block(&self, index: u32) -> Option<&Block>;

    /// Tells apart the versions of lists and schedulers that use a block one after the other.
    fn version(&self) -> u32;

    /// Adds 1 to a counter, exactly, whatever other CPUs do.
    fn add(&self, counter: &Cell<u32>);

    /// Coarse monotonic clock, nanoseconds.
    fn now(&self) -> u64;

    /// Who the destination at `index` is.
    fn server(&self, index: u32) -> Option<Remembered>;

    /// Where in the list a destination is that was remembered; `None`: it is gone.
    fn index_of(&self, server: Remembered) -> Option<u32>;

    /// Whether nobody is just changing the configuration: only then a destination that cannot be found is gone.
    fn settled(&self) -> bool;

    /// lblc: what is remembered for the request's address.
    fn locality(&self, request: &Request<'_>) -> Option<&Locality>;

    /// lblc: remembers an address, if there is room.
    fn add_locality(&self, request: &Request<'_>, server: Remembered);

    /// lblcr: what is remembered for the request's address.
    fn replicas(&self, request: &Request<'_>) -> Option<&Replicas>;

    /// lblcr: remembers an address, if there is room.
    fn add_replicas(&self, request: &Request<'_>, server: Remembered);

    /// lblcr: how long a set of several destinations stays as it is, nanoseconds.
    fn replica_hold(&self) -> u64;

    /// Locks a set for changes. Nothing but plain memory accesses may happen until [`Candidates::unlock`].
    fn lock(&self, replicas: &Replicas);

    /// Unlocks it.
    fn unlock(&self, replicas: &Replicas);

    /// Shows `visitor` the entries from index `start` on, `steps` of them, wrapping around at the end of the list, until it
    /// breaks.
    #[inline(always)]
    fn walk<V: Visitor>(&self, start: u32, steps: u32, visitor: V) -> V {
        self.repeat(steps, &(), Walking { start, visitor }).visitor
    }
}

/// One step of a loop, and what is carried from each to the next: plain values, which may be kept anywhere meanwhile.
pub trait Step: Copy {
    /// What the loop goes over besides the list.
    type Over;

    /// Takes the step with this number, counted from 0.
    fn step<C: Candidates>(&mut self, list: &C, over: &Self::Over, number: u32) -> Walk;
}

/// What is done at each entry of a list.
pub trait Visitor: Copy {
    /// Looks at the entry at `index`.
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk;
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// To the next entry.
    Continue,
    /// No further.
    Break,
}

/// A walk along a list.
#[derive(Clone, Copy)]
struct Walking<V> {
    start: u32,
    visitor: V,
}

impl<V: Visitor> Step for Walking<V> {
    type Over = ();

    #[inline(always)]
    fn step<C: Candidates>(&mut self, list: &C, (): &(), number: u32) -> Walk {
        let index = self.start.wrapping_add(number);
        let index = if index >= list.count() { index.wrapping_sub(list.count()) } else { index };
        match list.candidate(index) {
            Some(candidate) => self.visitor.visit(index, candidate),
            None => Walk::Continue,
        }
    }
}

/// Where the destination `dest` is in a list of `count` entries that begins at `first`, if it is the one that was remembered.
/// Right while the configuration is settled; otherwise [`Dest::entry`] may still be that of the list before.
#[inline(always)]
pub fn index_in(dest: &Dest, server: Remembered, first: u32, count: u32) -> Option<u32> {
    let same = dest.serial == (server >> 32) as u32 && dest.state.get() == DestState::Live as u8;
    let index = dest.entry.get().wrapping_sub(first);
    (same && index < count).then_some(index)
}

/// How a destination is remembered.
#[inline(always)]
pub fn remembered(id: u32, dest: &Dest) -> Remembered {
    (dest.serial as u64) << 32 | id as u64
}

/// One destination as a scheduler sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidate {
    /// Weight; 0 quiesces.
    pub weight: i32,
    /// Upper threshold reached.
    pub overloaded: bool,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
}

impl Candidate {
    /// A destination, as one version of a service weighs it.
    #[inline(always)]
    pub fn of(weight: i32, dest: &Dest) -> Self {
        let overloaded = dest.overload.get() != 0;
        Self { weight, overloaded, active: dest.active.get(), inactive: dest.inactive.get() }
    }

    /// May it take a new connection?
    #[inline(always)]
    pub const fn usable(self) -> bool {
        self.weight > 0 && !self.overloaded
    }

    /// The kernel's load figure: active connections count 256 times an inactive one.
    #[inline(always)]
    pub const fn overhead(self) -> i64 {
        ((self.active as i64) << 8) + self.inactive as i64
    }
}

#[cfg(test)]
pub(crate) mod testing;
