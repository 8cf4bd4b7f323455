//! What this host sends itself: answers of real servers on it, and health checks by virtual services. The programs in the kernel
//! against the same core in memory, byte for byte.
#![allow(missing_docs, clippy::unwrap_used)] // A test may panic.

mod common;

use common::{in_namespace, streets, to_loopback};
use rvs_core::abi::{Forward, ServiceKey, conn_flags};
use rvs_core::frames::{self, Shape};
use rvs_core::model::{Model, Server};
use rvs_core::probe;
use rvs_core::sched::Kind;
use rvs_core::verdict::Reason;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::probes::Probe;
use rvs_dataplane::kernel::{Director, Hook};
use rvs_dataplane::limits::Limits;
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel, TunnelKind};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, RST, SYN};
use rvs_wire::{Addr, Be16, Family};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Makes a frame from one end to another.
type Maker = fn((IpAddr, u16), (IpAddr, u16), &Shape) -> Vec<u8>;

const LIMITS: Limits = Limits { conns: 1024, services: 64, dests: 512 };
const UNCHANGED: u32 = u32::MAX;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addr(addr: IpAddr) -> Addr {
    Addr::from_ip(addr).0
}

/// Client, virtual address, the director's own addresses: the one behind and the one in front.
struct Street {
    family: Family,
    client: IpAddr,
    vip: IpAddr,
    back: IpAddr,
    front: IpAddr,
    server: IpAddr,
}

fn street(family: Family) -> Street {
    let (client, vip, back, front, server) = match family {
        Family::V4 => ("10.0.1.100", "10.0.1.10", "10.0.2.1", "10.0.1.1", "10.0.2.11"),
        Family::V6 => ("fd00:1::1:64", "fd00:1::10", "fd00:2::1", "fd00:1::1", "fd00:2::11"),
    };
    Street { family, client: ip(client), vip: ip(vip), back: ip(back), front: ip(front), server: ip(server) }
}

fn key(street: &Street, proto: u8, port: u16) -> ServiceKey {
    ServiceKey { addr: addr(street.vip), port: Be16::new(port), proto, family: street.family.raw() }
}

/// Adds a service with one server to both directors.
fn serve(director: &mut Director, model: &mut Model, key: ServiceKey, server: (IpAddr, u16), forward: Forward) {
    let (to, family) = Addr::from_ip(server.0);
    let netmask =
        if family == Family::V4 { Addr::from(std::net::Ipv4Addr::BROADCAST) } else { Addr::v6([u32::MAX; 4]) };
    let settings = ServiceSettings { key, sched: "rr".into(), flags: 0, persist_secs: 0, netmask, engine: None };
    // What is on the director is found out there.
    let configured = if forward == Forward::Local { Forward::Masq } else { forward };
    let dest = Dest { forward: configured, weight: 1, ..Dest::new(to, family, Be16::new(server.1)) };
    director.update(&[Edit::AddService(settings), Edit::AddDest(key, dest)]).unwrap();
    let server = Server { addr: to, port: server.1, forward, family: family.raw(), ..Server::default() };
    model.add_service(key, Kind::Rr, 0, 0, &[server]);
}

/// Runs a frame that comes in through both; the reason in memory and the code of the program, after comparing bytes.
fn comes(director: &Director, model: &Model, frame: &[u8]) -> (Reason, u32) {
    let (reason, out) = model.packet(frame);
    let run = director.test_run(Hook::Tc, &to_loopback(frame), 1).unwrap();
    if let Some(out) = out {
        assert_eq!(run.packet[14..], out[14..], "{reason:?}");
        assert!(is_piece(&out) || frames::is_sound(&out), "{reason:?}");
    } else if run.code == UNCHANGED {
        assert_eq!(run.packet[14..], frame[14..], "{reason:?}");
    }
    (reason, run.code)
}

/// Runs a frame that leaves through both; what it is like then, `None` when nobody changes it.
fn leaves(director: &Director, model: &Model, mark: u32, frame: &[u8]) -> Option<Vec<u8>> {
    let (reason, out) = model.sent(frame, mark);
    let run = director.test_run_marked(Hook::Out, mark, frame).unwrap();
    assert_eq!(run.code, UNCHANGED, "{reason:?}");
    let wanted = out.clone().unwrap_or_else(|| frame.to_vec());
    assert_eq!(run.packet[14..], wanted[14..], "{reason:?}");
    out.inspect(|out| assert!(is_piece(out) || frames::is_sound(out), "{reason:?}"))
}

