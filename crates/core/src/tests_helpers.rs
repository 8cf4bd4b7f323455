//! FTP and SIP through the director in memory: whole dialogues.

use crate::abi::{Forward, ServiceKey, flags};
use crate::frames::{self, Shape};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::verdict::Reason;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::format;
use std::vec;
use std::vec::Vec;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 100));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 10));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 111));
const CLIENT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x100));
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10));
const SERVER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x11));

fn addr(addr: IpAddr) -> Addr {
    match addr {
        IpAddr::V4(addr) => addr.into(),
        IpAddr::V6(addr) => addr.into(),
    }
}

/// An FTP service with one server for each of these addresses.
fn director(vip: IpAddr, servers: &[IpAddr], forward: Forward, persist_secs: u32) -> Model {
    let mut model = Model::new(64);
    let family = if vip.is_ipv4() { Family::V4 } else { Family::V6 };
    let servers: Vec<_> = servers
        .iter()
        .map(|of| Server { addr: addr(*of), port: 21, forward, family: family.raw(), ..Server::default() })
        .collect();
    let flags = if persist_secs != 0 { flags::PERSISTENT } else { 0 };
    let key = ServiceKey { addr: addr(vip), port: Be16::new(21), proto: proto::TCP, family: family.raw() };
    model.add_service(key, Kind::Rr, flags, persist_secs, &servers);
    model.control.ftp_services = 1;
    model
}

/// One control connection, from its SYN on, as both ends count.
struct Talk<'a> {
    model: &'a Model,
    ends: (IpAddr, IpAddr, IpAddr),
    client_seq: u32,
    server_seq: u32,
    /// What the client acknowledges.
    seen: u32,
}

impl<'a> Talk<'a> {
    fn begin(model: &'a Model, ends: (IpAddr, IpAddr, IpAddr)) -> Self {
        let mut talk = Self { model, ends, client_seq: 1000, server_seq: 5000, seen: 5000 };
        talk.client(SYN, "", &[]).unwrap();
        talk.server(SYN | ACK, "").unwrap();
        talk.client(ACK, "", &[]).unwrap();
        talk
    }

    fn client(&mut self, flags: u8, text: &str, options: &[u8]) -> Result<Vec<u8>, Reason> {
        let shape = Shape { payload: text.into(), ..Shape::default() };
        let (client, vip, _) = self.ends;
        let frame = frames::tcp_at((client, 4000), (vip, 21), flags, (self.client_seq, self.seen), options, &shape);
        self.client_seq += text.len() as u32 + u32::from(flags & SYN != 0);
        sent(self.model, &frame, Reason::NatIn)
    }

    fn server(&mut self, flags: u8, text: &str) -> Result<Vec<u8>, Reason> {
        let shape = Shape { payload: text.into(), ..Shape::default() };
        let (client, _, server) = self.ends;
        let numbers = (self.server_seq, self.client_seq);
        let frame = frames::tcp_at((server, 21), (client, 4000), flags, numbers, &[], &shape);
        self.server_seq += text.len() as u32 + u32::from(flags & SYN != 0);
        let out = sent(self.model, &frame, Reason::NatOut)?;
        self.seen = number(&out, 4) + (payload(&out).len() as u32) + u32::from(flags & SYN != 0);
        Ok(out)
    }
}

fn sent(model: &Model, frame: &[u8], wanted: Reason) -> Result<Vec<u8>, Reason> {
    match model.packet(frame) {
        (reason, Some(out)) if reason == wanted => {
            assert!(frames::is_sound(&out), "wrong checksums");
            Ok(out)
        }
        (reason, _) => Err(reason),
    }
}

/// Offset of the TCP header.
fn l4(frame: &[u8]) -> usize {
    if frame[12] == 8 { 34 } else { 54 }
}

fn number(frame: &[u8], at: usize) -> u32 {
    let at = l4(frame) + at;
    u32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

fn payload(frame: &[u8]) -> &[u8] {
    &frame[l4(frame) + (frame[l4(frame) + 12] >> 4) as usize * 4..]
}

fn port(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(frame[l4(frame) + at..l4(frame) + at + 2].try_into().unwrap())
}

fn source(frame: &[u8]) -> IpAddr {
    if frame[12] == 8 {
        IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(&frame[26..30]).unwrap()))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&frame[22..38]).unwrap()))
    }
}

