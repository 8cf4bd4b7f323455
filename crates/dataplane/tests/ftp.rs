//! FTP control connections and SIP datagrams through the programs in the kernel and through the core in memory: byte-equal.
#![allow(missing_docs, clippy::unwrap_used)] // A test may panic.

mod common;

use common::in_namespace;
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_core::frames::{self, Shape};
use rvs_core::model::{Model, Server};
use rvs_core::sched::Kind;
use rvs_core::settings::Settings;
use rvs_core::verdict::{Outcome, Reason};
use rvs_dataplane::kernel::{Director, Hook, Mode};
use rvs_dataplane::limits::Limits;
use rvs_dataplane::{Dataplane, Error};
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::net::Ipv4Addr;

const LIMITS: Limits = Limits { conns: 1 << 12, services: 64, dests: 512 };
const L3: usize = 14;
const TC_ACT_SHOT: u32 = 2;
const TC_ACT_REDIRECT: u32 = 7;
const XDP_PASS: u32 = 2;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

fn server(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 110 + n)
}

/// Ports of control connections.
const PORTS: [u16; 8] = [21, 2121, 0, 0, 0, 0, 0, 0];

/// Protocol, port, persistence, engine.
const SERVICES: [(u8, u16, u32, bool); 3] =
    [(proto::TCP, 21, 0, false), (proto::UDP, 5060, 60, true), (proto::TCP, 2121, 0, false)];

fn key(proto: u8, port: u16) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(port), proto, family: Family::V4.raw() }
}

fn model() -> Model {
    let mut model = Model::new(LIMITS.conns as usize);
    for (n, (proto, port, secs, engine)) in SERVICES.into_iter().enumerate() {
        let servers = [1, 2, 3].map(|n| Server { addr: server(n).into(), port, ..Server::default() });
        let flags = if secs != 0 { flags::PERSISTENT } else { 0 };
        model.add_service(key(proto, port), Kind::Rr, flags, secs, &servers);
        model.services[n].slots[0].engine = u32::from(engine);
    }
    model.control.ftp_services = 1;
    model.control.engine_services = 1;
    model.control.settings[0].ftp_ports = PORTS;
    model
}

fn director() -> Director {
    common::ip("link add v0 address 02:00:00:00:01:01 type veth peer name v1");
    std::fs::write("/proc/sys/net/ipv6/conf/v1/disable_ipv6", "1").unwrap();
    for line in ["link set lo up", "addr add 10.0.2.1/24 dev v0", "addr add 10.0.1.1/24 dev v0"] {
        common::ip(line);
    }
    common::ip("link set v0 up");
    common::ip("link set v1 up");
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let hosts = [CLIENT, server(1), server(2), server(3)];
    let lines = hosts.map(|ip| format!("neigh add {ip} lladdr 02:00:00:00:09:09 dev v0 nud permanent\n"));
    common::ip_batch(&lines.concat());
    let mut director = Director::open_with(&LIMITS).unwrap();
    let mut edits = Vec::new();
    for (proto, port, secs, engine) in SERVICES {
        edits.push(Edit::AddService(ServiceSettings {
            key: key(proto, port),
            sched: "rr".into(),
            flags: if secs != 0 { flags::PERSISTENT } else { 0 },
            persist_secs: secs,
            netmask: Addr::v6([u32::MAX; 4]),
            engine: engine.then(|| "sip".into()),
        }));
        for n in 1..=3 {
            let mut dest = Dest::new(server(n).into(), Family::V4, Be16::new(port));
            dest.forward = Forward::Masq;
            dest.tunnel = Tunnel::default();
            edits.push(Edit::AddDest(key(proto, port), dest));
        }
    }
    director.update(&edits).unwrap();
    director.attach("v0", Mode::Xdp).unwrap();
    let change = |settings: &mut Settings| {
        settings.ftp_ports = PORTS;
        Ok::<_, Error>(())
    };
    director.change_settings(change).unwrap();
    director
}

/// Both sides, and where a control connection stands.
struct Both {
    director: Director,
    model: Model,
    /// Whether packets meet XDP first.
    xdp: bool,
    /// Port of the control connection.
    port: u16,
    client_seq: u32,
    server_seq: u32,
}

impl Both {
    /// The same frame through both; what left. `left`: XDP must leave it to TC.
    fn frame(&self, frame: &[u8], left: bool) -> (Reason, Option<Vec<u8>>) {
        let (reason, out) = self.model.packet(frame);
        let out = out.map(|out| out[L3..].to_vec());
        if self.xdp {
            let run = self.director.test_run_xdp("v0", frame).unwrap();
            if run.code != XDP_PASS {
                assert!(!left, "{reason:?}: XDP must leave it to TC");
                assert_eq!(Some(run.packet[L3..].to_vec()), out, "{reason:?} at XDP");
                return (reason, out);
            }
            assert_eq!(run.packet, frame, "a packet that XDP leaves is as it came");
        }
        let mut to_loopback = frame.to_vec();
        to_loopback[..6].fill(0);
        let run = self.director.test_run(Hook::Tc, &to_loopback, 1).unwrap();
        match run.code {
            TC_ACT_REDIRECT => assert_eq!(Some(run.packet[L3..].to_vec()), out, "{reason:?}"),
            TC_ACT_SHOT => assert_eq!(reason.outcome(), Outcome::Dropped),
            _ => assert_eq!((reason.outcome(), &run.packet), (Outcome::Passed, &to_loopback)),
        }
        (reason, out)
    }

