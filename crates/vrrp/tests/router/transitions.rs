//! The RFC's transition table (RFC 9568, 6.4), one row after the other: state, event, what must come of it.

use crate::common::*;
use core::time::Duration;
use rvs_machine::Time;
use rvs_vrrp::packet::{Advert, Body, ChecksumForm, Envelope, Seal, emit};
use rvs_vrrp::params::{InstanceParams, Protocol};
use rvs_vrrp::{Input, Name, Output, Received, State};

/// Ours is 10.0.1.5.
const HOST: u8 = 5;

fn params(prio: u8) -> InstanceParams {
    version3("VI", 1, prio, &["10.0.1.10"])
}

/// An advert of another router.
fn advert(from: u8, prio: u8, centis: u16) -> Input {
    let advert =
        Advert { vrid: 1, priority: prio, body: Body::V3 { interval: centis }, addresses: vec![ip("10.0.1.10")] };
    let source = ip(&format!("10.0.1.{from}"));
    let way = Envelope { source, destination: ip("224.0.0.18"), hop_limit: 255, id: 1 };
    let bytes = emit(&advert, &way, &Seal { checksum: ChecksumForm::Pseudo, ah: None, trailer: None });
    Input::Received(Received { interface: Name::from("eth0"), bytes, ipv6: None })
}

/// A node that is backup, or master, at the returned time.
fn node(params: InstanceParams, state: State) -> (Node, Time) {
    let mut node = Node::started(HOST, one(params), Time::ZERO);
    let mut now = Time::ZERO;
    if state == State::Master {
        now = node.due().unwrap();
        node.wake(now);
    }
    assert_eq!(node.state(), state);
    node.done.clear();
    (node, now)
}

/// The master-down time of our priority with this interval of the master.
fn down(prio: u64, centis: u64) -> Duration {
    Duration::from_millis(centis * 10) * 3 + Duration::from_micros((256 - prio) * centis * 10_000 / 256)
}

fn skew(prio: u64, centis: u64) -> Duration {
    Duration::from_micros((256 - prio) * centis * 10_000 / 256)
}

#[test]
fn initialize_with_255_is_master_at_once() {
    let mut node = Node::started(HOST, one(params(255)), Time::ZERO);
    assert_eq!(node.due(), Some(Time::ZERO));
    node.wake(Time::ZERO);
    assert_eq!(node.state(), State::Master);
    // Advert, then addresses, then gratuitous ARP (6.4.1).
    let order: Vec<_> = node.done.iter().map(|(_, output)| output).collect();
    let place = |what: fn(&Output) -> bool| order.iter().position(|output| what(output)).unwrap();
    let sent = place(|output| matches!(output, Output::Send(_)));
    let added = place(|output| matches!(output, Output::Addresses { add: true, .. }));
    let told = place(|output| matches!(output, Output::Frame { .. }));
    assert!(sent < added && added < told);
    assert_eq!(node.due(), Some(ms(500)));
}

#[test]
fn initialize_with_less_is_backup_whatever_the_configured_state() {
    for start_as_master in [false, true] {
        let node = Node::started(HOST, one(InstanceParams { start_as_master, ..params(100) }), Time::ZERO);
        assert_eq!(node.state(), State::Backup);
        assert_eq!(node.due(), Some(Time::ZERO + down(100, 50)));
        assert!(node.adverts().is_empty());
    }
}

/// (our priority, nopreempt, the advert's sender, priority and interval) and when the master-down timer then ends, counted
/// from the advert; `None`: as before.
#[test]
fn backup_and_an_advert() {
    let before = Some(Time::ZERO + down(100, 50));
    let at = ms(1000);
    for (nopreempt, from, prio, centis, expected) in [
        // Priority zero: the skew time.
        (false, 9, 0, 50, Some(at + skew(100, 50))),
        // Equal or higher: the full time, by the master's interval.
        (false, 9, 100, 50, Some(at + down(100, 50))),
        (false, 1, 100, 50, Some(at + down(100, 50))),
        (false, 9, 200, 50, Some(at + down(100, 50))),
        (false, 9, 255, 100, Some(at + down(100, 100))),
        // Lower: preempted, unless that is forbidden.
        (false, 9, 99, 50, before),
        (true, 9, 99, 50, Some(at + down(100, 50))),
        (true, 9, 1, 200, Some(at + down(100, 200))),
    ] {
        let (mut node, _) = node(InstanceParams { nopreempt, ..params(100) }, State::Backup);
        node.input(at, advert(from, prio, centis));
        assert_eq!(node.due(), expected, "{nopreempt} {from} {prio} {centis}");
        assert_eq!(node.state(), State::Backup);
        assert!(node.adverts().is_empty());
    }
}

