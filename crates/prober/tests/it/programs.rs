//! Programs as checks.

use crate::world::{check, health, is_root, run, verdict};
use nix::sys::signal::kill;
use nix::unistd::{Pid, getegid, geteuid};
use rvs_checker::*;
use rvs_prober::{Prober, Told};
use std::net::SocketAddr;
use std::time::Duration;

fn program(text: &str) -> Misc {
    Misc {
        command: ["/bin/sh", "-c", text].map(String::from).to_vec(),
        user: Some((geteuid().as_raw(), getegid().as_raw())),
        timeout: Duration::from_secs(20),
        dynamic: false,
    }
}

fn misc(misc: Misc) -> CheckParams {
    check(SocketAddr::from(([10, 0, 0, 1], 80)), Probe::Misc(misc))
}

#[test]
fn ends_of_programs_are_told() {
    run(async {
        assert_eq!(health(misc(program("exit 0"))).await, Ok(()));
        assert_eq!(health(misc(program("exit 3"))).await, Err(Reason::Exit(3)));
        assert_eq!(health(misc(program("kill -9 $$"))).await, Err(Reason::Signal(9)));
        let missing = Misc { command: vec!["/no/such/program".into()], ..program("") };
        assert!(matches!(health(misc(missing)).await, Err(Reason::Spawn(_))));
        let dynamic = Misc { dynamic: true, ..program("exit 42") };
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, misc(dynamic));
        loop {
            if let Told::Verdict(_, Verdict::Advice(advice)) = prober.next().await {
                assert_eq!(advice, Advice::Weight(40));
                break;
            }
        }
    });
}

#[test]
fn a_program_runs_as_whom_it_is_told() {
    if !is_root() {
        return;
    }
    run(async {
        let nobody = Misc { user: Some((65534, 65533)), ..program("test \"$(id -u):$(id -g)\" = 65534:65533") };
        assert_eq!(health(misc(nobody)).await, Ok(()));
        let mut prober = Prober::new(1).unwrap();
        prober.run_as(rvs_host::script::security::RunAs { uid: 65534, gid: 65534 }, false);
        prober.subscribe(1, misc(Misc { user: None, ..program("test \"$(id -u):$(id -G)\" = 65534:65534") }));
        let verdicts = crate::world::collect(&mut prober, 1).await;
        assert!(matches!(verdicts[&1], Verdict::Up { .. }), "{verdicts:?}");
    });
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_its_children() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let text = format!("trap '' TERM; sleep 1000 & echo $! > {}; wait; sleep 1000", path.display());
        let slow = Misc { timeout: Duration::from_secs(2), ..program(&text) };
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, misc(slow));
        let verdicts = crate::world::collect(&mut prober, 1).await;
        assert!(matches!(verdicts[&1], Verdict::Down { reason: Reason::ScriptTimeout, .. }), "{verdicts:?}");
        let child: i32 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
        while kill(Pid::from_raw(child), None).is_ok() || prober.programs() > 0 {
            let _ = tokio::time::timeout(Duration::from_millis(20), prober.next()).await;
        }
    });
}

#[test]
fn with_the_prober_go_its_programs() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, misc(program(&format!("echo $$ > {}; exec sleep 1000", path.display()))));
        let read = || std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<i32>().ok());
        let pid = loop {
            let _ = tokio::time::timeout(Duration::from_millis(20), prober.next()).await;
            if let Some(pid) = read() {
                break Pid::from_raw(pid);
            }
        };
        drop(prober);
        while kill(pid, None).is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn files_and_sessions_are_told_from_outside() {
    run(async {
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, check(address, Probe::File(File { name: "f".into(), weight: 0 })));
        prober.subscribe(2, check(address, Probe::Bfd(Bfd { name: "b".into() })));
        prober.file(&1, 1);
        prober.session(&2, true);
        let verdicts = crate::world::collect(&mut prober, 2).await;
        assert!(matches!(verdicts[&1], Verdict::Down { reason: Reason::FileValue(1), .. }), "{verdicts:?}");
        assert!(matches!(verdicts[&2], Verdict::Up { .. }), "{verdicts:?}");
        // What cannot be checked is said so, and nobody is subscribed.
        let http =
            Http { urls: vec![], version: HttpVersion::Http10, virtualhost: None, fast_recovery: false, tls: None };
        prober.subscribe(3, check(address, Probe::Http(http)));
        assert!(matches!(prober.next().await, Told::Unusable(3, _)));
        assert!(prober.registry().of(&3).is_none());
    });
}

#[test]
fn what_rests_does_nothing() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        let mut params = misc(program(&format!("echo >> {}", path.display())));
        params.pace.delay_loop = Duration::from_millis(50);
        let mut prober = Prober::new(1).unwrap();
        prober.subscribe(1, params);
        prober.suspend(&1, true);
        let _ = tokio::time::timeout(Duration::from_millis(1500), prober.next()).await;
        assert!(!path.exists());
        prober.suspend(&1, false);
        while !path.exists() {
            let _ = tokio::time::timeout(Duration::from_millis(20), prober.next()).await;
        }
        assert!(matches!(verdict(misc(program("exit 0"))).await, Verdict::Up { first: true, .. }));
    });
}