const PASSIVE: &str = "227 Entering Passive Mode (10,0,2,111,156,64).\r\n";

fn data(model: &Model, from: (IpAddr, u16), to: (IpAddr, u16), flags: u8) -> (Reason, Option<Vec<u8>>) {
    model.packet(&frames::tcp(from, to, flags, &Shape { payload: Vec::new(), ..Shape::default() }))
}

#[test]
fn a_passive_reply_names_the_virtual_address() {
    let model = director(VIP, &[SERVER], Forward::Masq, 0);
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40000), SYN).0, Reason::NoService, "nobody expects it");
    let mut talk = Talk::begin(&model, (CLIENT, VIP, SERVER));
    talk.server(ACK, "220 ready\r\n").unwrap();
    talk.client(ACK, "PASV\r\n", &[]).unwrap();
    let out = talk.server(ACK, PASSIVE).unwrap();
    assert_eq!(payload(&out), b"227 Entering Passive Mode (10,0,1,10,156,64).\r\n");
    assert_eq!(number(&out, 4), talk.server_seq - PASSIVE.len() as u32, "not yet moved");

    // Two bytes less from here on, in both directions.
    let ack = talk.client(ACK, "RETR x\r\n", &[]).unwrap();
    assert_eq!(number(&ack, 8), talk.server_seq);
    let next = talk.server(ACK, "150 here it comes\r\n").unwrap();
    assert_eq!(number(&next, 4), talk.server_seq - 19 - 1);
    assert_eq!(model.talks.borrow()[&0].delta, -1);

    // The data connection: from a port that nobody knew, to the server's.
    let (reason, out) = data(&model, (CLIENT, 4500), (VIP, 40000), SYN);
    let out = out.unwrap();
    assert_eq!((reason, port(&out, 2), out[33]), (Reason::NatIn, 40000, 111));
    let (reason, back) = data(&model, (SERVER, 40000), (CLIENT, 4500), SYN | ACK);
    let back = back.unwrap();
    assert_eq!((reason, source(&back), port(&back, 0)), (Reason::NatOut, VIP, 40000));
    assert_eq!(data(&model, (CLIENT, 4501), (VIP, 40000), SYN).0, Reason::NoService, "one at a time");
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40000), SYN).0, Reason::NatIn, "sent again");
    let control = &model.conns[0];
    assert_eq!(control.controlled.get(), 1);
    assert_eq!(model.counters.borrow().0[&0].conns, 1, "as IPVS counts: what is scheduled");
}

#[test]
fn replies_of_several_transfers_add_up() {
    let model = director(VIP, &[SERVER], Forward::Masq, 0);
    let mut talk = Talk::begin(&model, (CLIENT, VIP, SERVER));
    for n in 1..=5u32 {
        talk.client(ACK, "PASV\r\n", &[]).unwrap();
        let sequence = talk.server_seq;
        let out = talk.server(ACK, PASSIVE).unwrap();
        assert_eq!(number(&out, 4), sequence - (n - 1));
        // The same once more: a retransmission gets the same numbers.
        talk.server_seq = sequence;
        assert_eq!(payload(&out), payload(&talk.server(ACK, PASSIVE).unwrap()));
        assert_eq!(model.talks.borrow()[&0].delta, -(n as i32));
        let ack = talk.client(ACK, "NOOP\r\n", &[]).unwrap();
        assert_eq!(number(&ack, 8), talk.server_seq);
        let out = talk.server(ACK, "200 fine\r\n").unwrap();
        assert_eq!(number(&out, 4), talk.server_seq - 10 - n);
    }
    // Selective acknowledgments speak of the server's bytes, too.
    let edge = talk.seen;
    let mut sack = vec![1, 1, 5, 10];
    sack.extend((edge + 10).to_be_bytes());
    sack.extend((edge + 20).to_be_bytes());
    let out = talk.client(ACK, "", &sack).unwrap();
    assert_eq!((number(&out, 24), number(&out, 28)), (talk.server_seq + 10, talk.server_seq + 20));
}

