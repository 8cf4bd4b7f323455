//! Many checks: equal ones are done once, none is stuck in silence, and thousands are cheap.

use crate::world::{ms, pace, params};
use rvs_checker::*;
use rvs_machine::{Machine, Time};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

type Reg = Registry<u32>;

fn drain(registry: &mut Reg) -> Vec<RegistryOutput<u32>> {
    std::iter::from_fn(|| registry.poll()).collect()
}

/// Lets time pass; every connection comes about at once if `good`.
fn run_to(registry: &mut Reg, millis: u64, good: bool) -> Vec<RegistryOutput<u32>> {
    let mut outputs = Vec::new();
    let mut now = Time::ZERO;
    loop {
        while let Some(output) = registry.poll() {
            if let RegistryOutput::Check(id, Output::Open { attempt, .. }) = output {
                let event = if good { Net::Connected } else { Net::Refused(111) };
                registry.handle(now, RegistryInput::Check(id, Input::Net(attempt, event)));
            }
            outputs.push(output);
        }
        match registry.deadline().filter(|&next| next <= ms(millis)) {
            Some(next) => now = next,
            None => return outputs,
        }
        registry.wake(now);
    }
}

fn verdicts(outputs: &[RegistryOutput<u32>]) -> Vec<(u32, bool)> {
    let verdict = |output: &RegistryOutput<u32>| match output {
        RegistryOutput::Verdict(who, Verdict::Up { .. }) => Some((*who, true)),
        RegistryOutput::Verdict(who, Verdict::Down { .. }) => Some((*who, false)),
        _ => None,
    };
    outputs.iter().filter_map(verdict).collect()
}

fn opened(outputs: &[RegistryOutput<u32>]) -> usize {
    outputs.iter().filter(|output| matches!(output, RegistryOutput::Check(_, Output::Open { .. }))).count()
}

#[test]
fn equal_checks_are_done_once() {
    let mut registry = Reg::new(1, ms(0));
    let mut other = params(Probe::Tcp);
    other.target.address.set_port(81);
    for (who, params) in [(1, params(Probe::Tcp)), (2, params(Probe::Tcp)), (3, other.clone())] {
        registry.handle(ms(0), RegistryInput::Subscribe(who, Arc::new(params)));
    }
    assert_eq!(registry.checks().count(), 2);
    assert_eq!(registry.of(&1), registry.of(&2));
    let outputs = run_to(&mut registry, 1500, true);
    assert_eq!(opened(&outputs), 2);
    assert_eq!(verdicts(&outputs).into_iter().collect::<BTreeSet<_>>(), [(1, true), (2, true), (3, true)].into());
    let logs = outputs.iter().filter(|output| matches!(output, RegistryOutput::Log(..))).count();
    assert_eq!(logs, 3, "each reads it in its own names");
    // Who comes later hears at once what is known.
    let down = run_to(&mut registry, 7500, false);
    assert_eq!(verdicts(&down).len(), 3);
    registry.handle(ms(7500), RegistryInput::Subscribe(4, Arc::new(params(Probe::Tcp))));
    assert_eq!(verdicts(&drain(&mut registry)), [(4, false)]);
    // The same again changes nothing; another check takes the place of the first.
    registry.handle(ms(7500), RegistryInput::Subscribe(4, Arc::new(params(Probe::Tcp))));
    assert!(drain(&mut registry).is_empty());
    registry.handle(ms(7500), RegistryInput::Subscribe(3, Arc::new(params(Probe::Tcp))));
    assert_eq!(registry.checks().count(), 1, "nobody asks for the other one");
    for who in 1..5 {
        registry.handle(ms(7600), RegistryInput::Unsubscribe(who));
    }
    assert_eq!((registry.checks().count(), registry.deadline()), (0, None));
}

#[test]
fn a_check_that_nobody_asks_for_is_broken_off() {
    let mut registry = Reg::new(1, ms(0));
    registry.handle(ms(0), RegistryInput::Subscribe(1, Arc::new(params(Probe::Tcp))));
    registry.wake(ms(1000));
    assert_eq!(opened(&drain(&mut registry)), 1);
    registry.handle(ms(1100), RegistryInput::Unsubscribe(1));
    assert!(matches!(drain(&mut registry)[..], [RegistryOutput::Check(_, Output::Close { properly: false, .. })]));
}

