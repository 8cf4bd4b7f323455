//! What becomes of a packet. **Read this first.**
//!
//! ```text
//! flow::classify ── none of ours ──────────────────────────────► passed
//!      │
//!    known ── a later fragment? ── as its first one ───────────► forwarded, passed, dropped or held
//!      │
//!      ├───── a live connection? ─► state step, counters, plan ─► forwarded
//!      │                    └ purged? ──────────────────────────► answered: RST
//!      │ no
//!    begin ── a service? ── no ───────────────────────────────► passed
//!               │ persistence template? else scheduler ── none ─► answered: port unreachable
//!               └► new connection, counters, plan ────────────► forwarded
//! ```
//!
//! [`known`] and [`begin`] are apart because the eBPF programs verify and run them apart; [`decide`] is both.

use crate::abi::{DestState, conn_flags};
use crate::begin::{Stages, begin};
use crate::conn::life::{self, End};
use crate::conn::{Direction, Hit, table};
use crate::flow::{Flow, piece};
use crate::fragment;
use crate::ftp;
use crate::plan::Plan;
use crate::tables::{Count, Tables};
use crate::verdict::Reason;
use rvs_wire::tcp::{ACK, RST, SYN};

/// Decides a packet. `plan` is filled when it is forwarded.
#[inline(always)]
pub fn decide<T: Stages>(tables: &T, flow: &Flow, plan: &mut Plan) -> Reason {
    match known(tables, flow, plan).unwrap_or_else(|| begin(tables, flow, plan)) {
        Reason::LostRace => known(tables, flow, plan).unwrap_or(Reason::LostRace),
        reason => reason,
    }
}

/// Decides a packet of a connection that is in the table; `None` when there is none.
#[inline(always)]
pub fn known<T: Tables>(tables: &T, flow: &Flow, plan: &mut Plan) -> Option<Reason> {
    if flow.piece != piece::WHOLE {
        if !tables.can_answer() {
            return Some(Reason::Deferred);
        }
        if flow.piece == piece::LATER {
            return Some(fragment::follow(tables, flow, plan));
        }
    }
    let now = tables.now();
    let hit = table::find(tables, &flow.key, table::hash(&flow.key, tables))?;
    // One that controls others lives on: a control connection while its data flow.
    if life::is_expired(hit.conn, now) && hit.conn.controlled.get() == 0 {
        tables.expire(hit.id, End::TimeUp);
        return None;
    }
    if life::gives_way(tables, flow, &hit) {
        tables.expire(hit.id, End::Now);
        return None;
    }
    let purged = hit.conn.flags.get() & conn_flags::PURGED != 0;
    if purged && begins_anew(flow, &hit) {
        tables.expire(hit.id, End::Now);
        return None;
    }
    plan.set(hit.id, hit.conn, hit.direction);
    if purged && !is_last_word(flow) {
        return Some(answer(tables, Reason::Purged));
    }
    if let Some(reason) = obstacle(tables, flow, plan, hit.direction) {
        if matches!(reason, Reason::DestGone) && life::ends_without_dest(tables) {
            tables.expire(hit.id, End::Now);
        }
        return Some(reason);
    }
    if !flow.is_icmp() && !purged {
        life::step(tables, flow, &hit, now);
    }
    tally(tables, flow, &hit);
    Some(forwarded(flow, plan))
}

/// Counts a packet of a connection at its service and destination.
#[inline(always)]
pub(crate) fn tally<T: Tables>(tables: &T, flow: &Flow, hit: &Hit<'_>) {
    let count = match hit.direction {
        Direction::In => Count::In(flow.len),
        Direction::Out => Count::Out(flow.len),
    };
    tables.count(hit.conn.service.get(), hit.conn.dest.get(), count);
}

/// A client's SYN on the port of a purged connection is a new connection, whatever the old one's state.
#[inline(always)]
fn begins_anew(flow: &Flow, hit: &Hit<'_>) -> bool {
    flow.tcp_flags & (SYN | ACK) == SYN && matches!(hit.direction, Direction::In)
}

/// Of a purged connection only RSTs still go through: no RST is answered by another, and an end that was told tells its peer.
/// So do ICMP errors.
#[inline(always)]
fn is_last_word(flow: &Flow) -> bool {
    flow.is_icmp() || flow.tcp_flags & RST != 0
}

/// What keeps a packet of a connection from being sent on. Nothing has been changed or counted yet, so that the XDP hook can
/// still leave the packet to the TC hook.
#[inline(always)]
pub(crate) fn obstacle<T: Tables>(tables: &T, flow: &Flow, plan: &Plan, direction: Direction) -> Option<Reason> {
    // IPVS: packets for a deleted destination wait silently for its return, its own packets are still translated.
    if matches!(direction, Direction::In) {
        let live = tables.dest(plan.dest).is_some_and(|dest| dest.state.get() == DestState::Live as u8);
        if !live {
            return Some(Reason::DestGone);
        }
    }
    if flow.ttl <= 1 && !plan.is_local() {
        // No error is answered by another, and none tells of a later fragment (RFC 1122, section 3.2.2).
        let silent = flow.is_icmp() || flow.piece == piece::LATER;
        return Some(if silent { Reason::TtlExceededSilent } else { answer(tables, Reason::TtlExceeded) });
    }
    let by_tc = flow.is_icmp() || ftp::is_control(flow, plan);
    let deferred = !tables.can_send(plan, flow.len) || (by_tc && !tables.can_answer());
    deferred.then_some(Reason::Deferred)
}

/// An answer, or its deferral to the hook that can give it.
#[inline(always)]
pub(crate) fn answer<T: Tables>(tables: &T, reason: Reason) -> Reason {
    if tables.can_answer() { reason } else { Reason::Deferred }
}

/// The reason of a forwarded packet.
#[inline(always)]
pub(crate) fn forwarded(flow: &Flow, plan: &Plan) -> Reason {
    if plan.is_translation(flow) {
        Reason::IcmpRelated
    } else if plan.outward != 0 {
        Reason::NatOut
    } else if plan.is_nat() {
        Reason::NatIn
    } else if plan.is_tunnel() {
        Reason::Tun
    } else if plan.is_local() {
        Reason::LocalNode
    } else {
        Reason::Dr
    }
}