/// Whether a frame holds a piece of a packet, whose checksum is of the whole.
fn is_piece(frame: &[u8]) -> bool {
    if frame[12] == 8 { (frame[20] & 0x3f, frame[21]) != (0, 0) } else { frame[20] == 44 }
}

/// A datagram with this payload in pieces of 1024 bytes.
fn pieces(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8], id: u16) -> Vec<Vec<u8>> {
    let whole = frames::udp(from, to, &Shape { payload: payload.into(), ..Shape::default() });
    let datagram = &whole[if from.0.is_ipv4() { 34 } else { 54 }..];
    let count = datagram.len().div_ceil(1024);
    let piece = |(n, chunk): (usize, &[u8])| {
        let (at, more) = (n as u16 * 1024, n + 1 < count);
        let shape = if from.0.is_ipv4() {
            Shape { frag: (at / 8) | if more { 0x2000 } else { 0 }, id, ..Shape::default() }
        } else {
            let [high, low] = at.to_be_bytes();
            let [a, b] = id.to_be_bytes();
            Shape { extensions: vec![(44, vec![0, high, low | more as u8, 0, 0, a, b])], ..Shape::default() }
        };
        frames::ip(from.0, to.0, proto::UDP, chunk, &shape)
    };
    datagram.chunks(1024).enumerate().map(piece).collect()
}

/// "Port unreachable" about the packet in a frame.
fn unreachable(from: IpAddr, to: IpAddr, about: &[u8]) -> Vec<u8> {
    let (kind, code) = if from.is_ipv4() { (3, 3) } else { (1, 4) };
    frames::icmp_error(from, to, kind, code, &about[14..], 1000)
}

/// A frame with the checksums of the ICMP message and of the quoted datagram from another: the latter is left as it was, as IPVS
/// leaves it.
fn with_sums_of(other: &[u8], mut frame: Vec<u8>) -> Vec<u8> {
    let ip = if frame[12] == 8 { 20 } else { 40 };
    for at in [14 + ip + 2, 14 + ip + 8 + ip + 6] {
        frame[at..at + 2].copy_from_slice(&other[at..at + 2]);
    }
    frame
}

fn counted(director: &Director, wanted: Reason) -> u64 {
    director.reasons().unwrap().into_iter().find(|(reason, _)| *reason == wanted).unwrap().1
}

#[test]
fn answers_of_servers_on_this_host_come_from_the_service() {
    in_namespace(|| {
        streets();
        let (mut director, mut model) = (Director::open_with(&LIMITS).unwrap(), Model::new(1024));
        for family in [Family::V4, Family::V6] {
            let s = street(family);
            serve(&mut director, &mut model, key(&s, proto::UDP, 53), (s.back, 5353), Forward::Local);
            let _server = UdpSocket::bind(SocketAddr::new(s.back, 5353)).unwrap();
            let shape = Shape { payload: "question".into(), ..Shape::default() };
            // Before anybody asked, what leaves is left alone.
            let answer = |from: IpAddr, port: u16, to: u16| frames::udp((from, port), (s.client, to), &shape);
            assert_eq!(leaves(&director, &model, 0, &answer(s.back, 5353, 4000)), None);
            let question = frames::udp((s.client, 4000), (s.vip, 53), &shape);
            assert_eq!(comes(&director, &model, &question), (Reason::LocalNode, UNCHANGED));
            // From whatever address it answers, and by whatever checksum.
            let wanted = frames::udp((s.vip, 53), (s.client, 4000), &shape);
            for from in [s.back, s.front, s.vip] {
                assert_eq!(leaves(&director, &model, 0, &answer(from, 5353, 4000)).unwrap()[14..], wanted[14..]);
            }
            // Others' ports, other clients' ports, other protocols.
            assert_eq!(leaves(&director, &model, 0, &answer(s.back, 5354, 4000)), None);
            assert_eq!(leaves(&director, &model, 0, &answer(s.back, 5353, 4001)), None);
            let tcp = frames::tcp((s.back, 5353), (s.client, 4000), SYN | ACK, &shape);
            assert_eq!(leaves(&director, &model, 0, &tcp), None);
            // An ICMP error of the host's about a question that got to the server's own address.
            let readdressed = frames::udp((s.client, 4000), (s.back, 5353), &shape);
            let error = unreachable(s.back, s.client, &readdressed);
            let told = leaves(&director, &model, 0, &error).unwrap();
            assert_eq!(told, with_sums_of(&told, unreachable(s.vip, s.client, &question)));
            // And one about an answer, from the client's side, reaches the server's socket.
            let error = unreachable(s.client, s.vip, &wanted);
            assert_eq!(comes(&director, &model, &error).0, Reason::LocalNode);
            let listing = director.listing().unwrap();
            let dest = listing.dest(&key(&s, proto::UDP, 53), addr(s.back), Be16::new(5353)).unwrap();
            assert_eq!((dest.counters.in_pkts, dest.counters.out_pkts, dest.counters.conns), (2, 4, 1));
        }
        assert_eq!(counted(&director, Reason::LocalOut), 8);
    });
}

