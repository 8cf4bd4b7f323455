//! What the kernel tells of changes to interfaces, addresses, routes and rules, and the table of interfaces kept by it.
//!
//! The kernel drops what is not read in time and says so once. Then nothing told before can be relied on: everything is read
//! anew, and [`Event::Resync`] says so.

use super::address::{self, AddressFacts, AddressKey};
use super::link::{Interface, interface_of};
use super::route::{self, RouteKey};
use super::rtnl::{NetError, Rtnl, each_message};
use super::rule;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage as Message;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket, sockopt,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `RTMGRP_…`: links, IPv4 addresses, IPv6 addresses.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// Routes of IPv4 and IPv6; rules of IPv4, and of IPv6, whose group has the number 19.
const ROUTE_GROUPS: u32 = 0x40 | 0x400 | 0x80 | 1 << 18;
/// Room in the kernel for what was not read yet; bounded by `net.core.rmem_max` for those without `CAP_NET_ADMIN`.
const ROOM: usize = 1 << 20;
/// The most datagrams read in one go, so that a storm cannot keep the reader for ever.
const READS: usize = 256;

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An interface came or changed: what it is now, and what it was.
    Link(Interface, Option<Interface>),
    /// An interface is gone.
    LinkGone(Interface),
    /// An address came, or changed.
    Address(AddressFacts),
    /// An address is gone.
    AddressGone(AddressKey),
    /// A route came, or changed.
    Route(RouteKey),
    /// A route is gone.
    RouteGone(RouteKey),
    /// A rule is gone: family (`true`: IPv6) and priority.
    RuleGone(bool, u32),
    /// Something was missed; the table was read anew, and all that is kept has to be compared.
    Resync,
}

/// The listener and the table.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
    rtnl: Rtnl,
    buffer: Vec<u8>,
    interfaces: BTreeMap<u32, Interface>,
    /// Those of an interface in the kernel's order, as far as it is told.
    addresses: Vec<AddressFacts>,
}

