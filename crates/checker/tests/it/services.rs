//! Virtual servers: what is expected of log, scripts, FIFO, mails and table is what keepalived did in the same situation.

use crate::world::ms;
use proptest::prelude::*;
use rvs_checker::*;
use rvs_machine::{Machine, Time};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 2, number], 80))
}

fn real(number: u8, weight: i64) -> RealParams {
    RealParams {
        address: address(number),
        name: format!("[10.0.2.{number}]:tcp:80"),
        weight,
        inhibit_on_failure: false,
        smtp_alert: false,
        slow_start: Duration::ZERO,
        checks: vec![false],
    }
}

fn params(reals: Vec<RealParams>) -> ServiceParams {
    ServiceParams { name: "[10.0.1.10]:tcp:80".into(), reals, ..ServiceParams::default() }
}

fn sorry(inhibit: bool) -> Option<Sorry> {
    Some(Sorry { address: address(13), name: "[10.0.2.13]:tcp:80".into(), inhibit })
}

fn up() -> Verdict {
    Verdict::Up { first: false, mail: Some("=> MISC CHECK succeeded on service <=".into()) }
}

fn down() -> Verdict {
    Verdict::Down { first: false, reason: Reason::Exit(1), mail: "=> MISC CHECK failed on service <=".into() }
}

fn first_down() -> Verdict {
    Verdict::Down { first: true, reason: Reason::Exit(1), mail: "=> MISC CHECK failed on service <=".into() }
}

/// A service, and the table that its transactions make.
struct Bench {
    service: Service,
    now: Time,
    table: BTreeMap<Dest, i64>,
    commits: usize,
}

impl Bench {
    fn new(params: ServiceParams) -> Self {
        Self { service: Service::new(params, ms(0)), now: ms(0), table: BTreeMap::new(), commits: 0 }
    }

    fn started(params: ServiceParams) -> Self {
        let mut bench = Self::new(params);
        bench.give(ServiceInput::Start);
        bench
    }

    /// Logs, scripts, FIFO lines and mails in order; transactions are carried out.
    fn drain(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.service.poll() {
            match output {
                ServiceOutput::Commit(edits) => {
                    self.commits += 1;
                    assert!(lines.is_empty(), "the transaction comes first");
                    for edit in edits {
                        match edit {
                            Edit::Add(dest, weight) => assert_eq!(self.table.insert(dest, weight), None),
                            Edit::SetWeight(dest, weight) => {
                                assert_ne!(self.table.insert(dest, weight).expect("is there"), weight);
                            }
                            Edit::Remove(dest) => assert!(self.table.remove(&dest).is_some()),
                        }
                    }
                }
                ServiceOutput::Log(text) => lines.push(text),
                ServiceOutput::Notify(notify) => lines.push(match notify {
                    Notify::Up(real) => format!("RUN up {real}"),
                    Notify::Down(real) => format!("RUN down {real}"),
                    Notify::QuorumUp => "RUN qup".to_owned(),
                    Notify::QuorumDown => "RUN qdown".to_owned(),
                }),
                ServiceOutput::Fifo(line) => lines.push(format!("FIFO {line}")),
                ServiceOutput::Mail { subject, body } => lines.push(format!("MAIL {subject} | {body}")),
            }
        }
        assert_eq!(&self.table, self.service.table());
        lines.into_iter().map(|line| line.replace("[10.0.1.10]:tcp:80", "V").replace(":tcp:80", "")).collect()
    }

    fn give(&mut self, input: ServiceInput) -> Vec<String> {
        let before = self.commits;
        self.service.handle(self.now, input);
        let lines = self.drain();
        assert!(self.commits <= before + 1, "one transaction per event");
        lines
    }

    fn verdict(&mut self, number: u8, verdict: Verdict) -> Vec<String> {
        self.give(ServiceInput::Verdict { real: address(number), check: 0, verdict })
    }

    fn admin(&mut self, number: u8, state: Admin) -> Vec<String> {
        self.give(ServiceInput::Admin { real: address(number), state, why: "work".into() })
    }

