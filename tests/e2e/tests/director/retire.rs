//! Taking real servers out of service under live connections: dry runs, drains, and what is printed meanwhile.

use crate::vip;
use anyhow::{Context as _, Result};
use lab::wait::secs;
use lab::{Topology, echo, eventually, start};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

#[test]
fn a_dry_run_counts_live_connections_and_touches_none() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1])?;
    let mut greeted = lab.greet(at)?;
    let before = lab.ipvsadm("-S -n --full")?;
    let shown = lab.ipvsadm(&format!("-d -t {at} -r 10.0.2.12:7 --dry-run"))?;
    assert_eq!(
        shown,
        format!(
            "- -a -t {at} -r 10.0.2.12:7 -m -w 1  # 1 active, 0 inactive\n\
             0 added, 0 changed, 1 removed; 1 live connection would lose its server\n"
        )
    );
    let file = lab.dir().join("rules");
    std::fs::write(&file, before.replace("-w 1", "-w 2"))?;
    let differs = lab.try_ipvsadm(&format!("--diff {}", file.display()))?;
    assert_eq!(differs.status, 1, "{differs}");
    assert!(differs.stdout.ends_with("0 added, 2 changed, 0 removed; 0 live connections would lose their server\n"));
    assert_eq!(lab.ipvsadm("-S -n --full")?, before);
    greeted.stream.write_all(b"x")?;
    greeted.stream.read_exact(&mut [0])?;
    Ok(())
}

#[test]
fn a_drain_lets_connections_end_and_takes_no_new_ones() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1])?;
    let greeted = lab.greet(at)?;
    assert_eq!(greeted.name, "rs2");
    let left = lab.try_ipvsadm(&format!("--drain=1 -t {at} -r 10.0.2.12:7 --json"))?;
    assert_eq!(left.status, 1, "{left}");
    let report: serde_json::Value = serde_json::from_str(&left.stdout)?;
    assert_eq!((report["end"].as_str(), report["active"].as_u64()), (Some("time_up"), Some(1)), "{left}");
    let drain = lab.tool("ipvsadm")?.args(&format!("--drain -t {at} -r 10.0.2.12:7")).begin()?;
    // It is at it, and the weight is 0 all the while.
    assert_eq!(lab.sequence_tcp(at, 3)?, "1 1 1");
    greeted.bye()?;
    let drained = drain.wait()?;
    assert_eq!((drained.status, drained.stdout.contains(": drained after ")), (0, true), "{drained}");
    Ok(())
}

#[test]
fn a_drain_that_is_interrupted_says_what_is_left() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 3])?;
    let _greeted = lab.greet(at)?;
    let log = lab.dir().join("drain.log");
    let drain = lab.tool("ipvsadm")?.args(&format!("--drain -t {at} -r 10.0.2.12:7")).serve(&log)?;
    eventually(secs(30), || {
        let table = lab.table()?;
        let drained = table[0].dests.iter().any(|dest| dest.weight == 0);
        drained.then_some(()).context("the weight is not 0 yet")
    })?;
    // Signals are heard from its first wait on, which has begun once the kernel shows that it catches them.
    let pid = drain.pid().context("it has ended already")?;
    eventually(secs(30), || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).context("no SigCgt")?;
        (u64::from_str_radix(caught, 16)? & 2 != 0).then_some(()).context("Ctrl-C is not caught yet")
    })?;
    assert_eq!(drain.stop(nix::sys::signal::Signal::SIGINT)?, 130);
    let text = std::fs::read_to_string(&log)?;
    assert!(text.contains("interrupted after ") && text.contains("1 active") && text.contains("was 3"), "{text}");
    assert_eq!(lab.table()?[0].dests.iter().filter(|dest| dest.weight == 0).count(), 1);
    Ok(())
}

