//! The recorded scheduling sequences of the live kernel, connection by connection: which server gets each, and how it is counted.
//! Through the eBPF programs and through the core in memory, both edited at run time as the recorded director was.
#![allow(missing_docs, clippy::unwrap_used)] // A test may panic.

#[path = "../common/mod.rs"]
mod common;
mod long;
mod recorded;
mod subject;
mod unlike;

use common::in_namespace;
use recorded::{Line, section};
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_core::frames::{self, End, Shape};
use rvs_core::sched::Kind;
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, SYN};
use rvs_wire::{Be16, Family};
use std::net::Ipv4Addr;
use subject::{Subject, subjects};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

/// The schedulers that the recorded kernel had: all but twos.
fn recorded_kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| *kind != Kind::Twos)
}

fn server(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 10 + n as u8)
}

fn client(n: usize, many: bool, port: u16) -> End {
    (Ipv4Addr::new(10, 0, 1, if many { 101 + n as u8 } else { 100 }), port)
}

/// One recorded connection: `x` when it is refused, else the number of the server. Unless it stays open, both sides close it.
fn ask(subject: &mut dyn Subject, from: End, to: End, open: bool) -> String {
    let send =
        |subject: &mut dyn Subject, from, to, flags| subject.packet(&frames::tcp(from, to, flags, &Shape::default()));
    let Some(sent) = send(subject, from, to, SYN) else { return "x".into() };
    if sent[23] != proto::TCP {
        return "x".into();
    }
    let behind = (Ipv4Addr::new(sent[30], sent[31], sent[32], sent[33]), u16::from_be_bytes([sent[36], sent[37]]));
    send(subject, behind, from, SYN | ACK);
    send(subject, from, to, ACK);
    if !open {
        send(subject, behind, from, FIN | ACK);
        send(subject, from, to, FIN | ACK);
    }
    (sent[33] - 10).to_string()
}

/// One recorded datagram; a client that had none of its own back waited in vain.
fn ask_udp(subject: &mut dyn Subject, from: End, to: End) -> String {
    match subject.packet(&frames::udp(from, to, &Shape::default())) {
        Some(sent) if sent[23] == proto::UDP => (sent[33] - 10).to_string(),
        _ => "T".into(),
    }
}

fn key(proto: u8, port: u16) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(port), proto, family: Family::V4.raw() }
}

fn settings(key: ServiceKey, sched: &str) -> ServiceSettings {
    ServiceSettings {
        key,
        sched: sched.into(),
        flags: 0,
        persist_secs: 0,
        netmask: Ipv4Addr::BROADCAST.into(),
        engine: None,
    }
}

fn dest(n: usize, weight: i32) -> Dest {
    Dest {
        addr: server(n).into(),
        family: Family::V4,
        port: Be16::new(80),
        forward: Forward::Masq,
        weight,
        last_weight: weight,
        u_threshold: 0,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    }
}