    /// Lets time pass.
    fn run_to(&mut self, millis: u64) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(next) = self.service.deadline().filter(|&next| next <= ms(millis)) {
            assert!(next >= self.now);
            self.now = next;
            self.service.wake(next);
            lines.extend(self.drain());
        }
        self.now = ms(millis);
        lines
    }

    fn table(&self) -> Vec<(u8, i64)> {
        let number = |dest: &Dest| match dest {
            Dest::Real(address) | Dest::Sorry(address) => match address.ip() {
                std::net::IpAddr::V4(ip) => ip.octets()[3],
                std::net::IpAddr::V6(_) => 0,
            },
        };
        self.table.iter().map(|(dest, &weight)| (number(dest), weight)).collect()
    }
}

#[test]
fn the_sorry_server_stands_in_when_all_are_down() {
    let mut bench = Bench::new(ServiceParams { sorry: sorry(false), ..params(vec![real(11, 1), real(12, 1)]) });
    assert_eq!(bench.give(ServiceInput::Start), ["Gained quorum 1+0=1 <= 2 for VS V", "RUN qup", "FIFO VS V UP"]);
    assert_eq!(bench.table(), [(11, 1), (12, 1)]);
    let first = ["Removing service [10.0.2.11] from VS V", "RUN down 10.0.2.11:80", "FIFO RS [10.0.2.11] V DOWN"];
    assert_eq!(bench.verdict(11, down()), first);
    assert_eq!(
        bench.verdict(12, down()),
        [
            "Removing service [10.0.2.12] from VS V",
            "RUN down 10.0.2.12:80",
            "FIFO RS [10.0.2.12] V DOWN",
            "Lost quorum 1-0=1 > 0 for VS V",
            "Adding sorry server [10.0.2.13] to VS V",
            "Removing alive servers from the pool for VS V",
            "RUN qdown",
            "FIFO VS V DOWN",
        ]
    );
    assert_eq!(bench.table(), [(13, 1)]);
    assert_eq!(
        bench.verdict(11, up()),
        [
            "Adding service [10.0.2.11] to VS V",
            "RUN up 10.0.2.11:80",
            "FIFO RS [10.0.2.11] V UP",
            "Gained quorum 1+0=1 <= 1 for VS V",
            "Removing sorry server [10.0.2.13] from VS V",
            "Adding alive servers to the pool for VS V",
            "RUN qup",
            "FIFO VS V UP",
        ]
    );
    assert_eq!(bench.table(), [(11, 1)]);
}

#[test]
fn inhibited_servers_stay_with_weight_0() {
    let inhibited = |number| RealParams { inhibit_on_failure: true, ..real(number, 1) };
    let mut bench = Bench::started(ServiceParams { sorry: sorry(true), ..params(vec![inhibited(11), inhibited(12)]) });
    assert_eq!(bench.table(), [(11, 1), (12, 1), (13, 0)]);
    assert_eq!(bench.verdict(11, down())[0], "Disabling service [10.0.2.11] of VS V");
    assert_eq!(bench.table(), [(11, 0), (12, 1), (13, 0)]);
    let lines = bench.verdict(12, down());
    assert_eq!(lines[0], "Disabling service [10.0.2.12] of VS V");
    assert_eq!(lines[4], "Enabling sorry server [10.0.2.13] to VS V");
    assert_eq!(bench.table(), [(11, 0), (12, 0), (13, 1)]);
    let lines = bench.verdict(12, up());
    assert_eq!(lines[0], "Enabling service [10.0.2.12] of VS V");
    assert_eq!(lines[4], "Disabling sorry server [10.0.2.13] from VS V");
    assert_eq!(bench.table(), [(11, 0), (12, 1), (13, 0)]);
}

