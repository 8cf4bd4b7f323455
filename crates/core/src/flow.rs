//! What a packet is: the first thing that is found out, from its headers alone.
//!
//! Every length is checked before it is believed. A packet that is not for a balancer at all ends here with its reason.

use crate::abi::FlowKey;
use crate::conn;
use crate::packet::Packet;
use crate::verdict::Reason;
use rvs_wire::eth::{self, Eth};
use rvs_wire::icmp::{self, Icmp};
use rvs_wire::icmp6::Icmp6;
use rvs_wire::ipv4::{Ipv4, proto};
use rvs_wire::ipv6::{self, Ext, Fragment, Ipv6, ext};
use rvs_wire::sctp::{self, Sctp};
use rvs_wire::tcp::{self, TcpHead};
use rvs_wire::udp::{self, Ports, Udp};
use rvs_wire::{Addr, Be16, Family};

/// A packet's headers, understood.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Flow {
    /// From whom, for whom. Of an ICMP error: the addresses and ports of the packet it is about, turned round, so that they
    /// name the connection from the side that the error comes from. Of AH and ESP: the IKE exchange that they belong to.
    pub key: FlowKey,
    /// Length of the IP packet in bytes.
    pub len: u32,
    /// Fragments: the identification that they share, as it lies in the packet.
    pub frag_id: u32,
    /// Firewall mark that the packet came with; the hook fills it in.
    pub mark: u32,
    /// Offset of the transport header (of an ICMP error: of the ICMP header).
    pub l4: u16,
    /// ICMP errors: offset of the quoted IP header; 0 otherwise.
    pub inner: u16,
    /// ICMP errors: offset of the quoted transport header.
    pub inner_l4: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TCP: flags. SCTP: a [`conn::sctp::Event`]. UDP: 1 when a persistence engine has looked into it, and the tables tell what
    /// it found. 0 for other protocols.
    pub tcp_flags: u8,
    /// Protocol of the packet itself, behind all extension headers (`key.proto` of an ICMP error is the quoted one).
    pub proto: u8,
    /// 1: must not be fragmented on the way; so it is with all IPv6.
    pub dont_fragment: u8,
    /// TCP: length of its header in bytes; UDP: 8; SCTP: 12.
    pub l4_len: u8,
    /// Whether it is a piece of a packet, as [`piece`].
    pub piece: u8,
}

/// Values of [`Flow::piece`].
pub mod piece {
    /// The whole packet.
    pub const WHOLE: u8 = 0;
    /// The first fragment, which has the ports.
    pub const FIRST: u8 = 1;
    /// Another fragment.
    pub const LATER: u8 = 2;
}

/// Offset of the IP header: frames carry no VLAN tag here (the kernel strips it, and the VLAN's own device is the one that
/// counts).
pub const L3: usize = eth::LEN;

/// IPv6 extension headers that are walked; a packet with more is not understood.
pub const MAX_EXTENSIONS: usize = 8;

/// The furthest offset that an extension header may end at.
const MAX_CHAIN: usize = 0x180;

/// The port of IKE, whose connections AH and ESP follow.
const ISAKMP: Be16 = Be16::new(500);

impl Flow {
    /// Whether the packet is an ICMP error about the flow in `key`.
    #[inline(always)]
    pub const fn is_icmp(&self) -> bool {
        self.inner != 0
    }

    /// Whether it is IPv6.
    #[inline(always)]
    pub const fn is_v6(&self) -> bool {
        self.key.family == Family::V6.raw()
    }

    /// Whether it has ports of its own: not so AH, ESP and later fragments.
    #[inline(always)]
    pub const fn has_ports(&self) -> bool {
        self.piece != piece::LATER && matches!(self.proto, proto::TCP | proto::UDP | proto::SCTP)
    }

    /// Offset of the transport checksum of TCP and UDP.
    #[inline(always)]
    pub const fn checksum_offset(&self) -> usize {
        self.l4 as usize + if self.proto == proto::TCP { tcp::CHECKSUM } else { udp::CHECKSUM }
    }

    /// Offset of the payload behind the transport header.
    #[inline(always)]
    pub const fn payload(&self) -> usize {
        self.l4 as usize + self.l4_len as usize
    }

    /// Bytes from the transport header to the end of the packet.
    #[inline(always)]
    pub const fn l4_bytes(&self) -> u32 {
        (self.len + L3 as u32).wrapping_sub(self.l4 as u32)
    }
}

