//! The budget of embryonic records: connections that nobody has shown to be wanted, and persistence templates of such.
//!
//! A flood of SYNs must neither push out what is established nor keep new clients from becoming so. Embryonic connections
//! therefore have room for a part of the table only, where the oldest makes room for the newest:
//!
//! ```text
//!             hand ─► reused    dead, at rest      hand + AHEAD ─► ended
//!   ring:  ─────────────┬───────────────────────────────┬──────────────────────── live, younger and younger ─►(to the hand)
//! ```
//!
//! There is a ring of numbers for each shard. A new embryonic connection gets the record that the hand points at, when it is of
//! one that was ended long enough ago, else a free one of the table, and is noted there; at the same time the one that the
//! hand will come to a quarter round later is ended. A connection that is established loses its flag, and thereby leaves the
//! ring: its record is the table's, and when the hand comes by, the place is vacant. Nothing is moved, and an established
//! connection is never ended by this. When the flood is so fast that records come round before they have rested
//! ([`REST_NS`]), newcomers are refused instead.

use super::life::{self, End};
use super::table;
use crate::abi::{Conn, ConnId, FlowKey, SHARDS, conn_flags};
use crate::tables::Tables;
use crate::verdict::Reason;

/// How long a record rests between two embryonic connections, in nanoseconds: longer than any program run lasts that may still
/// hold it.
pub const REST_NS: u64 = 100_000_000;

/// How often a place is tried before a newcomer is refused.
pub const TRIES: usize = 4;

/// The ring that a connection of this key is noted in. Nobody who does not know the seed can aim at one.
#[inline(always)]
pub fn ring_of(key: &FlowKey, seed: u64) -> u32 {
    let client = key.src.words()[3] as u64;
    (table::mix(seed, client << 16 ^ key.sport.raw() as u64) >> 40) as u32 & (SHARDS - 1)
}

/// How far ahead of the hand connections are ended, in a ring of this size.
#[inline(always)]
pub const fn ahead(size: u32) -> u32 {
    size / 4
}

/// What came of a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// A record.
    Record(ConnId),
    /// Another CPU was faster, or there was nothing at this place: the next one may have something.
    Again,
    /// The next place's record has not rested yet.
    Flooded,
}

/// Takes a record for an embryonic connection of this ring; of a neighbouring one, where this has none that has rested.
///
/// # Errors
/// The whole table is full, or the flood too fast.
#[inline(always)]
pub fn take<T: Tables>(tables: &T, ring: u32) -> Result<ConnId, Reason> {
    let (mut ring, mut reason) = (ring, Reason::TableFull);
    for _ in 0..TRIES {
        match tables.try_embryo(ring) {
            Taken::Record(id) => return Ok(id),
            Taken::Again => {}
            Taken::Flooded => {
                ring = ring.wrapping_add(1) & (SHARDS - 1);
                reason = Reason::Flooded;
            }
        }
    }
    Err(reason)
}

/// One try.
#[inline(always)]
pub fn try_take<T: Tables>(tables: &T, ring: u32) -> Taken {
    let now = tables.now();
    let size = tables.ring_size();
    let Some(hand) = tables.ring_hand(ring) else { return Taken::Again };
    let Some(place) = tables.ring_place(ring, hand) else { return Taken::Again };
    let old = noted(tables, place.get());
    if let Some((id, conn)) = old {
        let flags = conn.flags.get();
        if flags & conn_flags::LIVE != 0 {
            // In a ring as small as this the hand overtook its own eviction.
            life::expire(tables, id, conn, now, End::Embryonic);
            return Taken::Flooded;
        }
        if conn.controlled.get() == 0 && now.saturating_sub(conn.died.get()) < REST_NS {
            return Taken::Flooded;
        }
    }
    if !tables.move_hand(ring, hand) {
        return Taken::Again;
    }
    if let Some(ahead) = tables.ring_place(ring, hand.wrapping_add(ahead(size)))
        && let Some((id, conn)) = noted(tables, ahead.get())
        && conn.flags.get() & conn_flags::LIVE != 0
    {
        life::expire(tables, id, conn, now, End::Embryonic);
    }
    let id = match old {
        Some((id, conn)) if life::claim(tables, conn) => id,
        // Vacant, or a template that others still refer to: the sweeper will give that one back to the table.
        _ => match tables.alloc_conn() {
            Some(id) => id,
            None => return Taken::Again,
        },
    };
    let Some(conn) = tables.conn(id) else { return Taken::Again };
    // The number of uses that the record will have once it is written.
    place.set((conn.serial.get().wrapping_add(1) as u64) << 32 | id.wrapping_add(1) as u64);
    Taken::Record(id)
}

/// The record that a place speaks of, when it is still the same embryonic connection, alive or dead.
#[inline(always)]
fn noted<T: Tables>(tables: &T, place: u64) -> Option<(ConnId, &Conn)> {
    let id = (place as u32).wrapping_sub(1);
    if place == 0 {
        return None;
    }
    let conn = tables.conn(id)?;
    let same = conn.serial.get() == (place >> 32) as u32 && conn.flags.get() & conn_flags::EMBRYO != 0;
    same.then_some((id, conn))
}