#[test]
fn the_quorum_has_hysteresis() {
    let with = ServiceParams {
        quorum: 3,
        hysteresis: 1,
        sorry: sorry(false),
        ..params(vec![real(11, 1), real(12, 2), real(14, 1)])
    };
    let mut bench = Bench::new(with);
    assert_eq!(bench.give(ServiceInput::Start)[0], "Gained quorum 3+1=4 <= 4 for VS V");
    bench.verdict(11, down());
    assert_eq!(bench.verdict(14, down()).len(), 3, "2 is not below 3 - 1");
    assert_eq!(bench.table(), [(12, 2)]);
    assert!(bench.service.has_quorum());
    assert_eq!(bench.verdict(12, down())[3], "Lost quorum 3-1=2 > 0 for VS V");
    bench.verdict(12, up());
    bench.verdict(11, up());
    assert!(!bench.service.has_quorum(), "3 is not 3 + 1");
    assert_eq!(bench.table(), [(13, 1)]);
    assert_eq!(bench.verdict(14, up())[3], "Gained quorum 3+1=4 <= 4 for VS V");
    assert_eq!(bench.table(), [(11, 1), (12, 2), (14, 1)]);
}

#[test]
fn alpha_begins_with_the_sorry_server() {
    let alpha = |number, weight| RealParams { checks: vec![true], smtp_alert: true, ..real(number, weight) };
    let with = ServiceParams {
        quorum: 12,
        sorry: sorry(false),
        smtp_alert: true,
        ..params(vec![alpha(11, 10), alpha(12, 20)])
    };
    let mut bench = Bench::new(with);
    assert_eq!(
        bench.give(ServiceInput::Start),
        [
            "Starting with quorum down 12-0=12 > 0 for VS V",
            "Adding sorry server [10.0.2.13] to VS V",
            "Removing alive servers from the pool for VS V",
            "RUN qdown",
            "FIFO VS V DOWN",
            "MAIL Virtualserver V - DOWN | => Starting with quorum down 12+0=12 <= 0 <=",
        ]
    );
    assert_eq!(
        bench.verdict(11, first_down()),
        [
            "RUN down 10.0.2.11:80",
            "FIFO RS [10.0.2.11] V DOWN",
            "MAIL Realserver [10.0.2.11] of virtual server V - DOWN | => MISC CHECK failed on service <=",
        ]
    );
    assert_eq!(bench.verdict(11, up())[0], "Adding service [10.0.2.11] to VS V");
    assert_eq!(bench.table(), [(13, 1)], "10 are not 12");
    assert_eq!(
        bench.verdict(12, up()),
        [
            "Adding service [10.0.2.12] to VS V",
            "RUN up 10.0.2.12:80",
            "FIFO RS [10.0.2.12] V UP",
            "Gained quorum 12+0=12 <= 30 for VS V",
            "Removing sorry server [10.0.2.13] from VS V",
            "Adding alive servers to the pool for VS V",
            "RUN qup",
            "FIFO VS V UP",
            "MAIL Virtualserver V - UP | => Gained quorum 12+0=12 <= 30 <=",
            "MAIL Realserver [10.0.2.12] of virtual server V - UP | => MISC CHECK succeeded on service <=",
        ]
    );
    assert_eq!(bench.table(), [(11, 10), (12, 20)]);
    // Without a sorry server the beginning is silent.
    assert!(Bench::new(params(vec![alpha(11, 1)])).give(ServiceInput::Start).is_empty());
}

#[test]
fn weights_follow_advice_and_count_for_the_quorum() {
    let mut bench = Bench::started(params(vec![real(11, 10), real(12, 10)]));
    let advice = |weight| Verdict::Advice(Advice::Weight(weight));
    assert_eq!(bench.verdict(11, advice(0)), ["Changing weight from 10 to 0 for active service [10.0.2.11] of VS V"]);
    assert_eq!(bench.verdict(12, down())[3], "Lost quorum 1-0=1 > 0 for VS V");
    assert_eq!(bench.table(), [(11, 0)]);
    assert_eq!(
        bench.verdict(11, advice(48)),
        [
            "Changing weight from 0 to 48 for active service [10.0.2.11] of VS V",
            "Gained quorum 1+0=1 <= 48 for VS V",
            "RUN qup",
            "FIFO VS V UP",
        ]
    );
    assert_eq!(bench.verdict(12, advice(3)), ["Changing weight from 10 to 3 for inactive service [10.0.2.12] of VS V"]);
    bench.verdict(11, Verdict::Advice(Advice::Percent(75)));
    bench.verdict(12, up());
    assert_eq!(bench.table(), [(11, 8), (12, 3)], "7.5 are rounded up");
    bench.verdict(11, Verdict::Advice(Advice::Add(-99)));
    bench.verdict(12, Verdict::Advice(Advice::Weight(i64::MAX)));
    assert_eq!(bench.table(), [(11, 0), (12, i64::from(i32::MAX))]);
}

