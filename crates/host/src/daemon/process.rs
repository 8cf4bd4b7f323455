//! The process itself: into the background, into a namespace, what it leaves behind when it crashes, what it may do.

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::daemon;
use std::fs::File;
use std::io;

/// Goes into the background: a session of its own, the root folder, nothing on standard input and output. The process that was
/// started ends with status 0. Must be called before any thread is started.
pub fn detach() -> Result<(), Errno> {
    daemon(false, false)
}

/// `-u`: which permissions new files do not get, as octal digits.
pub fn set_umask(mode: u32) {
    umask(Mode::from_bits_truncate(mode));
}

/// `-m`, `-M`: leaves a core file when it crashes. With a pattern, that is set for the whole machine, as the original does.
pub fn leave_core(pattern: Option<&str>) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY)?;
    set_dumpable(true)?;
    match pattern {
        Some(pattern) => std::fs::write("/proc/sys/kernel/core_pattern", pattern),
        None => Ok(()),
    }
}

/// `-s`, `net_namespace`: enters a network namespace by its name below `/run/netns`. Must be called before any thread is started
/// or socket opened. Those started by `ip netns exec` are where they should be.
pub fn enter_namespace(name: &str) -> io::Result<()> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no name of a network namespace")));
    }
    let file = File::open(format!("/run/netns/{name}"))?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
}

/// A right of the kernel's that the daemon uses, by its number (`CAP_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Ending scripts of other users.
    Kill = 5,
    /// Running scripts with other groups.
    SetGid = 6,
    /// Running scripts as other users.
    SetUid = 7,
    /// Addresses, routes, rules, interfaces.
    NetAdmin = 12,
    /// Raw sockets.
    NetRaw = 13,
    /// Locked memory.
    IpcLock = 14,
    /// Real-time priority.
    SysNice = 23,
}

/// Whether the process has this right now.
pub fn has(capability: Capability) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective(&status).is_some_and(|bits| bits & (1 << capability as u8) != 0)
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::is_root;

    #[test]
    fn rights_are_read_from_the_kernel() {
        assert_eq!(effective("Name:\tx\nCapEff:\t0000000000003000\n"), Some(0x3000));
        assert_eq!(effective("CapEff:\tzz\n"), None);
        assert_eq!(effective(""), None);
        if is_root() {
            assert!(has(Capability::NetAdmin) || !nix::unistd::geteuid().is_root());
        }
    }

    #[test]
    fn only_names_are_namespaces() {
        for name in ["", "../../proc/1/ns", ".", "a/b"] {
            assert_eq!(enter_namespace(name).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert_eq!(enter_namespace("surely-no-such-namespace").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
