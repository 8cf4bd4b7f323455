//! The detour that packets take when somebody else marks them: `iptables -t mangle`, nft, a policy of the host.
//!
//! Such marks are set behind the hook that `rvs_tc` is at. Where services by mark exist, packets with their marks are routed to
//! an interface of ours (`rvsmark0`), and the program `rvs_mark` there takes them before they get anywhere. Only the first
//! packets of a connection come that way; the rest is known at the first hook.
//!
//! Rules of routing stand at preference 0, in front of the look-up of local addresses, which stays at preference 0 itself: none
//! of the host's other rules changes its place. Removed, they leave everything as it was.

use super::attach::{self, find};
use super::failed;
use super::home::Home;
use super::load::programs;
use super::netlink::{Message, Socket, attributes, flags, kind, number, push_attribute, text};
use crate::Error;
use rvs_wire::Family;
use std::collections::BTreeSet;
use std::io;

/// The interface that marked packets are routed to, and its other end, where nothing ever comes out.
pub(crate) const DEVICE: &str = "rvsmark0";
pub(crate) const PEER: &str = "rvsmark1";
/// The routing table that leads there.
const TABLE: u32 = 0x5256;
/// The kernel's table of local addresses.
const LOCAL: u32 = 255;
/// What its packets may be as large as: whatever the stack put together.
const MTU: u32 = 65535;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// A rule of routing, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    family: u8,
    preference: u32,
    mark: Option<u32>,
    table: u32,
    input: Option<String>,
    /// It has conditions that are not looked at here.
    other: bool,
}

impl Rule {
    fn is_ours(&self) -> bool {
        let for_mark = self.table == TABLE && self.mark.is_some();
        let for_loopback = self.table == LOCAL && self.input.as_deref() == Some("lo");
        self.preference == 0 && (for_mark || for_loopback)
    }

    fn is_local(&self) -> bool {
        self.preference == 0 && self.table == LOCAL && self.mark.is_none() && self.input.is_none() && !self.other
    }
}

/// Makes the detour fit the marks of services: there when there are any, gone when there are none. The lock must be held.
pub(crate) fn fit(home: &Home, marks: &BTreeSet<(Family, u32)>) -> Result<(), Error> {
    let there = find(DEVICE).is_ok();
    if marks.is_empty() {
        return if there { remove(home) } else { Ok(()) };
    }
    let mut socket = Socket::new().map_err(|error| failed("opening a netlink socket", error))?;
    if !there {
        make(&mut socket).map_err(|error| failed(format!("making the interface {DEVICE}"), error))?;
    }
    let interface = find(DEVICE)?;
    attach::put_egress(home, &interface, programs::MARK)?;
    for family in FAMILIES {
        let wanted: BTreeSet<u32> = marks.iter().filter(|(f, _)| *f == family).map(|(_, mark)| *mark).collect();
        let done = route(&mut socket, family, interface.index).and_then(|()| rules(&mut socket, family, &wanted));
        match done {
            // A host without IPv6 has no marks of it to follow.
            Err(error) if wanted.is_empty() && is_absent(&error) => {}
            done => done.map_err(|error| failed("routing marked packets", error))?,
        }
    }
    Ok(())
}

/// Takes the detour away.
pub(crate) fn remove(home: &Home) -> Result<(), Error> {
    let mut socket = Socket::new().map_err(|error| failed("opening a netlink socket", error))?;
    for family in FAMILIES {
        match rules(&mut socket, family, &BTreeSet::new()) {
            Err(error) if is_absent(&error) => {}
            done => done.map_err(|error| failed("removing the rules for marked packets", error))?,
        }
    }
    home.unpin(attach::EGRESS)?;
    let Ok(interface) = find(DEVICE) else { return Ok(()) };
    let gone = socket.change(kind::DELLINK, 0, &link(interface.index, 0, 0));
    gone.map_err(|error| failed(format!("removing the interface {DEVICE}"), error))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::EACCES | libc::ENETDOWN))
}