#[test]
fn all_checks_of_a_server_must_pass_and_their_advice_adds_up() {
    let two = RealParams { checks: vec![false, false], ..real(11, 10) };
    let mut bench = Bench::started(params(vec![two, real(12, 1)]));
    let give =
        |bench: &mut Bench, check, verdict| bench.give(ServiceInput::Verdict { real: address(11), check, verdict });
    assert_eq!(give(&mut bench, 0, down()).len(), 3);
    assert_eq!(give(&mut bench, 1, down()).len(), 0, "it is down already");
    assert_eq!(give(&mut bench, 0, up()).len(), 0);
    assert_eq!(bench.service.reals().next().unwrap().failed_checks, 1);
    assert_eq!(give(&mut bench, 1, up())[0], "Adding service [10.0.2.11] to VS V");
    give(&mut bench, 0, Verdict::Advice(Advice::Add(5)));
    give(&mut bench, 1, Verdict::Advice(Advice::Weight(7)));
    assert_eq!(bench.table(), [(11, 12), (12, 1)]);
    assert!(give(&mut bench, 9, down()).is_empty(), "no such check");
}

#[test]
fn the_end_is_told_with_omega_only() {
    for (omega, keep, expected) in [
        (false, true, vec![]),
        (
            false,
            false,
            vec!["Shutting down service [10.0.2.11] from VS V", "Shutting down service [10.0.2.12] from VS V"],
        ),
        (
            true,
            false,
            vec![
                "Shutting down service [10.0.2.11] from VS V",
                "RUN down 10.0.2.11:80",
                "FIFO RS [10.0.2.11] V DOWN",
                "Shutting down service [10.0.2.12] from VS V",
                "RUN qdown",
                "FIFO VS V DOWN",
            ],
        ),
    ] {
        let mut bench =
            Bench::started(ServiceParams { omega, sorry: sorry(true), ..params(vec![real(11, 1), real(12, 1)]) });
        bench.verdict(12, down());
        assert_eq!(bench.give(ServiceInput::Stop { keep }), expected);
        assert_eq!(bench.table().is_empty(), !keep);
    }
}

#[test]
fn a_reload_changes_what_is_different() {
    let mut bench =
        Bench::started(ServiceParams { sorry: sorry(false), ..params(vec![real(11, 1), real(12, 1), real(14, 1)]) });
    bench.verdict(12, down());
    let commits = bench.commits;
    let same = bench.service.params().clone();
    assert!(bench.give(ServiceInput::Reload(same)).is_empty());
    assert_eq!(bench.commits, commits, "nothing is touched");
    let new = params(vec![real(12, 3), real(11, 5), real(15, 2)]);
    assert_eq!(
        bench.give(ServiceInput::Reload(new)),
        [
            "service [10.0.2.14] no longer exist",
            "Removing service [10.0.2.14] from VS V",
            "RUN down 10.0.2.14:80",
            "FIFO RS [10.0.2.14] V DOWN",
            "Changing weight from 1 to 3 for inactive service [10.0.2.12] of VS V",
            "Changing weight from 1 to 5 for active service [10.0.2.11] of VS V",
        ]
    );
    assert_eq!(bench.table(), [(11, 5), (15, 2)], "health is kept");
    bench.verdict(11, down());
    bench.verdict(15, down());
    let with = ServiceParams { sorry: sorry(false), ..bench.service.params().clone() };
    assert_eq!(bench.give(ServiceInput::Reload(with.clone()))[0], "Adding sorry server [10.0.2.13] to VS V");
    assert_eq!(bench.table(), [(13, 1)]);
    let without = ServiceParams { sorry: None, ..with };
    assert_eq!(bench.give(ServiceInput::Reload(without.clone())), ["Removing sorry server [10.0.2.13] from VS V"]);
    let warning = bench.give(ServiceInput::Reload(ServiceParams { quorum: 99, ..without }));
    assert_eq!(warning, ["Warning - quorum 99 for V exceeds total weight of real servers 10, reducing quorum to 10"]);
}

