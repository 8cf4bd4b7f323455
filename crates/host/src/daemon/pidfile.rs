//! Files that hold the number of the running process, at the original's paths.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Which of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidFileKind {
    /// `-p`
    Daemon,
    /// `-r`
    Vrrp,
    /// `-c`
    Checkers,
    /// `-b`
    Bfd,
}

/// Where the file is when nothing is said: `/run/keepalived.pid`, `/run/keepalived_vrrp.pid` and so on; with `use_pid_dir` below
/// `/run/keepalived/`; with `instance` its name stands before the dot.
pub fn default_path(kind: PidFileKind, folder: bool, instance: Option<&str>) -> PathBuf {
    let name = match kind {
        PidFileKind::Daemon => "keepalived",
        PidFileKind::Vrrp => "keepalived_vrrp",
        PidFileKind::Checkers => "keepalived_checkers",
        PidFileKind::Bfd => "keepalived_bfd",
    };
    let instance = instance.map(|instance| format!("_{}", instance.replace('/', "_"))).unwrap_or_default();
    Path::new(if folder { "/run/keepalived" } else { "/run" }).join(format!("{name}{instance}.pid"))
}

/// Why the file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// The daemon runs already.
    #[error("daemon is already running (process {1}, {0})")]
    Running(PathBuf, i32),
    /// The file cannot be written.
    #[error("Unable to write pid file {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// The file of this process; locked while it runs, removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: Flock<File>,
}

impl PidFile {
    /// Writes it. A file of a process that is no more is taken over.
    pub fn write(path: &Path) -> Result<Self, PidFileError> {
        let failed = |error: io::Error| PidFileError::Io(path.to_owned(), error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path);
        let mut file = match Flock::lock(options.map_err(failed)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(PidFileError::Running(path.to_owned(), read(path).unwrap_or(0)));
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        // The original does not lock its file.
        if let Some(pid) = read(path).filter(|pid| is_keepalived(*pid)) {
            return Err(PidFileError::Running(path.to_owned(), pid));
        }
        file.set_len(0).map_err(failed)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // While the lock is held, so that nobody's newer file is removed.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.sync_all();
    }
}

fn read(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Whether another process of this number runs and is named as we or the original are.
fn is_keepalived(pid: i32) -> bool {
    let own = i32::try_from(std::process::id()) == Ok(pid);
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let theirs = name(&pid.to_string());
    !own && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
        && (theirs.starts_with("keepalived") || theirs == name("self"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn paths_are_the_originals() {
        let path = |kind, folder, instance| default_path(kind, folder, instance).display().to_string();
        assert_eq!(path(PidFileKind::Daemon, false, None), "/run/keepalived.pid");
        assert_eq!(path(PidFileKind::Vrrp, false, None), "/run/keepalived_vrrp.pid");
        assert_eq!(path(PidFileKind::Checkers, true, None), "/run/keepalived/keepalived_checkers.pid");
        assert_eq!(path(PidFileKind::Bfd, false, Some("../x")), "/run/keepalived_bfd_.._x.pid");
    }

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/x.pid");
        let first = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        let error = PidFile::write(&path).unwrap_err();
        assert!(matches!(error, PidFileError::Running(_, pid) if pid == std::process::id() as i32), "{error}");
        drop(first);
        assert!(!path.exists());
        for stale in ["999999999\n", "", "garbage", "-1", "1"] {
            fs::write(&path, stale).unwrap();
            drop(PidFile::write(&path).unwrap());
        }
    }
}
