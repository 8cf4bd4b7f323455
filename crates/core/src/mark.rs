//! Firewall marks: which mark a packet has, by rules of our own or by whoever set it before us.

use crate::abi::{FlowKey, MarkRule};
use crate::flow::Flow;
use crate::tables::Tables;

/// Whether a rule is for packets of this flow.
#[inline(always)]
pub fn matches(rule: &MarkRule, key: &FlowKey) -> bool {
    let protocol = rule.proto == 0 || rule.proto == key.proto;
    let here = rule.family == key.family && protocol && rule.mark != 0;
    here && key.src.masked(rule.src_mask) == rule.src
        && key.dst.masked(rule.dst_mask) == rule.dst
        && port_matches(rule, key.dport.host())
}

/// Whether a port lies in one of a rule's ranges.
#[inline(always)]
fn port_matches(rule: &MarkRule, port: u16) -> bool {
    let mut inside = (rule.ports[0][0] | rule.ports[0][1] == 0) as u16;
    for [first, last] in rule.ports {
        // An unused range is 0 to 0, and port 0 is nobody's.
        inside |= (port >= first && port <= last && last != 0) as u16;
    }
    inside != 0
}

/// The mark of a packet that may begin a connection: that of the first of our rules that matches, else the one it came with;
/// 0: none.
#[inline(always)]
pub fn of<T: Tables>(tables: &T, flow: &Flow) -> u32 {
    let word = tables.control().map_or(0, |control| control.mark_rules.get());
    let (first, count) = (word >> 16, word & 0xffff);
    let ours = if count == 0 { 0 } else { tables.mark_by_rules(&flow.key, first, count) };
    if ours != 0 { ours } else { flow.mark }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use rvs_wire::{Addr, Be16, Be32};

    fn rule() -> MarkRule {
        MarkRule {
            dst: Ipv4Addr::new(10, 0, 1, 10).into(),
            dst_mask: Addr::v4(Be32::new(u32::MAX)),
            ports: [[80, 80], [443, 445], [0, 0], [0, 0], [0, 0], [0, 0]],
            mark: 10,
            proto: 6,
            family: 2,
            ..MarkRule::default()
        }
    }

    fn key(dport: u16) -> FlowKey {
        FlowKey {
            src: Ipv4Addr::new(192, 0, 2, 7).into(),
            dst: Ipv4Addr::new(10, 0, 1, 10).into(),
            sport: Be16::new(4000),
            dport: Be16::new(dport),
            proto: 6,
            family: 2,
            pad: 0,
        }
    }

    #[test]
    fn ports_lie_in_ranges() {
        let hits = [0, 79, 80, 81, 442, 443, 445, 446].map(|port| matches(&rule(), &key(port)));
        assert_eq!(hits, [false, false, true, false, false, true, true, false]);
        let any = MarkRule { ports: [[0, 0]; 6], ..rule() };
        assert!(matches(&any, &key(1)) && matches(&any, &key(65535)));
    }

    #[test]
    fn protocol_family_and_networks_must_fit() {
        assert!(!matches(&rule(), &FlowKey { proto: 17, ..key(80) }));
        assert!(matches(&MarkRule { proto: 0, ..rule() }, &FlowKey { proto: 17, ..key(80) }));
        assert!(!matches(&rule(), &FlowKey { family: 10, ..key(80) }));
        assert!(!matches(&rule(), &FlowKey { dst: Ipv4Addr::new(10, 0, 1, 11).into(), ..key(80) }));
        let from =
            MarkRule { src: Ipv4Addr::new(192, 0, 2, 0).into(), src_mask: Addr::v4(Be32::new(0xffff_ff00)), ..rule() };
        assert!(matches(&from, &key(80)));
        assert!(!matches(&from, &FlowKey { src: Ipv4Addr::new(192, 0, 3, 7).into(), ..key(80) }));
        assert!(!matches(&MarkRule::default(), &key(80)), "an empty entry");
    }
}
