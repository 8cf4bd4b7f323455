//! What is to be done to a packet that is sent on. Data only: the hooks apply it, each in its way ([`crate::rewrite`] for
//! plain bytes).

use crate::abi::{Conn, DestId, Forward};
use crate::conn::Direction;
use crate::flow::Flow;
use rvs_wire::{Addr, Be16};

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
        }
    }
}

impl Plan {
    /// Fills it in for a packet of a connection.
    #[inline(always)]
    pub fn set(&mut self, conn: &Conn, direction: Direction) {
        self.dest = conn.dest.get();
        match direction {
            Direction::In => {
                self.next = conn.daddr.get();
                self.addr = conn.daddr.get();
                self.port = conn.dport.get();
                self.forward = conn.forward.get();
                self.outward = 0;
            }
            Direction::Out => {
                self.next = conn.caddr.get();
                self.addr = conn.vaddr.get();
                self.port = conn.vport.get();
                self.forward = Forward::Masq as u8;
                self.outward = 1;
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

    /// Bytes that the packet grows by.
    #[inline(always)]
    pub const fn growth(&self) -> u32 {
        if self.is_tunnel() { rvs_wire::ipv4::LEN as u32 } else { 0 }
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
