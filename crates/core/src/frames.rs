//! Frames for tests: whole packets with right checksums, made from a few words.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use rvs_wire::Be16;
use rvs_wire::checksum::{checksum, fold, sum};
use rvs_wire::ipv4::proto;
use rvs_wire::sctp;
use std::vec;
use std::vec::Vec;

/// An endpoint: address and port. Both families are made by the same functions.
pub type End = (Ipv4Addr, u16);

/// Settings of a packet that most tests leave alone.
#[derive(Clone, Debug)]
pub struct Shape {
    /// TTL.
    pub ttl: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Flags and fragment offset; DF by default.
    pub frag: u16,
    /// IPv4 options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv6 extension headers in front of the transport header: number, and all bytes but the first (which names the next).
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// Payload behind the transport header.
    pub payload: Vec<u8>,
    /// UDP: send without checksum.
    pub no_checksum: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            ttl: 64,
            tos: 0,
            id: 0x1234,
            frag: 0x4000,
            options: Vec::new(),
            extensions: Vec::new(),
            payload: b"payload".to_vec(),
            no_checksum: false,
        }
    }
}

/// MAC address of the director in all frames made here.
pub const DIRECTOR: [u8; 6] = [2, 0, 0, 0, 1, 1];
/// MAC address of the sender.
pub const SENDER: [u8; 6] = [2, 0, 0, 0, 1, 0x64];

/// A TCP segment with these flags.
pub fn tcp<A: Into<IpAddr>>(from: (A, u16), to: (A, u16), flags: u8, shape: &Shape) -> Vec<u8> {
    tcp_at(from, to, flags, (1000, 2000), &[], shape)
}

