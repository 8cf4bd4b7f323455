//! Data connections that are expected: entered before their first packet, and met by it.

use super::Expected;
use crate::abi::{Conn, ConnId, DestState, FlowKey, Forward, conn_flags};
use crate::begin::{enter_reverse, enter_table, identify};
use crate::conn::life::timeout_ms;
use crate::conn::table::Entered;
use crate::conn::tcp::{self, State};
use crate::conn::{Direction, life, table};
use crate::flow::Flow;
use crate::tables::Tables;
use crate::verdict::Reason;
use rvs_wire::Be16;
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, RST, SYN};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Whether a packet that begins a connection may be one that is expected.
#[inline(always)]
pub fn may_be<T: Tables>(tables: &T, flow: &Flow) -> bool {
    let opens = flow.proto == proto::TCP && flow.tcp_flags & (SYN | ACK | RST) == SYN;
    let until = |now: u64| tables.control().is_some_and(|control| control.expects_until.get() as u64 * SECOND > now);
    opens && !flow.is_icmp() && until(tables.now())
}

/// The destination, ports and master of a data connection.
struct Like<'a> {
    /// The control connection, or what was entered for the data connection in advance: both go to the same server.
    of: &'a Conn,
    /// Port of the server.
    dport: Be16,
    /// The control connection, plus 1.
    control: u32,
}

/// Enters a data connection that the control connection `parent` announced. It ends within the time that the state LISTEN has,
/// if nobody comes.
///
/// # Errors
/// There is no room for it, or the control connection is over.
#[inline(always)]
pub fn expect<T: Tables>(tables: &T, parent: ConnId, expected: Expected, port: Be16) -> Result<(), Reason> {
    let now = tables.now();
    let of = tables.conn(parent).ok_or(Reason::TableFull)?;
    let client = matches!(expected, Expected::Client);
    let key = FlowKey {
        src: of.caddr.get(),
        dst: of.vaddr.get(),
        sport: if client { port } else { Be16::ZERO },
        dport: if client { Be16::new(of.vport.get().host().wrapping_sub(1)) } else { port },
        proto: proto::TCP,
        family: of.family.get(),
        pad: 0,
    };
    let dport = if client { Be16::new(of.dport.get().host().wrapping_sub(1)) } else { port };
    if let Some(hit) = table::find(tables, &key, table::hash(&key, tables))
        && matches!(hit.direction, Direction::In)
    {
        let same = hit.conn.dest.get() == of.dest.get() && hit.conn.dport.get() == dport;
        if same && !is_over(hit.conn, now) {
            // Announced once more; as IPVS, even when it is at work already.
            let from = hit.conn.state.get();
            life::enter(tables, hit.conn, from, State::Listen as u8);
            life::refresh(hit.conn, now, timeout_ms(tables, proto::TCP, State::Listen as u8));
            expects(tables, now);
            return Ok(());
        }
        life::expire(tables, hit.id, hit.conn, now, life::End::Now);
    }
    let like = Like { of, dport, control: parent.wrapping_add(1) };
    let id = enter(tables, &key, &like, State::Listen as u8)?;
    if client && !tables.conn(id).is_some_and(|conn| enter_reverse(tables, id, conn)) {
        return Err(Reason::TableFull);
    }
    expects(tables, now);
    Ok(())
}

/// Whether an entry's time is up, or it was purged with its server.
#[inline(always)]
fn is_over(conn: &Conn, now: u64) -> bool {
    life::is_expired(conn, now) || conn.flags.get() & conn_flags::PURGED != 0
}

/// From now on, for as long as an entry can wait, packets are looked at for being expected.
#[inline(always)]
fn expects<T: Tables>(tables: &T, now: u64) {
    if let Some(control) = tables.control() {
        let wait = timeout_ms(tables, proto::TCP, State::Listen as u8) as u64 * life::MS;
        let until = ((now + wait) / SECOND + 1) as u32;
        if until > control.expects_until.get() {
            control.expects_until.set(until);
        }
    }
}

/// Begins the data connection that a client's SYN was expected for. `None`: it was not.
#[inline(always)]
pub fn meet<T: Tables>(tables: &T, flow: &Flow) -> Option<Result<ConnId, Reason>> {
    let now = tables.now();
    let key = FlowKey { sport: Be16::ZERO, ..flow.key };
    let hit = table::find(tables, &key, table::hash(&key, tables))?;
    let waits = matches!(hit.direction, Direction::In) && hit.conn.state.get() == State::Listen as u8;
    if !waits || is_over(hit.conn, now) {
        return None;
    }
    if tables.dest(hit.conn.dest.get()).is_none_or(|dest| dest.state.get() != DestState::Live as u8) {
        return Some(Err(Reason::DestGone));
    }
    let like = Like { of: hit.conn, dport: hit.conn.dport.get(), control: hit.conn.control.get() };
    let state = tcp::next(State::None as u8, flow.tcp_flags, crate::conn::Column::Input, false);
    let id = match enter(tables, &flow.key, &like, state) {
        Ok(id) => id,
        Err(reason) => return Some(Err(reason)),
    };
    // Only now: whoever comes with the same packet at the same moment finds one or the other.
    life::expire(tables, hit.id, hit.conn, now, life::End::Now);
    let entered = tables.conn(id).is_some_and(|conn| enter_reverse(tables, id, conn));
    Some(if entered { Ok(id) } else { Err(Reason::TableFull) })
}

/// Enters a data connection under its client's key.
#[inline(always)]
fn enter<T: Tables>(tables: &T, key: &FlowKey, like: &Like<'_>, state: u8) -> Result<ConnId, Reason> {
    let id = tables.alloc_conn().ok_or(Reason::TableFull)?;
    let conn = tables.conn(id).ok_or(Reason::TableFull)?;
    let of = like.of;
    identify(conn, key, table::hash(key, tables));
    conn.daddr.set(of.daddr.get());
    conn.dport.set(like.dport);
    conn.dfamily.set(of.dfamily.get());
    conn.dest.set(of.dest.get());
    conn.service.set(of.service.get());
    conn.forward.set(Forward::Masq as u8);
    conn.tun_type.set(0);
    conn.tun_flags.set(0);
    conn.tun_port.set(Be16::ZERO);
    conn.mark.set(of.mark.get());
    conn.state.set(state);
    conn.control.set(like.control);
    life::refresh(conn, tables.now(), timeout_ms(tables, proto::TCP, state));
    let inactive = if tcp::is_active(state) { 0 } else { conn_flags::INACTIVE };
    match enter_table(tables, id, conn, conn_flags::LIVE | inactive) {
        Entered::Done => {}
        Entered::Full => return Err(Reason::TableFull),
        Entered::Taken => return Err(Reason::LostRace),
    }
    if let Some(control) = tables.conn(like.control.wrapping_sub(1)) {
        tables.add(&control.controlled, 1);
    }
    Ok(id)
}