#[test]
fn pieces_to_and_from_servers_on_this_host_are_translated_too() {
    in_namespace(|| {
        streets();
        let (mut director, mut model) = (Director::open_with(&LIMITS).unwrap(), Model::new(1024));
        for family in [Family::V4, Family::V6] {
            let s = street(family);
            serve(&mut director, &mut model, key(&s, proto::UDP, 53), (s.back, 5353), Forward::Local);
            let data = vec![7; 3000];
            for piece in pieces((s.client, 4000), (s.vip, 53), &data, 77) {
                assert_eq!(comes(&director, &model, &piece), (Reason::LocalNode, UNCHANGED), "{family:?}");
                let readdressed = model.packet(&piece).1.unwrap();
                assert_eq!(readdressed[14..].len(), piece[14..].len());
            }
            let asked = pieces((s.client, 4000), (s.back, 5353), &data, 78);
            for (piece, wanted) in pieces((s.client, 4000), (s.vip, 53), &data, 78).iter().zip(asked) {
                assert_eq!(comes(&director, &model, piece).0, Reason::LocalNode);
                assert_eq!(model.packet(piece).1.unwrap()[14..], wanted[14..], "as if sent to the server itself");
            }
            let wanted = pieces((s.vip, 53), (s.client, 4000), &data, 79);
            for (piece, wanted) in pieces((s.front, 5353), (s.client, 4000), &data, 79).iter().zip(wanted) {
                let out = leaves(&director, &model, 0, piece);
                assert_eq!(out.unwrap()[14..], wanted[14..], "{family:?}");
            }
            // A later piece of a packet that nobody translated is left alone.
            let other = pieces((s.front, 5353), (s.client, 4000), &data, 80).pop().unwrap();
            assert_eq!(leaves(&director, &model, 0, &other), None);
        }
    });
}

#[test]
fn nobody_else_gets_what_no_server_here_listens_for() {
    in_namespace(|| {
        streets();
        let (mut director, mut model) = (Director::open_with(&LIMITS).unwrap(), Model::new(1024));
        for family in [Family::V4, Family::V6] {
            let s = street(family);
            serve(&mut director, &mut model, key(&s, proto::UDP, 53), (s.back, 5353), Forward::Local);
            serve(&mut director, &mut model, key(&s, proto::TCP, 80), (s.back, 8080), Forward::Local);
            let shape = Shape::default();
            for (frame, reset) in [
                (frames::udp((s.client, 4000), (s.vip, 53), &shape), false),
                (frames::tcp((s.client, 4000), (s.vip, 80), SYN, &shape), true),
            ] {
                let run = director.test_run(Hook::Tc, &to_loopback(&frame), 1).unwrap();
                assert_eq!(run.code, 7, "answered");
                assert!(frames::is_sound(&run.packet));
                if reset {
                    let l4 = if family == Family::V4 { 34 } else { 54 };
                    assert_eq!(run.packet[l4 + 13], RST | ACK);
                }
            }
        }
        assert_eq!(counted(&director, Reason::NoListener), 4);
    });
}

