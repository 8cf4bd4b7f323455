//! Packets that are wrong, foreign, forged, repeated or far too many: counted, and nothing else changes.

use crate::common::*;
use core::time::Duration;
use proptest::prelude::*;
use rvs_machine::{Rng, Time};
use rvs_vrrp::packet::{Advert, AhKey, Body, ChecksumForm, Envelope, HmacKey, Legacy, Seal, Sequence, emit};
use rvs_vrrp::params::{HmacMode, HmacParams, InstanceParams, LegacyAuth, OldUnicast, Peer, Protocol, Transport};
use rvs_vrrp::{Centis, Input, Name, Output, Received, Seconds, State, Stats, wall_clock};

fn advert(prio: u8) -> Advert {
    Advert {
        vrid: 51,
        priority: prio,
        body: Body::V2 { interval: 1, legacy: Legacy::Password(*b"secret\0\0") },
        addresses: vec![ip("10.0.1.10"), ip("10.0.1.11")],
    }
}

const PLAIN: Seal<'static> = Seal { checksum: ChecksumForm::Pseudo, ah: None, trailer: None };

fn way() -> Envelope {
    Envelope { source: ip("10.0.1.9"), destination: ip("224.0.0.18"), hop_limit: 255, id: 1 }
}

fn packet(bytes: Vec<u8>) -> Input {
    Input::Received(Received { interface: Name::from("eth0"), bytes, ipv6: None })
}

fn sent(advert: &Advert, way: &Envelope, seal: &Seal<'_>) -> Input {
    packet(emit(advert, way, seal))
}

fn stats(node: &Node) -> Stats {
    *node.router.instances()[0].stats()
}

/// A backup must keep its timer, whatever is thrown at it.
#[track_caller]
fn refused(params: InstanceParams, input: Input, counter: fn(&Stats) -> u64) {
    let mut node = Node::started(1, one(params), Time::ZERO);
    let before = node.due();
    node.input(ms(100), input);
    assert_eq!((node.state(), node.due()), (State::Backup, before));
    assert_eq!((counter(&stats(&node)), stats(&node).advert_rcvd), (1, 0));
}

#[test]
fn each_kind_of_wrong_advert_has_its_counter() {
    let good = || advert(200);
    let v2 = |legacy, interval| Advert { body: Body::V2 { interval, legacy }, ..good() };
    let raw = |change: fn(&mut Vec<u8>)| {
        let mut bytes = emit(&good(), &way(), &PLAIN);
        change(&mut bytes);
        packet(bytes)
    };
    let ours = || recorded(100);
    refused(ours(), sent(&v2(Legacy::Password(*b"other\0\0\0"), 1), &way(), &PLAIN), |s| s.auth_failure);
    refused(ours(), sent(&v2(Legacy::None, 1), &way(), &PLAIN), |s| s.authtype_mismatch);
    refused(ours(), sent(&v2(Legacy::Header { sequence: 1 }, 1), &way(), &PLAIN), |s| s.authtype_mismatch);
    refused(ours(), sent(&v2(Legacy::Password(*b"secret\0\0"), 2), &way(), &PLAIN), |s| s.advert_interval_err);
    refused(ours(), sent(&good(), &Envelope { hop_limit: 254, ..way() }, &PLAIN), |s| s.ip_ttl_err);
    refused(ours(), sent(&good(), &Envelope { destination: ip("10.0.1.1"), ..way() }, &PLAIN), |s| s.addr_list_err);
    refused(ours(), raw(|bytes| bytes[24] = 9), |s| s.invalid_authtype);
    refused(ours(), raw(|bytes| bytes[20] = 0x22), |s| s.invalid_type_rcvd);
    refused(ours(), raw(|bytes| bytes[20] = 0x41), |s| s.packet_len_err + s.vers_err);
    refused(ours(), raw(|bytes| bytes[30] ^= 1), |s| s.chk_err);
    refused(ours(), raw(|bytes| bytes[3] -= 4), |s| s.packet_len_err);
    refused(ours(), raw(|bytes| bytes.truncate(40)), |s| s.packet_len_err);
    refused(ours(), raw(|bytes| bytes.extend([0; 100])), |s| s.packet_len_err);
}

