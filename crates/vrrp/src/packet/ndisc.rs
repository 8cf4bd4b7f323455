//! The unsolicited neighbour advertisement (RFC 4861, 4.4 and 7.2.6): override set, the router flag as the interface forwards,
//! from the address itself to all nodes.

use super::Mac;
use super::checksum::sixteen;
use core::net::{IpAddr, Ipv6Addr};
use rvs_wire::checksum::{fold, sum};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;

/// An unsolicited neighbour advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnsolicitedNa {
    /// Who has the address now.
    pub mac: Mac,
    /// The address.
    pub address: Ipv6Addr,
    /// The interface forwards IPv6.
    pub router: bool,
}

impl UnsolicitedNa {
    /// The length of the frame.
    pub const LEN: usize = 86;

    /// The Ethernet frame.
    pub fn emit(&self) -> Vec<u8> {
        let mut icmp = Vec::with_capacity(32);
        icmp.extend([136, 0, 0, 0, if self.router { ROUTER | OVERRIDE } else { OVERRIDE }, 0, 0, 0]);
        icmp.extend(self.address.octets());
        icmp.extend([2, 1]);
        icmp.extend(self.mac);
        let value = !fold(sum(&icmp) + self.pseudo(icmp.len()));
        icmp[2..4].copy_from_slice(&value.to_ne_bytes());

        let mut frame = Vec::with_capacity(Self::LEN);
        frame.extend([0x33, 0x33, 0, 0, 0, 1]);
        frame.extend(self.mac);
        frame.extend([0x86, 0xdd]);
        frame.extend([0x60, 0, 0, 0, 0, icmp.len() as u8, 58, 255]);
        frame.extend(self.address.octets());
        frame.extend(ALL_NODES.octets());
        frame.extend(icmp);
        frame
    }

    /// Reads a frame: `None` unless it is an unsolicited advertisement of its sender's address with a link-layer address, hop
    /// limit 255 and a right checksum (RFC 4861, 7.1.2).
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let frame = frame.first_chunk::<{ Self::LEN }>()?;
        let solicited = frame[58] & 0x40 != 0;
        if frame[12..14] != [0x86, 0xdd] || frame[14] >> 4 != 6 || frame[18..22] != [0, 32, 58, 255] || solicited {
            return None;
        }
        if frame[54..56] != [136, 0] || frame[22..38] != frame[62..78] || frame[78..80] != [2, 1] {
            return None;
        }
        let mut octets = [0; 16];
        octets.copy_from_slice(&frame[62..78]);
        let mut mac = [0; 6];
        mac.copy_from_slice(&frame[80..86]);
        let na = Self { mac, address: octets.into(), router: frame[58] & ROUTER != 0 };
        (fold(sum(&frame[54..]) + na.pseudo(32)) == 0xffff).then_some(na)
    }

    fn pseudo(&self, len: usize) -> u64 {
        let source = sum(&sixteen(IpAddr::V6(self.address)));
        let tail = [0, 0, 0, len as u8, 0, 0, 0, 58];
        source + sum(&ALL_NODES.octets()) + sum(&tail)
    }
}
