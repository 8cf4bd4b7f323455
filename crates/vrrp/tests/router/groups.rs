//! Sync groups: what one member does, all do.

use crate::common::*;
use core::time::Duration;
use rvs_machine::Time;
use rvs_vrrp::params::{Config, GroupParams, TrackParams, Tracked};
use rvs_vrrp::{Input, ScriptEnd, State};

fn config(prio: u8, track: Vec<TrackParams>, member_track: Vec<TrackParams>) -> Config {
    let mut inner = version3("IN", 2, prio, &["10.0.2.10"]);
    inner.interface = "eth1".into();
    inner.track = member_track;
    Config {
        instances: vec![version3("OUT", 1, prio, &["10.0.1.10"]), inner],
        groups: vec![GroupParams {
            name: "G".into(),
            members: vec!["OUT".into(), "IN".into()],
            track,
            tracking_weight: false,
        }],
        scripts: vec![rvs_vrrp::params::ScriptParams { name: "chk".into(), rise: 1, fall: 1, init_fail: false }],
        ..Config::default()
    }
}

fn eth1(host: u8, up: bool) -> Input {
    Input::Interface(rvs_vrrp::Interface { name: "eth1".into(), ..eth0(host, up) })
}

fn node(config: Config) -> Node {
    let mut node = Node::new(1, config);
    node.input(Time::ZERO, Input::Interface(eth0(1, true)));
    node.input(Time::ZERO, eth1(1, true));
    node.input(Time::ZERO, Input::Start);
    node
}

fn run(node: &mut Node, end: u64) {
    while let Some(at) = node.due().filter(|at| *at <= ms(end)) {
        node.wake(at);
    }
}

fn states(node: &Node) -> Vec<State> {
    node.router.instances().iter().map(|instance| instance.state()).collect()
}

fn track(weight: i16) -> Vec<TrackParams> {
    vec![TrackParams { what: Tracked::Script("chk".into()), weight, reverse: false }]
}

fn chk(status: i32) -> Input {
    Input::Script("chk".into(), ScriptEnd::Exited(status))
}

#[test]
fn one_members_fault_is_everybodys_and_so_is_its_end() {
    let mut node = node(config(150, Vec::new(), Vec::new()));
    run(&mut node, 3000);
    assert_eq!(states(&node), [State::Master; 2]);
    node.done.clear();
    node.input(ms(3000), eth1(1, false));
    assert_eq!(states(&node), [State::Fault; 2]);
    assert_eq!(
        node.logs(),
        [
            "(IN) Entering FAULT STATE",
            "(IN) sent 0 priority",
            "(IN) removing VIPs.",
            "VRRP_Group(G) Syncing instances to FAULT state",
            "(OUT) Entering FAULT STATE",
            "(OUT) sent 0 priority",
            "(OUT) removing VIPs.",
        ]
    );
    assert_eq!(node.notified(), ["INSTANCE \"IN\" FAULT 150", "INSTANCE \"OUT\" FAULT 150", "GROUP \"G\" FAULT 0"]);
    run(&mut node, 20_000);
    assert_eq!(states(&node), [State::Fault; 2]);
    node.done.clear();
    node.input(ms(20_000), eth1(1, true));
    assert_eq!(states(&node), [State::Backup; 2]);
    assert_eq!(node.notified(), ["INSTANCE \"IN\" BACKUP 150", "INSTANCE \"OUT\" BACKUP 150", "GROUP \"G\" BACKUP 0"]);
    run(&mut node, 25_000);
    assert_eq!(states(&node), [State::Master; 2]);
}

#[test]
fn two_faults_end_with_the_second() {
    let mut node = node(config(150, Vec::new(), Vec::new()));
    run(&mut node, 3000);
    node.input(ms(3000), eth1(1, false));
    node.input(ms(3001), Input::Interface(eth0(1, false)));
    node.input(ms(3002), eth1(1, true));
    assert_eq!(states(&node), [State::Fault; 2]);
    node.input(ms(3003), Input::Interface(eth0(1, true)));
    assert_eq!(states(&node), [State::Backup; 2]);
}

