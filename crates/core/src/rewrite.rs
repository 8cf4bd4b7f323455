//! Applying a plan to a packet whose bytes are all there is to it: in XDP, in tests, in simulation.
//!
//! Checksums are changed by what changed (RFC 1624), so a wrong one stays wrong and is not hidden from the receiver. The TC
//! hook uses the pieces that touch headers only, and leaves transport checksums to the kernel's helpers, which know whether
//! one is finished. Everything is read before anything is written: a packet is never left half rewritten.

use crate::flow::{Flow, L3};
use crate::packet::PacketMut;
use crate::plan::Plan;
use crate::tunnel::{Inner, Tunnel};
use rvs_wire::checksum::Delta;
use rvs_wire::eth::{self, Eth};
use rvs_wire::icmp::Icmp;
use rvs_wire::icmp6::Icmp6;
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::sctp;
use rvs_wire::udp::Ports;
use rvs_wire::{Addr, Be16, Family};

/// The IPv4 header with source or destination replaced and one hop less, and how its addresses changed.
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

/// The same for IPv6.
#[inline(always)]
pub fn nat_header6(ip: Ipv6, plan: &Plan) -> (Ipv6, Delta) {
    let old: Addr = if plan.outward != 0 { ip.src } else { ip.dst };
    let mut ip = ip;
    if plan.outward != 0 {
        ip.src = plan.addr;
    } else {
        ip.dst = plan.addr;
    }
    (ip.hop(), Delta::NONE.addr(old, plan.addr))
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
    if !flow.has_ports() {
        return readdress(packet, flow, plan).map(|_| ());
    }
    let l4 = flow.l4 as usize;
    let old: Ports = packet.read(l4)?;
    let (ports, words) = nat_ports(old, plan);
    if flow.proto == proto::SCTP {
        nat_sctp(packet, flow, old, ports)?;
        readdress(packet, flow, plan)?;
        return packet.write(l4, ports);
    }
    let sum: Be16 = packet.read(flow.checksum_offset())?;
    let addresses = readdress(packet, flow, plan)?;
    packet.write(flow.checksum_offset(), checksum(sum, flow, addresses.and(words)))?;
    packet.write(l4, ports)
}

/// Replaces the address in the IP header and takes a hop off; gives how the addresses changed.
#[inline(always)]
pub fn readdress<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, plan: &Plan) -> Option<Delta> {
    if flow.is_v6() {
        let (ip, delta) = nat_header6(packet.read(L3)?, plan);
        packet.write(L3, ip)?;
        return Some(delta);
    }
    let (ip, delta) = nat_header(packet.read(L3)?, plan);
    packet.write(L3, ip)?;
    Some(delta)
}

/// Moves an SCTP packet's checksum on, when its ports change. (It does not cover addresses.) A first fragment's length is not
/// the packet's, so there the ports must not change: such a packet is refused.
#[inline(always)]
fn nat_sctp<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, old: Ports, new: Ports) -> Option<()> {
    if old == new {
        return Some(());
    }
    if flow.piece != crate::flow::piece::WHOLE {
        return None;
    }
    let at = flow.l4 as usize + sctp::CHECKSUM;
    let [high, low]: [Be16; 2] = packet.read(at)?;
    let checksum = word(high, low);
    let adjusted = sctp::adjust(checksum, word(old.sport, old.dport), word(new.sport, new.dport), flow.l4_bytes());
    packet.write(at, adjusted.to_ne_bytes())
}

/// Two halves as they lie in memory, as one word as it lies in memory.
#[inline(always)]
const fn word(first: Be16, second: Be16) -> u32 {
    let (a, b) = (first.raw().to_ne_bytes(), second.raw().to_ne_bytes());
    u32::from_ne_bytes([a[0], a[1], b[0], b[1]])
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
    let ports_at = flow.inner_l4 as usize;
    let ports: Ports = packet.read(ports_at)?;
    // The quoted packet went the other way: what is the destination outside is the source inside.
    let (new_ports, words) = if plan.outward != 0 {
        (Ports { dport: plan.port, ..ports }, Delta::NONE.word(ports.dport, plan.port))
    } else {
        (Ports { sport: plan.port, ..ports }, Delta::NONE.word(ports.sport, plan.port))
    };
    if flow.is_v6() {
        translate6(packet, flow, plan, words)?
    } else {
        translate4(packet, flow, plan, words)?
    }
    packet.write(ports_at, new_ports)
}