#[test]
fn watching_goes_on_until_interrupted() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1])?;
    let log = lab.dir().join("watch.log");
    let watch = lab.tool("ipvsadm")?.args("-L --watch=1 --json").serve(&log)?;
    let documents = || -> Result<Vec<serde_json::Value>> {
        let text = std::fs::read_to_string(&log)?;
        text.lines().map(|line| serde_json::from_str(line).context("not a document")).collect()
    };
    eventually(secs(30), || {
        let seen = documents()?.len();
        (seen >= 2).then_some(()).with_context(|| format!("{seen} listings"))
    })?;
    lab.ipvsadm("-C")?;
    eventually(secs(30), || {
        let last = documents()?.pop().context("no listing")?;
        last["services"].as_array().is_some_and(Vec::is_empty).then_some(()).context("the service is still listed")
    })?;
    assert_eq!(watch.stop(nix::sys::signal::Signal::SIGTERM)?, 0);
    Ok(())
}

/// The client of a purged connection is told by its next packet, and the listing forgets it at once.
#[test]
fn a_purge_ends_the_connections_of_one_server() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.serve("-t", at, "-s rr", echo::PORT, &[1, 1])?;
    let mut ended = lab.greet(at)?;
    let mut kept = lab.greet(at)?;
    assert_eq!((ended.name.as_str(), kept.name.as_str()), ("rs2", "rs1"));
    let port = ended.stream.local_addr()?.port();
    let shown = lab.ipvsadm(&format!("--purge-dest -t {at} -r 10.0.2.12:7"))?;
    assert_eq!(shown, format!("-t {at} -r 10.0.2.12:7: 1 connections ended\n"));
    assert_eq!(lab.counts()?, (1, 0));
    assert!(lab.connections()?.iter().all(|conn| !conn.source.ends_with(&format!(":{port}"))));

    // The client's next packet brings an RST.
    ended.stream.write_all(b"x")?;
    let error = ended.stream.read(&mut [0]).expect_err("the connection is over");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(lab.reasons()?["purged"] >= 1);
    // The others go on, and the server takes new ones.
    kept.stream.write_all(b"y")?;
    kept.stream.read_exact(&mut [0])?;
    assert_eq!(lab.sequence_tcp(at, 2)?, "2 1");
    // A new connection from the same port is a new connection; the server that still has the old one may refuse it at first.
    lab.greet_from(SocketAddrV4::new(lab::topology::CLIENT, port), at)?.bye()?;
    Ok(())
}

/// A server that has not heard of it is told when it speaks next.
#[test]
fn a_purge_resets_a_server_that_speaks_first() -> Result<()> {
    const PORT: u16 = 9000;
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let at = vip(PORT);
    lab.serve("-t", at, "-s rr", PORT, &[1])?;
    let listener = lab.server(1).enter(|| TcpListener::bind((lab::topology::server(1), PORT)))??;
    let client = lab.connect_from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), at)?;
    let (mut server, _) = listener.accept()?;
    server.set_read_timeout(Some(lab::client::PATIENCE))?;
    assert_eq!(
        lab.ipvsadm(&format!("--purge-dest -t {at} -r 10.0.2.11:9000 --json"))?.matches("\"ended\": 1").count(),
        1
    );
    server.write_all(b"x")?;
    assert_eq!(server.read(&mut [0]).expect_err("it is over").kind(), ErrorKind::ConnectionReset);
    // The client hears of it when it speaks, too.
    let mut client = client;
    client.write_all(b"y")?;
    assert_eq!(client.read(&mut [0]).expect_err("it is over").kind(), ErrorKind::ConnectionReset);
    Ok(())
}

/// With direct routing the director sees the client's packets alone: the client is told, and its own kernel tells the server.
#[test]
fn a_purge_ends_routed_and_tunnelled_connections() -> Result<()> {
    for topology in [Topology::dr(), Topology::tun()] {
        let Some(lab) = start(topology.servers(1))? else { return Ok(()) };
        let at = vip(echo::PORT);
        lab.serve("-t", at, "-s rr", echo::PORT, &[1])?;
        let mut greeted = lab.greet(at)?;
        lab.ipvsadm(&format!("--purge-dest -t {at} -r 10.0.2.11:7"))?;
        assert_eq!(lab.counts()?, (0, 0));
        greeted.stream.write_all(b"x")?;
        let error = greeted.stream.read(&mut [0]).expect_err("the connection is over");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    Ok(())
}