#[test]
fn servers_here_by_other_methods_get_packets_as_they_are() {
    in_namespace(|| {
        streets();
        let (mut director, mut model) = (Director::open_with(&LIMITS).unwrap(), Model::new(1024));
        for family in [Family::V4, Family::V6] {
            let s = street(family);
            let shape = Shape::default();
            for (proto, port) in [(proto::TCP, 80), (proto::UDP, 53)] {
                // Nobody listens there, nor need to: it is the stack's business, at the virtual address.
                serve(&mut director, &mut model, key(&s, proto, port), (s.back, port), Forward::Route);
            }
            let tcp = frames::tcp((s.client, 4000), (s.vip, 80), SYN, &shape);
            let udp = frames::udp((s.client, 4000), (s.vip, 53), &shape);
            for frame in [tcp, udp] {
                let run = director.test_run(Hook::Tc, &to_loopback(&frame), 1).unwrap();
                assert_eq!((run.code, &run.packet[14..]), (UNCHANGED, &frame[14..]));
            }
        }
        assert_eq!((counted(&director, Reason::LocalNode), counted(&director, Reason::NoListener)), (4, 0));
    });
}

#[test]
fn health_checks_travel_as_clients_packets_do() {
    in_namespace(|| {
        streets();
        let (mut director, model) = (Director::open_with(&LIMITS).unwrap(), Model::new(1024));
        model.control.probes_until.set(u32::MAX);
        let tunnel = |kind, port: u16| Some(Tunnel { kind, port: Be16::new(port), flags: 0 });
        let ways = [None, tunnel(TunnelKind::Ipip, 0), tunnel(TunnelKind::Gue, 6080), tunnel(TunnelKind::Gre, 0)];
        let mut number = 0;
        for family in [Family::V4, Family::V6] {
            let s = street(family);
            for tunnel in ways {
                number += 1;
                let probe =
                    Probe { real: SocketAddr::new(s.server, 8080), service: SocketAddr::new(s.vip, 80), tunnel };
                let mark = director.set_probe(number, &probe).unwrap();
                assert_eq!(mark, probe::mark(number));
                let way = tunnel.unwrap_or_default();
                model.probes.borrow_mut().insert(
                    mark,
                    rvs_core::abi::Probe {
                        rip: addr(s.server),
                        vip: addr(s.vip),
                        rport: Be16::new(8080),
                        vport: Be16::new(80),
                        family: family.raw(),
                        forward: if tunnel.is_some() { Forward::Tunnel } else { Forward::Route } as u8,
                        tun_type: way.kind as u8,
                        tun_flags: 0,
                        tun_port: way.port,
                        pad: [0; 3],
                    },
                );
                let port = 40_000 + number;
                let shape = Shape { payload: "ping".into(), ..Shape::default() };
                let answers: [Maker; 2] = [|a, b, shape| frames::tcp(a, b, SYN | ACK, shape), frames::udp];
                for answer in answers {
                    let sent = answer((s.back, port), (s.server, 8080), &shape);
                    let out = leaves(&director, &model, mark, &sent).unwrap();
                    let wanted = answer((s.back, port), (s.vip, 80), &shape);
                    assert!(out.ends_with(&wanted[14..]), "{tunnel:?}");
                    let back = answer((s.vip, 80), (s.back, port), &shape);
                    assert_eq!(comes(&director, &model, &back), (Reason::ProbeIn, UNCHANGED));
                    let turned = model.packet(&back).1.unwrap();
                    assert_eq!(turned[14..], answer((s.server, 8080), (s.back, port), &shape)[14..]);
                }
                // It is refused: the error names the packet as it was.
                let asked = frames::udp((s.back, port), (s.vip, 80), &shape);
                let error = unreachable(s.server, s.back, &asked);
                assert_eq!(comes(&director, &model, &error), (Reason::ProbeIn, UNCHANGED));
                // Without the mark, or for somebody else, nothing changes.
                let sent = frames::udp((s.back, port), (s.server, 8080), &shape);
                assert_eq!(leaves(&director, &model, 0, &sent), None);
                assert_eq!(leaves(&director, &model, probe::mark(999), &sent), None);
                let other = frames::udp((s.back, port), (s.server, 8081), &shape);
                assert_eq!(leaves(&director, &model, mark, &other), None);
                let stranger = frames::udp((s.vip, 80), (s.back, port + 1000), &shape);
                assert_eq!(comes(&director, &model, &stranger).0, Reason::NoService);
            }
        }
        assert_eq!(director.probes().unwrap().len(), 8);
        director.remove_probe(1).unwrap();
        director.remove_probe(1).unwrap();
        assert_eq!(director.probes().unwrap().first().unwrap().0, 2);
        director.renew_probes().unwrap();
        director.clear_probes().unwrap();
        assert!(director.probes().unwrap().is_empty());
        let mixed = Probe {
            real: SocketAddr::new(ip("10.0.2.11"), 80),
            service: SocketAddr::new(ip("fd00::1"), 80),
            tunnel: None,
        };
        assert!(director.set_probe(1, &mixed).is_err());
    });
}

