//! The short way against the long one: two equal directors get the same packets, and one of them takes the short way with all
//! that it can.

use crate::abi::{Conn, Counters, DestState, Forward, ServiceKey, conn_flags, flags};
use crate::flow::Flow;
use crate::frames::{self, Shape};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::short;
use crate::verdict::Reason;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::vec::Vec;
use zerocopy::IntoBytes;

/// Offset of the type in a frame.
const ETHERTYPE: usize = 12;

/// An address of the network `net`, by its last byte.
fn address(family: Family, net: u8, host: u8) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, net, host)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfd00, net.into(), 0, 0, 0, 0, 0, host.into())),
    }
}

fn addr(of: IpAddr) -> Addr {
    match of {
        IpAddr::V4(of) => of.into(),
        IpAddr::V6(of) => of.into(),
    }
}

/// The virtual addresses are .1 to .4 of network 1: by masquerading, directly, by tunnel, and by masquerading for persistent
/// clients; their servers are .11 and .12 of networks 11 to 14. Port 80 is TCP, 53 UDP, 21 FTP.
fn director() -> Model {
    let mut model = Model::new(256);
    let ways = [(Forward::Masq, 0), (Forward::Route, 0), (Forward::Tunnel, 0), (Forward::Masq, flags::PERSISTENT)];
    for family in [Family::V4, Family::V6] {
        for ((forward, flags), n) in ways.into_iter().zip(1..) {
            for (port, protocol) in [(80, proto::TCP), (53, proto::UDP), (21, proto::TCP)] {
                let server = |host| Server {
                    addr: addr(address(family, 10 + n, host)),
                    port: if n == 1 { port + 8000 } else { port },
                    forward,
                    family: family.raw(),
                    ..Server::default()
                };
                let vip = addr(address(family, 1, n));
                let key = ServiceKey { addr: vip, port: Be16::new(port), proto: protocol, family: family.raw() };
                let persist_secs = if flags == 0 { 0 } else { 300 };
                model.add_service(key, Kind::Rr, flags, persist_secs, &[server(11), server(12)]);
            }
        }
    }
    model.control.ftp_services = 8;
    model
}

/// What becomes of a frame by the short way; `None` when it has to take the long one.
fn by_short_way(model: &Model, frame: &[u8]) -> Option<(Reason, Option<Vec<u8>>)> {
    let understood: Option<Flow> = match frame[ETHERTYPE..][..2] {
        [0x08, 0x00] => short::ipv4(frame),
        _ => short::ipv6(frame),
    };
    let flow = understood?;
    let Some(hit) = short::find(model, &flow) else {
        return short::is_strangers(model, &flow).then_some((Reason::NoService, None));
    };
    let plan = short::plan(model, &flow, &hit)?;
    if !plan.fits(flow.len, model.mtu) {
        return None;
    }
    let reason = short::take(model, &flow, &hit, &plan);
    Some(model.forward(frame, &flow, &plan, reason))
}

/// One packet, or what else happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A packet of a client to a virtual address.
    In { who: Who, flags: u8, ttl: u8, len: usize, frag: u16 },
    /// One of a server to a client.
    Out { who: Who, server: u8, flags: u8 },
    /// Milliseconds go by.
    Wait(u64),
    /// The servers of a way are deleted, or come back.
    Delete(u8, bool),
    /// A connection is purged.
    Purge(u8),
}

/// Whose connection. There is no service of the fifth way.
#[derive(Clone, Copy, Debug)]
struct Who {
    family: Family,
    client: u8,
    way: u8,
    port: u16,
}

fn who() -> impl Strategy<Value = Who> {
    (any::<bool>(), 1..4u8, 1..6u8, prop_oneof![4 => Just(80), 3 => Just(53), 1 => Just(21)]).prop_map(
        |(six, client, way, port)| Who { family: if six { Family::V6 } else { Family::V4 }, client, way, port },
    )
}

