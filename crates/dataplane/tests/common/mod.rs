//! Network namespaces for tests: made by a thread, gone with it, the director removed in any case.
#![allow(dead_code, missing_docs, clippy::unwrap_used)] // Each test file uses its part.

pub(crate) mod storm;

use nix::sched::{CloneFlags, unshare};
use rvs_core::abi::{Forward, ServiceKey};
use rvs_dataplane::kernel::Director;
use rvs_dataplane::limits::Limits;
use rvs_intent::{Dest, Edit, ServiceSettings, Tunnel};
use rvs_wire::{Addr, Be16, Family};
use std::net::Ipv4Addr;
use std::process::Command;

pub(crate) const SMALL: Limits = Limits { conns: 1024, services: 64, dests: 512 };

/// Without root these tests can show nothing.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

struct Teardown;

impl Drop for Teardown {
    fn drop(&mut self) {
        let _ = Director::teardown();
    }
}

/// Runs `test` in a new network namespace, and takes down what it leaves.
pub(crate) fn in_namespace<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    is_root().then(|| {
        let thread = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let _teardown = Teardown;
            test()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `ip` in the calling thread's network namespace.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// A pair of veth interfaces with addresses, up.
pub(crate) fn veth_pair() {
    ip("link add v0 type veth peer name v1");
    ip("addr add 10.9.0.1/24 dev v0");
    ip("link set v0 up");
    ip("link set v1 up");
}

pub(crate) fn key(n: u32) -> ServiceKey {
    let addr = Addr::from(Ipv4Addr::from(0x0a00_0000 + n));
    ServiceKey { addr, port: Be16::new(80), proto: 6, family: Family::V4.raw() }
}

pub(crate) fn add_service(n: u32) -> Edit {
    Edit::AddService(ServiceSettings {
        key: key(n),
        sched: "rr".into(),
        flags: 0,
        persist_secs: 0,
        netmask: Addr::from(Ipv4Addr::BROADCAST),
        engine: None,
    })
}

pub(crate) fn dest(n: u32, weight: i32) -> Dest {
    Dest {
        addr: Addr::from(Ipv4Addr::from(0x0a09_0002 + n)),
        family: Family::V4,
        port: Be16::new(80),
        forward: Forward::Masq,
        weight,
        last_weight: weight,
        u_threshold: 0,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    }
}

pub(crate) fn add_dest(service: u32, n: u32) -> Edit {
    Edit::AddDest(key(service), dest(n, 1))
}

/// Runs many lines of `ip` at once in the calling thread's network namespace.
pub(crate) fn ip_batch(lines: &str) {
    use std::io::Write;
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "ip -batch");
}

/// An interface `v0` of a director between clients (10.0.1.100 to 10.0.1.250, fd00:1::1:64 and so on) and real servers
/// (10.0.2.11 to 10.0.2.13, fd00:2::11 to fd00:2::13), all of whom are known on the link.
pub(crate) fn streets() {
    // Without IPv6 at the other end nothing comes in on the link but what the tests send.
    ip("link add v0 address 02:00:00:00:01:01 type veth peer name v1");
    std::fs::write("/proc/sys/net/ipv6/conf/v1/disable_ipv6", "1").unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
    ip("link set lo up");
    ip_batch(
        "addr add 10.0.2.1/24 dev v0\naddr add 10.0.1.1/24 dev v0\naddr add fd00:2::1/64 dev v0 nodad\n\
         addr add fd00:1::1/64 dev v0 nodad\nlink set v0 up\nlink set v1 up\n",
    );
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let clients = (100..=250).flat_map(|n| [format!("10.0.1.{n}"), format!("fd00:1::1:{n:x}")]);
    let servers = (1..=3).flat_map(|n| [format!("10.0.2.1{n}"), format!("fd00:2::1{n}")]);
    let neighbours = clients.chain(servers);
    let lines: Vec<_> =
        neighbours.map(|ip| format!("neigh add {ip} lladdr 02:00:00:00:09:09 dev v0 nud permanent\n")).collect();
    ip_batch(&lines.concat());
}

/// A frame as the loopback device would take it for its own: test runs come in through it.
pub(crate) fn to_loopback(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[..6].fill(0);
    frame
}
