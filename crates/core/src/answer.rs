//! ICMP errors that the director itself sends: what they say, and the headers they are made of.
//!
//! As the kernel's: from the address that the packet was sent to (the virtual address), quoting as much of the packet as fits
//! into 576 bytes (RFC 1812, section 4.3.2.3) or 1280 (RFC 4443, section 3.1).

use crate::verdict::Reason;
use rvs_wire::checksum::fold;
use rvs_wire::icmp::{self, Icmp};
use rvs_wire::icmp6::{self, Icmp6};
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::ipv6::{self, Ipv6};
use rvs_wire::{Addr, Be16};

/// Most bytes of an IPv4 packet that are quoted.
pub const QUOTE_MAX: usize = 576 - HEADERS;
/// Bytes in front of a quoted IPv4 packet.
pub const HEADERS: usize = ipv4::LEN + icmp::LEN;
/// Most bytes of an IPv6 packet that are quoted.
pub const QUOTE_MAX6: usize = ipv6::MIN_MTU as usize - HEADERS6;
/// Bytes in front of a quoted IPv6 packet.
pub const HEADERS6: usize = ipv6::LEN + icmp6::LEN;

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// ICMP or ICMPv6 type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Where a packet was too big: the MTU that the sender is told.
    pub mtu: u16,
}

impl Answer {
    /// The answer that goes with a reason; `None` when the reason has none. `mtu` is told when the packet was too big.
    #[inline(always)]
    pub const fn for_reason(reason: Reason, mtu: u16, v6: bool) -> Option<Self> {
        match (reason, v6) {
            (Reason::NoDestination | Reason::NoMaster | Reason::NoListener, false) => {
                Some(Self { kind: icmp::UNREACHABLE, code: icmp::PORT, mtu: 0 })
            }
            (Reason::TtlExceeded, false) => Some(Self { kind: icmp::TIME_EXCEEDED, code: 0, mtu: 0 }),
            (Reason::FragNeeded, false) => Some(Self { kind: icmp::UNREACHABLE, code: icmp::FRAG_NEEDED, mtu }),
            (Reason::NoDestination | Reason::NoMaster | Reason::NoListener, true) => {
                Some(Self { kind: icmp6::UNREACHABLE, code: icmp6::PORT, mtu: 0 })
            }
            (Reason::TtlExceeded, true) => Some(Self { kind: icmp6::TIME_EXCEEDED, code: 0, mtu: 0 }),
            (Reason::FragNeeded, true) => Some(Self { kind: icmp6::TOO_BIG, code: 0, mtu: least(mtu) }),
            _ => None,
        }
    }

    /// The ICMP header in front of a quotation with the one's-complement sum `quoted`.
    #[inline(always)]
    pub const fn header(self, quoted: u64) -> Icmp {
        let mtu = Be16::new(self.mtu);
        let sum = u16::from_ne_bytes([self.kind, self.code]) as u64 + mtu.raw() as u64 + quoted;
        let checksum = Be16::from_raw(!fold(sum));
        Icmp { kind: self.kind, code: self.code, checksum, unused: Be16::ZERO, mtu }
    }

    /// The ICMPv6 header behind `ip` and in front of a quotation with the one's-complement sum `quoted`.
    #[inline(always)]
    pub const fn header6(self, ip: &Ipv6, quoted: u64) -> Icmp6 {
        let low = Be16::new(self.mtu);
        let (s, d) = (ip.src.words(), ip.dst.words());
        let addresses = s[0] as u64 + s[1] as u64 + s[2] as u64 + s[3] as u64;
        let addresses = addresses + d[0] as u64 + d[1] as u64 + d[2] as u64 + d[3] as u64;
        let pseudo = addresses + ip.payload_len.raw() as u64 + Be16::new(proto::ICMPV6 as u16).raw() as u64;
        let sum = pseudo + u16::from_ne_bytes([self.kind, self.code]) as u64 + low.raw() as u64 + quoted;
        let checksum = Be16::from_raw(!fold(sum));
        Icmp6 { kind: self.kind, code: self.code, checksum, high: Be16::ZERO, low }
    }
}

/// No IPv6 sender is told less than every link carries (RFC 8201, section 4, lets it ignore that anyway).
#[inline(always)]
const fn least(mtu: u16) -> u16 {
    if mtu < ipv6::MIN_MTU { ipv6::MIN_MTU } else { mtu }
}

