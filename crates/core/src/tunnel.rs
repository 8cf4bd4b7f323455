//! Tunnels to real servers: IP in IP (RFC 2003, RFC 2473, RFC 4213), GRE (RFC 2784) and GUE, any family in any.
//!
//! The outer header is the kernel's: hop limit, type of service and DF from the inner packet, which was already a hop older.

use crate::abi::{Conn, FlowKey};
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::tunnel::{Gre, GreSum, Gue};
use rvs_wire::udp::Udp;
use rvs_wire::{Addr, Be16, Family, eth};

/// What lies between the IP headers; the kernel's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Nothing.
    Ipip = 0,
    /// UDP and GUE.
    Gue = 1,
    /// GRE.
    Gre = 2,
}

/// Flags of a tunnel; the kernel's numbers.
pub mod flags {
    /// With a checksum.
    pub const CHECKSUM: u8 = 1;
    /// With remote checksum offload: as the kernel, the checksum is in the outer header when the inner one is finished, and
    /// it is always finished here.
    pub const REMOTE_CHECKSUM: u8 = 2;
}

/// Most bytes that any tunnel adds.
pub const MAX_GROWTH: usize = ipv6::LEN + 8 + Gue::LEN;

/// How a packet travels inside another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// Family of the inner packet.
    pub inside: u8,
    /// Family of the outer one.
    pub outside: u8,
    /// A [`Kind`].
    pub kind: u8,
    /// [`flags`].
    pub flags: u8,
    /// UDP port of the real server.
    pub port: Be16,
    /// UDP port of ours.
    pub source_port: Be16,
}

/// What of the inner packet shows outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Type of service or traffic class.
    pub tos: u8,
    /// TTL or hop limit, already lowered.
    pub ttl: u8,
    /// IPv4: DF set.
    pub dont_fragment: bool,
    /// Length of the inner packet.
    pub len: u16,
    /// Something that differs from packet to packet, for the identification of an outer packet that may be fragmented.
    pub salt: u16,
}

impl Inner {
    /// Of an IPv4 packet.
    #[inline(always)]
    pub const fn of_v4(ip: &Ipv4) -> Self {
        Self {
            tos: ip.tos,
            ttl: ip.ttl,
            dont_fragment: ip.dont_fragment(),
            len: ip.total_len.host(),
            salt: ip.id.raw().wrapping_add(ip.checksum.raw()),
        }
    }

    /// Of an IPv6 packet. What routers must not cut they must not cut inside IPv4 either, so that the director learns what
    /// fits (RFC 4213, section 3.2.2); only what any link of IPv6 carries is left to fragments if need be. (The kernel never
    /// sets DF here: real servers then get fragments of tunnels.)
    #[inline(always)]
    pub const fn of_v6(ip: &Ipv6) -> Self {
        let len = (ipv6::LEN as u16).wrapping_add(ip.payload_len.host());
        let salt = len ^ ip.dst.last().raw() as u16;
        Self { tos: ip.class(), ttl: ip.hop_limit, dont_fragment: len > ipv6::MIN_MTU, len, salt }
    }

    /// Type of service outside: congestion marks as RFC 3168, section 9.1.1, full functionality.
    #[inline(always)]
    const fn outer_tos(&self) -> u8 {
        if self.tos & 3 == 3 { self.tos & !3 | 2 } else { self.tos }
    }
}

impl Tunnel {
    const V4: u8 = Family::V4.raw();

    /// Length of the outer IP header.
    #[inline(always)]
    pub const fn ip_len(&self) -> u32 {
        if self.outside == Self::V4 { ipv4::LEN as u32 } else { ipv6::LEN as u32 }
    }

    /// Length of what lies between the IP headers.
    #[inline(always)]
    pub const fn between(&self) -> u32 {
        if self.is_gue() {
            8 + Gue::LEN as u32
        } else if self.is_gre() {
            if self.is_summed() { Gre::LEN_SUM as u32 } else { Gre::LEN as u32 }
        } else {
            0
        }
    }

    /// Bytes added in all.
    #[inline(always)]
    pub const fn growth(&self) -> u32 {
        self.ip_len() + self.between()
    }

    /// Whether it is GUE.
    #[inline(always)]
    pub const fn is_gue(&self) -> bool {
        self.kind == Kind::Gue as u8
    }

    /// Whether it is GRE.
    #[inline(always)]
    pub const fn is_gre(&self) -> bool {
        self.kind == Kind::Gre as u8
    }

    /// Whether there is a checksum over the inner packet.
    #[inline(always)]
    pub const fn is_summed(&self) -> bool {
        (self.is_gue() && self.flags & (flags::CHECKSUM | flags::REMOTE_CHECKSUM) != 0)
            || (self.is_gre() && self.flags & flags::CHECKSUM != 0)
    }

