//! Whole packets of both families through a director in memory: masquerading, direct routing, tunnels of all kinds, ICMP in
//! both directions, marks.

use crate::abi::{Forward, MarkRule, ServiceKey};
use crate::frames::{self, Shape};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::tunnel;
use crate::verdict::Reason;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, SYN};
use rvs_wire::{Addr, Be16, Be32, Family};
use std::vec;
use std::vec::Vec;

const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x100);
const ROUTER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0xfe);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x11);
const VIP4: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const CLIENT4: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const SERVER4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 11);

fn key(vip: IpAddr, number: u8, port: u16) -> ServiceKey {
    let (addr, family) = Addr::from_ip(vip);
    ServiceKey { addr, port: Be16::new(port), proto: number, family: family.raw() }
}

fn director(vip: IpAddr, number: u8, server: Server) -> Model {
    let mut model = Model::new(64);
    model.add_service(key(vip, number, 80), Kind::Rr, 0, 0, &[server]);
    model
}

fn server6(forward: Forward) -> Server {
    let port = if forward == Forward::Masq { 8080 } else { 80 };
    Server { addr: SERVER6.into(), family: Family::V6.raw(), port, forward, ..Server::default() }
}

fn sent(model: &Model, frame: &[u8], reason: Reason) -> Vec<u8> {
    let (said, out) = model.packet(frame);
    assert_eq!(said, reason);
    let out = out.expect("a packet goes out");
    assert!(frames::is_sound(&out), "{out:02x?}");
    out
}

#[test]
fn ipv6_is_masqueraded_and_back() {
    let model = director(VIP6.into(), proto::TCP, server6(Forward::Masq));
    let shape = Shape::default();
    let request = frames::tcp((CLIENT6, 4000), (VIP6, 80), SYN, &shape);
    let hop = |ttl| Shape { ttl, ..Shape::default() };
    assert_eq!(sent(&model, &request, Reason::NatIn), frames::tcp((CLIENT6, 4000), (SERVER6, 8080), SYN, &hop(63)));
    let reply = frames::tcp((SERVER6, 8080), (CLIENT6, 4000), SYN | ACK, &shape);
    assert_eq!(sent(&model, &reply, Reason::NatOut), frames::tcp((VIP6, 80), (CLIENT6, 4000), SYN | ACK, &hop(63)));
}

#[test]
fn extension_headers_are_walked_and_kept() {
    let model = director(VIP6.into(), proto::UDP, server6(Forward::Masq));
    let extensions = vec![(0, vec![0, 1, 4, 0, 0, 0, 0]), (60, [vec![1], vec![0; 14]].concat())];
    let walkable = Shape { extensions, ..Shape::default() };
    let (reason, out) = model.packet(&frames::udp((CLIENT6, 5000), (VIP6, 80), &walkable));
    assert_eq!(reason, Reason::NatIn);
    let hop = Shape { ttl: 63, ..walkable };
    assert_eq!(out.unwrap(), frames::udp((CLIENT6, 5000), (SERVER6, 8080), &hop));

    let many = Shape { extensions: vec![(60, vec![0; 7]); 9], ..Shape::default() };
    assert_eq!(model.packet(&frames::udp((CLIENT6, 5000), (VIP6, 80), &many)).0, Reason::HeaderChain);
    let long = Shape { extensions: vec![(60, [vec![60], vec![0; 486]].concat())], ..Shape::default() };
    assert_eq!(model.packet(&frames::udp((CLIENT6, 5000), (VIP6, 80), &long)).0, Reason::HeaderChain);
    let beyond = Shape { extensions: vec![(60, vec![20, 0, 0, 0, 0, 0, 0])], ..Shape::default() };
    assert_eq!(model.packet(&frames::udp((CLIENT6, 5000), (VIP6, 80), &beyond)).0, Reason::Malformed);
}