/// The IP header of an answer from `source` about the packet `about`, of which `quoted` bytes follow. Type of service 0xc0 and
/// TTL 64, as the kernel's.
#[inline(always)]
pub fn ip_header(about: &Ipv4, source: Addr, quoted: usize) -> Ipv4 {
    Ipv4 {
        version_ihl: 0x45,
        tos: 0xc0,
        total_len: Be16::new((HEADERS + quoted) as u16),
        id: about.id,
        frag: Be16::ZERO,
        ttl: 64,
        proto: proto::ICMP,
        checksum: Be16::ZERO,
        src: source.last(),
        dst: about.src,
    }
    .with_checksum()
}

/// The same for IPv6.
#[inline(always)]
pub fn ip_header6(to: Addr, source: Addr, quoted: usize) -> Ipv6 {
    Ipv6 {
        version_class_flow: Ipv6::first_word(0),
        payload_len: Be16::new((icmp6::LEN + quoted) as u16),
        next: proto::ICMPV6,
        hop_limit: 64,
        src: source,
        dst: to,
    }
}

/// Whether a sender may be answered at all: not one that can't be a single host (RFC 1122, section 3.2.2; RFC 4443,
/// section 2.4).
#[inline(always)]
pub const fn may_answer(sender: Addr, v6: bool) -> bool {
    if v6 {
        let words = sender.words();
        let first = words[0].to_ne_bytes()[0];
        // Neither a group, nor nobody, nor loopback (`::` and `::1` differ in the last bit).
        return first != 0xff && (words[0] | words[1] | words[2] != 0 || u32::from_be(words[3]) > 1);
    }
    let first = sender.last().raw().to_ne_bytes()[0];
    first != 0 && first != 127 && first < 224
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use rvs_wire::checksum::{checksum, sum};
    use std::vec::Vec;
    use zerocopy::{FromBytes, IntoBytes};

    #[test]
    fn an_answer_sums_up() {
        let about = [0x45u8, 0, 0, 40, 0, 58, 0x40, 0, 1, 6, 0, 0, 10, 0, 1, 200, 10, 0, 1, 10];
        let ip = Ipv4::read_from_bytes(&about).unwrap().with_checksum();
        let answer = Answer::for_reason(Reason::TtlExceeded, 0, false).unwrap();
        let head = ip_header(&ip, Ipv4Addr::new(10, 0, 1, 10).into(), 20);
        let mut message: Vec<u8> = answer.header(sum(ip.as_bytes())).as_bytes().to_vec();
        message.extend(ip.as_bytes());
        assert_eq!(checksum(&message).raw(), 0);
        assert_eq!(checksum(head.as_bytes()).raw(), 0);
        assert_eq!(message[0], 11);
    }

    #[test]
    fn an_ipv6_answer_sums_up_with_its_pseudo_header() {
        let quoted = [0x60u8, 1, 2, 3, 4, 5, 6, 7];
        let (to, from) = ("fd00:1::200".parse::<Ipv6Addr>().unwrap(), "fd00:1::10".parse::<Ipv6Addr>().unwrap());
        let ip = ip_header6(to.into(), from.into(), quoted.len());
        let answer = Answer::for_reason(Reason::FragNeeded, 1400, true).unwrap();
        let mut bytes: Vec<u8> = ip.as_bytes()[8..].to_vec();
        bytes.extend([0, 0, 0, 16, 0, 0, 0, 58]);
        bytes.extend(answer.header6(&ip, sum(&quoted)).as_bytes());
        bytes.extend(quoted);
        assert_eq!(checksum(&bytes).raw(), 0);
        assert_eq!(Answer::for_reason(Reason::FragNeeded, 1000, true).unwrap().mtu, 1280);
    }

    #[test]
    fn groups_loopback_and_nobody_are_not_answered() {
        let may = |a, b, c, d| may_answer(Ipv4Addr::new(a, b, c, d).into(), false);
        assert!(may(10, 0, 0, 1) && may(223, 255, 255, 1));
        assert!(!may(0, 0, 0, 0) && !may(127, 0, 0, 1) && !may(224, 0, 0, 1) && !may(255, 255, 255, 255));
        let may6 = |text: &str| may_answer(text.parse::<Ipv6Addr>().unwrap().into(), true);
        assert!(may6("fd00::1") && may6("::2") && may6("fe80::1"));
        assert!(!may6("::") && !may6("::1") && !may6("ff02::1"));
    }
}
