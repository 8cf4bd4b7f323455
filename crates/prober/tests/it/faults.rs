//! Servers that do wrong in every way that servers do, under every check that talks to one: each run ends, in time, with a
//! reason that fits.

use crate::world::{check, collect, health, pace, run, serve, verdicts};
use rvs_checker::*;
use rvs_prober::Prober;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

fn page(tls: Option<Tls>) -> Probe {
    page_by(HttpVersion::Http11, tls)
}

fn page_by(version: HttpVersion, tls: Option<Tls>) -> Probe {
    let urls = vec![Url { path: "/".into(), digest: Some([1; 16]), ..Url::default() }];
    Probe::Http(Http { urls, version, virtualhost: None, fast_recovery: false, tls })
}

/// Every check that talks over a stream, and the beginning of an answer of its protocol.
fn talkers() -> Vec<(&'static str, Probe, &'static [u8])> {
    let mysql = Mysql { username: Some("me".into()), password: Some("secret".into()) };
    vec![
        ("http", page(None), b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
        ("https", page(Some(Tls::default())), b"\x16\x03\x03\x01\x00\x02"),
        ("http 2", page_by(HttpVersion::Http2, None), b"\x00\x00\x06\x04\x00\x00"),
        ("https 2", page_by(HttpVersion::Http2, Some(Tls::default())), b"\x16\x03\x03\x01\x00\x02"),
        ("smtp", Probe::Smtp(Smtp { helo: "me".into(), hosts: vec![] }), b"220-mail.exa"),
        ("agent", Probe::Agent(Agent::default()), b"75"),
        ("grpc", Probe::Grpc(Grpc::default()), b"\x00\x00\x06\x04\x00\x00"),
        ("grpc tls", Probe::Grpc(Grpc { tls: Some(Tls::default()), ..Grpc::default() }), b"\x16\x03\x03\x01\x00\x02"),
        ("redis", Probe::Redis(Redis::default()), b"+PO"),
        ("mysql", Probe::Mysql(mysql), b"\x4a\x00\x00\x00\x0a8.0"),
        ("pgsql", Probe::Pgsql(Pgsql { username: "me".into(), ..Pgsql::default() }), b"R\x00\x00"),
    ]
}

/// Lets the peer speak first where it wants to.
async fn listen_a_little(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let _ = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut buffer)).await;
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    Refused,
    Silent,
    ResetMidAnswer,
    ClosedMidAnswer,
    ClosedAtOnce,
    Drips,
    Garbage,
    OtherProtocol,
    WrongTls,
    Floods,
}

impl Fault {
    const ALL: [Self; 10] = [
        Self::Refused,
        Self::Silent,
        Self::ResetMidAnswer,
        Self::ClosedMidAnswer,
        Self::ClosedAtOnce,
        Self::Drips,
        Self::Garbage,
        Self::OtherProtocol,
        Self::WrongTls,
        Self::Floods,
    ];

    /// Names of reasons that fit.
    fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::Refused => &["refused"],
            // With TLS a connection stands when the handshake is over.
            Self::Silent => &["read_timeout", "connect_timeout"],
            // An agent's answer may end without a line break, and then counts as far as it goes.
            Self::ResetMidAnswer => &["reset", "tls"],
            // Who closes with something unread resets.
            Self::ClosedMidAnswer | Self::ClosedAtOnce => {
                &["closed_early", "tls", "status", "malformed", "not_serving", "greeting", "reset"]
            }
            Self::Drips => &["read_timeout", "connect_timeout"],
            Self::Garbage | Self::OtherProtocol | Self::WrongTls | Self::Floods => &[
                "malformed",
                "too_long",
                "tls",
                "status",
                "closed_early",
                "greeting",
                "not_serving",
                "digest",
                "reset",
            ],
        }
    }

    async fn server(self, begun: &'static [u8]) -> SocketAddr {
        if self == Self::Refused {
            // A port that nobody listens at and nobody else gets: it stays taken as long as this process is there.
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = socket.local_addr().unwrap();
            std::mem::forget(socket);
            return address;
        }
        serve(move |mut stream| async move {
            if self != Self::ClosedAtOnce {
                listen_a_little(&mut stream).await;
            }
            match self {
                Self::Refused | Self::ClosedAtOnce => {}
                Self::Silent => tokio::time::sleep(Duration::from_secs(300)).await,
                Self::ResetMidAnswer => {
                    let _ = stream.write_all(begun).await;
                    let _ = stream.set_zero_linger();
                }
                Self::ClosedMidAnswer => {
                    let _ = stream.write_all(begun).await;
                }
                Self::Drips => loop {
                    for byte in begun.iter().take(3) {
                        let _ = stream.write_all(&[*byte]).await;
                        tokio::time::sleep(Duration::from_millis(1500)).await;
                    }
                    tokio::time::sleep(Duration::from_secs(300)).await;
                },
                Self::Garbage => {
                    let bytes: Vec<u8> =
                        (0..2000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8 | 0x80).collect();
                    let _ = stream.write_all(&bytes).await;
                }
                Self::OtherProtocol => {
                    let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await;
                    listen_a_little(&mut stream).await;
                }
                // An alert: this server wants another version.
                Self::WrongTls => {
                    let _ = stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46").await;
                    listen_a_little(&mut stream).await;
                }
                // As much as is taken.
                Self::Floods => while stream.write_all(&[b'A'; 1 << 16]).await.is_ok() {},
            }
        })
        .await
    }
}

