//! What the director counts: connections by state, their expiry without any process of ours, packets and bytes.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::topology::CLIENT;
use lab::wait::{pass_until, secs};
use lab::{Lab, Method, Topology, echo, eventually, start};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddrV4};
use std::time::{Duration, Instant};

fn one_server(method: Method) -> Result<Option<Lab>> {
    let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(None) };
    for proto in ["-t", "-u"] {
        lab.serve(proto, vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    }
    Ok(Some(lab))
}

/// Waits until the client's connection from this port is in `state` and the counts are these.
fn expect(lab: &Lab, port: u16, state: &str, counts: (u64, u64)) -> Result<()> {
    let source = format!("10.0.1.100:{port}");
    eventually(secs(2), || {
        let connections = lab.connections()?;
        let entry = connections.iter().find(|c| c.source == source).with_context(|| format!("none of {port}"))?;
        ensure!(entry.state == state, "{entry:?}, not {state}");
        ensure!((entry.virt.as_str(), entry.dest.as_str()) == ("10.0.1.10:7", "10.0.2.11:7"), "{entry:?}");
        let now = lab.counts()?;
        ensure!(now == counts, "counts {now:?}, not {counts:?}, in {state}");
        Ok(())
    })
}

#[test]
fn nat_counts_follow_a_connection_through_its_states() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let from = |port| SocketAddrV4::new(CLIENT, port);
    assert_eq!(lab.counts()?, (0, 0));

    let mut greeted = lab.greet_from(from(5001), vip(echo::PORT))?;
    expect(&lab, 5001, "ESTABLISHED", (1, 0))?;
    greeted.stream.shutdown(Shutdown::Write)?;
    // The server sees the end and closes, too.
    assert_eq!(greeted.stream.read(&mut [0; 8])?, 0);
    expect(&lab, 5001, "TIME_WAIT", (0, 1))?;

    let greeted = lab.greet_from(from(5002), vip(echo::PORT))?;
    expect(&lab, 5002, "ESTABLISHED", (1, 1))?;
    socket2::SockRef::from(&greeted.stream).set_linger(Some(Duration::ZERO))?;
    drop(greeted);
    expect(&lab, 5002, "CLOSE", (0, 2))?;

    let socket = lab.udp_from(from(5003), vip(echo::PORT))?;
    lab::client::ask_again(&socket)?;
    expect(&lab, 5003, "UDP", (0, 3))?;
    Ok(())
}

#[test]
fn dr_counts_follow_the_client_alone() -> Result<()> {
    let Some(lab) = one_server(Method::Dr)? else { return Ok(()) };
    let greeted = lab.greet_from(SocketAddrV4::new(CLIENT, 5001), vip(echo::PORT))?;
    expect(&lab, 5001, "ESTABLISHED", (1, 0))?;
    drop(greeted);
    expect(&lab, 5001, "FIN_WAIT", (0, 1))
}

/// A half-open connection counts as active, as in the recordings: the real server never answers.
#[test]
fn a_connection_being_opened_is_active() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let to = (lab::topology::VIP, echo::PORT);
    lab.server(1).ip("link set eth0 down")?;
    lab.inject(lab::packet::Ipv4::tcp((CLIENT, 5001), to, lab::packet::tcp_flags::SYN, 1, 0, b""))?;
    expect(&lab, 5001, "SYN_RECV", (1, 0))
}

/// A client that uses its port again after a reset is scheduled anew; while the connection lives, it keeps its server.
#[test]
fn a_port_used_again_is_scheduled_anew() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1, 1])?;
    for expected in ["rs2", "rs1", "rs2"] {
        let greeted = lab.greet_from(SocketAddrV4::new(CLIENT, 5001), vip(echo::PORT))?;
        assert_eq!(greeted.name, expected);
        socket2::SockRef::from(&greeted.stream).set_linger(Some(Duration::ZERO))?;
        drop(greeted);
        eventually(secs(2), || {
            let connections = lab.connections()?;
            ensure!(connections.iter().all(|c| c.state == "CLOSE"), "{connections:?}");
            Ok(())
        })?;
    }
    Ok(())
}

