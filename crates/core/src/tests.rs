//! The director in memory, packet by packet.

use crate::abi::{Forward, ServiceKey, flags};
use crate::conn::{life, tcp};
use crate::frames::{self, End, Shape, is_sound};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::verdict::{Outcome, Reason};
use core::net::Ipv4Addr;
use proptest::prelude::*;
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};
use rvs_wire::{Be16, Family};
use std::vec;
use std::vec::Vec;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const SECOND: u64 = 1_000_000_000;

fn rs(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 10 + n)
}

fn key(proto: u8, port: u16) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(port), proto, family: Family::V4.raw() }
}

fn server(n: u8, port: u16, forward: Forward) -> Server {
    Server { addr: rs(n).into(), port, forward, ..Server::default() }
}

/// One TCP and one UDP service on port 80 with three servers on 8080 (NAT) or 80.
fn director(forward: Forward) -> Model {
    let port = if forward == Forward::Masq { 8080 } else { 80 };
    let servers: Vec<_> = (1..=3).map(|n| server(n, port, forward)).collect();
    let mut model = Model::new(64);
    model.add_service(key(proto::TCP, 80), Kind::Rr, 0, 0, &servers);
    model.add_service(key(proto::UDP, 80), Kind::Rr, 0, 0, &servers);
    model
}

fn client(port: u16) -> End {
    (CLIENT, port)
}

fn segment(port: u16, flags: u8) -> Vec<u8> {
    frames::tcp(client(port), (VIP, 80), flags, &Shape::default())
}

/// Destination address of a frame's IP packet.
fn to(frame: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(frame[30], frame[31], frame[32], frame[33])
}

fn from(frame: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(frame[26], frame[27], frame[28], frame[29])
}

fn ports(frame: &[u8]) -> (u16, u16) {
    (u16::from_be_bytes([frame[34], frame[35]]), u16::from_be_bytes([frame[36], frame[37]]))
}

/// (active, inactive) of destination `n` (0 is the first added) of the TCP service.
fn counts(model: &Model, n: usize) -> (u32, u32) {
    (model.dests[n].active.get(), model.dests[n].inactive.get())
}

#[test]
fn nat_rewrites_both_ways() {
    let model = director(Forward::Masq);
    let (reason, out) = model.packet(&segment(4000, SYN));
    let out = out.unwrap();
    assert_eq!((reason, to(&out), ports(&out), out[22]), (Reason::NatIn, rs(3), (4000, 8080), 63));
    assert!(is_sound(&out));
    let reply = frames::tcp((rs(3), 8080), client(4000), SYN | ACK, &Shape::default());
    let (reason, out) = model.packet(&reply);
    let out = out.unwrap();
    assert_eq!((reason, from(&out), to(&out), ports(&out)), (Reason::NatOut, VIP, CLIENT, (80, 4000)));
    assert!(is_sound(&out) && out[22] == 63);
}

#[test]
fn direct_routing_changes_the_ttl_alone() {
    let model = director(Forward::Route);
    let frame = segment(4000, SYN);
    let (reason, out) = model.packet(&frame);
    let mut out = out.unwrap();
    assert!(is_sound(&out) && reason == Reason::Dr && out[22] == 63);
    out[22] = 64;
    out[24..26].copy_from_slice(&frame[24..26]);
    assert_eq!(out, frame);
}

#[test]
fn a_tunnel_puts_a_header_in_front() {
    let model = director(Forward::Tunnel);
    let (reason, out) = model.packet(&segment(4000, SYN));
    let out = out.unwrap();
    assert_eq!((reason, out[23], out[22], to(&out), out[20] & 0x40), (Reason::Tun, 4, 63, rs(3), 0x40));
    assert_eq!((out[18], out[19]), (0, 0), "no identification with DF");
    assert!(is_sound(&out));
}

#[test]
fn no_checksum_stays_none() {
    let model = director(Forward::Masq);
    let shape = Shape { no_checksum: true, ..Shape::default() };
    let (_, out) = model.packet(&frames::udp(client(5000), (VIP, 80), &shape));
    assert_eq!(out.unwrap()[40..42], [0, 0]);
}