#[test]
fn a_failing_check_that_is_taken_away_fails_no_longer() {
    let two = RealParams { checks: vec![false, false], ..real(11, 1) };
    let mut bench = Bench::started(params(vec![two]));
    bench.give(ServiceInput::Verdict { real: address(11), check: 1, verdict: down() });
    let lines = bench.give(ServiceInput::Reload(params(vec![real(11, 1)])));
    assert_eq!(lines[..2], ["Adding service [10.0.2.11] to VS V", "RUN up 10.0.2.11:80"]);
    assert_eq!(bench.table(), [(11, 1)]);
}

#[test]
fn another_daemon_goes_on_without_a_word() {
    let with = ServiceParams { sorry: sorry(false), ..params(vec![real(11, 4), real(12, 4), real(14, 4)]) };
    let mut bench = Bench::started(with.clone());
    bench.verdict(11, down());
    bench.verdict(12, Verdict::Advice(Advice::Percent(50)));
    bench.admin(14, Admin::Drain);
    let state = bench.service.state();
    let mut next = Service::resume(with.clone(), state.clone(), ms(0));
    assert_eq!(next.poll(), None);
    assert_eq!((next.table(), next.state()), (bench.service.table(), state.clone()));
    // A real server more in the configuration is all that changes.
    let more = ServiceParams { reals: [with.reals.clone(), vec![real(15, 1)]].concat(), ..with.clone() };
    let mut next = Service::resume(more, state, ms(0));
    assert_eq!(next.poll(), Some(ServiceOutput::Commit(vec![Edit::Add(Dest::Real(address(15)), 1)])));
    // Also while the sorry server stands in.
    bench.verdict(12, down());
    let mut next = Service::resume(with, bench.service.state(), ms(0));
    assert_eq!(next.poll(), None);
    next.handle(ms(1), ServiceInput::Verdict { real: address(12), check: 0, verdict: up() });
    assert_eq!(next.table().len(), 2, "12 and the drained 14");
}

#[test]
fn administrators_and_agents_decide_apart_from_health() {
    let mut bench = Bench::started(ServiceParams { sorry: sorry(false), ..params(vec![real(11, 4), real(12, 4)]) });
    assert_eq!(bench.admin(11, Admin::Drain), ["Setting service [10.0.2.11] of VS V to drain: work"]);
    assert_eq!(bench.table(), [(11, 0), (12, 4)]);
    assert!(bench.admin(11, Admin::Drain).is_empty());
    bench.verdict(11, down());
    bench.verdict(11, up());
    assert_eq!(bench.table(), [(11, 0), (12, 4)], "a check does not bring it back");
    bench.admin(11, Admin::Maint);
    assert_eq!(bench.table(), [(12, 4)]);
    assert_eq!(bench.admin(12, Admin::Maint)[1], "Lost quorum 1-0=1 > 0 for VS V");
    assert_eq!(bench.table(), [(13, 1)]);
    bench.admin(11, Admin::Ready);
    assert_eq!(bench.table(), [(11, 4)]);
    // The last one's connections go on; new ones find the sorry server.
    assert_eq!(bench.admin(11, Admin::Drain)[1], "Lost quorum 1-0=1 > 0 for VS V");
    assert_eq!(bench.table(), [(11, 0), (13, 1)]);
    bench.verdict(11, down());
    assert_eq!(bench.table(), [(13, 1)]);
    bench.verdict(11, up());
    assert_eq!(bench.table(), [(11, 0), (13, 1)]);
    bench.admin(11, Admin::Ready);
    assert_eq!(bench.table(), [(11, 4)]);
    bench.verdict(11, Verdict::Wish(Wish::Drain));
    let view = bench.service.reals().next().unwrap();
    assert_eq!((view.alive, view.admin, view.effective_admin), (true, Admin::Ready, Admin::Drain));
    bench.verdict(11, Verdict::Wish(Wish::Ready));
    assert_eq!(bench.table(), [(11, 4)]);
}

