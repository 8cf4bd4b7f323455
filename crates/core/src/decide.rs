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

use crate::abi::{Control, DestState, Timeouts, active, conn_flags};
use crate::begin::{Stages, begin};
use crate::conn::{Direction, Hit, life, table, tcp};
use crate::flow::{Flow, piece};
use crate::fragment;
use crate::ftp;
use crate::plan::Plan;
use crate::tables::{Count, Tables};
use crate::verdict::Reason;
use rvs_wire::ipv4::proto;
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
    let hit = table::find(tables, &flow.key, table::hash(&flow.key, tables.hash_seed()))?;
    // One that controls others lives on: a control connection while its data flow.
    if life::is_expired(hit.conn, now) && hit.conn.controlled.get() == 0 {
        life::expire(tables, hit.id, hit.conn, now, false);
        return None;
    }
    if is_reuse(flow, &hit) {
        life::expire(tables, hit.id, hit.conn, now, true);
        return None;
    }
    let purged = hit.conn.flags.get() & conn_flags::PURGED != 0;
    if purged && begins_anew(flow, &hit) {
        life::expire(tables, hit.id, hit.conn, now, true);
        return None;
    }
    plan.set(hit.id, hit.conn, hit.direction);
    if purged && !is_last_word(flow) {
        return Some(answer(tables, Reason::Purged));
    }
    if let Some(reason) = obstacle(tables, flow, plan, hit.direction) {
        return Some(reason);
    }
    if !flow.is_icmp() && !purged {
        step(tables, flow, &hit, now);
    }
    let count = match hit.direction {
        Direction::In => Count::In(flow.len),
        Direction::Out => Count::Out(flow.len),
    };
    tables.count(hit.conn.service.get(), hit.conn.dest.get(), count);
    Some(forwarded(flow, plan))
}

/// A SYN over a connection that is over begins a new one, at once (`conn_reuse_mode` 1).
#[inline(always)]
fn is_reuse(flow: &Flow, hit: &Hit<'_>) -> bool {
    flow.tcp_flags & SYN != 0
        && matches!(hit.direction, Direction::In)
        && tcp::is_reusable(hit.conn.state.get())
        && hit.conn.controlled.get() == 0
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

/// Moves a connection on by a packet: state, timer, and its template's assurance.
#[inline(always)]
fn step<T: Tables>(tables: &T, flow: &Flow, hit: &Hit<'_>, now: u64) {
    let conn = hit.conn;
    if flow.proto == proto::TCP {
        let column = match hit.direction {
            Direction::Out => tcp::Column::Output,
            Direction::In if conn.flags.get() & conn_flags::NO_OUTPUT != 0 => tcp::Column::InputOnly,
            Direction::In => tcp::Column::Input,
        };
        // Twice, when another CPU moved it between the look and the move; a third party can't exist for two directions.
        for _ in 0..2 {
            let from = conn.state.get();
            let to = tcp::next(from, flow.tcp_flags, column);
            if to == from || life::enter(tables, conn, from, to) {
                break;
            }
        }
    }
    let timeout = timeout_ms(tables, flow.proto, conn.state.get());
    life::refresh(conn, now, timeout);
    if matches!(hit.direction, Direction::In) {
        conn.in_pkts.set(conn.in_pkts.get().wrapping_add(1));
    }
    let established = if flow.proto == proto::TCP {
        conn.state.get() == tcp::State::Established as u8
    } else {
        matches!(hit.direction, Direction::Out)
    };
    if established && conn.control.get() != 0 {
        assure(tables, conn.control.get());
    }
}

/// Tells a persistence template that a connection under it was established.
#[inline(always)]
fn assure<T: Tables>(tables: &T, control: u32) {
    let Some(template) = tables.conn(control.wrapping_sub(1)) else { return };
    if template.flags.get() & conn_flags::ASSURED == 0 {
        table::locked(tables, template, |template| {
            let flags = template.flags.get();
            if flags & conn_flags::LIVE != 0 {
                template.flags.set(flags | conn_flags::ASSURED);
            }
            true
        });
    }
}

/// The timeout of a state, as `--set` left it.
#[inline(always)]
pub(crate) fn timeout_ms<T: Tables>(tables: &T, proto: u8, state: u8) -> u32 {
    let Some(timeouts) = tables.control().and_then(timeouts) else { return 0 };
    // By a mask, not by a bounds check: the verifier of Linux 6.1 loses a check when the checked value lies on the stack.
    let words: &[u32; 16] = zerocopy::transmute_ref!(timeouts);
    const TCP: usize = core::mem::offset_of!(Timeouts, tcp) / 4;
    let secs = if proto == proto::TCP { words[(TCP + state as usize) & 15] } else { timeouts.udp };
    secs.wrapping_mul(1000)
}

/// The timeouts that hold now.
#[inline(always)]
pub fn timeouts(control: &Control) -> Option<&Timeouts> {
    let slots = &control.timeouts;
    let which = active([slots[0].generation, slots[1].generation], control.generation.get())?;
    slots.get(which)
}
