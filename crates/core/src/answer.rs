//! ICMP errors that the director itself sends: what they say, and the headers they are made of.
//!
//! As the kernel's: from the address that the packet was sent to (the virtual address), type of service 0xc0, TTL 64, quoting as
//! much of the packet as fits into 576 bytes (RFC 1812, section 4.3.2.3).

use crate::verdict::Reason;
use rvs_wire::icmp::{self, Icmp};
use rvs_wire::ipv4::{self, Ipv4, proto};
use rvs_wire::{Addr, Be16};

/// Most bytes of a packet that are quoted.
pub const QUOTE_MAX: usize = 576 - ipv4::LEN - icmp::LEN;
/// Bytes in front of the quoted packet.
pub const HEADERS: usize = ipv4::LEN + icmp::LEN;

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// With [`icmp::FRAG_NEEDED`]: the MTU that the sender is told.
    pub mtu: u16,
}

impl Answer {
    /// The answer that goes with a reason; `None` when the reason has none. `mtu` is told when the packet was too big.
    #[inline(always)]
    pub const fn for_reason(reason: Reason, mtu: u16) -> Option<Self> {
        match reason {
            Reason::NoDestination => Some(Self { kind: icmp::UNREACHABLE, code: icmp::PORT, mtu: 0 }),
            Reason::TtlExceeded => Some(Self { kind: icmp::TIME_EXCEEDED, code: 0, mtu: 0 }),
            Reason::FragNeeded => Some(Self { kind: icmp::UNREACHABLE, code: icmp::FRAG_NEEDED, mtu }),
            _ => None,
        }
    }

    /// The ICMP header in front of a quotation with the one's-complement sum `quoted`.
    #[inline(always)]
    pub const fn header(self, quoted: u64) -> Icmp {
        let mtu = Be16::new(self.mtu);
        let sum = u16::from_ne_bytes([self.kind, self.code]) as u64 + mtu.raw() as u64 + quoted;
        let checksum = Be16::from_raw(!rvs_wire::checksum::fold(sum));
        Icmp { kind: self.kind, code: self.code, checksum, unused: Be16::ZERO, mtu }
    }
}

/// The IP header of an answer from `source` about the packet `about`, of which `quoted` bytes follow.
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

/// Whether a sender may be answered at all: not one that can't be a single host (RFC 1122, section 3.2.2).
#[inline(always)]
pub const fn may_answer(sender: Addr) -> bool {
    let first = sender.last().raw().to_ne_bytes()[0];
    first != 0 && first != 127 && first < 224
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_wire::checksum::{checksum, sum};
    use std::net::Ipv4Addr;
    use std::vec::Vec;
    use zerocopy::{FromBytes, IntoBytes};

    #[test]
    fn an_answer_sums_up() {
        let about = [0x45u8, 0, 0, 40, 0, 58, 0x40, 0, 1, 6, 0, 0, 10, 0, 1, 200, 10, 0, 1, 10];
        let ip = Ipv4::read_from_bytes(&about).unwrap().with_checksum();
        let answer = Answer::for_reason(Reason::TtlExceeded, 0).unwrap();
        let head = ip_header(&ip, Ipv4Addr::new(10, 0, 1, 10).into(), 20);
        let mut message: Vec<u8> = answer.header(sum(ip.as_bytes())).as_bytes().to_vec();
        message.extend(ip.as_bytes());
        assert_eq!(checksum(&message).raw(), 0);
        assert_eq!(checksum(head.as_bytes()).raw(), 0);
        assert_eq!(message[0], 11);
    }

    #[test]
    fn groups_loopback_and_nobody_are_not_answered() {
        let may = |a, b, c, d| may_answer(Ipv4Addr::new(a, b, c, d).into());
        assert!(may(10, 0, 0, 1) && may(223, 255, 255, 1));
        assert!(!may(0, 0, 0, 0) && !may(127, 0, 0, 1) && !may(224, 0, 0, 1) && !may(255, 255, 255, 255));
    }
}
