//! What is explained against what happens: first the explanation, which must change nothing, then the packet itself, which must
//! end for the reason that was told and go where it was told.
#![allow(missing_docs, clippy::unwrap_used)] // A test may panic.

mod common;

use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use common::{SMALL, in_namespace, ip, streets, to_loopback};
use rvs_core::abi::{self, Forward, MARK_RANGES, MarkRule, ServiceKey, flags};
use rvs_core::frames::{self, Shape};
use rvs_core::sched::Kind;
use rvs_core::verdict::Reason;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::explain::{Explanation, Query, Step};
use rvs_dataplane::kernel::{Director, Hook};
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 10));
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10));

fn client(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 1, 100 + n).into()
}

fn client6(n: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 1, 0x64 + n).into()
}

fn server(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 2, 10 + n).into()
}

fn server6(n: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x10 + n).into()
}

fn key(vip: IpAddr, proto: u8, port: u16) -> ServiceKey {
    let (addr, family) = Addr::from_ip(vip);
    ServiceKey { addr, port: Be16::new(port), proto, family: family.raw() }
}

fn add(key: ServiceKey, sched: &str, persist_secs: u32) -> Edit {
    let flags = if persist_secs == 0 { 0 } else { flags::PERSISTENT };
    let netmask = Addr::v6([u32::MAX; 4]);
    Edit::AddService(ServiceSettings { key, sched: sched.into(), flags, persist_secs, netmask, engine: None })
}

/// A real server with a port, weight, forwarding method and upper threshold.
fn with(key: ServiceKey, server: IpAddr, port: u16, weight: i32, forward: Forward, u_threshold: u32) -> Edit {
    let (addr, family) = Addr::from_ip(server);
    let dest = Dest {
        addr,
        family,
        port: Be16::new(port),
        forward,
        weight,
        last_weight: weight,
        u_threshold,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    };
    Edit::AddDest(key, dest)
}

fn nat(key: ServiceKey, server: IpAddr, weight: i32) -> Edit {
    with(key, server, 8080, weight, Forward::Masq, 0)
}

/// One map, value by value.
fn bytes<const N: usize>(dir: &Path, name: &str) -> Vec<[u8; N]> {
    let data = MapData::from_pin(dir.join(name)).unwrap();
    Array::<_, [u8; N]>::try_from(Map::Array(data)).unwrap().iter().map(Result::unwrap).collect()
}

fn cpu_bytes<const N: usize>(dir: &Path, name: &str) -> Vec<Vec<[u8; N]>> {
    let data = MapData::from_pin(dir.join(name)).unwrap();
    let map = PerCpuArray::<_, [u8; N]>::try_from(Map::PerCpuArray(data)).unwrap();
    map.iter().map(|value| value.unwrap().iter().copied().collect()).collect()
}

fn hash_bytes<const N: usize>(dir: &Path, name: &str) -> Vec<u8> {
    let data = MapData::from_pin(dir.join(name)).unwrap();
    let map = HashMap::<_, [u8; size_of::<abi::CacheKey>()], [u8; N]>::try_from(Map::HashMap(data)).unwrap();
    let sorted: BTreeMap<_, _> = map.iter().map(Result::unwrap).collect();
    sorted.into_iter().flat_map(|(key, value)| key.into_iter().chain(value)).collect()
}

