//! SCTP by each forwarding method, in both families: spoken by hand, as not every kernel speaks it.

use crate::at;
use anyhow::{Context as _, Result};
use lab::any::{Packet, SCTP};
use lab::{Family, Lab, Topology, echo, start};
use std::net::SocketAddr;

/// Where GUE is received; there is no other UDP here.
const GUE: u16 = 6080;

fn service(lab: &Lab, family: Family, behind: Family, port: u16, forward: &str) -> Result<()> {
    let (service, server) = (at(family, echo::PORT), SocketAddr::new(behind.server(1), port));
    lab.ipvsadm("-C")?;
    let proto = "--sctp-service";
    lab.restore(&format!("-A {proto} {service} -s rr\n-a {proto} {service} -r {server} {forward}\n")).map(drop)
}

/// An association's first packet, at the real server.
fn sctp_arrives(lab: &Lab, family: Family, behind: Family, port: u16, translated: bool) -> Result<()> {
    sctp_arrives_from(lab, 5000, family, behind, port, translated)
}

/// The same from a certain port.
fn sctp_arrives_from(lab: &Lab, from: u16, family: Family, behind: Family, port: u16, translated: bool) -> Result<()> {
    let (from, to) = (SocketAddr::new(family.client(), from), at(family, echo::PORT));
    let at_server = lab.capture(&lab.server(1), "eth0", "ip or ip6")?;
    // INIT: tag, window, streams, first number.
    let init = Packet::sctp(from, to, 0, 1, &[0, 0, 0, 9, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 5]);
    lab.inject_packets(std::slice::from_ref(&init))?;
    let inside = |packet: &Packet| packet.inner(GUE).unwrap_or(packet.clone());
    let ours = |packet: &Packet| inside(packet).proto == SCTP;
    let packets = at_server.until_packets(1, ours)?;
    let outer = packets.into_iter().find(ours).context("just seen")?;
    let got = inside(&outer);
    assert!(got.checksum_good(), "{got:?}");
    if translated {
        let server = SocketAddr::new(behind.server(1), port);
        let sent = Packet::sctp(from, server, 0, 1, &init.payload[16..]);
        assert_eq!((got.dst, &got.payload, got.hops), (server.ip(), &sent.payload, 63));
    } else {
        assert_eq!((got.dst, &got.payload), (family.vip(), &init.payload));
        let hop = if outer.proto == SCTP { family.vip() } else { behind.server(1) };
        assert_eq!(outer.dst, hop);
    }
    Ok(())
}

/// The answer of an SCTP server through NAT: addresses and ports as the client knows them, and a right checksum.
#[test]
fn nat_translates_answers_of_sctp() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    for family in Family::ALL {
        service(&lab, family, family, echo::OTHER_PORT, "-m")?;
        sctp_arrives(&lab, family, family, echo::OTHER_PORT, true)?;
        let at_client = lab.capture(&lab.client(), "eth0", "ip or ip6")?;
        let (from, to) = (SocketAddr::new(family.server(1), echo::OTHER_PORT), SocketAddr::new(family.client(), 5000));
        let ack = [&[0, 0, 0, 8, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 6, 0, 7, 0, 8][..], b"cook"].concat();
        lab.inject_packets_from_server(1, &[Packet::sctp(from, to, 9, 2, &ack)])?;
        let ours = |packet: &Packet| packet.proto == SCTP && packet.dst == family.client();
        let packets = at_client.until_packets(1, ours)?;
        let got = packets.into_iter().find(ours).context("just seen")?;
        assert_eq!((got.src, got.hops), (family.vip(), 63));
        assert_eq!(got.payload, Packet::sctp(at(family, echo::PORT), to, 9, 2, &ack).payload);
    }
    Ok(())
}

#[test]
fn dr_passes_sctp_on_unchanged() -> Result<()> {
    let Some(lab) = start(Topology::dr().servers(1))? else { return Ok(()) };
    for family in Family::ALL {
        service(&lab, family, family, echo::PORT, "-g")?;
        sctp_arrives(&lab, family, family, echo::PORT, false)?;
    }
    Ok(())
}

#[test]
fn tunnels_carry_sctp_unchanged() -> Result<()> {
    let Some(lab) = start(Topology::tun().servers(1))? else { return Ok(()) };
    let mut from = 5000;
    for forward in ["-i", "-i --tun-type gue --tun-port 6080 --tun-csum", "-i --tun-type gre"] {
        for (family, behind) in [(Family::V4, Family::V4), (Family::V4, Family::V6), (Family::V6, Family::V4)] {
            service(&lab, family, behind, echo::PORT, forward)?;
            // A new association each time: the old one would stay with the real server that was taken away.
            from += 1;
            sctp_arrives_from(&lab, from, family, behind, echo::PORT, false)
                .with_context(|| format!("{forward}: {family:?} in {behind:?}"))?;
        }
    }
    Ok(())
}
