//! One network namespace: made by name, entered by a thread, commands run in it.

use crate::cleanup::{NETNS_DIR, ip_batch, processes_in};
use crate::process::NsCommand;
use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::panic;
use std::path::{Path, PathBuf};
use std::thread;

/// A handle on a network namespace by its name. Dropping it does nothing; the [`crate::Lab`] removes its namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// The namespace of this name, which exists or is about to.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new(NETNS_DIR).join(&self.name)
    }

    /// Runs `work` in a thread that has entered the namespace. Sockets made there stay in it.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.path()).with_context(|| format!("no namespace {}", self.name))?;
        let joined = thread::scope(|scope| {
            let body = || setns(file, CloneFlags::CLONE_NEWNET).map(|()| work());
            scope.spawn(body).join()
        });
        match joined {
            Ok(result) => result.with_context(|| format!("cannot enter the namespace {}", self.name)),
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// A command that is started inside the namespace, with everything else (mounts, `/sys`) as it is outside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> NsCommand {
        NsCommand::entered(self, program.as_ref())
    }

    /// A command as people run it: `ip netns exec NAME PROGRAM`, which mounts another `/sys` and hides what was below it.
    pub fn exec(&self, program: impl AsRef<std::ffi::OsStr>) -> NsCommand {
        NsCommand::by_ip_netns_exec(self, program.as_ref())
    }

    /// `ip -n NAME ARGS…`, arguments separated by blanks.
    pub fn ip(&self, args: &str) -> Result<()> {
        self.ip_batch(&format!("{args}\n"))
    }

    /// `ip -n NAME -batch`, one command a line.
    pub fn ip_batch(&self, lines: &str) -> Result<()> {
        ip_batch(&["-n", &self.name, "-batch", "-"], lines)
    }

    /// Sets a value below `/proc/sys/net`.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| fs::write(&path, value))?.with_context(|| format!("cannot write {path} in {}", self.name))
    }

    /// Ids of the processes that live in it.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let inode = fs::metadata(self.path()).with_context(|| format!("no namespace {}", self.name))?.ino();
        Ok(processes_in(&BTreeSet::from([inode])))
    }
}
