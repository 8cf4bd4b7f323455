//! What two directors of the original did, with its times and its sentences, played by ours on a perfect wire.

use crate::common::*;
use core::time::Duration;
use rvs_machine::Time;
use rvs_vrrp::packet::GratuitousArp;
use rvs_vrrp::params::{Config, GroupParams, Peer, Transport};
use rvs_vrrp::{Input, Output, ScriptEnd, State};

/// The master, priority 100, and the backup, priority 90, started five seconds later.
fn pair() -> Wire {
    let mut wire = Wire::new(vec![Node::started(1, one(recorded(100)), Time::ZERO)]);
    wire.run_until(ms(5010));
    let backup = Node::started(2, one(recorded(90)), wire.now);
    wire.nodes.push(backup);
    wire.run_until(ms(9200));
    wire
}

fn states(wire: &Wire) -> Vec<State> {
    wire.nodes.iter().map(Node::state).collect()
}

/// When node 1 becomes master.
fn takeover(wire: &mut Wire) -> Time {
    let start = wire.now;
    for millis in 1..10_000 {
        wire.run_until(start + Duration::from_millis(millis));
        if wire.nodes[1].state() == State::Master {
            return wire.nodes[1].adverts().last().unwrap().0;
        }
    }
    panic!("nobody took over")
}

#[test]
fn a_start_alone_takes_three_intervals_and_the_skew() {
    let mut wire = Wire::new(vec![Node::started(1, one(recorded(100)), Time::ZERO)]);
    wire.run_until(ms(3610));
    let node = &mut wire.nodes[0];
    let first = Time::ZERO + Duration::from_micros(3_609_375);
    assert_eq!(node.adverts(), [(first, 100)]);
    let mut expected = vec![
        "(VI_1) removing VIPs.",
        "(VI_1) Entering BACKUP STATE (init)",
        "(VI_1) Receive advertisement timeout",
        "(VI_1) Entering MASTER STATE",
        "(VI_1) setting VIPs.",
        "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 10.0.1.10",
        "Sending gratuitous ARP on eth0 for 10.0.1.10",
        "(VI_1) Sending/queueing gratuitous ARPs on eth0 for 10.0.1.11",
        "Sending gratuitous ARP on eth0 for 10.0.1.11",
    ];
    for _ in 1..5 {
        expected.push("Sending gratuitous ARP on eth0 for 10.0.1.10");
        expected.push("Sending gratuitous ARP on eth0 for 10.0.1.11");
    }
    assert_eq!(node.logs(), expected);
    assert_eq!(node.notified(), ["INSTANCE \"VI_1\" BACKUP 100", "INSTANCE \"VI_1\" MASTER 100"]);
    // Five more of each, five seconds later, and never again.
    assert_eq!(node.frames(), 10);
    wire.run_until(ms(8600));
    assert_eq!(wire.nodes[0].frames(), 10);
    wire.run_until(ms(60_000));
    assert_eq!(wire.nodes[0].frames(), 20);
    let frame = wire.nodes[0].done.iter().find_map(|(_, output)| match output {
        Output::Frame { bytes, .. } => GratuitousArp::parse(bytes),
        _ => None,
    });
    assert_eq!(frame, Some(GratuitousArp { mac: [2, 0, 0, 0, 1, 1], address: [10, 0, 1, 10].into() }));
}

#[test]
fn sigterm_costs_the_skew_time() {
    let mut wire = pair();
    assert_eq!(states(&wire), [State::Master, State::Backup]);
    wire.nodes[0].done.clear();
    let stop = wire.now;
    wire.input(0, Input::Stop);
    assert_eq!(takeover(&mut wire).since(stop), Duration::from_micros(648_437), "recorded: 0.649 s");
    assert_eq!(wire.nodes[0].logs(), ["(VI_1) sent 0 priority", "(VI_1) removing VIPs."]);
    assert_eq!(wire.nodes[0].notified(), ["INSTANCE \"VI_1\" STOP 100"]);
    assert!(wire.nodes[1].logs().contains(&"(VI_1) Backup received priority 0 advertisement".to_owned()));
}

#[test]
fn kill_costs_three_intervals_and_the_skew_from_the_last_advert() {
    let mut wire = pair();
    let last = wire.nodes[0].adverts().last().unwrap().0;
    wire.nodes[0].alive = false;
    assert_eq!(takeover(&mut wire).since(last), Duration::from_micros(3_648_437), "recorded: 3.649 s");
}

#[test]
fn a_returning_master_waits_its_full_time_and_preempts() {
    let mut wire = pair();
    wire.input(0, Input::Stop);
    takeover(&mut wire);
    wire.run_until(wire.now + Duration::from_secs(3));
    let start = wire.now;
    wire.nodes[0] = Node::started(1, one(recorded(100)), start);
    wire.nodes[1].done.clear();
    wire.run_until(start + Duration::from_secs(5));
    assert_eq!(states(&wire), [State::Master, State::Backup]);
    let first = wire.nodes[0].adverts()[0].0;
    assert_eq!(first.since(start), Duration::from_micros(3_609_375), "recorded: 3.610 s");
    let discarded = "(VI_1) received lower priority (90) advert from 10.0.1.2 - discarding".to_owned();
    let discards = wire.nodes[0].logs().iter().filter(|line| **line == discarded).count();
    assert!((3..=4).contains(&discards));
    let logs = wire.nodes[1].logs();
    let away = logs.iter().position(|line| line.contains("Master received")).unwrap();
    assert_eq!(
        logs[away..],
        [
            "(VI_1) Master received advert from 10.0.1.1 with higher priority 100, ours 90",
            "(VI_1) Entering BACKUP STATE",
            "(VI_1) removing VIPs.",
        ]
    );
}

