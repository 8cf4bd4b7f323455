//! A director's life in a network namespace: it comes into being, serves every interface, survives its tools and leaves
//! nothing behind.
#![allow(clippy::unwrap_used)] // A failed step is a failed test.

mod common;

use common::{SMALL, add_dest, add_service, dest, in_namespace, ip, is_root, key, veth_pair};
use nix::sched::{CloneFlags, unshare};
use rvs_core::frames;
use rvs_dataplane::kernel::{Director, Hook, Mode, decap, watch};
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Edit, Refusal, Timeouts};
use rvs_wire::{Be16, tcp};
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

fn namespace() -> u64 {
    std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
}

/// The directory of a director's pins, as this process reaches it: the mount may be in another mount namespace.
fn home(director: &Director) -> PathBuf {
    director.program_pin(Hook::Tc).parent().unwrap().to_path_buf()
}

/// Whether anything of a namespace is left in the bpf file system that `director` is in, or beside it.
fn is_left(inode: u64, director: &Director) -> bool {
    let ends = |dir: &str| {
        let entries = std::fs::read_dir(home(director).join(dir)).unwrap();
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .any(|name| name.ends_with(&format!("-{inode}")))
    };
    ends("..") || ends("../..")
}

#[test]
fn it_is_there_for_every_later_call_until_it_is_torn_down() {
    in_namespace(|| {
        assert!(Director::existing().unwrap().is_none());
        let mut first = Director::open_with(&SMALL).unwrap();
        first.update(&[add_service(1), add_dest(1, 1), add_dest(1, 2)]).unwrap();
        drop(first);
        let mut second = Director::existing().unwrap().expect("it was made before");
        let listing = second.listing().unwrap();
        assert_eq!(listing.services.len(), 1);
        let dests: Vec<_> = listing.services[0].dests.iter().map(|listed| listed.dest.addr).collect();
        assert_eq!(dests, [dest(2, 1).addr, dest(1, 1).addr], "newest first");
        assert_eq!(listing.timeouts, Timeouts::default());
        assert!(Director::teardown().unwrap());
        assert!(Director::existing().unwrap().is_none());
        assert!(!Director::teardown().unwrap());
    });
}

#[test]
fn interfaces_are_served_as_they_come_and_forgotten_as_they_go() {
    in_namespace(|| {
        let modes = || {
            let status = Director::open_with(&SMALL).unwrap().status().unwrap();
            assert!(status.interfaces.iter().any(|at| at.name == "lo" && at.mode == "tc"));
            let others = status.interfaces.into_iter().filter(|at| at.name != "lo");
            others.map(|at| (at.name, at.mode)).collect::<Vec<_>>()
        };
        assert_eq!(modes(), []);
        veth_pair();
        ip("link set v1 name v1.5");
        let mut served = modes();
        served.sort();
        assert_eq!(served, ["v0", "v1.5"].map(|name| (name.to_owned(), "tc")));
        ip("link del v0");
        assert_eq!(modes(), []);
        ip("link add v0 type veth peer name v1");
        assert_eq!(modes().len(), 2);
    });
}