#[test]
fn icmpv6_errors_are_translated_both_ways() {
    let model = director(VIP6.into(), proto::TCP, server6(Forward::Masq));
    let shape = Shape::default();
    sent(&model, &frames::tcp((CLIENT6, 4000), (VIP6, 80), SYN, &shape), Reason::NatIn);

    let to_client = frames::tcp((VIP6, 80), (CLIENT6, 4000), ACK, &shape);
    let too_big = frames::icmp_error(ROUTER6, VIP6, 2, 0, &to_client[14..], 1200);
    let seen = sent(&model, &too_big, Reason::IcmpRelated);
    let quoted = frames::tcp((SERVER6, 8080), (CLIENT6, 4000), ACK, &shape);
    assert_eq!(seen[22..54], [ROUTER6.octets(), SERVER6.octets()].concat());
    assert_eq!(seen[62 + 8..62 + 42], quoted[14 + 8..14 + 42], "addresses and the first port of the quotation");

    let to_server = frames::tcp((CLIENT6, 4000), (SERVER6, 8080), ACK, &shape);
    let unreachable = frames::icmp_error(SERVER6, CLIENT6, 1, 4, &to_server[14..], 48);
    let seen = sent(&model, &unreachable, Reason::IcmpRelated);
    assert_eq!(seen[22..38], VIP6.octets(), "it comes from the virtual address");
    assert_eq!(seen[62 + 24..62 + 40], VIP6.octets());
    assert_eq!(seen[62 + 42..62 + 44], 80u16.to_be_bytes());

    let stranger = frames::tcp((VIP6, 81), (CLIENT6, 4000), ACK, &shape);
    assert_eq!(model.packet(&frames::icmp_error(ROUTER6, VIP6, 2, 0, &stranger[14..], 60)).0, Reason::IcmpUnrelated);
    assert_eq!(model.packet(&frames::icmp_error(ROUTER6, VIP6, 128, 0, &to_client[14..], 60)).0, Reason::NotBalanced);
}

#[test]
fn ipv6_senders_are_told_what_went_wrong() {
    let mut model = director(VIP6.into(), proto::UDP, server6(Forward::Tunnel));
    model.mtu = 1400;
    let big = Shape { payload: vec![1; 1400 - 48 - 40 + 1], ..Shape::default() };
    let told = sent(&model, &frames::udp((CLIENT6, 5000), (VIP6, 80), &big), Reason::FragNeeded);
    assert_eq!((told[54], u16::from_be_bytes([told[60], told[61]])), (2, 1360));
    assert_eq!(told[22..54], [VIP6.octets(), CLIENT6.octets()].concat());
    let old = Shape { ttl: 1, ..Shape::default() };
    assert_eq!(sent(&model, &frames::udp((CLIENT6, 5000), (VIP6, 80), &old), Reason::TtlExceeded)[54], 3);

    let nobody = director(VIP6.into(), proto::UDP, Server { weight: 0, ..server6(Forward::Masq) });
    let told = sent(&nobody, &frames::udp((CLIENT6, 5000), (VIP6, 80), &Shape::default()), Reason::NoDestination);
    assert_eq!(told[54..56], [1, 4]);
}

#[test]
fn sctp_changes_its_checksum_with_its_ports_only() {
    for port in [80, 8080] {
        let server = Server { addr: SERVER4.into(), port, ..Server::default() };
        let model = director(VIP4.into(), proto::SCTP, server);
        let shape = Shape { payload: vec![7; 333], ..Shape::default() };
        let out = sent(&model, &frames::sctp((CLIENT4, 4000), (VIP4, 80), 1, &shape), Reason::NatIn);
        let hop = Shape { ttl: 63, ..shape };
        assert_eq!(out, frames::sctp((CLIENT4, 4000), (SERVER4, port), 1, &hop));
    }
}

