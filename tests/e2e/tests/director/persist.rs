//! Persistence: a client stays with its server.

use crate::{at, vip};
use anyhow::{Context as _, Result, ensure};
use lab::topology::CLIENT;
use lab::wait::secs;
use lab::{Family, Lab, Method, Topology, echo, eventually, start};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

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

/// Each port has a decision of its own, in both families.
#[test]
fn a_service_of_one_port_decides_for_that_port() -> Result<()> {
    let Some(lab) = start(Topology::nat().clients(2))? else { return Ok(()) };
    for family in Family::ALL {
        let (client, other) = (family.client(), family.client_number(1));
        for port in [echo::PORT, echo::OTHER_PORT] {
            lab.serve("-t", at(family, port), "-s rr -p 60", port, &[1, 1, 1])?;
        }
        // One after another asks the first port: each of its clients takes one server further.
        assert_eq!(names_of(&lab, other, echo::PORT, 2)?, ["rs3"; 2]);
        assert_eq!(names_of(&lab, client, echo::PORT, 2)?, ["rs2"; 2]);
        assert_eq!(names_of(&lab, client, echo::OTHER_PORT, 2)?, ["rs3"; 2]);
        assert_eq!(names_of(&lab, client, echo::PORT, 2)?, ["rs2"; 2]);
    }
    Ok(())
}

/// A mask joins clients: those of one network are one.
#[test]
fn a_netmask_joins_the_clients_of_a_network() -> Result<()> {
    let Some(lab) = start(Topology::nat().clients(4))? else { return Ok(()) };
    // The clients end in 100 to 103: pairs without the last bit, all four without the last two.
    for (family, pairs, all) in [(Family::V4, "255.255.255.254", "255.255.255.0"), (Family::V6, "127", "64")] {
        let service = at(family, echo::PORT);
        let each = || -> Result<Vec<String>> {
            let clients = (0..4).map(|n| family.client_number(n));
            clients.map(|from| Ok(names_of(&lab, from, echo::PORT, 1)?.concat())).collect()
        };
        lab.serve("-t", service, &format!("-s rr -p 60 -M {pairs}"), echo::PORT, &[1, 1, 1])?;
        assert_eq!((each()?, each()?), (same(["rs3", "rs3", "rs2", "rs2"]), same(["rs3", "rs3", "rs2", "rs2"])));
        lab.ipvsadm(&format!("-D -t {service}"))?;
        lab.serve("-t", service, &format!("-s rr -p 60 -M {all}"), echo::PORT, &[1, 1, 1])?;
        let names = each()?;
        assert!(names.iter().all(|name| *name == names[0]), "{family:?}: {names:?}");
    }
    Ok(())
}

/// Port 0 in IPv6, with datagrams as well: a protocol's ports are one decision.
#[test]
fn a_service_of_all_ports_keeps_the_server_in_ipv6() -> Result<()> {
    let Some(lab) = start(Topology::dr().clients(2))? else { return Ok(()) };
    let family = Family::V6;
    for proto in ["-t", "-u"] {
        lab.serve(proto, at(family, 0), "-s rr -p 60", 0, &[1, 1, 1])?;
    }
    for port in [echo::PORT, echo::OTHER_PORT, echo::PORT] {
        assert_eq!(names_of(&lab, family.client(), port, 2)?, ["rs3"; 2]);
        assert_eq!(names_of(&lab, family.client_number(1), port, 2)?, ["rs2"; 2]);
        let socket = lab.udp_from(SocketAddr::new(family.client(), 0), at(family, port))?;
        assert_eq!(lab::client::ask_again(&socket)?, "rs3");
    }
    Ok(())
}

fn names_of(lab: &Lab, from: IpAddr, port: u16, count: usize) -> Result<Vec<String>> {
    let service = at(Family::of(from), port);
    (0..count).map(|_| Ok(lab.greet_from(SocketAddr::new(from, 0), service)?.name)).collect()
}

fn same(names: [&str; 4]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}