#[test]
fn servers_first_words_are_counted_once() {
    in_namespace(|| {
        streets();
        let (mut director, mut model) = (Director::open_with(&LIMITS).unwrap(), Model::new(1024));
        for family in [Family::V4, Family::V6] {
            let s = street(family);
            let key = key(&s, proto::TCP, 80);
            serve(&mut director, &mut model, key, (s.server, 8080), Forward::Masq);
            let shape = Shape::default();
            let run = |client: u16, says: &[(bool, u8)]| {
                for (from_server, flags) in says {
                    let frame = if *from_server {
                        frames::tcp((s.server, 8080), (s.client, client), *flags, &shape)
                    } else {
                        frames::tcp((s.client, client), (s.vip, 80), *flags, &shape)
                    };
                    let (reason, code) = comes(&director, &model, &frame);
                    assert!(matches!(reason, Reason::NatIn | Reason::NatOut) && code == 7, "{reason:?} {code}");
                }
            };
            // Three are accepted, each SYN sent twice; two refused, one of them after an answer was given, which does not count.
            for client in 4000..4003 {
                run(
                    client,
                    &[(false, SYN), (false, SYN), (true, SYN | ACK), (true, SYN | ACK), (false, ACK), (true, ACK)],
                );
            }
            run(4003, &[(false, SYN), (true, RST | ACK), (true, RST | ACK)]);
            run(4004, &[(false, SYN), (true, SYN | ACK), (true, RST)]);
            // Two hear nothing; the client of one gives up, which tells nothing of the server.
            run(4005, &[(false, SYN)]);
            run(4006, &[(false, SYN), (false, RST)]);
            let dest = &model.dests[model.dests.len() - 1];
            assert_eq!((dest.answered.get(), dest.refused.get(), dest.unanswered.get()), (4, 1, 0));
            let listing = director.listing().unwrap();
            let openings = listing.dest(&key, addr(s.server), Be16::new(8080)).unwrap().openings;
            assert_eq!((openings.answered, openings.refused, openings.unanswered), (4, 1, 0));
            // Their time goes by.
            model.now.set(model.now.get() + 100_000_000_000);
            model.sweep();
            assert_eq!(model.dests[model.dests.len() - 1].unanswered.get(), 1);
            assert!(model.conns.iter().all(|conn| conn.flags.get() & conn_flags::LIVE == 0 || conn.state.get() == 1));
        }
    });
}

