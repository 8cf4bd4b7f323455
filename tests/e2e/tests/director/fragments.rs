//! Datagrams in fragments that a hostile or unlucky network delivers: in any order, with holes, overlapping. What arrives is
//! put together by real hosts, so an answer shows that every byte came through.

use crate::at;
use crate::bulk::noise;
use anyhow::{Context as _, Result};
use lab::any::Packet;
use lab::client::{ask_again, heard};
use lab::{Family, Lab, Method, Topology, echo, start};
use std::net::{SocketAddr, UdpSocket};

/// The client's port.
const FROM: u16 = 5000;
/// What each fragment carries: it fits into any tunnel.
const SIZE: usize = 1200;

fn one_server(method: Method) -> Result<Option<Lab>> {
    let Some(lab) = start(Topology::of(method).servers(1))? else { return Ok(None) };
    for family in Family::ALL {
        lab.serve("-u", at(family, echo::PORT), "-s rr", echo::PORT, &[1])?;
    }
    // Fragments that wait for a neighbour's address would be reordered or lost by the hosts, not by the director.
    lab.warm()?;
    Ok(Some(lab))
}

fn client(lab: &Lab, family: Family) -> Result<UdpSocket> {
    lab.udp_from(SocketAddr::new(family.client(), FROM), at(family, echo::PORT))
}

fn datagram(family: Family, data: &[u8]) -> Packet {
    Packet::udp(SocketAddr::new(family.client(), FROM), at(family, echo::PORT), data).may_fragment()
}

/// A datagram in fragments of every order, once before and once after the director knows the connection. The answers are in
/// fragments, too.
fn orders(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    let data = noise(8_000);
    for family in Family::ALL {
        let socket = client(&lab, family)?;
        let orders: [&[usize]; 5] = [
            &[0, 1, 2, 3, 4, 5, 6],
            &[6, 5, 4, 3, 2, 1, 0],
            &[1, 0, 2, 4, 3, 6, 5],
            &[6, 0, 1, 2, 3, 4, 5],
            &[3, 6, 1, 5, 0, 2, 4],
        ];
        for (n, order) in (1..).zip(orders) {
            let pieces = datagram(family, &data).fragments(n, SIZE);
            assert_eq!(pieces.len(), order.len());
            let pieces: Vec<Packet> = order.iter().map(|index| pieces[*index].clone()).collect();
            lab.inject_packets(&pieces)?;
            let name = heard(&socket, &data).with_context(|| format!("{} {family:?} {order:?}", method.name()))?;
            assert_eq!(name, "rs1");
        }
        // Two connections at most: of two families.
        assert!(lab.connections()?.len() <= 2);
    }
    Ok(())
}

#[test]
fn nat_passes_fragments_in_any_order() -> Result<()> {
    orders(Method::Nat)
}

#[test]
fn dr_passes_fragments_in_any_order() -> Result<()> {
    orders(Method::Dr)
}

#[test]
fn tun_passes_fragments_in_any_order() -> Result<()> {
    orders(Method::Tun)
}

/// Without its first fragment nobody knows where a datagram goes: nothing of it comes through, and no connection begins.
fn headless(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    let data = noise(8_000);
    for (known, family) in Family::ALL.into_iter().enumerate() {
        let at_server = lab.capture(&lab.server(1), "eth0", "ip or ip6")?;
        let socket = client(&lab, family)?;
        lab.inject_packets(&datagram(family, &data).fragments(1, SIZE)[1..])?;
        assert_eq!(lab.connections()?.len(), known);
        // A whole datagram that follows comes through, and is the first that does.
        assert_eq!(ask_again(&socket)?, "rs1");
        let about = |packet: &Packet| packet.inner(0).unwrap_or(packet.clone());
        let packets = at_server.until_packets(1, |packet| about(packet).udp_data().starts_with(b"who?"))?;
        let leaked: Vec<&Packet> = packets.iter().filter(|packet| about(packet).piece.is_some()).collect();
        assert!(leaked.is_empty(), "{leaked:#?}");
        assert_eq!(lab.reasons()?.get("fragment_held").copied(), Some(6 * (known as u64 + 1)));
    }
    Ok(())
}

#[test]
fn nat_passes_nothing_without_the_first_fragment() -> Result<()> {
    headless(Method::Nat)
}

#[test]
fn dr_passes_nothing_without_the_first_fragment() -> Result<()> {
    headless(Method::Dr)
}

#[test]
fn tun_passes_nothing_without_the_first_fragment() -> Result<()> {
    headless(Method::Tun)
}

/// Fragments that overlap tell two stories: the real server believes neither, and what follows is not disturbed.
fn overlap(method: Method) -> Result<()> {
    let Some(lab) = one_server(method)? else { return Ok(()) };
    let data = noise(3_000);
    for family in Family::ALL {
        let socket = client(&lab, family)?;
        let mut pieces = datagram(family, &data).fragments(1, SIZE);
        let mut second = pieces[1].clone();
        if let Some(piece) = &mut second.piece {
            piece.offset -= 400;
        }
        second.payload.fill(0x2a);
        pieces.insert(1, second);
        lab.inject_packets(&pieces)?;
        assert_eq!(ask_again(&socket)?, "rs1");
        // A second first fragment, for another service, doesn't turn the rest of a datagram elsewhere.
        let mut pieces = datagram(family, &data).fragments(2, SIZE);
        let mut other = pieces[0].clone();
        other.payload[2..4].copy_from_slice(&99_u16.to_be_bytes());
        pieces.push(other);
        lab.inject_packets(&pieces)?;
        assert_eq!(heard(&socket, &data)?, "rs1");
        assert_eq!(ask_again(&socket)?, "rs1");
    }
    Ok(())
}

#[test]
fn nat_is_not_fooled_by_overlapping_fragments() -> Result<()> {
    overlap(Method::Nat)
}

#[test]
fn dr_is_not_fooled_by_overlapping_fragments() -> Result<()> {
    overlap(Method::Dr)
}

#[test]
fn tun_is_not_fooled_by_overlapping_fragments() -> Result<()> {
    overlap(Method::Tun)
}
