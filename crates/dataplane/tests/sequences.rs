//! The recorded scheduling sequences of the live kernel, connection by connection: which server gets each, and how it is counted.
//! Through the eBPF programs, edited at run time as the recorded director was; the plain ones through the core in memory, too.
#![allow(missing_docs, clippy::unwrap_used)] // A test may panic.

mod common;

use common::in_namespace;
use rvs_core::abi::{Forward, ServiceKey};
use rvs_core::frames::{self, End, Shape};
use rvs_core::model::{Model, Server};
use rvs_core::sched::Kind;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::{Director, Hook};
use rvs_dataplane::limits::Limits;
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, SYN};
use rvs_wire::{Be16, Family};
use std::net::Ipv4Addr;

const RECORDED: &str = include_str!("../../../tests/golden/recorded/b1_sched.txt");
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const LIMITS: Limits = Limits { conns: 1 << 14, services: 1024, dests: 4096 };

/// Whom packets go to: the kernel's programs or the core in memory.
trait Subject {
    /// The frame as it leaves; `None` when it does not.
    fn packet(&mut self, frame: &[u8]) -> Option<Vec<u8>>;
}

impl Subject for Model {
    fn packet(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        Model::packet(self, frame).1
    }
}

impl Subject for Director {
    fn packet(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut frame = frame.to_vec();
        frame[..6].fill(0);
        let run = self.test_run(Hook::Tc, &frame, 1).unwrap();
        (run.code == 7).then_some(run.packet)
    }
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

/// One recorded datagram.
fn ask_udp(subject: &mut dyn Subject, from: End, to: End) -> String {
    subject.packet(&frames::udp(from, to, &Shape::default())).map_or("x".into(), |sent| (sent[33] - 10).to_string())
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

/// A recorded line: what it is about, who answered, and the counters printed on the next one.
struct Line<'a> {
    about: &'a str,
    answers: Vec<&'a str>,
    counts: Option<&'a str>,
}

/// The lines of a section; titles are padded to 52 columns.
fn section(title: &str) -> Vec<Line<'static>> {
    let body = RECORDED.split("=== ").find(|part| part.starts_with(title)).expect("the section is recorded");
    let lines: Vec<_> = body.lines().skip(1).collect();
    let is_counts = |line: &str| line.starts_with("       ");
    (0..lines.len())
        .filter(|i| !is_counts(lines[*i]) && lines[*i].len() > 53)
        .map(|i| Line {
            about: lines[i][..53].trim(),
            answers: lines[i][53..].split_whitespace().collect(),
            counts: lines.get(i + 1).copied().filter(|line| is_counts(line)).map(str::trim),
        })
        .collect()
}

/// `w=1,2,3` somewhere in a title.
fn weights(about: &str) -> Vec<i32> {
    let list = about.split("w=").nth(1).expect("weights").split(' ').next().expect("weights");
    list.split(',').map(|w| w.parse().expect("a weight")).collect()
}

