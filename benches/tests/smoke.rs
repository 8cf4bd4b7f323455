//! A short measurement against committed ratios. On a machine where others work as well a run can be slow by chance, and hardly
//! fast by chance: so the least of several medians counts.

use rvs_benches::cases;
use rvs_benches::run::{Amount, run};
use rvs_benches::scene::Scene;
use std::collections::BTreeMap;
use std::io::Write as _;

/// How far a case may exceed its committed ratio.
const TOLERANCE: f64 = 2.0;
/// How often those that exceed it are measured again.
const ATTEMPTS: usize = 8;
/// Small: what is looked for is twice as slow.
const AMOUNT: Amount = Amount { rounds: 5, repeat: 20_000, singles: 100 };

fn committed() -> BTreeMap<String, f64> {
    let table: toml::Table = include_str!("../ratios.toml").parse().expect("the file is TOML");
    table.into_iter().map(|(name, ratio)| (name, ratio.as_float().expect("ratios have a point"))).collect()
}

#[test]
fn committed_ratios_are_of_cases_that_there_are() {
    let names: Vec<_> =
        cases::all().into_iter().filter(|case| case.scene == Scene::Methods).map(|case| case.name).collect();
    for name in committed().keys() {
        assert!(names.contains(name), "no case is called `{name}`");
    }
}

#[test]
fn no_entry_costs_more_than_twice_its_ratio() {
    if !nix::unistd::geteuid().is_root() {
        writeln!(std::io::stderr(), "SKIPPED no_entry_costs_more_than_twice_its_ratio: needs root").unwrap();
        return;
    }
    let mut left = committed();
    let mut least: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..ATTEMPTS {
        let all: Vec<_> = cases::all().into_iter().filter(|case| case.scene == Scene::Methods).collect();
        let floors: Vec<_> = all.iter().filter(|case| left.contains_key(&case.name)).map(cases::Case::floor).collect();
        let chosen = all.into_iter().filter(|case| left.contains_key(&case.name) || floors.contains(&case.name));
        for cost in run(chosen.collect(), &AMOUNT, |_| ()).unwrap() {
            let ratio = least.entry(cost.case.name).or_insert(f64::INFINITY);
            *ratio = ratio.min(cost.ratio.median);
        }
        left.retain(|name, committed| least[name] > TOLERANCE * *committed);
        if left.is_empty() {
            return;
        }
    }
    let over: Vec<_> =
        left.iter().map(|(name, ratio)| format!("{name}: {:.2}, committed {ratio:.2}", least[name])).collect();
    panic!("these cost more than {TOLERANCE} times their ratio to the floor:\n  {}", over.join("\n  "));
}