    /// Protocol number in the outer IP header.
    #[inline(always)]
    pub const fn proto(&self) -> u8 {
        if self.is_gue() {
            proto::UDP
        } else if self.is_gre() {
            proto::GRE
        } else {
            self.inner_proto()
        }
    }

    /// Protocol number of the inner packet.
    #[inline(always)]
    const fn inner_proto(&self) -> u8 {
        if self.inside == Self::V4 { proto::IPIP } else { proto::IPV6 }
    }

    /// EtherType of the inner packet.
    #[inline(always)]
    const fn inner_type(&self) -> Be16 {
        if self.inside == Self::V4 { eth::IPV4 } else { eth::IPV6 }
    }

    /// The outer IPv4 header.
    #[inline(always)]
    pub const fn header4(&self, inner: &Inner, source: Addr, server: Addr) -> Ipv4 {
        let df = inner.dont_fragment;
        Ipv4 {
            version_ihl: 0x45,
            tos: inner.outer_tos(),
            total_len: Be16::new(inner.len.wrapping_add(self.growth() as u16)),
            // An unfragmentable packet needs no identification (RFC 6864).
            id: if df { Be16::ZERO } else { Be16::from_raw(inner.salt) },
            frag: if df { ipv4::DF } else { Be16::ZERO },
            ttl: inner.ttl,
            proto: self.proto(),
            checksum: Be16::ZERO,
            src: source.last(),
            dst: server.last(),
        }
        .with_checksum()
    }

    /// The outer IPv6 header.
    #[inline(always)]
    pub const fn header6(&self, inner: &Inner, source: Addr, server: Addr) -> Ipv6 {
        Ipv6 {
            version_class_flow: Ipv6::first_word(inner.outer_tos()),
            payload_len: Be16::new(inner.len.wrapping_add(self.between() as u16)),
            next: self.proto(),
            hop_limit: inner.ttl,
            src: source,
            dst: server,
        }
    }

    /// The headers of GUE. `sum` is the one's-complement sum of the inner packet where a checksum is wanted.
    #[inline(always)]
    pub const fn gue(&self, inner_len: u16, source: Addr, server: Addr, sum: Option<u64>) -> (Udp, Gue) {
        let gue = Gue { version: 0, protocol: self.inner_proto(), flags: Be16::ZERO };
        let len = Be16::new(inner_len.wrapping_add(self.between() as u16));
        let mut udp = Udp { sport: self.source_port, dport: self.port, len, checksum: Be16::ZERO };
        if let Some(sum) = sum {
            let (s, d) = (source.words(), server.words());
            let addresses = s[0] as u64 + s[1] as u64 + s[2] as u64 + s[3] as u64;
            let addresses = addresses + d[0] as u64 + d[1] as u64 + d[2] as u64 + d[3] as u64;
            let pseudo = addresses + Be16::new(proto::UDP as u16).raw() as u64 + len.raw() as u64;
            let head = udp.sport.raw() as u64 + udp.dport.raw() as u64 + len.raw() as u64;
            let gue_word = u16::from_ne_bytes([0, gue.protocol]) as u64;
            let checksum = !rvs_wire::checksum::fold(pseudo + head + gue_word + sum);
            udp.checksum = Be16::from_raw(if checksum == 0 { 0xffff } else { checksum });
        }
        (udp, gue)
    }

    /// The header of GRE without a checksum.
    #[inline(always)]
    pub const fn gre(&self) -> Gre {
        Gre { flags: Be16::ZERO, protocol: self.inner_type() }
    }

    /// The header of GRE with a checksum; `sum` is the one's-complement sum of the inner packet. One whose sum is not known yet
    /// travels [`Tunnel::without_checksum`].
    #[inline(always)]
    pub const fn gre_summed(&self, sum: u64) -> GreSum {
        let head = Gre { flags: Gre::CHECKSUM, protocol: self.inner_type() };
        let checksum = !rvs_wire::checksum::fold(head.flags.raw() as u64 + head.protocol.raw() as u64 + sum);
        GreSum { head, checksum: Be16::from_raw(checksum), reserved: Be16::ZERO }
    }

    /// The same tunnel without checksums: for packets that the kernel cuts up later, whose sums cannot be known now.
    #[inline(always)]
    #[must_use]
    pub const fn without_checksum(self) -> Self {
        Self { flags: 0, ..self }
    }
}

/// The UDP port that tunnel packets of a client's flow come from: of the dynamic range, always the same for one (RFC 8085,
/// section 5.1.1), and different for different ones where it can be, so that they spread over paths and queues.
#[inline(always)]
pub fn source_port(key: &FlowKey) -> Be16 {
    spread(key.src, key.dst, key.sport, key.dport)
}

