//! What tracked things do to an instance.

use crate::common::*;
use rvs_machine::Time;
use rvs_vrrp::params::{Config, InstanceParams, ProcessParams, ScriptParams, TrackParams, Tracked};
use rvs_vrrp::{Input, Interface, Priority, ScriptEnd, State};

fn node(prio: u8, what: Tracked, weight: i16, reverse: bool) -> Node {
    let mut params = recorded(prio);
    params.notify_priority_changes = true;
    params.track.push(TrackParams { what, weight, reverse });
    let config = Config {
        scripts: vec![ScriptParams { name: "s".into(), rise: 1, fall: 1, init_fail: false }],
        processes: vec![ProcessParams { name: "p".into(), quorum: 2, quorum_max: 3 }],
        ..one(params)
    };
    Node::started(1, config, Time::ZERO)
}

/// State and priority after an input.
fn after(node: &mut Node, input: Input) -> (State, u8) {
    node.input(ms(1), input);
    (node.state(), node.router.instances()[0].priority().get())
}

#[test]
fn each_kind_changes_the_priority() {
    let eth9 = |up| Input::Interface(Interface { name: "eth9".into(), ..eth0(9, up) });
    let mut interface = node(100, Tracked::Interface("eth9".into()), -10, false);
    assert_eq!(after(&mut interface, eth9(true)), (State::Backup, 100));
    assert_eq!(after(&mut interface, eth9(false)), (State::Backup, 90));
    assert_eq!(after(&mut interface, Input::InterfaceGone("eth9".into())), (State::Backup, 90));
    let mut file = node(100, Tracked::File("f".into()), 2, false);
    assert_eq!(after(&mut file, Input::File("f".into(), 20)), (State::Backup, 140));
    assert_eq!(after(&mut file, Input::File("f".into(), -127)), (State::Fault, 100));
    assert_eq!(after(&mut file, Input::File("f".into(), 0)), (State::Backup, 100));
    let mut process = node(100, Tracked::Process("p".into()), 7, false);
    for (count, prio) in [(1, 100), (2, 107), (3, 107), (4, 100)] {
        assert_eq!(after(&mut process, Input::Process("p".into(), count)), (State::Backup, prio));
    }
    assert!(process.logs().contains(&"Quorum gained for tracked process p".to_owned()));
    let mut bfd = node(100, Tracked::Bfd("b".into()), -50, false);
    assert_eq!(bfd.router.instances()[0].priority().get(), 50, "a session begins down");
    assert_eq!(after(&mut bfd, Input::Bfd("b".into(), true)), (State::Backup, 100));
    assert!(bfd.logs().contains(&"VRRP_Instance(VI_1) Tracked BFD instance b is UP".to_owned()));
    assert_eq!(bfd.notified().last().unwrap(), "INSTANCE \"VI_1\" BACKUP_PRIORITY 100");
}

#[test]
fn each_kind_can_be_a_condition() {
    let mut bfd = node(100, Tracked::Bfd("b".into()), 0, false);
    assert_eq!(bfd.state(), State::Fault);
    assert_eq!(bfd.notified(), ["INSTANCE \"VI_1\" FAULT 100"]);
    assert_eq!(after(&mut bfd, Input::Bfd("b".into(), true)).0, State::Backup);
    assert_eq!(after(&mut bfd, Input::Bfd("b".into(), false)).0, State::Fault);
    let mut reversed = node(100, Tracked::Bfd("b".into()), 0, true);
    assert_eq!(reversed.state(), State::Backup);
    assert_eq!(after(&mut reversed, Input::Bfd("b".into(), true)).0, State::Fault);
    let mut script = node(100, Tracked::Script("s".into()), 0, false);
    assert_eq!((script.state(), script.notified().len(), script.due()), (State::Fault, 0, None));
    assert_eq!(after(&mut script, Input::Script("s".into(), ScriptEnd::TimedOut)).0, State::Fault);
    assert_eq!(script.notified(), ["INSTANCE \"VI_1\" FAULT 100"]);
    assert_eq!(after(&mut script, Input::Script("s".into(), ScriptEnd::Exited(0))).0, State::Backup);
}