#[test]
fn extended_replies_need_no_rewriting() {
    for ends in [(CLIENT, VIP, SERVER), (CLIENT6, VIP6, SERVER6)] {
        let (client, vip, server) = ends;
        let model = director(vip, &[server], Forward::Masq, 0);
        let mut talk = Talk::begin(&model, ends);
        talk.client(ACK, "EPSV\r\n", &[]).unwrap();
        let text = "229 Entering Extended Passive Mode (|||40000|)\r\n";
        assert_eq!(payload(&talk.server(ACK, text).unwrap()), text.as_bytes());
        let (reason, out) = data(&model, (client, 4500), (vip, 40000), SYN);
        assert_eq!((reason, port(&out.unwrap(), 2)), (Reason::NatIn, 40000));
        let (reason, back) = data(&model, (server, 40000), (client, 4500), SYN | ACK);
        assert_eq!((reason, source(&back.unwrap())), (Reason::NatOut, vip));
    }
}

#[test]
fn an_active_server_connects_from_the_virtual_address() {
    let four = ((CLIENT, VIP, SERVER), "PORT 10,0,1,100,17,148\r\n");
    let six = ((CLIENT6, VIP6, SERVER6), "EPRT |2|fd00:1::100|4500|\r\n");
    for (ends, command) in [four, six] {
        let (client, vip, server) = ends;
        let model = director(vip, &[server], Forward::Masq, 0);
        let mut talk = Talk::begin(&model, ends);
        assert_eq!(data(&model, (server, 20), (client, 4500), SYN).0, Reason::NoService);
        talk.client(ACK, command, &[]).unwrap();
        talk.client(ACK, command, &[]).unwrap();
        let (reason, out) = data(&model, (server, 20), (client, 4500), SYN);
        let out = out.unwrap();
        assert_eq!((reason, source(&out), port(&out, 0), port(&out, 2)), (Reason::NatOut, vip, 20, 4500));
        let (reason, back) = data(&model, (client, 4500), (vip, 20), SYN | ACK);
        assert_eq!((reason, port(&back.unwrap(), 2)), (Reason::NatIn, 20));
        assert_eq!(data(&model, (server, 20), (client, 4500), ACK).0, Reason::NatOut);
        let dest = &model.dests[0];
        assert_eq!((dest.active.get(), dest.inactive.get()), (2, 0), "control and data, both established");
    }
}

#[test]
fn strangers_and_what_nobody_asked_for_are_not_let_in() {
    let model = director(VIP, &[SERVER], Forward::Masq, 0);
    let mut talk = Talk::begin(&model, (CLIENT, VIP, SERVER));
    // A reply that no client waits for, as a file's content could contain it.
    assert_eq!(payload(&talk.server(ACK, PASSIVE).unwrap()), PASSIVE.as_bytes());
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40000), SYN).0, Reason::NoService);
    for text in [
        "227 Entering Passive Mode (10,0,2,12,156,64).\r\n",
        "227 Entering Passive Mode (10,0,2,111,0,22).\r\n",
        "229 Entering Extended Passive Mode (|||22|)\r\n",
    ] {
        talk.client(ACK, "PASV\r\n", &[]).unwrap();
        assert_eq!(payload(&talk.server(ACK, text).unwrap()), text.as_bytes(), "{text}");
    }
    for port in [22, 40000] {
        assert_eq!(data(&model, (CLIENT, 4500), (VIP, port), SYN).0, Reason::NoService);
    }
    // A server that was told of the virtual address by its administrator.
    talk.client(ACK, "PASV\r\n", &[]).unwrap();
    let told = "227 Entering Passive Mode (10,0,1,10,156,64).\r\n";
    assert_eq!(payload(&talk.server(ACK, told).unwrap()), told.as_bytes());
    let other = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 101));
    assert_eq!(data(&model, (other, 4500), (VIP, 40000), SYN).0, Reason::NoService, "another client");
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40000), SYN).0, Reason::NatIn);
}