/// The bytes of all that decisions read and write, but for what the timers write.
fn tables(director: &Director) -> BTreeMap<&'static str, Vec<u8>> {
    let pin = director.program_pin(Hook::Tc);
    let dir = pin.parent().unwrap();
    let mut control = bytes::<{ size_of::<abi::Control>() }>(dir, "CONTROL");
    for word in [
        offset_of!(abi::Control, ticks),
        offset_of!(abi::Control, defence),
        offset_of!(abi::Control, drop_rate),
        offset_of!(abi::Control, cache_round),
    ] {
        control[0][word..][..4].fill(0);
    }
    BTreeMap::from([
        ("CONTROL", control.concat()),
        ("SERVICES", bytes::<{ size_of::<abi::Service>() }>(dir, "SERVICES").concat()),
        ("LISTS", bytes::<{ size_of::<abi::ListEntry>() }>(dir, "LISTS").concat()),
        ("DESTS", bytes::<{ size_of::<abi::Dest>() }>(dir, "DESTS").concat()),
        ("CONNS", bytes::<{ size_of::<abi::Conn>() }>(dir, "CONNS").concat()),
        ("BUCKETS", bytes::<{ size_of::<abi::Bucket>() }>(dir, "BUCKETS").concat()),
        ("SHARDS", bytes::<{ size_of::<abi::Shard>() }>(dir, "SHARDS").concat()),
        ("FREE", bytes::<4>(dir, "FREE").concat()),
        ("EMBRYOS", bytes::<8>(dir, "EMBRYOS").concat()),
        ("TABLES", bytes::<{ size_of::<abi::TableRow>() }>(dir, "TABLES").concat()),
        ("BLOCKS", bytes::<{ size_of::<abi::Block>() }>(dir, "BLOCKS").concat()),
        ("LBLC", hash_bytes::<{ size_of::<abi::Locality>() }>(dir, "LBLC")),
        ("LBLCR", hash_bytes::<{ size_of::<abi::Replicas>() }>(dir, "LBLCR")),
        ("SCHED", bytes::<{ size_of::<abi::SchedCell>() }>(dir, "SCHED").concat()),
        ("MARK_RULES", bytes::<{ size_of::<abi::MarkRule>() }>(dir, "MARK_RULES").concat()),
        ("STATS_SERVICE", cpu_bytes::<40>(dir, "STATS_SERVICE").concat().concat()),
        ("STATS_DEST", cpu_bytes::<40>(dir, "STATS_DEST").concat().concat()),
    ])
}

/// Packets so far by reason, without those that hosts send among themselves.
fn reasons(director: &Director) -> BTreeMap<&'static str, u64> {
    let all = director.reasons().unwrap().into_iter();
    all.filter(|(reason, _)| !matches!(reason, Reason::NotForUs | Reason::NotIp))
        .map(|(reason, count)| (reason.label(), count))
        .collect()
}

/// A packet of a client, from and to these ports.
fn query(proto: u8, from: (IpAddr, u16), to: (IpAddr, u16), tcp_flags: u8) -> Query {
    Query { client: (from.0, Some(from.1)), service: (to.0, Some(to.1)), proto, mark: 0, tcp_flags }
}

fn syn(from: (IpAddr, u16), to: (IpAddr, u16)) -> Query {
    query(proto::TCP, from, to, SYN)
}

fn frame(query: &Query) -> Vec<u8> {
    let (from, to) = ((query.client.0, query.client.1.unwrap()), (query.service.0, query.service.1.unwrap()));
    let shape = Shape { payload: Vec::new(), ..Shape::default() };
    match query.proto {
        proto::TCP => frames::tcp(from, to, query.tcp_flags, &shape),
        proto::UDP => frames::udp(from, to, &shape),
        _ => frames::sctp(from, to, 1, &shape),
    }
}

/// Explains a packet, and checks that this changed nothing.
fn explain(director: &Director, query: &Query) -> Explanation {
    let before = tables(director);
    let told = director.explain(query).unwrap();
    for (name, bytes) in tables(director) {
        assert!(bytes == before[name], "{query:?} changed {name}");
    }
    told
}

/// Explains a packet, sends it, checks that what was told came true.
fn agree(director: &mut Director, query: &Query) -> Explanation {
    let told = explain(director, query);
    let again = director.explain(query).unwrap();
    assert_eq!((again.reason, again.destination), (told.reason, told.destination.clone()), "nothing has happened");
    let counted = reasons(director);
    director.test_run(Hook::Tc, &to_loopback(&frame(query)), 1).unwrap();
    let grown: Vec<_> = reasons(director).into_iter().filter(|(name, count)| counted[name] != *count).collect();
    assert_eq!(grown.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [told.reason], "{query:?} {told:#?}");
    if let Some(destination) = &told.destination
        && destination.seen_from.is_none()
    {
        let (addr, family) = Addr::from_ip(query.client.0);
        let ours = (addr, Be16::new(query.client.1.unwrap()));
        let connections = director.connections().unwrap();
        let of = |c: &&rvs_intent::Connection| {
            !c.template && c.client == ours && c.virt.1.host() == query.service.1.unwrap() && c.family == family
        };
        let it = connections.iter().find(of).unwrap_or_else(|| panic!("{query:?}: no connection"));
        let went = (it.dest.0.to_ip(it.dest_family), it.dest.1.host());
        assert_eq!(went, (destination.address.0.ip(), destination.address.0.port()), "{query:?} {told:#?}");
    }
    told
}

