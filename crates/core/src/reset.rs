//! The RST that tells an end of a purged connection that it is over: made in place of the packet that end has just sent.
//!
//! The connection table keeps no sequence numbers, and needs none: the packet itself says which number its sender expects next
//! (RFC 9293, section 3.10.7.1). It looks to the sender as if its peer had sent it.

use crate::flow::{Flow, L3, piece};
use crate::packet::PacketMut;
use rvs_wire::checksum::{Delta, fold};
use rvs_wire::ipv4::{Ipv4, proto};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::tcp::{ACK, FIN, RST, SYN, TcpHead};
use rvs_wire::{Be16, Be32};

/// Bytes of a TCP header without options.
pub const TCP_LEN: usize = 20;

/// TTL of the answer, as the kernel's own.
const TTL: u8 = 64;

/// Length of the answer to a packet, its frame header included: the packet is cut to it first. `None`: it can't be answered.
#[inline(always)]
pub fn frame_len(flow: &Flow) -> Option<usize> {
    (flow.piece == piece::WHOLE && flow.proto == proto::TCP && flow.inner == 0).then_some(flow.l4 as usize + TCP_LEN)
}

/// What answers a segment that carries `payload` bytes.
#[inline(always)]
pub const fn answer(head: TcpHead, payload: u32) -> TcpHead {
    let (seq, ack, flags) = if head.flags & ACK != 0 {
        (head.ack, Be32::new(0), RST)
    } else {
        // It expects nothing yet, but takes what acknowledges all of it.
        let len = payload + (head.flags & SYN != 0) as u32 + (head.flags & FIN != 0) as u32;
        (Be32::new(0), Be32::new(head.seq.host().wrapping_add(len)), RST | ACK)
    };
    TcpHead {
        sport: head.dport,
        dport: head.sport,
        seq,
        ack,
        offset: (TCP_LEN as u8 / 4) << 4,
        flags,
        window: Be16::ZERO,
    }
}

/// Makes the answer of a packet that has been cut to [`frame_len`]; the frame's header is the caller's. `unfinished`: the
/// checksum is left to the device, which expects the sum of the pseudo header in its place.
#[inline(always)]
pub fn write<P: PacketMut + ?Sized>(packet: &mut P, flow: &Flow, unfinished: bool) -> Option<()> {
    let l4 = flow.l4 as usize;
    let head: TcpHead = packet.read(l4)?;
    let head = answer(head, flow.l4_bytes().wrapping_sub(flow.l4_len as u32));
    if flow.is_v6() {
        header6(packet, l4)?
    } else {
        header(packet, l4)?
    }
    let (s, d) = (flow.key.src.words(), flow.key.dst.words());
    let addresses = s[0] as u64 + s[1] as u64 + s[2] as u64 + s[3] as u64;
    let addresses = addresses + d[0] as u64 + d[1] as u64 + d[2] as u64 + d[3] as u64;
    let pseudo = addresses + Be16::new(proto::TCP as u16).raw() as u64 + Be16::new(TCP_LEN as u16).raw() as u64;
    let checksum = if unfinished {
        fold(pseudo)
    } else {
        let ports = head.sport.raw() as u64 + head.dport.raw() as u64;
        let numbers = head.seq.raw() as u64 + head.ack.raw() as u64;
        !fold(pseudo + ports + numbers + u16::from_ne_bytes([head.offset, head.flags]) as u64)
    };
    packet.write(l4, head)?;
    packet.write(l4 + rvs_wire::tcp::CHECKSUM, [Be16::from_raw(checksum), Be16::ZERO])
}

/// Turns an IPv4 header round. Its options stay as they are: they are covered by the same checksum.
#[inline(always)]
fn header<P: PacketMut + ?Sized>(packet: &mut P, l4: usize) -> Option<()> {
    let ip: Ipv4 = packet.read(L3)?;
    let total_len = Be16::new((l4 - L3 + TCP_LEN) as u16);
    let word = |ttl: u8| Be16::from_raw(u16::from_ne_bytes([ttl, ip.proto]));
    // Swapping the addresses changes no sum.
    let delta = Delta::NONE.word(ip.total_len, total_len).word(word(ip.ttl), word(TTL));
    let checksum = delta.apply(ip.checksum);
    packet.write(L3, Ipv4 { total_len, ttl: TTL, checksum, src: ip.dst, dst: ip.src, ..ip })
}

/// Turns an IPv6 header round.
#[inline(always)]
fn header6<P: PacketMut + ?Sized>(packet: &mut P, l4: usize) -> Option<()> {
    let ip: Ipv6 = packet.read(L3)?;
    let payload_len = Be16::new((l4 - L3 - ipv6::LEN + TCP_LEN) as u16);
    packet.write(L3, Ipv6 { payload_len, hop_limit: TTL, src: ip.dst, dst: ip.src, ..ip })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(flags: u8, seq: u32, ack: u32) -> TcpHead {
        let (sport, dport) = (Be16::new(40_000), Be16::new(80));
        TcpHead { sport, dport, seq: Be32::new(seq), ack: Be32::new(ack), offset: 0x80, flags, window: Be16::new(500) }
    }

    #[test]
    fn the_numbers_are_those_that_the_sender_expects() {
        let told = answer(segment(ACK, 1000, 2000), 5);
        assert_eq!((told.seq.host(), told.ack.host(), told.flags), (2000, 0, RST));
        assert_eq!((told.sport.host(), told.dport.host(), told.offset), (80, 40_000, 0x50));
        let told = answer(segment(SYN, 1000, 0), 0);
        assert_eq!((told.seq.host(), told.ack.host(), told.flags), (0, 1001, RST | ACK));
        let told = answer(segment(FIN, u32::MAX, 0), 7);
        assert_eq!(told.ack.host(), 7);
    }
}
