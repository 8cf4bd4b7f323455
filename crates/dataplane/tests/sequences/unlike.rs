//! The recorded sections about services by mark, IPv6 and one-packet scheduling.

use crate::recorded::section;
use crate::subject::Subject;
use crate::{VIP, ask_udp, client, counts, settings, setup, with_both};
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_core::frames::{self, Shape};
use rvs_intent::{Dest, Edit, ServiceSettings};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

type End = (IpAddr, u16);

/// One recorded connection, whose packets from the client carry a mark: `x` when it is refused, else the number of the server.
/// Unless it stays open, both sides close it.
fn ask(subject: &mut dyn Subject, mark: u32, from: End, to: End, open: bool) -> String {
    let send = |subject: &mut dyn Subject, mark, from, to, flags| {
        subject.marked(&frames::tcp(from, to, flags, &Shape::default()), mark)
    };
    let Some(sent) = send(subject, mark, from, to, SYN) else { return "x".into() };
    let (at, server) = if to.0.is_ipv4() {
        (34, IpAddr::from(<[u8; 4]>::try_from(&sent[30..34]).unwrap()))
    } else {
        (54, IpAddr::from(<[u8; 16]>::try_from(&sent[38..54]).unwrap()))
    };
    let protocol = if to.0.is_ipv4() { sent[23] } else { sent[20] };
    if protocol != proto::TCP {
        return "x".into();
    }
    let behind = (server, u16::from_be_bytes([sent[at + 2], sent[at + 3]]));
    send(subject, 0, behind, from, SYN | ACK);
    send(subject, mark, from, to, ACK);
    if !open {
        send(subject, 0, behind, from, FIN | ACK);
        send(subject, mark, from, to, FIN | ACK);
    }
    // 10.0.2.1N and fd00:2::1N.
    let last = sent[at - 1];
    if to.0.is_ipv4() { last - 10 } else { last & 0xf }.to_string()
}

#[test]
fn many_destinations_of_a_mark() {
    with_both(|subject| {
        let lines = section("many destinations");
        assert_eq!(lines.len(), 2 * 48);
        for (mark, pair) in (1..).zip(lines.chunks(2)) {
            let key = ServiceKey { addr: Addr::mark(mark), port: Be16::ZERO, proto: 0, family: Family::V4.raw() };
            setup(subject, settings(key, pair[0].word(0)), &pair[0].servers());
            let open = pair[0].about.ends_with("open");
            for (line, client) in pair.iter().zip([100, 101]) {
                for (i, wanted) in (0..).zip(&line.answers) {
                    let from = (Ipv4Addr::new(10, 0, 1, client).into(), 10_000 + mark as u16 * 100 + i);
                    let to = (Ipv4Addr::new(10, 0, 3, 1 + i as u8).into(), 80);
                    let got = ask(subject, mark, from, to, open);
                    assert_eq!(got, *wanted, "{}: {} #{i}", subject.name(), line.about);
                }
            }
        }
    });
}

#[test]
fn ipv6() {
    with_both(|subject| {
        let lines = section("IPv6:");
        assert_eq!(lines.len(), 32);
        let addr = |text: String| text.parse::<Ipv6Addr>().unwrap();
        let vip = addr("fd00:1::10".into());
        for (port, line) in (1000..).zip(&lines) {
            let key =
                ServiceKey { addr: vip.into(), port: Be16::new(port), proto: proto::TCP, family: Family::V6.raw() };
            subject.update(&[Edit::AddService(ServiceSettings {
                netmask: Addr::v6([u32::MAX; 4]),
                ..settings(key, line.word(1))
            })]);
            for (n, weight) in line.servers() {
                let dest = Dest::new(addr(format!("fd00:2::1{n}")).into(), Family::V6, Be16::new(80));
                subject.update(&[Edit::AddDest(key, Dest { weight, forward: Forward::Masq, ..dest })]);
            }
            for (i, wanted) in (0..).zip(&line.answers) {
                let client = if line.many() { 101 + i } else { 100 };
                let from = (addr(format!("fd00:1::{client}")).into(), 20_000 + i);
                let got = ask(subject, 0, from, (vip.into(), port), false);
                assert_eq!(got, *wanted, "{}: {} #{i}", subject.name(), line.about);
            }
        }
    });
}

#[test]
fn one_packet_scheduling_by_packets() {
    with_both(|subject| {
        let lines = section("UDP one-packet");
        assert_eq!(lines.len(), 7);
        for (port, line) in (1000..).zip(&lines) {
            let key = crate::key(proto::UDP, port);
            let settings = ServiceSettings { flags: flags::ONE_PACKET, ..settings(key, line.word(2)) };
            setup(subject, settings, &line.servers());
            for wanted in &line.answers {
                assert_eq!(ask_udp(subject, client(0, false, 30000), (VIP, port)), *wanted, "{}", line.about);
            }
            assert_eq!(Some(counts(subject, key).as_str()), line.counts, "{}", line.about);
        }
    });
}