#[test]
fn a_check_rests_when_all_who_asked_do() {
    let mut registry = Reg::new(1, ms(0));
    for who in [1, 2] {
        registry.handle(ms(0), RegistryInput::Subscribe(who, Arc::new(params(Probe::Tcp))));
    }
    registry.handle(ms(10), RegistryInput::Suspend(1, true));
    assert!(registry.deadline().is_some());
    registry.handle(ms(20), RegistryInput::Suspend(2, true));
    assert_eq!(registry.deadline(), None);
    registry.handle(ms(30), RegistryInput::Subscribe(3, Arc::new(params(Probe::Tcp))));
    assert!(registry.deadline().is_some(), "somebody is awake");
}

#[test]
fn what_cannot_be_done_is_said_to_who_asked() {
    let mut registry = Reg::new(1, ms(0));
    let name = Probe::Dns(Dns { name: "..".into(), ..Dns::default() });
    registry.handle(ms(0), RegistryInput::Subscribe(1, Arc::new(params(name))));
    assert!(matches!(&drain(&mut registry)[..], [RegistryOutput::Unusable(1, why)] if why.contains("..")));
    assert_eq!(registry.checks().count(), 0);
}

#[test]
fn a_check_that_was_lost_is_begun_anew() {
    let mut registry = Reg::new(1, ms(0));
    registry.handle(ms(0), RegistryInput::Subscribe(1, Arc::new(params(Probe::Tcp))));
    registry.watch(ms(10_900));
    assert!(drain(&mut registry).is_empty(), "not yet");
    registry.watch(ms(11_500));
    let outputs = drain(&mut registry);
    assert!(matches!(outputs[0], RegistryOutput::Stuck(_, overdue) if overdue == Duration::from_millis(10_500)));
    assert_eq!(opened(&outputs), 1);
    let id = registry.of(&1).unwrap();
    registry.handle(ms(11_600), RegistryInput::Check(id, Input::Net(2, Net::Connected)));
    let (facts, age) = registry.facts(&1, ms(12_000)).unwrap();
    assert_eq!((facts.runs, age), (1, Some(Duration::from_millis(400))));
}

#[test]
fn what_was_known_before_is_taken_over() {
    let mut registry = Reg::new(1, ms(0));
    registry.handle(ms(0), RegistryInput::Subscribe(1, Arc::new(params(Probe::Tcp))));
    registry.adopt(&1, false, Advice::Add(0));
    let outputs = run_to(&mut registry, 1500, true);
    assert!(matches!(
        outputs[1..4],
        [_, RegistryOutput::Log(..), RegistryOutput::Verdict(1, Verdict::Up { first: false, .. })]
    ));
}

/// The processor's time of this thread: others may be busy.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells it");
    Duration::from_nanos(text.split_whitespace().next().and_then(|time| time.parse().ok()).expect("a number"))
}

#[test]
fn five_thousand_checks_every_two_seconds_are_cheap() {
    const CHECKS: u32 = 5000;
    const SECONDS: u64 = 60;
    let mut registry = Reg::new(7, ms(0));
    for who in 0..CHECKS {
        let mut params = params(Probe::Tcp);
        params.pace = Pace { warmup: Duration::from_secs(2), ..pace(2) };
        params.target.address = format!("10.{}.{}.1:80", who >> 8, who & 255).parse().unwrap();
        registry.handle(ms(0), RegistryInput::Subscribe(who, Arc::new(params)));
    }
    let mut begun_in = [0_u32; SECONDS as usize * 10];
    let clock = processor_time();
    let mut now = Time::ZERO;
    let mut runs = 0_u64;
    while let Some(next) = registry.deadline().filter(|&next| next < ms(SECONDS * 1000)) {
        now = next;
        registry.wake(now);
        while let Some(output) = registry.poll() {
            if let RegistryOutput::Check(id, Output::Open { attempt, .. }) = output {
                runs += 1;
                begun_in[(now.nanos() / 100_000_000) as usize] += 1;
                registry.handle(now, RegistryInput::Check(id, Input::Net(attempt, Net::Connected)));
            }
        }
    }
    let took = processor_time() - clock;
    let share = took.as_secs_f64() / SECONDS as f64 * 100.0;
    let busiest = begun_in.iter().max().unwrap();
    println!(
        "{runs} runs in {took:?} ({:?} each): {share:.2} % of a core; at most {busiest} begun in 100 ms",
        took / runs as u32
    );
    assert!(runs > u64::from(CHECKS) * (SECONDS - 4) / 2);
    assert!(registry.checks().all(|(_, check, _)| check.overdue(now).is_zero()));
    assert!(*busiest < 400, "the jitter spreads 250 in 100 ms");
    // Far more than it takes, for machines whose processors share a core with somebody else.
    assert!(share < 15.0, "{share} %");
}
