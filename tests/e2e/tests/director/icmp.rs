//! Errors that the director answers, errors that it translates, and echo.

use crate::vip;
use anyhow::{Context as _, Result, ensure};
use lab::packet::{Frame, ICMP, Ipv4, tcp_flags};
use lab::topology::{CLIENT, DIRECTOR_BACK, ROUTER_FRONT, VIP, server};
use lab::wait::secs;
use lab::{Lab, Method, Topology, echo, eventually, start};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Destination unreachable.
const UNREACHABLE: u8 = 3;
/// Time exceeded.
const EXCEEDED: u8 = 11;

fn one_server(method: Method) -> Result<Option<Lab>> {
    let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(None) };
    for proto in ["-t", "-u"] {
        lab.serve(proto, vip(echo::PORT), "-s rr", echo::PORT, &[1])?;
    }
    lab.warm()?;
    Ok(Some(lab))
}

/// Sends a packet as the client and returns the ICMP error that the client gets about it.
fn provoke(lab: &Lab, ip: Ipv4) -> Result<Ipv4> {
    let at_client = lab.capture(&lab.client(), "eth0", "icmp and dst host 10.0.1.100")?;
    lab.inject(ip)?;
    let frames = at_client.until(1, |frame| frame.ip.inner().is_some())?;
    let error = frames.into_iter().map(|frame: Frame| frame.ip).find(|ip| ip.inner().is_some()).context("just seen")?;
    ensure!(error.header_good && error.checksum_good(), "wrong checksum: {error:?}");
    Ok(error)
}

fn ttl_ends(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    let (from, to) = ((CLIENT, 5000), (VIP, echo::PORT));
    // Packets that start a connection, and that belong to one.
    lab.ask(vip(echo::PORT))?;
    let old = lab.udp_from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 5001), vip(echo::PORT))?;
    lab::client::ask_again(&old)?;
    for sent in [
        Ipv4::udp(from, to, b"the end").id(70),
        Ipv4::udp((CLIENT, 5001), to, b"the end").id(71),
        Ipv4::tcp(from, to, tcp_flags::SYN, 1, 0, b"").id(72),
    ] {
        let error = provoke(&lab, sent.clone().ttl(1))?;
        assert_eq!((error.icmp(), error.src, error.dst, error.tos), (Some((EXCEEDED, 0)), VIP, CLIENT, 0xc0));
        let quoted = error.inner().unwrap();
        assert_eq!((quoted.id, quoted.ttl, quoted.src, quoted.dst), (sent.id, 1, CLIENT, VIP));
        assert_eq!(quoted.payload[..8], sent.payload[..8]);
    }
    Ok(())
}

#[test]
fn nat_tells_when_the_ttl_ends() -> Result<()> {
    ttl_ends(Method::Nat)
}

#[test]
fn dr_tells_when_the_ttl_ends() -> Result<()> {
    ttl_ends(Method::Dr)
}

#[test]
fn tun_tells_when_the_ttl_ends() -> Result<()> {
    ttl_ends(Method::Tun)
}

/// The real server is told from the director's address on its side.
#[test]
fn the_server_is_told_when_the_ttl_of_its_answer_ends() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 6000), vip(echo::PORT))?;
    lab::client::ask_again(&socket)?;
    let at_server = lab.capture(&lab.server(1), "eth0", "icmp")?;
    lab.inject_from_server(1, Ipv4::udp((server(1), echo::PORT), (CLIENT, 6000), b"rs1\n").ttl(1).id(58))?;
    let frames = at_server.until(1, |frame| frame.ip.inner().is_some_and(|ip| ip.id == 58))?;
    let error = &frames[0].ip;
    assert_eq!((error.icmp(), error.src, error.dst, error.tos), (Some((EXCEEDED, 0)), DIRECTOR_BACK, server(1), 0xc0));
    assert_eq!(error.inner().map(|ip| (ip.src, ip.dst, ip.ttl)), Some((server(1), CLIENT, 1)));
    Ok(())
}

#[test]
fn a_service_without_destinations_refuses() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let at = vip(echo::PORT);
    lab.restore(&format!("-A -t {at} -s rr\n-A -u {at} -s wlc\n"))?;
    let refused = |error: &anyhow::Error| {
        let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
        assert_eq!(kind, Some(ErrorKind::ConnectionRefused), "{error:#}");
    };
    refused(&lab.greet(at).unwrap_err());
    refused(&lab.ask(at).unwrap_err());
    let error = provoke(&lab, Ipv4::tcp((CLIENT, 5000), (VIP, echo::PORT), tcp_flags::SYN, 1, 0, b"").id(9))?;
    assert_eq!((error.icmp(), error.src, error.tos), (Some((UNREACHABLE, 3)), VIP, 0xc0));
    assert_eq!(error.inner().map(|ip| (ip.src, ip.dst, ip.id)), Some((CLIENT, VIP, 9)));
    // The same when all weights are 0.
    lab.ipvsadm(&format!("-a -t {at} -r 10.0.2.11:7 -m -w 0"))?;
    refused(&lab.greet(at).unwrap_err());
    lab.ipvsadm(&format!("-e -t {at} -r 10.0.2.11:7 -m -w 1"))?;
    assert_eq!(lab.greet(at)?.name, "rs1");
    Ok(())
}