fn events() -> impl Strategy<Value = Event> {
    let flags =
        || prop_oneof![2 => Just(SYN), 6 => Just(ACK), 1 => Just(SYN | ACK), 1 => Just(FIN | ACK), 1 => Just(RST)];
    let ttl = prop_oneof![9 => Just(64), 1 => Just(1)];
    let len = prop_oneof![9 => 0..64usize, 1 => 1440..1480usize];
    let frag = prop_oneof![9 => Just(0x4000u16), 1 => Just(0x2000)];
    prop_oneof![
        60 => (who(), flags(), ttl, len, frag)
            .prop_map(|(who, flags, ttl, len, frag)| Event::In { who, flags, ttl, len, frag }),
        30 => (who(), 11..13u8, flags()).prop_map(|(who, server, flags)| Event::Out { who, server, flags }),
        4 => (1..200_000u64).prop_map(Event::Wait),
        2 => (1..5u8, any::<bool>()).prop_map(|(way, back)| Event::Delete(way, back)),
        1 => any::<u8>().prop_map(Event::Purge),
    ]
}

fn frame(event: Event) -> Option<Vec<u8>> {
    let packet = |who: Who, from, to, flags, shape: &Shape| {
        if who.port == 53 { frames::udp(from, to, shape) } else { frames::tcp(from, to, flags, shape) }
    };
    match event {
        Event::In { who, flags, ttl, len, frag } => {
            let shape = Shape { ttl, frag, payload: std::vec![0x5a; len], ..Shape::default() };
            let client = (address(who.family, 2, who.client), 4000);
            Some(packet(who, client, (address(who.family, 1, who.way), who.port), flags, &shape))
        }
        Event::Out { who, server, flags } => {
            let port = if who.way == 1 { who.port + 8000 } else { who.port };
            let server = (address(who.family, 10 + who.way, server), port);
            Some(packet(who, server, (address(who.family, 2, who.client), 4000), flags, &Shape::default()))
        }
        Event::Wait(_) | Event::Delete(..) | Event::Purge(_) => None,
    }
}

fn happen(model: &Model, event: Event) {
    match event {
        Event::Wait(ms) => model.now.set(model.now.get() + ms * 1_000_000),
        Event::Delete(way, back) => {
            let state = if back { DestState::Live } else { DestState::Trash };
            let net = addr(address(Family::V4, 10 + way, 11));
            model.dests.iter().filter(|dest| dest.addr == net).for_each(|dest| dest.state.set(state as u8));
        }
        Event::Purge(which) => {
            if let Some(conn) = model.conns.get(which as usize)
                && conn.flags.get() & (conn_flags::LIVE | conn_flags::TEMPLATE) == conn_flags::LIVE
            {
                conn.flags.set(conn.flags.get() | conn_flags::PURGED);
            }
        }
        Event::In { .. } | Event::Out { .. } => {}
    }
}

/// All that a packet may change of a connection.
fn shown(conn: &Conn) -> (u8, u8, u64, u32, u32, u32) {
    let (state, flags) = (conn.state.get(), conn.flags.get());
    (state, flags, conn.expires.get(), conn.timeout_ms.get(), conn.in_pkts.get(), conn.dest.get())
}

fn counted(model: &Model) -> Vec<Counters> {
    let counters = model.counters.borrow();
    counters.0.values().chain(counters.1.values()).copied().collect()
}

#[test]
fn the_short_way_leads_where_the_long_one_does() {
    let taken = core::cell::Cell::new(0);
    let config = ProptestConfig { cases: 200, ..ProptestConfig::default() };
    proptest!(config, |(events in proptest::collection::vec(events(), 1..300))| {
        let (long, mixed) = (director(), director());
        for event in events {
            happen(&long, event);
            happen(&mixed, event);
            let Some(frame) = frame(event) else { continue };
            let wanted = long.packet(&frame);
            let got = by_short_way(&mixed, &frame).inspect(|_| taken.set(taken.get() + 1));
            prop_assert_eq!(got.unwrap_or_else(|| mixed.packet(&frame)), wanted);
            for (a, b) in long.conns.iter().zip(&mixed.conns) {
                prop_assert_eq!(shown(a), shown(b));
            }
        }
        let (a, b) = (counted(&long), counted(&mixed));
        prop_assert_eq!(a.as_bytes(), b.as_bytes());
    });
    assert!(taken.get() > 1000, "only {} packets took the short way", taken.get());
}