#[test]
fn a_link_down_is_a_fault_and_up_again_a_backup() {
    let mut wire = pair();
    wire.nodes[0].done.clear();
    wire.input(0, Input::Interface(eth0(1, false)));
    assert_eq!(
        wire.nodes[0].logs(),
        ["(VI_1) Entering FAULT STATE", "(VI_1) sent 0 priority", "(VI_1) removing VIPs."]
    );
    assert_eq!((states(&wire)[0], wire.nodes[0].adverts().len()), (State::Fault, 1));
    wire.run_until(wire.now + Duration::from_secs(5));
    wire.nodes[0].done.clear();
    let up = wire.now;
    wire.input(0, Input::Interface(eth0(1, true)));
    assert_eq!(wire.nodes[0].logs(), ["(VI_1) Entering BACKUP STATE"]);
    wire.run_until(up + Duration::from_secs(4));
    assert_eq!(wire.nodes[0].adverts()[0].0.since(up), Duration::from_micros(3_609_375), "recorded: 3.609 s");
}

#[test]
fn a_reload_with_a_lower_priority_is_noticed_after_the_others_full_time() {
    let mut wire = pair();
    let start = wire.now;
    wire.input(0, Input::Reload(Box::new(one(recorded(80)))));
    assert_eq!(wire.nodes[0].adverts().last(), Some(&(start, 80)));
    assert_eq!(wire.nodes[0].state(), State::Master);
    let last_100 = wire.nodes[0].adverts().iter().rev().find(|(_, priority)| *priority == 100).unwrap().0;
    takeover(&mut wire);
    let took = wire.nodes[1].adverts()[0].0.since(last_100);
    assert_eq!(took, Duration::from_micros(3_648_437), "recorded: 3.650 s after the last advert of 100");
    let given = "(VI_1) Master received advert from 10.0.1.2 with higher priority 90, ours 80".to_owned();
    assert!(wire.nodes[0].logs().contains(&given));
}

#[test]
fn a_failing_script_lowers_the_priority_and_nopreempt_keeps_the_other() {
    let script = rvs_vrrp::params::ScriptParams { name: "chk".into(), rise: 2, fall: 2, init_fail: false };
    let config = |prio| {
        let mut params = recorded(prio);
        params.nopreempt = prio == 100;
        params.track.push(rvs_vrrp::params::TrackParams {
            what: rvs_vrrp::params::Tracked::Script("chk".into()),
            weight: -20,
            reverse: false,
        });
        Config { scripts: vec![script.clone()], ..one(params) }
    };
    let end = |status| Input::Script("chk".into(), ScriptEnd::Exited(status));
    let nodes = vec![Node::started(1, config(100), Time::ZERO), Node::started(2, config(90), Time::ZERO)];
    let mut wire = Wire::new(nodes);
    wire.input(0, end(0));
    wire.input(1, end(0));
    wire.run_until(ms(9000));
    assert_eq!(states(&wire), [State::Master, State::Backup]);
    wire.nodes[0].done.clear();
    wire.input(0, end(1));
    wire.input(0, end(1));
    assert_eq!(
        wire.nodes[0].logs(),
        [
            "Script `chk` now returning 1",
            "VRRP_Script(chk) failed (exited with status 1)",
            "(VI_1) Changing effective priority from 100 to 80",
        ]
    );
    wire.run_until(ms(15_000));
    assert_eq!(states(&wire), [State::Backup, State::Master]);
    assert_eq!(wire.nodes[0].notified(), ["INSTANCE \"VI_1\" BACKUP 80"]);
    wire.input(0, end(0));
    wire.input(0, end(0));
    wire.run_until(ms(30_000));
    assert_eq!(states(&wire), [State::Backup, State::Master]);
    wire.input(1, Input::Stop);
    wire.run_until(ms(30_610));
    assert_eq!(wire.nodes[0].state(), State::Master, "recorded: 0.609 s");
}

/// Version 3 over IPv4 and IPv6 in a sync group, adverts every half second.
fn group(prio: u8) -> Config {
    Config {
        instances: vec![
            version3("V4", 61, prio, &["10.0.1.10"]),
            version3("V6", 62, prio, &["fe80::62", "fd00:1::10"]),
        ],
        groups: vec![GroupParams {
            name: "G".into(),
            members: vec!["V4".into(), "V6".into()],
            track: Vec::new(),
            tracking_weight: false,
        }],
        ..Config::default()
    }
}

