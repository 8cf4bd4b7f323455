//! What a packet is: the first thing that is found out, from its headers alone.
//!
//! Every length is checked before it is believed. A packet that is not for a balancer at all ends here with its reason.

use crate::abi::FlowKey;
use crate::packet::Packet;
use crate::verdict::Reason;
use rvs_wire::eth::{self, Eth};
use rvs_wire::icmp::{self, Icmp};
use rvs_wire::ipv4::{Ipv4, proto};
use rvs_wire::tcp::{self, TcpHead};
use rvs_wire::udp::{self, Ports, Udp};
use rvs_wire::{Addr, Family};

/// A packet's headers, understood.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Flow {
    /// From whom, for whom. Of an ICMP error: the addresses and ports of the packet it is about, turned round, so that they
    /// name the connection from the side that the error comes from.
    pub key: FlowKey,
    /// Length of the IP packet in bytes.
    pub len: u32,
    /// Offset of the transport header (of an ICMP error: of the ICMP header).
    pub l4: u16,
    /// ICMP errors: offset of the quoted IP header; 0 otherwise.
    pub inner: u16,
    /// ICMP errors: offset of the quoted transport header.
    pub inner_l4: u16,
    /// TTL.
    pub ttl: u8,
    /// TCP flags; 0 for other protocols.
    pub tcp_flags: u8,
    /// IP protocol of the packet itself (`key.proto` of an ICMP error is the quoted one).
    pub proto: u8,
    /// 1: must not be fragmented.
    pub dont_fragment: u8,
    /// TCP: length of its header in bytes; UDP: 8.
    pub l4_len: u8,
}

/// Offset of the IP header: frames carry no VLAN tag here (the kernel strips it, and the VLAN's own device is the one that
/// counts).
pub const L3: usize = eth::LEN;

impl Flow {
    /// Whether the packet is an ICMP error about the flow in `key`.
    #[inline(always)]
    pub const fn is_icmp(&self) -> bool {
        self.inner != 0
    }

    /// Offset of the transport checksum.
    #[inline(always)]
    pub const fn checksum_offset(&self) -> usize {
        self.l4 as usize + if self.proto == proto::TCP { tcp::CHECKSUM } else { udp::CHECKSUM }
    }
}

/// Understands a packet, or says why it is none of ours. Fills `flow` in place: program stacks are small.
#[inline(always)]
pub fn classify<P: Packet + ?Sized>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    let eth: Eth = packet.read(0).ok_or(Reason::Malformed)?;
    if eth.ethertype != eth::IPV4 {
        return Err(if eth.ethertype == eth::IPV6 { Reason::NotBalanced } else { Reason::NotIp });
    }
    if eth.is_group() {
        return Err(Reason::NotForUs);
    }
    let ip: Ipv4 = packet.read(L3).ok_or(Reason::Malformed)?;
    let header = ip.header_len().ok_or(Reason::Malformed)?;
    let len = ip.total_len.host() as usize;
    if len < header || L3 + len > packet.frame_len() {
        return Err(Reason::Malformed);
    }
    if ip.is_fragment() {
        return Err(Reason::Fragment);
    }
    let l4 = L3 + header;
    flow.key.src = Addr::v4(ip.src);
    flow.key.dst = Addr::v4(ip.dst);
    flow.key.proto = ip.proto;
    flow.key.family = Family::V4.raw();
    flow.len = len as u32;
    flow.l4 = l4 as u16;
    flow.ttl = ip.ttl;
    flow.proto = ip.proto;
    flow.dont_fragment = ip.dont_fragment() as u8;
    match ip.proto {
        proto::TCP => {
            let head: TcpHead = packet.read(l4).ok_or(Reason::Malformed)?;
            flow.key.sport = head.sport;
            flow.key.dport = head.dport;
            flow.tcp_flags = head.flags;
            flow.l4_len = (head.offset >> 4) * 4;
            if len >= header + 20 && flow.l4_len >= 20 { Ok(()) } else { Err(Reason::Malformed) }
        }
        proto::UDP => {
            let udp: Udp = packet.read(l4).ok_or(Reason::Malformed)?;
            flow.key.sport = udp.sport;
            flow.key.dport = udp.dport;
            flow.l4_len = 8;
            if len >= header + 8 { Ok(()) } else { Err(Reason::Malformed) }
        }
        proto::ICMP => quoted(packet, flow, len - header),
        _ => Err(Reason::NotBalanced),
    }
}

/// Looks into an ICMP error for the connection that it is about. `len` is the length of the ICMP message.
#[inline(always)]
fn quoted<P: Packet + ?Sized>(packet: &P, flow: &mut Flow, len: usize) -> Result<(), Reason> {
    let head: Icmp = packet.read(flow.l4 as usize).ok_or(Reason::Malformed)?;
    if !head.is_error() {
        return Err(Reason::NotBalanced);
    }
    let inner = flow.l4 as usize + icmp::LEN;
    let ip: Ipv4 = packet.read(inner).ok_or(Reason::Malformed)?;
    let header = ip.header_len().ok_or(Reason::Malformed)?;
    if len < icmp::LEN + header + 8 {
        return Err(Reason::Malformed);
    }
    // A quoted later fragment has no ports; protocols without ports are not balanced.
    if ip.frag.host() & 0x1fff != 0 || !matches!(ip.proto, proto::TCP | proto::UDP) {
        return Err(Reason::IcmpUnrelated);
    }
    let ports: Ports = packet.read(inner + header).ok_or(Reason::Malformed)?;
    flow.key.src = Addr::v4(ip.dst);
    flow.key.dst = Addr::v4(ip.src);
    flow.key.sport = ports.dport;
    flow.key.dport = ports.sport;
    flow.key.proto = ip.proto;
    flow.inner = inner as u16;
    flow.inner_l4 = (inner + header) as u16;
    Ok(())
}
