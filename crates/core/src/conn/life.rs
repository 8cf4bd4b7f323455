//! A connection's life: how it is counted at its destination, moved on, refreshed, and ended.
//!
//! A connection ends in two steps. [`expire`] takes its entries out of the table and marks it dead; nobody finds it any more,
//! but a packet that found it a moment before may still hold it. [`sweep`], which visits every record about once a second,
//! gives a record back only when it finds it dead for [`GRACE_NS`]; embryonic ones may be used again a little sooner
//! ([`super::embryo`]).

use super::{Column, Direction, Hit, proto, table};
use crate::abi::{Conn, ConnId, Control, Dest, DestId, DestState, ListEntry, Timeouts, active, conn_flags};
use crate::flow::Flow;
use crate::settings::defence;
use crate::tables::Tables;
use rvs_wire::Be16;
use rvs_wire::tcp::{RST, SYN};

/// How long a dead record waits until it is used again. No program run lasts nearly as long.
pub const GRACE_NS: u64 = 500_000_000;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// Port that a template is listed with when it no longer decides for its client.
pub const RETIRED: Be16 = Be16::new(0xffff);

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

/// How long a connection lasts in a state without a packet, as `--set` left it.
#[inline(always)]
pub fn timeout_ms<T: Tables>(tables: &T, protocol: u8, state: u8) -> u32 {
    let Some(timeouts) = tables.control().and_then(timeouts) else { return 0 };
    proto::timeout_secs(timeouts, protocol, state).wrapping_mul(1000)
}

/// The timeouts that hold now.
#[inline(always)]
pub fn timeouts(control: &Control) -> Option<&Timeouts> {
    let slots = &control.timeouts;
    let which = active([slots[0].generation, slots[1].generation], control.generation.get())?;
    slots.get(which)
}

/// The present settings of a destination, while it takes packets.
#[inline(always)]
pub fn entry_of<T: Tables>(tables: &T, dest: u32) -> Option<(u32, &ListEntry)> {
    let record = tables.dest(dest)?;
    let index = record.entry.get();
    let entry = tables.list_entry(index)?;
    (entry.dest == dest && record.state.get() == DestState::Live as u8).then_some((index, entry))
}

