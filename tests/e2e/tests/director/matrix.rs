//! Every forwarding method with every family: much data over TCP, datagrams small, large and in
//! fragments.

use crate::at;
use crate::bulk::noise;
use anyhow::{Context as _, Result};
use lab::{Family, Lab, Method, Topology, echo, start};
use std::net::SocketAddr;

/// Every kind of tunnel: ipvsadm's options.
const TUNNELS: [&str; 6] = [
    "-i",
    "-i --tun-type gue --tun-port 6080",
    "-i --tun-type gue --tun-port 6080 --tun-csum",
    "-i --tun-type gue --tun-port 6080 --tun-remcsum",
    "-i --tun-type gre",
    "-i --tun-type gre --tun-csum",
];

/// A service on TCP and UDP of one family, whose real server is reached by `forward` at its address of another.
fn services(lab: &Lab, family: Family, behind: Family, port: u16, forward: &str) -> Result<()> {
    lab.ipvsadm("-C")?;
    let (service, server) = (at(family, echo::PORT), SocketAddr::new(behind.server(1), port));
    for proto in ["-t", "-u"] {
        lab.restore(&format!("-A {proto} {service} -s rr\n-a {proto} {service} -r {server} {forward}\n"))?;
    }
    Ok(())
}

/// What clients do.
fn carries(lab: &Lab, family: Family) -> Result<()> {
    let (service, data) = (at(family, echo::PORT), noise(3_000_000));
    assert_eq!(lab.greet(service)?.echo(&data)?, "rs1");
    assert_eq!(lab.ask(service)?, "rs1");
    for length in [1300, 8_000, 30_000] {
        assert_eq!(lab.ask_with(service, &data[..length])?, "rs1");
    }
    Ok(())
}

#[test]
fn nat_carries_streams_and_datagrams_of_both_families() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    for family in Family::ALL {
        services(&lab, family, family, echo::OTHER_PORT, "-m")?;
        carries(&lab, family).with_context(|| format!("NAT {family:?}"))?;
    }
    Ok(())
}

#[test]
fn dr_carries_streams_and_datagrams_of_both_families() -> Result<()> {
    let Some(lab) = start(Topology::dr().servers(1))? else { return Ok(()) };
    for family in Family::ALL {
        services(&lab, family, family, echo::PORT, "-g")?;
        carries(&lab, family).with_context(|| format!("DR {family:?}"))?;
    }
    Ok(())
}

/// Each kind of tunnel through a network of either family.
fn tunnels(family: Family, behind: Family) -> Result<()> {
    let Some(lab) = start(Topology::of(Method::Tun).servers(1))? else { return Ok(()) };
    for forward in TUNNELS {
        let case = || format!("{forward}: {family:?} in {behind:?}");
        services(&lab, family, behind, echo::PORT, forward).with_context(case)?;
        carries(&lab, family).with_context(case)?;
    }
    Ok(())
}

#[test]
fn tunnels_carry_ipv4_in_ipv4() -> Result<()> {
    tunnels(Family::V4, Family::V4)
}

#[test]
fn tunnels_carry_ipv4_in_ipv6() -> Result<()> {
    tunnels(Family::V4, Family::V6)
}

#[test]
fn tunnels_carry_ipv6_in_ipv4() -> Result<()> {
    tunnels(Family::V6, Family::V4)
}

#[test]
fn tunnels_carry_ipv6_in_ipv6() -> Result<()> {
    tunnels(Family::V6, Family::V6)
}