#[test]
fn backup_and_its_timer() {
    let (mut node, _) = node(params(100), State::Backup);
    let end = Time::ZERO + down(100, 50);
    node.wake(end - MS);
    assert_eq!(node.state(), State::Backup);
    node.wake(end);
    assert_eq!(node.state(), State::Master);
    assert_eq!(node.adverts(), [(end, 100)]);
    assert_eq!(node.due(), Some(end + Duration::from_millis(500)));
}

#[test]
fn a_repeated_priority_zero_does_not_keep_a_backup_waiting() {
    let (mut node, _) = node(params(100), State::Backup);
    node.input(ms(1000), advert(9, 0, 50));
    node.input(ms(1200), advert(9, 0, 50));
    assert_eq!(node.due(), Some(ms(1000) + skew(100, 50)));
}

/// (sender, priority), whether the master gives way, whether it answers at once.
#[test]
fn master_and_an_advert() {
    for (from, prio, gives_way, answers) in [
        (9, 0, false, true),
        (9, 101, true, false),
        (1, 101, true, false),
        // Equal: the higher address.
        (9, 100, true, false),
        (1, 100, false, true),
        (9, 99, false, true),
        // Our own advert, come back: nothing.
        (HOST, 100, false, false),
    ] {
        let (mut node, since) = node(params(100), State::Master);
        let at = since + Duration::from_millis(300);
        node.input(at, advert(from, prio, 100));
        let adverts: Vec<_> = node.adverts().iter().map(|(_, prio)| *prio).collect();
        assert_eq!(node.state(), if gives_way { State::Backup } else { State::Master }, "{from} {prio}");
        assert_eq!(adverts, if answers { vec![100] } else { vec![] }, "{from} {prio}");
        let removed = node.done.iter().any(|(_, output)| matches!(output, Output::Addresses { add: false, .. }));
        assert_eq!(removed, gives_way);
        let due = match (gives_way, answers) {
            // Version 3 learns the new master's interval.
            (true, _) => at + down(100, 100),
            (false, true) => at + Duration::from_millis(500),
            (false, false) => since + Duration::from_millis(500),
        };
        assert_eq!(node.router.instances()[0].timer(), Some(due), "{from} {prio}");
    }
}

#[test]
fn master_and_its_timer() {
    let (mut node, since) = node(params(100), State::Master);
    let due = since + Duration::from_millis(500);
    node.wake(due);
    assert_eq!(node.adverts(), [(due, 100)]);
    assert_eq!(node.due(), Some(due + Duration::from_millis(500)));
}

#[test]
fn stopping() {
    let (mut master, since) = node(params(100), State::Master);
    master.input(since + MS, Input::Stop);
    assert_eq!(master.adverts(), [(since + MS, 0)]);
    assert!(master.done.iter().any(|(_, output)| matches!(output, Output::Addresses { add: false, .. })));
    assert_eq!((master.due(), master.state()), (None, State::Init));
    let (mut backup, now) = node(params(100), State::Backup);
    backup.input(now, Input::Stop);
    assert!(backup.adverts().is_empty());
    assert_eq!(backup.done.last().unwrap().1, Output::Stopped);
}

#[test]
fn a_backup_without_master_goes_back_to_its_own_interval() {
    let (mut node, _) = node(params(100), State::Backup);
    node.input(ms(100), advert(9, 200, 400));
    let end = ms(100) + down(100, 400);
    assert_eq!(node.due(), Some(end));
    node.wake(end);
    assert_eq!((node.state(), node.due()), (State::Master, Some(end + Duration::from_millis(500))));
}

#[test]
fn preemption_can_be_delayed() {
    let delay = Duration::from_secs(5);
    let (mut node, _) = node(InstanceParams { preempt_delay: delay, ..params(100) }, State::Backup);
    let mut now = ms(400);
    let mut last = now;
    while node.state() == State::Backup && now < ms(20_000) {
        node.input(now, advert(9, 50, 50));
        last = now;
        now = now + Duration::from_millis(500);
        if node.due().unwrap() < now {
            now = node.due().unwrap();
            node.wake(now);
        }
    }
    // The delay counts from the first advert; the timer was last set by the last advert within it.
    assert_eq!(node.state(), State::Master);
    assert_eq!((last, now), (ms(6400), ms(4900) + down(100, 50)));
    let logs = node.logs();
    assert!(logs.iter().any(|line| line == "(VI) start preempt delay (5.000000)"), "{logs:?}");
}