#[test]
fn padding_to_ethernets_minimum_is_no_error() {
    let mut params = recorded(100);
    params.addresses.truncate(1);
    params.protocol = Protocol::V2 { interval: Seconds::new(1).unwrap(), auth: LegacyAuth::None };
    let mut node = Node::started(1, one(params), Time::ZERO);
    let advert = Advert {
        body: Body::V2 { interval: 1, legacy: Legacy::None },
        addresses: vec![ip("10.0.1.10")],
        ..advert(200)
    };
    let mut bytes = emit(&advert, &way(), &PLAIN);
    bytes.resize(46, 0);
    node.input(ms(1), packet(bytes));
    assert_eq!((stats(&node).advert_rcvd, stats(&node).packet_len_err), (1, 0));
}

#[test]
fn other_addresses_are_reported_and_the_advert_counts() {
    let mut node = Node::started(1, one(recorded(100)), Time::ZERO);
    let other = Advert { addresses: vec![ip("10.0.1.10"), ip("10.0.1.12")], ..advert(200) };
    node.input(ms(1000), sent(&other, &way(), &PLAIN));
    let fewer = Advert { addresses: vec![ip("10.0.1.10")], ..advert(200) };
    node.input(ms(2000), sent(&fewer, &way(), &PLAIN));
    assert_eq!((stats(&node).addr_list_err, stats(&node).advert_rcvd), (2, 2));
    let logs = node.logs();
    assert!(logs.contains(&"(VI_1) expected 2 VIPs but received 1".to_owned()));
    let text = "(VI_1) ip address associated with VRID 51 not present in MASTER advert: 10.0.1.11";
    assert!(logs.contains(&text.to_owned()));
}

#[test]
fn the_authentication_header_stops_forgers_and_repeaters() {
    let key = AhKey(*b"secret\0\0");
    let protocol = Protocol::V2 { interval: Seconds::new(1).unwrap(), auth: LegacyAuth::Header(key.clone()) };
    let ours = || InstanceParams { protocol: protocol.clone(), ..recorded(100) };
    let header =
        |sequence| Advert { body: Body::V2 { interval: 1, legacy: Legacy::Header { sequence } }, ..advert(200) };
    let forged = AhKey(*b"forged\0\0");
    fn seal(key: &AhKey) -> Seal<'_> {
        Seal { ah: Some(key), ..PLAIN }
    }
    refused(ours(), sent(&header(1), &way(), &seal(&forged)), |s| s.auth_failure);
    refused(ours(), sent(&advert(200), &way(), &PLAIN), |s| s.authtype_mismatch);
    let mut node = Node::started(1, one(ours()), Time::ZERO);
    for (sequence, failures) in [(5, 0), (5, 1), (4, 2), (6, 2)] {
        node.input(ms(100), sent(&header(sequence), &way(), &seal(&key)));
        assert_eq!(stats(&node).auth_failure, failures);
    }
    // As master it goes on from there.
    let end = node.due().unwrap();
    let sent = node.wake(end);
    let packet = rvs_vrrp::packet::Packet::parse_v4(&sent[0].bytes).unwrap();
    assert!(packet.ah_sequence() == Some(7) && packet.ah_holds(&key, false));
}

