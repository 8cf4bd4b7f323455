//! Connections that are purged: both ends are told by their next packets, and nothing is counted twice.

use crate::abi::{Forward, ServiceKey, flags};
use crate::frames::{self, Shape};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::verdict::Reason;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};
use rvs_wire::{Addr, Be16};
use std::vec::Vec;

const SECOND: u64 = 1_000_000_000;

/// An address of each kind in one family.
#[derive(Clone, Copy)]
struct Net {
    client: IpAddr,
    vip: IpAddr,
    server: IpAddr,
}

const V4: Net = Net {
    client: IpAddr::V4(Ipv4Addr::new(10, 0, 1, 100)),
    vip: IpAddr::V4(Ipv4Addr::new(10, 0, 1, 10)),
    server: IpAddr::V4(Ipv4Addr::new(10, 0, 2, 11)),
};
const V6: Net = Net {
    client: IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x100)),
    vip: IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10)),
    server: IpAddr::V6(Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x11)),
};

impl Net {
    fn director(self, number: u8, forward: Forward, service_flags: u16) -> Model {
        let mut model = Model::new(64);
        let ((vip, family), (server, _)) = (Addr::from_ip(self.vip), Addr::from_ip(self.server));
        let key = ServiceKey { addr: vip, port: Be16::new(80), proto: number, family: family.raw() };
        let port = if forward == Forward::Masq { 8080 } else { 80 };
        let server = Server { addr: server, port, forward, family: family.raw(), ..Server::default() };
        let persist = if service_flags & flags::PERSISTENT != 0 { 60 } else { 0 };
        model.add_service(key, Kind::Rr, service_flags, persist, &[server]);
        model
    }

    fn request(self, tcp_flags: u8, shape: &Shape) -> Vec<u8> {
        frames::tcp((self.client, 4000), (self.vip, 80), tcp_flags, shape)
    }

    fn reply(self, tcp_flags: u8, shape: &Shape) -> Vec<u8> {
        frames::tcp((self.server, 8080), (self.client, 4000), tcp_flags, shape)
    }

    fn establish(self, model: &Model) {
        let shape = Shape::default();
        model.packet(&self.request(SYN, &shape));
        model.packet(&self.reply(SYN | ACK, &shape));
        model.packet(&self.request(ACK, &shape));
        assert_eq!((model.dests[0].active.get(), model.dests[0].inactive.get()), (1, 0));
    }
}

/// The RST that a packet brings back: sequence number, acknowledgment, flags.
fn reset(model: &Model, frame: &[u8], from: IpAddr) -> (u32, u32, u8) {
    let (reason, out) = model.packet(frame);
    assert_eq!(reason, Reason::Purged);
    let out = out.expect("an answer");
    assert!(frames::is_sound(&out), "{out:02x?}");
    assert_eq!((&out[0..6], &out[6..12]), (&frame[6..12], &frame[0..6]), "it goes back to where the packet came from");
    let tcp = out.len() - 20;
    let source = match from {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let at = if source.len() == 4 { 26 } else { 22 };
    assert_eq!(out[at..at + source.len()], source, "it seems to come from the peer");
    let word = |at: usize| u32::from_be_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]);
    (word(tcp + 4), word(tcp + 8), out[tcp + 13])
}

#[test]
fn both_ends_of_a_masqueraded_connection_are_told() {
    for net in [V4, V6] {
        let model = net.director(proto::TCP, Forward::Masq, 0);
        net.establish(&model);
        assert_eq!(model.purge(0), 1);
        assert_eq!((model.dests[0].active.get(), model.dests[0].inactive.get()), (0, 0));
        // Segments of the tests have sequence number 1000 and acknowledgment 2000.
        let data = Shape { payload: b"hello".to_vec(), ..Shape::default() };
        for _ in 0..2 {
            assert_eq!(reset(&model, &net.request(ACK, &data), net.vip), (2000, 0, RST));
            assert_eq!(reset(&model, &net.reply(ACK | FIN, &data), net.client), (2000, 0, RST));
        }
        assert_eq!(model.purge(0), 0, "once is enough");
        // An end that has been told may tell its peer, and is not told again.
        assert_eq!(model.packet(&net.request(RST, &Shape::default())).0, Reason::NatIn);
        assert_eq!(model.packet(&net.reply(RST, &Shape::default())).0, Reason::NatOut);
        assert_eq!(model.dests[0].active.get(), 0);
        model.now.set(model.now.get() + 1000 * SECOND);
        model.sweep();
        assert_eq!((model.dests[0].active.get(), model.dests[0].inactive.get()), (0, 0));
        assert_eq!(model.packet(&net.request(ACK, &data)).0, Reason::NoConnection);
    }
}

