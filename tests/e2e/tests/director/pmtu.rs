//! Ways that are narrower than their ends, and packets that do not live long enough: who is told, and what. Real server 2 is a
//! router here; behind it real server 1 has a second interface, and the way there is narrow.

use crate::at;
use crate::bulk::noise;
use anyhow::{Context as _, Result, ensure};
use lab::any::Packet;
use lab::packet::tcp_flags;
use lab::{Family, Lab, Method, Topology, echo, http, start};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What fits through the narrow link: enough for the least MTU of IPv6 in any tunnel.
const NARROW: u32 = 1380;

/// Real server 1 behind the router.
fn far(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 0, 3, 11).into(),
        Family::V6 => Ipv6Addr::new(0xfd00, 3, 0, 0, 0, 0, 0, 11).into(),
    }
}

/// The director, the router, and real server 1 at the far end. The far end tells clients that it takes segments of full length
/// but sends short ones, so that only the way to it is narrow.
fn narrow_behind(method: Method) -> Result<Option<Lab>> {
    let Some(lab) = start(Topology::of(method).servers(2))? else { return Ok(None) };
    let (router, server) = (lab.server(2), lab.server(1));
    for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        router.sysctl(key, "1")?;
    }
    for key in ["ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"] {
        router.sysctl(key, "0")?;
    }
    router.ip_batch(&format!(
        "link add eth1 type veth peer name eth1 netns {}
link set eth1 mtu {NARROW} up\naddr add 10.0.3.1/24 dev eth1\naddr add fd00:3::1/64 dev eth1 nodad\n",
        server.name()
    ))?;
    server.ip_batch(&format!(
        "link set eth1 mtu {NARROW} up\naddr add 10.0.3.11/24 dev eth1\naddr add fd00:3::b/64 dev eth1 nodad
route replace default via 10.0.3.1 advmss 1460\nroute replace default via fd00:3::1 advmss 1440\n"
    ))?;
    if method == Method::Tun {
        // A router drops what comes from an address of its own.
        router.ip_batch("addr del 10.0.1.10/32 dev lo\naddr del fd00:1::10/128 dev lo\n")?;
        server.command(lab::director::tool("rvs")?).args("decap attach eth1").ok()?;
    }
    lab.director().ip_batch("route add 10.0.3.0/24 via 10.0.2.12\nroute add fd00:3::/64 via fd00:2::c\n")?;
    for family in Family::ALL {
        lab.ping(&lab.director(), far(family))?;
    }
    Ok(Some(lab))
}

fn serve_far(lab: &Lab, family: Family, behind: Family, forward: &str) -> Result<()> {
    let (service, server) = (at(family, echo::PORT), SocketAddr::new(far(behind), echo::PORT));
    lab.ipvsadm("-C")?;
    for proto in ["-t", "-u"] {
        lab.restore(&format!("-A {proto} {service} -s rr\n-a {proto} {service} -r {server} {forward}\n"))?;
    }
    Ok(())
}

/// Sends a packet as the client and returns the ICMP error that the client gets about it.
fn provoke(lab: &Lab, family: Family, packet: &Packet) -> Result<Packet> {
    let at_client = lab.capture(&lab.client(), "eth0", "icmp or icmp6")?;
    lab.inject_packets(std::slice::from_ref(packet))?;
    let told = |packet: &Packet| packet.dst == family.client() && packet.quoted().is_some();
    let packets = at_client.until_packets(1, told)?;
    let error = packets.into_iter().find(told).context("just seen")?;
    ensure!(error.checksum_good(), "wrong checksum: {error:?}");
    Ok(error)
}

/// The client's part of what an error is about.
fn about(error: &Packet) -> Option<(IpAddr, IpAddr, u16, u16)> {
    let quoted = error.quoted()?;
    let ports = quoted.ports()?;
    Some((quoted.src, quoted.dst, ports.src, ports.dst))
}