#[test]
fn a_returning_server_starts_slowly() {
    let slow = RealParams { slow_start: Duration::from_secs(10), ..real(11, 100) };
    let mut bench = Bench::started(params(vec![slow, real(12, 1)]));
    assert_eq!(bench.table(), [(11, 100), (12, 1)], "not at the start");
    bench.run_to(1000);
    bench.verdict(11, down());
    bench.verdict(11, up());
    assert_eq!(bench.table()[0], (11, 1));
    assert_eq!(bench.service.live_weight(), 101, "the quorum counts what it will be");
    for (at, weight) in [(2000, 10), (6000, 50), (10_900, 95), (11_000, 100)] {
        bench.run_to(at);
        assert_eq!(bench.table()[0], (11, weight), "at {at}");
    }
    assert_eq!(bench.service.deadline(), None);
}

#[test]
fn outliers_leave_for_twice_as_long_each_time() {
    let outlier = Outlier {
        consecutive_failures: 3,
        base_ejection_time: Duration::from_secs(10),
        max_ejection_time: Duration::from_secs(40),
        max_ejection_percent: 50,
    };
    let mut bench =
        Bench::started(ServiceParams { outlier: Some(outlier), ..params(vec![real(11, 1), real(12, 1), real(14, 1)]) });
    let passive =
        |bench: &mut Bench, number, answered| bench.give(ServiceInput::Passive { real: address(number), answered });
    for answered in [false, false, true, false, false] {
        assert!(passive(&mut bench, 11, answered).is_empty());
    }
    assert_eq!(
        passive(&mut bench, 11, false),
        ["Ejecting service [10.0.2.11] of VS V for 10 s after 3 connections without success"]
    );
    assert_eq!(bench.table(), [(11, 0), (12, 1), (14, 1)]);
    (0..9).for_each(|_| assert!(passive(&mut bench, 12, false).is_empty(), "half of three is one"));
    let mut now = 0;
    for absence in [10, 20, 40, 40] {
        assert!(bench.run_to(now + absence * 1000 - 1).is_empty());
        now += absence * 1000;
        assert_eq!(bench.run_to(now), ["Returning service [10.0.2.11] to VS V"]);
        assert_eq!(bench.table()[0], (11, 1));
        (0..3).for_each(|_| {
            passive(&mut bench, 11, false);
        });
    }
    bench.run_to(now + 40_000);
    bench.run_to(now + 80_000);
    (0..2).for_each(|_| assert!(passive(&mut bench, 11, false).is_empty()));
    assert!(passive(&mut bench, 11, false)[0].contains("for 10 s"), "good behaviour is remembered");
    // Coming back to health ends an absence.
    bench.verdict(11, down());
    bench.verdict(11, up());
    assert_eq!(bench.table()[0], (11, 1));
}

#[test]
fn the_last_server_is_never_ejected() {
    let outlier = Outlier {
        consecutive_failures: 1,
        base_ejection_time: Duration::from_secs(1),
        max_ejection_time: Duration::from_secs(1),
        max_ejection_percent: 100,
    };
    let mut bench = Bench::started(ServiceParams { outlier: Some(outlier), ..params(vec![real(11, 1), real(12, 1)]) });
    for number in [11, 12] {
        bench.give(ServiceInput::Passive { real: address(number), answered: false });
    }
    assert_eq!(bench.table(), [(11, 0), (12, 1)]);
}