/// Whether a connection's destination takes packets.
#[inline(always)]
pub fn has_dest<T: Tables>(tables: &T, conn: &Conn) -> bool {
    tables.dest(conn.dest.get()).is_some_and(|dest| dest.state.get() == DestState::Live as u8)
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

/// Whether a packet takes the place of the connection that it was found to belong to: it asks for a new one, and this one is
/// over, or (with `expire_nodest_conn`) its server is to get no more. Connections under a template or above others stay.
#[inline(always)]
pub fn gives_way<T: Tables>(tables: &T, flow: &Flow, hit: &Hit<'_>) -> bool {
    let conn = hit.conn;
    let protocol = conn.proto.get();
    if !matches!(hit.direction, Direction::In) || flow.is_icmp() || !proto::asks_anew(protocol, flow.tcp_flags) {
        return false;
    }
    let Some(settings) = tables.control().map(Control::settings) else { return false };
    let mode = settings.conn_reuse_mode;
    if mode == 0 || conn.controlled.get() != 0 {
        return false;
    }
    if settings.expire_nodest_conn != 0 && entry_of(tables, conn.dest.get()).is_some_and(|(_, entry)| entry.weight == 0)
    {
        return true;
    }
    let alone = conn.flags.get() & conn_flags::NO_OUTPUT != 0;
    conn.control.get() == 0 && proto::is_over(protocol, conn.state.get(), alone, mode)
}

/// Whether connections whose destination is gone are to end.
#[inline(always)]
pub fn ends_without_dest<T: Tables>(tables: &T) -> bool {
    tables.control().is_some_and(|control| control.settings().expire_nodest_conn != 0)
}

/// Moves a connection on by a packet: state, timer, and its template's assurance.
#[inline(always)]
pub fn step<T: Tables>(tables: &T, flow: &Flow, hit: &Hit<'_>, now: u64) {
    let conn = hit.conn;
    let protocol = flow.proto;
    let column = match hit.direction {
        Direction::Out => Column::Output,
        Direction::In if conn.flags.get() & conn_flags::NO_OUTPUT != 0 => Column::InputOnly,
        Direction::In => Column::Input,
    };
    if !matches!(column, Column::InputOnly) && proto::awaits_server(protocol, conn.state.get()) {
        tables.note_first_word(hit.id, flow.tcp_flags, matches!(hit.direction, Direction::Out));
    }
    let secure = tables.control().is_some_and(Control::secure_tcp);
    // Twice, when another CPU moved it between the look and the move; a third party can't exist for two directions.
    for _ in 0..2 {
        let from = conn.state.get();
        let to = proto::next(protocol, from, flow.tcp_flags, column, secure);
        if to == from || enter(tables, conn, from, to) {
            break;
        }
    }
    rest(tables, protocol, hit, now);
    if conn.control.get() != 0 && proto::is_established(protocol, conn.state.get(), hit.direction) {
        assure(tables, conn.control.get());
    }
}

/// Restarts a connection's timer for a packet that leaves it in its state.
#[inline(always)]
pub fn rest<T: Tables>(tables: &T, protocol: u8, hit: &Hit<'_>, now: u64) {
    let conn = hit.conn;
    refresh(conn, now, timeout_ms(tables, protocol, conn.state.get()));
    if matches!(hit.direction, Direction::In) {
        conn.in_pkts.set(conn.in_pkts.get().wrapping_add(1));
    }
}

/// Counts what a server says first to a connection that it is to accept or refuse. When the client gives up before, nothing is
/// to be counted any more.
#[inline(always)]
pub fn note_first_word<T: Tables>(tables: &T, id: ConnId, event: u8, of_server: bool) {
    let Some(conn) = tables.conn(id) else { return };
    if event & if of_server { SYN | RST } else { RST } == 0 {
        return;
    }
    let first = table::locked(tables, conn, |conn| {
        let flags = conn.flags.get();
        let first = flags & (conn_flags::LIVE | conn_flags::ANSWERED | conn_flags::PURGED) == conn_flags::LIVE;
        if first {
            conn.flags.set(flags | conn_flags::ANSWERED);
        }
        first
    });
    if first
        && of_server
        && let Some(dest) = tables.dest(conn.dest.get())
    {
        tables.add(if event & RST != 0 { &dest.refused } else { &dest.answered }, 1);
    }
}

/// Whether there is nothing to tell the template of a connection with this [`Conn::control`].
#[inline(always)]
pub fn is_assured<T: Tables>(tables: &T, control: u32) -> bool {
    control == 0
        || tables.conn(control.wrapping_sub(1)).is_none_or(|template| template.flags.get() & conn_flags::ASSURED != 0)
}

/// Tells a persistence template that a connection under it was established.
#[inline(always)]
fn assure<T: Tables>(tables: &T, control: u32) {
    let Some(template) = tables.conn(control.wrapping_sub(1)) else { return };
    if template.flags.get() & conn_flags::ASSURED == 0 {
        table::locked(tables, template, |template| {
            let flags = template.flags.get();
            if flags & conn_flags::LIVE != 0 {
                template.flags.set((flags | conn_flags::ASSURED) & !conn_flags::EMBRYO);
            }
            true
        });
    }
}

/// Moves a connection to another state, exactly once whatever other CPUs do, and recounts it. An established connection is no
/// longer embryonic.
#[inline(always)]
pub(crate) fn enter<T: Tables>(tables: &T, conn: &Conn, from: u8, to: u8) -> bool {
    let protocol = conn.proto.get();
    let inactive = if proto::is_active(protocol, to) { 0 } else { conn_flags::INACTIVE };
    let grown = if proto::is_embryonic(protocol, to) { 0 } else { conn_flags::EMBRYO };
    let mut before = 0;
    let moved = table::locked(tables, conn, |conn| {
        let flags = conn.flags.get();
        let ours = flags & conn_flags::LIVE != 0 && flags & conn_flags::PURGED == 0 && conn.state.get() == from;
        if ours {
            before = flags & conn_flags::INACTIVE;
            conn.state.set(to);
            conn.flags.set(flags & !(conn_flags::INACTIVE | grown) | inactive);
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

/// When a connection may be ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// When its time is up.
    TimeUp,
    /// At once.
    Now,
    /// At once, but only as long as it is embryonic.
    Embryonic,
}

/// Ends a connection: out of the table, no longer counted. `false`: somebody else was first, or it must not end yet.
#[inline(always)]
pub fn expire<T: Tables>(tables: &T, id: ConnId, conn: &Conn, now: u64, end: End) -> bool {
    let mut flags = 0;
    let ended = table::locked(tables, conn, |conn| {
        flags = conn.flags.get();
        let may = match end {
            End::TimeUp => conn.expires.get() <= now,
            End::Now => true,
            End::Embryonic => flags & conn_flags::EMBRYO != 0,
        };
        let ours = flags & conn_flags::LIVE != 0 && may;
        if ours {
            conn.flags.set(conn_flags::DEAD | flags & conn_flags::EMBRYO);
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
        let silent = flags & (conn_flags::ANSWERED | conn_flags::NO_OUTPUT | conn_flags::TEMPLATE) == 0;
        if silent && matches!(end, End::TimeUp) && proto::awaits_server(conn.proto.get(), conn.state.get()) {
            tables.add(&dest.unanswered, 1);
        }
    }
    let control = conn.control.get();
    if control != 0
        && let Some(template) = tables.conn(control.wrapping_sub(1))
    {
        tables.add(&template.controlled, -1);
    }
    true
}

/// Makes a dead record free for one taker: it is his now, in no table and in no list. `false`: somebody else has it.
#[inline(always)]
pub fn claim<T: Tables>(tables: &T, conn: &Conn) -> bool {
    table::locked(tables, conn, |conn| {
        // A template that was replaced waits for the connections that still refer to it.
        let ours = conn.flags.get() & conn_flags::DEAD != 0 && conn.controlled.get() == 0;
        if ours {
            conn.flags.set(0);
        }
        ours
    })
}

/// Takes a template out of use: its client gets a new one, while this one runs out with the connections under it.
#[inline(always)]
pub fn retire<T: Tables>(tables: &T, id: ConnId, template: &Conn) {
    let ours = table::locked(tables, template, |template| {
        let ours = template.flags.get() & conn_flags::LIVE != 0 && template.vport.get() != RETIRED;
        if ours {
            template.vport.set(RETIRED);
            template.dport.set(RETIRED);
        }
        ours
    });
    if ours {
        table::remove(tables, template.hash.get(), Direction::In, id);
    }
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
    if conn.proto.get() != rvs_wire::ipv4::proto::TCP || flags & conn_flags::TEMPLATE != 0 {
        return expire(tables, id, conn, now, End::Now);
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
        let end = if is_unwanted(tables, id, conn, now) {
            End::Now
        } else if !is_expired(conn, now) {
            return;
        } else if conn.controlled.get() != 0 {
            // A template, or an FTP control connection, lives on, a full timeout each time, while connections refer to it.
            refresh(conn, now, conn.timeout_ms.get());
            return;
        } else {
            End::TimeUp
        };
        expire(tables, id, conn, now, end);
    } else if flags & conn_flags::DEAD != 0
        && now.saturating_sub(conn.died.get()) >= GRACE_NS
        && claim(tables, conn)
        && !tables.free_conn(id)
    {
        conn.flags.set(conn_flags::DEAD);
    }
}

/// Whether a connection that is alive is to end before its time: its destination is gone (`expire_nodest_conn`), or it is
/// drawn by `drop_entry`.
#[inline(always)]
fn is_unwanted<T: Tables>(tables: &T, id: ConnId, conn: &Conn, now: u64) -> bool {
    let Some(control) = tables.control() else { return false };
    if control.settings().expire_nodest_conn != 0 && !has_dest(tables, conn) {
        return true;
    }
    control.defends(defence::DROP_ENTRY) && is_drawn(id, conn, now)
}

/// The lottery of `drop_entry`: one in 32 of the records takes part at each visit. Embryonic connections and templates without
/// assurance lose; connections that were idle for a minute and had up to eight packets from the client lose once in as many
/// times as they had packets.
#[inline(always)]
fn is_drawn(id: ConnId, conn: &Conn, now: u64) -> bool {
    const MINUTE: u64 = 60_000 * MS;
    let lot = table::mix(conn.hash.get() ^ now, id as u64);
    if lot & 31 != 0 || conn.controlled.get() != 0 {
        return false;
    }
    if conn.flags.get() & conn_flags::TEMPLATE != 0 {
        return conn.flags.get() & conn_flags::ASSURED == 0;
    }
    let (protocol, state) = (conn.proto.get(), conn.state.get());
    if proto::is_opening(protocol, state) {
        return true;
    }
    let idle = now + conn.timeout_ms.get() as u64 * MS >= conn.expires.get() + MINUTE;
    let packets = conn.in_pkts.get();
    proto::may_idle(protocol, state)
        && idle
        && (1..=8).contains(&packets)
        && (lot >> 32).wrapping_mul(packets as u64) >> 32 == 0
}