fn to(told: &Explanation) -> String {
    told.destination.as_ref().map_or(String::new(), |at| format!("{} by {}", at.address, at.method))
}

fn director(edits: &[Edit]) -> Director {
    streets();
    let mut director = Director::open_with(&SMALL).unwrap();
    director.update(edits).unwrap();
    director
}

#[test]
fn every_scheduler() {
    in_namespace(|| {
        let mut edits = Vec::new();
        for (kind, port) in Kind::ALL.into_iter().zip(1000..) {
            let key = key(VIP, proto::TCP, port);
            edits.push(add(key, kind.name(), 0));
            edits.extend((1..=3).map(|n| nat(key, server(n), i32::from(n))));
        }
        let mut director = director(&edits);
        for (kind, port) in Kind::ALL.into_iter().zip(1000..) {
            for n in 0..8 {
                let from = (client(n), 5000 + u16::from(n));
                let told = if kind == Kind::Twos {
                    // Nobody knows what chance will do.
                    explain(&director, &syn(from, (VIP, port)))
                } else {
                    agree(&mut director, &syn(from, (VIP, port)))
                };
                assert_eq!((told.outcome, told.reason), ("forwarded", "nat_in"), "{}", kind.name());
                let all = told.steps.iter().find_map(|step| match step {
                    Step::Schedule { scheduler, at_random, candidates, chosen } => {
                        assert_eq!(*at_random, kind == Kind::Twos);
                        Some((*scheduler, candidates.clone(), *chosen))
                    }
                    _ => None,
                });
                let (scheduler, candidates, chosen) = all.unwrap();
                assert_eq!((scheduler, candidates.len()), (kind.name(), 3));
                let which: Vec<_> = candidates.iter().filter(|c| c.chosen).map(|c| c.server).collect();
                assert_eq!(which, Vec::from_iter(chosen));
                // Some end again, so that inactive ones count too.
                if n % 3 == 0 && kind != Kind::Twos {
                    agree(&mut director, &query(proto::TCP, from, (VIP, port), FIN | ACK));
                }
            }
        }
    });
}

#[test]
fn every_way_of_forwarding_and_protocol_in_both_families() {
    in_namespace(|| {
        let mut edits = Vec::new();
        let methods = [Forward::Masq, Forward::Route, Forward::Tunnel];
        for (vip, server) in [(VIP, server(1)), (VIP6, server6(1))] {
            for (forward, port) in methods.into_iter().zip(80..) {
                for proto in [proto::TCP, proto::UDP, proto::SCTP] {
                    let key = key(vip, proto, port);
                    let inside = if forward == Forward::Masq { port + 8000 } else { port };
                    edits.extend([add(key, "rr", 0), with(key, server, inside, 1, forward, 0)]);
                }
            }
        }
        let mut director = director(&edits);
        for (vip, client, server) in [(VIP, client(0), server(1)), (VIP6, client6(0), server6(1))] {
            let at = |port: u16| std::net::SocketAddr::new(server, port);
            for (proto, flags) in [(proto::TCP, SYN), (proto::UDP, 0), (proto::SCTP, 0)] {
                let mut goes = |port| to(&agree(&mut director, &query(proto, (client, 5000), (vip, port), flags)));
                assert_eq!(goes(80), format!("{} by NAT", at(8080)));
                assert_eq!(goes(81), format!("{} by direct routing", at(81)));
                assert_eq!(goes(82), format!("{} by tunnel", at(82)));
                assert_eq!(goes(83), "", "no service");
            }
        }
        let told = director.explain(&syn((client(0), 6000), (VIP, 82))).unwrap();
        let way = told.steps.iter().find_map(|step| match step {
            Step::Way { interface, mtu, inner_mtu, .. } => Some((interface.clone(), *mtu, *inner_mtu)),
            _ => None,
        });
        assert_eq!(way, Some(("v0".to_owned(), 1500, Some(1480))));
    });
}

