//! The laboratory itself, without a director: that its packets flow, its captures tell the truth, and nothing stays behind.
#![allow(clippy::unwrap_used)]

use anyhow::{Result, ensure};
use lab::packet::{Ipv4, UDP};
use lab::topology::{CLIENT, CLIENT_MAC, DIRECTOR_FRONT_MAC, ROUTER_FRONT_MAC, server, server_mac};
use lab::wait::secs;
use lab::{Topology, echo, eventually, http, start};
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn servers_answer_at_their_own_addresses() -> Result<()> {
    let Some(lab) = start(Topology::dr().http())? else { return Ok(()) };
    for n in lab.numbers() {
        let name = format!("rs{n}");
        for port in [echo::PORT, echo::OTHER_PORT] {
            assert_eq!(lab.greet(SocketAddrV4::new(server(n), port))?.name, name);
            assert_eq!(lab.ask(SocketAddrV4::new(server(n), port))?, name);
        }
        assert_eq!(lab.web(SocketAddrV4::new(server(n), http::PORT))?, name);
        assert_eq!(lab.web(SocketAddrV4::new(server(n), http::OTHER_PORT))?, name);
    }
    Ok(())
}

#[test]
fn both_ways_into_a_namespace_lead_to_the_same_place() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let entered = lab.director().command("ip").args("-4 -o addr show").ok()?;
    let executed = lab.director().exec("ip").args("-4 -o addr show").ok()?;
    assert!(entered.contains("10.0.1.10/32") && entered.contains("10.0.2.1/24"), "{entered}");
    assert_eq!(entered, executed);
    Ok(())
}

#[test]
fn an_injected_packet_is_captured_hop_by_hop() -> Result<()> {
    let Some(lab) = start(Topology::dr().servers(1).offloads(false))? else { return Ok(()) };
    lab.warm()?;
    let filter = "udp port 7";
    let at_client = lab.capture(&lab.client(), "eth0", filter)?;
    let at_server = lab.capture(&lab.server(1), "eth0", filter)?;
    // The director forwards as any router does; the answer comes back through the other router.
    lab.inject(Ipv4::udp((CLIENT, 5000), (server(1), echo::PORT), b"who?").id(77))?;
    let seen = at_server.until(2, |frame| frame.ip.proto == UDP)?;
    assert_eq!((seen[0].dst, seen[0].ip.ttl, seen[0].ip.id), (server_mac(1), 63, 77));
    assert!(seen.iter().all(|frame| frame.ip.header_good && frame.ip.checksum_good()), "{seen:#?}");
    let seen = at_client.until(2, |frame| frame.ip.proto == UDP)?;
    assert_eq!((seen[0].src, seen[0].dst), (CLIENT_MAC, DIRECTOR_FRONT_MAC));
    assert_eq!((seen[1].src, seen[1].ip.data()), (ROUTER_FRONT_MAC, &b"rs1\n"[..]));
    Ok(())
}

#[test]
fn a_dropped_laboratory_leaves_nothing() -> Result<()> {
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    let (namespaces, dir) = ([lab.client(), lab.switch(), lab.server(3)], lab.dir().to_owned());
    let web = lab.server(1).processes()?;
    assert_eq!(web.len(), 1, "one nginx on each server");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _lab = lab;
        std::panic::resume_unwind(Box::new("as if a test failed"));
    }));
    assert!(panicked.is_err() && !dir.exists());
    assert!(namespaces.iter().all(|ns| !ns.path().exists()));
    assert!(!Path::new(&format!("/proc/{}", web[0])).exists());
    Ok(())
}

/// Set in the environment of a victim.
const VICTIM: &str = "RVS_LAB_VICTIM";

/// Runs this test binary again as a victim that builds a laboratory and waits.
fn victim() -> Result<(std::process::Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "victim_of_signals"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let prefix = format!("rvs-{}-0", child.id());
    let built = eventually(secs(20), || {
        ensure!(std::env::temp_dir().join(&prefix).join("ready").exists(), "not yet built");
        Ok(())
    });
    if built.is_err() {
        child.kill()?;
        child.wait()?;
    }
    built.map(|()| (child, prefix))
}

fn left_of(prefix: &str) -> bool {
    Path::new(&format!("/run/netns/{prefix}-dr")).exists() || std::env::temp_dir().join(prefix).exists()
}

/// Is run by the tests of signals, in a process of its own; does nothing otherwise.
#[test]
fn victim_of_signals() -> Result<()> {
    if std::env::var_os(VICTIM).is_none() {
        return Ok(());
    }
    let Some(lab) = start(Topology::nat().http())? else { return Ok(()) };
    std::fs::write(lab.dir().join("ready"), "")?;
    eventually(secs(60), || anyhow::bail!("waiting for a signal"))
}

#[test]
fn sigterm_leaves_nothing() -> Result<()> {
    if !lab::is_root() {
        return start(Topology::nat()).map(drop);
    }
    let (mut child, prefix) = victim()?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id())?), nix::sys::signal::Signal::SIGTERM)?;
    assert_eq!(child.wait()?.code(), Some(128 + 15));
    assert!(!left_of(&prefix));
    Ok(())
}

#[test]
fn what_kill_leaves_is_collected_by_the_next_process() -> Result<()> {
    if !lab::is_root() {
        return start(Topology::nat()).map(drop);
    }
    let (mut child, prefix) = victim()?;
    child.kill()?;
    child.wait()?;
    assert!(left_of(&prefix));
    let (mut next, second) = victim()?;
    let collected = !left_of(&prefix);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(next.id())?), nix::sys::signal::Signal::SIGINT)?;
    next.wait()?;
    assert!(collected && !left_of(&second));
    Ok(())
}
