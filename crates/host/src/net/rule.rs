//! Rules of policy routing: what `virtual_rules` and `static_rules` say of one, and the messages that add and remove it.

use super::route::{PROTOCOL, Prefix, ipv6};
use super::rtnl::{NetError, Rtnl};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{RouteProtocol, RouteRealm};
use netlink_packet_route::rule::{
    RuleAction as RawAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, IpProtocol, RouteNetlinkMessage};
use nix::errno::Errno;
use std::fmt;

/// What a rule does with the packets it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleAction {
    /// Looks the route up in this table.
    Table(u32),
    /// Goes on at the rule of this priority, a later one.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops without a word.
    Blackhole,
    /// Refuses: network unreachable.
    Unreachable,
    /// Refuses: prohibited.
    Prohibit,
}

/// A rule. All of it is its identity: the kernel tells rules apart by everything that is said of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// Of IPv6; else of IPv4.
    pub ipv6: bool,
    /// `priority`; must be given, since the kernel would make one up that nobody could name when removing.
    pub priority: u32,
    /// What it does.
    pub action: RuleAction,
    /// `not`: takes the packets that do not fit.
    pub invert: bool,
    /// `from`
    pub from: Option<Prefix>,
    /// `to`
    pub to: Option<Prefix>,
    /// `tos`
    pub tos: u8,
    /// `fwmark` and its mask.
    pub mark: Option<(u32, u32)>,
    /// `iif`: the name of the interface that the packet came in by.
    pub input: Option<String>,
    /// `oif`: the name of the interface that the packet's socket is bound to.
    pub output: Option<String>,
    /// `suppress_prefixlength`
    pub suppress_prefix: Option<u32>,
    /// `suppress_ifgroup`
    pub suppress_group: Option<u32>,
    /// `ipproto`
    pub protocol: Option<u8>,
    /// `sport`, first and last.
    pub source_ports: Option<(u16, u16)>,
    /// `dport`, first and last.
    pub destination_ports: Option<(u16, u16)>,
    /// `uidrange`, first and last.
    pub uids: Option<(u32, u32)>,
    /// `l3mdev`: the table is that of the packet's VRF.
    pub l3mdev: bool,
    /// `tun_id`
    pub tunnel: Option<u64>,
    /// `realms`: from, to; only of IPv4.
    pub realm: Option<(u16, u16)>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} of IPv{}", self.priority, if self.ipv6 { 6 } else { 4 })
    }
}

impl Rule {
    /// A rule for all packets.
    pub const fn new(ipv6: bool, priority: u32, action: RuleAction) -> Self {
        Self {
            ipv6,
            priority,
            action,
            invert: false,
            from: None,
            to: None,
            tos: 0,
            mark: None,
            input: None,
            output: None,
            suppress_prefix: None,
            suppress_group: None,
            protocol: None,
            source_ports: None,
            destination_ports: None,
            uids: None,
            l3mdev: false,
            tunnel: None,
            realm: None,
        }
    }

    fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        let header = &mut message.header;
        header.family = if self.ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        header.tos = self.tos;
        header.flags.set(RuleFlags::Invert, self.invert);
        header.dst_len = self.to.map_or(0, |to| to.length);
        header.src_len = self.from.map_or(0, |from| from.length);
        let attributes = &mut message.attributes;
        header.action = match self.action {
            RuleAction::Table(table) => {
                attributes.push(RuleAttribute::Table(table));
                RawAction::ToTable
            }
            RuleAction::Goto(priority) => {
                attributes.push(RuleAttribute::Goto(priority));
                RawAction::Goto
            }
            RuleAction::Nop => RawAction::Nop,
            RuleAction::Blackhole => RawAction::Blackhole,
            RuleAction::Unreachable => RawAction::Unreachable,
            RuleAction::Prohibit => RawAction::Prohibit,
        };
        attributes.push(RuleAttribute::Priority(self.priority));
        attributes.push(RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)));
        self.selectors(attributes);
        message
    }

    fn selectors(&self, attributes: &mut Vec<RuleAttribute>) {
        attributes.extend(self.from.map(|from| RuleAttribute::Source(from.masked().ip)));
        attributes.extend(self.to.map(|to| RuleAttribute::Destination(to.masked().ip)));
        if let Some((mark, mask)) = self.mark {
            attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)]);
        }
        attributes.extend(self.input.clone().map(RuleAttribute::Iifname));
        attributes.extend(self.output.clone().map(RuleAttribute::Oifname));
        attributes.extend(self.suppress_prefix.map(RuleAttribute::SuppressPrefixLen));
        attributes.extend(self.suppress_group.map(RuleAttribute::SuppressIfGroup));
        attributes.extend(self.protocol.map(|number| RuleAttribute::IpProtocol(IpProtocol::from(i32::from(number)))));
        let range = |(start, end)| RulePortRange { start, end };
        attributes.extend(self.source_ports.map(|ports| RuleAttribute::SourcePortRange(range(ports))));
        attributes.extend(self.destination_ports.map(|ports| RuleAttribute::DestinationPortRange(range(ports))));
        attributes.extend(self.uids.map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })));
        attributes.extend(self.l3mdev.then_some(RuleAttribute::L3MDev(true)));
        attributes.extend(self.tunnel.map(RuleAttribute::TunId));
        attributes
            .extend(self.realm.map(|(source, destination)| RuleAttribute::Realm(RouteRealm { source, destination })));
    }
}