impl Monitor {
    /// Begins listening in the calling thread's namespace, then reads what there is. `routes`: also to routes and rules, of
    /// which a router with full tables has very many changes; only needed by those who hold some.
    pub fn open(routes: bool) -> Result<Self, NetError> {
        let failed = |errno| NetError::new("listening to rtnetlink", errno);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute).map_err(failed)?;
        if setsockopt(&fd, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(&fd, sockopt::RcvBuf, &ROOM).map_err(failed)?;
        }
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, if routes { GROUPS | ROUTE_GROUPS } else { GROUPS }))
            .map_err(failed)?;
        let mut monitor = Self {
            fd,
            rtnl: Rtnl::open()?,
            buffer: vec![0; 64 * 1024],
            interfaces: BTreeMap::new(),
            addresses: Vec::new(),
        };
        monitor.reread()?;
        Ok(monitor)
    }

    /// Asks for less room in the kernel: `vrrp_netlink_monitor_rcv_bufs`, in bytes.
    pub fn set_room(&self, bytes: usize) -> Result<(), NetError> {
        setsockopt(&self.fd, sockopt::RcvBuf, &bytes)
            .map_err(|errno| NetError::new("setting rtnetlink's receive buffer", errno))
    }

    /// The interfaces, by number.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values()
    }

    /// The interface of this number.
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        self.interfaces.get(&index)
    }

    /// The interface of this name.
    pub fn named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.values().find(|interface| interface.name == name)
    }

    /// The addresses of an interface, or of all.
    pub fn addresses(&self, index: Option<u32>) -> impl Iterator<Item = &AddressFacts> {
        self.addresses.iter().filter(move |facts| index.is_none_or(|index| facts.key.index == index))
    }

    /// Whether this host has the address.
    pub fn has_address(&self, key: &AddressKey) -> bool {
        self.addresses.iter().any(|facts| facts.key == *key)
    }

    /// The IPv4 address that an interface speaks by: its first of global scope, else its first; those that `ours` says are
    /// virtual ones are left out.
    pub fn primary_ipv4(&self, index: u32, ours: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let mut first = None;
        for facts in self.addresses(Some(index)).filter(|facts| !facts.secondary) {
            match facts.key.ip {
                std::net::IpAddr::V4(ip) if !ours(ip) && facts.scope == 0 => return Some(ip),
                std::net::IpAddr::V4(ip) if !ours(ip) => first = first.or(Some(ip)),
                _ => {}
            }
        }
        first
    }

    /// The link-local IPv6 address that an interface speaks by, once it may be used; virtual ones are left out.
    pub fn link_local(&self, index: u32, ours: impl Fn(Ipv6Addr) -> bool) -> Option<Ipv6Addr> {
        self.addresses(Some(index)).filter(|facts| !facts.unusable).find_map(|facts| match facts.key.ip {
            std::net::IpAddr::V6(ip) if ip.is_unicast_link_local() && !ours(ip) => Some(ip),
            _ => None,
        })
    }

    /// Takes all that the kernel has told. Never waits.
    pub fn drain(&mut self, events: &mut Vec<Event>) -> Result<(), NetError> {
        for _ in 0..READS {
            match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    let buffer = std::mem::take(&mut self.buffer);
                    each_message(&buffer[..length], |_, _, payload| {
                        if let NetlinkPayload::InnerMessage(message) = payload {
                            events.extend(self.take(message));
                        }
                    });
                    self.buffer = buffer;
                }
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => {
                    self.reread()?;
                    events.push(Event::Resync);
                }
                Err(errno) => return Err(NetError::new("reading rtnetlink", errno)),
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Option<Event> {
        match message {
            Message::NewLink(message) => {
                let interface = interface_of(&message);
                // Bridges tell of their ports by messages that are not about the interface itself.
                if interface.name.is_empty() || u8::from(message.header.interface_family) != 0 {
                    return None;
                }
                let before = self.interfaces.insert(interface.index, interface.clone());
                (before.as_ref() != Some(&interface)).then_some(Event::Link(interface, before))
            }
            Message::DelLink(message) if u8::from(message.header.interface_family) == 0 => {
                let gone = self.interfaces.remove(&message.header.index)?;
                self.addresses.retain(|facts| facts.key.index != gone.index);
                Some(Event::LinkGone(gone))
            }
            Message::NewAddress(message) => {
                let facts = address::facts_of(&message)?;
                match self.addresses.iter_mut().find(|known| known.key == facts.key) {
                    Some(known) => *known = facts,
                    None => self.addresses.push(facts),
                }
                Some(Event::Address(facts))
            }
            Message::DelAddress(message) => {
                let key = address::facts_of(&message)?.key;
                self.addresses.retain(|known| known.key != key);
                Some(Event::AddressGone(key))
            }
            Message::NewRoute(message) => route::key_of(&message).map(Event::Route),
            Message::DelRoute(message) => route::key_of(&message).map(Event::RouteGone),
            Message::DelRule(message) => rule::seen(&message).map(|(ipv6, priority)| Event::RuleGone(ipv6, priority)),
            _ => None,
        }
    }

    fn reread(&mut self) -> Result<(), NetError> {
        self.interfaces = self.rtnl.interfaces()?.into_iter().map(|interface| (interface.index, interface)).collect();
        self.addresses = self.rtnl.addresses()?;
        Ok(())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{eventually, in_namespace, ip};

    fn until(monitor: &mut Monitor, what: &str, wanted: impl Fn(&Event) -> bool) {
        let mut events = Vec::new();
        eventually(what, || {
            monitor.drain(&mut events).unwrap();
            events.iter().any(&wanted)
        });
    }

    #[test]
    fn interfaces_and_addresses_are_followed() {
        in_namespace(|| {
            let mut monitor = Monitor::open(true).unwrap();
            assert!(monitor.named("lo").unwrap().loopback);
            ip("link add v0 type veth peer name v1");
            ip("link set v1 up");
            ip("link set v0 up");
            until(
                &mut monitor,
                "running",
                |event| matches!(event, Event::Link(link, Some(_)) if link.name == "v0" && link.running),
            );
            let index = monitor.named("v0").unwrap().index;
            ip("addr add 10.3.0.1/24 dev v0");
            let key = AddressKey::new(index, "10.3.0.1".parse().unwrap(), 24);
            until(&mut monitor, "address", |event| matches!(event, Event::Address(facts) if facts.key == key));
            assert!(monitor.has_address(&key));
            ip("addr add 10.3.0.9/24 dev v0");
            ip("addr add 192.0.2.1/32 scope link dev v0");
            until(&mut monitor, "others", |event| matches!(event, Event::Address(facts) if facts.scope == 253));
            let (first, second) = (Ipv4Addr::new(10, 3, 0, 1), Ipv4Addr::new(192, 0, 2, 1));
            assert_eq!(monitor.primary_ipv4(index, |_| false), Some(first));
            assert_eq!(monitor.primary_ipv4(index, |ip| ip == first), Some(second));
            assert_eq!(monitor.primary_ipv4(index, |_| true), None);
            until(
                &mut monitor,
                "a usable link-local address",
                |event| matches!(event, Event::Address(facts) if facts.key.ip.is_ipv6() && facts.key.index == index && !facts.unusable),
            );
            assert!(monitor.link_local(index, |_| false).is_some());
            assert_eq!(monitor.link_local(index, |_| true), None);
            ip("link set v1 down");
            until(
                &mut monitor,
                "carrier lost",
                |event| matches!(event, Event::Link(link, _) if link.name == "v0" && link.up && !link.running),
            );
            ip("addr del 10.3.0.1/24 dev v0");
            until(&mut monitor, "address gone", |event| *event == Event::AddressGone(key));
            ip("rule add priority 77 table 5");
            ip("-6 rule add priority 78 table 5");
            ip("rule del priority 77");
            until(&mut monitor, "rule gone", |event| *event == Event::RuleGone(false, 77));
            ip("-6 rule del priority 78");
            until(&mut monitor, "rule of IPv6 gone", |event| *event == Event::RuleGone(true, 78));
            ip("link del v0");
            until(&mut monitor, "gone", |event| matches!(event, Event::LinkGone(link) if link.name == "v0"));
            assert_eq!(monitor.addresses(Some(index)).count(), 0);
        });
    }

    #[test]
    fn what_was_missed_is_read_anew() {
        in_namespace(|| {
            let mut monitor = Monitor::open(true).unwrap();
            monitor.set_room(1).unwrap(); // The kernel makes it about 2 kB.
            for n in 0..60 {
                ip(&format!("link add v{n} type veth peer name w{n}"));
            }
            let mut events = Vec::new();
            eventually("resync", || {
                monitor.drain(&mut events).unwrap();
                events.contains(&Event::Resync)
            });
            assert!(monitor.named("v59").is_some() && monitor.named("w0").is_some());
        });
    }
}
