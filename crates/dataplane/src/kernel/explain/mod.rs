//! Where a packet would go, and why: the same core as in the programs, run on a copy of the tables. Nothing is changed: neither
//! a table, a counter nor a scheduler's turn.
//!
//! What the programs ask of the kernel in addition, the way out, is asked of it here too ([`way`]), for a packet that comes in
//! through no particular interface.

mod copy;
mod list;
mod steps;
mod way;

pub use steps::{Candidate, Endpoint, Expiring, Sought, Step, protocol};

use super::Director;
use super::place::How;
use crate::Error;
use copy::Copy;
use rvs_core::abi::{Forward, ServiceKey};
use rvs_core::begin::begin;
use rvs_core::conn::{Direction, life, table};
use rvs_core::decide::known;
use rvs_core::flow::{Flow, L3, classify};
use rvs_core::plan::Plan;
use rvs_core::tables::Tables;
use rvs_core::verdict::{Outcome, Reason};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::SYN;
use rvs_wire::{Addr, Be16};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// The client's port when none is given: one that clients use.
const CLIENT_PORT: u16 = 40_000;
/// The service's port when none is given and the services of the address don't tell.
const SERVICE_PORT: u16 = 80;

/// A packet to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Who sends it, from which port.
    pub client: (IpAddr, Option<u16>),
    /// To whom, to which port.
    pub service: (IpAddr, Option<u16>),
    /// TCP, UDP or SCTP, by its number.
    pub proto: u8,
    /// The firewall mark that it comes with.
    pub mark: u32,
    /// TCP: its flags.
    pub tcp_flags: u8,
}

/// The way that a packet takes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Destination {
    /// The real server; of an answer the client.
    pub address: Endpoint,
    /// How: `NAT`, `direct routing`, `tunnel` or `local`.
    pub method: &'static str,
    /// Of an answer: where it seems to come from.
    pub seen_from: Option<Endpoint>,
}

/// What would become of a packet, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explanation {
    /// Protocol.
    pub protocol: String,
    /// Source.
    pub from: Endpoint,
    /// Destination.
    pub to: Endpoint,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// Whither, if it is sent on or kept for a server on this host.
    pub destination: Option<Destination>,
    /// What becomes of it: the label of an [`Outcome`].
    pub outcome: &'static str,
    /// Why: the label of a [`Reason`].
    pub reason: &'static str,
    /// The same in words.
    pub description: &'static str,
}

/// Explains a packet.
pub(super) fn explain(director: &Director, query: &Query) -> Result<Explanation, Error> {
    let _lock = director.home.lock(How::Shared)?;
    let copy = Copy::capture(&director.home, &director.maps)?;
    let from = SocketAddr::new(query.client.0, query.client.1.unwrap_or(CLIENT_PORT));
    let to = SocketAddr::new(query.service.0, service_port(&copy, query)?);
    let mut flow = Flow { mark: query.mark, ..Flow::default() };
    let mut plan = Plan::default();
    let decided = match classify(&packet(query, from, to)?[..], &mut flow) {
        Ok(()) => decide(&copy, &flow, &mut plan),
        Err(reason) => reason,
    };
    let reason = match decided.outcome() {
        Outcome::Forwarded => way::note(&copy, &flow, &plan, decided)?,
        _ => decided,
    };
    let goes_on = reason.outcome() == Outcome::Forwarded || reason == Reason::LocalNode;
    Ok(Explanation {
        protocol: protocol(query.proto),
        from: Endpoint(from),
        to: Endpoint(to),
        steps: copy.steps(),
        destination: goes_on.then(|| destination(&flow, &plan)).flatten(),
        outcome: reason.outcome().label(),
        reason: reason.label(),
        description: reason.describe().trim(),
    })
}

/// The port that is asked about.
fn service_port(copy: &Copy<'_>, query: &Query) -> Result<u16, Error> {
    if let Some(port) = query.service.1 {
        return Ok(port);
    }
    let (addr, family) = Addr::from_ip(query.service.0);
    let key = ServiceKey { addr, port: Be16::ZERO, proto: query.proto, family: family.raw() };
    match copy.ports(&key)[..] {
        [] => Ok(SERVICE_PORT),
        [port] => Ok(port),
        ref ports => {
            let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
            let (ip, all) = (query.service.0, ports.join(", "));
            Err(Error::State(format!("{ip} has services on several ports ({all}): say which, as ADDRESS:PORT")))
        }
    }
}

