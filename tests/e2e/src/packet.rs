//! Just enough of Ethernet, IPv4, TCP, UDP and ICMP to make packets by hand and to check what became of them. On purpose
//! independent of the director's own code.

use crate::topology::Mac;
use std::net::Ipv4Addr;

/// IP protocol number of ICMP.
pub const ICMP: u8 = 1;
/// IP protocol number of IP in IP.
pub const IPIP: u8 = 4;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;

/// TCP flags.
pub mod tcp_flags {
    /// End of the sender's data.
    pub const FIN: u8 = 0x01;
    /// Start of a connection.
    pub const SYN: u8 = 0x02;
    /// End of a connection at once.
    pub const RST: u8 = 0x04;
    /// Hand to the application.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// An Ethernet frame with IPv4 in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Sender on the link.
    pub src: Mac,
    /// Receiver on the link.
    pub dst: Mac,
    /// What it carries.
    pub ip: Ipv4,
}

/// An IPv4 packet. The header's checksum is computed when it becomes bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Don't fragment.
    pub df: bool,
    /// Hops left.
    pub ttl: u8,
    /// Protocol of the payload.
    pub proto: u8,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Of a parsed packet: whether the header's checksum was right.
    pub header_good: bool,
    /// Of a parsed packet: the total length that its header tells.
    pub length: u16,
}

/// What a TCP or UDP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
}

impl Frame {
    /// From bytes; none if it isn't IPv4 or is cut within a header.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let dst = bytes.first_chunk()?;
        let src = bytes.get(6..)?.first_chunk()?;
        (be16(bytes, 12)? == 0x0800).then_some(())?;
        Some(Self { src: *src, dst: *dst, ip: Ipv4::parse(bytes.get(14..)?)? })
    }

    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::from(self.dst);
        bytes.extend(self.src);
        bytes.extend([8, 0]);
        bytes.extend(self.ip.bytes());
        bytes
    }
}

impl Ipv4 {
    /// A packet as hosts send it: TTL 64, DF.
    pub fn new(proto: u8, src: Ipv4Addr, dst: Ipv4Addr, payload: Vec<u8>) -> Self {
        let (options, length) = (Vec::new(), 0);
        Self { tos: 0, id: 1, df: true, ttl: 64, proto, src, dst, options, payload, header_good: true, length }
    }