#[test]
fn a_sync_group_of_both_families_in_the_recorded_order() {
    let nodes = vec![Node::started(1, group(150), Time::ZERO), Node::started(2, group(120), Time::ZERO)];
    let mut wire = Wire::new(nodes);
    wire.run_until(ms(1720));
    let logs: Vec<String> = wire.nodes[0].logs().into_iter().filter(|line| !line.contains("Sending")).collect();
    assert_eq!(
        logs,
        [
            "(V4) removing VIPs.",
            "(V4) Entering BACKUP STATE (init)",
            "(V6) removing VIPs.",
            "(V6) Entering BACKUP STATE (init)",
            "(V4) Receive advertisement timeout",
            "(V6) Receive advertisement timeout",
            "(V6) Entering MASTER STATE",
            "(V6) setting VIPs.",
            "VRRP_Group(G) Syncing instances to MASTER state",
            "(V4) Entering MASTER STATE",
            "(V4) setting VIPs.",
        ]
    );
    assert_eq!(wire.nodes[0].adverts()[0].0, Time::ZERO + Duration::from_micros(1_707_031), "recorded: 1.709 s");
    let groups: Vec<_> = wire.nodes[0].notified().into_iter().filter(|line| line.starts_with("GROUP")).collect();
    assert_eq!(groups, ["GROUP \"G\" BACKUP 0", "GROUP \"G\" MASTER 0"]);
    wire.run_until(ms(5230));
    wire.nodes[0].done.clear();
    let stop = wire.now;
    wire.input(0, Input::Stop);
    assert_eq!(wire.nodes[0].notified().last().unwrap(), "GROUP \"G\" STOP 0");
    wire.run_until(ms(6000));
    assert_eq!(wire.nodes[1].adverts()[0].0.since(stop), Duration::from_micros(265_625), "recorded: 0.268 s");
    assert!(wire.nodes[1].router.instances().iter().all(|instance| instance.state() == State::Master));
}

#[test]
fn of_equal_unicast_peers_the_higher_address_stays_master() {
    let config = |peer: &str| {
        let mut params = recorded(100);
        let peer = Peer { address: ip(peer), min_ttl: 0, max_ttl: 255 };
        params.transport =
            Transport::Unicast { peers: vec![peer], hop_limit: 255, check_source: false, old_group: ip("224.0.0.18") };
        one(params)
    };
    // The other was ready two milliseconds earlier.
    let nodes = vec![Node::started(1, config("10.0.1.2"), ms(2)), Node::started(2, config("10.0.1.1"), Time::ZERO)];
    let mut wire = Wire::new(nodes);
    wire.run_until(ms(20_000));
    assert_eq!(states(&wire), [State::Backup, State::Master]);
    assert_eq!(wire.nodes[1].adverts()[0].0, Time::ZERO + Duration::from_micros(3_609_375), "recorded: 3.610 s");
}

#[test]
fn with_different_passwords_there_are_two_masters_and_both_say_so() {
    let mut other = recorded(90);
    other.protocol = rvs_vrrp::params::Protocol::V2 {
        interval: rvs_vrrp::Seconds::new(1).unwrap(),
        auth: rvs_vrrp::params::LegacyAuth::Password(*b"other\0\0\0"),
    };
    let nodes = vec![Node::started(1, one(recorded(255)), Time::ZERO), Node::started(2, one(other), Time::ZERO)];
    let mut wire = Wire::new(nodes);
    wire.run_until(ms(3600));
    assert_eq!(states(&wire), [State::Master, State::Backup]);
    wire.run_until(ms(6000));
    assert_eq!(states(&wire), [State::Master, State::Master]);
    for node in &mut wire.nodes {
        assert!(node.logs().contains(&"(VI_1) received an invalid passwd!".to_owned()));
    }
    assert_eq!(wire.nodes[1].router.instances()[0].stats().auth_failure, 7);
}

#[test]
fn a_macvlan_has_the_virtual_mac_address_on_the_wire() {
    let mut params = recorded(100);
    let mac = rvs_vrrp::params::Vmac::standard_mac(params.vrid, false);
    let kind = rvs_vrrp::params::VmacKind::Macvlan(mac);
    let name = "vrrp.51".into();
    params.vmac = Some(rvs_vrrp::params::Vmac { name, kind, transmit_on_base: false, ipv6: false, vrf: None });
    let mut wire = Wire::new(vec![Node::started(1, one(params), Time::ZERO)]);
    wire.run_until(ms(4000));
    let node = &mut wire.nodes[0];
    assert!(matches!(&node.done[0].1, Output::Vmac { add: true, base, .. } if **base == *"eth0"));
    assert!(node.logs().contains(&"(VI_1) Sending/queueing gratuitous ARPs on vrrp.51 for 10.0.1.10".to_owned()));
    let mut seen = 0;
    for (_, output) in &node.done {
        match output {
            Output::Send(datagram) => assert_eq!(&*datagram.interface, "vrrp.51"),
            Output::Frame { interface, bytes } => {
                assert_eq!((&**interface, &bytes[6..12]), ("vrrp.51", &[0, 0, 0x5e, 0, 1, 0x33][..]));
                seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!(seen, 10);
}
