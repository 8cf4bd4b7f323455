//! The tables that decisions are made from: what the eBPF side backs with maps and user space with vectors.
//!
//! References are to shared memory that other CPUs read and write. Single words (the `Cell`s of [`crate::abi`]) are read and
//! written whole; what needs more goes through [`Tables::lock`] (one bucket at a time) and [`Tables::add`].

use crate::abi::{
    Addresses, BLOCK_ENTRIES, Block, Bucket, Conn, ConnId, Control, Counters, Dest, DestId, Fate, FlowKey, ListEntry,
    ProbeFlow, SchedState, Service, ServiceId, ServiceKey, ServiceSlot,
};
use crate::conn::life::End;
use crate::conn::{embryo, life, table};
use crate::flow::Flow;
use crate::plan::Plan;
use crate::probe;
use crate::service::Found;
use core::cell::Cell;

/// The tables of one director.
pub trait Tables {
    /// Coarse monotonic clock, nanoseconds.
    fn now(&self) -> u64;

    /// The root record.
    fn control(&self) -> Option<&Control>;

    /// A secret that nobody who sends packets knows: where it leads, nobody can aim.
    fn seed(&self) -> u64;

    /// One of the [`table::SECRETS`] secret words of the connection table's hash: [`table::secrets`] of the seed.
    fn secret(&self, index: usize) -> u64;

    /// Number of buckets minus 1; the number is a power of two.
    fn bucket_mask(&self) -> u32;

    /// A bucket of the connection table.
    fn bucket(&self, index: u32) -> Option<&Bucket>;

    /// Locks a bucket for writing. Nothing but plain memory accesses may happen until [`Tables::unlock`].
    fn lock(&self, bucket: &Bucket);

    /// Unlocks it.
    fn unlock(&self, bucket: &Bucket);

    /// Puts an entry into a bucket: [`table::put`].
    #[inline(always)]
    fn put(&self, bucket: u32, entry: u64) -> table::Entered
    where
        Self: Sized,
    {
        table::put(self, bucket, entry)
    }

    /// Looks into a bucket: [`table::look`].
    #[inline(always)]
    fn look(&self, bucket: u32, entry: u64) -> u32
    where
        Self: Sized,
    {
        table::look(self, bucket, entry)
    }

    /// A connection's record, live or not.
    fn conn(&self, id: ConnId) -> Option<&Conn>;

    /// Takes a free record; `None` when the table is full.
    fn alloc_conn(&self) -> Option<ConnId>;

    /// Takes a record for an embryonic connection of this ring, if there is one: [`embryo::try_take`].
    #[inline(always)]
    fn try_embryo(&self, ring: u32) -> embryo::Taken
    where
        Self: Sized,
    {
        embryo::try_take(self, ring)
    }

    /// Counts what a server says first: [`life::note_first_word`].
    #[inline(always)]
    fn note_first_word(&self, id: ConnId, event: u8, of_server: bool)
    where
        Self: Sized,
    {
        life::note_first_word(self, id, event, of_server);
    }

    /// Decides a packet that may be the answer to a health check: [`probe::answered`].
    #[inline(always)]
    fn probe_answered(&self, flow: &Flow, plan: &mut Plan) -> bool
    where
        Self: Sized,
    {
        probe::answered(self, flow, plan)
    }

    /// Ends a connection: [`life::expire`].
    #[inline(always)]
    fn expire(&self, id: ConnId, end: End)
    where
        Self: Sized,
    {
        if let Some(conn) = self.conn(id) {
            life::expire(self, id, conn, self.now(), end);
        }
    }

    /// Places in each ring of embryonic connections, a power of two.
    fn ring_size(&self) -> u32;

    /// The place that comes next in a ring; counts on past the ring's end.
    fn ring_hand(&self, ring: u32) -> Option<u32>;

    /// Moves the hand of a ring on from `from`; `false`: another CPU did.
    fn move_hand(&self, ring: u32, from: u32) -> bool;

    /// A place in a ring, which goes round: 0 when nothing was ever noted there, else the record's index plus 1, and its
    /// number of uses in the upper half.
    fn ring_place(&self, ring: u32, at: u32) -> Option<&Cell<u64>>;

    /// Gives a record back; `false` when others were in the way, and it is to be tried again later.
    fn free_conn(&self, id: ConnId) -> bool;

