//! Settings: kept by the kernel's tables, changed as one, each network namespace's own.
#![allow(missing_docs, clippy::unwrap_used)] // A failed step is a failed test.

mod common;

use common::{SMALL, in_namespace};
use rvs_core::settings::Settings;
use rvs_dataplane::Error;
use rvs_dataplane::kernel::Director;

#[test]
fn settings_stay_and_are_the_namespaces_own() {
    in_namespace(|| {
        let mut director = Director::open_with(&SMALL).unwrap();
        assert_eq!(director.settings().unwrap(), Director::initial_settings());
        for round in 1..4 {
            let change = |settings: &mut Settings| {
                settings.sloppy_tcp = round;
                settings.am_droprate = 10 * round;
                Ok::<_, Error>(())
            };
            director.change_settings(change).unwrap();
            let now = Director::existing().unwrap().expect("it is there").settings().unwrap();
            let wanted = Settings { sloppy_tcp: round, am_droprate: 10 * round, ..Director::initial_settings() };
            assert_eq!(now, wanted);
        }
        let other = std::thread::spawn(|| {
            in_namespace(|| Director::open_with(&SMALL).unwrap().settings().unwrap() == Director::initial_settings())
        });
        assert_eq!(other.join().unwrap(), Some(true));
    });
}

#[test]
fn a_refused_change_of_settings_changes_nothing() {
    in_namespace(|| {
        let mut director = Director::open_with(&SMALL).unwrap();
        let refused = director.change_settings(|settings| {
            settings.sloppy_tcp = 1;
            Err(Error::State("refused".into()))
        });
        assert!(refused.is_err());
        assert_eq!(director.settings().unwrap(), Director::initial_settings());
    });
}

#[test]
fn automatic_defences_follow_the_free_records_at_once() {
    in_namespace(|| {
        let mut director = Director::open_with(&SMALL).unwrap();
        let mut threshold = |records| {
            let change = |settings: &mut Settings| {
                settings.amemthresh = records;
                Ok::<_, Error>(())
            };
            director.change_settings(change).unwrap();
            director.is_short().unwrap()
        };
        let capacity = i32::try_from(SMALL.conns).unwrap();
        assert_eq!([capacity, capacity + 1, 0].map(&mut threshold), [false, true, false]);
    });
}