#[test]
fn expectations_end_with_their_time_and_hold_their_control_connection() {
    let model = director(VIP, &[SERVER], Forward::Masq, 0);
    let mut talk = Talk::begin(&model, (CLIENT, VIP, SERVER));
    talk.client(ACK, "EPSV\r\n", &[]).unwrap();
    talk.server(ACK, "229 ok (|||40000|)\r\n").unwrap();
    model.now.set(model.now.get() + 121_000_000_000);
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40000), SYN).0, Reason::NoService);
    model.sweep();
    assert_eq!(model.conns[0].controlled.get(), 0);
    talk.client(ACK, "EPSV\r\n", &[]).unwrap();
    talk.server(ACK, "229 ok (|||40001|)\r\n").unwrap();
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40001), SYN).0, Reason::NatIn);
    assert_eq!(data(&model, (SERVER, 40001), (CLIENT, 4500), SYN | ACK).0, Reason::NatOut);
    assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40001), ACK).0, Reason::NatIn);
    // Data flow for longer than the control connection would live by itself.
    for _ in 0..3 {
        model.now.set(model.now.get() + 800_000_000_000);
        assert_eq!(data(&model, (CLIENT, 4500), (VIP, 40001), ACK).0, Reason::NatIn);
        model.sweep();
    }
    talk.client(ACK, "NOOP\r\n", &[]).unwrap();
}

#[test]
fn persistent_services_take_the_data_connections_of_their_clients() {
    for forward in [Forward::Route, Forward::Tunnel, Forward::Masq] {
        let other = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 12));
        let model = director(VIP, &[SERVER, other], forward, 300);
        let target = |port, to| {
            data(&model, (CLIENT, port), (VIP, to), SYN).1.unwrap();
            let conn = model.conns.iter().find(|c| c.cport.get().host() == port && c.family.get() == 2).unwrap();
            (conn.daddr.get(), conn.dport.get().host())
        };
        let server = target(4000, 21).0;
        assert_eq!(server, addr(other), "the one added last comes first");
        assert_eq!(
            [(4001, 20), (4002, 1024), (4003, 40000)].map(|(from, to)| target(from, to)),
            [(server, 20), (server, 1024), (server, 40000)]
        );
        assert_eq!(data(&model, (CLIENT, 4004), (VIP, 1023), SYN).0, Reason::NoService);
        assert_eq!(data(&model, (CLIENT, 4004), (VIP, 22), SYN).0, Reason::NoService);
        let template = model.conns.iter().find(|c| c.family.get() > 0x7f).unwrap();
        assert_eq!((template.vport.get().host(), template.controlled.get()), (0, 4));
    }
    let model = director(VIP, &[SERVER], Forward::Route, 0);
    assert_eq!(data(&model, (CLIENT, 4001), (VIP, 40000), SYN).0, Reason::NoService, "not persistent: the host's");
}

fn call(model: &Model, from: (IpAddr, u16), id: &str) -> (Reason, Option<u8>) {
    let text = format!("OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.100\r\n{id}\r\nContent-Length: 0\r\n\r\n");
    let shape = Shape { payload: text.into_bytes(), ..Shape::default() };
    let (reason, out) = model.packet(&frames::udp(from, (VIP, 5060), &shape));
    (reason, out.map(|out| out[33]))
}

/// The recorded answers of the kernel: three servers, added in order, round robin.
#[test]
fn datagrams_of_one_call_go_to_one_server() {
    let mut model = Model::new(64);
    let server = |n: u8| Server { addr: Ipv4Addr::new(10, 0, 2, 10 + n).into(), port: 5060, ..Server::default() };
    let key = ServiceKey { addr: addr(VIP), port: Be16::new(5060), proto: proto::UDP, family: Family::V4.raw() };
    model.add_service(key, Kind::Rr, flags::PERSISTENT, 60, &[server(1), server(2), server(3)]);
    model.services[0].slots[0].engine = crate::sip::ENGINE;
    let other = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 101));
    for (from, id, wanted) in [
        ((CLIENT, 5060), "Call-ID: one@host", 13),
        ((CLIENT, 5061), "Call-ID: one@host", 13),
        ((CLIENT, 5062), "Call-ID: two@host", 12),
        ((other, 5060), "Call-ID: one@host", 11),
        ((other, 5061), "Call-ID: two@host", 13),
        ((CLIENT, 5063), "i: one@host", 13),
        ((CLIENT, 5064), "call-id : one@host", 13),
        ((CLIENT, 5067), "Call-ID: plain", 12),
    ] {
        assert_eq!(call(&model, from, id), (Reason::NatIn, Some(wanted)), "{id}");
    }
    assert_eq!(call(&model, (CLIENT, 5072), "From: x"), (Reason::NoCallId, None));
    // A connection's datagrams are its own, whatever they say.
    assert_eq!(call(&model, (CLIENT, 5060), "From: x"), (Reason::NatIn, Some(13)));
    let mut named: Vec<_> = model.engine_data.borrow().values().cloned().collect();
    named.sort();
    assert_eq!(named, [&b"one@host"[..], b"one@host", b"plain", b"two@host", b"two@host"]);
    assert_eq!(model.conns.iter().filter(|c| c.caddr.get() == addr(other) && c.cport.get() == Be16::ZERO).count(), 2);
}