#[inline(always)]
fn translate4<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, plan: &Plan, words: Delta) -> Option<()> {
    let (outer, _) = nat_header(packet.read(L3)?, plan);
    let inner: Ipv4 = packet.read(flow.inner as usize)?;
    let icmp: Icmp = packet.read(flow.l4 as usize)?;
    let mut new = inner;
    let addresses = if plan.outward != 0 {
        new.dst = plan.addr.last();
        Delta::NONE.dword(inner.dst, new.dst)
    } else {
        new.src = plan.addr.last();
        Delta::NONE.dword(inner.src, new.src)
    };
    new.checksum = addresses.apply(inner.checksum);
    let message = addresses.and(words).word(inner.checksum, new.checksum);
    packet.write(flow.l4 as usize, Icmp { checksum: message.apply(icmp.checksum), ..icmp })?;
    packet.write(L3, outer)?;
    packet.write(flow.inner as usize, new)
}

/// In IPv6 the message's checksum covers the outer addresses as well.
#[inline(always)]
fn translate6<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, plan: &Plan, words: Delta) -> Option<()> {
    let icmp: Icmp6 = packet.read(flow.l4 as usize)?;
    // Of the quoted header only one address is touched; 8 bytes precede the source, 24 the destination.
    let at = flow.inner as usize + if plan.outward != 0 { 24 } else { 8 };
    let quoted: [u16; 8] = packet.read(at)?;
    let outside = readdress(packet, flow, plan)?;
    let inside = Delta::NONE.addr(joined(quoted), plan.addr);
    let message = outside.and(inside).and(words);
    packet.write(flow.l4 as usize, Icmp6 { checksum: message.apply(icmp.checksum), ..icmp })?;
    packet.write(at, halves(plan.addr))
}

/// An address from pieces that any even offset suits.
#[inline(always)]
fn joined(h: [u16; 8]) -> Addr {
    let word = |i: usize| word(Be16::from_raw(h[i]), Be16::from_raw(h[i + 1]));
    Addr::v6([word(0), word(2), word(4), word(6)])
}

#[inline(always)]
fn halves(addr: Addr) -> [u16; 8] {
    zerocopy::transmute!(addr)
}

/// One hop less; all that direct routing changes above the frame. Gives what a tunnel shows of the packet.
#[inline(always)]
pub fn hop<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow) -> Option<Inner> {
    if flow.is_v6() {
        let ip = packet.read::<Ipv6>(L3)?.hop();
        packet.write(L3, ip)?;
        return Some(Inner::of_v6(&ip));
    }
    let ip = packet.read::<Ipv4>(L3)?.hop();
    packet.write(L3, ip)?;
    Some(Inner::of_v4(&ip))
}

/// Takes back a hop: for packets that lose one on a way that is none.
#[inline(always)]
pub fn unhop<P: PacketMut + ?Sized>(packet: &mut P) -> Option<()> {
    hops(packet, 1)
}

/// Adds to the hops that a packet has left, modulo 256.
#[inline(always)]
pub fn hops<P: PacketMut + ?Sized>(packet: &mut P, by: u8) -> Option<()> {
    let frame: Eth = packet.read(0)?;
    if frame.ethertype == eth::IPV6 {
        let ip: Ipv6 = packet.read(L3)?;
        return packet.write(L3, Ipv6 { hop_limit: ip.hop_limit.wrapping_add(by), ..ip });
    }
    let ip: Ipv4 = packet.read(L3)?;
    let (old, new) = (Be16::from_raw(u16::from_ne_bytes([ip.ttl, 0])), ip.ttl.wrapping_add(by));
    let delta = Delta::NONE.word(old, Be16::from_raw(u16::from_ne_bytes([new, 0])));
    packet.write(L3, Ipv4 { ttl: new, checksum: delta.apply(ip.checksum), ..ip })
}

/// Writes the headers of a tunnel into the room made for them in front of the inner packet, of which `sum` is the one's-complement
/// sum if the tunnel carries a checksum.
#[inline(always)]
pub fn outer<P: PacketMut + ?Sized>(
    packet: &mut P,
    tunnel: &Tunnel,
    inner: &Inner,
    ends: (Addr, Addr),
    sum: Option<u64>,
) -> Option<()> {
    let (source, server) = ends;
    let between = if tunnel.outside == Family::V4.raw() {
        packet.write(L3, tunnel.header4(inner, source, server))?;
        L3 + ipv4::LEN
    } else {
        packet.write(L3, tunnel.header6(inner, source, server))?;
        L3 + ipv6::LEN
    };
    if tunnel.is_gue() {
        let (udp, gue) = tunnel.gue(inner.len, source, server, sum);
        packet.write(between, udp)?;
        return packet.write(between + size_of::<rvs_wire::udp::Udp>(), gue);
    }
    if tunnel.is_gre() {
        return match sum {
            Some(sum) if tunnel.is_summed() => packet.write(between, tunnel.gre_summed(sum)),
            _ => packet.write(between, tunnel.gre()),
        };
    }
    Some(())
}
