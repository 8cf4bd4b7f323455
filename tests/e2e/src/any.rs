//! Packets of both families, as whole packets and as fragments, made by hand and taken apart. Independent of the director's own
//! code, like [`crate::packet`], which knows IPv4 in more depth.

use crate::packet::{ICMP, IPIP, Ports, TCP, UDP, be16, fold, length16, sum};
use crate::topology::Mac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IP protocol number of IPv6 in IP.
pub const IPV6: u8 = 41;
/// IP protocol number of the fragment header of IPv6.
const FRAGMENT: u8 = 44;
/// IP protocol number of GRE.
pub const GRE: u8 = 47;
/// IP protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;
/// IP protocol number of SCTP.
pub const SCTP: u8 = 132;

/// An IP packet. Checksums of IPv4 headers are computed when it becomes bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source.
    pub src: IpAddr,
    /// Destination, of the same family.
    pub dst: IpAddr,
    /// Hops left.
    pub hops: u8,
    /// Protocol of the payload, behind a fragment header.
    pub proto: u8,
    /// IPv4: don't fragment. Always true for IPv6.
    pub df: bool,
    /// Which part of a larger packet it is, if it is one.
    pub piece: Option<Piece>,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// A fragment's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Identification; 16 bits of it in IPv4.
    pub id: u32,
    /// Where it begins, in bytes.
    pub offset: u16,
    /// Whether others follow.
    pub more: bool,
}

impl Packet {
    /// A packet as hosts send it: 64 hops, whole, not to be fragmented.
    pub fn new(proto: u8, src: IpAddr, dst: IpAddr, payload: Vec<u8>) -> Self {
        Self { src, dst, hops: 64, proto, df: true, piece: None, payload }
    }