#[test]
fn a_connection_all_along() {
    in_namespace(|| {
        let service = key(VIP, proto::TCP, 80);
        let mut director = director(&[add(service, "rr", 0), nat(service, server(1), 1), nat(service, server(2), 1)]);
        let (from, vip) = ((client(0), 5000), (VIP, 80));
        assert_eq!(agree(&mut director, &query(proto::TCP, from, vip, ACK)).reason, "no_connection");
        let first = agree(&mut director, &syn(from, vip));
        assert_eq!(to(&first), "10.0.2.12:8080 by NAT");
        let reply = agree(&mut director, &query(proto::TCP, (server(2), 8080), from, SYN | ACK));
        let reply_to = reply.destination.unwrap();
        assert_eq!((reply.reason, reply_to.address.to_string()), ("nat_out", "10.0.1.100:5000".to_owned()));
        assert_eq!(reply_to.seen_from.unwrap().to_string(), "10.0.1.10:80");
        let known = agree(&mut director, &query(proto::TCP, from, vip, ACK));
        let text: Vec<_> = known.steps.iter().map(Step::to_string).collect();
        assert!(text[0].starts_with("a packet of a connection in state SYN_RECV, which expires in "), "{text:?}");
        assert!(text[0].ends_with("its real server is 10.0.2.12:8080"), "{text:?}");
        assert_eq!(to(&known), to(&first), "although it is another's turn");
        agree(&mut director, &query(proto::TCP, from, vip, RST));
        let again = agree(&mut director, &syn(from, vip));
        assert_eq!(again.steps[0], Step::ConnectionOver { expired: false });
        assert_eq!(to(&again), "10.0.2.11:8080 by NAT");
        director.update(&[Edit::DeleteDest(service, server_addr(1), Be16::new(8080))]).unwrap();
        let gone = agree(&mut director, &query(proto::TCP, from, vip, ACK));
        assert_eq!((gone.outcome, gone.reason), ("dropped", "dest_gone"));
    });
}

fn server_addr(n: u8) -> Addr {
    Addr::from_ip(server(n)).0
}

#[test]
fn thresholds_quiescence_and_nobody() {
    in_namespace(|| {
        let (few, quiet, none) = (key(VIP, proto::TCP, 80), key(VIP, proto::TCP, 81), key(VIP, proto::TCP, 82));
        let mut director = director(&[
            add(few, "rr", 0),
            with(few, server(1), 80, 1, Forward::Masq, 2),
            with(few, server(2), 80, 1, Forward::Masq, 1),
            add(quiet, "wlc", 0),
            nat(quiet, server(1), 0),
            nat(quiet, server(2), 5),
            add(none, "rr", 0),
        ]);
        let goes: Vec<_> = (0..4).map(|n| to(&agree(&mut director, &syn((client(0), 5000 + n), (VIP, 80))))).collect();
        assert_eq!(goes, ["10.0.2.12:80 by NAT", "10.0.2.11:80 by NAT", "10.0.2.11:80 by NAT", ""]);
        let full = director.explain(&syn((client(0), 5009), (VIP, 80))).unwrap();
        assert_eq!((full.outcome, full.reason), ("answered", "no_destination"));
        let text = lines(&full);
        assert!(
            text.contains("10.0.2.12:80: weight 1, 1 active, 0 inactive: skipped, overloaded (upper threshold 1)"),
            "{text}"
        );
        let told = agree(&mut director, &syn((client(0), 5000), (VIP, 81)));
        assert_eq!(to(&told), "10.0.2.12:8080 by NAT");
        let text = lines(&told);
        assert!(
            text.contains("10.0.2.11:8080: weight 0, 0 active, 0 inactive, load 0/0: skipped, quiesced by weight 0"),
            "{text}"
        );
        let told = agree(&mut director, &syn((client(0), 5000), (VIP, 82)));
        assert_eq!((told.outcome, told.reason), ("answered", "no_destination"));
        assert!(lines(&told).contains("rr has no real servers to choose from"));
        let told = agree(&mut director, &syn((client(0), 5000), (VIP, 83)));
        assert_eq!((told.outcome, told.reason), ("passed", "no_service"));
        assert!(
            lines(&told)
                .contains("there is no service TCP 10.0.1.10:83\nthere is no service TCP 10.0.1.10 on all ports")
        );
    });
}

