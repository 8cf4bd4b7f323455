//! Persistence: a client stays with its server.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::topology::CLIENT;
use lab::wait::secs;
use lab::{Lab, Method, Topology, echo, eventually, start};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A second address of the client's.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 101);

fn names(lab: &Lab, from: Ipv4Addr, port: u16, count: usize) -> Result<Vec<String>> {
    (0..count).map(|_| Ok(lab.greet_from(SocketAddrV4::new(from, 0), vip(port))?.name)).collect()
}

fn sticks(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).clients(2))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr -p 60", echo::PORT, &[1, 1, 1])?;
    assert_eq!(names(&lab, CLIENT, echo::PORT, 3)?, ["rs3"; 3]);
    assert_eq!(names(&lab, OTHER, echo::PORT, 3)?, ["rs2"; 3]);
    assert_eq!(names(&lab, CLIENT, echo::PORT, 2)?, ["rs3"; 2]);
    // The templates: port 0, assured by an established connection.
    eventually(secs(2), || {
        let connections = lab.connections()?;
        for (client, server) in [("10.0.1.100:0", "10.0.2.13:7"), ("10.0.1.101:0", "10.0.2.12:7")] {
            let template = connections.iter().find(|c| c.source == client).context("no template")?;
            ensure!((template.dest.as_str(), template.state.as_str()) == (server, "ASSURED"), "{template:?}");
            ensure!(template.expire.starts_with("00:5") || template.expire == "01:00", "{template:?}");
        }
        Ok(())
    })?;
    let listing = lab.ipvsadm("-Ln --persistent-conn")?;
    let persistent = |server: &str| -> Option<u64> {
        listing.lines().find(|line| line.contains(server))?.split_whitespace().nth(3)?.parse().ok()
    };
    assert_eq!(["10.0.2.11:7", "10.0.2.12:7", "10.0.2.13:7"].map(persistent), [Some(0), Some(1), Some(1)], "{listing}");
    assert_eq!(lab.table()?[0].flags, "persistent 60");
    Ok(())
}

#[test]
fn nat_clients_stay_with_their_server() -> Result<()> {
    sticks(Method::Nat)
}

#[test]
fn dr_clients_stay_with_their_server() -> Result<()> {
    sticks(Method::Dr)
}

#[test]
fn tun_clients_stay_with_their_server() -> Result<()> {
    sticks(Method::Tun)
}

/// Port 0: one decision for all ports of a protocol.
#[test]
fn a_service_of_all_ports_keeps_the_server_across_ports() -> Result<()> {
    let Some(lab) = start(Topology::nat().clients(2))? else { return Ok(()) };
    lab.serve("-t", vip(0), "-s rr -p 60", 0, &[1, 1, 1])?;
    for port in [echo::PORT, echo::OTHER_PORT, echo::PORT] {
        assert_eq!(names(&lab, CLIENT, port, 2)?, ["rs3"; 2]);
        assert_eq!(names(&lab, OTHER, port, 2)?, ["rs2"; 2]);
    }
    let template = lab.connections()?.into_iter().find(|c| c.source == "10.0.1.100:0").context("no template")?;
    assert_eq!((template.virt.as_str(), template.dest.as_str()), ("10.0.1.10:0", "10.0.2.13:0"));
    Ok(())
}

#[test]
fn datagrams_stay_with_their_server() -> Result<()> {
    let Some(lab) = start(Topology::nat().clients(2))? else { return Ok(()) };
    lab.serve("-u", vip(echo::PORT), "-s rr -p 60", echo::PORT, &[1, 1, 1])?;
    assert_eq!(lab.sequence_udp(vip(echo::PORT), 4)?, "3 3 3 3");
    Ok(())
}

/// A template outlives weight 0; without it the client goes elsewhere.
#[test]
fn a_template_ignores_weight_0() -> Result<()> {
    let Some(lab) = start(Topology::nat().clients(2))? else { return Ok(()) };
    lab.serve("-t", vip(echo::PORT), "-s rr -p 60", echo::PORT, &[1, 1, 1])?;
    assert_eq!(names(&lab, CLIENT, echo::PORT, 1)?, ["rs3"]);
    lab.ipvsadm(&format!("-e -t {} -r 10.0.2.13:7 -m -w 0", vip(echo::PORT)))?;
    assert_eq!(names(&lab, CLIENT, echo::PORT, 2)?, ["rs3"; 2]);
    assert!(!names(&lab, OTHER, echo::PORT, 3)?.contains(&"rs3".to_owned()));
    Ok(())
}

/// The template goes with its time, once no connection holds it.
#[test]
fn a_template_expires() -> Result<()> {
    let Some(lab) = start(Topology::nat().clients(1))? else { return Ok(()) };
    lab.ipvsadm("--set 0 0 1")?;
    lab.serve("-u", vip(echo::PORT), "-s rr -p 2", echo::PORT, &[1, 1, 1])?;
    assert_eq!(lab.sequence_udp(vip(echo::PORT), 2)?, "3 3");
    eventually(secs(8), || {
        let left = lab.connections()?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })?;
    assert_eq!(lab.sequence_udp(vip(echo::PORT), 2)?, "2 2");
    Ok(())
}