/// As recorded from the kernel: what a real server of the service sends to somebody by itself is the service's.
#[test]
fn calls_that_a_real_server_begins_come_from_the_service() {
    let mut model = Model::new(64);
    let server = |n: u8| Server { addr: Ipv4Addr::new(10, 0, 2, 10 + n).into(), port: 5060, ..Server::default() };
    let key = ServiceKey { addr: addr(VIP), port: Be16::new(5060), proto: proto::UDP, family: Family::V4.raw() };
    model.add_service(key, Kind::Rr, flags::PERSISTENT, 60, &[server(1), server(2), server(3)]);
    model.services[0].slots[0].engine = crate::sip::ENGINE;
    model.control.engine_services = 1;
    let call_to = |model: &Model, from: (u8, u16), port: u16, id: &str| {
        let text = format!("OPTIONS sip:x@y SIP/2.0\r\n{id}\r\nVia: z\r\n\r\n");
        let shape = Shape { payload: text.into_bytes(), ..Shape::default() };
        let from = (IpAddr::V4(Ipv4Addr::new(10, 0, 2, 10 + from.0)), from.1);
        let (reason, out) = model.packet(&frames::udp(from, (CLIENT, port), &shape));
        (reason, out.map(|out| (source(&out), u16::from_be_bytes([out[34], out[35]]))))
    };
    let masked = (Reason::NatOut, Some((VIP, 5060)));
    let left = (Reason::NoService, None);
    assert_eq!(call_to(&model, (2, 5060), 5060, "Call-ID: out@host"), masked);
    assert_eq!(call_to(&model, (2, 5060), 5061, "From: x"), left, "no Call-ID");
    assert_eq!(call_to(&model, (2, 5070), 5060, "Call-ID: out@host"), left, "not the server's port");
    assert_eq!(call_to(&model, (4, 5060), 5060, "Call-ID: out@host"), left, "not a server");
    // Its own connection is known by its ports.
    assert_eq!(call_to(&model, (2, 5060), 5060, "From: x"), masked);
    // Whom the client asks in that call.
    assert_eq!(call(&model, (CLIENT, 5076), "Call-ID: out@host"), (Reason::NatIn, Some(12)));
    // Another server takes the call over; so do the client's new ports.
    assert_eq!(call_to(&model, (3, 5060), 5060, "Call-ID: out@host"), masked);
    assert_eq!(call(&model, (CLIENT, 5077), "Call-ID: out@host"), (Reason::NatIn, Some(13)));
    assert_eq!(call(&model, (CLIENT, 5076), "Call-ID: out@host"), (Reason::NatIn, Some(12)), "what was begun goes on");
    let counters = model.counters.borrow().0[&0];
    assert_eq!((counters.conns, counters.in_pkts, counters.out_pkts), (4, 3, 3));
    // One packet at a time, there is a template and nothing else.
    model.services[0].slots[0].flags |= flags::ONE_PACKET;
    let before = model.conns.iter().filter(|conn| conn.flags.get() & 1 != 0).count();
    assert_eq!(call_to(&model, (1, 5060), 5060, "Call-ID: ops@host"), masked);
    assert_eq!(model.conns.iter().filter(|conn| conn.flags.get() & 1 != 0).count(), before + 1);
    assert!(model.engine_data.borrow().values().any(|id| id == b"ops@host"));
}