/// The steps as text, one a line, candidates below their step.
fn lines(told: &Explanation) -> String {
    let mut text = String::new();
    for step in &told.steps {
        text += &format!("{step}\n");
        if let Step::Schedule { candidates, .. } = step {
            text.extend(candidates.iter().map(|candidate| format!("{candidate}\n")));
        }
    }
    text
}

#[test]
fn persistence_and_marks() {
    in_namespace(|| {
        let port = key(VIP, proto::TCP, 80);
        let all = key(VIP6, proto::TCP, 0);
        let mark = ServiceKey { addr: Addr::mark(7), port: Be16::ZERO, proto: 0, family: Family::V4.raw() };
        let sticky = ServiceKey { addr: Addr::mark(8), ..mark };
        let mut edits = vec![add(port, "rr", 300), add(all, "rr", 300), add(mark, "rr", 0), add(sticky, "rr", 300)];
        for n in 1..=2 {
            edits.push(nat(port, server(n), 1));
            edits.push(with(all, server6(u16::from(n)), 0, 1, Forward::Masq, 0));
            edits.push(with(mark, server(n), 0, 1, Forward::Route, 0));
            edits.push(with(sticky, server(n), 0, 1, Forward::Route, 0));
        }
        let mut director = director(&edits);
        let rule = |dport, mark| MarkRule {
            dst: Addr::from_ip(VIP).0,
            dst_mask: Addr::v6([u32::MAX; 4]),
            ports: std::array::from_fn::<_, MARK_RANGES, _>(|n| if n == 0 { [dport, dport] } else { [0, 0] }),
            mark,
            family: Family::V4.raw(),
            ..MarkRule::default()
        };
        let add_rules = |rules: &mut Vec<MarkRule>| {
            rules.extend([rule(90, 7), rule(91, 8)]);
            Ok(())
        };
        director.change_mark_rules(add_rules).unwrap();

        let first = agree(&mut director, &syn((client(0), 5000), (VIP, 80)));
        assert!(lines(&first).contains("10.0.1.100 would get a persistence template for 300 s"), "{}", lines(&first));
        let second = agree(&mut director, &syn((client(0), 5001), (VIP, 80)));
        assert!(lines(&second).contains("10.0.1.100 has a persistence template for 10.0.2.12:"), "{}", lines(&second));
        assert_eq!(to(&first), to(&second));
        assert_ne!(to(&agree(&mut director, &syn((client(1), 5000), (VIP, 80)))), to(&first), "another client");
        director.update(&[Edit::DeleteDest(port, server_addr(2), Be16::new(8080))]).unwrap();
        let third = agree(&mut director, &syn((client(0), 5002), (VIP, 80)));
        assert_eq!(to(&third), "10.0.2.11:8080 by NAT");
        assert!(lines(&third).contains("but that server was deleted"), "{}", lines(&third));

        let first = agree(&mut director, &syn((client6(0), 5000), (VIP6, 443)));
        let second = agree(&mut director, &syn((client6(0), 5000), (VIP6, 22)));
        assert_eq!(to(&first), "[fd00:2::12]:443 by NAT");
        assert_eq!(to(&second), "[fd00:2::12]:22 by NAT");

        let by_rule: Vec<_> = (0..2).map(|n| agree(&mut director, &syn((client(0), 5000 + n), (VIP, 90)))).collect();
        assert!(lines(&by_rule[0]).contains("rule 1 of `rvs mark list` marks it with 7\nservice mark 7: scheduler rr"));
        assert_eq!(to(&by_rule[0]), "10.0.2.12:90 by direct routing");
        assert_eq!(to(&by_rule[1]), "10.0.2.11:90 by direct routing");
        let sticky: Vec<_> =
            (0..2).map(|n| to(&agree(&mut director, &syn((client(0), 5000 + n), (VIP, 91))))).collect();
        assert_eq!(sticky[0], sticky[1]);
        let brought = Query { mark: 7, ..syn((client(3), 5000), (VIP, 99)) };
        assert_eq!(to(&director.explain(&brought).unwrap()), "10.0.2.12:99 by direct routing", "the third turn");
        assert_eq!(director.explain(&Query { mark: 0, ..brought }).unwrap().reason, "no_service");
    });
}