#[test]
fn states_are_counted_at_the_destination_and_expire() {
    let model = director(Forward::Masq);
    model.packet(&segment(4000, SYN));
    assert_eq!(counts(&model, 2), (1, 0));
    model.packet(&segment(4000, ACK));
    model.packet(&segment(4000, FIN | ACK));
    assert_eq!(counts(&model, 2), (0, 1), "CLOSE_WAIT is inactive");
    model.now.set(model.now.get() + 59 * SECOND);
    model.sweep();
    assert_eq!(counts(&model, 2), (0, 1));
    model.now.set(model.now.get() + SECOND);
    model.sweep();
    assert_eq!(counts(&model, 2), (0, 0));
    let (reason, _) = model.packet(&segment(4000, ACK));
    assert_eq!(reason, Reason::NoConnection);
}

#[test]
fn a_udp_connection_is_always_inactive() {
    let model = director(Forward::Masq);
    model.packet(&frames::udp(client(5000), (VIP, 80), &Shape::default()));
    let dest = &model.dests[5];
    assert_eq!((dest.active.get(), dest.inactive.get()), (0, 1));
}

#[test]
fn a_new_syn_over_a_finished_connection_is_scheduled_anew() {
    let model = director(Forward::Masq);
    let (_, first) = model.packet(&segment(4000, SYN));
    let server = to(&first.unwrap());
    model.packet(&segment(4000, FIN));
    let (reason, second) = model.packet(&segment(4000, SYN));
    assert_eq!(reason, Reason::NatIn);
    assert_ne!(to(&second.unwrap()), server, "rr went on");
    assert_eq!(counts(&model, 2), (0, 0), "the old one is gone at once");
}

#[test]
fn a_full_table_refuses_and_hurts_nobody() {
    let mut model = Model::new(4);
    model.add_service(key(proto::TCP, 80), Kind::Rr, 0, 0, &[server(1, 80, Forward::Masq)]);
    for port in 0..4 {
        assert_eq!(model.packet(&segment(4000 + port, SYN)).0, Reason::NatIn);
        assert_eq!(model.packet(&segment(4000 + port, ACK)).0, Reason::NatIn);
    }
    assert_eq!(model.packet(&segment(5000, SYN)).0, Reason::TableFull);
    assert_eq!(model.packet(&segment(4000, ACK)).0, Reason::NatIn);
    assert_eq!(counts(&model, 0), (4, 0));
    model.packet(&segment(4001, RST));
    model.packet(&segment(4000, RST));
    model.now.set(model.now.get() + 11 * SECOND);
    model.sweep();
    assert_eq!(model.packet(&segment(5000, SYN)).0, Reason::TableFull, "an index rests before it is used again");
    model.now.set(model.now.get() + life::GRACE_NS);
    model.sweep();
    assert_eq!(model.packet(&segment(5000, SYN)).0, Reason::NatIn);
}

#[test]
fn thresholds_shut_and_open_a_destination() {
    let mut model = Model::new(64);
    let limited = Server { u_threshold: 4, ..server(1, 80, Forward::Masq) };
    model.add_service(key(proto::TCP, 80), Kind::Wlc, 0, 0, &[limited]);
    for port in 0..4 {
        assert_eq!(model.packet(&segment(4000 + port, SYN)).0, Reason::NatIn);
    }
    let (reason, answer) = model.packet(&segment(5000, SYN));
    assert_eq!(reason, Reason::NoDestination);
    let answer = answer.unwrap();
    assert_eq!((answer[23], answer[34], answer[35], from(&answer), to(&answer)), (1, 3, 3, VIP, CLIENT));
    assert!(is_sound(&answer));
    // Below three quarters it opens again: 4 - 2 = 2 < 3.
    for port in 0..2 {
        model.packet(&segment(4000 + port, FIN));
    }
    model.now.set(model.now.get() + 59 * SECOND);
    for port in 2..4 {
        model.packet(&segment(4000 + port, ACK));
    }
    model.now.set(model.now.get() + 62 * SECOND);
    model.sweep();
    assert_eq!(counts(&model, 0), (2, 0));
    assert_eq!(model.packet(&segment(5000, SYN)).0, Reason::NatIn);
}