#[test]
fn nat_translates_the_mtu_of_a_router_behind_it() -> Result<()> {
    let Some(lab) = narrow_behind(Method::Nat)? else { return Ok(()) };
    for family in Family::ALL {
        serve_far(&lab, family, family, "-m")?;
        let (from, to) = (SocketAddr::new(family.client(), 5000), at(family, echo::PORT));
        let error = provoke(&lab, family, &Packet::udp(from, to, &[0x71; 1400]))?;
        assert_eq!(error.icmp_mtu(), Some(NARROW), "{error:?}");
        assert_eq!(about(&error), Some((family.client(), family.vip(), 5000, echo::PORT)));
        assert_eq!(error.src, family.vip());
        // With what it was told a real client gets everything through.
        assert_eq!(lab.greet(to)?.echo(&noise(2_000_000))?, "rs1");
    }
    Ok(())
}

/// The router's error is about the tunnel, and goes to the director. That learns, and tells clients what fits into the tunnel.
#[test]
fn tunnels_learn_the_mtu_of_a_router_on_their_way() -> Result<()> {
    let data = noise(2_000_000);
    for (family, behind, forward, overhead) in [
        (Family::V4, Family::V4, "-i", 20),
        (Family::V4, Family::V6, "-i --tun-type gre", 44),
        (Family::V6, Family::V6, "-i", 40),
        (Family::V6, Family::V4, "-i --tun-type gue --tun-port 6080", 32),
    ] {
        let case = || format!("{forward}: {family:?} in {behind:?}");
        // What one has learned is not known to the next.
        let Some(lab) = narrow_behind(Method::Tun)? else { return Ok(()) };
        serve_far(&lab, family, behind, forward)?;
        let to = at(family, echo::PORT);
        let at_client = lab.capture(&lab.client(), "eth0", "icmp or icmp6")?;
        assert_eq!(lab.greet(to)?.echo(&data).with_context(case)?, "rs1");
        let told = |packet: &Packet| packet.icmp_mtu() == Some(NARROW - overhead);
        let packets = at_client.until_packets(1, told).with_context(case)?;
        let error = packets.into_iter().find(told).context("just seen")?;
        assert_eq!((error.src, error.dst), (family.vip(), family.client()), "{}", case());
        assert_eq!(
            about(&error).map(|about| (about.0, about.1, about.3)),
            Some((family.client(), family.vip(), echo::PORT))
        );
    }
    Ok(())
}

/// The way back is narrow where it leaves the director: the real server is told, as it knows the connection.
#[test]
fn the_real_server_is_told_of_a_narrow_way_to_the_client_in_nat() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1).offloads(false).http())? else { return Ok(()) };
    let data = noise(2_000_000);
    std::fs::write(lab.dir().join("files/big"), &data)?;
    lab.director().ip(&format!("link set eth0 mtu {NARROW}"))?;
    lab.client().ip_batch(&format!(
        "route add 10.0.1.10 dev eth0 mtu {NARROW} advmss 1460\nroute add fd00:1::10 dev eth0 mtu {NARROW} advmss 1440\n"
    ))?;
    for family in Family::ALL {
        let to = at(family, http::PORT);
        lab.serve("-t", to, "-s rr", http::PORT, &[1])?;
        let at_server = lab.capture(&lab.server(1), "eth0", "icmp or icmp6")?;
        let got = lab.dir().join("got");
        lab.curl(&format!("-g -o {} http://{to}/files/big", got.display()))?.ok()?;
        assert!(std::fs::read(&got)? == data, "the download differs");
        let told = |packet: &Packet| packet.icmp_mtu() == Some(NARROW);
        let packets = at_server.until_packets(1, told)?;
        let error = packets.into_iter().find(told).context("just seen")?;
        assert_eq!((error.dst, error.checksum_good()), (family.server(1), true));
        let expected = (family.server(1), family.client(), http::PORT);
        assert_eq!(about(&error).map(|about| (about.0, about.1, about.2)), Some(expected));
    }
    Ok(())
}