#[test]
fn any_family_travels_in_any_other() {
    let kinds = [(0, 0), (1, 0), (1, tunnel::flags::CHECKSUM), (1, tunnel::flags::REMOTE_CHECKSUM), (2, 0), (2, 1)];
    let ends: [(IpAddr, IpAddr); 2] = [(CLIENT4.into(), VIP4.into()), (CLIENT6.into(), VIP6.into())];
    for (kind, flags) in kinds {
        for (client, vip) in ends {
            for (addr, outside) in [(Addr::from(SERVER4), Family::V4), (SERVER6.into(), Family::V6)] {
                let tunnel = (kind, flags, 6080);
                let server =
                    Server { addr, family: outside.raw(), forward: Forward::Tunnel, tunnel, ..Server::default() };
                let model = director(vip, proto::UDP, server);
                let out = sent(&model, &frames::udp((client, 5000), (vip, 80), &Shape::default()), Reason::Tun);
                let hop = Shape { ttl: 63, ..Shape::default() };
                let inner = &frames::udp((client, 5000), (vip, 80), &hop)[14..];
                assert!(out.ends_with(inner), "the packet itself is a hop older, else as it was");
                let grown = if outside == Family::V4 { 20 } else { 40 } + [0, 12, 4][kind as usize];
                let grown = grown + if kind == 2 && flags != 0 { 4 } else { 0 };
                assert_eq!(out.len(), 14 + grown + inner.len());
                assert_eq!(out[12..14], if outside == Family::V4 { [8, 0] } else { [0x86, 0xdd] });
                let summed = kind == 1 && out[14 + grown - 6..14 + grown - 4] != [0, 0];
                assert_eq!(summed, kind == 1 && flags != 0, "a checksum where it is wanted");
            }
        }
    }
}

/// A tunnel whose way takes less than IPv6's least packet and the tunnel's headers: larger packets are answered as ever, with what
/// IPv6 senders can go down to; those that are no larger have a name of their own.
#[test]
fn ipv6_that_no_sender_can_make_smaller_is_named() {
    let server = Server { addr: SERVER4.into(), forward: Forward::Tunnel, ..Server::default() };
    let mut model = director(VIP6.into(), proto::UDP, server);
    for (mtu, payload, wanted) in [
        (1300, 1232, Reason::Tun),
        (1299, 1232, Reason::TunnelNarrow),
        (1299, 1231, Reason::Tun),
        (1299, 1233, Reason::FragNeeded),
        (576, 509, Reason::TunnelNarrow),
        (576, 508, Reason::Tun),
    ] {
        model.mtu = mtu;
        let shape = Shape { payload: vec![0; payload], ..Shape::default() };
        let (reason, out) = model.packet(&frames::udp((CLIENT6, 1), (VIP6, 80), &shape));
        assert_eq!(reason, wanted, "{mtu} {payload}");
        if reason == Reason::FragNeeded {
            let out = out.unwrap();
            assert_eq!(u32::from_be_bytes(out[58..62].try_into().unwrap()), 1280);
        }
    }
}

#[test]
fn marks_come_before_addresses() {
    let mut model = Model::new(64);
    let marked = ServiceKey { addr: Addr::mark(7), port: Be16::ZERO, proto: 0, family: Family::V4.raw() };
    let by_mark = Server { addr: SERVER4.into(), port: 0, ..Server::default() };
    model.add_service(marked, Kind::Rr, 0, 0, &[by_mark]);
    let other = Server { addr: Ipv4Addr::new(10, 0, 2, 12).into(), ..Server::default() };
    model.add_service(key(VIP4.into(), proto::TCP, 80), Kind::Rr, 0, 0, &[other]);
    model.control.mark_services = 1;
    let shape = Shape::default();
    let target = |out: Option<Vec<u8>>| {
        let out = out.unwrap();
        (out[33], u16::from_be_bytes([out[36], out[37]]))
    };
    let syn = |port, to| frames::tcp((CLIENT4, port), (VIP4, to), SYN, &shape);
    assert_eq!(target(model.marked(&syn(1, 80), 7).1), (11, 80));
    assert_eq!(target(model.marked(&syn(2, 443), 7).1), (11, 443));
    assert_eq!(target(model.marked(&syn(3, 80), 8).1), (12, 80), "a mark of no service");
    assert_eq!(model.marked(&syn(4, 443), 0).0, Reason::NoService);

    model.mark_rules = vec![MarkRule {
        dst: VIP4.into(),
        dst_mask: Addr::v4(Be32::new(u32::MAX)),
        ports: [[440, 450], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0]],
        mark: 7,
        proto: proto::TCP,
        family: Family::V4.raw(),
        ..MarkRule::default()
    }];
    model.control.mark_rules.set(1);
    assert_eq!(target(model.packet(&syn(5, 443)).1), (11, 443), "a rule of our own");
    assert_eq!(target(model.packet(&syn(6, 80)).1), (12, 80));
    let known = frames::tcp((CLIENT4, 2), (VIP4, 443), ACK, &shape);
    assert_eq!(target(model.marked(&known, 0).1), (11, 443), "a connection needs its mark only once");
}

