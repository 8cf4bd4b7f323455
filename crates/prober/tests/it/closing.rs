//! How connections end: nobody sees a reset, and nothing is left.

use crate::world::{check, health, in_namespace, run, sh};
use rvs_checker::*;
use rvs_prober::{Prober, Told};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What this namespace's TCP has counted.
fn counted(name: &str) -> u64 {
    let text = sh("nstat -asz");
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap().parse().unwrap()
}

#[test]
fn servers_see_an_end_and_not_a_reset() {
    in_namespace(|| {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                for _ in 0..3 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut heard = Vec::new();
                    // Fails with ECONNRESET after a reset.
                    stream.read_to_end(&mut heard).await.unwrap();
                    // Servers say more than anybody waits for; that must not be answered with a reset either.
                    stream.write_all(&[b'x'; 100_000]).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            });
            let mut params = check(address, Probe::Tcp);
            params.pace.delay_loop = Duration::from_millis(50);
            let mut prober = Prober::new(1).unwrap();
            prober.subscribe(1, params);
            tokio::select! {
                ended = server => ended.unwrap(),
                () = async { loop { prober.next().await; } } => {}
            }
            assert_eq!(counted("TcpOutRsts"), 0);
            assert_eq!(counted("TcpEstabResets"), 0);
            prober.unsubscribe(&1);
            while prober.connections() > 0 {
                let _ = tokio::time::timeout(Duration::from_millis(20), prober.next()).await;
            }
        });
    });
}

#[test]
fn a_page_is_read_to_its_end_and_the_connection_closed_in_order() {
    in_namespace(|| {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 500];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n").await.unwrap();
                stream.write_all(&vec![b'x'; 300_000]).await.unwrap();
                assert_eq!(stream.read(&mut request).await.unwrap(), 0);
            });
            let urls = vec![Url { path: "/".into(), status: vec![(200, 200)], ..Url::default() }];
            let http = Http { urls, version: HttpVersion::Http11, virtualhost: None, fast_recovery: false, tls: None };
            let mut prober = Prober::new(1).unwrap();
            prober.subscribe(1, check(address, Probe::Http(http)));
            let told = async {
                loop {
                    if let Told::Verdict(_, verdict) = prober.next().await {
                        assert!(matches!(verdict, Verdict::Up { .. }), "{verdict:?}");
                        break;
                    }
                }
                // The end takes a moment more.
                loop {
                    prober.next().await;
                }
            };
            tokio::select! {
                ended = server => ended.unwrap(),
                () = told => {}
            }
            assert_eq!(counted("TcpOutRsts"), 0);
        });
    });
}

#[test]
fn a_port_of_its_own_can_be_used_again_and_again() {
    in_namespace(|| {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut params = check(listener.local_addr().unwrap(), Probe::Tcp);
            params.target.bind_port = Some(4321);
            params.target.mark = 7;
            params.pace.delay_loop = Duration::from_millis(20);
            let mut prober = Prober::new(1).unwrap();
            prober.subscribe(1, params);
            let accept = async {
                for _ in 0..5 {
                    let (_, from) = listener.accept().await.unwrap();
                    assert_eq!(from.port(), 4321);
                }
            };
            let drive = async {
                loop {
                    let told = prober.next().await;
                    assert!(!matches!(told, Told::Verdict(_, Verdict::Down { .. })), "{told:?}");
                }
            };
            tokio::select! {
                () = accept => {}
                () = drive => {}
            }
        });
    });
}

#[test]
fn marks_and_interfaces_decide_where_packets_go() {
    in_namespace(|| {
        sh(
            "ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && ip addr add 192.0.2.1/24 dev d0",
        );
        // Packets with this mark are lost; all others reach the port.
        sh("ip rule add pref 1 fwmark 9 lookup 99 && ip rule add pref 2 lookup local && ip rule del pref 0");
        sh("ip route add unreachable default table 99");
        run(async {
            let listener = TcpListener::bind("192.0.2.1:0").await.unwrap();
            let address: SocketAddr = listener.local_addr().unwrap();
            assert_eq!(health(check(address, Probe::Tcp)).await, Ok(()));
            let mut marked = check(address, Probe::Tcp);
            marked.target.mark = 9;
            assert!(matches!(health(marked).await, Err(Reason::Refused(113 | 101))));
        });
    });
}

#[test]
fn pings_are_answered_by_sockets_for_pings_and_raw_ones() {
    in_namespace(|| {
        for range in ["1 0", "0 2147483647"] {
            sh(&format!("sysctl -qw net.ipv4.ping_group_range='{range}'"));
            run(async {
                for address in ["127.0.0.1:0", "[::1]:0"] {
                    let ping = check(address.parse().unwrap(), Probe::Ping);
                    assert_eq!(health(ping).await, Ok(()), "{range} {address}");
                }
                let mut nowhere = check("192.0.2.9:0".parse().unwrap(), Probe::Ping);
                nowhere.pace.connect_timeout = Duration::from_secs(1);
                assert_eq!(health(nowhere).await, Err(Reason::Refused(nix::libc::ENETUNREACH)));
            });
        }
        // Routers that say no are heard.
        sh("ip route add unreachable 192.0.2.0/24");
        run(async {
            let lost = check("192.0.2.9:0".parse().unwrap(), Probe::Ping);
            assert_eq!(health(lost).await, Err(Reason::Refused(nix::libc::EHOSTUNREACH)));
        });
        sh("ip route del 192.0.2.0/24 && ip route add blackhole 198.51.100.0/24");
        run(async {
            for probe in [Probe::Tcp, Probe::Ping] {
                let lost = check("198.51.100.1:80".parse().unwrap(), probe);
                assert!(matches!(health(lost).await, Err(Reason::Refused(_))));
            }
        });
    });
}
