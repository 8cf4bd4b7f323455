//! Which way packets to a real server go: the kernel's own answer, asked for at each change.

use super::change::store::Way;
use super::failed;
use super::netlink::{Socket, attributes, kind, number, push_attribute};
use crate::Error;
use rvs_intent::LocalNet;
use rvs_wire::{Addr, Family};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_VIA: u16 = 18;

/// Types of routes, with the kernel's numbers.
const RTN_LOCAL: u8 = 2;
const RTN_BROADCAST: u8 = 3;

/// A route look-up's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    kind: u8,
    way: Way,
}

/// Asks the kernel for routes.
#[derive(Debug)]
pub(crate) struct Router {
    socket: RefCell<Socket>,
    /// Answers so far: one change asks for the same server several times.
    known: RefCell<HashMap<(Addr, u8), Option<Route>>>,
}

impl Router {
    /// For the network namespace that the calling thread is in.
    pub(crate) fn new() -> Result<Self, Error> {
        let socket = Socket::new().map_err(|error| failed("opening a netlink socket", error))?;
        Ok(Self { socket: RefCell::new(socket), known: RefCell::default() })
    }

    /// The way to `addr`; interface 0 when there is no route.
    pub(crate) fn way(&self, addr: Addr, family: Family) -> Way {
        self.look_up(addr, family).map(|route| route.way).unwrap_or_default()
    }

    /// The way to `addr` and whether that is this host itself; `None` when there is no route.
    pub(crate) fn route(&self, addr: Addr, family: Family) -> Option<(bool, Way)> {
        self.look_up(addr, family).map(|route| (route.kind == RTN_LOCAL, route.way))
    }

    /// `None`: the kernel has no route, or will not tell.
    fn look_up(&self, addr: Addr, family: Family) -> Option<Route> {
        let key = (addr, family.raw());
        if let Some(known) = self.known.borrow().get(&key) {
            return *known;
        }
        let answer = self.ask(addr, family);
        self.known.borrow_mut().insert(key, answer);
        answer
    }

    fn ask(&self, addr: Addr, family: Family) -> Option<Route> {
        let octets = match addr.to_ip(family) {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let mut body = vec![family.raw(), (octets.len() * 8) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        push_attribute(&mut body, RTA_DST, &octets);
        let replies = self.socket.borrow_mut().request(kind::GETROUTE, false, &body).ok()?;
        let body = &replies.first()?.body;
        let mut route = Route { kind: *body.get(7)?, way: Way { gateway: addr, ..Way::default() } };
        for (kind, value) in attributes(body.get(12..)?) {
            match kind {
                RTA_OIF => route.way.ifindex = number(value)?,
                RTA_GATEWAY => route.way.gateway = address(value, family)?,
                RTA_PREFSRC => route.way.source = address(value, family)?,
                // A gateway of the other family cannot be a record's gateway; the kernel's own look-up finds it.
                RTA_VIA => route.way.ifindex = 0,
                _ => {}
            }
        }
        Some(route)
    }
}

impl LocalNet for Router {
    fn is_broadcast(&self, addr: Addr) -> bool {
        self.look_up(addr, Family::V4).is_some_and(|route| route.kind == RTN_BROADCAST)
    }

    fn is_local(&self, addr: Addr, family: Family) -> bool {
        self.look_up(addr, family).is_some_and(|route| route.kind == RTN_LOCAL)
    }
}

fn address(value: &[u8], family: Family) -> Option<Addr> {
    let ip = match family {
        Family::V4 => IpAddr::from(*value.first_chunk::<4>()?),
        Family::V6 => IpAddr::from(*value.first_chunk::<16>()?),
    };
    Some(Addr::from_ip(ip).0)
}