/// As [`rvs_core::decide::decide`], noting what is known of the connection.
fn decide(copy: &Copy<'_>, flow: &Flow, plan: &mut Plan) -> Reason {
    let hit = table::find(copy, &flow.key, table::hash(&flow.key, copy));
    let seen =
        hit.map(|hit| (hit.conn, hit.direction, copy.expiring(hit.conn), life::is_expired(hit.conn, copy.now())));
    let reason = known(copy, flow, plan);
    copy.note(match (&seen, reason) {
        (None, _) => Step::NoConnection,
        (Some((.., expired)), None) => Step::ConnectionOver { expired: *expired },
        (Some((conn, direction, expiring, _)), Some(_)) => Step::Connection {
            expiring: *expiring,
            reply: matches!(direction, Direction::Out),
            server: Endpoint::new(conn.daddr.get(), conn.dfamily.get(), conn.dport.get()),
            persistent: conn.control.get() != 0,
        },
    });
    if let Some(reason) = reason {
        return reason;
    }
    let steps = copy.count_steps();
    match begin(copy, flow, plan) {
        Reason::Deferred if flow.proto == proto::UDP => {
            // A persistence engine has to look into the datagram first. Now it has, and found nothing.
            copy.forget(steps);
            begin(copy, &Flow { tcp_flags: 1, ..*flow }, plan)
        }
        reason => reason,
    }
}

fn destination(flow: &Flow, plan: &Plan) -> Option<Destination> {
    if plan.outward != 0 {
        return Some(Destination {
            address: Endpoint::new(flow.key.dst, flow.key.family, flow.key.dport)?,
            method: "NAT",
            seen_from: Endpoint::new(plan.addr, plan.family, plan.port),
        });
    }
    let method = match Forward::from_raw(plan.forward)? {
        Forward::Masq => "NAT",
        Forward::Local => "local",
        Forward::Tunnel => "tunnel",
        Forward::Route => "direct routing",
    };
    Some(Destination { address: Endpoint::new(plan.addr, plan.family, plan.port)?, method, seen_from: None })
}

/// The packet itself: its headers and nothing more. Nobody looks at checksums.
fn packet(query: &Query, from: SocketAddr, to: SocketAddr) -> Result<Vec<u8>, Error> {
    const TTL: u8 = 64;
    /// SCTP: the chunk that begins an association.
    const INIT: u8 = 1;
    let mut l4 = from.port().to_be_bytes().to_vec();
    l4.extend(to.port().to_be_bytes());
    match query.proto {
        proto::TCP => l4.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, query.tcp_flags, 0xff, 0xff, 0, 0, 0, 0]),
        proto::UDP => l4.extend([0, 8, 0, 0]),
        proto::SCTP => l4.extend([0, 0, 0, 0, 0, 0, 0, 0, INIT, 0, 0, 4]),
        other => return Err(Error::State(format!("{} is not balanced", protocol(other)))),
    }
    let mut frame = vec![0; L3 - 2];
    match (from.ip(), to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let [high, low] = (20 + l4.len() as u16).to_be_bytes();
            frame.extend([0x08, 0x00, 0x45, 0, high, low, 0, 0, 0x40, 0, TTL, query.proto, 0, 0]);
            frame.extend(src.octets().into_iter().chain(dst.octets()));
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, l4.len() as u8, query.proto, TTL]);
            frame.extend(src.octets().into_iter().chain(dst.octets()));
        }
        _ => return Err(Error::State(format!("{} and {} are of different families", from.ip(), to.ip()))),
    }
    frame.extend(l4);
    Ok(frame)
}

impl Query {
    /// A TCP packet that begins a connection.
    pub fn syn(client: (IpAddr, Option<u16>), service: (IpAddr, Option<u16>)) -> Self {
        Self { client, service, proto: proto::TCP, mark: 0, tcp_flags: SYN }
    }
}