#[test]
fn a_tunnel_tells_its_mtu() -> Result<()> {
    let Some(lab) = one_server(Method::Tun)? else { return Ok(()) };
    let (from, to) = ((CLIENT, 5000), (VIP, echo::PORT));
    let error = provoke(&lab, Ipv4::udp(from, to, &[0x71; 1472]).id(57))?;
    assert_eq!((error.icmp(), error.icmp_mtu()), (Some((UNREACHABLE, 4)), Some(1480)));
    assert_eq!((error.src, error.dst, error.tos), (VIP, CLIENT, 0xc0));
    assert!((20 + 8 + 28..=576).contains(&error.length), "{}", error.length);
    let quoted = error.inner().unwrap();
    assert_eq!((quoted.id, quoted.length, quoted.src, quoted.dst), (57, 1500, CLIENT, VIP));
    // What just fits, passes.
    let at_server = lab.capture(&lab.server(1), "eth0", "ip proto 4")?;
    lab.inject(Ipv4::udp(from, to, &[0x71; 1452]).id(58))?;
    // The answer finds no socket at the client, whose ICMP error about it goes through the tunnel as well.
    let fits = |frame: &&Frame| frame.ip.inner().is_some_and(|ip| ip.id == 58);
    let frames = at_server.until(1, |frame| fits(&frame))?;
    assert_eq!(frames.iter().find(fits).map(|frame| frame.ip.length), Some(1500));
    Ok(())
}

/// A narrower link to the servers: NAT and DR tell its MTU.
fn narrow(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    let (from, to) = ((CLIENT, 5000), (VIP, echo::PORT));
    lab.director().ip("link set eth1 mtu 1300")?;
    let probe = || {
        let error = provoke(&lab, Ipv4::udp(from, to, &[0x71; 1372]).id(57))?;
        assert_eq!((error.icmp(), error.icmp_mtu()), (Some((UNREACHABLE, 4)), Some(1300)));
        assert_eq!((error.src, error.dst, error.tos), (VIP, CLIENT, 0xc0));
        Ok(())
    };
    // The director may remember the old width for a moment.
    eventually(secs(3), probe)
}

#[test]
fn nat_tells_the_mtu_of_a_narrow_link() -> Result<()> {
    narrow(Method::Nat)
}

#[test]
fn dr_tells_the_mtu_of_a_narrow_link() -> Result<()> {
    narrow(Method::Dr)
}

#[test]
fn a_closed_port_of_the_server_is_reported_to_the_client_in_nat() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    // Nothing listens on port 99 of the real server.
    lab.serve("-u", vip(9), "-s rr", 99, &[1])?;
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 6000), vip(9))?;
    let at_client = lab.capture(&lab.client(), "eth0", "icmp and dst host 10.0.1.100")?;
    let error = lab::client::ask_again(&socket).unwrap_err();
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    assert_eq!(kind, Some(ErrorKind::ConnectionRefused), "{error:#}");
    let frames = at_client.until(1, |frame| frame.ip.proto == ICMP)?;
    let error = &frames[0].ip;
    assert_eq!((error.icmp(), error.src, error.dst), (Some((UNREACHABLE, 3)), VIP, CLIENT));
    assert!(error.header_good && error.checksum_good());
    let quoted = error.inner().unwrap();
    assert_eq!((quoted.src, quoted.dst, quoted.header_good), (CLIENT, VIP, true));
    assert_eq!(quoted.ports().map(|ports| (ports.src, ports.dst)), Some((6000, 9)));
    Ok(())
}

/// "Fragmentation needed" from a router on the client's side must reach the real server with its own address in it.
#[test]
fn errors_about_answers_reach_the_real_server_in_nat() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let socket = lab.udp_from(SocketAddrV4::new(CLIENT, 6000), vip(echo::PORT))?;
    lab::client::ask_again(&socket)?;
    let answer = Ipv4::udp((VIP, echo::PORT), (CLIENT, 6000), b"rs1\n").ttl(63).id(77);
    let at_server = lab.capture(&lab.server(1), "eth0", "icmp")?;
    lab.inject(Ipv4::icmp_error(ROUTER_FRONT, VIP, (UNREACHABLE, 4), 576, &answer).id(9))?;
    let frames = at_server.until(1, |frame| frame.ip.inner().is_some())?;
    let error = &frames[0].ip;
    assert_eq!((error.dst, error.ttl, error.icmp_mtu()), (server(1), 63, Some(576)));
    assert!(error.header_good && error.checksum_good());
    let quoted = error.inner().unwrap();
    assert_eq!((quoted.src, quoted.dst, quoted.header_good), (server(1), CLIENT, true));
    Ok(())
}

#[test]
fn the_virtual_address_answers_ping() -> Result<()> {
    for method in Method::ALL {
        let Some(lab) = one_server(method)? else { return Ok(()) };
        lab.ping(&lab.client(), VIP)?;
    }
    Ok(())
}

#[test]
fn ports_without_a_service_are_the_hosts_own() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let listener = lab.director().enter(|| std::net::TcpListener::bind((VIP, 2222)))??;
    let accepted = std::thread::spawn(move || listener.accept().map(drop));
    lab.connect_from(SocketAddrV4::new(CLIENT, 0), vip(2222))?;
    accepted.join().unwrap()?;
    assert!(lab.greet(vip(2223)).is_err());
    Ok(())
}

/// Only a SYN starts a connection; the host answers anything else as it would without us.
#[test]
fn a_segment_of_no_connection_is_the_hosts_own() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let at_client = lab.capture(&lab.client(), "eth0", "tcp and src host 10.0.1.10")?;
    lab.inject(Ipv4::tcp((CLIENT, 5100), (VIP, echo::PORT), tcp_flags::ACK, 1, 77, b""))?;
    let frames = at_client.until(1, |frame| frame.ip.flags().is_some_and(|flags| flags & tcp_flags::RST != 0))?;
    assert_eq!((frames[0].ip.ttl, frames[0].ip.dst), (64, CLIENT));
    assert_eq!(lab.connections()?, []);
    Ok(())
}