#[test]
fn persistence_keeps_a_client_and_its_template_outlives_its_connections() {
    let mut model = Model::new(64);
    let servers: Vec<_> = (1..=3).map(|n| server(n, 0, Forward::Route)).collect();
    model.add_service(key(proto::TCP, 0), Kind::Rr, flags::PERSISTENT, 60, &servers);
    let syn = |from: u16, port: u16| frames::tcp(client(from), (VIP, port), SYN, &Shape::default());
    for n in 0..6 {
        assert_eq!(model.packet(&syn(4000 + n, 20 + n)).0, Reason::Dr);
    }
    assert_eq!(counts(&model, 2), (6, 0), "all ports, one server");
    assert_eq!(model.dests[2].persist.get(), 1);
    let other = frames::tcp((Ipv4Addr::new(10, 0, 1, 101), 1), (VIP, 80), SYN, &Shape::default());
    model.packet(&other);
    assert_eq!(counts(&model, 1), (1, 0), "another client, the next server");
    // While a connection lives, the template is renewed.
    for _ in 0..12 {
        model.now.set(model.now.get() + 10 * SECOND);
        model.packet(&frames::tcp(client(4000), (VIP, 20), ACK, &Shape::default()));
        model.sweep();
    }
    assert_eq!(model.dests[2].persist.get(), 1);
    for _ in 0..120 {
        model.now.set(model.now.get() + 10 * SECOND);
        model.sweep();
    }
    assert_eq!((model.dests[2].persist.get(), counts(&model, 2)), (0, (0, 0)));
}

#[test]
fn ttl_at_its_end_is_answered_by_the_virtual_address() {
    let model = director(Forward::Masq);
    let shape = Shape { ttl: 1, payload: Vec::new(), ..Shape::default() };
    let (reason, answer) = model.packet(&frames::tcp(client(4000), (VIP, 80), SYN, &shape));
    let answer = answer.unwrap();
    assert_eq!((reason, answer[34], from(&answer), answer[15]), (Reason::TtlExceeded, 11, VIP, 0xc0));
    assert!(is_sound(&answer));
}

#[test]
fn too_big_for_the_tunnel_is_answered_with_what_fits() {
    let model = director(Forward::Tunnel);
    let shape = Shape { payload: vec![0x61; 1472], ..Shape::default() };
    let (reason, answer) = model.packet(&frames::udp(client(4000), (VIP, 80), &shape));
    let answer = answer.unwrap();
    assert_eq!((reason, answer[34], answer[35]), (Reason::FragNeeded, 3, 4));
    assert_eq!((u16::from_be_bytes([answer[40], answer[41]]), answer.len()), (1480, 590));
    assert_eq!(answer[14 + 28 + 8], 63, "the TTL as already lowered");
}

/// The bytes that the live kernel sent in the same situations (recorded), next to ours.
#[test]
fn icmp_errors_are_translated_as_recorded() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    };
    let mut model = Model::new(64);
    let server = Server { addr: Ipv4Addr::new(10, 0, 2, 50).into(), ..server(1, 8080, Forward::Masq) };
    model.add_service(key(proto::TCP, 80), Kind::Rr, 0, 0, &[server]);
    let peer = Ipv4Addr::new(10, 0, 1, 200);
    model.packet(&frames::tcp((peer, 5000), (VIP, 80), SYN, &Shape::default()));
    let error = |from: [u8; 4], to: [u8; 4], kind: u8, code: u8, mtu: u16, quote: &str| {
        let mut message = vec![kind, code, 0, 0, 0, 0];
        message.extend(mtu.to_be_bytes());
        message.extend(hex(quote));
        let check = rvs_wire::checksum::checksum(&message);
        message[2..4].copy_from_slice(&check.raw().to_ne_bytes());
        let shape = Shape { id: 9, frag: 0, ..Shape::default() };
        frames::ip(Ipv4Addr::from(from), Ipv4Addr::from(to), proto::ICMP, &message, &shape)
    };
    // Fragmentation needed, from a router on the client's side about the server's packet.
    let quoted = "45000280 004d4000 3f06225a 0a00010a 0a0001c8 00501388 000007d1";
    let (reason, out) = model.packet(&error([10, 0, 1, 254], [10, 0, 1, 10], 3, 4, 576, quoted));
    assert_eq!(reason, Reason::IcmpRelated);
    let sent = "45000038 00090000 3f01638d 0a0001fe 0a000232 0304bfd2 00000240 45000280 004d4000 3f062132 0a000232 0a0001c8 \
                1f901388 000007d1";
    assert_eq!(out.unwrap()[14..], hex(sent));
    // Port unreachable, from the server itself about the client's packet.
    let quoted = "45000050 00374000 3f062378 0a0001c8 0a000232 13881f90 000003e9";
    let (_, out) = model.packet(&error([10, 0, 2, 50], [10, 0, 1, 200], 3, 3, 0, quoted));
    let sent = "45000038 00090000 3f0164eb 0a00010a 0a0001c8 0303e53b 00000000 45000050 00374000 3f0624a0 0a0001c8 0a00010a \
                13880050 000003e9";
    assert_eq!(out.unwrap()[14..], hex(sent));
    // About nothing of ours.
    let stranger = "45000050 00374000 3f062378 0a0001c8 0a000233 13881f90 000003e9";
    assert_eq!(model.packet(&error([10, 0, 2, 50], [10, 0, 1, 200], 3, 3, 0, stranger)).0, Reason::IcmpUnrelated);
}

