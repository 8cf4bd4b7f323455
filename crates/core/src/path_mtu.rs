//! Path MTU of tunnels (RFC 1191, RFC 8201): a router between director and real server that cannot pass a tunnel's packet on
//! tells the director, about a packet whose sender it is. The error quotes the tunnel's header and, inside, the client's packet:
//! that names the connection and its real server, for which the smaller MTU is remembered. The client's next packet that is too
//! big is answered with what fits inside.

use crate::abi::{Dest, FlowKey, Forward};
use crate::conn::{Direction, table};
use crate::flow::Flow;
use crate::packet::Packet;
use crate::tables::Tables;
use crate::verdict::Reason;
use rvs_wire::icmp::{self, Icmp};
use rvs_wire::icmp6;
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::tunnel::{Gre, Gue};
use rvs_wire::udp::{Ports, Udp};
use rvs_wire::{Addr, Family, eth};

/// How long a smaller MTU holds, in seconds (`net.ipv4.route.mtu_expires`).
pub const HOLD_SECS: u32 = 600;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// The MTU of the way to a destination, given that of its first link; 0: unknown.
#[inline(always)]
pub fn towards(dest: &Dest, link: u32, now: u64) -> u32 {
    let learnt = dest.path_mtu.get();
    let holds = learnt != 0 && (now / SECOND) as u32 <= dest.path_mtu_until.get();
    if holds && (link == 0 || learnt < link) { learnt } else { link }
}

/// Learns from an ICMP error about a packet that is no client's: [`Reason::TunnelTooBig`] when it was one of our tunnels'.
#[inline(always)]
pub fn learn<P: Packet + ?Sized, T: Tables>(packet: &P, tables: &T, flow: &Flow) -> Reason {
    let told = told(packet, flow).and_then(|mtu| {
        let (server, at, inside) = unwrap(packet, flow)?;
        Some((mtu, server, client(packet, at as usize, inside)?))
    });
    let Some((mtu, server, key)) = told else { return Reason::IcmpUnrelated };
    let Some(hit) = table::find(tables, &key, table::hash(&key, tables)) else {
        return Reason::IcmpUnrelated;
    };
    let tunnelled = hit.conn.forward.get() == Forward::Tunnel as u8 && matches!(hit.direction, Direction::In);
    if !tunnelled || hit.conn.daddr.get() != server {
        return Reason::IcmpUnrelated;
    }
    let Some(dest) = tables.dest(hit.conn.dest.get()) else { return Reason::IcmpUnrelated };
    dest.path_mtu.set(mtu);
    dest.path_mtu_until.set((tables.now() / SECOND) as u32 + HOLD_SECS);
    Reason::TunnelTooBig
}

/// The MTU that an error tells, if it is of that kind and the number one that a link can have.
#[inline(always)]
fn told<P: Packet + ?Sized>(packet: &P, flow: &Flow) -> Option<u32> {
    /// The least MTU that is believed (as Linux' `min_pmtu`): less would only serve an attacker.
    const LEAST: u16 = 552;
    let head: Icmp = packet.read(flow.l4 as usize)?;
    let mtu = head.mtu.host();
    let (fits, least) = if flow.is_v6() {
        (head.kind == icmp6::TOO_BIG, ipv6::MIN_MTU)
    } else {
        (head.kind == icmp::UNREACHABLE && head.code == icmp::FRAG_NEEDED, LEAST)
    };
    if !fits {
        return None;
    }
    Some(if mtu < least { least as u32 } else { mtu as u32 })
}

/// The tunnel's other end, the offset of the packet inside, and whether that is IPv6.
#[inline(always)]
fn unwrap<P: Packet + ?Sized>(packet: &P, flow: &Flow) -> Option<(Addr, u16, bool)> {
    let outer = flow.inner as usize;
    let (server, number, at) = if flow.is_v6() {
        let ip: Ipv6 = packet.read(outer)?;
        (ip.dst, ip.next, outer + ipv6::LEN)
    } else {
        let ip: Ipv4 = packet.read(outer)?;
        (Addr::v4(ip.dst), ip.proto, outer + ipv4::LEN)
    };
    let (at, inside) = match number {
        proto::IPIP => (at, false),
        proto::IPV6 => (at, true),
        proto::GRE => {
            let head: Gre = packet.read(at)?;
            let len = if head.flags == Gre::CHECKSUM { Gre::LEN_SUM } else { Gre::LEN };
            (at + len, head.protocol == eth::IPV6)
        }
        proto::UDP => {
            let head: Gue = packet.read(at + size_of::<Udp>())?;
            (at + size_of::<Udp>() + Gue::LEN, head.protocol == proto::IPV6)
        }
        _ => return None,
    };
    Some((server, at as u16, inside))
}

/// The key of the client's packet at an offset.
#[inline(always)]
fn client<P: Packet + ?Sized>(packet: &P, at: usize, inside: bool) -> Option<FlowKey> {
    let (src, dst, number, family, ports_at) = if inside {
        let ip: Ipv6 = packet.read(at)?;
        (ip.src, ip.dst, ip.next, Family::V6, at + ipv6::LEN)
    } else {
        let ip: Ipv4 = packet.read(at)?;
        (Addr::v4(ip.src), Addr::v4(ip.dst), ip.proto, Family::V4, at + ip.header_len()?)
    };
    let ports: Ports = packet.read(ports_at)?;
    Some(FlowKey { src, dst, sport: ports.sport, dport: ports.dport, proto: number, family: family.raw(), pad: 0 })
}
