//! Real servers that are this host under another address or port than the service's: their answers.
//!
//! Such a server's socket gets a client's datagrams as they came, and answers from an address and port of its own: from whatever
//! address of the host routing gives it, if it listens on all. So its connections are entered under the server's port and the
//! client, whatever the address: what this host itself sends that fits gets the virtual address and port as its source. TCP
//! needs none of this (its sockets have the virtual address as their own), nor do servers that are at the service's address
//! and port.

use crate::abi::{Conn, FlowKey, Forward, ListEntry, conn_flags};
use crate::begin::enter_answers;
use crate::conn::life::{self, End};
use crate::conn::table;
use crate::conn::{Direction, Hit};
use crate::flow::{Flow, piece};
use crate::fragment;
use crate::plan::Plan;
use crate::tables::{Count, Tables};
use crate::verdict::Reason;
use rvs_wire::ipv4::proto::UDP;
use rvs_wire::{Addr, Family};

/// In [`FlowKey::family`] of a key that stands for any address of this host: it can never be taken for a connection's.
const HERE_FAMILY: u8 = 0x20;

/// [`Conn::tun_flags`] of a connection to a server on this host: it is at another address or port than the service.
pub const ELSEWHERE: u8 = 1;

/// Whether a destination is this host at another address or port than the service's, and packets are to find it there: it was
/// configured for masquerading. (Other methods leave addresses and ports alone.)
#[inline(always)]
pub fn is_elsewhere(entry: &ListEntry, same_place: bool) -> bool {
    entry.forward == Forward::Local as u8 && entry.configured == Forward::Masq as u16 && !same_place
}

/// Whether a packet for such a server is to be addressed to it, because it can't just be handed to the server's socket: a piece
/// of a packet, which has to be put together first, or an ICMP error about the server's answers. The loopback's addresses are no
/// destinations of what comes in from outside.
#[inline(always)]
pub fn is_readdressed(flow: &Flow, plan: &Plan) -> bool {
    let whole = flow.piece == piece::WHOLE && !flow.is_icmp();
    // TCP's sockets have the virtual address as their own, and know pieces by that.
    plan.here != 0 && flow.key.proto == UDP && !whole && !is_loopback(plan)
}

#[inline(always)]
fn is_loopback(plan: &Plan) -> bool {
    let [first, second, third, last] = plan.addr.words().map(u32::from_be);
    let v6 = first | second | third == 0 && last == 1;
    if plan.inside == Family::V4.raw() { last >> 24 == 127 } else { v6 }
}

/// Under what a connection is found by its server's answers, which are of `key`, but for the address.
#[inline(always)]
const fn key_of(key: &FlowKey) -> FlowKey {
    FlowKey { src: Addr::UNSPECIFIED, family: key.family | HERE_FAMILY, ..*key }
}

/// The live connection that an answer of `key` is of; it may have expired.
#[inline(always)]
fn find<'a, T: Tables>(tables: &'a T, key: &FlowKey) -> Option<Hit<'a>> {
    let hash = table::hash(&key_of(key), tables);
    table::find_by(tables, hash, |conn, direction| {
        matches!(direction, Direction::Out)
            && conn.forward.get() == Forward::Local as u8
            && conn.caddr.get() == key.dst
            && conn.dport.get() == key.sport
            && conn.cport.get() == key.dport
            && conn.proto.get() == key.proto
            && conn.family.get() == key.family
    })
}

/// Enters the connection of a datagram for such a server under its server's answers, unless it is; ends it when there is no
/// room. The newest packet's connection gets them where two services lead the same client port to the same server. `false`: there
/// was no room.
#[inline(always)]
pub fn expect_answers<T: Tables>(tables: &T, flow: &Flow, plan: &Plan) -> bool {
    // Nothing is kept of a datagram that is scheduled by itself, and nothing of what TCP's sockets know themselves.
    let Some(conn) = tables.conn(plan.conn).filter(|conn| flow.key.proto == UDP && is_for(conn, flow)) else {
        return true;
    };
    if conn.rev_hash.get() != 0 {
        return true;
    }
    let id = plan.conn;
    let key = FlowKey {
        src: Addr::UNSPECIFIED,
        dst: conn.caddr.get(),
        sport: conn.dport.get(),
        dport: conn.cport.get(),
        proto: conn.proto.get(),
        family: conn.family.get(),
        pad: 0,
    };
    let hash = table::hash(&key_of(&key), tables);
    enter_answers(tables, id, conn, hash, find(tables, &key))
}

/// Whether a record is the connection that a client's packet was found to be of: the record may be another's by now.
#[inline(always)]
fn is_for(conn: &Conn, flow: &Flow) -> bool {
    conn.flags.get() & conn_flags::LIVE != 0
        && conn.forward.get() == Forward::Local as u8
        && conn.tun_flags.get() == ELSEWHERE
        && conn.caddr.get() == flow.key.src
        && (flow.piece == piece::LATER || conn.cport.get() == flow.key.sport)
        && conn.proto.get() == UDP
}

/// Decides a packet that this host sends: [`Reason::LocalOut`] with `plan` filled, or [`Reason::NoService`].
///
/// Its time to live is the sender's to choose: it has not been forwarded, and loses nothing.
#[inline(always)]
pub fn sent<T: Tables>(tables: &T, flow: &Flow, plan: &mut Plan) -> Reason {
    if flow.key.proto != UDP {
        return Reason::NoService;
    }
    let now = tables.now();
    if flow.piece == piece::LATER {
        let Some((id, conn)) = fragment::whose(tables, flow) else { return Reason::NoService };
        plan.set(id, conn, Direction::Out);
        tables.count(conn.service.get(), conn.dest.get(), Count::Out(flow.len));
        return Reason::LocalOut;
    }
    let Some(hit) = find(tables, &flow.key) else { return Reason::NoService };
    if life::is_expired(hit.conn, now) {
        life::expire(tables, hit.id, hit.conn, now, End::TimeUp);
        return Reason::NoService;
    }
    plan.set(hit.id, hit.conn, Direction::Out);
    if !flow.is_icmp() {
        life::step(tables, flow, &hit, now);
    }
    tables.count(hit.conn.service.get(), hit.conn.dest.get(), Count::Out(flow.len));
    Reason::LocalOut
}
