//! A connection's life: how it is counted at its destination, refreshed, and ended.
//!
//! A connection ends in two steps. [`expire`] takes its entries out of the table and marks it dead; nobody finds it any more,
//! but a packet that found it a moment before may still hold it. [`sweep`], which visits every record about once a second,
//! gives a record back only when it finds it dead for [`GRACE_NS`].

use super::{Direction, table, tcp};
use crate::abi::{Conn, ConnId, Dest, DestId, conn_flags};
use crate::tables::Tables;
use rvs_wire::ipv4::proto;

/// How long a dead record waits until it is used again. No program run lasts nearly as long.
pub const GRACE_NS: u64 = 500_000_000;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// Whether a connection's time is up.
#[inline(always)]
pub fn is_expired(conn: &Conn, now: u64) -> bool {
    conn.expires.get() <= now
}

/// Restarts a connection's timer.
#[inline(always)]
pub fn refresh(conn: &Conn, now: u64, timeout_ms: u32) {
    conn.timeout_ms.set(timeout_ms);
    conn.expires.set(now + timeout_ms as u64 * MS);
}

/// Counts a new connection at its destination, and shuts the destination when that makes its upper threshold full.
#[inline(always)]
pub fn bind<T: Tables>(tables: &T, dest: &Dest, flags: u8) {
    if flags & conn_flags::TEMPLATE != 0 {
        tables.add(&dest.persist, 1);
        return;
    }
    tables.add(if flags & conn_flags::INACTIVE != 0 { &dest.inactive } else { &dest.active }, 1);
    let upper = dest.u_threshold.get();
    if upper != 0 && total(dest) >= upper {
        dest.overload.set(1);
    }
    tables.changed(dest);
}

/// Counts a connection's end, and opens the destination again when it is below its lower threshold (or, without one, below
/// three quarters of the upper).
#[inline(always)]
pub fn unbind<T: Tables>(tables: &T, dest: &Dest, flags: u8) {
    if flags & conn_flags::TEMPLATE != 0 {
        tables.add(&dest.persist, -1);
        return;
    }
    tables.add(if flags & conn_flags::INACTIVE != 0 { &dest.inactive } else { &dest.active }, -1);
    let (upper, lower) = (dest.u_threshold.get() as u64, dest.l_threshold.get() as u64);
    let now = total(dest) as u64;
    let below = if lower != 0 { now < lower } else { upper == 0 || now * 4 < upper * 3 };
    if below && dest.overload.get() != 0 {
        dest.overload.set(0);
    }
    tables.changed(dest);
}

/// Connections of a destination, active or not.
#[inline(always)]
pub fn total(dest: &Dest) -> u32 {
    dest.active.get().wrapping_add(dest.inactive.get())
}

/// Moves a connection to another state, exactly once whatever other CPUs do, and recounts it.
#[inline(always)]
pub fn enter<T: Tables>(tables: &T, conn: &Conn, from: u8, to: u8) -> bool {
    if conn.proto.get() != proto::TCP {
        return true;
    }
    let inactive = if tcp::is_active(to) { 0 } else { conn_flags::INACTIVE };
    let mut before = 0;
    let moved = table::locked(tables, conn, |conn| {
        let flags = conn.flags.get();
        let ours = flags & conn_flags::LIVE != 0 && flags & conn_flags::PURGED == 0 && conn.state.get() == from;
        if ours {
            before = flags & conn_flags::INACTIVE;
            conn.state.set(to);
            conn.flags.set(flags & !conn_flags::INACTIVE | inactive);
        }
        ours
    });
    if moved
        && before != inactive
        && let Some(dest) = tables.dest(conn.dest.get())
    {
        let by = if inactive != 0 { 1 } else { -1 };
        tables.add(&dest.inactive, by);
        tables.add(&dest.active, -by);
        tables.changed(dest);
    }
    moved
}

/// Ends a connection: out of the table, no longer counted. `even_if_fresh`: although its time is not up. `false`: somebody
/// else was first, or it was refreshed in the meantime.
#[inline(always)]
pub fn expire<T: Tables>(tables: &T, id: ConnId, conn: &Conn, now: u64, even_if_fresh: bool) -> bool {
    let mut flags = 0;
    let ended = table::locked(tables, conn, |conn| {
        flags = conn.flags.get();
        let ours = flags & conn_flags::LIVE != 0 && (even_if_fresh || conn.expires.get() <= now);
        if ours {
            conn.flags.set(conn_flags::DEAD);
            conn.died.set(now);
        }
        ours
    });
    if !ended {
        return false;
    }
    table::remove(tables, conn.hash.get(), Direction::In, id);
    if conn.rev_hash.get() != 0 {
        table::remove(tables, conn.rev_hash.get(), Direction::Out, id);
    }
    if flags & conn_flags::PURGED == 0
        && let Some(dest) = tables.dest(conn.dest.get())
    {
        unbind(tables, dest, flags);
    }
    let control = conn.control.get();
    if control != 0
        && let Some(template) = tables.conn(control.wrapping_sub(1))
    {
        tables.add(&template.controlled, -1);
    }
    true
}

/// Ends a connection of the destination `dest` for good, and at once. TCP ends are told: the record stays, no longer counted,
/// until its time is up. Everything else just leaves the table, templates of persistence as well. `false`: it is of another
/// destination, or over already.
#[inline(always)]
pub fn purge<T: Tables>(tables: &T, id: ConnId, dest: DestId, now: u64) -> bool {
    let Some(conn) = tables.conn(id) else { return false };
    let flags = conn.flags.get();
    if flags & conn_flags::LIVE == 0 || flags & conn_flags::PURGED != 0 || conn.dest.get() != dest {
        return false;
    }
    if conn.proto.get() != proto::TCP || flags & conn_flags::TEMPLATE != 0 {
        return expire(tables, id, conn, now, true);
    }
    let mut flags = 0;
    let purged = table::locked(tables, conn, |conn| {
        flags = conn.flags.get();
        let ours = flags & conn_flags::LIVE != 0 && flags & conn_flags::PURGED == 0;
        if ours {
            conn.flags.set(flags | conn_flags::PURGED);
        }
        ours
    });
    if purged && let Some(dest) = tables.dest(dest) {
        unbind(tables, dest, flags);
    }
    purged
}

/// Marks a record that never got into the table, so that the sweeper gives it back.
#[inline(always)]
pub fn discard(conn: &Conn, now: u64) {
    conn.died.set(now);
    conn.flags.set(conn_flags::DEAD);
}

/// The sweeper's visit to one record.
#[inline(always)]
pub fn sweep<T: Tables>(tables: &T, id: ConnId, now: u64) {
    let Some(conn) = tables.conn(id) else { return };
    let flags = conn.flags.get();
    if flags & conn_flags::LIVE != 0 {
        if !is_expired(conn, now) {
            return;
        }
        // A template, or an FTP control connection, lives on, a full timeout each time, while connections refer to it.
        if conn.controlled.get() != 0 {
            refresh(conn, now, conn.timeout_ms.get());
            return;
        }
        expire(tables, id, conn, now, false);
    } else if flags & conn_flags::DEAD != 0 && now.saturating_sub(conn.died.get()) >= GRACE_NS {
        // A template that was replaced waits for the connections that still refer to it.
        if conn.controlled.get() == 0 {
            conn.flags.set(0);
            if !tables.free_conn(id) {
                conn.flags.set(conn_flags::DEAD);
            }
        }
    }
}
