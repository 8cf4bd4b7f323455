//! What the programs tell of packets to whoever watches: equal to what was sent, nothing while nobody watches, and an end by
//! itself when the reader is killed.
#![allow(missing_docs, clippy::unwrap_used)] // A test may panic.

mod common;

use common::{SMALL, in_namespace, streets, to_loopback};
use rvs_core::abi::{Forward, ServiceKey};
use rvs_core::frames::{self, Shape};
use rvs_core::trace::{Event, hook};
use rvs_core::verdict::Reason;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::trace::{Filter, Tracing, wall_clock};
use rvs_dataplane::kernel::{Director, Hook, Mode};
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel};
use rvs_wire::tcp::{ACK, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 1, 0x64);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 11);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x11);

fn service(vip: IpAddr, server: Option<IpAddr>, port: u16) -> Vec<Edit> {
    let (addr, family) = Addr::from_ip(vip);
    let key = ServiceKey { addr, port: Be16::new(port), proto: 6, family: family.raw() };
    let settings = ServiceSettings {
        key,
        sched: "rr".into(),
        flags: 0,
        persist_secs: 0,
        netmask: Addr::v6([u32::MAX; 4]),
        engine: None,
    };
    let dest = |server| {
        let (addr, family) = Addr::from_ip(server);
        let dest = Dest {
            addr,
            family,
            port: Be16::new(8080),
            forward: Forward::Masq,
            weight: 1,
            last_weight: 1,
            u_threshold: 0,
            l_threshold: 0,
            tunnel: Tunnel::default(),
        };
        Edit::AddDest(key, dest)
    };
    std::iter::once(Edit::AddService(settings)).chain(server.map(dest)).collect()
}

fn director() -> Director {
    streets();
    let mut director = Director::open_with(&SMALL).unwrap();
    let services = [
        service(VIP.into(), Some(SERVER.into()), 80),
        service(VIP6.into(), Some(SERVER6.into()), 80),
        service(VIP.into(), None, 81),
    ];
    director.update(&services.concat()).unwrap();
    director
}

fn send(director: &Director, frame: &[u8]) {
    director.test_run(Hook::Tc, &to_loopback(frame), 1).unwrap();
}

fn syn(sport: u16, dport: u16) -> Vec<u8> {
    frames::tcp((CLIENT, sport), (VIP, dport), SYN, &Shape::default())
}

/// What is there now.
fn told(tracing: &mut Tracing) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = tracing.next(Some(Instant::now()), None).unwrap() {
        events.push(event);
    }
    events
}

/// An event in few words: reason, source, destination, and what it is sent to or from.
fn line(event: &Event) -> String {
    let reason = Reason::from_raw(event.reason).unwrap().label();
    let Some(family) = Family::from_raw(event.family) else { return reason.to_owned() };
    let end = |addr: Addr, port: Be16| format!("{} {}", addr.to_ip(family), port.host());
    let (src, dst) = (end(event.src, event.sport), end(event.dst, event.dport));
    let way = if event.via_family == 0 { String::new() } else { format!(" via {}", end(event.via, event.via_port)) };
    format!("{reason} {}: {src} > {dst}{way}, {} bytes", event.proto, event.len)
}

