//! The directory of one network namespace in the bpf file system: what is pinned there, how it comes to be, how it goes.
//!
//! A directory appears under its name complete, by a rename, and disappears the same way; so it is whole or not there,
//! whenever a tool dies. What it belongs to is told by its anchor, a link bound to the namespace: when the namespace has died
//! the link says so, and the next call of any tool collects the directory.
//!
//! bpf file systems allow no dots in names, and no files; small facts (which mode a user chose) are symbolic links' targets.

use super::place::{How, Lock, Place};
use super::{failed, sys};
use crate::Error;
use rvs_core::abi::ABI_VERSION;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Name of the anchor's pin.
pub(crate) const ANCHOR: &str = "anchor";

/// What a directory is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// A director.
    Director,
    /// A real server's decapsulation.
    Decap,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Director => "v",
            Self::Decap => "decap",
        }
    }
}

/// The directory of one network namespace.
#[derive(Debug)]
pub(crate) struct Home {
    place: Place,
    name: String,
    inode: u32,
}

impl Home {
    /// Names the directory of the network namespace with this inode; it need not exist.
    pub(crate) fn new(place: Place, purpose: Purpose, inode: u32) -> Self {
        Self { place, name: format!("{}{ABI_VERSION}-{inode}", purpose.label()), inode }
    }

    /// The network namespace.
    pub(crate) fn inode(&self) -> u32 {
        self.inode
    }

    /// Path of a pin.
    pub(crate) fn path(&self, pin: &str) -> PathBuf {
        self.dir().join(pin)
    }

    fn dir(&self) -> PathBuf {
        self.place.bpf().join(&self.name)
    }

    /// Waits for the lock of this network namespace.
    pub(crate) fn lock(&self, how: How) -> Result<Lock, Error> {
        self.place.lock(&self.inode.to_string(), how)
    }

    /// Takes a lock of another name exclusively, if nobody holds it.
    pub(crate) fn try_lock_named(&self, name: &str) -> Result<Option<Lock>, Error> {
        self.place.try_lock(name, How::Exclusive)
    }

    /// Gives such a lock back and removes its file.
    pub(crate) fn remove_lock_named(&self, name: &str, lock: Lock) {
        self.place.remove_lock(name, lock);
    }

    /// Opens a pin; `None` when it is not there.
    pub(crate) fn open(&self, pin: &str) -> Result<Option<OwnedFd>, Error> {
        match sys::obj_get(&self.path(pin)) {
            Ok(fd) => Ok(Some(fd)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(format!("opening the pin `{pin}`"), error)),
        }
    }

    /// Opens a pin that must be there.
    pub(crate) fn need(&self, pin: &str) -> Result<OwnedFd, Error> {
        let gone = || Error::State(format!("the tables in the kernel lack `{pin}`; `rvs teardown` removes them"));
        self.open(pin)?.ok_or_else(gone)
    }

    /// Pins something, in place of what was there.
    pub(crate) fn pin(&self, pin: &str, fd: impl AsFd) -> Result<(), Error> {
        self.unpin(pin)?;
        sys::obj_pin(fd.as_fd(), &self.path(pin)).map_err(|error| failed(format!("pinning `{pin}`"), error))
    }

    /// Pins something in place of what is pinned under that name, which is there all the while.
    pub(crate) fn replace(&self, pin: &str, fd: impl AsFd) -> Result<(), Error> {
        let next = format!("next-{pin}");
        self.pin(&next, fd)?;
        fs::rename(self.path(&next), self.path(pin))
            .map_err(|error| failed(format!("replacing the pin `{pin}`"), error))
    }