#[test]
fn two_owners_the_lower_address_gives_way_and_the_other_one_if_it_does_not() {
    let (mut owner, since) = node(params(255), State::Master);
    let at = since + Duration::from_millis(100);
    owner.input(at, advert(9, 255, 50));
    assert_eq!(owner.state(), State::Backup, "ours is the lower address");
    let (mut owner, _) = node(params(255), State::Master);
    for _ in 0..3 {
        // The other is a little behind us.
        let due = owner.router.instances()[0].timer().unwrap();
        owner.wake(due);
        owner.input(due + MS, advert(1, 255, 50));
    }
    assert_eq!((owner.state(), owner.router.instances()[0].priority().get()), (State::Backup, 254));
    // The rogue stops: ours is the owner again.
    let end = owner.due().unwrap();
    owner.wake(end);
    assert_eq!((owner.state(), owner.router.instances()[0].priority().get()), (State::Master, 255));
}

#[test]
fn an_interval_of_nothing_is_refused() {
    let (mut node, _) = node(params(100), State::Backup);
    let before = node.due();
    node.input(ms(100), advert(9, 200, 0));
    assert_eq!(node.due(), before);
    assert_eq!(node.router.instances()[0].stats().advert_interval_err, 1);
}

#[test]
fn a_late_backup_listens_once_more_before_it_takes_over() {
    let end = Time::ZERO + down(100, 50);
    let listen = Duration::from_millis(750) + skew(100, 50);
    let late = end + Duration::from_secs(10);
    // Nobody is there: an interval and a half and the skew time later it is master.
    let (mut alone, _) = node(params(100), State::Backup);
    alone.oversleep(late, None);
    assert_eq!((alone.state(), alone.due()), (State::Backup, Some(late + listen)));
    alone.wake(late + listen);
    assert_eq!(alone.state(), State::Master);
    // It has itself woken twice in an interval, so the first such time is what it is late for.
    let slept = late.since(ms(250));
    let text = format!("VRRP thread timer expired {}.{:06} seconds ago", slept.as_secs(), slept.subsec_micros());
    assert!(alone.logs().contains(&text));
    assert_eq!(alone.router.instances()[0].stats().late_wakes, 1);
    // A master is there: nothing happens.
    let (mut follower, _) = node(params(100), State::Backup);
    follower.oversleep(late, None);
    follower.input(late + MS, advert(9, 200, 50));
    follower.wake(late + listen);
    assert_eq!((follower.state(), follower.adverts()), (State::Backup, vec![]));
    // What the socket kept comes before the wake-up.
    let (mut informed, _) = node(params(100), State::Backup);
    informed.oversleep(late, Some(advert(9, 200, 50)));
    assert_eq!(informed.due(), Some(late + down(100, 50)));
}

#[test]
fn a_sleep_that_ends_just_before_the_timer_is_noticed_too() {
    let (mut sleeper, _) = node(params(100), State::Backup);
    let end = Time::ZERO + down(100, 50);
    sleeper.oversleep(end - MS, None);
    assert_eq!(sleeper.due(), Some(end - MS + Duration::from_millis(750) + skew(100, 50)));
    // A little lateness is nothing.
    let (mut busy, _) = node(params(100), State::Backup);
    busy.oversleep(ms(250 + 125), None);
    assert_eq!((busy.due(), busy.router.instances()[0].stats().late_wakes), (Some(end), 0));
}

#[test]
fn a_master_that_slept_tells_its_addresses_again_or_gives_way_if_so_configured() {
    let (mut sleeper, since) = node(params(100), State::Master);
    let late = since + Duration::from_secs(4);
    sleeper.done.clear();
    sleeper.oversleep(late, None);
    let frames = sleeper.frames();
    assert!(frames >= 5, "{frames}");
    let careful = InstanceParams { timer_expired_backup: Some(priority(200)), ..params(100) };
    let (mut careful, since) = node(careful, State::Master);
    careful.oversleep(since + Duration::from_secs(4), None);
    assert_eq!((careful.state(), careful.adverts()), (State::Backup, vec![]));
}

#[test]
fn version_2_and_version_3_do_not_hear_each_other() {
    let second = recorded(100);
    assert!(matches!(second.protocol, Protocol::V2 { .. }));
    let mut node = Node::started(HOST, one(InstanceParams { vrid: params(1).vrid, ..second }), Time::ZERO);
    node.input(ms(1), advert(9, 200, 100));
    assert_eq!(node.router.instances()[0].stats().vers_err, 1);
    assert!(node.logs().contains(&"(VI_1) wrong version. Received 3 and expect 2".to_owned()));
}