/// Likewise, of a connection's flow.
#[inline(always)]
pub fn source_port_of(conn: &Conn) -> Be16 {
    spread(conn.caddr.get(), conn.vaddr.get(), conn.cport.get(), conn.vport.get())
}

#[inline(always)]
fn spread(caddr: Addr, vaddr: Addr, cport: Be16, vport: Be16) -> Be16 {
    let ports = (cport.raw() as u32) << 16 | vport.raw() as u32;
    let mixed = caddr.fold().raw() ^ vaddr.fold().raw().rotate_left(13) ^ ports;
    Be16::new(0xc000 | (mixed.wrapping_mul(0x9e37_79b1) >> 18) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use rvs_wire::checksum::{checksum, sum};
    use std::vec::Vec;
    use zerocopy::IntoBytes;

    /// The packet inside the recorded ones: a SYN from 10.0.1.100:40016 to 10.0.1.10:80, as it reached the real server.
    fn recorded_inner() -> Vec<u8> {
        let hex = "4500003c165c40003f060ef30a0001640a00010a9c5000505b75e9de00000000a002faf04b7e0000020405b40402080ac4ed44410000000001030307";
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    fn ends() -> (Addr, Addr) {
        (Ipv4Addr::new(10, 0, 2, 1).into(), Ipv4Addr::new(10, 0, 2, 11).into())
    }

    const GUE: Tunnel = Tunnel {
        inside: 2,
        outside: 2,
        kind: Kind::Gue as u8,
        flags: flags::CHECKSUM,
        port: Be16::new(6080),
        source_port: Be16::new(0x9068),
    };

    #[test]
    fn gue_with_a_checksum_as_recorded() {
        let inner = recorded_inner();
        let (source, server) = ends();
        let facts = Inner { tos: 0, ttl: 63, dont_fragment: true, len: 60, salt: 0 };
        let mut packet: Vec<u8> = GUE.header4(&facts, source, server).as_bytes().to_vec();
        let (udp, gue) = GUE.gue(60, source, server, Some(sum(&inner)));
        packet.extend(udp.as_bytes());
        packet.extend(gue.as_bytes());
        let hex: std::string::String = packet.iter().map(|b| std::format!("{b:02x}")).collect();
        assert_eq!(hex, "4500005c000040003f1123860a0002010a00020b906817c0004855c200040000");
        assert_eq!(packet.len() as u32, GUE.growth());
    }

    #[test]
    fn gre_with_a_checksum_sums_up_to_nothing() {
        let inner = recorded_inner();
        let gre = Tunnel { kind: Kind::Gre as u8, ..GUE };
        let mut packet: Vec<u8> = gre.gre_summed(sum(&inner)).as_bytes().to_vec();
        packet.extend(&inner);
        assert_eq!(checksum(&packet).raw(), 0);
        assert_eq!((gre.growth(), gre.without_checksum().growth()), (28, 24));
    }

    /// RFC 4213, section 3.2.2: what every link of IPv6 carries may be cut inside IPv4, anything longer must not.
    #[test]
    fn ipv6_longer_than_the_least_mtu_is_not_cut_inside_ipv4() {
        let (source, server) = ends();
        let sixin4 = Tunnel { inside: 10, kind: Kind::Ipip as u8, ..GUE };
        for (len, frag) in [(1280, Be16::ZERO), (1281, ipv4::DF)] {
            let ip = Ipv6 {
                version_class_flow: Ipv6::first_word(0),
                payload_len: Be16::new(len - ipv6::LEN as u16),
                next: proto::UDP,
                hop_limit: 63,
                src: source,
                dst: server,
            };
            let outer = sixin4.header4(&Inner::of_v6(&ip), source, server);
            assert_eq!((outer.frag, outer.total_len.host(), outer.proto), (frag, len + 20, proto::IPV6));
        }
    }

    #[test]
    fn growth_by_kind_and_family() {
        let growth = |kind: Kind, outside| Tunnel { kind: kind as u8, outside, flags: 0, ..GUE }.growth();
        assert_eq!([growth(Kind::Ipip, 2), growth(Kind::Ipip, 10)], [20, 40]);
        assert_eq!([growth(Kind::Gue, 2), growth(Kind::Gue, 10)], [32, 52]);
        assert_eq!([growth(Kind::Gre, 2), growth(Kind::Gre, 10)], [24, 44]);
    }

    #[test]
    fn congestion_is_not_copied_outside() {
        let facts = |tos| Inner { tos, ttl: 1, dont_fragment: true, len: 20, salt: 0 };
        assert_eq!(facts(0xbb).outer_tos(), 0xba);
        assert_eq!(facts(0xb9).outer_tos(), 0xb9);
    }
}
