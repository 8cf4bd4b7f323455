//! Applying a plan to a packet whose bytes are all there is to it: in XDP, in tests, in simulation.
//!
//! Checksums are changed by what changed (RFC 1624), so a wrong one stays wrong and is not hidden from the receiver. The TC
//! hook uses the pieces that touch headers only, and leaves transport checksums to the kernel's helpers, which know whether
//! one is finished.

use crate::flow::{Flow, L3};
use crate::packet::PacketMut;
use crate::plan::Plan;
use rvs_wire::checksum::Delta;
use rvs_wire::icmp::Icmp;
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::udp::Ports;
use rvs_wire::{Addr, Be16};

/// The IP header with source or destination replaced and one hop less, and how its addresses changed.
#[inline(always)]
pub fn nat_header(ip: Ipv4, plan: &Plan) -> (Ipv4, Delta) {
    let (old, new) = (if plan.outward != 0 { ip.src } else { ip.dst }, plan.addr.last());
    let delta = Delta::NONE.dword(old, new);
    let mut ip = ip;
    if plan.outward != 0 {
        ip.src = new;
    } else {
        ip.dst = new;
    }
    ip.checksum = delta.apply(ip.checksum);
    (ip.hop(), delta)
}

/// The ports with one replaced, and how they changed.
#[inline(always)]
pub fn nat_ports(ports: Ports, plan: &Plan) -> (Ports, Delta) {
    if plan.outward != 0 {
        (Ports { sport: plan.port, ..ports }, Delta::NONE.word(ports.sport, plan.port))
    } else {
        (Ports { dport: plan.port, ..ports }, Delta::NONE.word(ports.dport, plan.port))
    }
}

/// Masquerades a packet.
#[inline(always)]
pub fn nat<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, plan: &Plan) -> Option<()> {
    let (ip, addresses) = nat_header(packet.read(L3)?, plan);
    let (ports, words) = nat_ports(packet.read(flow.l4 as usize)?, plan);
    packet.write(flow.checksum_offset(), checksum(packet.read(flow.checksum_offset())?, flow, addresses.and(words)))?;
    packet.write(L3, ip)?;
    packet.write(flow.l4 as usize, ports)
}

/// A transport checksum after a change. UDP: 0 means none and stays; a sum of 0 is sent as 0xffff (RFC 768).
#[inline(always)]
fn checksum(old: Be16, flow: &Flow, delta: Delta) -> Be16 {
    if flow.proto != proto::UDP {
        return delta.apply(old);
    }
    match (old.raw(), delta.apply(old)) {
        (0, _) => old,
        (_, Be16::ZERO) => Be16::from_raw(0xffff),
        (_, new) => new,
    }
}

/// Translates an ICMP error about a masqueraded connection: outer address, quoted address and port, the checksums of both IP
/// headers and of the message. The quoted transport checksum is left as it is, as IPVS leaves it.
#[inline(always)]
pub fn translate_icmp<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, plan: &Plan) -> Option<()> {
    let (outer, _) = nat_header(packet.read(L3)?, plan);
    let (inner_at, ports_at) = (flow.inner as usize, flow.inner_l4 as usize);
    let inner: Ipv4 = packet.read(inner_at)?;
    let ports: Ports = packet.read(ports_at)?;
    let icmp: Icmp = packet.read(flow.l4 as usize)?;

    // The quoted packet went the other way: what is the destination outside is the source inside.
    let (mut new, mut new_ports) = (inner, ports);
    let (addresses, words) = if plan.outward != 0 {
        new.dst = plan.addr.last();
        new_ports.dport = plan.port;
        (Delta::NONE.dword(inner.dst, new.dst), Delta::NONE.word(ports.dport, plan.port))
    } else {
        new.src = plan.addr.last();
        new_ports.sport = plan.port;
        (Delta::NONE.dword(inner.src, new.src), Delta::NONE.word(ports.sport, plan.port))
    };
    new.checksum = addresses.apply(inner.checksum);
    let message = addresses.and(words).word(inner.checksum, new.checksum);
    packet.write(flow.l4 as usize, Icmp { checksum: message.apply(icmp.checksum), ..icmp })?;
    packet.write(L3, outer)?;
    packet.write(inner_at, new)?;
    packet.write(ports_at, new_ports)
}

/// One hop less; all that direct routing changes above the frame.
#[inline(always)]
pub fn hop<P: PacketMut + ?Sized>(packet: &mut P) -> Option<Ipv4> {
    let ip: Ipv4 = packet.read(L3)?;
    let ip = ip.hop();
    packet.write(L3, ip)?;
    Some(ip)
}

/// The outer header around a packet whose TTL was already lowered: TTL, DF and type of service from the inner one (RFC 2003;
/// congestion marks as RFC 3168, section 9.1.1, full functionality).
#[inline(always)]
pub fn tunnel_header(inner: &Ipv4, source: Addr, server: Addr) -> Ipv4 {
    let df = inner.dont_fragment();
    let congested = inner.tos & 3 == 3;
    Ipv4 {
        version_ihl: 0x45,
        tos: if congested { inner.tos & !3 | 2 } else { inner.tos },
        total_len: Be16::new(inner.total_len.host().wrapping_add(ipv4::LEN as u16)),
        // An unfragmentable packet needs no identification (RFC 6864); another gets one that depends on flow and packet.
        id: if df { Be16::ZERO } else { Be16::from_raw(inner.id.raw().wrapping_add(inner.checksum.raw())) },
        frag: if df { ipv4::DF } else { Be16::ZERO },
        ttl: inner.ttl,
        proto: proto::IPIP,
        checksum: Be16::ZERO,
        src: source.last(),
        dst: server.last(),
    }
    .with_checksum()
}