#[test]
fn an_owner_is_immune_to_weights_and_leads_when_its_condition_holds() {
    let mut weighted = node(255, Tracked::Script("s".into()), -50, false);
    weighted.input(ms(0), Input::Script("s".into(), ScriptEnd::Exited(1)));
    assert_eq!(weighted.router.instances()[0].priority(), Priority::OWNER);
    let mut condition = node(255, Tracked::Script("s".into()), 0, false);
    assert_eq!(condition.state(), State::Fault);
    assert_eq!(after(&mut condition, Input::Script("s".into(), ScriptEnd::Exited(0))).0, State::Master);
}

#[test]
fn a_higher_priority_shortens_the_wait_by_the_difference_of_the_skew_times() {
    let mut node = node(100, Tracked::File("f".into()), 1, false);
    let before = node.due().unwrap();
    node.input(ms(500), Input::File("f".into(), 128));
    assert_eq!(before.since(node.due().unwrap()).as_micros(), 500_000);
}

#[test]
fn without_an_address_there_is_nothing_to_send_from() {
    let mut node = Node::new(1, one(recorded(100)));
    node.input(Time::ZERO, Input::Interface(Interface { ipv4: None, ..eth0(1, true) }));
    node.input(Time::ZERO, Input::Start);
    assert_eq!(node.state(), State::Fault);
    assert!(node.logs().contains(&"(VI_1) entering FAULT state (no IPv4 address for interface)".to_owned()));
    node.input(ms(5), Input::Interface(eth0(1, true)));
    assert_eq!(node.state(), State::Backup);
}

#[test]
fn a_start_in_fault_says_why() {
    let mut node = Node::new(1, one(recorded(100)));
    node.input(Time::ZERO, Input::Interface(eth0(1, false)));
    node.input(Time::ZERO, Input::Start);
    assert_eq!(
        node.logs(),
        ["(VI_1): entering FAULT state (interface eth0 down)", "(VI_1) entering FAULT state", "(VI_1) removing VIPs.",]
    );
    assert_eq!(node.notified(), ["INSTANCE \"VI_1\" FAULT 100"]);
}

#[test]
fn its_own_interface_need_not_matter() {
    let params = InstanceParams { dont_track_primary: true, ..recorded(100) };
    let mut node = Node::started(1, one(params), Time::ZERO);
    node.input(ms(1), Input::Interface(eth0(1, false)));
    assert_eq!(node.state(), State::Backup);
}

#[test]
fn a_configured_source_can_be_tracked() {
    let params = InstanceParams { source: Some(ip("10.0.1.99")), track_source: true, ..recorded(100) };
    let mut node = Node::started(1, one(params), Time::ZERO);
    assert_eq!(after(&mut node, Input::SourcePresent("VI_1".into(), false)).0, State::Fault);
    assert_eq!(after(&mut node, Input::SourcePresent("VI_1".into(), true)).0, State::Backup);
}

#[test]
fn what_the_driver_cannot_provide_is_a_fault_until_it_can() {
    let mut node = node(100, Tracked::File("f".into()), 1, false);
    let lacks = |what: &str, lacking| Input::Lacks { instance: "VI_1".into(), what: what.into(), lacking };
    assert_eq!(after(&mut node, lacks("interface vrrp.51", true)).0, State::Fault);
    assert_eq!(after(&mut node, lacks("10.9.0.1/24", true)).0, State::Fault);
    assert_eq!(after(&mut node, lacks("interface vrrp.51", false)).0, State::Fault);
    assert_eq!(after(&mut node, lacks("10.9.0.1/24", false)).0, State::Backup);
    let text = "(VI_1) entering FAULT state (interface vrrp.51 missing)".to_owned();
    assert_eq!(node.logs().iter().filter(|line| **line == text).count(), 1);
}