#[test]
fn a_server_on_this_host_has_its_connections_counted_and_its_packets_left_alone() {
    let local = Server { addr: VIP4.into(), forward: Forward::Local, ..Server::default() };
    let model = director(VIP4.into(), proto::TCP, local);
    let last = Shape { ttl: 1, ..Shape::default() };
    assert_eq!(model.packet(&frames::tcp((CLIENT4, 1), (VIP4, 80), SYN, &last)), (Reason::LocalNode, None));
    assert_eq!(model.packet(&frames::tcp((CLIENT4, 1), (VIP4, 80), ACK, &last)), (Reason::LocalNode, None));
    assert_eq!(model.dests[0].active.get(), 1);
    assert_eq!(model.counters.borrow().1[&0].in_pkts, 2);
}

#[test]
fn ipsec_follows_the_exchange_of_its_keys() {
    let mut model = Model::new(64);
    let server = Server { addr: SERVER4.into(), port: 500, ..Server::default() };
    model.add_service(key(VIP4.into(), proto::UDP, 500), Kind::Rr, 0, 0, &[server]);
    let shape = Shape::default();
    let esp = frames::ip(CLIENT4, VIP4, proto::ESP, b"ciphertext", &shape);
    assert_eq!(model.packet(&esp).0, Reason::NotBalanced, "before the exchange");
    sent(&model, &frames::udp((CLIENT4, 500), (VIP4, 500), &shape), Reason::NatIn);
    for number in [proto::ESP, proto::AH] {
        let out = sent(&model, &frames::ip(CLIENT4, VIP4, number, b"ciphertext", &shape), Reason::NatIn);
        assert_eq!(out, frames::ip(CLIENT4, SERVER4, number, b"ciphertext", &Shape { ttl: 63, ..Shape::default() }));
        let back = sent(&model, &frames::ip(SERVER4, CLIENT4, number, b"ciphertext", &shape), Reason::NatOut);
        assert_eq!(back[26..30], VIP4.octets());
    }
}

#[test]
fn a_router_on_a_tunnels_way_makes_its_mtu_known() {
    for (kind, between) in [(0u8, 0usize), (1, 12), (2, 4)] {
        let server =
            Server { addr: SERVER4.into(), forward: Forward::Tunnel, tunnel: (kind, 0, 6080), ..Server::default() };
        let model = director(VIP4.into(), proto::UDP, server);
        let big = Shape { payload: vec![1; 1300], ..Shape::default() };
        let datagram = frames::udp((CLIENT4, 5000), (VIP4, 80), &big);
        let tunnelled = sent(&model, &datagram, Reason::Tun);
        let director_addr = Ipv4Addr::new(10, 0, 2, 1);
        let router = Ipv4Addr::new(10, 0, 2, 254);
        let mut error = frames::icmp_error(router, director_addr, 3, 4, &tunnelled[14..], 200);
        error[40..42].copy_from_slice(&1280u16.to_be_bytes());
        assert_eq!(model.packet(&error).0, Reason::TunnelTooBig);
        let told = sent(&model, &datagram, Reason::FragNeeded);
        assert_eq!(u16::from_be_bytes([told[40], told[41]]) as usize, 1280 - 20 - between);
        model.now.set(model.now.get() + 299_000_000_000);
        sent(&model, &datagram, Reason::FragNeeded);
        model.now.set(model.now.get() + 299_000_000_000);
        sent(&model, &frames::udp((CLIENT4, 5000), (VIP4, 80), &Shape::default()), Reason::Tun);
        model.now.set(model.now.get() + 10_000_000_000);
        sent(&model, &datagram, Reason::Tun);

        let liar = frames::icmp_error(router, director_addr, 3, 4, &tunnelled[14..], 20 + between + 20);
        assert!(matches!(model.packet(&liar).0, Reason::IcmpUnrelated | Reason::Malformed), "too little is quoted");
    }
}

