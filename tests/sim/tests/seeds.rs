//! Ten thousand stories. One that fails names its seed; `RVS_SIM_SEED=<seed>` tells it again, `RVS_SIM_SEEDS=<n>` tells
//! another number of them, `RVS_SIM_FIRST=<seed>` begins elsewhere.
#![allow(clippy::unwrap_used)] // A failed step is a failed test.

use rvs_sim::World;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Tells the stories of all seeds, or of the one that is asked for.
fn all(count: u64, tell: fn(u64) -> Result<World, String>) {
    if let Some(seed) = number("RVS_SIM_SEED") {
        tell(seed).map(|_| ()).unwrap();
        return;
    }
    let first = number("RVS_SIM_FIRST").unwrap_or(0);
    let end = first + number("RVS_SIM_SEEDS").unwrap_or(count);
    let (next, steps) = (AtomicU64::new(first), AtomicU64::new(0));
    let failures = Mutex::new(BTreeSet::new());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            // A panic of the code under test must name its seed as well.
            let failure = match std::panic::catch_unwind(|| tell(seed)) {
                Ok(Ok(world)) => {
                    steps.fetch_add(world.steps(), Ordering::Relaxed);
                    continue;
                }
                Ok(Err(what)) => what,
                Err(_) => "panicked, see above".to_owned(),
            };
            failures.lock().unwrap().insert((seed, failure));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(worker);
        }
    });
    println!("{} stories, {} steps", end - first, steps.into_inner());
    let failures = failures.into_inner().unwrap();
    for (seed, what) in failures.iter().take(5) {
        println!("RVS_SIM_SEED={seed}: {what}");
    }
    assert!(failures.is_empty(), "{} of {} stories failed; the first ones are above", failures.len(), end - first);
}

#[test]
fn one_master_and_no_flapping_whatever_happens() {
    all(10_000, rvs_sim::tell);
}

#[test]
fn a_backup_that_sleeps_never_takes_over_from_a_living_master() {
    all(1_000, rvs_sim::tell_of_a_sleeper);
}

#[test]
fn a_seed_is_a_story_to_the_last_packet() {
    for seed in [1, 77, 4242] {
        let steps = || rvs_sim::tell(seed).map(|world| world.steps()).unwrap();
        assert_eq!(steps(), steps());
        assert!(steps() > 100);
    }
}
