//! The recorded sections about services by mark, IPv6 and one-packet scheduling.
//!
//! Through the schedulers of the core in memory, asked as packets would ask them; and as packets through everything, once the
//! kind of service is no longer in [`WAITING`].

use crate::recorded::{Line, section};
use crate::subject::{Count, InMemory, Subject};
use crate::{VIP, ask_udp, client, counts, settings, setup, with_both};
use rvs_core::abi::{FlowKey, Forward, ServiceKey, flags};
use rvs_intent::{Dest, Edit, ServiceSettings};
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Be16, Family};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Kinds of services whose packets the director does not take yet.
const WAITING: [&str; 1] = ["one-packet scheduling"];

fn replay(subject: &InMemory, line: &Line, key: &ServiceKey, flow: impl Fn(u16) -> FlowKey, count: Count) {
    for (i, wanted) in (0..).zip(&line.answers) {
        assert_eq!(subject.schedule(key, &flow(i), count), *wanted, "{} #{i}", line.about);
    }
}

fn v4(last: u16) -> Addr {
    Ipv4Addr::new(10, 0, 1, last as u8).into()
}

#[test]
fn many_destinations_of_a_mark() {
    let mut subject = InMemory::new();
    let lines = section("many destinations");
    assert_eq!(lines.len(), 2 * 48);
    for (mark, pair) in (1..).zip(lines.chunks(2)) {
        let key = ServiceKey { addr: Addr::mark(mark), port: Be16::ZERO, proto: 0, family: Family::V4.raw() };
        setup(&mut subject, settings(key, pair[0].word(0)), &pair[0].servers());
        let count = if pair[0].about.ends_with("open") { Count::Active } else { Count::Inactive };
        for (line, client) in pair.iter().zip([100, 101]) {
            let flow = |i| FlowKey {
                src: v4(client),
                dst: Ipv4Addr::new(10, 0, 3, 1 + i as u8).into(),
                sport: Be16::new(10000 + i),
                dport: Be16::new(80),
                proto: proto::TCP,
                family: Family::V4.raw(),
                pad: 0,
            };
            replay(&subject, line, &key, flow, count);
        }
    }
}

#[test]
fn ipv6() {
    let mut subject = InMemory::new();
    let lines = section("IPv6:");
    assert_eq!(lines.len(), 32);
    let addr = |text: String| Addr::from(text.parse::<Ipv6Addr>().unwrap());
    let vip = addr("fd00:1::10".into());
    for (port, line) in (1000..).zip(&lines) {
        let key = ServiceKey { addr: vip, port: Be16::new(port), proto: proto::TCP, family: Family::V6.raw() };
        subject.update(&[Edit::AddService(ServiceSettings {
            netmask: Addr::v6([u32::MAX; 4]),
            ..settings(key, line.word(1))
        })]);
        for (n, weight) in line.servers() {
            let dest = Dest::new(addr(format!("fd00:2::1{n}")), Family::V6, Be16::new(80));
            subject.update(&[Edit::AddDest(key, Dest { weight, forward: Forward::Masq, ..dest })]);
        }
        let client = |i: u16| if line.many() { 101 + i } else { 100 };
        let flow = |i| FlowKey {
            src: addr(format!("fd00:1::{}", client(i))),
            dst: vip,
            sport: Be16::new(20000 + i),
            dport: Be16::new(port),
            proto: proto::TCP,
            family: Family::V6.raw(),
            pad: 0,
        };
        replay(&subject, line, &key, flow, Count::Inactive);
    }
}

#[test]
fn one_packet_scheduling_by_packets() {
    if WAITING.contains(&"one-packet scheduling") {
        return;
    }
    with_both(|subject| {
        for (port, line) in (1000..).zip(&section("UDP one-packet")) {
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

#[test]
fn one_packet_scheduling() {
    let mut subject = InMemory::new();
    let lines = section("UDP one-packet");
    assert_eq!(lines.len(), 7);
    for (port, line) in (1000..).zip(&lines) {
        let key = crate::key(proto::UDP, port);
        setup(
            &mut subject,
            ServiceSettings { flags: flags::ONE_PACKET, ..settings(key, line.word(2)) },
            &line.servers(),
        );
        let flow = |_| FlowKey {
            src: v4(100),
            dst: key.addr,
            sport: Be16::new(30000),
            dport: key.port,
            proto: proto::UDP,
            family: Family::V4.raw(),
            pad: 0,
        };
        replay(&subject, line, &key, flow, Count::Not);
    }
}
