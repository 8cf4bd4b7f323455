//! What the director changes in a packet and what it leaves alone, seen on both its sides. Offloads are off here, so that
//! every checksum on the wire is complete.

use crate::vip;
use anyhow::{Context as _, Result};
use lab::packet::{Frame, IPIP, Ipv4, TCP, UDP, tcp_flags};
use lab::topology::{
    CLIENT, CLIENT_MAC, DIRECTOR_BACK, DIRECTOR_BACK_MAC, DIRECTOR_FRONT_MAC, ROUTER_FRONT_MAC, VIP, server, server_mac,
};
use lab::{Lab, Method, Topology, echo, start};

/// The port behind the virtual one, where the method can map it.
const fn real_port(method: Method) -> u16 {
    match method {
        Method::Nat => echo::OTHER_PORT,
        Method::Dr | Method::Tun => echo::PORT,
    }
}

fn one_server(method: Method) -> Result<Option<Lab>> {
    let Some(lab) = start(Topology::of(method).servers(1).offloads(false))? else { return Ok(None) };
    for proto in ["-t", "-u"] {
        lab.serve(proto, vip(echo::PORT), "-s rr", real_port(method), &[1])?;
    }
    lab.warm()?;
    Ok(Some(lab))
}

/// A packet as it came to the director and as it left.
fn hops(before: &[Frame], after: &[Frame]) -> Result<Vec<(Ipv4, Ipv4)>> {
    let mut pairs = Vec::new();
    for frame in before {
        let data = |ip: &Ipv4| (ip.data().to_vec(), ip.flags());
        // Of equal segments (bare acknowledgements) the identification tells which is which.
        let same = |ip: &&Ipv4| data(ip) == data(&frame.ip) && ip.id == frame.ip.id;
        let after = after.iter().map(|f| f.ip.inner().filter(|_| f.ip.proto == IPIP).unwrap_or(f.ip.clone()));
        let after: Vec<Ipv4> = after.collect();
        pairs.push((frame.ip.clone(), after.iter().find(same).with_context(|| format!("lost: {frame:#?}"))?.clone()));
    }
    Ok(pairs)
}

/// One TCP conversation and one datagram with its answer, captured at the director's interfaces: front and back.
fn conversation(lab: &Lab) -> Result<(Vec<Frame>, Vec<Frame>)> {
    let filter = "tcp or udp or ip proto 4";
    let front = lab.capture(&lab.client(), "eth0", filter)?;
    let back = lab.capture(&lab.director(), "eth1", filter)?;
    lab.greet(vip(echo::PORT))?.bye()?;
    lab.ask(vip(echo::PORT))?;
    // The answer to the datagram is the last that the client gets; all before it has passed then.
    let front = front.until(1, |frame| frame.ip.proto == UDP && frame.ip.dst == CLIENT)?;
    let inside = |frame: &Frame| frame.ip.inner().filter(|_| frame.ip.proto == IPIP).unwrap_or(frame.ip.clone());
    let back = back.until(1, |frame| inside(frame).proto == UDP)?;
    assert!(front.iter().chain(&back).all(|frame| frame.ip.header_good && frame.ip.checksum_good()));
    Ok((front, back))
}

fn from_client(frames: &[Frame]) -> Vec<Frame> {
    frames.iter().filter(|frame| frame.src == CLIENT_MAC).cloned().collect()
}

#[test]
fn nat_changes_addresses_and_ports_both_ways() -> Result<()> {
    let Some(lab) = one_server(Method::Nat)? else { return Ok(()) };
    let (front, back) = conversation(&lab)?;
    assert!(front.iter().all(|f| f.src == DIRECTOR_FRONT_MAC || f.dst == DIRECTOR_FRONT_MAC));
    for (before, after) in hops(&from_client(&front), &back)? {
        let ports = before.ports().unwrap();
        assert_eq!((after.src, after.dst), (CLIENT, server(1)));
        assert_eq!((after.ports().unwrap().src, after.ports().unwrap().dst), (ports.src, echo::OTHER_PORT));
        assert_eq!((after.ttl, after.id, after.df, after.tos), (before.ttl - 1, before.id, before.df, before.tos));
    }
    let answers: Vec<Frame> = back.iter().filter(|frame| frame.src == server_mac(1)).cloned().collect();
    let to_client: Vec<Frame> = front.iter().filter(|frame| frame.dst == CLIENT_MAC).cloned().collect();
    for (before, after) in hops(&answers, &to_client)? {
        let ports = before.ports().unwrap();
        assert_eq!((before.src, after.src, after.dst), (server(1), VIP, CLIENT));
        assert_eq!((after.ports().unwrap().src, after.ports().unwrap().dst), (echo::PORT, ports.dst));
        assert_eq!((after.ttl, after.id, after.df), (before.ttl - 1, before.id, before.df));
    }
    assert!(back.iter().all(|f| f.dst == server_mac(1) || f.src == server_mac(1)));
    Ok(())
}

