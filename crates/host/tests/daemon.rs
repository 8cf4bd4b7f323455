//! A whole daemon, seen from outside: it detaches, writes its number, locks its memory, tells systemd, obeys signals, logs, and
//! leaves nothing.
#![allow(clippy::unwrap_used)] // A test, though without a harness.

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use rvs_host::daemon::{PidFile, Request, Signals, Systemd, detach, set_umask};
use rvs_host::log::{Log, LogOptions};
use rvs_host::script::{Script, security::RunAs};
use rvs_host::thread::{Lateness, Mailbox, Promptness, World, mailbox, spawn};
use rvs_machine::Time;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

fn main() {
    let folder = std::env::args().collect::<Vec<_>>();
    match folder.get(1).map(String::as_str) {
        Some("daemon") => daemon(Path::new(&folder[2])),
        // What a harness is asked; this one has a single test and no list of it.
        Some("--list") => println!("a_daemon_from_its_start_to_its_end: test"),
        _ => {
            a_daemon_from_its_start_to_its_end();
            println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        }
    }
}

/// Ends when told.
struct Waiting(Mailbox<()>, bool);

impl World for Waiting {
    fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.push(self.0.as_fd());
    }

    fn take_in(&mut self, _: Time) -> bool {
        self.1 |= !self.0.take().is_empty();
        false
    }

    fn carry_out(&mut self, _: Time) {}

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn wake(&mut self, _: Time) {}

    fn finished(&self) -> bool {
        self.1
    }
}

/// What the child does.
fn daemon(folder: &Path) {
    set_umask(0o027);
    detach().unwrap();
    let pid_file = PidFile::write(&folder.join("d.pid")).unwrap();
    let options = LogOptions { no_syslog: true, file: Some(folder.join("d.log")), ..LogOptions::default() };
    let log = Log::start(&options).unwrap();
    let (mailer, mailbox) = mailbox(1).unwrap();
    let promptness = Promptness { real_time: Some(1), lock_memory: true, ..Promptness::default() };
    let thread = spawn("vrrp", promptness, Arc::new(Lateness::default()), move || Ok(Waiting(mailbox, false))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let systemd = Systemd::at(folder.join("notify").to_str().unwrap()).unwrap();
    runtime.block_on(async {
        let mut signals = Signals::open(false).unwrap();
        systemd.ready();
        loop {
            match signals.next().await {
                Request::Stop => break,
                Request::Reload => {
                    systemd.reloading();
                    log.reopen();
                    tracing::info!("Reloading");
                    let by = RunAs { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
                    let script = Script::new(["/bin/sh", "-c", "exit 7"].map(String::from).to_vec(), by);
                    tracing::info!("script {}", rvs_host::script::run(&script, Some(DEADLINE)).await);
                    systemd.ready();
                }
                other => tracing::info!("{other:?}"),
            }
        }
    });
    systemd.stopping();
    mailer.post(()).unwrap();
    thread.join().unwrap().unwrap();
    tracing::info!(target: "Keepalived_vrrp", "Stopped");
    drop(log);
    drop(pid_file);
}

fn eventually(what: &str, mut yes: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !yes() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends the daemon when the test fails.
struct Killed(Pid);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

fn a_daemon_from_its_start_to_its_end() {
    // The daemon's parent ends; this process inherits it, and so can wait for its end.
    set_child_subreaper(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    let hear = || {
        let mut buffer = [0; 256];
        let length = server.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let own = std::env::current_exe().unwrap();
    let started = Command::new(own).arg("daemon").arg(folder.path()).status().unwrap();
    assert!(started.success());
    assert_eq!(hear(), "READY=1");
    let text = fs::read_to_string(folder.path().join("d.pid")).unwrap();
    let pid: i32 = text.trim().parse().unwrap();
    let daemon = Killed(Pid::from_raw(pid));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Umask:\t0027"), "{status}");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    assert_eq!(fs::read_link(format!("/proc/{pid}/fd/0")).unwrap(), Path::new("/dev/null"));
    let log = || fs::read_to_string(folder.path().join("d.log")).unwrap_or_default();
    if nix::unistd::geteuid().is_root() {
        eventually("locked memory", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            status.lines().any(|line| line.starts_with("VmLck:") && !line.contains("\t       0 kB"))
        });
    }
    kill(daemon.0, Signal::SIGHUP).unwrap();
    assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hear(), "READY=1");
    kill(daemon.0, Signal::SIGUSR1).unwrap();
    kill(daemon.0, Signal::SIGTERM).unwrap();
    assert_eq!(hear(), "STOPPING=1");
    assert_eq!(waitpid(daemon.0, None).unwrap(), WaitStatus::Exited(daemon.0, 0));
    let log = log();
    for sentence in [": Reloading\n", ": script exited with status 7\n", ": Stopped\n"] {
        assert!(log.contains(sentence), "{sentence:?} in {log}");
    }
    assert!(!folder.path().join("d.pid").exists());
}