#[test]
fn headers_of_any_length_are_answered() {
    let model = V4.director(proto::TCP, Forward::Masq, 0);
    V4.establish(&model);
    model.purge(0);
    let options = Shape { options: [1, 1, 1, 0].to_vec(), payload: b"x".to_vec(), ..Shape::default() };
    assert_eq!(reset(&model, &V4.request(ACK, &options), V4.vip), (2000, 0, RST));
    let model = V6.director(proto::TCP, Forward::Masq, 0);
    V6.establish(&model);
    model.purge(0);
    // Destination options, padded.
    let extensions = Shape { extensions: [(60, [0, 1, 4, 0, 0, 0, 0].to_vec())].to_vec(), ..Shape::default() };
    assert_eq!(reset(&model, &V6.request(ACK, &extensions), V6.vip), (2000, 0, RST));
}

#[test]
fn the_client_of_a_routed_connection_is_told_and_passes_it_on() {
    let model = V4.director(proto::TCP, Forward::Route, 0);
    model.packet(&V4.request(SYN, &Shape::default()));
    model.packet(&V4.request(ACK, &Shape::default()));
    model.purge(0);
    assert_eq!(reset(&model, &V4.request(ACK, &Shape::default()), V4.vip), (2000, 0, RST));
    // The server's next packet goes to the client directly, which answers it by itself.
    assert_eq!(model.packet(&V4.request(RST, &Shape::default())).0, Reason::Dr);
}

#[test]
fn a_deleted_server_does_not_keep_its_clients_waiting() {
    let model = V4.director(proto::TCP, Forward::Masq, 0);
    V4.establish(&model);
    model.purge(0);
    model.dests[0].state.set(crate::abi::DestState::Free as u8);
    assert_eq!(reset(&model, &V4.request(ACK, &Shape::default()), V4.vip), (2000, 0, RST));
}

#[test]
fn a_syn_on_the_same_port_begins_anew() {
    let model = V4.director(proto::TCP, Forward::Masq, 0);
    V4.establish(&model);
    model.purge(0);
    assert_eq!(model.packet(&V4.request(SYN, &Shape::default())).0, Reason::NatIn);
    assert_eq!((model.dests[0].active.get(), model.dests[0].inactive.get()), (1, 0));
    assert_eq!(model.packet(&V4.request(ACK, &Shape::default())).0, Reason::NatIn);
}

#[test]
fn templates_and_what_has_no_end_just_go() {
    let model = V4.director(proto::TCP, Forward::Masq, flags::PERSISTENT);
    V4.establish(&model);
    assert_eq!(model.dests[0].persist.get(), 1);
    assert_eq!(model.purge(0), 2);
    assert_eq!(model.dests[0].persist.get(), 0);
    assert_eq!(reset(&model, &V4.request(ACK, &Shape::default()), V4.vip), (2000, 0, RST));
    model.now.set(model.now.get() + 1000 * SECOND);
    model.sweep();
    model.now.set(model.now.get() + SECOND);
    model.sweep();
    assert!(model.conns.iter().all(|conn| conn.flags.get() == 0), "every record is given back");

    let model = V4.director(proto::UDP, Forward::Masq, 0);
    let datagram = frames::udp((V4.client, 4000), (V4.vip, 80), &Shape::default());
    model.packet(&datagram);
    assert_eq!(model.purge(0), 1);
    assert_eq!(model.dests[0].inactive.get(), 0);
    assert_eq!(model.packet(&datagram).0, Reason::NatIn, "the next one is scheduled anew");
}