    fn client(&mut self, flags: u8, ack: u32, text: &str, options: &[u8]) {
        let shape = Shape { payload: text.into(), ..Shape::default() };
        let numbers = (self.client_seq, ack);
        let frame = frames::tcp_at((CLIENT, 4000), (VIP, self.port), flags, numbers, options, &shape);
        self.client_seq += text.len() as u32 + u32::from(flags & SYN != 0);
        assert_eq!(self.frame(&frame, flags & SYN == 0).0, Reason::NatIn, "{text}");
    }

    fn server(&mut self, flags: u8, text: &[u8], padding: usize) -> Vec<u8> {
        let shape = Shape { payload: text.to_vec(), ..Shape::default() };
        let numbers = (self.server_seq, self.client_seq);
        let mut frame = frames::tcp_at((server(3), self.port), (CLIENT, 4000), flags, numbers, &[], &shape);
        // What short frames are filled up with is no part of the packet.
        frame.extend(vec![0xee; padding]);
        self.server_seq = self.server_seq.wrapping_add(text.len() as u32 + u32::from(flags & SYN != 0));
        let (reason, out) = self.frame(&frame, true);
        assert_eq!(reason, Reason::NatOut);
        out.unwrap()
    }

    fn data(&self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), flags: u8) -> Reason {
        self.frame(&frames::tcp(from, to, flags, &Shape::default()), false).0
    }
}

fn dialogue(xdp: bool, port: u16) {
    in_namespace(move || {
        let mut both =
            Both { director: director(), model: model(), xdp, port, client_seq: 1000, server_seq: 0xffff_ffa0 };
        both.client(SYN, 0, "", &[]);
        both.server(SYN | ACK, b"", 0);
        both.client(ACK, 0, "", &[]);
        both.server(ACK, &[b"220-".to_vec(), vec![b'x'; 700], b"\r\n220 ready\r\n".to_vec()].concat(), 0);
        for round in 1..=3u16 {
            both.client(ACK, both.server_seq, "PASV\r\n", &[]);
            let text = format!("227 Entering Passive Mode (10,0,2,113,156,{round}).\r\n");
            let sequence = both.server_seq;
            let out = both.server(ACK, text.as_bytes(), 0);
            assert!(out.ends_with(format!("(10,0,1,10,156,{round}).\r\n").as_bytes()));
            both.server_seq = sequence;
            assert_eq!(both.server(ACK, text.as_bytes(), 0)[40..], out[40..], "sent again");
            let named = 39936 + round;
            assert_eq!(both.data((CLIENT, 4500), (VIP, named), ACK), Reason::NoConnection);
            assert_eq!(both.data((CLIENT, 4500), (VIP, named), SYN), Reason::NatIn);
            assert_eq!(both.data((server(3), named), (CLIENT, 4500), SYN | ACK), Reason::NatOut);
            assert_eq!(both.data((CLIENT, 4500), (VIP, named), ACK), Reason::NatIn);
            assert_eq!(both.data((CLIENT, 4501), (VIP, named), SYN), Reason::NoService);
            let shift = -i32::from(round);
            let seen = both.server_seq.wrapping_add_signed(shift);
            both.client(ACK, seen, "NOOP\r\n", &[]);
            let edge = |n: u32| seen.wrapping_add(n).to_be_bytes();
            let sack = [vec![1, 1, 5, 18], [edge(10), edge(20), edge(30), edge(41)].concat()].concat();
            both.client(ACK, seen, "", &sack);
            both.server(ACK, b"200 fine\r\n", 3);
            // Odd places and lengths, several lines in one segment.
            both.client(ACK, both.server_seq.wrapping_add_signed(shift), "STAT\r\nTYPE I\r\n", &[]);
        }
        both.client(ACK, both.server_seq, "EPSV\r\n", &[]);
        both.server(ACK, b"200 fine\r\n229 Entering Extended Passive Mode (|||41000|)\r\n", 0);
        assert_eq!(both.data((CLIENT, 4600), (VIP, 41000), SYN), Reason::NatIn);
        both.client(ACK, both.server_seq, "PASV\r\n", &[]);
        both.server(ACK, b"200 x\r\n227 ok 10,0,2,113,160,41 and more\r\n250 and a line behind it\r\n", 2);
        assert_eq!(both.data((CLIENT, 4601), (VIP, 41001), SYN), Reason::NatIn);
        both.server(ACK, b"227 Entering Passive Mode (10,0,2,99,160,42).\r\n", 0);
        assert_eq!(both.data((CLIENT, 4602), (VIP, 41002), SYN), Reason::NoService);
        both.client(ACK, both.server_seq, "PORT 10,0,1,100,17,148\r\n", &[]);
        assert_eq!(both.data((server(3), port - 1), (CLIENT, 4500), SYN), Reason::NatOut);
        assert_eq!(both.data((CLIENT, 4500), (VIP, port - 1), SYN | ACK), Reason::NatIn);
        both.client(ACK, both.server_seq, "EPRT |1|10.0.1.100|4700|\r\n", &[]);
        assert_eq!(both.data((server(3), port - 1), (CLIENT, 4700), SYN), Reason::NatOut);
        assert_eq!(both.data((server(2), port - 1), (CLIENT, 4700), SYN), Reason::NoService, "another server");
    });
}

