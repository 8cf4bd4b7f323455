//! Fragments: only the first has ports, the others follow it.
//!
//! What became of a first fragment is remembered as a [`Fate`] under addresses, protocol and identification. A later fragment
//! that finds none came early: it is held ([`Reason::FragmentHeld`]) until the first one shows where it goes. Nothing is put
//! together here: pieces travel as pieces, in their sizes, and each is counted.

use crate::abi::{Conn, ConnId, Fate, FlowKey, conn_flags, fates};
use crate::conn::Direction;
use crate::decide::{forwarded, obstacle};
use crate::flow::{Flow, piece};
use crate::plan::Plan;
use crate::tables::{Count, Tables};
use crate::verdict::{Outcome, Reason};
use rvs_wire::Be16;
use rvs_wire::ipv4::proto;

/// How long a fate is remembered, and a fragment held: as long as a reassembling host waits (`ipfrag_time`).
pub const HOLD_NS: u64 = 30_000_000_000;

/// In [`FlowKey::family`] of a fragment's key: it can never be taken for a connection's.
const FRAGMENT_FAMILY: u8 = 0x40;

/// Under what the pieces of a packet find each other.
#[inline(always)]
pub fn key(flow: &Flow) -> FlowKey {
    FlowKey {
        sport: Be16::from_raw((flow.frag_id >> 16) as u16),
        dport: Be16::from_raw(flow.frag_id as u16),
        proto: flow.proto,
        family: flow.key.family | FRAGMENT_FAMILY,
        ..flow.key
    }
}

/// What the pieces that follow are told of a first fragment that ended so.
#[inline(always)]
pub fn fate<T: Tables>(tables: &T, plan: &Plan, reason: Reason) -> Fate {
    let expires = tables.now() + HOLD_NS;
    let kind = match reason.outcome() {
        // Left to the host, too, but as pieces of a connection.
        _ if matches!(reason, Reason::LocalNode) => fates::FORWARDED,
        Outcome::Forwarded => fates::FORWARDED,
        Outcome::Passed => fates::PASSED,
        Outcome::Dropped | Outcome::Answered | Outcome::Held => fates::DROPPED,
    };
    let serial = tables.conn(plan.conn).map_or(0, |conn| conn.serial.get());
    Fate { expires, conn: plan.conn, serial, kind, outward: plan.outward, pad: [0; 6] }
}

/// Decides a later fragment.
#[inline(always)]
pub fn follow<T: Tables>(tables: &T, flow: &Flow, plan: &mut Plan) -> Reason {
    if !matches!(flow.proto, proto::TCP | proto::UDP | proto::SCTP) {
        return Reason::Fragment;
    }
    let fate = match tables.fate(&key(flow)) {
        Some(fate) if fate.expires > tables.now() => fate,
        _ => return Reason::FragmentHeld,
    };
    match fate.kind {
        fates::FORWARDED => {}
        fates::PASSED => return Reason::Fragment,
        _ => return Reason::FragmentDropped,
    }
    let Some(conn) = conn_of(tables, &fate) else { return Reason::FragmentDropped };
    let direction = if fate.outward != 0 { Direction::Out } else { Direction::In };
    plan.set(fate.conn, conn, direction);
    if let Some(reason) = obstacle(tables, flow, plan, direction) {
        return reason;
    }
    let count = if fate.outward != 0 { Count::Out(flow.len) } else { Count::In(flow.len) };
    tables.count(conn.service.get(), conn.dest.get(), count);
    forwarded(flow, plan)
}

/// The connection of a fate, as long as it lives.
#[inline(always)]
fn conn_of<'a, T: Tables>(tables: &'a T, fate: &Fate) -> Option<&'a Conn> {
    let conn = tables.conn(fate.conn)?;
    (conn.serial.get() == fate.serial && conn.flags.get() & conn_flags::LIVE != 0).then_some(conn)
}

/// The connection whose server on this host sent the first fragment of a packet that `flow` is another one of.
#[inline(always)]
pub(crate) fn whose<'a, T: Tables>(tables: &'a T, flow: &Flow) -> Option<(ConnId, &'a Conn)> {
    let fate = tables.fate(&key(flow))?;
    let ours = fate.kind == fates::FORWARDED && fate.outward != 0 && fate.expires > tables.now();
    if ours { Some((fate.conn, conn_of(tables, &fate)?)) } else { None }
}

/// Whether the pieces that follow a packet must be told.
#[inline(always)]
pub const fn is_first(flow: &Flow) -> bool {
    flow.piece == piece::FIRST
}
