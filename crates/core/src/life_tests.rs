//! What settings, floods and the ends of servers do to connections: the director in memory, packet by packet.

use crate::abi::{Conn, DestState, Forward, ServiceKey, conn_flags, flags};
use crate::conn::{embryo, life, proto as protocols};
use crate::frames::{self, End, Shape};
use crate::model::{Model, Server};
use crate::sched::Kind;
use crate::verdict::Reason;
use core::cell::Cell;
use core::net::Ipv4Addr;
use rvs_wire::ipv4::proto;
use rvs_wire::tcp::{ACK, FIN, RST, SYN};
use rvs_wire::{Be16, Family};
use std::vec::Vec;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 100);
const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

fn rs(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 10 + n)
}

fn key(proto: u8) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(80), proto, family: Family::V4.raw() }
}

fn servers(forward: Forward) -> [Server; 2] {
    [1, 2].map(|n| Server { addr: rs(n).into(), port: 80, weight: 1, forward, ..Server::default() })
}

/// A service with two servers, round robin.
fn director(proto: u8, forward: Forward, flags: u16) -> Model {
    director_for(1024, proto, forward, flags)
}

fn director_for(connections: usize, proto: u8, forward: Forward, flags: u16) -> Model {
    let mut model = Model::new(connections);
    let persist = if flags & flags::PERSISTENT != 0 { 60 } else { 0 };
    model.add_service(key(proto), Kind::Rr, flags, persist, &servers(forward));
    model
}

fn from_client(model: &Model, from: End, flags: u8) -> (Reason, Option<Ipv4Addr>) {
    let (reason, out) = model.packet(&frames::tcp(from, (VIP, 80), flags, &Shape::default()));
    (reason, out.map(|out| Ipv4Addr::new(out[30], out[31], out[32], out[33])))
}

fn client(model: &Model, port: u16, flags: u8) -> (Reason, Option<Ipv4Addr>) {
    from_client(model, (CLIENT, port), flags)
}

/// The live connections and templates.
fn live(model: &Model) -> Vec<&Conn> {
    model.conns.iter().filter(|conn| conn.flags.get() & conn_flags::LIVE != 0).collect()
}

fn state(model: &Model, port: u16) -> &'static str {
    let wanted = |conn: &&Conn| conn.cport.get() == Be16::new(port) && conn.flags.get() & conn_flags::TEMPLATE == 0;
    live(model).into_iter().find(wanted).map_or("-", |conn| protocols::state_name(conn.proto.get(), conn.state.get()))
}

/// Counts of all destinations, and the same counted from the connections.
fn counted(model: &Model) -> [(u32, u32, u32); 2] {
    let mut from_conns = [(0, 0, 0); 2];
    for conn in live(model) {
        let (active, inactive, persist) = &mut from_conns[conn.dest.get() as usize];
        if conn.flags.get() & conn_flags::TEMPLATE != 0 {
            *persist += 1;
        } else if conn.flags.get() & conn_flags::INACTIVE != 0 {
            *inactive += 1;
        } else {
            *active += 1;
        }
    }
    let dests = [0, 1].map(|n| &model.dests[n]).map(|d| (d.active.get(), d.inactive.get(), d.persist.get()));
    assert_eq!(dests, from_conns);
    dests
}

/// Leads a connection into a state, as the recording did.
fn lead(model: &Model, port: u16, wanted: &str, forward: Forward) {
    let server = client(model, port, SYN).1.unwrap();
    let steps: &[(char, u8)] = match wanted {
        "SYN_RECV" => &[],
        "ESTABLISHED" => &[('c', ACK)],
        "CLOSE_WAIT" => &[('c', ACK), ('c', FIN | ACK)],
        "FIN_WAIT" if forward == Forward::Masq => &[('c', ACK), ('s', FIN | ACK)],
        "FIN_WAIT" => &[('c', ACK), ('c', FIN | ACK)],
        "TIME_WAIT" => &[('c', FIN)],
        "CLOSE" => &[('c', 0)],
        other => panic!("{other}"),
    };
    for (side, flags) in steps {
        if *side == 'c' {
            client(model, port, *flags);
        } else {
            model.packet(&frames::tcp((server, 80), (CLIENT, port), *flags, &Shape::default()));
        }
    }
    assert_eq!(state(model, port), wanted);
}