#[test]
fn the_newer_authentication_stops_forgers_and_repeaters() {
    let key = HmacKey::new(1, vec![1; 32]).unwrap();
    let params = |mode, window| {
        let mut params = recorded(100);
        params.protocol = Protocol::V2 { interval: Seconds::new(1).unwrap(), auth: LegacyAuth::None };
        params.auth_hmac = Some(HmacParams { keys: vec![key.clone()], active: 1, mode, window });
        params
    };
    let theirs = Advert { body: Body::V2 { interval: 1, legacy: Legacy::None }, ..advert(200) };
    let with = |key: &HmacKey, second: u64| {
        sent(&theirs, &way(), &Seal { trailer: Some((key, Sequence::at(second * 1_000_000_000))), ..PLAIN })
    };
    let utc = 1_000;
    let node = |mode, window| {
        let mut node = Node::started(1, one(params(mode, window)), Time::ZERO);
        node.input(Time::ZERO, wall_clock(utc * 1_000_000_000, Duration::ZERO));
        node
    };
    let mut strict = node(HmacMode::Enforce, Some(5));
    strict.input(ms(1), sent(&theirs, &way(), &PLAIN));
    strict.input(ms(2), with(&HmacKey::new(1, vec![2; 32]).unwrap(), utc));
    strict.input(ms(3), with(&HmacKey::new(2, vec![1; 32]).unwrap(), utc));
    strict.input(ms(4), with(&key, utc - 6));
    strict.input(ms(5), with(&key, utc + 6));
    strict.input(ms(6), with(&key, utc));
    strict.input(ms(7), with(&key, utc));
    let s = stats(&strict);
    assert_eq!(
        (s.auth_ext_missing, s.auth_ext_invalid_hmac, s.auth_ext_unknown_key, s.auth_ext_stale, s.auth_ext_replay),
        (1, 1, 1, 2, 1)
    );
    assert_eq!(s.advert_rcvd, 1);
    // Migration: who signs nothing is believed, and a wrong signature is not.
    let mut lenient = node(HmacMode::ReceiveOnly, None);
    lenient.input(ms(1), sent(&theirs, &way(), &PLAIN));
    lenient.input(ms(2), with(&HmacKey::new(1, vec![2; 32]).unwrap(), utc));
    assert_eq!((stats(&lenient).advert_rcvd, stats(&lenient).auth_ext_invalid_hmac), (1, 1));
    // Two of ours understand each other, with a clock that is put back in between.
    let nodes = vec![node(HmacMode::Enforce, Some(5)), Node { host: 2, ..node(HmacMode::Enforce, Some(5)) }];
    let mut wire = Wire::new(nodes);
    wire.nodes[1].input(Time::ZERO, Input::Interface(eth0(2, true)));
    wire.run_until(ms(6000));
    for at in 0..2 {
        wire.input(at, wall_clock((utc - 500) * 1_000_000_000, Duration::ZERO));
    }
    wire.run_until(ms(20_000));
    let masters = wire.nodes.iter().filter(|node| node.state() == State::Master).count();
    assert_eq!(masters, 1);
}

#[test]
fn unicast_peers_are_checked() {
    let peer = Peer { address: ip("10.0.1.9"), min_ttl: 64, max_ttl: 64 };
    let mut params = recorded(100);
    params.transport =
        Transport::Unicast { peers: vec![peer], hop_limit: 64, check_source: true, old_group: ip("224.0.0.18") };
    let unicast = Envelope { destination: ip("10.0.1.1"), hop_limit: 64, ..way() };
    let from =
        |source: &str, hop_limit| sent(&advert(200), &Envelope { source: ip(source), hop_limit, ..unicast }, &PLAIN);
    refused(params.clone(), from("10.0.1.8", 64), |s| s.ignored);
    refused(params.clone(), from("10.0.1.9", 63), |s| s.ip_ttl_err);
    refused(params.clone(), sent(&advert(200), &way(), &PLAIN), |s| s.addr_list_err);
    let mut node = Node::started(1, one(params), Time::ZERO);
    node.input(ms(1), from("10.0.1.9", 64));
    assert_eq!(stats(&node).advert_rcvd, 1);
}

#[test]
fn the_forms_of_the_version_3_checksum() {
    let unicast = |old_unicast| {
        let mut params = recorded(100);
        params.protocol = Protocol::V3 { interval: Centis::new(100).unwrap(), checksum_as_v2: false, old_unicast };
        let peers = vec![Peer { address: ip("10.0.1.9"), min_ttl: 0, max_ttl: 255 }];
        params.transport =
            Transport::Unicast { peers, hop_limit: 255, check_source: false, old_group: ip("224.0.0.18") };
        params
    };
    let as_v2 = || {
        let mut params = recorded(100);
        params.protocol =
            Protocol::V3 { interval: Centis::new(100).unwrap(), checksum_as_v2: true, old_unicast: OldUnicast::Detect };
        params
    };
    let theirs = Advert { body: Body::V3 { interval: 100 }, ..advert(200) };
    let old = ChecksumForm::PseudoTo([224, 0, 0, 18].into());
    let to_us = Envelope { destination: ip("10.0.1.1"), ..way() };
    for (params, way, form, taken) in [
        (unicast(OldUnicast::Detect), to_us, ChecksumForm::Pseudo, 1),
        (unicast(OldUnicast::Detect), to_us, old, 1),
        (unicast(OldUnicast::Detect), to_us, ChecksumForm::Bare, 0),
        (unicast(OldUnicast::Never), to_us, old, 0),
        (unicast(OldUnicast::Always), to_us, old, 1),
        (unicast(OldUnicast::Always), to_us, ChecksumForm::Pseudo, 0),
        (as_v2(), way(), ChecksumForm::Bare, 1),
        (as_v2(), way(), ChecksumForm::Pseudo, 1),
        (as_v2(), way(), old_other(), 0),
    ] {
        let mut node = Node::started(1, one(params), Time::ZERO);
        node.input(ms(1), sent(&theirs, &way, &Seal { checksum: form, ..PLAIN }));
        assert_eq!((stats(&node).advert_rcvd, stats(&node).chk_err), (taken, 1 - taken), "{form:?}");
    }
    let mut node = Node::started(1, one(unicast(OldUnicast::Detect)), Time::ZERO);
    node.input(ms(1), sent(&theirs, &to_us, &Seal { checksum: old, ..PLAIN }));
    assert!(node.logs().contains(&"(VI_1) Setting unicast VRRPv3 checksum to old version".to_owned()));
}