#[test]
fn whatever_a_server_does_every_run_ends_with_a_reason_that_fits() {
    run(async {
        let mut checks = Vec::new();
        for fault in Fault::ALL {
            for (name, probe, begun) in talkers() {
                let address = fault.server(begun).await;
                let mut params = check(address, probe);
                params.pace.connect_timeout = Duration::from_secs(2);
                checks.push(((fault, name), params));
            }
        }
        for ((fault, name), verdict) in verdicts(checks).await {
            let reason = match verdict {
                Verdict::Down { reason, .. } => reason,
                // What an agent says before it is cut off is an answer, if a short one.
                _ if (fault, name) == (Fault::ClosedMidAnswer, "agent") => continue,
                other => panic!("{fault:?} {name}: {other:?}"),
            };
            assert!(fault.reasons().contains(&reason.name()), "{fault:?} {name}: {reason:?}");
        }
    });
}

#[test]
fn a_drip_does_not_keep_a_run_for_ever() {
    run(async {
        let drip = serve(|mut stream| async move {
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut params = check(drip.await, page(None));
        params.pace.connect_timeout = Duration::from_millis(200);
        let begun = Instant::now();
        assert_eq!(health(params).await, Err(Reason::ReadTimeout));
        // Bootstrap, and the limit of a run.
        assert!(
            begun.elapsed() < Duration::from_secs(1) + RUN_LIMIT * Duration::from_millis(200) + Duration::from_secs(5)
        );
    });
}

#[test]
fn a_full_backlog_is_a_timeout_of_connecting() {
    run(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        // One fits; the next packets are dropped.
        let _fills = std::net::TcpStream::connect(address).unwrap();
        let mut params = check(address, Probe::Tcp);
        params.pace.connect_timeout = Duration::from_millis(700);
        assert_eq!(health(params).await, Err(Reason::ConnectTimeout));
    });
}

#[test]
fn a_huge_page_is_read_within_bounds() {
    run(async {
        let huge = serve(|mut stream| async move {
            listen_a_little(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'A'; 1 << 16]).await.is_ok() {}
        });
        let address = huge.await;
        // Where nothing depends on the contents, their beginning is enough; a digest of what never ends is not to be had.
        let urls = vec![Url { path: "/".into(), ..Url::default() }];
        let http = Http { urls, version: HttpVersion::Http10, virtualhost: None, fast_recovery: false, tls: None };
        assert_eq!(health(check(address, Probe::Http(http))).await, Ok(()));
        assert_eq!(health(check(address, page(None))).await, Err(Reason::TooLong));
    });
}

#[test]
fn name_servers_that_answer_nonsense_are_waited_out_or_refused() {
    run(async {
        let mut checks = Vec::new();
        type Answer = fn(&[u8]) -> Vec<u8>;
        let answers: [(&str, Answer); 6] = [
            ("empty", |_| Vec::new()),
            ("short", |query| query[..5].to_vec()),
            ("another number", |query| [&[query[0] ^ 1, query[1], 0x81, 0x80], &query[4..]].concat()),
            ("a question", <[u8]>::to_vec),
            ("refused", |query| [&query[..2], &[0x81, 0x85], &query[4..]].concat()),
            ("garbage", |_| vec![0xc0; 500]),
        ];
        for (name, answer) in answers {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 1500];
                while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
                    let _ = socket.send_to(&answer(&buffer[..count]), from).await;
                }
            });
            let mut params = check(address, Probe::Dns(Dns { name: "example.org".into(), ..Dns::default() }));
            params.pace.connect_timeout = Duration::from_millis(500);
            checks.push((name, params));
        }
        for (name, verdict) in verdicts(checks).await {
            let Verdict::Down { reason, .. } = verdict else { panic!("{name}: {verdict:?}") };
            match name {
                "refused" => assert_eq!(reason, Reason::Rcode(5)),
                _ => assert!(matches!(reason.name(), "read_timeout" | "malformed" | "mismatch"), "{name}: {reason:?}"),
            }
        }
    });
}