/// `InUse` as recorded: address:weight/active/inactive, in the listing's order (by address).
fn counts(director: &mut Director, key: ServiceKey) -> String {
    let listing = director.listing().unwrap();
    let service = listing.services.iter().find(|s| s.service.key == key).unwrap();
    let mut dests: Vec<_> = service.dests.iter().collect();
    dests.sort_by_key(|dest| dest.dest.addr.last().host());
    let one = |d: &&rvs_intent::ListedDest| {
        format!("{}:{}/{}/{}", d.dest.addr.last().host() & 0xff, d.dest.weight, d.active, d.inactive)
    };
    dests.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn director() -> Director {
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    for line in [
        "link add v0 type veth peer name v1",
        "link set lo up",
        "addr add 10.0.2.1/24 dev v0",
        "addr add 10.0.1.1/24 dev v0",
        "link set v0 up",
        "link set v1 up",
    ] {
        common::ip(line);
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    Director::open_with(&LIMITS).unwrap()
}

fn setup(director: &mut Director, key: ServiceKey, sched: &str, dests: &[(usize, i32)]) {
    // One update each, as the recorded director was filled by one command each.
    director.update(&[Edit::AddService(settings(key, sched))]).unwrap();
    for (n, weight) in dests {
        director.update(&[Edit::AddDest(key, dest(*n, *weight))]).unwrap();
    }
}

fn numbered(weights: &[i32]) -> Vec<(usize, i32)> {
    weights.iter().enumerate().map(|(i, w)| (i + 1, *w)).collect()
}

#[test]
fn every_scheduler_with_every_set_of_weights() {
    in_namespace(|| {
        let mut director = director();
        let mut port = 1000;
        let mut lines = 0;
        for kind in Kind::ALL {
            for line in section(&format!("{}\n", kind.name())) {
                port += 1;
                let (weights, many, open) =
                    (weights(line.about), line.about.contains("24-"), line.about.ends_with("open"));
                let key = key(proto::TCP, port);
                setup(&mut director, key, kind.name(), &numbered(&weights));
                let mut model = Model::new(64);
                let servers: Vec<_> = numbered(&weights).into_iter().map(|(n, weight)| in_memory(n, weight)).collect();
                model.add_service(key, kind, 0, 0, &servers);
                for (i, wanted) in line.answers.iter().enumerate() {
                    let from = client(i, many, 20000 + i as u16);
                    assert_eq!(ask(&mut director, from, (VIP, port), open), *wanted, "{} #{i}", line.about);
                    assert_eq!(ask(&mut model, from, (VIP, port), open), *wanted, "in memory: {} #{i}", line.about);
                }
                assert_eq!(Some(counts(&mut director, key).as_str()), line.counts, "{}", line.about);
                lines += 1;
            }
        }
        assert_eq!(lines, 16 * Kind::ALL.len());
    });
}

fn in_memory(n: usize, weight: i32) -> Server {
    let addr = server(n).into();
    Server { addr, weight, ..Server::default() }
}

#[test]
fn datagrams() {
    in_namespace(|| {
        let mut director = director();
        let mut port = 1000;
        let lines = section("UDP: 24 datagrams");
        let ours = |line: &&Line<'_>| Kind::from_name(line.about.split(' ').nth(1).unwrap()).is_some();
        assert_eq!(lines.iter().filter(ours).count(), 6 * Kind::ALL.len());
        for line in lines.iter().filter(ours) {
            port += 1;
            let key = key(proto::UDP, port);
            let sched = line.about.split(' ').nth(1).unwrap();
            setup(&mut director, key, sched, &numbered(&weights(line.about)));
            for (i, wanted) in line.answers.iter().enumerate() {
                let from = client(i, line.about.contains("24-"), 30000 + i as u16);
                assert_eq!(ask_udp(&mut director, from, (VIP, port)), *wanted, "{} #{i}", line.about);
            }
            assert_eq!(Some(counts(&mut director, key).as_str()), line.counts, "{}", line.about);
        }
    });
}

#[test]
fn the_order_of_addition_and_larger_weights() {
    in_namespace(|| {
        let mut director = director();
        let mut port = 1000;
        let lines = section("order of addition").into_iter().chain(section("larger weights"));
        for line in lines {
            let sched = line.about.split(' ').next().unwrap();
            if Kind::from_name(sched).is_none() {
                continue;
            }
            port += 1;
            let added = line.about.split_once('(').map(|(_, rest)| rest.split(')').next().unwrap());
            let dests = match added {
                Some(order) => order.split(", ").map(|n| (n.parse().unwrap(), 1)).collect(),
                None => numbered(&weights(line.about)),
            };
            setup(&mut director, key(proto::TCP, port), sched, &dests);
            for (i, wanted) in line.answers.iter().enumerate() {
                let from = client(i, false, 20000 + i as u16);
                assert_eq!(ask(&mut director, from, (VIP, port), added.is_some()), *wanted, "{} #{i}", line.about);
            }
        }
    });
}

#[test]
fn changes_while_running() {
    in_namespace(|| {
        let mut director = director();
        let lines = section("changes while running");
        for (port, sched) in (1000..).zip(["rr", "wrr", "wlc"]) {
            let key = key(proto::TCP, port);
            let mut next = 20000;
            for line in lines.iter().filter(|line| line.about.split(' ').next() == Some(sched)) {
                let what = &line.about[sched.len() + 1..];
                let other = if sched == "wlc" { "rr" } else { "wlc" };
                match what {
                    "w=2,2,2" => setup(&mut director, key, sched, &numbered(&[2, 2, 2])),
                    "rs2 -> 0" => director.update(&[Edit::EditDest(key, dest(2, 0))]).unwrap(),
                    "rs2 -> 1" => director.update(&[Edit::EditDest(key, dest(2, 1))]).unwrap(),
                    "rs3 deleted" => {
                        director.update(&[Edit::DeleteDest(key, server(3).into(), Be16::new(80))]).unwrap()
                    }
                    "rs3 added with 3" => director.update(&[Edit::AddDest(key, dest(3, 3))]).unwrap(),
                    "edited to the other scheduler" => {
                        director.update(&[Edit::EditService(settings(key, other))]).unwrap();
                    }
                    "edited, same scheduler" | "and back" => {
                        director.update(&[Edit::EditService(settings(key, sched))]).unwrap();
                    }
                    "all 0" => {
                        for n in 1..=3 {
                            director.update(&[Edit::EditDest(key, dest(n, 0))]).unwrap();
                        }
                    }
                    _ => panic!("unknown step {what}"),
                }
                for (i, wanted) in line.answers.iter().enumerate() {
                    let got = ask(&mut director, client(0, false, next), (VIP, port), false);
                    next += 1;
                    assert_eq!(got, *wanted, "{} #{i}", line.about);
                }
            }
        }
    });
}

#[test]
fn a_service_that_comes_back_finds_its_counts() {
    in_namespace(|| {
        let mut director = director();
        let lines = section("a service deleted and added again");
        for (port, sched) in (1000..).zip(["wlc", "lc"]) {
            let key = key(proto::TCP, port);
            let [first, then] = ["first", "then"]
                .map(|when| lines.iter().find(|line| line.about == format!("{sched} {when}")).expect("recorded"));
            for (line, from) in [(first, 20000), (then, 21000)] {
                setup(&mut director, key, sched, &numbered(&[1, 1, 1]));
                for (i, wanted) in line.answers.iter().enumerate() {
                    let from = client(0, false, from + i as u16);
                    assert_eq!(ask(&mut director, from, (VIP, port), false), *wanted, "{} #{i}", line.about);
                }
                assert_eq!(Some(counts(&mut director, key).as_str()), line.counts, "{}", line.about);
                if from == 20000 {
                    director.update(&[Edit::DeleteService(key)]).unwrap();
                }
            }
            director.update(&[Edit::DeleteDest(key, server(3).into(), Be16::new(80))]).unwrap();
            director.update(&[Edit::AddDest(key, dest(3, 1))]).unwrap();
            assert_eq!(Some(counts(&mut director, key).as_str()), then.counts);
        }
    });
}

#[test]
fn thresholds() {
    in_namespace(|| {
        let mut director = director();
        let mut lines = section("thresholds\n").into_iter().chain(section("overload of every server")).peekable();
        let mut port = 1000;
        while let Some(line) = lines.next() {
            port += 1;
            let key = key(proto::TCP, port);
            let number = |flag: &str| {
                let word = line.about.split(flag).nth(1).unwrap_or(" 0").trim_start();
                word.split([' ', ',']).next().unwrap().parse::<u32>().unwrap()
            };
            let both = line.about.contains("on both");
            director.update(&[Edit::AddService(settings(key, "rr"))]).unwrap();
            for n in 1..=2 {
                let mut dest = dest(n, 1);
                if n == 1 || both {
                    (dest.u_threshold, dest.l_threshold) = (number("-x"), number("-y"));
                }
                director.update(&[Edit::AddDest(key, dest)]).unwrap();
            }
            let from = |i: usize| client(0, false, 20000 + i as u16);
            let mut open = Vec::new();
            for (i, wanted) in line.answers.iter().enumerate() {
                assert_eq!(ask(&mut director, from(i), (VIP, port), true), *wanted, "{} #{i}", line.about);
                open.push((from(i), *wanted));
            }
            let Some(closed) = lines.next_if(|line| line.about.starts_with("all closed")) else { continue };
            for (from, n) in open.iter().filter(|(_, n)| *n != "x") {
                let behind = (server(n.parse().unwrap()), 80);
                for (from, to) in [(*from, (VIP, port)), (behind, *from)] {
                    director.packet(&frames::tcp(from, to, FIN | ACK, &Shape::default()));
                }
            }
            for (i, wanted) in closed.answers.iter().enumerate() {
                let got = ask(&mut director, client(0, false, 20100 + i as u16), (VIP, port), false);
                assert_eq!(got, *wanted, "{}: {} #{i}", line.about, closed.about);
            }
            assert_eq!(Some(counts(&mut director, key).as_str()), closed.counts, "{}", line.about);
            // Whether it opens again after all have expired takes two minutes here; the core's own tests turn the clock.
            lines.next_if(|line| line.about.starts_with("130 s later"));
        }
    });
}