/// A TCP segment with these flags, sequence and acknowledgment numbers, and options (a multiple of four bytes).
pub fn tcp_at<A: Into<IpAddr>>(
    from: (A, u16),
    to: (A, u16),
    flags: u8,
    numbers: (u32, u32),
    options: &[u8],
    shape: &Shape,
) -> Vec<u8> {
    let (source, target) = (from.0.into(), to.0.into());
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend(numbers.0.to_be_bytes());
    segment.extend(numbers.1.to_be_bytes());
    segment.extend([0x50 + ((options.len() as u8 / 4) << 4), flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(&shape.payload);
    let check = transport_checksum(source, target, proto::TCP, &segment);
    segment[16..18].copy_from_slice(&check.raw().to_ne_bytes());
    ip(source, target, proto::TCP, &segment, shape)
}

/// A UDP datagram.
pub fn udp<A: Into<IpAddr>>(from: (A, u16), to: (A, u16), shape: &Shape) -> Vec<u8> {
    let (source, target) = (from.0.into(), to.0.into());
    let len = (8 + shape.payload.len()) as u16;
    let mut datagram = Vec::new();
    datagram.extend(from.1.to_be_bytes());
    datagram.extend(to.1.to_be_bytes());
    datagram.extend(len.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(&shape.payload);
    if !shape.no_checksum {
        let check = transport_checksum(source, target, proto::UDP, &datagram);
        let check = if check == Be16::ZERO { Be16::from_raw(0xffff) } else { check };
        datagram[6..8].copy_from_slice(&check.raw().to_ne_bytes());
    }
    ip(source, target, proto::UDP, &datagram, shape)
}

/// An SCTP packet with one chunk of this type.
pub fn sctp<A: Into<IpAddr>>(from: (A, u16), to: (A, u16), chunk: u8, shape: &Shape) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(from.1.to_be_bytes());
    packet.extend(to.1.to_be_bytes());
    packet.extend([1, 2, 3, 4, 0, 0, 0, 0, chunk, 0]);
    packet.extend((4 + shape.payload.len() as u16).to_be_bytes());
    packet.extend(&shape.payload);
    let check = sctp::crc32c(&packet);
    packet[8..12].copy_from_slice(&check.to_le_bytes());
    ip(from.0, to.0, proto::SCTP, &packet, shape)
}

/// An ICMP error of `kind` and `code` from `from` to `to` about `packet` (an IP packet, of which `quote` bytes are quoted).
pub fn icmp_error<A: Into<IpAddr>>(from: A, to: A, kind: u8, code: u8, packet: &[u8], quote: usize) -> Vec<u8> {
    let (source, target) = (from.into(), to.into());
    let mut message = vec![kind, code, 0, 0, 0, 0, 2, 0x40];
    message.extend(&packet[..packet.len().min(quote)]);
    let (number, check) = match source {
        IpAddr::V4(_) => (proto::ICMP, checksum(&message)),
        IpAddr::V6(_) => (proto::ICMPV6, transport_checksum(source, target, proto::ICMPV6, &message)),
    };
    message[2..4].copy_from_slice(&check.raw().to_ne_bytes());
    ip(source, target, number, &message, &Shape::default())
}

/// An IP packet in its frame.
pub fn ip<A: Into<IpAddr>, B: Into<IpAddr>>(from: A, to: B, proto: u8, payload: &[u8], shape: &Shape) -> Vec<u8> {
    let mut frame = DIRECTOR.to_vec();
    frame.extend(SENDER);
    match (from.into(), to.into()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ip4(&mut frame, from, to, proto, payload, shape),
        (IpAddr::V6(from), IpAddr::V6(to)) => ip6(&mut frame, from, to, proto, payload, shape),
        _ => panic!("one packet, one family"),
    }
    frame
}

fn ip4(frame: &mut Vec<u8>, from: Ipv4Addr, to: Ipv4Addr, proto: u8, payload: &[u8], shape: &Shape) {
    let header = 20 + shape.options.len();
    let len = (header + payload.len()) as u16;
    frame.extend([8, 0]);
    frame.extend([0x40 | (header / 4) as u8, shape.tos]);
    frame.extend(len.to_be_bytes());
    frame.extend(shape.id.to_be_bytes());
    frame.extend(shape.frag.to_be_bytes());
    frame.extend([shape.ttl, proto, 0, 0]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(&shape.options);
    let check = checksum(&frame[14..14 + header]);
    frame[24..26].copy_from_slice(&check.raw().to_ne_bytes());
    frame.extend(payload);
}

fn ip6(frame: &mut Vec<u8>, from: Ipv6Addr, to: Ipv6Addr, proto: u8, payload: &[u8], shape: &Shape) {
    let mut chain = Vec::new();
    let numbers: Vec<u8> = shape.extensions.iter().map(|(number, _)| *number).chain([proto]).collect();
    for (n, (_, bytes)) in shape.extensions.iter().enumerate() {
        chain.push(numbers[n + 1]);
        chain.extend(bytes);
    }
    let len = (chain.len() + payload.len()) as u16;
    frame.extend([
        0x86,
        0xdd,
        0x60 | shape.tos >> 4,
        shape.tos << 4,
        shape.id.to_be_bytes()[0],
        shape.id.to_be_bytes()[1],
    ]);
    frame.extend(len.to_be_bytes());
    frame.extend([numbers[0], shape.ttl]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(chain);
    frame.extend(payload);
}

/// Whether all checksums of a packet in a frame are right, those of packets inside it as well. IPv6 extension headers are not
/// looked through.
pub fn is_sound(frame: &[u8]) -> bool {
    is_sound_packet(&frame[14..])
}

fn is_sound_packet(packet: &[u8]) -> bool {
    let (from, to, number, transport): (IpAddr, IpAddr, u8, &[u8]) = match packet[0] >> 4 {
        4 => {
            let header = (packet[0] & 0xf) as usize * 4;
            let len = u16::from_be_bytes([packet[2], packet[3]]) as usize;
            if checksum(&packet[..header]).raw() != 0 {
                return false;
            }
            let addr = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).expect("four bytes"));
            (addr(12).into(), addr(16).into(), packet[9], &packet[header..len])
        }
        _ => {
            let len = 40 + u16::from_be_bytes([packet[4], packet[5]]) as usize;
            let addr = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).expect("sixteen bytes"));
            (addr(8).into(), addr(24).into(), packet[6], &packet[40..len])
        }
    };
    match number {
        proto::UDP if transport[6..8] == [0, 0] => true,
        proto::TCP | proto::UDP | proto::ICMPV6 => transport_checksum(from, to, number, transport).raw() == 0,
        proto::ICMP => checksum(transport).raw() == 0,
        proto::IPIP | proto::IPV6 => is_sound_packet(transport),
        proto::SCTP => {
            let mut zeroed = transport.to_vec();
            zeroed[8..12].fill(0);
            sctp::crc32c(&zeroed).to_le_bytes() == transport[8..12]
        }
        proto::GRE if transport[0] & 0x80 != 0 => checksum(transport).raw() == 0 && is_sound_packet(&transport[8..]),
        proto::GRE => is_sound_packet(&transport[4..]),
        _ => true,
    }
}

fn transport_checksum(from: IpAddr, to: IpAddr, proto: u8, segment: &[u8]) -> Be16 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (IpAddr::V6(from), IpAddr::V6(to)) => sum(&from.octets()) + sum(&to.octets()),
        _ => panic!("one packet, one family"),
    };
    let pseudo = addresses + sum(&[0, proto]) + sum(&(segment.len() as u16).to_be_bytes());
    Be16::from_raw(!fold(pseudo + sum(segment)))
}