/// Understands a packet, or says why it is none of ours. Fills `flow` in place: program stacks are small.
#[inline(always)]
pub fn classify<P: Packet + ?Sized>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    let eth: Eth = packet.read(0).ok_or(Reason::Malformed)?;
    if eth.ethertype != eth::IPV4 && eth.ethertype != eth::IPV6 {
        return Err(Reason::NotIp);
    }
    if eth.is_group() {
        return Err(Reason::NotForUs);
    }
    if eth.ethertype == eth::IPV6 {
        ipv6(packet, flow)?
    } else {
        ipv4(packet, flow)?
    }
    if flow.piece == piece::LATER {
        return Ok(());
    }
    let there = flow.l4_bytes();
    let l4 = flow.l4 as usize;
    match flow.proto {
        proto::TCP => {
            let head: TcpHead = packet.read(l4).ok_or(Reason::Malformed)?;
            flow.key.sport = head.sport;
            flow.key.dport = head.dport;
            flow.tcp_flags = head.flags;
            flow.l4_len = (head.offset >> 4) * 4;
            if there >= 20 && flow.l4_len >= 20 { Ok(()) } else { Err(Reason::Malformed) }
        }
        proto::UDP => {
            let udp: Udp = packet.read(l4).ok_or(Reason::Malformed)?;
            flow.key.sport = udp.sport;
            flow.key.dport = udp.dport;
            flow.l4_len = 8;
            if there >= 8 { Ok(()) } else { Err(Reason::Malformed) }
        }
        proto::SCTP => {
            let head: Sctp = packet.read(l4).ok_or(Reason::Malformed)?;
            flow.key.sport = head.sport;
            flow.key.dport = head.dport;
            let second = l4 + sctp::LEN + (head.chunk_len.host() as usize).next_multiple_of(4);
            let second = if second < MAX_CHAIN { packet.read::<u8>(second) } else { None };
            flow.tcp_flags = conn::sctp::event(head.chunk, second) as u8;
            flow.l4_len = sctp::LEN as u8;
            if there as usize >= sctp::LEN + 4 { Ok(()) } else { Err(Reason::Malformed) }
        }
        proto::ICMP if !flow.is_v6() => quoted4(packet, flow, there as usize),
        proto::ICMPV6 if flow.is_v6() => quoted6(packet, flow, there as usize),
        proto::AH | proto::ESP => {
            flow.key.proto = proto::UDP;
            flow.key.sport = ISAKMP;
            flow.key.dport = ISAKMP;
            Ok(())
        }
        _ => Err(Reason::NotBalanced),
    }
}

#[inline(always)]
fn ipv4<P: Packet + ?Sized>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    let ip: Ipv4 = packet.read(L3).ok_or(Reason::Malformed)?;
    let header = ip.header_len().ok_or(Reason::Malformed)?;
    let len = ip.total_len.host() as usize;
    if len < header || L3 + len > packet.frame_len() {
        return Err(Reason::Malformed);
    }
    flow.key.src = Addr::v4(ip.src);
    flow.key.dst = Addr::v4(ip.dst);
    flow.key.proto = ip.proto;
    flow.key.family = Family::V4.raw();
    flow.len = len as u32;
    flow.l4 = (L3 + header) as u16;
    flow.ttl = ip.ttl;
    flow.proto = ip.proto;
    flow.dont_fragment = ip.dont_fragment() as u8;
    flow.frag_id = ip.id.raw() as u32;
    if ip.is_fragment() {
        let first = ip.frag.host() & 0x1fff == 0;
        flow.piece = if first { piece::FIRST } else { piece::LATER };
        // A piece that begins within the transport header would write over what was looked at (RFC 3128).
        if ip.frag.host() & 0x1fff == 1 {
            return Err(Reason::FragmentOverlap);
        }
    }
    Ok(())
}

#[inline(always)]
fn ipv6<P: Packet + ?Sized>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    let ip: Ipv6 = packet.read(L3).ok_or(Reason::Malformed)?;
    let len = ipv6::LEN + ip.payload_len.host() as usize;
    if !ip.is_valid() || L3 + len > packet.frame_len() {
        return Err(Reason::Malformed);
    }
    flow.key.src = ip.src;
    flow.key.dst = ip.dst;
    flow.key.family = Family::V6.raw();
    flow.len = len as u32;
    flow.ttl = ip.hop_limit;
    flow.dont_fragment = 1;
    let (next, at, piece, id) = packet.walk(ip.next, (L3 + ipv6::LEN) as u16).end()?;
    if at as usize > L3 + len {
        return Err(Reason::Malformed);
    }
    flow.key.proto = next;
    flow.proto = next;
    flow.l4 = at;
    flow.piece = piece;
    flow.frag_id = id;
    Ok(())
}

/// Where a walk along extension headers came to. One word, because it is the result of a function of its own in the eBPF
/// programs: the identification of a fragment in the upper half, then offset, next header, and what kind of end it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked(pub u64);

impl Walked {
    const NOT_UNDERSTOOD: u64 = 0xff;
    const TOO_LONG: u64 = 0xfe;

    #[inline(always)]
    const fn arrived(next: u8, at: u16, id: u32, piece: u8) -> Self {
        Self((id as u64) << 32 | (at as u64) << 16 | (next as u64) << 8 | piece as u64)
    }