/// The fixed part of a message about an interface.
fn link(index: u32, set: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0u8; 4];
    body.extend(index.to_ne_bytes());
    body.extend(set.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

/// The pair of interfaces, up, without address resolution.
fn make(socket: &mut Socket) -> io::Result<()> {
    const IFLA_IFNAME: u16 = 3;
    const IFLA_MTU: u16 = 4;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_INFO_DATA: u16 = 2;
    const VETH_INFO_PEER: u16 = 1;
    let bits = libc::IFF_NOARP as u32;
    let mut peer = link(0, bits, bits);
    push_attribute(&mut peer, IFLA_IFNAME, format!("{PEER}\0").as_bytes());
    push_attribute(&mut peer, IFLA_MTU, &MTU.to_ne_bytes());
    let mut data = Vec::new();
    push_attribute(&mut data, VETH_INFO_PEER, &peer);
    let mut info = Vec::new();
    push_attribute(&mut info, IFLA_INFO_KIND, b"veth\0");
    push_attribute(&mut info, IFLA_INFO_DATA, &data);
    let mut body = link(0, bits, bits);
    push_attribute(&mut body, IFLA_IFNAME, format!("{DEVICE}\0").as_bytes());
    push_attribute(&mut body, IFLA_MTU, &MTU.to_ne_bytes());
    push_attribute(&mut body, IFLA_LINKINFO, &info);
    socket.change(kind::NEWLINK, flags::CREATE | flags::EXCLUSIVE, &body)?;
    // Neither comes up before both are there.
    let up = libc::IFF_UP as u32;
    for name in [PEER, DEVICE] {
        let index = find(name).map_err(io::Error::other)?.index;
        socket.change(kind::NEWLINK, 0, &link(index, up, up))?;
    }
    Ok(())
}

/// The default route of our table.
fn route(socket: &mut Socket, family: Family, interface: u32) -> io::Result<()> {
    const RTA_OIF: u16 = 4;
    const RTA_TABLE: u16 = 15;
    const PROTO_STATIC: u8 = 4;
    const SCOPE_LINK: u8 = 253;
    const UNICAST: u8 = 1;
    let mut body = vec![family.raw(), 0, 0, 0, 0, PROTO_STATIC, SCOPE_LINK, UNICAST, 0, 0, 0, 0];
    push_attribute(&mut body, RTA_OIF, &interface.to_ne_bytes());
    push_attribute(&mut body, RTA_TABLE, &TABLE.to_ne_bytes());
    socket.change(kind::NEWROUTE, flags::CREATE | flags::REPLACE, &body)
}

/// Makes our rules those for these marks: first packets that loop look for local addresses, then marks lead to our table, then
/// all others look for local addresses.
fn rules(socket: &mut Socket, family: Family, marks: &BTreeSet<u32>) -> io::Result<()> {
    let present = listed(socket, family)?;
    let ours: Vec<&Rule> = present.iter().filter(|rule| rule.is_ours()).collect();
    let have: BTreeSet<u32> = ours.iter().filter_map(|rule| rule.mark).collect();
    if have == *marks && (marks.is_empty() || ours.len() == marks.len() + 1) {
        return Ok(());
    }
    let local = Rule { family: family.raw(), table: LOCAL, ..Rule::default() };
    if !marks.is_empty() {
        // New rules go behind the old ones of the same preference: so all of ours, and then the local one once more.
        let looping = Rule { input: Some("lo".into()), ..local.clone() };
        socket.change(kind::NEWRULE, flags::CREATE, &message(&looping))?;
        for mark in marks {
            let rule = Rule { mark: Some(*mark), table: TABLE, ..local.clone() };
            socket.change(kind::NEWRULE, flags::CREATE, &message(&rule))?;
        }
        if present.iter().any(Rule::is_local) {
            socket.change(kind::NEWRULE, flags::CREATE, &message(&local))?;
        }
    }
    // Of equal rules the first one goes.
    for rule in ours {
        socket.change(kind::DELRULE, 0, &message(rule))?;
    }
    if !marks.is_empty() && present.iter().any(Rule::is_local) {
        socket.change(kind::DELRULE, 0, &message(&local))?;
    }
    Ok(())
}

const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;

fn message(rule: &Rule) -> Vec<u8> {
    const TO_TABLE: u8 = 1;
    let short = u8::try_from(rule.table).unwrap_or(0);
    let mut body = vec![rule.family, 0, 0, 0, short, 0, 0, TO_TABLE, 0, 0, 0, 0];
    push_attribute(&mut body, FRA_PRIORITY, &rule.preference.to_ne_bytes());
    push_attribute(&mut body, FRA_TABLE, &rule.table.to_ne_bytes());
    if let Some(mark) = rule.mark {
        push_attribute(&mut body, FRA_FWMARK, &mark.to_ne_bytes());
        push_attribute(&mut body, FRA_FWMASK, &u32::MAX.to_ne_bytes());
    }
    if let Some(input) = &rule.input {
        push_attribute(&mut body, FRA_IIFNAME, format!("{input}\0").as_bytes());
    }
    body
}

fn listed(socket: &mut Socket, family: Family) -> io::Result<Vec<Rule>> {
    let mut body = vec![0u8; 12];
    body[0] = family.raw();
    let messages = socket.request(kind::GETRULE, true, &body)?;
    Ok(messages.iter().filter(|message| message.kind == kind::NEWRULE).filter_map(parse).collect())
}

fn parse(message: &Message) -> Option<Rule> {
    /// What the kernel says of every rule, or what changes nothing in whom it is for.
    const PLAIN: [u16; 4] = [14, 19, 20, 21];
    let fixed = message.body.first_chunk::<12>()?;
    let mut rule = Rule { family: fixed[0], table: fixed[4].into(), ..Rule::default() };
    rule.other = fixed[1] != 0 || fixed[2] != 0 || fixed[3] != 0;
    for (kind, value) in attributes(&message.body[12..]) {
        match kind {
            FRA_PRIORITY => rule.preference = number(value)?,
            FRA_TABLE => rule.table = number(value)?,
            FRA_FWMARK => rule.mark = number(value),
            FRA_IIFNAME => rule.input = Some(text(value)),
            FRA_FWMASK => {}
            kind if PLAIN.contains(&kind) => {}
            _ => rule.other = true,
        }
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rule: &Rule) -> Rule {
        parse(&Message { kind: kind::NEWRULE, body: message(rule) }).unwrap()
    }

    #[test]
    fn rules_survive_the_round_trip() {
        let local = Rule { family: 2, table: LOCAL, ..Rule::default() };
        let marked = Rule { mark: Some(7), table: TABLE, ..local.clone() };
        let looping = Rule { input: Some("lo".into()), ..local.clone() };
        for rule in [&local, &marked, &looping] {
            assert_eq!(read(rule), *rule);
        }
        assert!(marked.is_ours() && looping.is_ours() && !local.is_ours());
        assert!(local.is_local() && !marked.is_local() && !looping.is_local());
    }

    #[test]
    fn rules_of_others_are_not_touched() {
        let other = Rule { family: 2, table: TABLE, mark: Some(7), preference: 100, ..Rule::default() };
        assert!(!other.is_ours());
        let mut body = message(&Rule { family: 2, table: LOCAL, ..Rule::default() });
        push_attribute(&mut body, 1, &[10, 0, 0, 0]);
        assert!(!parse(&Message { kind: kind::NEWRULE, body }).unwrap().is_local(), "a destination narrows it");
    }
}