#[test]
fn an_error_about_an_unknown_connection_begins_one_where_it_may() {
    let mut model = director(VIP4.into(), proto::TCP, Server { addr: SERVER4.into(), port: 8080, ..Server::default() });
    let to_client = frames::tcp((VIP4, 80), (CLIENT4, 5998), ACK, &Shape::default());
    let error = frames::icmp_error(Ipv4Addr::new(10, 0, 1, 254), VIP4, 3, 4, &to_client[14..], 28);
    assert_eq!(model.packet(&error).0, Reason::IcmpUnrelated);
    model.control.settings[0].schedule_icmp = 1;
    let out = sent(&model, &error, Reason::IcmpRelated);
    assert_eq!(out[30..34], SERVER4.octets(), "to the real server");
    assert_eq!(out[54..58], SERVER4.octets(), "about its own packet");
    let conn = model.conns.iter().find(|conn| conn.flags.get() != 0).unwrap();
    assert_eq!((conn.state.get(), conn.timeout_ms.get()), (0, 2000), "NONE, for two seconds");
}

#[test]
fn without_path_mtu_discovery_tunnels_drop_df() {
    let mut model = director(
        VIP4.into(),
        proto::UDP,
        Server { addr: SERVER4.into(), forward: Forward::Tunnel, ..Server::default() },
    );
    let datagram = |payload: usize| {
        frames::udp((CLIENT4, 1), (VIP4, 80), &Shape { payload: vec![0; payload], ..Shape::default() })
    };
    assert_eq!(sent(&model, &datagram(9), Reason::Tun)[20] & 0x40, 0x40);
    assert_eq!(model.packet(&datagram(1460)).0, Reason::FragNeeded);
    model.control.settings[0].pmtu_disc = 0;
    assert_eq!(sent(&model, &datagram(9), Reason::Tun)[20] & 0x40, 0);
    assert_eq!(model.packet(&datagram(1460)).0, Reason::Cut);
}

#[test]
fn a_servers_packet_of_no_connection_is_answered_where_it_may() {
    let mut model = director(VIP4.into(), proto::TCP, Server { addr: SERVER4.into(), port: 8080, ..Server::default() });
    model.control.dests_used = 1;
    let stray = |flags| frames::tcp((SERVER4, 8080), (CLIENT4, 4000), flags, &Shape::default());
    assert_eq!(model.packet(&stray(ACK)).0, Reason::NoService);
    model.control.settings[0].nat_icmp_send = 1;
    let told = sent(&model, &stray(ACK), Reason::NoMaster);
    assert_eq!((told[34], told[35]), (3, 3), "port unreachable");
    assert_eq!(told[26..34], [10, 0, 2, 1, 10, 0, 2, 11], "from the director to the server");
    assert_eq!(model.packet(&stray(rvs_wire::tcp::RST)).0, Reason::NoService, "no reset is answered");
    let other = frames::tcp((SERVER4, 8081), (CLIENT4, 4000), ACK, &Shape::default());
    assert_eq!(model.packet(&other).0, Reason::NoService, "another port is no real server");
}

#[test]
fn a_mark_without_servers_goes_its_own_way_where_it_may() {
    let mut model = Model::new(16);
    let marked = ServiceKey { addr: Addr::mark(7), port: Be16::ZERO, proto: 0, family: Family::V4.raw() };
    model.add_service(marked, Kind::Rr, 0, 0, &[Server { addr: SERVER4.into(), weight: 0, ..Server::default() }]);
    model.control.mark_services = 1;
    let syn = frames::tcp((CLIENT4, 1), (VIP4, 80), SYN, &Shape::default());
    assert_eq!(model.marked(&syn, 7).0, Reason::NoDestination);
    model.control.settings[0].cache_bypass = 1;
    assert_eq!(model.marked(&syn, 7), (Reason::Bypass, None));
}
