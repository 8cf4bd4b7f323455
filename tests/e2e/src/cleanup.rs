//! Nothing stays behind: the list of everything this process made, removed when it is told to end, and the collection of
//! what an earlier process, killed outright, could not remove.

use crate::director::tool;
use crate::wait::eventually;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

/// Where iproute2 keeps the names of network namespaces.
pub(crate) const NETNS_DIR: &str = "/run/netns";
/// Where the tools under test keep what belongs to namespaces, in directories whose names end with the namespace's inode.
const PINS: &str = "/run/rvs/bpf";
/// How long that may take to go away with a namespace.
const COLLECT: Duration = Duration::from_secs(2);
/// How the names of all laboratories begin.
pub(crate) const PREFIX: &str = "rvs-";

#[derive(Default)]
struct Made {
    namespaces: BTreeSet<String>,
    processes: BTreeSet<i32>,
    dirs: BTreeSet<PathBuf>,
}

static MADE: Mutex<Made> =
    Mutex::new(Made { namespaces: BTreeSet::new(), processes: BTreeSet::new(), dirs: BTreeSet::new() });

fn made() -> MutexGuard<'static, Made> {
    // A panic elsewhere must not keep the clean-up from its list.
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process may make namespaces.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Prepares the clean-up: once per process, before the first laboratory.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        collect_stale();
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                let made = std::mem::take(&mut *made());
                for pid in &made.processes {
                    kill_process(*pid);
                }
                remove_namespaces(&made.namespaces);
                for dir in &made.dirs {
                    let _ = fs::remove_dir_all(dir);
                }
                std::process::exit(128 + signal);
            }
        });
    });
}

pub(crate) fn enrol_namespace(name: &str) {
    made().namespaces.insert(name.to_owned());
}

pub(crate) fn enrol_dir(dir: &Path) {
    made().dirs.insert(dir.to_owned());
}

pub(crate) fn enrol_process(pid: i32) {
    made().processes.insert(pid);
}

pub(crate) fn forget_process(pid: i32) {
    made().processes.remove(&pid);
}

/// Leaves these namespaces and this directory in place for good.
pub(crate) fn forget(namespaces: &BTreeSet<String>, dir: &Path) {
    let mut made = made();
    made.namespaces.retain(|n| !namespaces.contains(n));
    made.dirs.remove(dir);
}

/// Removes namespaces, whatever still runs in them, and a directory.
pub(crate) fn remove(namespaces: &BTreeSet<String>, dir: &Path) {
    let inodes = inodes(namespaces);
    remove_namespaces(namespaces);
    let _ = fs::remove_dir_all(dir);
    forget(namespaces, dir);
    collect_directors(&inodes);
}

/// Any call of a tool under test removes what it had in namespaces that are gone. The kernel takes a namespace down in its
/// own time, so this may take several.
fn collect_directors(inodes: &BTreeSet<u64>) {
    let Ok(rvs) = tool("rvs") else { return };
    let _ = eventually(COLLECT, || {
        Command::new(&rvs).arg("status").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        let Ok(pins) = fs::read_dir(PINS) else { return Ok(()) };
        let names = pins.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let inode = |name: String| name.rsplit('-').next()?.parse().ok();
        ensure!(names.filter_map(inode).all(|inode| !inodes.contains(&inode)), "directors are left");
        Ok(())
    });
}

/// Removes the laboratory whose names begin with `NAME-` (as [`crate::Lab::keep`] leaves it). Tells how many namespaces
/// that were.
pub fn remove_named(name: &str) -> usize {
    let start = format!("{name}-");
    let namespaces: BTreeSet<String> = names().into_iter().filter(|n| n.starts_with(&start)).collect();
    remove(&namespaces, &std::env::temp_dir().join(name));
    namespaces.len()
}

/// Ends the process with this id, which this process or its dead predecessor started.
pub(crate) fn kill_process(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

fn names() -> Vec<String> {
    let Ok(dir) = fs::read_dir(NETNS_DIR) else { return Vec::new() };
    dir.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn remove_namespaces(namespaces: &BTreeSet<String>) {
    if namespaces.is_empty() {
        return;
    }
    for pid in processes_in(&inodes(namespaces)) {
        kill_process(pid);
    }
    let lines: String = namespaces.iter().map(|n| format!("netns del {n}\n")).collect();
    let _ = ip_batch(&["-force", "-batch", "-"], &lines);
}

fn inodes(namespaces: &BTreeSet<String>) -> BTreeSet<u64> {
    namespaces.iter().filter_map(|n| fs::metadata(Path::new(NETNS_DIR).join(n)).ok()).map(|m| m.ino()).collect()
}

/// Processes whose main thread lives in one of the namespaces with these inode numbers.
pub(crate) fn processes_in(inodes: &BTreeSet<u64>) -> Vec<i32> {
    let Ok(dir) = fs::read_dir("/proc") else { return Vec::new() };
    dir.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|m| inodes.contains(&m.ino())))
        .collect()
}

/// Runs `ip` with these lines on its standard input.
pub(crate) fn ip_batch(args: &[&str], lines: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run ip (iproute2)")?;
    child.stdin.take().context("ip has no standard input")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    anyhow::ensure!(
        output.status.success(),
        "ip {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Removes what processes that are no more have left: namespaces and directories named `rvs-PID-…`.
fn collect_stale() {
    let dead = |name: &str| {
        let pid =
            name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse::<i32>().ok());
        pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    };
    remove_namespaces(&names().into_iter().filter(|n| dead(n)).collect());
    let Ok(dir) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in dir.flatten() {
        if entry.file_name().to_str().is_some_and(dead) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