#[test]
fn ten_thousand_servers_reload_and_fail_quickly() {
    let reals = |weight| {
        (0..10_000_u16).map(move |number| RealParams {
            address: SocketAddr::from(([10, 9, (number >> 8) as u8, number as u8], 80)),
            name: format!("[{number}]"),
            ..real(0, weight)
        })
    };
    let mut service = Service::new(params(reals(1).collect()), ms(0));
    service.handle(ms(0), ServiceInput::Start);
    let begun = std::time::Instant::now();
    service.handle(ms(1), ServiceInput::Reload(params(reals(2).skip(100).collect())));
    let reload = begun.elapsed();
    assert_eq!(service.table().len(), 9900);
    let begun = std::time::Instant::now();
    for gone in reals(2).skip(100).take(1000) {
        service.handle(ms(2), ServiceInput::Verdict { real: gone.address, check: 0, verdict: down() });
    }
    let verdicts = begun.elapsed();
    assert_eq!(service.table().len(), 8900);
    println!("reload of 10,000: {reload:?}; a verdict among them: {:?}", verdicts / 1000);
    assert!(reload < Duration::from_secs(1) && verdicts < Duration::from_secs(5), "{reload:?} {verdicts:?}");
}

fn event() -> impl Strategy<Value = (u8, u8, i64)> {
    (11_u8..15, 0_u8..9, -5_i64..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Whatever happens, the table is what its real servers' states say, and never holds real servers beside the sorry server.
    #[test]
    fn the_table_is_always_what_it_should_be(events in proptest::collection::vec(event(), 1..60), with_sorry: bool, quorum in 1_u32..30, hysteresis in 0_u32..4, inhibit: bool) {
        let reals = (11..15).map(|number| RealParams { inhibit_on_failure: inhibit, slow_start: Duration::from_secs(1), ..real(number, 5) });
        let outlier = Outlier {
            consecutive_failures: 2,
            base_ejection_time: Duration::from_secs(1),
            max_ejection_time: Duration::from_secs(8),
            max_ejection_percent: 50,
        };
        let sorry_server = Some(Sorry { address: address(99), name: "S".into(), inhibit: false }).filter(|_| with_sorry);
        let with = ServiceParams { quorum, hysteresis, sorry: sorry_server, outlier: Some(outlier), ..params(reals.collect()) };
        let mut bench = Bench::started(with);
        let mut clock = 0;
        for (number, kind, value) in events {
            match kind {
                0 | 1 => drop(bench.verdict(number, up())),
                2 | 3 => drop(bench.verdict(number, down())),
                4 => drop(bench.verdict(number, Verdict::Advice(Advice::Weight(value)))),
                5 => drop(bench.admin(number, [Admin::Ready, Admin::Drain, Admin::Maint][value.rem_euclid(3) as usize])),
                6 | 7 => drop(bench.give(ServiceInput::Passive { real: address(number), answered: value < 0 })),
                _ => {
                    clock += 500;
                    bench.run_to(clock);
                }
            }
            let sorry_on = bench.table.contains_key(&Dest::Sorry(address(99)));
            prop_assert_eq!(sorry_on, with_sorry && !bench.service.has_quorum());
            for view in bench.service.reals() {
                let serves = view.in_table.is_some_and(|weight| weight > 0);
                prop_assert!(!serves || !sorry_on && view.alive && view.effective_admin == Admin::Ready && view.ejected_until.is_none());
                let should = view.alive && !sorry_on && view.weight > 0 && view.effective_admin == Admin::Ready && view.ejected_until.is_none();
                prop_assert_eq!(serves, should);
                let drains = view.alive && view.effective_admin == Admin::Drain;
                prop_assert!(!drains || view.in_table == Some(0), "what drains keeps its connections");
            }
            let live = bench.service.live_weight();
            let (low, high) = (i64::from(quorum.min(20)) - i64::from(hysteresis), i64::from(quorum.min(20)) + i64::from(hysteresis));
            prop_assert!(live < high || bench.service.has_quorum());
            prop_assert!(live >= low && live > 0 || !bench.service.has_quorum());
        }
    }
}