    /// A UDP datagram with a right checksum.
    pub fn udp(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), data: &[u8]) -> Self {
        let mut segment = Vec::new();
        segment.extend(src.1.to_be_bytes());
        segment.extend(dst.1.to_be_bytes());
        segment.extend(length16(8 + data.len()).to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(data);
        Self::new(UDP, src.0, dst.0, segment).with_checksum()
    }

    /// A TCP segment with a right checksum.
    pub fn tcp(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), flags: u8, seq: u32, ack: u32, data: &[u8]) -> Self {
        let mut segment = Vec::new();
        segment.extend(src.1.to_be_bytes());
        segment.extend(dst.1.to_be_bytes());
        segment.extend(seq.to_be_bytes());
        segment.extend(ack.to_be_bytes());
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(data);
        Self::new(TCP, src.0, dst.0, segment).with_checksum()
    }

    /// An ICMP error of this type and code about a packet, which it quotes in full; `rest` is the second word of its header.
    pub fn icmp_error(src: Ipv4Addr, dst: Ipv4Addr, kind: (u8, u8), rest: u32, about: &Self) -> Self {
        let mut message = vec![kind.0, kind.1, 0, 0];
        message.extend(rest.to_be_bytes());
        message.extend(about.bytes());
        let check = !fold(sum(&message));
        message[2..4].copy_from_slice(&check.to_be_bytes());
        Self::new(ICMP, src, dst, message).df(false)
    }

    /// The same with another TTL.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same with an identification.
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// The same with DF or without.
    pub fn df(mut self, df: bool) -> Self {
        self.df = df;
        self
    }

    /// The same with a type of service.
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// The same with options; their length is a multiple of four.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// The same with this checksum in its UDP or TCP header.
    pub fn checksum(mut self, sum: u16) -> Self {
        let at = self.checksum_at();
        if let Some(field) = self.payload.get_mut(at..at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        self
    }

    /// The checksum in its UDP or TCP header.
    pub fn checksum_field(&self) -> Option<u16> {
        be16(&self.payload, self.checksum_at())
    }

    /// Whether the checksum of its UDP or TCP segment, or of its ICMP message, is right. A UDP checksum of 0 is right.
    pub fn checksum_good(&self) -> bool {
        match self.proto {
            UDP if self.checksum_field() == Some(0) => true,
            TCP | UDP => !fold(self.pseudo_sum() + sum(&self.payload)) == 0,
            ICMP => !fold(sum(&self.payload)) == 0,
            _ => true,
        }
    }

    /// Ports of TCP and UDP.
    pub fn ports(&self) -> Option<Ports> {
        matches!(self.proto, TCP | UDP).then_some(())?;
        Some(Ports { src: be16(&self.payload, 0)?, dst: be16(&self.payload, 2)? })
    }

    /// Flags of a TCP segment.
    pub fn flags(&self) -> Option<u8> {
        (self.proto == TCP).then(|| self.payload.get(13).copied()).flatten()
    }

    /// Type and code of an ICMP message.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        (self.proto == ICMP).then_some(())?;
        Some((*self.payload.first()?, *self.payload.get(1)?))
    }

    /// The MTU that "fragmentation needed" tells.
    pub fn icmp_mtu(&self) -> Option<u16> {
        be16(&self.payload, 6)
    }

    /// The packet inside: of a tunnel, or what an ICMP error is about.
    pub fn inner(&self) -> Option<Self> {
        match self.proto {
            IPIP => Self::parse(&self.payload),
            ICMP => Self::parse(self.payload.get(8..)?),
            _ => None,
        }
    }

    /// The data of a TCP or UDP packet.
    pub fn data(&self) -> &[u8] {
        let header = match self.proto {
            TCP => self.payload.get(12).map_or(0, |b| usize::from(b >> 4) * 4),
            UDP => 8,
            _ => 0,
        };
        self.payload.get(header..).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 0x0f) * 4;
        let head = bytes.get(..header)?;
        (header >= 20 && bytes[0] >> 4 == 4).then_some(())?;
        let length = be16(head, 2)?;
        // What an ICMP error quotes is shorter than its header says.
        let end = usize::from(length).clamp(header, bytes.len());
        let address = |at: usize| head.get(at..)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets));
        Some(Self {
            tos: head[1],
            id: be16(head, 4)?,
            df: head[6] & 0x40 != 0,
            ttl: head[8],
            proto: head[9],
            src: address(12)?,
            dst: address(16)?,
            options: head[20..].to_vec(),
            payload: bytes[header..end].to_vec(),
            header_good: !fold(sum(head)) == 0,
            length,
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        let mut head = vec![0x40 | u8::try_from(header / 4).unwrap_or(15), self.tos];
        head.extend(length16(header + self.payload.len()).to_be_bytes());
        head.extend(self.id.to_be_bytes());
        head.extend([if self.df { 0x40 } else { 0 }, 0, self.ttl, self.proto, 0, 0]);
        head.extend(self.src.octets());
        head.extend(self.dst.octets());
        head.extend(&self.options);
        let check = !fold(sum(&head));
        head[10..12].copy_from_slice(&check.to_be_bytes());
        head.extend(&self.payload);
        head
    }

    fn with_checksum(self) -> Self {
        let blank = self.checksum(0);
        let check = !fold(blank.pseudo_sum() + sum(&blank.payload));
        blank.checksum(if check == 0 { 0xffff } else { check })
    }

    fn checksum_at(&self) -> usize {
        if self.proto == TCP { 16 } else { 6 }
    }

    fn pseudo_sum(&self) -> u64 {
        let addresses = sum(&self.src.octets()) + sum(&self.dst.octets());
        addresses + u64::from(self.proto) + self.payload.len() as u64
    }
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

pub(crate) fn length16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded to 16 bits just above.
    u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 1, 200), 6000);
    const B: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 2, 50), 5353);

    /// As captured from a real host: 5 bytes of "query", identification 56, TTL 63.
    #[test]
    fn a_datagram_has_the_bytes_of_a_captured_one() {
        let packet = Ipv4::udp(A, B, b"query").id(56).ttl(63);
        let hex: String = packet.bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "45000021003840003f11239b0a0001c80a000232177014e9000d6b997175657279");
    }

    #[test]
    fn what_is_built_is_parsed_again() {
        let packet = Ipv4::tcp(A, B, tcp_flags::SYN, 7, 0, b"abc").options(&[1, 1, 1, 0]).tos(8).df(false);
        let frame = Frame { src: [2; 6], dst: [4; 6], ip: packet };
        let parsed = Frame::parse(&frame.bytes()).unwrap();
        assert!(parsed.ip.header_good && parsed.ip.checksum_good());
        assert_eq!((parsed.ip.data(), parsed.ip.flags()), (&b"abc"[..], Some(tcp_flags::SYN)));
        assert_eq!(Frame { ip: Ipv4 { length: 0, ..parsed.ip }, ..parsed }, frame);
        assert!(!frame.ip.checksum(1).checksum_good());
    }
}
