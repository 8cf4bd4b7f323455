//! Next hops: cold, changed, found again.

use crate::vip;
use anyhow::{Result, ensure};
use lab::client::ask_again;
use lab::wait::secs;
use lab::{Lab, Method, Topology, echo, eventually, start};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

/// An answer that takes longer counts as lost.
const SOON: Duration = Duration::from_millis(100);

fn flush(lab: &Lab) -> Result<()> {
    lab.director().ip("neigh flush all")
}

fn cold(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(()) };
    for proto in ["-t", "-u"] {
        lab.serve(proto, vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    }
    // Never a neighbour known: the first packet ever. A lost SYN would be sent again after a second.
    flush(&lab)?;
    let start = Instant::now();
    lab.greet(vip(echo::PORT))?;
    assert!(start.elapsed() < Duration::from_millis(900), "the first SYN was lost");

    let socket = lab.udp_from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), vip(echo::PORT))?;
    socket.set_read_timeout(Some(SOON))?;
    ask_again(&socket)?;
    let mut lost_in_a_row = 0;
    for n in 0..200 {
        if n % 10 == 0 {
            flush(&lab)?;
        }
        match ask_again(&socket) {
            Ok(_) => lost_in_a_row = 0,
            Err(_) => lost_in_a_row += 1,
        }
        assert!(lost_in_a_row < 2, "datagrams lost for longer than one resolution, at {n}");
    }
    // Old connections and new ones.
    for _ in 0..3 {
        flush(&lab)?;
        let start = Instant::now();
        lab.greet(vip(echo::PORT))?;
        assert!(start.elapsed() < Duration::from_millis(900), "a SYN was lost");
    }
    Ok(())
}

#[test]
fn nat_finds_cold_neighbours() -> Result<()> {
    cold(Method::Nat)
}

#[test]
fn dr_finds_cold_neighbours() -> Result<()> {
    cold(Method::Dr)
}

#[test]
fn tun_finds_cold_neighbours() -> Result<()> {
    cold(Method::Tun)
}

/// A real server comes back with another MAC and announces it, as a host does that took over an address.
fn moved(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(()) };
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    let socket = lab.udp_from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), vip(echo::PORT))?;
    socket.set_read_timeout(Some(SOON))?;
    ask_again(&socket)?;
    let server = lab.server(1);
    server.ip("link set eth0 address 02:00:00:00:02:99")?;
    server.ip("neigh flush all")?;
    eventually(secs(5), || {
        server.command("arping").args("-q -c 1 -w 1 -U -I eth0 10.0.2.11").run()?;
        ask_again(&socket)
    })?;
    // And from now on without loss.
    for n in 0..20 {
        ensure!(ask_again(&socket).is_ok(), "answer {n} is missing");
    }
    lab.ask(vip(echo::PORT))?;
    Ok(())
}

#[test]
fn nat_follows_a_server_to_another_mac() -> Result<()> {
    moved(Method::Nat)
}

#[test]
fn dr_follows_a_server_to_another_mac() -> Result<()> {
    moved(Method::Dr)
}

#[test]
fn tun_follows_a_server_to_another_mac() -> Result<()> {
    moved(Method::Tun)
}

/// The director's link to the servers goes down and comes up again.
#[test]
fn a_link_that_was_down_serves_again() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.serve("-u", vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    lab.ask(vip(echo::PORT))?;
    lab.director().ip("link set eth1 down")?;
    let socket = lab.udp_from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0), vip(echo::PORT))?;
    socket.set_read_timeout(Some(SOON))?;
    assert!(ask_again(&socket).is_err());
    lab.director().ip("link set eth1 up")?;
    eventually(secs(5), || ask_again(&socket))?;
    Ok(())
}
