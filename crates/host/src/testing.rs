//! Network namespaces for this crate's tests: entered by a thread of the test's own, gone with it. Nothing here reaches the
//! namespace that the test was started in.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long tests wait for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Without root the tests of namespaces can show nothing.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

/// A namespace that lives as long as this value.
pub(crate) struct Ns(File);

impl Ns {
    /// A new one, with its loopback up.
    pub(crate) fn new() -> Self {
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip("link set lo up");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        Self(made.join().unwrap())
    }

    /// Runs `work` in it, on a thread of its own.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A path that `ip link set … netns` takes.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// Two namespaces joined by `v0` (10.9.0.1/24, fd09::1/64) in the first and `v1` (10.9.0.2/24, fd09::2/64) in the second.
pub(crate) fn joined() -> (Ns, Ns) {
    let (left, right) = (Ns::new(), Ns::new());
    let path = right.path();
    left.run(|| {
        ip("link add v0 type veth peer name v1");
        ip(&format!("link set v1 netns {path}"));
        ip("addr add 10.9.0.1/24 dev v0");
        ip("addr add fd09::1/64 dev v0 nodad");
        ip("link set v0 up");
    });
    right.run(|| {
        ip("addr add 10.9.0.2/24 dev v1");
        ip("addr add fd09::2/64 dev v1 nodad");
        ip("link set v1 up");
    });
    // Until the kernel has seen the carrier it drops what is sent.
    for (ns, name) in [(&left, "v0"), (&right, "v1")] {
        ns.run(|| {
            let mut rtnl = crate::net::Rtnl::open().unwrap();
            eventually("carrier", || rtnl.interface_named(name).unwrap().is_some_and(|link| link.running));
        });
    }
    (left, right)
}

/// Runs `test` in a new namespace; nothing without root.
pub(crate) fn in_namespace(test: impl FnOnce() + Send) {
    if is_root() {
        Ns::new().run(test);
    }
}

/// Runs `ip` in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// What `ip` prints, run likewise.
pub(crate) fn ip_output(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `ip -j` prints, as values.
pub(crate) fn ip_json(arguments: &str) -> serde_json::Value {
    serde_json::from_str(&ip_output(&format!("-j -d {arguments}"))).unwrap()
}

/// Asks until the answer is yes; fails the test when it never is.
pub(crate) fn eventually(what: &str, mut yes: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !yes() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A runtime as the daemon has it.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