#[test]
fn control_connections_at_tc() {
    dialogue(false, 21);
}

#[test]
fn control_connections_on_a_port_that_was_set() {
    dialogue(false, 2121);
}

#[test]
fn control_connections_at_xdp_and_tc() {
    dialogue(true, 21);
}

#[test]
fn datagrams_of_a_call_at_xdp_and_tc() {
    in_namespace(|| {
        let both = Both { director: director(), model: model(), xdp: true, port: 21, client_seq: 0, server_seq: 0 };
        let long = "l".repeat(250);
        let ids = [
            "Call-ID: one@host",
            "i: one@host",
            "Call-ID: two@host",
            "Call-ID:\r\n one@host",
            "From: x",
            "CALL-ID:one@host  ",
            "call-id : one@host",
            "Call-ID: x@",
            &format!("Call-ID: {long}@host"),
            &format!("Call-ID: {long}l@host"),
            "Call-ID: two@host",
        ];
        let mut reasons = Vec::new();
        for (port, id) in (5060..).zip(ids) {
            let text = format!("OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.100\r\n{id}\r\n\r\n");
            let shape = Shape { payload: text.into_bytes(), ..Shape::default() };
            reasons.push(both.frame(&frames::udp((CLIENT, port), (VIP, 5060), &shape), true).0);
            // The connection is known now, whatever it says.
            let shape = Shape::default();
            both.frame(&frames::udp((CLIENT, port), (VIP, 5060), &shape), false);
        }
        let (yes, no) = (Reason::NatIn, Reason::NoCallId);
        assert_eq!(reasons, [yes, yes, yes, yes, no, no, yes, no, yes, no, yes]);
        // Servers call, too: the first one's calls, another's from another port, none, one that is taken over.
        let call = |n: u8, from: u16, to: u16, id: &str| {
            let text = format!("OPTIONS sip:x@y SIP/2.0\r\n{id}\r\nVia: z\r\n\r\n");
            let shape = Shape { payload: text.into_bytes(), ..Shape::default() };
            both.frame(&frames::udp((server(n), from), (CLIENT, to), &shape), false).0
        };
        assert_eq!(call(2, 5060, 7000, "Call-ID: one@host"), Reason::NatOut);
        assert_eq!(call(2, 5060, 7000, "From: x"), Reason::NatOut);
        assert_eq!(call(2, 5061, 7000, "Call-ID: one@host"), Reason::NoService);
        assert_eq!(call(2, 5060, 7001, "From: x"), Reason::NoService);
        assert_eq!(call(1, 5060, 7000, "Call-ID: one@host"), Reason::NatOut);
        let shape = Shape { payload: b"BYE\r\nCall-ID: one@host\r\n".to_vec(), ..Shape::default() };
        let back = both.frame(&frames::udp((CLIENT, 7002), (VIP, 5060), &shape), true).1.unwrap();
        assert_eq!(back[16..20], server(1).octets());
        let mut director = both.director;
        let connections = director.connections().unwrap();
        let mut calls: Vec<_> = connections.iter().filter_map(|c| c.engine.clone()).map(|(_, data)| data).collect();
        calls.sort();
        let [long, one, two] = [format!("{long}@host").into_bytes(), b"one@host".to_vec(), b"two@host".to_vec()];
        // The servers that a call was with before are listed as long as something of it goes on.
        assert_eq!(calls, [long, one.clone(), one.clone(), one, two]);
        assert_eq!(connections.iter().filter(|c| c.template).count(), 5);
    });
}

#[test]
fn any_payload_of_a_control_connection() {
    in_namespace(|| {
        let mut both =
            Both { director: director(), model: model(), xdp: false, port: 21, client_seq: 1000, server_seq: 5000 };
        both.client(SYN, 0, "", &[]);
        both.server(SYN | ACK, b"", 0);
        both.client(ACK, 5001, "PASV\r\n", &[]);
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let pieces: [&[u8]; 8] =
            [b"227 ", b"10,0,2,113,", b"(", b"156,7", b")\r\n", b"\n", b"229 (|||40000|)", b"0,0,0,0,200,1."];
        for _ in 0..3000 {
            let mut text = Vec::new();
            for _ in 0..random(7) {
                match random(12) as usize {
                    n if n < pieces.len() => text.extend(pieces[n]),
                    8 => text.extend((0..random(600)).map(|_| b'x')),
                    _ => text.push(random(256) as u8),
                }
            }
            both.server(ACK, &text, random(4) as usize);
        }
    });
}
