//! Reloads by difference.

use crate::common::*;
use core::time::Duration;
use rvs_machine::Machine;
use rvs_machine::Time;
use rvs_vrrp::params::{Config, InstanceParams};
use rvs_vrrp::{Input, Output, State};

fn master() -> Node {
    let mut node = Node::started(1, one(recorded(100)), Time::ZERO);
    while node.state() != State::Master {
        let at = node.due().unwrap();
        node.wake(at);
    }
    node.done.clear();
    node
}

fn reload(node: &mut Node, now: Time, config: Config) {
    node.input(now, Input::Reload(Box::new(config)));
}

#[test]
fn what_is_unchanged_does_nothing_at_all() {
    let mut node = master();
    let (deadline, stats) = (node.due(), *node.router.instances()[0].stats());
    reload(&mut node, ms(4000), one(recorded(100)));
    assert_eq!(node.done, []);
    assert_eq!((node.due(), *node.router.instances()[0].stats()), (deadline, stats));
    // Beside it another one comes, and goes again.
    let mut both = one(recorded(100));
    both.instances.push(version3("NEW", 9, 100, &["10.0.1.77"]));
    reload(&mut node, ms(4001), both);
    assert_eq!(node.notified(), ["INSTANCE \"NEW\" BACKUP 100"]);
    assert_eq!((node.adverts(), node.router.instances()[0].timer()), (vec![], deadline));
    reload(&mut node, ms(4002), one(recorded(100)));
    assert_eq!(node.notified().last().unwrap(), "INSTANCE \"NEW\" FAULT 100");
    assert_eq!((node.adverts(), node.due()), (vec![], deadline));
}

#[test]
fn only_the_difference_of_addresses_is_touched() {
    let mut node = master();
    let mut params = recorded(100);
    params.addresses.remove(0);
    params.addresses.push(vip("10.0.1.12"));
    params.excluded.push(vip("10.0.1.13"));
    reload(&mut node, ms(4000), one(params));
    let changes: Vec<_> = node
        .done
        .iter()
        .filter_map(|(_, output)| match output {
            Output::Addresses { addresses, add, .. } => Some((addresses[0].address.to_string(), *add)),
            _ => None,
        })
        .collect();
    let expected = [("10.0.1.10", false), ("10.0.1.12", true), ("10.0.1.13", true)];
    assert_eq!(changes, expected.map(|(address, add)| (address.to_owned(), add)));
    assert_eq!(node.adverts(), [(ms(4000), 100)]);
    assert_eq!(node.state(), State::Master);
}

#[test]
fn what_is_removed_says_goodbye() {
    let mut node = master();
    let mut params = recorded(100);
    params.notify_deleted = true;
    reload(&mut node, ms(4000), one(params));
    reload(&mut node, ms(4001), Config::default());
    assert_eq!(node.adverts().last(), Some(&(ms(4001), 0)));
    assert_eq!(node.notified(), ["INSTANCE \"VI_1\" DELETED 100"]);
    assert!(node.router.instances().is_empty() && node.router.deadline().is_none());
}

#[test]
fn another_vrid_is_another_router() {
    let mut node = master();
    reload(&mut node, ms(4000), one(InstanceParams { vrid: rvs_vrrp::Vrid::new(52).unwrap(), ..recorded(100) }));
    assert_eq!(node.adverts(), [(ms(4000), 0)]);
    assert_eq!(node.state(), State::Backup);
}

#[test]
fn a_backup_keeps_its_place_in_time() {
    let mut node = Node::started(1, one(recorded(90)), Time::ZERO);
    reload(&mut node, ms(3000), one(recorded(218)));
    // 128 of 256 more priority: half a second less.
    assert_eq!(node.due(), Some(Time::ZERO + Duration::from_micros(3_648_437 - 500_000)));
    assert_eq!(node.notified(), ["INSTANCE \"VI_1\" BACKUP 90"]);
}

#[test]
fn before_the_start_a_reload_is_just_another_configuration() {
    let mut node = Node::new(1, one(recorded(90)));
    node.input(Time::ZERO, Input::Interface(eth0(1, true)));
    reload(&mut node, Time::ZERO, one(recorded(255)));
    node.input(Time::ZERO, Input::Start);
    node.wake(Time::ZERO);
    assert_eq!(node.state(), State::Master);
}

#[test]
fn the_start_can_be_delayed() {
    let config = Config { startup_delay: Duration::from_secs(10), ..one(recorded(100)) };
    let node = Node::started(1, config, Time::ZERO);
    assert_eq!(node.due(), Some(Time::ZERO + Duration::from_micros(13_609_375)));
}
