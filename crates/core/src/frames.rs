//! Frames for tests: whole packets with right checksums, made from a few words.

use core::net::Ipv4Addr;
use rvs_wire::Be16;
use rvs_wire::checksum::{checksum, fold, sum};
use rvs_wire::ipv4::proto;
use std::vec;
use std::vec::Vec;

/// An endpoint: address and port.
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
    /// IP options, a multiple of four bytes.
    pub options: Vec<u8>,
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
pub fn tcp(from: End, to: End, flags: u8, shape: &Shape) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend([0, 0, 3, 0xe8, 0, 0, 7, 0xd0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(&shape.payload);
    let check = transport_checksum(from.0, to.0, proto::TCP, &segment);
    segment[16..18].copy_from_slice(&check.raw().to_ne_bytes());
    ip(from.0, to.0, proto::TCP, &segment, shape)
}

/// A UDP datagram.
pub fn udp(from: End, to: End, shape: &Shape) -> Vec<u8> {
    let len = (8 + shape.payload.len()) as u16;
    let mut datagram = Vec::new();
    datagram.extend(from.1.to_be_bytes());
    datagram.extend(to.1.to_be_bytes());
    datagram.extend(len.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(&shape.payload);
    if !shape.no_checksum {
        let check = transport_checksum(from.0, to.0, proto::UDP, &datagram);
        let check = if check == Be16::ZERO { Be16::from_raw(0xffff) } else { check };
        datagram[6..8].copy_from_slice(&check.raw().to_ne_bytes());
    }
    ip(from.0, to.0, proto::UDP, &datagram, shape)
}

/// An ICMP error of `kind` and `code` from `from` to `to` about `packet` (an IP packet, of which `quote` bytes are quoted).
pub fn icmp_error(from: Ipv4Addr, to: Ipv4Addr, kind: u8, code: u8, packet: &[u8], quote: usize) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0, 0, 0, 2, 0x40];
    message.extend(&packet[..packet.len().min(quote)]);
    let check = checksum(&message);
    message[2..4].copy_from_slice(&check.raw().to_ne_bytes());
    ip(from, to, proto::ICMP, &message, &Shape::default())
}

/// An IP packet in its frame.
pub fn ip(from: Ipv4Addr, to: Ipv4Addr, proto: u8, payload: &[u8], shape: &Shape) -> Vec<u8> {
    let header = 20 + shape.options.len();
    let len = (header + payload.len()) as u16;
    let mut frame = DIRECTOR.to_vec();
    frame.extend(SENDER);
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
    frame
}

/// Whether all checksums of a TCP or UDP packet in a frame are right.
pub fn is_sound(frame: &[u8]) -> bool {
    let packet = &frame[14..];
    let header = (packet[0] & 0xf) as usize * 4;
    let len = u16::from_be_bytes([packet[2], packet[3]]) as usize;
    let (from, to) = (addr(&packet[12..16]), addr(&packet[16..20]));
    let transport = &packet[header..len];
    if checksum(&packet[..header]).raw() != 0 {
        return false;
    }
    match packet[9] {
        proto::UDP if transport[6..8] == [0, 0] => true,
        p @ (proto::TCP | proto::UDP) => transport_checksum(from, to, p, transport).raw() == 0,
        proto::ICMP => checksum(transport).raw() == 0,
        proto::IPIP => {
            let mut inner = frame[..14].to_vec();
            inner.extend(transport);
            is_sound(&inner)
        }
        _ => true,
    }
}

fn addr(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])
}

fn transport_checksum(from: Ipv4Addr, to: Ipv4Addr, proto: u8, segment: &[u8]) -> Be16 {
    let pseudo =
        sum(&from.octets()) + sum(&to.octets()) + sum(&[0, proto]) + sum(&(segment.len() as u16).to_be_bytes());
    Be16::from_raw(!fold(pseudo + sum(segment)))
}
