//! Where the kernel objects of a director are kept: a bpf file system at `/run/rvs/bpf`, and who may work there.
//!
//! It is mounted in the mount namespace of PID 1 and reached from wherever a tool runs: `ip netns exec` gives every command a
//! private mount namespace in which `/sys` is another one, so the usual `/sys/fs/bpf` is no common ground. The directories are
//! opened once and then named through `/proc/self/fd`, whose links lead across mount namespaces.

use super::failed;
use crate::{Error, limits};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Our directory: locks, and the mount point.
const RUN: &str = "/run/rvs";
/// The mount point.
const BPF: &str = "/run/rvs/bpf";
/// How long to wait between two tries for a lock that somebody holds.
const LOCK_RETRY: Duration = Duration::from_millis(2);

/// The two directories, open.
#[derive(Debug)]
pub(crate) struct Place {
    run: OwnedFd,
    bpf: OwnedFd,
}

impl Place {
    /// Opens the directories; `create` makes and mounts them when they are missing. `None`: they are missing.
    pub(crate) fn open(create: bool) -> Result<Option<Self>, Error> {
        if let Some(place) = Self::visible().map_err(|error| failed("opening /run/rvs", error))? {
            return Ok(Some(place));
        }
        // Entering another mount namespace takes a thread that shares neither root nor working directory with the others.
        let thread = std::thread::Builder::new().spawn(move || {
            enter_first_namespace().map_err(|error| failed("entering the mount namespace of process 1", error))?;
            if create {
                mount_bpf()?;
            }
            Self::visible().map_err(|error| failed("opening /run/rvs", error))
        });
        let thread = thread.map_err(|error| failed("starting a thread", error))?;
        thread.join().unwrap_or_else(|_| Err(Error::State("opening /run/rvs failed".into())))
    }

    /// The directories as this thread sees them, if they are there.
    fn visible() -> io::Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = |path: &str| match nix::fcntl::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(nix::errno::Errno::ENOENT) => Ok(None),
            Err(error) => Err(io::Error::from(error)),
        };
        let (Some(run), Some(bpf)) = (open(RUN)?, open(BPF)?) else { return Ok(None) };
        let mounted = nix::sys::statfs::fstatfs(&bpf)?.filesystem_type() == nix::sys::statfs::BPF_FS_MAGIC;
        Ok(mounted.then_some(Self { run, bpf }))
    }

    /// The same directories, on the same mounts.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { run: self.run.try_clone()?, bpf: self.bpf.try_clone()? })
    }

    /// Path of the bpf file system, valid in this process.
    pub(crate) fn bpf(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.bpf.as_raw_fd()))
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/lock-{name}", self.run.as_raw_fd()))
    }

    /// Waits for a lock; gives up after [`limits::LOCK_SECS`].
    pub(crate) fn lock(&self, name: &str, how: How) -> Result<Lock, Error> {
        let deadline = Instant::now() + Duration::from_secs(limits::LOCK_SECS);
        loop {
            if let Some(lock) = self.try_lock(name, how)? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(Error::State(format!(
                    "another command has been changing this network namespace's tables for {} seconds; \
                     see who holds {RUN}/lock-{name}",
                    limits::LOCK_SECS
                )));
            }
            std::thread::sleep(LOCK_RETRY);
        }
    }

    /// Takes a lock if nobody holds it.
    pub(crate) fn try_lock(&self, name: &str, how: How) -> Result<Option<Lock>, Error> {
        let path = self.lock_path(name);
        let error = |error| failed(format!("locking {RUN}/lock-{name}"), error);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(error)?;
        let taken = match how {
            How::Shared => file.try_lock_shared(),
            How::Exclusive => file.try_lock(),
        };
        match taken {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(cause)) => return Err(error(cause)),
        }
        // The file may have been removed, with its namespace, between opening and locking: then this lock excludes nobody.
        let held = file.metadata().map_err(error)?;
        let same = fs::metadata(&path).is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino()));
        Ok(same.then_some(Lock { _file: file }))
    }

    /// Removes the file of a lock that is held exclusively; who waits for it makes a new one.
    pub(crate) fn remove_lock(&self, name: &str, held: Lock) {
        let _ = fs::remove_file(self.lock_path(name));
        drop(held);
    }

    /// Names of the locks that there are files of.
    pub(crate) fn locks(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(format!("/proc/self/fd/{}", self.run.as_raw_fd()))?;
        let names = names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: Vec<String> = names.collect::<io::Result<_>>()?;
        Ok(names.iter().filter_map(|name| name.strip_prefix("lock-")).map(str::to_owned).collect())
    }
}

/// Whether others may hold a lock at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// Other readers may.
    Shared,
    /// Nobody may.
    Exclusive,
}

/// A lock, held until dropped; the kernel releases it when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Lets this thread see what PID 1 sees. Where PID 1's mount namespace may not be entered (some containers), the oldest
/// ancestor's that may; a shell outlives the namespaces of the commands that it starts.
fn enter_first_namespace() -> io::Result<()> {
    let own = fs::metadata("/proc/thread-self/ns/mnt")?.ino();
    for ancestor in ancestors().into_iter().rev() {
        let Ok(namespace) = File::open(format!("/proc/{ancestor}/ns/mnt")) else { continue };
        if namespace.metadata()?.ino() == own {
            return Ok(());
        }
        unshare(CloneFlags::CLONE_FS)?;
        if setns(&namespace, CloneFlags::CLONE_NEWNS).is_ok() {
            return Ok(());
        }
    }
    Ok(())
}

/// The processes that this one descends from, its parent first, PID 1 last.
fn ancestors() -> Vec<u32> {
    let parent = |process: &u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
        (parent != 0).then_some(parent)
    };
    std::iter::successors(parent(&std::process::id()), parent).collect()
}

/// Makes the directories and mounts the file system, once.
fn mount_bpf() -> Result<(), Error> {
    let make = |path: &str| DirBuilder::new().recursive(true).mode(0o700).create(path);
    make(RUN).map_err(|error| failed(format!("creating {RUN}"), error))?;
    make(BPF).map_err(|error| failed(format!("creating {BPF}"), error))?;
    let lock = File::create(format!("{RUN}/lock")).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|error| failed(format!("locking {RUN}/lock"), error))?;
    let mounted = Place::visible().map_err(|error| failed(format!("opening {BPF}"), error))?;
    if mounted.is_some() {
        return Ok(());
    }
    mount(Some("rvs"), BPF, Some("bpf"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC, Some("mode=0700"))
        .map_err(|error| failed(format!("mounting a bpf file system at {BPF}"), error.into()))
}

/// The inode number of the calling thread's network namespace.
pub(crate) fn net_namespace() -> Result<u32, Error> {
    let path = "/proc/thread-self/ns/net";
    let inode = fs::metadata(path).map_err(|error| failed(format!("reading {path}"), error))?.ino();
    u32::try_from(inode).map_err(|_| Error::State(format!("{path} has inode {inode}, which is no namespace's")))
}