fn old_other() -> ChecksumForm {
    ChecksumForm::PseudoTo([1, 2, 3, 4].into())
}

#[test]
fn foreign_virtual_routers_are_counted() {
    let config = rvs_vrrp::params::Config { log_unknown_vrids: true, ..one(recorded(100)) };
    let mut node = Node::started(1, config, Time::ZERO);
    node.input(ms(1), sent(&Advert { vrid: 7, ..advert(200) }, &way(), &PLAIN));
    node.input(ms(1), sent(&Advert { vrid: 0, ..advert(200) }, &way(), &PLAIN));
    assert_eq!(node.router.stats().unknown_vrid, 2);
    assert!(node.logs().contains(&"Unknown VRID(7) received on interface(eth0). ignoring...".to_owned()));
}

/// Ten thousand adverts in a second to a master: its own adverts go on at their pace, and it writes and sends little.
#[test]
fn a_flood_changes_nothing() {
    let forged = Advert { body: Body::V2 { interval: 1, legacy: Legacy::Password(*b"forged\0\0") }, ..advert(255) };
    for (advert, counter) in [(forged, 10_000), (advert(1), 0), (advert(0), 0)] {
        let mut node = Node::started(1, one(recorded(100)), Time::ZERO);
        let start = node.due().unwrap();
        node.wake(start);
        node.done.clear();
        let input = sent(&advert, &way(), &PLAIN);
        for number in 0..10_000 {
            let now = start + Duration::from_micros(100 * number);
            node.input(now, input.clone());
            if node.due().is_some_and(|at| at <= now) {
                node.wake(now);
            }
        }
        let end = start + Duration::from_secs(1);
        while let Some(at) = node.due().filter(|at| *at <= end) {
            node.wake(at);
        }
        assert_eq!(node.state(), State::Master);
        assert_eq!(stats(&node).auth_failure, counter);
        let adverts = node.adverts().len();
        assert!((1..=25).contains(&adverts), "{adverts} adverts");
        assert!(node.frames() <= 20, "{} frames", node.frames());
        assert!(node.logs().len() <= 30, "{} lines", node.logs().len());
        assert!(stats(&node).logs_suppressed >= counter.saturating_sub(10));
    }
}

proptest! {
    /// Whatever comes, a backup's timer and state stay, unless it was a right advert.
    #[test]
    fn random_bytes_change_no_state(seed in any::<u64>()) {
        let mut rng = Rng::new(seed);
        let mut node = Node::started(1, one(recorded(100)), Time::ZERO);
        let before = node.due();
        for _ in 0..200 {
            let mut bytes = emit(&advert(200), &way(), &PLAIN);
            match rng.below(3) {
                0 => bytes = (0..rng.below(120)).map(|_| rng.next() as u8).collect(),
                1 => bytes.truncate(rng.below(44) as usize),
                // One bit of the advert, which the checksum or the password finds.
                _ => bytes[20 + rng.below(24) as usize] ^= 1 << rng.below(8),
            }
            node.input(ms(100), packet(bytes.clone()));
            let ipv6 = Some((core::net::Ipv6Addr::LOCALHOST, core::net::Ipv6Addr::LOCALHOST, Some(255)));
            node.input(ms(100), Input::Received(Received { interface: Name::from("eth0"), bytes, ipv6 }));
        }
        prop_assert_eq!((node.state(), node.due()), (State::Backup, before));
        prop_assert_eq!(stats(&node).advert_rcvd, 0);
        let quiet = |output: &Output| matches!(output, Output::Log(_) | Output::Notify(_) | Output::Addresses { .. });
        let all_quiet = node.done.iter().all(|(_, output)| quiet(output));
        prop_assert!(all_quiet);
    }
}