#[test]
fn what_is_not_ours_passes() {
    let model = director(Forward::Masq);
    let reason = |frame: &[u8]| model.packet(frame).0;
    let shape = Shape::default();
    assert_eq!(reason(&frames::tcp(client(1), (VIP, 81), SYN, &shape)), Reason::NoService);
    assert_eq!(reason(&frames::tcp(client(1), (VIP, 80), ACK, &shape)), Reason::NoConnection);
    assert_eq!(reason(&frames::tcp(client(1), (VIP, 80), SYN | RST, &shape)), Reason::NoConnection);
    assert_eq!(reason(&frames::tcp(client(20), (VIP, 80), SYN, &shape)), Reason::NoConnection);
    assert_eq!(reason(&frames::tcp(client(1), (VIP, 80), SYN | ACK, &shape)), Reason::NatIn);
    assert_eq!(reason(&frames::ip(CLIENT, VIP, 47, b"gre", &shape)), Reason::NotBalanced);
    let mut arp = segment(1, SYN);
    arp[13] = 6;
    assert_eq!(reason(&arp), Reason::NotIp);
    let mut group = segment(1, SYN);
    group[0] |= 1;
    assert_eq!(reason(&group), Reason::NotForUs);
}

#[test]
fn a_deleted_destination_silences_the_client_alone() {
    let model = director(Forward::Masq);
    model.packet(&segment(4000, SYN));
    model.dests[2].state.set(crate::abi::DestState::Trash as u8);
    assert_eq!(model.packet(&segment(4000, ACK)).0, Reason::DestGone);
    let reply = frames::tcp((rs(3), 8080), client(4000), SYN | ACK, &Shape::default());
    assert_eq!(model.packet(&reply).0, Reason::NatOut);
    model.dests[2].state.set(crate::abi::DestState::Live as u8);
    assert_eq!(model.packet(&segment(4000, ACK)).0, Reason::NatIn);
}