#[test]
fn nobody_leads_alone() {
    let mut wire = Wire::new(vec![node(config(150, Vec::new(), Vec::new()))]);
    // Somebody else is master of OUT alone.
    let mut rival = version3("OUT", 1, 200, &["10.0.1.10"]);
    rival.start_as_master = true;
    wire.nodes.push(Node::started(2, one(rival), Time::ZERO));
    wire.run_until(ms(10_000));
    assert_eq!(states(&wire.nodes[0]), [State::Backup; 2]);
    assert_eq!(wire.nodes[0].router.instances()[1].want(), State::Master);
    wire.input(1, Input::Stop);
    wire.run_until(ms(12_000));
    assert_eq!(states(&wire.nodes[0]), [State::Master; 2]);
}

#[test]
fn losing_one_is_losing_all() {
    let mut wire = Wire::new(vec![node(config(150, Vec::new(), Vec::new()))]);
    wire.run_until(ms(5000));
    assert_eq!(states(&wire.nodes[0]), [State::Master; 2]);
    wire.nodes.push(Node::started(2, one(version3("OUT", 1, 255, &["10.0.1.10"])), wire.now));
    wire.run_until(ms(5100));
    assert_eq!(states(&wire.nodes[0]), [State::Backup; 2]);
    assert!(wire.nodes[0].logs().contains(&"VRRP_Group(G) Syncing instances to BACKUP state".to_owned()));
}

#[test]
fn a_groups_condition_is_every_members() {
    let mut node = node(config(150, track(0), Vec::new()));
    // Not known yet: silence.
    run(&mut node, 3000);
    assert_eq!((states(&node), node.notified()), (vec![State::Fault; 2], vec![]));
    node.input(ms(3000), chk(0));
    assert_eq!(states(&node), [State::Backup; 2]);
    run(&mut node, 6000);
    assert_eq!(states(&node), [State::Master; 2]);
    node.input(ms(6000), chk(1));
    assert_eq!(states(&node), [State::Fault; 2]);
}

#[test]
fn a_groups_weight_is_added_to_every_member() {
    let mut node = node(config(150, track(-30), Vec::new()));
    node.input(ms(1), chk(1));
    assert!(node.router.instances().iter().all(|instance| instance.priority().get() == 120));
}

#[test]
fn a_members_weight_is_a_condition_unless_weights_are_wanted() {
    let mut strict = node(config(150, Vec::new(), track(-30)));
    strict.input(ms(1), chk(1));
    assert_eq!((states(&strict), strict.router.instances()[1].priority().get()), (vec![State::Fault; 2], 150));
    let mut weighted = config(150, Vec::new(), track(-30));
    weighted.groups[0].tracking_weight = true;
    let mut weighted = node(weighted);
    weighted.input(ms(1), chk(1));
    assert_eq!(states(&weighted), [State::Backup; 2]);
    assert_eq!(weighted.router.instances()[1].priority().get(), 120);
}

#[test]
fn a_group_of_owners_leads_at_once() {
    let mut node = node(config(255, Vec::new(), Vec::new()));
    run(&mut node, 1);
    assert_eq!(states(&node), [State::Master; 2]);
    assert_eq!(node.router.groups()[0].state(), State::Master);
    run(&mut node, Duration::from_secs(2).as_millis() as u64);
    assert_eq!(node.notified().iter().filter(|line| line.starts_with("GROUP")).count(), 1);
}

#[test]
fn a_start_with_a_member_in_fault_goes_as_the_originals() {
    let mut node = Node::new(1, config(255, Vec::new(), Vec::new()));
    node.input(Time::ZERO, Input::Interface(eth0(1, true)));
    node.input(Time::ZERO, eth1(1, false));
    node.input(Time::ZERO, Input::Start);
    assert_eq!(states(&node), [State::Fault; 2]);
    assert_eq!(
        node.logs(),
        [
            "(IN): entering FAULT state (interface eth1 down)",
            "VRRP_Group(G): Syncing IN to FAULT state",
            "(OUT) entering FAULT state",
            "(IN) entering FAULT state",
            "(OUT) removing VIPs.",
            "(IN) removing VIPs.",
        ]
    );
    assert_eq!(node.notified(), ["GROUP \"G\" FAULT 0", "INSTANCE \"OUT\" FAULT 255", "INSTANCE \"IN\" FAULT 255"]);
}