/// Counts are right within two seconds of expiry, with no process of ours in the namespace, nor any look from outside.
fn expiry(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    lab.ipvsadm("--set 2 2 2")?;
    let _open: Vec<_> = (0..5).map(|_| lab.greet(vip(echo::PORT))).collect::<Result<_>>()?;
    for _ in 0..5 {
        lab.ask(vip(echo::PORT))?;
    }
    if method != Method::Nat {
        // Closed by the client; in NAT this would be TIME_WAIT, whose time is not to be set.
        for _ in 0..5 {
            lab.greet(vip(echo::PORT))?.bye()?;
        }
    }
    let last_packet = Instant::now();
    let (active, inactive) = lab.counts()?;
    assert!(active >= 5 && inactive >= 5, "{active} active, {inactive} inactive");
    assert!(lab.director().processes()?.is_empty(), "something runs in the director");
    pass_until(last_packet + secs(2 + 2));
    assert_eq!(lab.counts()?, (0, 0));
    assert_eq!(lab.connections()?, []);
    Ok(())
}

#[test]
fn nat_connections_expire_by_themselves() -> Result<()> {
    expiry(Method::Nat)
}

#[test]
fn dr_connections_expire_by_themselves() -> Result<()> {
    expiry(Method::Dr)
}

#[test]
fn tun_connections_expire_by_themselves() -> Result<()> {
    expiry(Method::Tun)
}

/// A connection in use does not expire, however short its time.
#[test]
fn traffic_keeps_a_connection() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    lab.ipvsadm("--set 1 1 1")?;
    let mut greeted = lab.greet(vip(echo::PORT))?;
    let end = Instant::now() + secs(4);
    while Instant::now() < end {
        greeted.stream.write_all(b"still here")?;
        let mut back = [0; 10];
        greeted.stream.read_exact(&mut back)?;
        pass_until(Instant::now() + Duration::from_millis(300));
    }
    assert_eq!(lab.counts()?, (1, 0));
    Ok(())
}

/// Numbers of one line of `--stats` or `--rate`: the service's own.
fn figures(lab: &Lab, option: &str) -> Result<Vec<u64>> {
    let text = lab.ipvsadm(&format!("-Ln {option} --exact"))?;
    let line = text.lines().find(|line| line.starts_with("UDP")).with_context(|| format!("no service in {text}"))?;
    line.split_whitespace().skip(2).map(|word| Ok(word.parse()?)).collect()
}

#[test]
fn packets_and_bytes_are_counted_exactly() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    for _ in 0..10 {
        lab.ask(vip(echo::PORT))?;
    }
    // "who?" and "rs1\n" are 4 bytes each, behind 28 of headers. IPVS shows new figures every 2 s.
    eventually(secs(4), || {
        let stats = figures(&lab, "--stats")?;
        ensure!(stats == [10, 10, 10, 320, 320], "{stats:?}");
        Ok(())
    })?;
    let text = lab.ipvsadm("-Ln --stats --exact")?;
    let dest = text.lines().find(|line| line.contains("10.0.2.11:7") && line.contains("320"));
    assert!(dest.is_some_and(|line| line.split_whitespace().skip(2).eq(["10", "10", "10", "320", "320"])), "{text}");
    lab.ipvsadm("-Z")?;
    assert_eq!(figures(&lab, "--stats")?, [0; 5]);
    Ok(())
}

/// A steady flow's rate comes near to it; when it ends, the rate decays.
#[test]
fn rates_follow_the_traffic() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 5001), vip(echo::PORT))?;
    let begin = Instant::now();
    for n in 0..500 {
        lab::client::ask_again(&socket)?;
        pass_until(begin + Duration::from_millis(10) * n);
    }
    // 100 packets/s for 5 s: by the recorded rule 25, 44, 58 after 2, 4, 6 s.
    let peak = eventually(secs(2), || {
        let rate = figures(&lab, "--rate")?;
        ensure!((25..=76).contains(&rate[1]), "{rate:?}");
        Ok(rate[1])
    })?;
    eventually(secs(8), || {
        let rate = figures(&lab, "--rate")?;
        ensure!(rate[1] < peak * 3 / 4, "{rate:?} after {peak}");
        Ok(())
    })
}