    /// Removes a pin or fact, if it is there.
    pub(crate) fn unpin(&self, pin: &str) -> Result<(), Error> {
        match fs::remove_file(self.path(pin)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(format!("removing the pin `{pin}`"), error))
            }
            _ => Ok(()),
        }
    }

    /// Reads a fact.
    pub(crate) fn fact(&self, name: &str) -> Option<String> {
        Some(fs::read_link(self.path(name)).ok()?.to_string_lossy().into_owned())
    }

    /// Writes a fact down, in place of the one that was there, in one step.
    pub(crate) fn note(&self, name: &str, value: &str) -> Result<(), Error> {
        let next = format!("next-{name}");
        self.unpin(&next)?;
        std::os::unix::fs::symlink(value, self.path(&next))
            .and_then(|()| fs::rename(self.path(&next), self.path(name)))
            .map_err(|error| failed(format!("noting `{name}`"), error))
    }

    /// Names of all pins and facts.
    pub(crate) fn pins(&self) -> Result<Vec<String>, Error> {
        names(&self.dir()).map_err(|error| failed("listing the pins", error))
    }

    /// Whether the directory is there and belongs to the namespace that now has its number.
    pub(crate) fn alive(&self) -> Result<bool, Error> {
        Ok(self.dir().is_dir() && owner(&self.dir()) == Some(self.inode))
    }

    /// Makes the directory: `fill` pins everything into a home that has no name yet. The lock must be held.
    pub(crate) fn create(&self, fill: impl FnOnce(&Self) -> Result<(), Error>) -> Result<(), Error> {
        self.remove()?;
        // Not opened again: where mounts propagate, that could find another mount of the file system, and renaming across
        // mounts is not allowed.
        let place = self.place.try_clone().map_err(|error| failed("opening /run/rvs again", error))?;
        let unborn = Self { place, name: format!("new-{}", self.name), inode: self.inode };
        unborn.remove()?;
        fs::create_dir(unborn.dir())
            .map_err(|error| failed(format!("creating the directory {}", unborn.name), error))?;
        let done = fill(&unborn).and_then(|()| {
            fs::rename(unborn.dir(), self.dir())
                .map_err(|error| failed(format!("naming the directory {}", self.name), error))
        });
        if done.is_err() {
            // The error that stopped us is the one to report.
            let _ = unborn.remove();
        }
        done
    }

    /// Removes the directory and all that is in it, if it is there. The lock must be held.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        remove(&self.place.bpf(), &self.name)
            .map_err(|error| failed(format!("removing the directory {}", self.name), error))
    }

    /// Removes the directory if it is there, and the lock's file with it.
    pub(crate) fn remove_with(self, lock: Lock) -> Result<(), Error> {
        self.remove()?;
        self.place.remove_lock(&self.inode.to_string(), lock);
        Ok(())
    }

    /// Removes what dead namespaces and dead tools left behind. Leaves alone what somebody is working on.
    pub(crate) fn collect(&self) -> Result<(), Error> {
        let root = self.place.bpf();
        let listing = |error| failed("listing the bpf file system", error);
        let mut inhabited = HashSet::new();
        for name in names(&root).map_err(listing)? {
            let Some(inode) = name.rsplit_once('-').and_then(|(_, inode)| inode.parse::<u32>().ok()) else { continue };
            let unfinished = name.starts_with("new-") || name.starts_with("old-");
            let dead = || unfinished || owner(&root.join(&name)) != Some(inode);
            if !dead() {
                inhabited.insert(inode);
                continue;
            }
            // Who holds the lock is making or removing it right now.
            let Some(_lock) = self.place.try_lock(&inode.to_string(), How::Exclusive)? else { continue };
            if dead() {
                remove(&root, &name).map_err(|error| failed(format!("removing the directory {name}"), error))?;
            }
        }
        let locks = self.place.locks().map_err(|error| failed("listing the locks", error))?;
        let deserted = |name: &&String| {
            // The number of the namespace stands alone or last.
            let number = name.rsplit('-').next().unwrap_or_default();
            number.parse().is_ok_and(|inode| !inhabited.contains(&inode))
        };
        for name in locks.iter().filter(deserted) {
            if let Some(lock) = self.place.try_lock(name, How::Exclusive)? {
                self.place.remove_lock(name, lock);
            }
        }
        Ok(())
    }

    /// Directories of this network namespace that another version of RVS made.
    pub(crate) fn others(&self, purpose: Purpose) -> Result<Vec<String>, Error> {
        let names = names(&self.place.bpf()).map_err(|error| failed("listing the bpf file system", error))?;
        let ours = |name: &String| {
            let version = name.strip_prefix(purpose.label()).and_then(|rest| rest.split_once('-'));
            version.is_some_and(|(version, inode)| {
                version.parse::<u32>().is_ok() && inode.parse() == Ok(self.inode) && *name != self.name
            })
        };
        Ok(names
            .into_iter()
            .filter(ours)
            .filter(|name| owner(&self.place.bpf().join(name)) == Some(self.inode))
            .collect())
    }

    /// Removes a directory of this network namespace by its name. The lock must be held.
    pub(crate) fn remove_other(&self, name: &str) -> Result<(), Error> {
        remove(&self.place.bpf(), name).map_err(|error| failed(format!("removing the directory {name}"), error))
    }
}

/// The inode of the living network namespace that a directory belongs to.
fn owner(dir: &Path) -> Option<u32> {
    let anchor = sys::obj_get(&dir.join(ANCHOR)).ok()?;
    let inode = sys::link_info(anchor.as_fd()).ok()?.target;
    (inode != 0).then_some(inode)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Takes a directory's name away, then empties and removes it. The links go first: from then on no packet meets a program.
fn remove(root: &Path, name: &str) -> io::Result<()> {
    let mut dir = root.join(name);
    if !dir.is_dir() {
        return Ok(());
    }
    if !name.starts_with("old-") {
        remove(root, &format!("old-{name}"))?;
        let unnamed = root.join(format!("old-{name}"));
        fs::rename(&dir, &unnamed)?;
        dir = unnamed;
    }
    let mut pins = names(&dir)?;
    pins.sort_by_key(|pin| !(pin.starts_with("tc-") || pin.starts_with("xdp-")));
    for pin in pins {
        fs::remove_file(dir.join(pin))?;
    }
    fs::remove_dir(dir)
}
