//! The short way of the packets that most traffic consists of: whole TCP and UDP packets of established connections, without
//! IP options or extension headers.
//!
//! It needs no record of the packet or of its plan in memory: both are local, and the compiler keeps what is used of them in
//! registers. A packet that goes this way is counted and changed exactly as on the long one ([`crate::decide`]). What is out of
//! the ordinary in any way goes the long one, from its beginning: nothing is changed or counted before [`take`].

use crate::abi::{DestState, conn_flags};
use crate::conn::{Direction, Hit, life, proto, table};
use crate::decide::{forwarded, tally};
use crate::flow::{Flow, L3};
use crate::ftp;
use crate::packet::Packet;
use crate::plan::Plan;
use crate::tables::Tables;
use crate::verdict::Reason;
use rvs_wire::ipv4::{self, Ipv4, proto as number};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::tcp::TcpHead;
use rvs_wire::udp::Udp;
use rvs_wire::{Addr, Family};

/// Shortest TCP header, in bytes.
const TCP_LEN: usize = 20;
/// Length of a UDP header.
const UDP_LEN: usize = 8;

/// Understands an IPv4 packet of the kind that may go the short way, in a frame that is for this host.
#[inline(always)]
pub fn ipv4<P: Packet + ?Sized>(packet: &P) -> Option<Flow> {
    const PLAIN: u8 = 0x45;
    let ip: Ipv4 = packet.read(L3)?;
    let len = ip.total_len.host() as usize;
    if ip.version_ihl != PLAIN || ip.is_fragment() || L3 + len > packet.frame_len() {
        return None;
    }
    let mut flow =
        Flow { len: len as u32, l4: (L3 + ipv4::LEN) as u16, ttl: ip.ttl, proto: ip.proto, ..Flow::default() };
    flow.key.src = Addr::v4(ip.src);
    flow.key.dst = Addr::v4(ip.dst);
    flow.key.family = Family::V4.raw();
    flow.dont_fragment = ip.dont_fragment() as u8;
    transport(packet, flow, L3 + ipv4::LEN, len.wrapping_sub(ipv4::LEN))
}

/// The same of an IPv6 packet.
#[inline(always)]
pub fn ipv6<P: Packet + ?Sized>(packet: &P) -> Option<Flow> {
    let ip: Ipv6 = packet.read(L3)?;
    let behind = ip.payload_len.host() as usize;
    let len = ipv6::LEN + behind;
    if !ip.is_valid() || L3 + len > packet.frame_len() {
        return None;
    }
    let mut flow =
        Flow { len: len as u32, l4: (L3 + ipv6::LEN) as u16, ttl: ip.hop_limit, proto: ip.next, ..Flow::default() };
    flow.key.src = ip.src;
    flow.key.dst = ip.dst;
    flow.key.family = Family::V6.raw();
    flow.dont_fragment = 1;
    transport(packet, flow, L3 + ipv6::LEN, behind)
}

/// The rest of a packet whose transport header is at `at`, with `there` bytes to the packet's end (or, when that lies before the
/// header, a number that no packet has).
#[inline(always)]
fn transport<P: Packet + ?Sized>(packet: &P, mut flow: Flow, at: usize, there: usize) -> Option<Flow> {
    /// More than any packet has.
    const NEVER: usize = 1 << 17;
    flow.key.proto = flow.proto;
    match flow.proto {
        number::TCP if (TCP_LEN..NEVER).contains(&there) => {
            let head: TcpHead = packet.read(at)?;
            flow.key.sport = head.sport;
            flow.key.dport = head.dport;
            flow.tcp_flags = head.flags;
            flow.l4_len = (head.offset >> 4) * 4;
            (flow.l4_len as usize >= TCP_LEN).then_some(flow)
        }
        number::UDP if (UDP_LEN..NEVER).contains(&there) => {
            let udp: Udp = packet.read(at)?;
            flow.key.sport = udp.sport;
            flow.key.dport = udp.dport;
            flow.l4_len = UDP_LEN as u8;
            Some(flow)
        }
        _ => None,
    }
}

/// The connection of a packet that moves it to no other state.
#[inline(always)]
pub fn find<'a, T: Tables>(tables: &'a T, flow: &Flow) -> Option<Hit<'a>> {
    let hit = table::find(tables, &flow.key, table::hash(&flow.key, tables))?;
    let conn = hit.conn;
    let rests = proto::rests(flow.proto, conn.state.get(), flow.tcp_flags);
    if !rests || flow.ttl <= 1 || conn.flags.get() & conn_flags::PURGED != 0 || life::is_expired(conn, tables.now()) {
        return None;
    }
    life::is_assured(tables, conn.control.get()).then_some(hit)
}

/// What is to be done to a packet of a connection that [`find`] found, if it is sent on within its family. The caller sees to it
/// that this hook can send it, and then calls [`take`].
#[inline(always)]
pub fn plan<T: Tables>(tables: &T, flow: &Flow, hit: &Hit<'_>) -> Option<Plan> {
    let mut plan = Plan::default();
    plan.set(hit.id, hit.conn, hit.direction);
    if plan.is_local() || ftp::is_control(flow, &plan) || plan.family != flow.key.family {
        return None;
    }
    if matches!(hit.direction, Direction::In) && tables.dest(plan.dest)?.state.get() != DestState::Live as u8 {
        return None;
    }
    plan.family = flow.key.family;
    plan.inside = flow.key.family;
    if !flow.is_v6() {
        // Words that are zero need not be looked at.
        plan.next = Addr::v4(plan.next.last());
        plan.addr = Addr::v4(plan.addr.last());
    }
    Some(plan)
}

/// Whether a packet without a connection ([`find`] gave none) is certainly none of ours, and so the host's: neither end is or was a
/// service or a real server, and nothing else is looked for that could make it ours.
#[inline(always)]
pub fn is_strangers<T: Tables>(tables: &T, flow: &Flow) -> bool {
    let (Some(control), Some(addresses)) = (tables.control(), tables.addresses()) else { return false };
    let by_addresses = control.mark_services == 0 && control.probes_until.get() == 0;
    by_addresses && !addresses.may_have(flow.key.dst) && !addresses.may_have(flow.key.src)
}

/// Counts a packet that has its plan, and keeps its connection alive; the reason that it is sent on for.
#[inline(always)]
pub fn take<T: Tables>(tables: &T, flow: &Flow, hit: &Hit<'_>, plan: &Plan) -> Reason {
    life::rest(tables, flow.proto, hit, tables.now());
    tally(tables, flow, hit);
    forwarded(flow, plan)
}