#[test]
fn the_way_out() {
    in_namespace(|| {
        let service = key(VIP, proto::TCP, 80);
        let away = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
        let other = key(VIP, proto::TCP, 81);
        let mut director =
            director(&[add(service, "rr", 0), nat(service, server(1), 1), add(other, "rr", 0), nat(other, away, 1)]);
        let told = agree(&mut director, &syn((client(0), 5000), (VIP, 81)));
        assert_eq!((told.outcome, told.reason), ("dropped", "no_route"), "{}", lines(&told));
        assert!(lines(&told).contains("the host has no route to 192.0.2.9"));
        ip("route add 192.0.2.0/24 via 10.0.2.12");
        let told = agree(&mut director, &syn((client(0), 5001), (VIP, 81)));
        assert_eq!(told.reason, "nat_in");
        assert!(lines(&told).contains("out of v0 through 10.0.2.12, MTU 1500"), "{}", lines(&told));

        // A real server that is this host itself.
        let (here, near, far) = (key(VIP, proto::TCP, 82), key(VIP, proto::TCP, 83), key(VIP, proto::TCP, 84));
        let own = IpAddr::from([10, 0, 2, 1]);
        let edits = [
            add(here, "rr", 0),
            with(here, own, 82, 1, Forward::Route, 0),
            add(near, "rr", 0),
            with(near, server(3), 83, 1, Forward::Route, 0),
            add(far, "rr", 0),
            with(far, IpAddr::from([198, 51, 100, 9]), 84, 1, Forward::Tunnel, 0),
        ];
        director.update(&edits).unwrap();
        let told = agree(&mut director, &syn((client(0), 5002), (VIP, 82)));
        assert_eq!((told.outcome, told.reason, to(&told)), ("passed", "local_node", "10.0.2.1:82 by local".to_owned()));

        // A host that does not forward: real servers are reached by the way that was found when they were configured.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let told = agree(&mut director, &syn((client(0), 5003), (VIP, 83)));
        assert_eq!(to(&told), "10.0.2.13:83 by direct routing");
        assert!(lines(&told).contains("this host does not forward"), "{}", lines(&told));
        assert_eq!(agree(&mut director, &syn((client(0), 5004), (VIP, 84))).reason, "no_route");
    });
}

#[test]
fn ports_that_are_not_given() {
    in_namespace(|| {
        let (web, dns) = (key(VIP, proto::TCP, 8443), key(VIP, proto::UDP, 53));
        let mut director = director(&[add(web, "rr", 0), nat(web, server(1), 1), add(dns, "rr", 0)]);
        let told = director.explain(&Query::syn((client(0), None), (VIP, None))).unwrap();
        assert_eq!((told.to.to_string(), told.reason), ("10.0.1.10:8443".to_owned(), "nat_in"));
        assert_eq!(told.from.0.port(), 40_000);
        director.update(&[add(key(VIP, proto::TCP, 80), "rr", 0)]).unwrap();
        let error = director.explain(&Query::syn((client(0), None), (VIP, None))).unwrap_err().to_string();
        assert!(error.contains("several ports (80, 8443)"), "{error}");
        let mixed = director.explain(&Query::syn((client6(0), None), (VIP, Some(80)))).unwrap_err().to_string();
        assert!(mixed.contains("different families"), "{mixed}");
    });
}

/// Where there is no room for a connection, the explanation knows.
#[test]
fn a_full_table() {
    in_namespace(|| {
        let service = key(VIP, proto::UDP, 53);
        let mut director = director(&[add(service, "rr", 0), nat(service, server(1), 1)]);
        for n in 0..1100u16 {
            let ask = query(proto::UDP, (client(0), 2000 + n), (VIP, 53), 0);
            let told = director.explain(&ask).unwrap();
            if told.reason != "nat_in" {
                let told = agree(&mut director, &ask);
                assert_eq!((told.outcome, told.reason), ("dropped", "table_full"));
                return;
            }
            director.test_run(Hook::Tc, &to_loopback(&frame(&ask)), 1).unwrap();
        }
        panic!("1100 connections in a table of 1024");
    });
}