    /// A UDP datagram with a right checksum.
    pub fn udp(src: SocketAddr, dst: SocketAddr, data: &[u8]) -> Self {
        let mut segment = ports(src, dst);
        segment.extend(length16(8 + data.len()).to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(data);
        Self::new(UDP, src.ip(), dst.ip(), segment).with_checksum(6)
    }

    /// A TCP segment with a right checksum and without options.
    pub fn tcp(src: SocketAddr, dst: SocketAddr, flags: u8, seq: u32, ack: u32) -> Self {
        let mut segment = ports(src, dst);
        segment.extend(seq.to_be_bytes());
        segment.extend(ack.to_be_bytes());
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        Self::new(TCP, src.ip(), dst.ip(), segment).with_checksum(16)
    }

    /// An SCTP packet of one chunk (RFC 9260 3.2) with a right checksum.
    pub fn sctp(src: SocketAddr, dst: SocketAddr, tag: u32, kind: u8, value: &[u8]) -> Self {
        let mut packet = ports(src, dst);
        packet.extend(tag.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend([kind, 0]);
        packet.extend(length16(4 + value.len()).to_be_bytes());
        packet.extend(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
        let check = crc32c(&packet);
        packet[8..12].copy_from_slice(&check.to_le_bytes());
        Self::new(SCTP, src.ip(), dst.ip(), packet)
    }

    /// An ICMPv6 message with a right checksum; `rest` begins with the second word of its header.
    pub fn icmpv6(src: IpAddr, dst: IpAddr, kind: (u8, u8), rest: &[u8]) -> Self {
        let mut message = vec![kind.0, kind.1, 0, 0];
        message.extend(rest);
        Self::new(ICMPV6, src, dst, message).with_checksum(2)
    }

    /// The same with so many hops left.
    pub fn hops(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// The same, to be fragmented on its way if need be; IPv6 knows no such thing.
    pub fn may_fragment(mut self) -> Self {
        self.df = self.src.is_ipv6();
        self
    }

    /// The fragments of it that carry `size` bytes each, a multiple of eight; the last one what is left.
    pub fn fragments(&self, id: u32, size: usize) -> Vec<Self> {
        let count = self.payload.chunks(size).count();
        let fragment = |(n, chunk): (usize, &[u8])| Self {
            df: self.src.is_ipv6(),
            piece: Some(Piece { id, offset: length16(n * size), more: n + 1 < count }),
            payload: chunk.to_vec(),
            ..self.clone()
        };
        self.payload.chunks(size).enumerate().map(fragment).collect()
    }

    /// Ports of TCP, UDP and SCTP; a fragment that isn't the first has none.
    pub fn ports(&self) -> Option<Ports> {
        (matches!(self.proto, TCP | UDP | SCTP) && self.piece.is_none_or(|piece| piece.offset == 0)).then_some(())?;
        Some(Ports { src: be16(&self.payload, 0)?, dst: be16(&self.payload, 2)? })
    }

    /// Flags of a TCP segment.
    pub fn flags(&self) -> Option<u8> {
        (self.proto == TCP).then(|| self.payload.get(13).copied()).flatten()
    }

    /// Type and code of an ICMP or ICMPv6 message.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        matches!(self.proto, ICMP | ICMPV6).then_some(())?;
        Some((*self.payload.first()?, *self.payload.get(1)?))
    }

    /// The MTU that "fragmentation needed" or "packet too big" tells.
    pub fn icmp_mtu(&self) -> Option<u32> {
        match (self.proto, self.icmp()?) {
            (ICMP, (3, 4)) => be16(&self.payload, 6).map(u32::from),
            (ICMPV6, (2, 0)) => Some(u32::from_be_bytes(*self.payload.get(4..)?.first_chunk()?)),
            _ => None,
        }
    }

    /// Whether it is "time exceeded in transit".
    pub fn is_exceeded(&self) -> bool {
        let kind = self.icmp();
        (self.proto == ICMP && kind == Some((11, 0))) || (self.proto == ICMPV6 && kind == Some((3, 0)))
    }

    /// What an ICMP error is about, as much of it as is quoted.
    pub fn quoted(&self) -> Option<Self> {
        let error = match self.proto {
            ICMP => matches!(self.icmp()?.0, 3 | 4 | 5 | 11 | 12),
            _ => self.icmp()?.0 < 128,
        };
        error.then(|| Self::parse_ip(self.payload.get(8..)?))?
    }

    /// The packet in a tunnel: IP in IP, GRE, or GUE on this port of UDP.
    pub fn inner(&self, gue: u16) -> Option<Self> {
        match self.proto {
            IPIP | IPV6 => Self::parse_ip(&self.payload),
            // Four bytes, and four more with a checksum.
            GRE => Self::parse_ip(self.payload.get(if self.payload.first()? & 0x80 == 0 { 4 } else { 8 }..)?),
            UDP if self.ports()?.dst == gue => {
                let header = 8 + 4 + usize::from(self.payload.get(8)? & 0x1f) * 4;
                Self::parse_ip(self.payload.get(header..)?)
            }
            _ => None,
        }
    }

    /// The data of a UDP datagram.
    pub fn udp_data(&self) -> &[u8] {
        self.payload.get(8..).unwrap_or_default()
    }

    /// Whether the checksum of what a whole packet carries is right. A UDP checksum of 0 is right in IPv4 only.
    pub fn checksum_good(&self) -> bool {
        match self.proto {
            UDP if be16(&self.payload, 6) == Some(0) => self.src.is_ipv4(),
            TCP | UDP | ICMPV6 => !fold(self.pseudo_sum() + sum(&self.payload)) == 0,
            ICMP => !fold(sum(&self.payload)) == 0,
            SCTP => self.payload.get(8..).and_then(<[u8]>::first_chunk).is_some_and(|field| {
                let mut blank = self.payload.clone();
                blank[8..12].fill(0);
                u32::from_le_bytes(*field) == crc32c(&blank)
            }),
            _ => true,
        }
    }

    /// From a frame; none if it isn't IP or is cut within a header.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        matches!(be16(frame, 12)?, 0x0800 | 0x86dd).then_some(())?;
        Self::parse_ip(frame.get(14..)?)
    }

    fn parse_ip(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 0x0f) * 4;
        let head = bytes.get(..header)?;
        let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*head.get(at..)?.first_chunk::<4>()?)));
        // What an ICMP error quotes is shorter than its header says.
        let end = usize::from(be16(head, 2)?).clamp(header, bytes.len());
        let place = be16(head, 6)?;
        let piece = (place & 0x3fff != 0).then_some(Piece {
            id: u32::from(be16(head, 4)?),
            offset: (place & 0x1fff) * 8,
            more: place & 0x2000 != 0,
        });
        let payload = bytes[header..end].to_vec();
        let (hops, proto, df) = (*head.get(8)?, head[9], place & 0x4000 != 0);
        Some(Self { src: address(12)?, dst: address(16)?, hops, proto, df, piece, payload })
    }

    fn parse_v6(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..40)?;
        let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*head.get(at..)?.first_chunk::<16>()?)));
        let end = (40 + usize::from(be16(head, 4)?)).min(bytes.len());
        let (mut proto, mut start, mut piece) = (head[6], 40, None);
        if proto == FRAGMENT {
            let place = be16(bytes, 42)?;
            let id = u32::from_be_bytes(*bytes.get(44..)?.first_chunk()?);
            piece = Some(Piece { id, offset: place & !7, more: place & 1 != 0 });
            (proto, start) = (bytes[40], 48);
        }
        let payload = bytes.get(start..end)?.to_vec();
        Some(Self { src: address(8)?, dst: address(24)?, hops: head[7], proto, df: true, piece, payload })
    }

    /// As a frame between these two.
    pub fn frame(&self, from: Mac, to: Mac) -> Vec<u8> {
        let mut frame = Vec::from(to);
        frame.extend(from);
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                frame.extend([0x08, 0x00]);
                frame.extend(self.bytes_v4(src, dst));
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                frame.extend([0x86, 0xdd]);
                frame.extend(self.bytes_v6(src, dst));
            }
            _ => panic!("two families in one packet: {} to {}", self.src, self.dst),
        }
        frame
    }

    fn bytes_v4(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
        let piece = self.piece.unwrap_or(Piece { id: 1, offset: 0, more: false });
        let place = piece.offset / 8 + (u16::from(piece.more) << 13) + (u16::from(self.df) << 14);
        let mut bytes = vec![0x45, 0];
        bytes.extend(length16(20 + self.payload.len()).to_be_bytes());
        bytes.extend(&piece.id.to_be_bytes()[2..]);
        bytes.extend(place.to_be_bytes());
        bytes.extend([self.hops, self.proto, 0, 0]);
        bytes.extend(src.octets());
        bytes.extend(dst.octets());
        let check = !fold(sum(&bytes));
        bytes[10..12].copy_from_slice(&check.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    fn bytes_v6(&self, src: Ipv6Addr, dst: Ipv6Addr) -> Vec<u8> {
        let extra = if self.piece.is_some() { 8 } else { 0 };
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(length16(extra + self.payload.len()).to_be_bytes());
        bytes.extend([if self.piece.is_some() { FRAGMENT } else { self.proto }, self.hops]);
        bytes.extend(src.octets());
        bytes.extend(dst.octets());
        if let Some(piece) = self.piece {
            bytes.extend([self.proto, 0]);
            bytes.extend((piece.offset | u16::from(piece.more)).to_be_bytes());
            bytes.extend(piece.id.to_be_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }

    /// The same with a right checksum in its payload at `at`, which holds 0.
    fn with_checksum(mut self, at: usize) -> Self {
        let check = !fold(self.pseudo_sum() + sum(&self.payload));
        let check = if check == 0 { 0xffff } else { check };
        self.payload[at..at + 2].copy_from_slice(&check.to_be_bytes());
        self
    }

    fn pseudo_sum(&self) -> u64 {
        let address = |address: IpAddr| match address {
            IpAddr::V4(v4) => sum(&v4.octets()),
            IpAddr::V6(v6) => sum(&v6.octets()),
        };
        address(self.src) + address(self.dst) + u64::from(self.proto) + self.payload.len() as u64
    }
}

fn ports(src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    [src.port().to_be_bytes(), dst.port().to_be_bytes()].concat()
}

/// Bit by bit; RFC 9260 appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0x82f6_3b78 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Family;

    fn ends(family: Family) -> (SocketAddr, SocketAddr) {
        (SocketAddr::new(family.client(), 6000), SocketAddr::new(family.vip(), 53))
    }

    #[test]
    fn what_is_built_is_parsed_again() {
        for family in Family::ALL {
            let (src, dst) = ends(family);
            for packet in
                [Packet::udp(src, dst, b"abc"), Packet::tcp(src, dst, 2, 7, 0), Packet::sctp(src, dst, 0, 1, &[1; 16])]
            {
                assert!(packet.checksum_good(), "{packet:?}");
                assert_eq!(Packet::parse(&packet.frame([2; 6], [4; 6])), Some(packet));
            }
        }
    }

    #[test]
    fn fragments_add_up() {
        for family in Family::ALL {
            let (src, dst) = ends(family);
            let whole = Packet::udp(src, dst, &[7; 3000]);
            let pieces = whole.fragments(0x1234, 1200);
            let places: Vec<(u16, bool)> =
                pieces.iter().flat_map(|p| p.piece).map(|piece| (piece.offset, piece.more)).collect();
            assert_eq!(places, [(0, true), (1200, true), (2400, false)]);
            assert_eq!(pieces.iter().flat_map(|p| p.payload.clone()).collect::<Vec<u8>>(), whole.payload);
            for piece in pieces {
                assert_eq!(Packet::parse(&piece.frame([2; 6], [4; 6])), Some(piece));
            }
        }
    }

    #[test]
    fn the_check_value_of_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