#[test]
fn a_flood_of_datagrams_does_not_keep_a_run() {
    run(async {
        let mut checks = Vec::new();
        let reply = UdpReply { pattern: vec![(1, 0xff)], ..UdpReply::default() };
        let udp = Probe::Udp(Udp { payload: b"hello".to_vec(), reply: Some(reply) });
        let dns = Probe::Dns(Dns { name: "example.org".into(), ..Dns::default() });
        for (name, probe) in [("udp", udp), ("dns", dns)] {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 1500];
                let Ok((_, from)) = socket.recv_from(&mut buffer).await else { return };
                // The largest there are, as long as anybody is there.
                loop {
                    let _ = socket.send_to(&[0xc0; 65_000], from).await;
                    tokio::task::yield_now().await;
                }
            });
            let mut params = check(address, probe);
            params.pace.connect_timeout = Duration::from_millis(500);
            checks.push((name, params));
        }
        let begun = Instant::now();
        for (name, verdict) in verdicts(checks).await {
            let Verdict::Down { reason, .. } = verdict else { panic!("{name}: {verdict:?}") };
            assert!(matches!(reason.name(), "read_timeout" | "malformed" | "mismatch"), "{name}: {reason:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(1) + RUN_LIMIT * Duration::from_millis(500));
    });
}

#[test]
fn datagrams_to_a_closed_port_come_back_as_errors() {
    run(async {
        let free = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let free6 = UdpSocket::bind("[::1]:0").await.unwrap().local_addr().unwrap();
        for address in [free, free6] {
            let udp = Probe::Udp(Udp { payload: b"hello".to_vec(), reply: None });
            assert_eq!(health(check(address, udp)).await, Err(Reason::Refused(111)), "{address}");
            assert_eq!(
                health(check(address, Probe::Dns(Dns::default()))).await,
                Err(Reason::Refused(111)),
                "{address}"
            );
        }
        // Somebody who listens without a word is good enough where no answer is required.
        let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut params = check(mute.local_addr().unwrap(), Probe::Udp(Udp { payload: vec![0; 1400], reply: None }));
        params.pace.connect_timeout = Duration::from_millis(300);
        assert_eq!(health(params).await, Ok(()));
    });
}

#[test]
fn more_checks_than_sockets_are_done_one_after_the_other() {
    run(async {
        let slow = serve(|mut stream| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = stream.write_all(b"up\n").await;
            listen_a_little(&mut stream).await;
        });
        let address = slow.await;
        let mut prober = Prober::new(1).unwrap();
        prober.limit_connections(3);
        for number in 0_u64..30 {
            let mut params = check(address, Probe::Agent(Agent::default()));
            // So that they are not one and the same.
            params.pace.delay_loop = Duration::from_secs(3600 + number);
            prober.subscribe(number, params);
        }
        let verdicts = collect(&mut prober, 30).await;
        assert!(verdicts.values().all(|verdict| matches!(verdict, Verdict::Up { .. })), "{verdicts:?}");
        assert!(prober.connections() <= 3);
    });
}

#[test]
fn next_can_be_dropped_at_any_await() {
    run(async {
        let good = serve(|mut stream| async move {
            listen_a_little(&mut stream).await;
            let _ = stream.write_all(b"+PONG\r\n").await;
            listen_a_little(&mut stream).await;
        });
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, check(good.await, Probe::Redis(Redis::default())));
        loop {
            tokio::select! {
                told = prober.next() => if let rvs_prober::Told::Verdict(_, verdict) = told {
                    assert!(matches!(verdict, Verdict::Up { .. }), "{verdict:?}");
                    break;
                },
                () = tokio::time::sleep(Duration::from_micros(300)) => {}
            }
        }
    });
}

#[test]
fn what_cannot_be_done_from_here_is_refused_with_the_systems_reason() {
    run(async {
        let good = serve(|_| async {}).await;
        let from = |change: fn(&mut Target)| {
            let mut params = check(good, Probe::Tcp);
            params.pace = pace(Duration::from_secs(5));
            change(&mut params.target);
            params
        };
        let elsewhere = from(|target| target.bind_address = Some([192, 0, 2, 1].into()));
        assert_eq!(health(elsewhere).await, Err(Reason::Refused(nix::libc::EADDRNOTAVAIL)));
        let nowhere = from(|target| target.bind_interface = Some("no-such-if".into()));
        assert!(matches!(health(nowhere).await, Err(Reason::Refused(_))));
        let here = from(|target| target.bind_address = Some([127, 0, 0, 9].into()));
        assert_eq!(health(here).await, Ok(()));
    });
}

#[test]
fn whoever_is_not_driven_for_a_while_is_late_and_not_stuck() {
    run(async {
        let good = serve(|mut stream| async move { listen_a_little(&mut stream).await }).await;
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, check(good, Probe::Tcp));
        // Longer than a check may be behind.
        std::thread::sleep(rvs_checker::Registry::<u8>::PATIENCE + Duration::from_millis(1500));
        match prober.next().await {
            rvs_prober::Told::Log(1, _) => {}
            told => panic!("{told:?}"),
        }
    });
}
