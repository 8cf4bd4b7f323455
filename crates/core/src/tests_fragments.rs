//! Fragments of both families through a director in memory, in any order.

use crate::abi::{Forward, ServiceKey};
use crate::frames::{self, Shape};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::verdict::Reason;
use core::net::{Ipv4Addr, Ipv6Addr};
use rvs_wire::ipv4::proto;
use rvs_wire::{Addr, Be16, Family};
use std::vec;
use std::vec::Vec;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 11);
const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x100);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x11);

fn director(forward: Forward) -> Model {
    let mut model = Model::new(64);
    for (vip, server, family) in
        [(Addr::from(VIP), Addr::from(SERVER), Family::V4), (VIP6.into(), SERVER6.into(), Family::V6)]
    {
        let key = ServiceKey { addr: vip, port: Be16::new(53), proto: proto::UDP, family: family.raw() };
        let server = Server { addr: server, family: family.raw(), port: 5353, forward, ..Server::default() };
        model.add_service(key, Kind::Rr, 0, 0, &[server]);
    }
    model
}

/// A datagram of 2048 bytes in pieces of 1024, and a last one of 8, between these ends.
fn pieces(from: Ipv4Addr, to: Ipv4Addr, port: u16, id: u16) -> Vec<Vec<u8>> {
    let payload: Vec<u8> = (0..2048u32).map(|n| n as u8).collect();
    let whole = frames::udp((from, 6000), (to, port), &Shape { payload, frag: 0, id, ..Shape::default() });
    let datagram = &whole[34..];
    let piece = |at: usize, end: usize, more: u16| {
        let shape = Shape { frag: (at / 8) as u16 | more, id, ..Shape::default() };
        frames::ip(from, to, proto::UDP, &datagram[at..end], &shape)
    };
    vec![piece(0, 1024, 0x2000), piece(1024, 2048, 0x2000), piece(2048, 2056, 0)]
}

fn pieces6(from: Ipv6Addr, to: Ipv6Addr, port: u16) -> Vec<Vec<u8>> {
    let payload: Vec<u8> = (0..2048u32).map(|n| n as u8).collect();
    let whole = frames::udp((from, 6000), (to, port), &Shape { payload, ..Shape::default() });
    let datagram = &whole[54..];
    let piece = |at: usize, end: usize, more: u8| {
        let [high, low] = (at as u16).to_be_bytes();
        let extensions = vec![(44, vec![0, high, low | more, 0xca, 0xfe, 0, 1])];
        frames::ip(from, to, proto::UDP, &datagram[at..end], &Shape { extensions, ..Shape::default() })
    };
    vec![piece(0, 1024, 1), piece(1024, 2048, 1), piece(2048, 2056, 0)]
}

/// What the pieces of a masqueraded datagram must be: those of the datagram as it would have been sent to the server.
fn older(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for frame in &mut frames {
        if frame[12] == 8 {
            frame[22] -= 1;
            frame[24..26].fill(0);
            let sum = rvs_wire::checksum::checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.raw().to_ne_bytes());
        } else {
            frame[21] -= 1;
        }
    }
    frames
}

#[test]
fn pieces_in_order_follow_the_first() {
    let model = director(Forward::Masq);
    let out: Vec<_> = pieces(CLIENT, VIP, 53, 1).iter().map(|piece| model.packet(piece).1.unwrap()).collect();
    assert_eq!(out, older(pieces(CLIENT, SERVER, 5353, 1)));
    let out: Vec<_> = pieces6(CLIENT6, VIP6, 53).iter().map(|piece| model.packet(piece).1.unwrap()).collect();
    assert_eq!(out, older(pieces6(CLIENT6, SERVER6, 5353)));
    assert_eq!(model.counters.borrow().1[&0].in_pkts, 3, "each piece counts");
}

#[test]
fn pieces_that_come_early_are_held_until_the_first_comes() {
    for forward in [Forward::Masq, Forward::Route, Forward::Tunnel] {
        let model = director(forward);
        let [first, second, third] = <[_; 3]>::try_from(pieces(CLIENT, VIP, 53, 1)).unwrap();
        assert_eq!(model.packet(&third), (Reason::FragmentHeld, None));
        assert_eq!(model.packet(&second), (Reason::FragmentHeld, None));
        assert_eq!(model.release().len(), 2, "nothing has changed");
        let said = model.packet(&first).0;
        let released = model.release();
        assert_eq!(released.iter().map(|(reason, _)| *reason).collect::<Vec<_>>(), [said, said]);
        assert!(model.release().is_empty());
    }
}

#[test]
fn pieces_of_other_packets_are_left_to_the_host() {
    let model = director(Forward::Masq);
    for piece in pieces(CLIENT, VIP, 54, 9) {
        let said = model.packet(&piece).0;
        assert!(matches!(said, Reason::NoService | Reason::Fragment), "{said:?}");
    }
    // The same identification from another host, or in another protocol, is another packet.
    model.packet(&pieces(CLIENT, VIP, 53, 1)[0]);
    let other = Ipv4Addr::new(10, 0, 1, 101);
    assert_eq!(model.packet(&pieces(other, VIP, 53, 1)[1]).0, Reason::FragmentHeld);
    let ping = frames::ip(CLIENT, VIP, proto::ICMP, &[0; 64], &Shape { frag: 0x10, ..Shape::default() });
    assert_eq!(model.packet(&ping).0, Reason::Fragment);
}

#[test]
fn a_piece_must_not_touch_the_transport_header() {
    let model = director(Forward::Masq);
    let overlap = frames::ip(CLIENT, VIP, proto::TCP, &[0; 64], &Shape { frag: 1, ..Shape::default() });
    assert_eq!(model.packet(&overlap).0, Reason::FragmentOverlap);
    let tiny = frames::ip(CLIENT, VIP, proto::UDP, &[0; 4], &Shape { frag: 0x2000, ..Shape::default() });
    assert_eq!(model.packet(&tiny).0, Reason::Malformed);
}

#[test]
fn pieces_of_a_connection_that_is_over_or_refused_go_nowhere() {
    let model = director(Forward::Masq);
    let datagram = pieces(CLIENT, VIP, 53, 1);
    model.packet(&datagram[0]);
    model.now.set(model.now.get() + 29_000_000_000);
    assert_eq!(model.packet(&datagram[1]).0, Reason::NatIn);
    model.now.set(model.now.get() + 2_000_000_000);
    assert_eq!(model.packet(&datagram[2]).0, Reason::FragmentHeld, "forgotten after half a minute");

    model.now.set(model.now.get() + 400_000_000_000);
    model.packet(&pieces(CLIENT, VIP, 53, 2)[0]);
    model.conns.iter().for_each(|conn| conn.serial.set(conn.serial.get() + 1));
    assert_eq!(model.packet(&pieces(CLIENT, VIP, 53, 2)[1]).0, Reason::FragmentDropped);
}