/// Probes with 1, 2, 3 hops to live, as traceroute sends them: the director, the router behind it, the real server.
#[test]
fn a_traceroute_sees_each_hop_as_the_virtual_address_in_nat() -> Result<()> {
    let Some(lab) = narrow_behind(Method::Nat)? else { return Ok(()) };
    for family in Family::ALL {
        serve_far(&lab, family, family, "-m")?;
        let (from, to) = (SocketAddr::new(family.client(), 5000), at(family, echo::PORT));
        for hops in [1, 2] {
            let error = provoke(&lab, family, &Packet::udp(from, to, b"how far?").hops(hops))?;
            assert!(error.is_exceeded(), "{hops} hops: {error:?}");
            assert_eq!((error.src, error.dst), (family.vip(), family.client()), "{hops} hops");
            assert_eq!(about(&error), Some((family.client(), family.vip(), 5000, echo::PORT)), "{hops} hops");
        }
        // The real server's datagram sockets are bound to another address: "port unreachable", as traceroute ends.
        let error = provoke(&lab, family, &Packet::udp(from, to, b"how far?").hops(3))?;
        assert_eq!(error.icmp(), Some(if family == Family::V4 { (3, 3) } else { (1, 4) }));
        assert_eq!((error.src, about(&error)), (family.vip(), Some((family.client(), family.vip(), 5000, echo::PORT))));
        // A segment of TCP is told in the same way.
        let error = provoke(&lab, family, &Packet::tcp(from, to, tcp_flags::SYN, 1, 0).hops(2))?;
        assert!(error.is_exceeded(), "{error:?}");
        assert_eq!(about(&error), Some((family.client(), family.vip(), 5000, echo::PORT)));
    }
    Ok(())
}

/// A closed port of the real server and an error about an answer, in IPv6.
#[test]
fn nat_translates_icmpv6_both_ways() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    let family = Family::V6;
    lab.serve("-u", at(family, 9), "-s rr", 99, &[1])?;
    let from = SocketAddr::new(family.client(), 5000);
    let error = provoke(&lab, family, &Packet::udp(from, at(family, 9), b"anybody?"))?;
    assert_eq!((error.icmp(), error.src), (Some((1, 4)), family.vip()));
    assert_eq!(about(&error), Some((family.client(), family.vip(), 5000, 9)));

    lab.serve("-u", at(family, echo::PORT), "-s rr", echo::OTHER_PORT, &[1])?;
    let to = at(family, echo::PORT);
    assert_eq!(lab::client::ask_again(&lab.udp_from(from, to)?)?, "rs1");
    let at_server = lab.capture(&lab.server(1), "eth0", "icmp6")?;
    let answer = Packet::udp(to, from, b"rs1\n").hops(63);
    lab.inject_packets(&[too_big(family.router_front(), family.vip(), 1280, &answer)])?;
    let told = |packet: &Packet| packet.icmp_mtu() == Some(1280);
    let packets = at_server.until_packets(1, told)?;
    let error = packets.into_iter().find(told).context("just seen")?;
    assert_eq!((error.dst, error.checksum_good()), (family.server(1), true));
    assert_eq!(about(&error), Some((family.server(1), family.client(), echo::OTHER_PORT, 5000)));
    Ok(())
}

fn too_big(src: IpAddr, dst: IpAddr, mtu: u32, about: &Packet) -> Packet {
    let mut message = mtu.to_be_bytes().to_vec();
    message.extend(&about.frame([0; 6], [0; 6])[14..]);
    Packet::icmpv6(src, dst, (2, 0), &message)
}

/// The director is the hop where a packet with one hop left ends, whatever the method, in both families.
#[test]
fn every_method_tells_when_hops_end_in_both_families() -> Result<()> {
    for method in Method::ALL {
        let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(()) };
        for family in Family::ALL {
            let (from, to) = (SocketAddr::new(family.client(), 5000), at(family, echo::PORT));
            for proto in ["-t", "-u"] {
                lab.serve(proto, to, "-s rr", echo::PORT, &[1])?;
            }
            for packet in [Packet::udp(from, to, b"the end"), Packet::tcp(from, to, tcp_flags::SYN, 1, 0)] {
                let error = provoke(&lab, family, &packet.hops(1))?;
                assert!(error.is_exceeded(), "{method:?}: {error:?}");
                assert_eq!((error.src, error.dst), (family.vip(), family.client()), "{method:?}");
                assert_eq!(about(&error), Some((family.client(), family.vip(), 5000, echo::PORT)), "{method:?}");
            }
        }
    }
    Ok(())
}