#[test]
fn events_are_what_was_sent() {
    in_namespace(|| {
        let director = director();
        let mut tracing = director.trace(&Filter::default(), 1).unwrap();
        let before = SystemTime::now();
        let plain = Shape::default();
        let reply = frames::tcp((SERVER, 8080), (CLIENT, 4000), SYN | ACK, &plain);
        send(&director, &syn(4000, 80));
        send(&director, &reply);
        send(&director, &frames::tcp((CLIENT, 4000), (VIP, 80), ACK, &plain));
        send(&director, &frames::tcp((CLIENT6, 4000), (VIP6, 80), SYN, &plain));
        send(&director, &syn(4000, 81));
        send(&director, &syn(4000, 82));
        send(&director, &frames::tcp((CLIENT, 4001), (VIP, 80), ACK, &plain));
        let about = frames::tcp((VIP, 80), (CLIENT, 4000), ACK, &plain);
        send(&director, &frames::icmp_error(CLIENT, VIP, 3, 3, &about[14..], 28));
        send(&director, &frames::ip(CLIENT, VIP, 47, b"gre", &plain));
        send(&director, &syn(4000, 80)[..50]);
        let events = told(&mut tracing);
        let lines: Vec<_> = events.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "nat_in 6: 10.0.1.100 4000 > 10.0.1.10 80 via 10.0.2.11 8080, 47 bytes",
                "nat_out 6: 10.0.2.11 8080 > 10.0.1.100 4000 via 10.0.1.10 80, 47 bytes",
                "nat_in 6: 10.0.1.100 4000 > 10.0.1.10 80 via 10.0.2.11 8080, 47 bytes",
                "nat_in 6: fd00:1::1:64 4000 > fd00:1::10 80 via fd00:2::11 8080, 67 bytes",
                "no_destination 6: 10.0.1.100 4000 > 10.0.1.10 81, 47 bytes",
                "no_service 6: 10.0.1.100 4000 > 10.0.1.10 82, 47 bytes",
                "no_connection 6: 10.0.1.100 4001 > 10.0.1.10 80, 47 bytes",
                "icmp_related 1: 10.0.1.100 4000 > 10.0.1.10 80 via 10.0.2.11 8080, 56 bytes",
                "not_balanced 47: 10.0.1.100 0 > 10.0.1.10 0, 23 bytes",
                "malformed",
            ]
        );
        assert!(events.iter().all(|event| event.hook == hook::TC));
        let conns: Vec<_> = events.iter().map(|event| event.conn).collect();
        assert!(conns[0] != 0 && conns[..3] == [conns[0]; 3] && conns[7] == conns[0], "{conns:?}");
        assert!(conns[3] != conns[0] && conns[4..7] == [0; 3], "{conns:?}");
        assert_eq!((events[7].about, events[0].about), (6, 0));
        let slack = Duration::from_secs(1);
        for event in &events {
            let at = wall_clock(event);
            assert!(at + slack >= before && at <= SystemTime::now() + slack);
        }
        assert!(events.is_sorted_by_key(|event| event.time));
        assert_eq!(tracing.lost().unwrap(), 0);
    });
}

#[test]
fn nothing_is_told_while_nobody_watches() {
    in_namespace(|| {
        let director = director();
        send(&director, &syn(4000, 80));
        let mut tracing = director.trace(&Filter::default(), 1).unwrap();
        assert_eq!(told(&mut tracing), []);
        send(&director, &syn(4001, 80));
        drop(tracing);
        send(&director, &syn(4002, 80));
        let mut tracing = director.trace(&Filter::default(), 1).unwrap();
        assert_eq!(told(&mut tracing), [], "what was sent between two watches, or left by the first");
        send(&director, &syn(4003, 80));
        assert_eq!(told(&mut tracing).len(), 1);
    });
}

#[test]
fn one_watches_at_a_time() {
    in_namespace(|| {
        let director = director();
        let tracing = director.trace(&Filter::default(), 1).unwrap();
        let error = director.trace(&Filter::default(), 1).unwrap_err();
        assert!(error.to_string().contains("another `rvs trace`"), "{error}");
        drop(tracing);
        director.trace(&Filter::default(), 1).unwrap();
    });
}

/// Whether events come or not, a reader hears when it is to stop, and when its time is up.
#[test]
fn a_reader_can_be_stopped() {
    in_namespace(|| {
        let director = director();
        // Not what the host's own interfaces say when they come up.
        let mut tracing = director.trace(&Filter { port: Some(4000), ..Filter::default() }, 1).unwrap();
        let (stop, mut stopper) = std::io::pipe().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(tracing.next(Some(soon), Some(stop.as_fd())).unwrap(), None);
        assert!(Instant::now() >= soon && !tracing.is_stopped(stop.as_fd()).unwrap());
        std::thread::scope(|scope| {
            let stopper = scope.spawn(move || {
                stopper.write_all(b"!").unwrap();
                stopper
            });
            assert_eq!(tracing.next(None, Some(stop.as_fd())).unwrap(), None);
            drop(stopper.join().unwrap());
        });
        send(&director, &syn(4000, 80));
        assert!(tracing.is_stopped(stop.as_fd()).unwrap(), "although there is an event");
        assert!(tracing.ready().is_some());
    });
}