    /// The number of a service; the caller checks the key in the service itself, because numbers are used again.
    fn service_id(&self, key: &ServiceKey) -> Option<ServiceId>;

    /// A service.
    fn service(&self, id: ServiceId) -> Option<&Service>;

    /// The generation of a slot of a service, as it is in memory now.
    fn slot_generation(&self, id: ServiceId, which: usize) -> u32;

    /// Which addresses services and real servers have had; `None`: nobody knows.
    fn addresses(&self) -> Option<&Addresses>;

    /// An entry of the lists of destinations.
    fn list_entry(&self, index: u32) -> Option<&ListEntry>;

    /// A destination.
    fn dest(&self, id: DestId) -> Option<&Dest>;

    /// A block of the lists of destinations: entries `32 index` to `32 index + 31` of them.
    fn block(&self, index: u32) -> Option<&Block>;

    /// One scheduling decision for a service, for a connection that begins with a packet of `key`: an index into its list.
    /// Serialised per service where the scheduler has state.
    fn schedule(&self, found: &Found<'_>, key: &FlowKey) -> Option<u32>;

    /// Adds to a counter, exactly, whatever other CPUs do.
    fn add(&self, counter: &Cell<u32>, by: i32);

    /// Tells the schedulers that the counts or the overload mark of a destination have changed. To be called after the change,
    /// so that whoever does not hear of it has seen it.
    #[inline(always)]
    fn changed(&self, dest: &Dest) {
        if let Some(block) = self.block(dest.entry.get() / BLOCK_ENTRIES)
            && block.used.get() != 0
        {
            self.add(&block.changes, 1);
        }
    }

    /// Counts a packet (and perhaps a connection) at service and destination.
    fn count(&self, service: ServiceId, dest: DestId, what: Count);

    /// Whether this hook can send a packet of `len` bytes as `plan` says right now. XDP can't while the neighbour is unknown
    /// or when it is too big; it then leaves the packet, unchanged and uncounted, to the TC hook.
    fn can_send(&self, plan: &Plan, len: u32) -> bool;

    /// Whether this hook can answer with, and translate, ICMP, see to fragments, and see marks: TC can, XDP can't.
    fn can_answer(&self) -> bool;

    /// A live masqueraded destination of the first `count` that a packet comes from, if there is one: see
    /// [`crate::begin::is_masqueraded_source`]. With `engine` only such as have one: see [`crate::begin::has_engine`].
    fn masqueraded_server(&self, from: &FlowKey, count: u32, engine: bool) -> Option<DestId>;

    /// What became of the first fragment of a packet, by [`crate::fragment::key`].
    fn fate(&self, key: &FlowKey) -> Option<Fate>;

    /// Whom a health check went to whose answer has this key: see [`crate::probe`].
    fn probe_flow(&self, key: &FlowKey) -> Option<ProbeFlow>;

    /// What a persistence engine knows the packet at hand by, once it has looked; [`crate::sip::NONE`] when it found nothing.
    fn call(&self) -> u64;

    /// Keeps what a persistence engine found in the packet at hand, for listings, as what `template` was made for.
    fn keep_engine_data(&self, template: ConnId);

    /// The mark of the first of `count` rules from `first` on that a new connection's packet matches; 0: none.
    fn mark_by_rules(&self, key: &FlowKey, first: u32, count: u32) -> u32;
}

/// What is counted for a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// A packet from a client, of so many bytes.
    In(u32),
    /// A packet from a real server.
    Out(u32),
    /// A new connection.
    Conn,
}

impl Count {
    /// Adds it to counters.
    #[inline(always)]
    pub fn add_to(self, counters: &mut Counters) {
        match self {
            Self::Conn => counters.conns += 1,
            Self::In(bytes) => {
                counters.in_pkts += 1;
                counters.in_bytes += bytes as u64;
            }
            Self::Out(bytes) => {
                counters.out_pkts += 1;
                counters.out_bytes += bytes as u64;
            }
        }
    }
}

/// Where a scheduler of a service stands, given what is kept of it and the slot in force: a new version of the
/// configuration brings its own start.
#[inline(always)]
pub fn sched_state(kept_version: u32, kept: SchedState, slot: &ServiceSlot) -> SchedState {
    if kept_version == slot.sched_version { kept } else { slot.sched_start }
}