mod really {
    //! Health checks of real sockets, in two namespaces: a real server that knows nothing but the virtual address.

    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::socket::sockopt::{Mark, ReceiveTimeout};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket};
    use nix::sys::time::{TimeVal, TimeValLike};
    use rvs_dataplane::kernel::decap;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::JoinHandle;

    /// The real server: takes `v1` when it is there, has the virtual addresses on its loopback, and greets on port 80.
    fn server(tunnels: bool, ready: Sender<i32>, go: Receiver<()>, up: Sender<()>, end: Receiver<()>) {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ready.send(nix::unistd::gettid().as_raw()).unwrap();
        go.recv().unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/v1/disable_ipv6", "0").unwrap();
        common::ip_batch(
            "addr add 10.0.1.10/32 dev lo\naddr add fd00:1::10/128 dev lo nodad\nlink set lo up\n\
             addr add 10.0.2.11/24 dev v1\naddr add fd00:2::11/64 dev v1 nodad\nlink set v1 up\n",
        );
        if tunnels {
            decap::attach("v1", None).unwrap();
        }
        let listeners = ["10.0.1.10:80", "[fd00:1::10]:80"].map(|at| TcpListener::bind(at).unwrap());
        let threads = listeners.map(|listener| {
            std::thread::spawn(move || {
                // Whoever says "bye" ends it.
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let mut buffer = [0; 4];
                    let read = stream.read(&mut buffer).unwrap_or(0);
                    let _ = stream.write_all(b"well\n");
                    if &buffer[..read] == b"bye\n" {
                        return;
                    }
                }
            })
        });
        up.send(()).unwrap();
        end.recv().unwrap();
        for at in ["10.0.1.10:80", "[fd00:1::10]:80"] {
            let _ = TcpStream::connect(at).and_then(|mut stream| stream.write_all(b"bye\n"));
        }
        for thread in threads {
            let _ = thread.join();
        }
        if tunnels {
            decap::detach("v1").unwrap();
        }
    }

    /// A check: connects with a mark, asks, and says what it heard.
    fn check(mark: u32, to: SocketAddr) -> std::io::Result<String> {
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let fd = socket(family, SockType::Stream, SockFlag::empty(), None)?;
        setsockopt(&fd, Mark, &mark)?;
        setsockopt(&fd, ReceiveTimeout, &TimeVal::seconds(10))?;
        setsockopt(&fd, nix::sys::socket::sockopt::SendTimeout, &TimeVal::seconds(10))?;
        connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrStorage::from(to))?;
        let mut stream = File::from(fd);
        stream.write_all(b"how\n")?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard)?;
        Ok(heard)
    }

    fn lab(tunnels: bool, test: fn(Director)) {
        in_namespace(move || {
            common::ip_batch("link add v0 address 02:00:00:00:01:01 type veth peer name v1\nlink set lo up\n");
            let ((ready, tid), (go, gone), (up, is_up), (end, ended)) = (channel(), channel(), channel(), channel());
            let thread: JoinHandle<()> = std::thread::spawn(move || server(tunnels, ready, gone, up, ended));
            common::ip(&format!("link set v1 netns {}", tid.recv().unwrap()));
            // The virtual addresses are the director's own.
            common::ip_batch(
                "addr add 10.0.2.1/24 dev v0\naddr add fd00:2::1/64 dev v0 nodad\nlink set v0 up\n\
                 addr add 10.0.1.10/32 dev lo\naddr add fd00:1::10/128 dev lo nodad\n",
            );
            go.send(()).unwrap();
            is_up.recv().unwrap();
            let director = Director::open_with(&LIMITS).unwrap();
            test(director);
            end.send(()).unwrap();
            thread.join().unwrap();
        });
    }

    const PLACES: [(&str, &str); 2] = [("10.0.2.11:8080", "10.0.1.10:80"), ("[fd00:2::11]:8080", "[fd00:1::10]:80")];

    fn probe(place: (&str, &str), tunnel: Option<Tunnel>) -> Probe {
        Probe { real: place.0.parse().unwrap(), service: place.1.parse().unwrap(), tunnel }
    }

    #[test]
    fn a_server_that_has_only_the_virtual_address_is_checked_by_direct_routing() {
        lab(false, |mut director| {
            for (number, place) in (7..).zip(PLACES) {
                let probe = probe(place, None);
                let mark = director.set_probe(number, &probe).unwrap();
                assert_eq!(check(mark, probe.real).unwrap(), "well\n", "{place:?}");
                // The server is not there under its own address and port, as every other socket sees.
                let refused = check(0, probe.real).unwrap_err();
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{place:?}");
                // Where nobody listens, the check is refused at once, by an RST of the virtual address.
                let mut nobody = probe;
                nobody.service.set_port(81);
                director.set_probe(number, &nobody).unwrap();
                let refused = check(mark, probe.real).unwrap_err();
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{place:?}");
            }
            director.clear_probes().unwrap();
            assert!(check(probe::mark(7), PLACES[0].0.parse().unwrap()).is_err());
        });
    }

    #[test]
    fn a_server_behind_a_tunnel_is_checked_through_it() {
        lab(true, |mut director| {
            let ways = [(TunnelKind::Ipip, 0), (TunnelKind::Gue, 6080), (TunnelKind::Gre, 0)];
            for place in PLACES {
                for (number, (kind, port)) in (0..).zip(ways) {
                    let probe = probe(place, Some(Tunnel { kind, port: Be16::new(port), flags: 0 }));
                    let mark = director.set_probe(number, &probe).unwrap();
                    assert_eq!(check(mark, probe.real).unwrap(), "well\n", "{place:?} {kind:?}");
                }
            }
        });
    }
}