/// What of a rule is seen from outside: family and priority, enough to notice that one of ours went.
pub(crate) fn seen(message: &RuleMessage) -> Option<(bool, u32)> {
    let priority = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    Some((ipv6(message.header.family)?, priority.unwrap_or(0)))
}

impl Rtnl {
    /// Adds the rule; that it is there already is no error.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), NetError> {
        match self.change(RouteNetlinkMessage::NewRule(rule.message()), NLM_F_CREATE | NLM_F_EXCL) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(NetError::new(format!("adding {rule}"), errno)),
        }
    }

    /// Removes the rule; that it is not there is no error. `true`: it was there.
    pub fn remove_rule(&mut self, rule: &Rule) -> Result<bool, NetError> {
        match self.change(RouteNetlinkMessage::DelRule(rule.message()), 0) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT | Errno::ESRCH) => Ok(false),
            Err(errno) => Err(NetError::new(format!("removing {rule}"), errno)),
        }
    }

    /// Family (`true`: IPv6) and priority of all rules.
    pub fn rules(&mut self) -> Result<Vec<(bool, u32)>, NetError> {
        let mut found = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RuleMessage::default();
            message.header.family = family;
            let before = found.len();
            self.dump(&RouteNetlinkMessage::GetRule(message), |message| match message {
                Some(RouteNetlinkMessage::NewRule(message)) => found.extend(seen(&message)),
                Some(_) => {}
                None => found.truncate(before),
            })
            .map_err(|errno| NetError::new("listing rules", errno))?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{in_namespace, ip_json, ip_output};

    #[test]
    fn a_rule_with_everything_comes_and_goes() {
        in_namespace(|| {
            let mut rtnl = Rtnl::open().unwrap();
            let mut rule = Rule::new(false, 100, RuleAction::Table(1000));
            rule.from = Some(Prefix { ip: "10.1.2.3".parse().unwrap(), length: 16 });
            rule.to = Some(Prefix { ip: "10.9.0.0".parse().unwrap(), length: 24 });
            rule.mark = Some((5, 0xff));
            rule.input = Some("lo".into());
            rule.suppress_prefix = Some(8);
            rule.protocol = Some(6);
            rule.destination_ports = Some((80, 90));
            rule.uids = Some((1000, 2000));
            rtnl.add_rule(&rule).unwrap();
            rtnl.add_rule(&rule).unwrap();
            let all = ip_json("rule show");
            let shown: Vec<_> = all.as_array().unwrap().iter().filter(|rule| rule["priority"] == 100).collect();
            assert_eq!(shown.len(), 1);
            assert_eq!((&shown[0]["src"], &shown[0]["srclen"]), (&"10.1.0.0".into(), &16.into()));
            assert_eq!((&shown[0]["dst"], &shown[0]["iif"]), (&"10.9.0.0".into(), &"lo".into()));
            let text = ip_output("rule show");
            assert!(
                text.contains("fwmark 0x5/0xff") && text.contains("dport 80-90") && text.contains("uidrange 1000-2000"),
                "{text}"
            );
            assert!(rtnl.rules().unwrap().contains(&(false, 100)));
            assert!(rtnl.remove_rule(&rule).unwrap());
            assert!(!rtnl.remove_rule(&rule).unwrap());
        });
    }

    #[test]
    fn rules_of_ipv6_and_every_action() {
        in_namespace(|| {
            let mut rtnl = Rtnl::open().unwrap();
            let actions = [RuleAction::Blackhole, RuleAction::Unreachable, RuleAction::Prohibit, RuleAction::Nop];
            for (priority, action) in (10..).zip(actions) {
                let mut rule = Rule::new(true, priority, action);
                rule.from = Some(Prefix { ip: "fd00::".parse().unwrap(), length: 64 });
                rtnl.add_rule(&rule).unwrap();
            }
            rtnl.add_rule(&Rule::new(true, 9, RuleAction::Goto(11))).unwrap();
            let text = ip_output("-6 rule show");
            for word in ["blackhole", "unreachable", "prohibit", "nop", "goto 11"] {
                assert!(text.contains(word), "{word}: {text}");
            }
            let mut none = Rule::new(true, 9, RuleAction::Goto(11));
            assert!(rtnl.remove_rule(&none).unwrap());
            none.priority = 4;
            assert!(!rtnl.remove_rule(&none).unwrap());
        });
    }
}