#[test]
fn the_watch_serves_interfaces_while_no_other_tool_is_called() {
    in_namespace(|| {
        let director = Director::open_with(&SMALL).unwrap();
        let served = || director.status().unwrap().interfaces.iter().filter(|at| at.mode == "tc").count();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        watch::run(|round| {
            if round == 1 {
                veth_pair();
                return ControlFlow::Continue(());
            }
            assert!(std::time::Instant::now() < deadline);
            if served() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    });
}

#[test]
fn the_users_choice_of_a_mode_holds_for_an_interface_that_comes_back() {
    in_namespace(|| {
        veth_pair();
        let mut director = Director::open_with(&SMALL).unwrap();
        let mode = |name: &str| {
            let status = Director::open_with(&SMALL).unwrap().status().unwrap();
            status.interfaces.into_iter().find(|at| at.name == name).unwrap().mode
        };
        director.attach("v0", Mode::Xdp).unwrap();
        assert_eq!(mode("v0"), "xdp native + tc");
        director.detach("v1").unwrap();
        assert_eq!(mode("v1"), "none");
        ip("link del v0");
        ip("link add v0 type veth peer name v1");
        assert_eq!((mode("v0"), mode("v1")), ("xdp native + tc", "none"));
        director.attach("v0", Mode::Tc).unwrap();
        director.attach("v1", Mode::Auto).unwrap();
        assert_eq!((mode("v0"), mode("v1")), ("tc", "tc"));
        let refused = director.attach("v0", Mode::XdpGeneric).unwrap_err();
        assert!(matches!(&refused, Error::Unsupported(why) if why.contains("unfinished checksums")), "{refused}");
        assert!(director.attach("lo", Mode::Xdp).unwrap_err().to_string().contains("TC only"));
        assert!(director.attach("nosuch", Mode::Tc).unwrap_err().to_string().contains("nosuch"));
    });
}

#[test]
fn a_dead_namespace_leaves_nothing_once_any_tool_is_called() {
    let dead = std::thread::spawn(|| {
        if !is_root() {
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        veth_pair();
        Director::open_with(&SMALL).unwrap().update(&[add_service(1)]).unwrap();
        Some(namespace())
    });
    let Some(dead) = dead.join().unwrap() else { return };
    in_namespace(move || {
        // Namespaces are taken apart in the background.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let director = Director::open_with(&SMALL).unwrap();
            if !is_left(dead, &director) {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "something is left of {dead}");
            std::thread::yield_now();
        }
    });
}

#[test]
fn two_namespaces_are_two_directors() {
    in_namespace(|| {
        Director::open_with(&SMALL).unwrap().update(&[add_service(1)]).unwrap();
        let other = std::thread::spawn(|| {
            in_namespace(|| {
                let mut director = Director::open_with(&SMALL).unwrap();
                assert!(director.listing().unwrap().services.is_empty());
                director.update(&[add_service(2)]).unwrap();
            });
        });
        other.join().unwrap();
        let listing = Director::open_with(&SMALL).unwrap().listing().unwrap();
        assert_eq!(listing.services.iter().map(|listed| listed.service.key).collect::<Vec<_>>(), [key(1)]);
    });
}

#[test]
fn a_refused_edit_undoes_all_edits_and_is_named() {
    in_namespace(|| {
        veth_pair();
        let mut director = Director::open_with(&SMALL).unwrap();
        let broadcast = Edit::AddDest(key(1), rvs_intent::Dest { addr: broadcast(), ..dest(1, 1) });
        for (edits, at, why) in [
            (vec![add_service(1), add_service(1)], 1, Refusal::ServiceExists),
            (vec![add_service(1), add_dest(2, 1)], 1, Refusal::NoService),
            (vec![add_service(1), add_dest(1, 1), broadcast], 2, Refusal::Invalid),
        ] {
            match director.update(&edits) {
                Err(UpdateError::Refused { index, refusal }) => assert_eq!((index, refusal), (at, why)),
                other => panic!("{other:?}"),
            }
            assert!(director.listing().unwrap().services.is_empty());
        }
        assert!(matches!(
            director.zero(Some(key(9))),
            Err(UpdateError::Refused { index: 0, refusal: Refusal::NoService })
        ));
        let many: Vec<_> = (0..65).map(add_service).collect();
        let full = director.update(&many);
        assert!(matches!(full, Err(UpdateError::Refused { index: 64, refusal: Refusal::Limit(_) })), "{full:?}");
    });
}

fn broadcast() -> rvs_wire::Addr {
    rvs_wire::Addr::from(std::net::Ipv4Addr::new(10, 9, 0, 255))
}

#[test]
fn programs_can_be_run_on_packets_and_count_why_they_end() {
    in_namespace(|| {
        let director = Director::open_with(&SMALL).unwrap();
        let total = |director: &Director| director.reasons().unwrap().iter().map(|(_, count)| count).sum::<u64>();
        let before = total(&director);
        for hook in [Hook::Tc, Hook::Xdp] {
            let run = director.test_run(hook, &[0u8; 64], 3).unwrap();
            assert_eq!(run.packet.len(), 64);
        }
        assert_eq!(total(&director) - before, 6);
        director.sweep().unwrap();
        let status = director.status().unwrap();
        assert!(status.ticking && status.object_is_ours && status.features.spin_locks);
        assert_eq!(status.fill.connection_capacity, SMALL.conns);
        assert!(status.fill.memory > 0);
    });
}

#[test]
fn real_servers_take_tunnels_apart_without_any_table() {
    in_namespace(|| {
        veth_pair();
        assert!(decap::detach("v0").is_err());
        decap::attach("v0", None).unwrap();
        decap::attach("v0", Some(6080)).unwrap();
        decap::attach("v1", None).unwrap();
        assert!(decap::attach("v1", Some(6081)).is_err(), "one port for all");
        assert!(Director::existing().unwrap().is_none(), "no director comes of it");
        decap::detach("v0").unwrap();
        decap::detach("v1").unwrap();
        assert!(decap::detach("v1").is_err());
    });
}

/// What the next test runs under `ip netns exec`: adds the service whose number it is told and prints how many there are.
#[test]
fn guest() {
    let Some(number) = std::env::var("RVS_TEST_GUEST").ok().and_then(|number| number.parse().ok()) else { return };
    let mut director = Director::open_with(&SMALL).unwrap();
    director.update(&[add_service(number)]).unwrap();
    println!("services={}", director.listing().unwrap().services.len());
}

struct NamedNamespace(String);

impl Drop for NamedNamespace {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
fn commands_under_ip_netns_exec_share_a_director_though_each_has_mounts_of_its_own() {
    if !is_root() {
        return;
    }
    let namespace = NamedNamespace(format!("rvs-test-{}", std::process::id()));
    ip(&format!("netns add {}", namespace.0));
    for number in 1..=3 {
        let output = std::process::Command::new("ip")
            .args(["netns", "exec", &namespace.0])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "guest", "--nocapture"])
            .env("RVS_TEST_GUEST", number.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("services={number}")), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_newer_tool_replaces_the_programs_and_keeps_the_tables() {
    in_namespace(|| {
        veth_pair();
        let mut director = Director::open_with(&SMALL).unwrap();
        director.update(&[add_service(1), add_dest(1, 1)]).unwrap();
        let before = director.status().unwrap();
        // The tool that made the tables came with another object.
        let fact = home(&director).join("object");
        std::fs::remove_file(&fact).unwrap();
        std::os::unix::fs::symlink("0123456789abcdef", &fact).unwrap();
        let mut director = Director::open_with(&SMALL).unwrap();
        let after = director.status().unwrap();
        assert!(after.object_is_ours && after.ticking);
        for (before, after) in before.interfaces.iter().zip(&after.interfaces) {
            assert_eq!(before.tc_link, after.tc_link, "{}: the link stays", before.name);
            assert_ne!(before.tc_program, after.tc_program, "{}: the program is another", before.name);
        }
        assert_eq!(director.listing().unwrap().services[0].dests.len(), 1);
        assert!(director.test_run(Hook::Tc, &[0u8; 64], 1).is_ok());
    });
}

#[test]
fn connections_are_listed_counted_and_outlive_their_deleted_server() {
    in_namespace(|| {
        veth_pair();
        let mut director = Director::open_with(&SMALL).unwrap();
        director.update(&[add_service(1), add_dest(1, 1)]).unwrap();
        let (client, vip) = (Ipv4Addr::new(10, 9, 0, 77), Ipv4Addr::new(10, 0, 0, 1));
        let mut syn = frames::tcp((client, 1234), (vip, 80), tcp::SYN, &frames::Shape::default());
        // Test runs come in on the loopback, whose address on the link layer is all zeros.
        syn[..6].fill(0);
        director.test_run(Hook::Tc, &syn, 1).unwrap();
        let figures = |director: &mut Director| {
            let listing = director.listing().unwrap();
            let dest = &listing.services[0].dests[0];
            (dest.active, dest.counters.conns, dest.counters.in_pkts, listing.services[0].counters.conns)
        };
        assert_eq!(figures(&mut director), (1, 1, 1, 1));
        let connections = director.connections().unwrap();
        assert_eq!(connections.len(), 1);
        let connection = &connections[0];
        assert_eq!(connection.client, (client.into(), Be16::new(1234)));
        assert_eq!(connection.virt, (vip.into(), Be16::new(80)));
        assert_eq!(connection.dest, (dest(1, 1).addr, Be16::new(80)));
        assert_eq!((connection.state, connection.template), ("SYN_RECV", false));
        assert!((58..=60).contains(&connection.expires_secs), "{connection:?}");
        assert_eq!(director.status().unwrap().fill.connections, 1);
        // Deleted and added again, the service begins at zero; the server comes back with its connection and counters.
        director.update(&[Edit::Flush]).unwrap();
        assert_eq!(director.connections().unwrap().len(), 1);
        director.update(&[add_service(1), add_dest(1, 1)]).unwrap();
        assert_eq!(figures(&mut director), (1, 1, 1, 0));
        director.update(&[Edit::Flush, add_service(1), add_dest(1, 1)]).unwrap();
        assert_eq!(figures(&mut director), (1, 1, 1, 0));
        director.zero(None).unwrap();
        assert_eq!(figures(&mut director), (1, 0, 0, 0));
    });
}