/// `InUse` as recorded: address:weight/active/inactive, in the listing's order (by address).
fn counts(subject: &mut dyn Subject, key: ServiceKey) -> String {
    let mut counts = subject.counts(key);
    counts.sort_by_key(|(addr, ..)| addr.last().host());
    let one = |(addr, weight, active, inactive): &(rvs_wire::Addr, i32, u32, u32)| {
        format!("{}:{weight}/{active}/{inactive}", addr.last().host() & 0xff)
    };
    counts.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Adds a service and its servers, by one change each, as the recorded director was filled by one command each.
fn setup(subject: &mut dyn Subject, settings: ServiceSettings, dests: &[(usize, i32)]) {
    let key = settings.key;
    subject.update(&[Edit::AddService(settings)]);
    for (n, weight) in dests {
        subject.update(&[Edit::AddDest(key, dest(*n, *weight))]);
    }
}

/// `(sh-fallback,sh-port)` somewhere in a title.
fn sched_flags(about: &str) -> u16 {
    let named = |name: &str, flag| if about.contains(name) { flag } else { 0 };
    named("h-fallback", flags::SCHED_1) | named("h-port", flags::SCHED_2)
}

/// Runs `test` with the programs and with the core in memory.
fn with_both(test: impl Fn(&mut dyn Subject) + Send + 'static) {
    in_namespace(move || {
        for mut subject in subjects() {
            println!("{}", subject.name());
            test(subject.as_mut());
        }
    });
}

/// Connections of the clients of a line to `port`, each compared.
fn replay(subject: &mut dyn Subject, line: &Line, (many, open): (bool, bool), port: u16, first: u16) {
    for (i, wanted) in line.answers.iter().enumerate() {
        let got = ask(subject, client(i, many, first + i as u16), (VIP, port), open);
        assert_eq!(got, *wanted, "{}: {} #{i}", subject.name(), line.about);
    }
}

#[test]
fn every_scheduler_with_every_set_of_weights() {
    with_both(|subject| {
        let mut port = 1000;
        for kind in recorded_kinds() {
            let lines = section(&format!("{}\n", kind.name()));
            assert_eq!(lines.len(), 16);
            for line in lines {
                port += 1;
                let key = key(proto::TCP, port);
                setup(subject, settings(key, kind.name()), &line.servers());
                replay(subject, &line, (line.many(), line.about.ends_with("open")), port, 20000);
                assert_eq!(Some(counts(subject, key).as_str()), line.counts, "{}: {}", subject.name(), line.about);
            }
        }
    });
}

#[test]
fn flags_of_the_hashing_schedulers() {
    with_both(|subject| {
        let lines = section("flags of sh and mh");
        assert_eq!(lines.len(), 48);
        for (port, line) in (1000..).zip(&lines) {
            let settings =
                ServiceSettings { flags: sched_flags(line.about), ..settings(key(proto::TCP, port), line.word(0)) };
            setup(subject, settings, &line.servers());
            replay(subject, line, (line.many(), false), port, 20000);
        }
    });
}

#[test]
fn servers_that_are_quiesced_and_deleted_under_the_hashing_schedulers() {
    with_both(|subject| {
        let lines = section("a server quiesced after the table was built");
        assert_eq!(lines.len(), 15);
        for (port, lines) in (1000..).zip(lines.chunks(3)) {
            let key = key(proto::TCP, port);
            let settings = ServiceSettings { flags: sched_flags(lines[0].about), ..settings(key, lines[0].word(0)) };
            setup(subject, settings, &[(1, 1), (2, 1), (3, 1)]);
            for (step, line) in lines.iter().enumerate() {
                subject.update(&[match step {
                    0 => Edit::EditDest(key, dest(2, 0)),
                    1 => Edit::EditDest(key, dest(2, 1)),
                    _ => Edit::DeleteDest(key, server(2).into(), Be16::new(80)),
                }]);
                replay(subject, line, (true, false), port, 21000 + 1000 * step as u16);
            }
        }
    });
}

#[test]
fn datagrams() {
    with_both(|subject| {
        let lines = section("UDP: 24 datagrams");
        assert_eq!(lines.len(), 6 * recorded_kinds().count());
        for (port, line) in (1000..).zip(&lines) {
            let key = key(proto::UDP, port);
            setup(subject, settings(key, line.word(1)), &line.servers());
            for (i, wanted) in line.answers.iter().enumerate() {
                let from = client(i, line.many(), 30000 + i as u16);
                assert_eq!(ask_udp(subject, from, (VIP, port)), *wanted, "{}: {} #{i}", subject.name(), line.about);
            }
            assert_eq!(Some(counts(subject, key).as_str()), line.counts, "{}", line.about);
        }
    });
}

#[test]
fn the_order_of_addition_and_larger_weights() {
    with_both(|subject| {
        let lines = section("order of addition").into_iter().chain(section("larger weights"));
        for (port, line) in (1000..).zip(lines) {
            let added = line.about.split_once('(').map(|(_, rest)| rest.split(')').next().unwrap());
            let dests = match added {
                Some(order) => order.split(", ").map(|n| (n.parse().unwrap(), 1)).collect(),
                None => line.servers(),
            };
            setup(subject, settings(key(proto::TCP, port), line.word(0)), &dests);
            replay(subject, &line, (false, added.is_some()), port, 20000);
        }
    });
}

#[test]
fn changes_while_running() {
    with_both(|subject| {
        let lines = section("changes while running");
        for (port, sched) in (1000..).zip(["rr", "wrr", "wlc"]) {
            let key = key(proto::TCP, port);
            let mut next = 20000;
            for line in lines.iter().filter(|line| line.word(0) == sched) {
                change(subject, key, sched, &line.about[sched.len() + 1..]);
                replay(subject, line, (false, false), port, next);
                next += line.answers.len() as u16;
            }
        }
    });
}

fn change(subject: &mut dyn Subject, key: ServiceKey, sched: &str, what: &str) {
    let other = if sched == "wlc" { "rr" } else { "wlc" };
    match what {
        "w=2,2,2" => setup(subject, settings(key, sched), &[(1, 2), (2, 2), (3, 2)]),
        "rs2 -> 0" => subject.update(&[Edit::EditDest(key, dest(2, 0))]),
        "rs2 -> 1" => subject.update(&[Edit::EditDest(key, dest(2, 1))]),
        "rs3 deleted" => subject.update(&[Edit::DeleteDest(key, server(3).into(), Be16::new(80))]),
        "rs3 added with 3" => subject.update(&[Edit::AddDest(key, dest(3, 3))]),
        "edited to the other scheduler" => subject.update(&[Edit::EditService(settings(key, other))]),
        "edited, same scheduler" | "and back" => subject.update(&[Edit::EditService(settings(key, sched))]),
        "all 0" => (1..=3).for_each(|n| subject.update(&[Edit::EditDest(key, dest(n, 0))])),
        _ => panic!("unknown step {what}"),
    }
}

#[test]
fn a_service_that_comes_back_finds_its_counts() {
    with_both(|subject| {
        let lines = section("a service deleted and added again");
        for (port, sched) in (1000..).zip(["wlc", "lc"]) {
            let key = key(proto::TCP, port);
            let [first, then] = ["first", "then"]
                .map(|when| lines.iter().find(|line| line.about == format!("{sched} {when}")).expect("recorded"));
            for (line, from) in [(first, 20000), (then, 21000)] {
                setup(subject, settings(key, sched), &[(1, 1), (2, 1), (3, 1)]);
                replay(subject, line, (false, false), port, from);
                assert_eq!(Some(counts(subject, key).as_str()), line.counts, "{}", line.about);
                if from == 20000 {
                    subject.update(&[Edit::DeleteService(key)]);
                }
            }
            subject.update(&[Edit::DeleteDest(key, server(3).into(), Be16::new(80))]);
            subject.update(&[Edit::AddDest(key, dest(3, 1))]);
            assert_eq!(Some(counts(subject, key).as_str()), then.counts);
        }
    });
}

#[test]
fn thresholds() {
    with_both(|subject| {
        let mut lines = section("thresholds\n").into_iter().chain(section("overload of every server")).peekable();
        let mut port = 1000;
        while let Some(line) = lines.next() {
            port += 1;
            let key = key(proto::TCP, port);
            limited(subject, key, line.about);
            replay(subject, &line, (false, true), port, 20000);
            let Some(closed) = lines.next_if(|line| line.about.starts_with("all closed")) else { continue };
            for (i, n) in line.answers.iter().enumerate().filter(|(_, n)| **n != "x") {
                let from = client(0, false, 20000 + i as u16);
                let behind = (server(n.parse().unwrap()), 80);
                for (from, to) in [(from, (VIP, port)), (behind, from)] {
                    subject.packet(&frames::tcp(from, to, FIN | ACK, &Shape::default()));
                }
            }
            replay(subject, &closed, (false, false), port, 20100);
            assert_eq!(Some(counts(subject, key).as_str()), closed.counts, "{}", line.about);
            // Whether it opens again after all have expired takes two minutes here; the core's own tests turn the clock.
            lines.next_if(|line| line.about.starts_with("130 s later"));
        }
    });
}

/// Two servers, of which the first or both have thresholds.
fn limited(subject: &mut dyn Subject, key: ServiceKey, about: &str) {
    let number = |flag: &str| {
        let word = about.split(flag).nth(1).unwrap_or(" 0").trim_start();
        word.split([' ', ',']).next().unwrap().parse::<u32>().unwrap()
    };
    subject.update(&[Edit::AddService(settings(key, "rr"))]);
    for n in 1..=2 {
        let mut dest = dest(n, 1);
        if n == 1 || about.contains("on both") {
            (dest.u_threshold, dest.l_threshold) = (number("-x"), number("-y"));
        }
        subject.update(&[Edit::AddDest(key, dest)]);
    }
}