fn recorded_reuse(title: &str, forward: Forward) -> usize {
    const RECORDED: &str = include_str!("../../../tests/golden/recorded/e2_live.txt");
    let section = RECORDED.split(title).nth(1).unwrap().split("\n===").next().unwrap();
    let mut lines = 0;
    for line in section.lines().filter(|line| line.starts_with("mode ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut model = director(proto::TCP, forward, 0);
        let [first, second] = &mut model.control.settings;
        (first.conn_reuse_mode, second.conn_reuse_mode) = (words[1].parse().unwrap(), -1);
        lead(&model, 6000, words[2], forward);
        let before = live(&model)[0].daddr.get();
        assert!(matches!(client(&model, 6000, SYN).0, Reason::NatIn | Reason::Dr));
        let after = live(&model)[0];
        // The words behind the packet: the entry's server and state.
        let kept = words[words.len() - if words.last().unwrap().ends_with("(0s)") { 4 } else { 2 }] == "10.0.2.51";
        let wanted = words.iter().skip(5).find(|word| word.contains('(')).unwrap().split('(').next().unwrap();
        assert_eq!((after.daddr.get() == before, state(&model, 6000)), (kept, wanted), "{line}");
        assert_eq!(live(&model).len(), 1);
        counted(&model);
        lines += 1;
    }
    lines
}

#[test]
fn a_syn_over_a_finished_connection_does_as_recorded() {
    assert_eq!(recorded_reuse("=== conn_reuse_mode: a SYN", Forward::Masq), 24);
    assert_eq!(recorded_reuse("=== conn_reuse_mode with DR", Forward::Route), 12);
}

#[test]
fn a_syn_leaves_a_server_that_is_to_get_no_more() {
    let mut model = director(proto::TCP, Forward::Masq, 0);
    lead(&model, 5002, "ESTABLISHED", Forward::Masq);
    let conn = live(&model)[0].dest.get();
    let server = live(&model)[0].daddr.get();
    model.lists.iter_mut().find(|entry| entry.dest == conn).unwrap().weight = 0;
    client(&model, 5002, SYN);
    assert_eq!(live(&model)[0].daddr.get(), server, "with expire_nodest_conn 0 it stays");
    model.control.settings[0].expire_nodest_conn = 1;
    client(&model, 5002, ACK);
    assert_eq!(live(&model)[0].daddr.get(), server, "only a SYN asks for another");
    client(&model, 5002, SYN);
    assert!(live(&model)[0].daddr.get() != server);
    assert_eq!((live(&model).len(), state(&model, 5002)), (1, "SYN_RECV"));
    counted(&model);
}

#[test]
fn connections_of_a_deleted_server_wait_or_end() {
    for setting in [0, 1] {
        let mut model = director(proto::TCP, Forward::Masq, 0);
        model.control.settings[0].expire_nodest_conn = setting;
        let server = client(&model, 5000, SYN).1.unwrap();
        client(&model, 5000, ACK);
        let dest = live(&model)[0].dest.get() as usize;
        model.dests[dest].state.set(DestState::Trash as u8);
        if setting == 0 {
            model.sweep();
            assert_eq!(client(&model, 5000, ACK), (Reason::DestGone, None));
            let back = model.packet(&frames::tcp((server, 80), (CLIENT, 5000), ACK, &Shape::default()));
            assert_eq!(back.0, Reason::NatOut, "its own packets are still translated");
            model.dests[dest].state.set(DestState::Live as u8);
            assert_eq!(client(&model, 5000, ACK), (Reason::NatIn, Some(server)), "and it comes back");
        } else {
            assert_eq!(client(&model, 5000, ACK), (Reason::DestGone, None));
            assert_eq!(client(&model, 5000, ACK), (Reason::NoConnection, None));
            // Another, found by the sweeper.
            model.dests[dest].state.set(DestState::Live as u8);
            client(&model, 5001, SYN);
            client(&model, 5002, SYN);
            model.dests[dest].state.set(DestState::Trash as u8);
            model.sweep();
            assert_eq!(live(&model).len(), 1);
        }
        counted(&model);
    }
}

#[test]
fn sloppy_tcp_lets_any_segment_but_rst_begin() {
    let mut model = director(proto::TCP, Forward::Masq, 0);
    assert_eq!(client(&model, 4000, ACK).0, Reason::NoConnection);
    model.control.settings[0].sloppy_tcp = 1;
    for (port, flags, wanted) in
        [(1, SYN, "SYN_RECV"), (2, SYN | ACK, "SYN_RECV"), (3, ACK, "ESTABLISHED"), (4, FIN, "CLOSE"), (5, 0, "CLOSE")]
    {
        assert_eq!(client(&model, 4000 + port, flags).0, Reason::NatIn);
        assert_eq!(state(&model, 4000 + port), wanted);
    }
    assert_eq!(client(&model, 4006, RST).0, Reason::NoConnection);
    assert_eq!(client(&model, 4007, RST | ACK).0, Reason::NoConnection);
}

#[test]
fn secure_tcp_waits_for_the_server() {
    let mut model = director(proto::TCP, Forward::Masq, 0);
    model.control.settings[0].secure_tcp = 3;
    model.sweep();
    let server = client(&model, 4000, SYN).1.unwrap();
    let answer = |flags| model.packet(&frames::tcp((server, 80), (CLIENT, 4000), flags, &Shape::default()));
    client(&model, 4000, ACK);
    assert_eq!(state(&model, 4000), "SYN_RECV");
    answer(SYN | ACK);
    client(&model, 4000, ACK);
    assert_eq!(state(&model, 4000), "SYNACK");
    answer(ACK);
    assert_eq!(state(&model, 4000), "ESTABLISHED");
}

#[test]
fn a_client_leaves_a_quiescent_server_when_told_to() {
    let mut model = director(proto::TCP, Forward::Masq, flags::PERSISTENT);
    let first = client(&model, 4000, SYN).1.unwrap();
    client(&model, 4000, ACK);
    let dest = live(&model)[0].dest.get();
    model.lists.iter_mut().find(|entry| entry.dest == dest).unwrap().weight = 0;
    assert_eq!(client(&model, 4001, SYN).1, Some(first), "a weight of 0 keeps its clients");
    model.control.settings[0].expire_quiescent_template = 1;
    let second = client(&model, 4002, SYN).1.unwrap();
    assert_ne!(second, first);
    assert_eq!(client(&model, 4003, SYN).1, Some(second));
    let templates: Vec<_> = live(&model).into_iter().filter(|c| c.flags.get() & conn_flags::TEMPLATE != 0).collect();
    let mut ports: Vec<_> = templates.iter().map(|t| (t.vport.get().host(), t.dport.get().host())).collect();
    ports.sort_unstable();
    assert_eq!(ports, [(80, 80), (65535, 65535)], "the old one is renamed");
    counted(&model);
    // It runs out with what it controls.
    model.now.set(model.now.get() + 1000 * SECOND);
    for _ in 0..3 {
        model.sweep();
        model.now.set(model.now.get() + 100 * SECOND);
    }
    assert_eq!((live(&model).len(), counted(&model)), (0, [(0, 0, 0); 2]));
}

#[test]
fn one_packet_scheduling_keeps_nothing() {
    let model = director(proto::UDP, Forward::Masq, flags::ONE_PACKET);
    let ask = || model.packet(&frames::udp((CLIENT, 7000), (VIP, 80), &Shape::default()));
    let servers: Vec<_> = (0..4).map(|_| ask()).map(|(reason, out)| (reason, out.unwrap()[33])).collect();
    let wanted = [12, 11, 12, 11].map(|last| (Reason::NatIn, last));
    assert_eq!(servers, wanted);
    assert_eq!((live(&model).len(), counted(&model)), (0, [(0, 0, 0); 2]));
    let answer = model.packet(&frames::udp((rs(1), 80), (CLIENT, 7000), &Shape::default()));
    assert_eq!(answer.0, Reason::NoService, "answers are not translated");
    let counters = model.counters.borrow();
    let of = |c: &crate::abi::Counters| (c.conns, c.in_pkts, c.out_pkts);
    assert_eq!((of(&counters.0[&0]), of(&counters.1[&0]), of(&counters.1[&1])), ((4, 4, 0), (2, 2, 0), (2, 2, 0)));
}

#[test]
fn drop_packet_takes_one_in_so_many_new_connections() {
    let mut model = director(proto::TCP, Forward::Masq, 0);
    model.control.settings[0].drop_packet = 3;
    model.control.settings[0].am_droprate = 5;
    model.sweep();
    let shed = (0..50).filter(|n| client(&model, 4000 + n, SYN).0 == Reason::Shed).count();
    assert_eq!(shed, 10);
    let known = live(&model).len();
    assert_eq!(known, 40);
    for conn in live(&model) {
        assert_eq!(client(&model, conn.cport.get().host(), ACK).0, Reason::NatIn, "known ones are never dropped");
    }
}

#[test]
fn drop_entry_draws_unfinished_and_idle_connections() {
    let mut model = director_for(8192, proto::TCP, Forward::Masq, 0);
    for n in 0..150 {
        client(&model, 1000 + n, SYN);
        client(&model, 2000 + n, SYN);
        client(&model, 2000 + n, ACK);
        client(&model, 3000 + n, SYN);
        client(&model, 3000 + n, ACK);
        model.now.set(model.now.get() + MS);
    }
    model.control.settings[0].drop_entry = 3;
    let of =
        |model: &Model, from: u16| live(model).iter().filter(|conn| conn.cport.get().host() / 1000 == from).count();
    for _ in 0..50 {
        model.now.set(model.now.get() + SECOND);
        model.sweep();
    }
    // After 50 rounds a fifth of the unfinished ones is left, on average: (31 / 32)^50.
    assert!((10..60).contains(&of(&model, 1)), "{}", of(&model, 1));
    assert_eq!((of(&model, 2), of(&model, 3)), (150, 150), "nobody was idle for a minute");
    for round in 0..100 {
        model.now.set(model.now.get() + SECOND);
        if round % 20 == 0 {
            for n in 0..150 {
                client(&model, 3000 + n, ACK);
            }
        }
        model.sweep();
    }
    // Idle for a minute and two packets: half of those that are drawn, ninety times, leaves a quarter.
    assert!((10..80).contains(&of(&model, 2)), "{}", of(&model, 2));
    assert_eq!(of(&model, 3), 150, "who speaks is left alone");
    counted(&model);
}

#[test]
fn a_flood_of_syns_recycles_its_own_and_hurts_nobody() {
    let model = director(proto::TCP, Forward::Masq, 0);
    for port in 0..200 {
        client(&model, 1000 + port, SYN);
        client(&model, 1000 + port, ACK);
    }
    let mut refused = 0;
    let mut met = 0;
    for n in 0..20_000u32 {
        model.now.set(model.now.get() + 2 * MS);
        let random = Ipv4Addr::from(0x0b00_0000 + n.wrapping_mul(2_654_435_761) % 0x00ff_ffff);
        match from_client(&model, (random, 999), SYN).0 {
            Reason::NatIn => {}
            Reason::Flooded => refused += 1,
            other => panic!("{other:?}"),
        }
        // A new client in the middle of it, who answers after 40 ms.
        if n % 100 == 0 {
            client(&model, 20_000 + (n / 100) as u16, SYN);
        }
        if n % 100 == 20 {
            let port = 20_000 + (n / 100) as u16;
            let known = client(&model, port, ACK).0 == Reason::NatIn && state(&model, port) == "ESTABLISHED";
            met += usize::from(known);
            // It goes again, so that the table does not fill with such.
            client(&model, port, RST);
        }
        if n % 1000 == 0 {
            model.sweep();
            counted(&model);
            for port in 0..200 {
                assert_eq!(client(&model, 1000 + port, ACK).0, Reason::NatIn, "an established connection was lost");
            }
        }
    }
    // 500 a second, where 128 places rest for a tenth of one: nobody is refused, and nobody who answers is forgotten.
    assert_eq!((refused, met), (0, 200));
    assert!(live(&model).len() < 200 + 512);
}

#[test]
fn a_flood_too_fast_to_rest_is_refused_and_leaves_room_for_the_established() {
    let model = director(proto::TCP, Forward::Masq, 0);
    let mut refused = 0;
    for n in 0..5_000u32 {
        let random = Ipv4Addr::from(0x0b00_0000 + n);
        refused += usize::from(from_client(&model, (random, 1), SYN).0 == Reason::Flooded);
    }
    assert!(refused > 4_000, "{refused}");
    // Half the table is left: for UDP, which is never embryonic, for instance.
    let used = live(&model).len();
    assert!(used <= 512, "{used}");
    counted(&model);
    // When it has rested, the newest get in again.
    model.now.set(model.now.get() + embryo::REST_NS);
    assert_eq!(client(&model, 4000, SYN).0, Reason::NatIn);
}

#[test]
fn a_flood_over_a_persistent_service_keeps_the_templates_of_those_who_answer() {
    let model = director(proto::TCP, Forward::Masq, flags::PERSISTENT);
    let kept = client(&model, 4000, SYN).1;
    client(&model, 4000, ACK);
    for n in 0..5_000u32 {
        model.now.set(model.now.get() + 2 * MS);
        from_client(&model, (Ipv4Addr::from(0x0b00_0000 + n), 1), SYN);
        if n % 500 == 0 {
            model.sweep();
            counted(&model);
        }
    }
    assert_eq!(client(&model, 4000, ACK).1, kept);
    assert_eq!(client(&model, 4001, SYN).1, kept, "its template is still there");
    model.now.set(model.now.get() + 2000 * SECOND);
    for _ in 0..3 {
        model.sweep();
        model.now.set(model.now.get() + 2000 * SECOND);
    }
    assert_eq!((live(&model).len(), counted(&model)), (0, [(0, 0, 0); 2]));
    // Nothing was lost of the table: it takes as many as it ever did.
    model.now.set(model.now.get() + life::GRACE_NS);
    model.sweep();
    let free = (0..1024).filter(|_| crate::tables::Tables::alloc_conn(&model).is_some()).count();
    assert_eq!(free, 1024);
}

#[test]
fn every_record_finds_room_in_the_buckets() {
    const CONNECTIONS: u32 = 1 << 16;
    let mut model = director_for(CONNECTIONS as usize, proto::TCP, Forward::Masq, 0);
    model.control.settings[0].sloppy_tcp = 1;
    for n in 0..CONNECTIONS {
        let from = (Ipv4Addr::from(0x0b00_0000 + n), 1000);
        assert_eq!(from_client(&model, from, ACK).0, Reason::NatIn, "connection {n} under two keys");
    }
    assert_eq!(from_client(&model, (CLIENT, 1), ACK).0, Reason::TableFull);
    counted(&model);

    // What is in its second bucket is found, and forgotten by the first when it ends.
    let away = |model: &Model| model.buckets.iter().map(|bucket| bucket.away.get()).sum::<u32>();
    assert!(away(&model) > CONNECTIONS / 100, "only {} are away", away(&model));
    for n in 0..CONNECTIONS {
        let from = (Ipv4Addr::from(0x0b00_0000 + n), 1000);
        assert_eq!(from_client(&model, from, ACK).0, Reason::NatIn, "connection {n} is known");
    }
    model.now.set(model.now.get() + 1_000_000 * life::MS);
    model.sweep();
    assert_eq!(
        (model.buckets.iter().flat_map(|bucket| &bucket.slots).map(Cell::get).sum::<u64>(), away(&model)),
        (0, 0)
    );
}