/// Every record is live, dead or free, and the counters say how many of each destination live.
fn is_consistent(model: &Model) -> bool {
    use crate::abi::conn_flags::{INACTIVE, LIVE, TEMPLATE};
    model.dests.iter().enumerate().all(|(id, dest)| {
        let live = |want: u8| {
            let of = model.conns.iter().filter(|c| c.flags.get() & LIVE != 0 && c.dest.get() == id as u32);
            of.filter(|c| c.flags.get() & TEMPLATE == 0 && c.flags.get() & INACTIVE == want).count() as u32
        };
        (dest.active.get(), dest.inactive.get()) == (live(0), live(INACTIVE))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any mixture of segments, replies and pauses leaves counters that are the truth, and sound packets.
    #[test]
    fn counters_are_exact_whatever_happens(
        forward in prop::sample::select(vec![Forward::Masq, Forward::Route, Forward::Tunnel]),
        steps in prop::collection::vec((0u16..6, any::<u8>(), 0u8..8, 0u64..200), 1..120),
    ) {
        let model = director(forward);
        for (port, flags, side, pause) in steps {
            let frame = match side {
                0..4 => segment(4000 + port, flags & 0x17),
                4 => frames::udp(client(4000 + port), (VIP, 80), &Shape::default()),
                n => frames::tcp((rs(n - 4), 8080), client(4000 + port), flags & 0x17, &Shape::default()),
            };
            let (reason, out) = model.packet(&frame);
            prop_assert_eq!(out.is_some(), matches!(reason.outcome(), Outcome::Forwarded | Outcome::Answered));
            if let Some(out) = out {
                prop_assert!(is_sound(&out), "{:?}", reason);
            }
            if flags & 0x80 != 0 {
                model.now.set(model.now.get() + pause * SECOND);
                model.sweep();
            }
            prop_assert!(is_consistent(&model));
        }
    }

    /// Bytes that are no packet, or nearly one, end under a reason.
    #[test]
    fn any_bytes_end_under_a_reason(
        mut frame in prop::sample::select(vec![
            segment(4000, SYN), frames::udp((CLIENT, 5000), (VIP, 80), &Shape::default()),
            frames::icmp_error(CLIENT, VIP, 3, 4, &segment(4000, SYN)[14..], 28),
        ]),
        changes in prop::collection::vec((0usize..80, any::<u8>()), 0..6),
        cut in 0usize..100,
    ) {
        for (at, byte) in changes {
            if let Some(b) = frame.get_mut(at) {
                *b = byte;
            }
        }
        frame.truncate(frame.len().saturating_sub(cut % 60));
        let model = director(Forward::Masq);
        model.packet(&segment(4000, SYN));
        let (reason, _) = model.packet(&frame);
        prop_assert!(Reason::ALL.contains(&reason));
    }
}

#[test]
fn a_connection_is_entered_once() {
    use crate::conn::Direction;
    use crate::conn::table::{Entered, insert, remove};
    let model = director(Forward::Masq);
    let hash = 0x1234_5678_9abc_def1;
    assert_eq!(insert(&model, hash, Direction::In, 7), Entered::Done);
    assert_eq!(insert(&model, hash, Direction::In, 8), Entered::Taken, "another CPU was faster");
    assert_eq!(insert(&model, hash, Direction::Out, 8), Entered::Done, "the other side's key is another");
    remove(&model, hash, Direction::In, 7);
    assert_eq!(insert(&model, hash, Direction::In, 8), Entered::Done);
}

#[test]
fn both_buckets_fill_before_the_table_is_full() {
    use crate::conn::Direction;
    use crate::conn::table::{Entered, buckets, insert};
    let model = director(Forward::Masq);
    let [first, second] = buckets(0x1234_5678_9abc_def1, 63);
    assert_ne!(first, second);
    // Hashes of the same two buckets: bits that choose neither of them differ.
    let same = (0u64..).map(|n| 0x1234_5678_9abc_def1 ^ (n << 55)).filter(|hash| buckets(*hash, 63) == [first, second]);
    let entered: Vec<_> = same.take(15).zip(0..).map(|(hash, id)| insert(&model, hash, Direction::In, id)).collect();
    assert_eq!(entered[..14], [Entered::Done; 14]);
    assert_eq!(entered[14], Entered::Full);
}

#[test]
fn timeouts_are_those_of_ipvs() {
    let model = director(Forward::Masq);
    model.packet(&segment(4000, SYN));
    let conn = &model.conns[0];
    let left = || (conn.expires.get() - model.now.get()) / SECOND;
    assert_eq!((tcp::NAMES[conn.state.get() as usize], left()), ("SYN_RECV", 60));
    model.packet(&segment(4000, ACK));
    assert_eq!((tcp::NAMES[conn.state.get() as usize], left()), ("ESTABLISHED", 900));
    model.packet(&frames::tcp((rs(3), 8080), client(4000), FIN | ACK, &Shape::default()));
    assert_eq!((tcp::NAMES[conn.state.get() as usize], left()), ("FIN_WAIT", 120));
}