/// The reader is killed: nobody renews and nobody turns it off.
#[test]
fn the_programs_stop_by_themselves() {
    in_namespace(|| {
        let director = director();
        let tracing = director.trace(&Filter::default(), 1).unwrap();
        // Neither read nor dropped, as if the process were dead. Nobody empties the ring: once it is full, each event that
        // the programs still make is counted as lost.
        let full = 256 * 1024 / 88 + 1;
        director.test_run(Hook::Tc, &to_loopback(&syn(4000, 80)), full).unwrap();
        let lost = tracing.lost().unwrap();
        assert!(lost > 0, "the ring holds {full} events");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let before = tracing.lost().unwrap();
            send(&director, &syn(4000, 80));
            if tracing.lost().unwrap() == before {
                break;
            }
            assert!(Instant::now() < deadline, "still told after 20 seconds");
            std::thread::sleep(Duration::from_millis(50));
        }
        let quiet = tracing.lost().unwrap();
        send(&director, &syn(4001, 80));
        assert_eq!(tracing.lost().unwrap(), quiet);
    });
}

#[test]
fn lost_events_are_counted_and_the_others_read() {
    in_namespace(|| {
        let director = director();
        let mut tracing = director.trace(&Filter::default(), 1).unwrap();
        director.test_run(Hook::Tc, &to_loopback(&syn(4000, 80)), 5000).unwrap();
        let (events, lost) = (told(&mut tracing).len() as u64, tracing.lost().unwrap());
        assert!(lost > 0, "{events} events fit");
        assert_eq!(events + lost, 5000);
        send(&director, &syn(4001, 80));
        assert_eq!(told(&mut tracing).len(), 1, "there is room again");
    });
}

#[test]
fn samples_and_filters() {
    in_namespace(|| {
        let director = director();
        let told_of = |filter: Filter, sample: u32| {
            let mut tracing = director.trace(&filter, sample).unwrap();
            for n in 0..10 {
                send(&director, &syn(5000 + n, 80));
                send(&director, &syn(6000, 82));
            }
            told(&mut tracing).len()
        };
        let all = Filter::default();
        assert_eq!(told_of(all, 1), 20);
        assert_eq!(told_of(Filter { port: Some(80), ..all }, 1), 10);
        assert_eq!(told_of(Filter { port: Some(5003), ..all }, 1), 1);
        assert_eq!(told_of(Filter { host: Some(SERVER.into()), ..all }, 1), 10);
        assert_eq!(told_of(Filter { host: Some(CLIENT6.into()), ..all }, 1), 0);
        assert_eq!(told_of(Filter { reason: Some(Reason::NoService), ..all }, 1), 10);
        assert_eq!(told_of(Filter { service: Some((VIP.into(), 82)), ..all }, 1), 10);
        assert_eq!(told_of(Filter { service: Some((VIP.into(), 0)), port: Some(80), ..all }, 1), 10);
        // Each CPU counts for itself, and goes on where the last watch ended.
        let cpus = std::thread::available_parallelism().unwrap().get();
        let some = told_of(Filter { port: Some(80), ..all }, 5);
        assert!((1..=2 + cpus).contains(&some), "{some} of 10");
    });
}

#[test]
fn xdp_tells_too_and_what_it_leaves_is_told_of_by_tc() {
    in_namespace(|| {
        let mut director = director();
        director.attach("v0", Mode::Xdp).unwrap();
        let mut tracing = director.trace(&Filter::default(), 1).unwrap();
        let frame = frames::tcp((CLIENT, 4000), (VIP, 80), SYN, &Shape::default());
        director.test_run_xdp("v0", &frame).unwrap();
        assert_eq!(told(&mut tracing), [], "left to TC, for the next hop is not known yet");
        send(&director, &frame);
        // Twice: the first finds the neighbour out.
        send(&director, &frame);
        assert!(told(&mut tracing).iter().all(|event| event.hook == hook::TC));
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            send(&director, &frame);
            told(&mut tracing);
            director.test_run_xdp("v0", &frame).unwrap();
            match &told(&mut tracing)[..] {
                [event] => {
                    assert_eq!((event.hook, line(event).split(' ').next()), (hook::XDP, Some("nat_in")));
                    break;
                }
                events => assert!(events.is_empty() && Instant::now() < deadline, "{events:?}"),
            }
        }
        drop(tracing);
        let mut tracing = director.trace(&Filter { reason: Some(Reason::Deferred), ..Filter::default() }, 1).unwrap();
        director.test_run_xdp("v0", &syn(4000, 81)).unwrap();
        assert_eq!(told(&mut tracing).iter().map(|event| event.hook).collect::<Vec<_>>(), [hook::XDP]);
    });
}
