//! What is to be done to a packet that is sent on. Data only: the hooks apply it, each in its way ([`crate::rewrite`] for
//! plain bytes).

use crate::abi::{Conn, ConnId, DestId, Forward};
use crate::conn::Direction;
use crate::flow::Flow;
use crate::tunnel::{self, Tunnel};
use rvs_wire::{Addr, Be16, Family};

/// The changes to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Plan {
    /// The IP address that the frame is to be sent towards.
    pub next: Addr,
    /// The address that replaces the source (replies) or the destination (NAT) of the packet.
    pub addr: Addr,
    /// The port that replaces it.
    pub port: Be16,
    /// Forwarding method, as [`Forward`].
    pub forward: u8,
    /// 0: towards the real server, 1: towards the client.
    pub outward: u8,
    /// The destination.
    pub dest: DestId,
    /// The connection.
    pub conn: ConnId,
    /// Family of `next`.
    pub family: u8,
    /// Family of the packet, which a tunnel may differ from.
    pub inside: u8,
    /// Tunnels: type, as [`tunnel::Kind`].
    pub tun_type: u8,
    /// Tunnels: flags, as [`tunnel::flags`]. Masquerading: [`crate::ftp::IS_CONTROL`] or 0.
    pub tun_flags: u8,
    /// Tunnels: UDP port at the real server.
    pub tun_port: Be16,
    /// Tunnels: UDP port of ours, which spreads flows over paths.
    pub tun_source: Be16,
    /// 1: the real server is this host at another address or port than the service's ([`crate::here`]).
    pub here: u8,
    /// Zero.
    pub pad: [u8; 3],
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            next: Addr::UNSPECIFIED,
            addr: Addr::UNSPECIFIED,
            port: Be16::ZERO,
            forward: Forward::Masq as u8,
            outward: 0,
            dest: 0,
            conn: 0,
            family: Family::V4.raw(),
            inside: Family::V4.raw(),
            tun_type: 0,
            tun_flags: 0,
            tun_port: Be16::ZERO,
            tun_source: Be16::ZERO,
            here: 0,
            pad: [0; 3],
        }
    }
}

impl Plan {
    /// Fills it in for a packet of a connection.
    #[inline(always)]
    pub fn set(&mut self, id: ConnId, conn: &Conn, direction: Direction) {
        self.conn = id;
        self.dest = conn.dest.get();
        self.inside = conn.family.get();
        match direction {
            Direction::In => {
                self.next = conn.daddr.get();
                self.addr = conn.daddr.get();
                self.port = conn.dport.get();
                self.forward = conn.forward.get();
                self.outward = 0;
                self.family = conn.dfamily.get();
                self.tun_type = conn.tun_type.get();
                self.tun_flags = conn.tun_flags.get();
                self.here = if self.is_local() { self.tun_flags } else { 0 };
                self.tun_port = conn.tun_port.get();
                if self.tun_type == tunnel::Kind::Gue as u8 {
                    self.tun_source = tunnel::source_port_of(conn);
                }
            }
            Direction::Out => {
                self.next = conn.caddr.get();
                self.addr = conn.vaddr.get();
                self.port = conn.vport.get();
                self.forward = Forward::Masq as u8;
                self.outward = 1;
                self.here = 0;
                self.tun_flags = conn.tun_flags.get();
                self.family = conn.family.get();
            }
        }
    }

    /// Whether it changes addresses and ports.
    #[inline(always)]
    pub const fn is_nat(&self) -> bool {
        self.forward == Forward::Masq as u8
    }

    /// Whether it encapsulates.
    #[inline(always)]
    pub const fn is_tunnel(&self) -> bool {
        self.forward == Forward::Tunnel as u8
    }

    /// Whether the packet is for this host's own stack.
    #[inline(always)]
    pub const fn is_local(&self) -> bool {
        self.forward == Forward::Local as u8
    }

    /// The tunnel, of plans that encapsulate.
    #[inline(always)]
    pub const fn tunnel(&self) -> Tunnel {
        Tunnel {
            inside: self.inside,
            outside: self.family,
            kind: self.tun_type,
            flags: self.tun_flags,
            port: self.tun_port,
            source_port: self.tun_source,
        }
    }

    /// Bytes that the packet grows by.
    #[inline(always)]
    pub const fn growth(&self) -> u32 {
        if self.is_tunnel() { self.tunnel().growth() } else { 0 }
    }

    /// The largest IP packet that fits through `mtu` under this plan. 0 means unknown, and fits.
    #[inline(always)]
    pub const fn fits(&self, len: u32, mtu: u32) -> bool {
        mtu == 0 || len + self.growth() <= mtu
    }

    /// Whether the packet is an ICMP error to be translated rather than a packet of the connection itself.
    #[inline(always)]
    pub const fn is_translation(&self, flow: &Flow) -> bool {
        flow.is_icmp() && self.is_nat()
    }
}
