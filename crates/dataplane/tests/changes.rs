//! Changes of the table by tools that run at the same time, that are killed, and that have much to do.
#![allow(clippy::unwrap_used)] // A failed step is a failed test.

mod common;

use common::{SMALL, add_dest, add_service, dest, in_namespace, key, veth_pair};
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::Director;
use rvs_dataplane::limits::Limits;
use rvs_intent::{Edit, Listing};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is configured, without figures.
fn table(listing: &Listing) -> Vec<(rvs_core::abi::ServiceKey, Vec<rvs_intent::Dest>)> {
    let dests = |listed: &rvs_intent::ListedService| listed.dests.iter().map(|at| at.dest.clone()).collect();
    listing.services.iter().map(|listed| (listed.service.key, dests(listed))).collect()
}

#[test]
fn two_hundred_parallel_edits_end_as_if_made_one_by_one() {
    in_namespace(|| {
        Director::open_with(&SMALL).unwrap().update(&[add_service(1)]).unwrap();
        let tools: Vec<_> = (0..200)
            .map(|n| {
                std::thread::spawn(move || Director::open_with(&SMALL).unwrap().update(&[add_dest(1, n)]).unwrap())
            })
            .collect();
        tools.into_iter().for_each(|tool| tool.join().unwrap());
        let listing = Director::open_with(&SMALL).unwrap().listing().unwrap();
        let seen: BTreeSet<_> = listing.services[0].dests.iter().map(|at| at.dest.addr.words()).collect();
        let wanted: BTreeSet<_> = (0..200).map(|n| dest(n, 1).addr.words()).collect();
        assert_eq!((seen, listing.services[0].dests.len()), (wanted, 200));
    });
}

/// Twenty services with one destination each; their weights tell the tables apart.
fn weighted(weight: i32) -> Vec<Edit> {
    let mut edits = vec![Edit::Flush];
    for n in 0..20 {
        edits.push(add_service(n));
        edits.push(Edit::AddDest(key(n), dest(n, weight)));
    }
    edits
}

/// The victim of the next test: changes the table of its network namespace until it is killed.
#[test]
fn victim() {
    if std::env::var_os("RVS_TEST_VICTIM").is_none() {
        return;
    }
    for weight in 2.. {
        Director::open_with(&SMALL).unwrap().update(&weighted(weight)).unwrap();
        println!("{weight}");
    }
}

/// Starts a tool that makes the director and changes its table over and over, and kills it. The times are spread over what it
/// does; the point is not to know where it hits.
fn kill_a_tool_after(time: Duration) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env("RVS_TEST_VICTIM", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(time);
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
fn a_tool_killed_at_any_moment_leaves_one_whole_table() {
    in_namespace(|| {
        let mut director = Director::open_with(&SMALL).unwrap();
        director.update(&weighted(1)).unwrap();
        for round in 0..40u64 {
            kill_a_tool_after(Duration::from_micros(4_000 + round * 731));
            let listing = director.listing().unwrap();
            let weights: BTreeSet<i32> = listing.services.iter().map(|listed| listed.dests[0].dest.weight).collect();
            assert_eq!((listing.services.len(), weights.len()), (20, 1), "round {round}: a mixture");
            if round % 4 == 0 {
                director.update(&weighted(1)).unwrap();
                assert_eq!(director.listing().unwrap().services.len(), 20);
            }
        }
    });
}

#[test]
fn a_tool_killed_while_it_makes_the_director_leaves_nothing_that_hinders_the_next() {
    in_namespace(|| {
        for round in 0..12u64 {
            kill_a_tool_after(Duration::from_micros(2_000 + round * 3_500));
            let mut director = Director::open_with(&SMALL).unwrap();
            director.update(&weighted(1)).unwrap();
            assert_eq!(director.listing().unwrap().services.len(), 20);
            assert!(director.status().unwrap().ticking);
            Director::teardown().unwrap();
        }
    });
}

#[test]
fn the_same_settings_again_change_nothing() {
    in_namespace(|| {
        veth_pair();
        let mut director = Director::open_with(&SMALL).unwrap();
        director.update(&[add_service(1), add_dest(1, 1)]).unwrap();
        let generation = |director: &Director| director.status().unwrap().generation;
        let before = generation(&director);
        director.update(&[Edit::EditDest(key(1), dest(1, 1))]).unwrap();
        assert_eq!(generation(&director), before);
        director.update(&[Edit::EditDest(key(1), dest(1, 2))]).unwrap();
        assert_eq!(generation(&director), before + 1);
    });
}

#[test]
fn services_are_listed_in_the_order_of_their_adding_also_after_coming_back() {
    in_namespace(|| {
        let mut director = Director::open_with(&SMALL).unwrap();
        director.update(&[add_service(3), add_service(1), add_service(2)]).unwrap();
        director.update(&[Edit::DeleteService(key(3)), add_service(3)]).unwrap();
        let order: Vec<_> = director.listing().unwrap().services.iter().map(|listed| listed.service.key).collect();
        assert_eq!(order, [key(1), key(2), key(3)]);
    });
}

#[test]
fn large_tables_are_changed_and_listed_fast() {
    in_namespace(|| {
        let limits = Limits { conns: 1024, ..Limits::default() };
        let mut director = Director::open_with(&limits).unwrap();
        let edits: Vec<_> =
            (0..10_000).flat_map(|n| [add_service(n), add_dest(n, 2 * n), add_dest(n, 2 * n + 1)]).collect();
        let timed = |what: &str, most: Duration, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            let took = start.elapsed();
            println!("{what}: {took:?}");
            // A debug build on a busy machine is no measure; a change of the order of growth is.
            let slack = if cfg!(debug_assertions) { 100 } else { 5 };
            assert!(took < most * slack, "{what} took {took:?}");
        };
        timed("10,000 services with 20,000 servers", Duration::from_secs(2), &mut || director.update(&edits).unwrap());
        timed("one more server", Duration::from_millis(50), &mut || director.update(&[add_dest(77, 60_000)]).unwrap());
        let mut listing = Listing::default();
        timed("the listing", Duration::from_millis(500), &mut || listing = director.listing().unwrap());
        assert_eq!(table(&listing).len(), 10_000);
        timed("zeroing", Duration::from_millis(500), &mut || director.zero(None).unwrap());
        timed("clearing", Duration::from_secs(1), &mut || director.update(&[Edit::Flush]).unwrap());
        assert!(director.listing().unwrap().services.is_empty());
    });
}