#[test]
fn dr_changes_nothing_but_macs_and_ttl() -> Result<()> {
    let Some(lab) = one_server(Method::Dr)? else { return Ok(()) };
    let (front, back) = conversation(&lab)?;
    assert!(back.iter().all(|f| (f.src, f.dst) == (DIRECTOR_BACK_MAC, server_mac(1))), "answers pass the router");
    for (before, after) in hops(&from_client(&front), &back)? {
        assert_eq!(after, Ipv4 { ttl: before.ttl - 1, ..before });
    }
    let answers: Vec<&Frame> = front.iter().filter(|frame| frame.dst == CLIENT_MAC).collect();
    assert!(answers.iter().all(|f| f.src == ROUTER_FRONT_MAC && f.ip.src == VIP));
    Ok(())
}

#[test]
fn tun_wraps_the_packet_as_recorded() -> Result<()> {
    let Some(lab) = one_server(Method::Tun)? else { return Ok(()) };
    let (front, back) = conversation(&lab)?;
    for (before, after) in hops(&from_client(&front), &back)? {
        assert_eq!(after, Ipv4 { ttl: before.ttl - 1, ..before });
    }
    for frame in &back {
        let (outer, inner) = (&frame.ip, frame.ip.inner().context("only tunnelled packets leave")?);
        assert_eq!((frame.src, frame.dst), (DIRECTOR_BACK_MAC, server_mac(1)));
        assert_eq!((outer.src, outer.dst, outer.proto), (DIRECTOR_BACK, server(1), IPIP));
        assert_eq!((outer.ttl, outer.df, outer.tos), (inner.ttl, inner.df, inner.tos));
        assert!(!outer.df || outer.id == 0, "{outer:?}");
        assert_eq!(usize::from(outer.length), usize::from(inner.length) + 20);
        assert!(outer.options.is_empty());
    }
    Ok(())
}

/// A packet of the client's, sent by hand, as it reaches the real server (out of its tunnel).
fn pass(lab: &Lab, ip: Ipv4) -> Result<Ipv4> {
    let id = ip.id;
    let at_server = lab.capture(&lab.server(1), "eth0", "ip dst 10.0.2.11 or ip dst 10.0.1.10")?;
    lab.inject(ip)?;
    let inside = |frame: &Frame| if frame.ip.proto == IPIP { frame.ip.inner() } else { Some(frame.ip.clone()) };
    let frames = at_server.until(1, |frame| inside(frame).is_some_and(|ip| ip.id == id));
    let frames = frames.with_context(|| format!("the packet with identification {id} does not arrive"))?;
    frames.iter().filter_map(inside).find(|ip| ip.id == id).context("captured a moment ago")
}

fn by_hand(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    let (from, to) = ((CLIENT, 5000), (VIP, echo::PORT));
    let destination = if method == Method::Nat { server(1) } else { VIP };

    let options = [0x94, 4, 0, 0, 1, 1, 1, 0];
    let sent = Ipv4::udp(from, to, b"options").options(&options).id(100).tos(0x28);
    let got = pass(&lab, sent)?;
    assert_eq!((got.options.as_slice(), got.ttl, got.tos, got.dst), (&options[..], 63, 0x28, destination));
    assert!(got.header_good && got.checksum_good());

    let got = pass(&lab, Ipv4::udp(from, to, b"no DF").df(false).id(101).ttl(9))?;
    assert_eq!((got.df, got.ttl), (false, 8));
    assert!(got.header_good && got.checksum_good());

    // A sender that leaves the checksum out of UDP: it is never made wrong.
    let got = pass(&lab, Ipv4::udp(from, to, b"no checksum").checksum(0).id(102))?;
    assert!(got.checksum_good(), "{got:?}");
    if method != Method::Nat {
        assert_eq!(got.checksum_field(), Some(0));
    }

    // A wrong checksum stays wrong, and is passed on for the receiver to see.
    let wrong = Ipv4::udp(from, to, b"wrong");
    let field = wrong.checksum_field().unwrap();
    let got = pass(&lab, wrong.checksum(field ^ 0x5500).id(103))?;
    assert!(got.header_good && !got.checksum_good());

    let got = pass(&lab, Ipv4::tcp(from, to, tcp_flags::SYN, 1, 0, b"").options(&[1, 1, 1, 0]).id(104))?;
    assert_eq!((got.proto, got.options.as_slice(), got.dst), (TCP, &[1, 1, 1, 0][..], destination));
    assert!(got.header_good && got.checksum_good());

    // The last hop that a packet may make is the real server.
    let got = pass(&lab, Ipv4::udp(from, to, b"last hop").ttl(2).id(105))?;
    assert_eq!(got.ttl, 1);
    Ok(())
}

#[test]
fn nat_passes_odd_packets_on_unharmed() -> Result<()> {
    by_hand(Method::Nat)
}

#[test]
fn dr_passes_odd_packets_on_unharmed() -> Result<()> {
    by_hand(Method::Dr)
}

#[test]
fn tun_passes_odd_packets_on_unharmed() -> Result<()> {
    by_hand(Method::Tun)
}