    /// The transport protocol, the offset of its header, whether the packet is a piece, and of which.
    #[inline(always)]
    fn end(self) -> Result<(u8, u16, u8, u32), Reason> {
        match self.0 & 0xff {
            Self::NOT_UNDERSTOOD => Err(Reason::Malformed),
            Self::TOO_LONG => Err(Reason::HeaderChain),
            piece => Ok(((self.0 >> 8) as u8, (self.0 >> 16) as u16, piece as u8, (self.0 >> 32) as u32)),
        }
    }
}

/// Walks along the extension headers from the one of number `next` at offset `at` to the transport header.
#[inline(always)]
pub fn walk<P: Packet + ?Sized>(packet: &P, next: u8, at: u16) -> Walked {
    let (mut next, mut at, mut id, mut piece) = (next, at as usize, 0, piece::WHOLE);
    for _ in 0..MAX_EXTENSIONS {
        match next {
            ext::FRAGMENT => {
                let Some(head) = packet.read::<Fragment>(at) else { return Walked(Walked::NOT_UNDERSTOOD) };
                at += Fragment::LEN;
                next = head.next;
                id = head.id.raw();
                if !head.is_first() {
                    // What a later piece begins with is payload.
                    return Walked::arrived(next, at as u16, id, piece::LATER);
                }
                if !head.is_atomic() {
                    piece = piece::FIRST;
                }
            }
            ext::HOP_BY_HOP | ext::ROUTING | ext::DESTINATION | ext::AUTH => {
                let Some(head) = packet.read::<Ext>(at) else { return Walked(Walked::NOT_UNDERSTOOD) };
                at += head.len(next);
                next = head.next;
                if at > MAX_CHAIN {
                    return Walked(Walked::TOO_LONG);
                }
            }
            _ => return Walked::arrived(next, at as u16, id, piece),
        }
    }
    Walked(Walked::TOO_LONG)
}

/// Looks into an ICMP error for the connection that it is about. `len` is the length of the ICMP message.
#[inline(always)]
fn quoted4<P: Packet + ?Sized>(packet: &P, flow: &mut Flow, len: usize) -> Result<(), Reason> {
    let head: Icmp = packet.read(flow.l4 as usize).ok_or(Reason::Malformed)?;
    if !head.is_error() {
        return Err(Reason::NotBalanced);
    }
    if flow.piece != piece::WHOLE {
        return Err(Reason::IcmpFragment);
    }
    let inner = flow.l4 as usize + icmp::LEN;
    let ip: Ipv4 = packet.read(inner).ok_or(Reason::Malformed)?;
    let header = ip.header_len().ok_or(Reason::Malformed)?;
    if len < icmp::LEN + header + 8 {
        return Err(Reason::Malformed);
    }
    // A quoted later fragment has no ports.
    if ip.frag.host() & 0x1fff != 0 {
        return Err(Reason::IcmpUnrelated);
    }
    flow.key.src = Addr::v4(ip.dst);
    flow.key.dst = Addr::v4(ip.src);
    flow.key.proto = ip.proto;
    flow.inner = inner as u16;
    flow.inner_l4 = (inner + header) as u16;
    quoted_ports(packet, flow)
}

/// The same for ICMPv6.
#[inline(always)]
fn quoted6<P: Packet + ?Sized>(packet: &P, flow: &mut Flow, len: usize) -> Result<(), Reason> {
    let head: Icmp6 = packet.read(flow.l4 as usize).ok_or(Reason::Malformed)?;
    if !head.is_error() {
        return Err(Reason::NotBalanced);
    }
    if flow.piece != piece::WHOLE {
        return Err(Reason::IcmpFragment);
    }
    let inner = flow.l4 as usize + icmp::LEN;
    let ip: Ipv6 = packet.read(inner).ok_or(Reason::Malformed)?;
    if !ip.is_valid() {
        return Err(Reason::Malformed);
    }
    let (next, at, piece, _) = packet.walk(ip.next, (inner + ipv6::LEN) as u16).end()?;
    if piece == piece::LATER {
        return Err(Reason::IcmpUnrelated);
    }
    if flow.l4 as usize + len < at as usize + 8 {
        return Err(Reason::Malformed);
    }
    flow.key.src = ip.dst;
    flow.key.dst = ip.src;
    flow.key.proto = next;
    flow.inner = inner as u16;
    flow.inner_l4 = at;
    quoted_ports(packet, flow)
}

/// The ports of a quoted packet, of which eight bytes are there.
#[inline(always)]
fn quoted_ports<P: Packet + ?Sized>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    if !matches!(flow.key.proto, proto::TCP | proto::UDP | proto::SCTP) {
        return Err(Reason::IcmpUnrelated);
    }
    let ports: Ports = packet.read(flow.inner_l4 as usize).ok_or(Reason::Malformed)?;
    flow.key.sport = ports.dport;
    flow.key.dport = ports.sport;
    Ok(())
}
