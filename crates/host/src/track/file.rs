//! Tracked files: the number that a file begins with, told whenever it changes.
//!
//! The folder of each file is watched, so that a file may be written, replaced, removed and made again. A file is read when its
//! writer is done with it: between truncating and writing it says nothing, and that must move no priority.

use super::{Stop, Stopper, stopper};
use crate::clock;
use crate::thread::{Lateness, Promptness, World, spawn};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use rvs_machine::Time;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How much of a file is read.
const LONGEST: u64 = 128;
/// How often folders that are not there are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Takes a value: the tracked file's name in the configuration and what it says.
pub type TellFile = Arc<dyn Fn(&str, i64) + Send + Sync>;

/// The number at the beginning of a text, after white space: `-12 apples` is -12. Anything else is 0; what is too large is the
/// largest.
pub fn value_of(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -magnitude } else { magnitude }
}

/// What the file says now; 0 where it cannot be read.
pub fn read_value(path: &Path) -> i64 {
    let mut text = Vec::new();
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK) // A FIFO put in its place must not stop the reader.
        .open(path)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    read.map_or(0, |_| value_of(&text))
}

/// `init_file`: writes a first value where there is no file, or in any case. Links are not followed.
pub fn initialise(path: &Path, value: i64, overwrite: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
    let opened: io::Result<File> = match overwrite {
        true => options.create(true).truncate(true).open(path),
        false => options.create_new(true).open(path),
    };
    match opened {
        Ok(mut file) => file.write_all(format!("{value}\n").as_bytes()),
        Err(error) if !overwrite && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

struct Tracked {
    path: PathBuf,
    last: Option<i64>,
}

/// Watches files. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct FileTracker(#[allow(dead_code)] Stopper); // Held for its end.

impl FileTracker {
    /// Begins: each file's value is told at once, and then when it changes. Names are those of the configuration.
    pub fn start(files: BTreeMap<String, PathBuf>, tell: TellFile) -> io::Result<Self> {
        let (stopper, stop) = stopper()?;
        let make = move || {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let files = files.into_iter().map(|(name, path)| (name, Tracked { path, last: None })).collect();
            let mut watcher = Watcher { inotify, files, folders: BTreeMap::new(), tell, stop, look: Some(Time::ZERO) };
            watcher.look_for_folders(clock::now());
            watcher.read_all();
            Ok(watcher)
        };
        spawn("file-tracker", Promptness::default(), Arc::new(Lateness::default()), make)?;
        Ok(Self(stopper))
    }
}

struct Watcher {
    inotify: Inotify,
    files: BTreeMap<String, Tracked>,
    /// Folders that are watched.
    folders: BTreeMap<PathBuf, WatchDescriptor>,
    tell: TellFile,
    stop: Stop,
    look: Option<Time>,
}

impl Watcher {
    fn look_for_folders(&mut self, now: Time) {
        let mut missing = false;
        let wanted: Vec<PathBuf> = self.files.values().map(|file| folder_of(&file.path)).collect();
        for folder in wanted {
            if self.folders.contains_key(&folder) {
                continue;
            }
            let what = AddWatchFlags::IN_CLOSE_WRITE
                | AddWatchFlags::IN_MOVED_TO
                | AddWatchFlags::IN_MOVED_FROM
                | AddWatchFlags::IN_DELETE
                | AddWatchFlags::IN_DELETE_SELF
                | AddWatchFlags::IN_MOVE_SELF
                | AddWatchFlags::IN_ONLYDIR;
            match self.inotify.add_watch(&folder, what) {
                Ok(watch) => {
                    self.folders.insert(folder, watch);
                }
                Err(_) => missing = true,
            }
        }
        self.look = missing.then(|| now + LOOK_AGAIN);
    }

    fn read_all(&mut self) {
        for (name, file) in &mut self.files {
            let value = read_value(&file.path);
            if file.last != Some(value) {
                file.last = Some(value);
                (self.tell)(name, value);
            }
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl World for Watcher {
    fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.extend([self.inotify.as_fd(), self.stop.as_fd()]);
    }

    fn take_in(&mut self, now: Time) -> bool {
        let events = match self.inotify.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN | Errno::EINTR) => return false,
            Err(errno) => {
                tracing::warn!("Unable to read file events: {errno}");
                return false;
            }
        };
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_IGNORED;
        for event in events.iter().filter(|event| event.mask.intersects(gone)) {
            self.folders.retain(|_, watch| *watch != event.wd);
            let _ = self.inotify.rm_watch(event.wd); // The kernel has removed it already, unless the folder was moved.
            self.look = Some(now);
        }
        // All of them: there are few, an overflow is covered, and a file may be reached by several ways.
        self.read_all();
        true
    }

    fn carry_out(&mut self, _: Time) {}

    fn deadline(&self) -> Option<Time> {
        self.look
    }

    fn wake(&mut self, now: Time) {
        self.look_for_folders(now);
        self.read_all();
    }

    fn finished(&self) -> bool {
        self.stop.is_set()
    }
}

/// Whether a path may be tracked: it must not be a folder or a device.
pub fn trackable(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |facts| facts.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::eventually;
    use std::sync::Mutex;

    #[test]
    fn numbers_are_read_as_strtol_reads_them() {
        for (text, value) in [
            ("12\n", 12),
            ("  -7 apples", -7),
            ("+3", 3),
            ("", 0),
            ("none", 0),
            ("-", 0),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", -i64::MAX),
            ("0x10", 0),
        ] {
            assert_eq!(value_of(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn a_first_value_is_written_where_it_should_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        initialise(&path, 5, false).unwrap();
        initialise(&path, 6, false).unwrap();
        assert_eq!(read_value(&path), 5);
        initialise(&path, 7, true).unwrap();
        assert_eq!(read_value(&path), 7);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(initialise(&link, 8, true).is_err());
        assert!(trackable(&path) && trackable(&folder.path().join("none")) && !trackable(folder.path()));
    }

    #[test]
    fn writing_replacing_removing_and_making_folders_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("later/two"));
        fs::write(&one, "1").unwrap();
        let told: Arc<Mutex<BTreeMap<String, i64>>> = Arc::default();
        let sink = Arc::clone(&told);
        let files = BTreeMap::from([("one".to_owned(), one.clone()), ("two".to_owned(), two.clone())]);
        let tracker = FileTracker::start(
            files,
            Arc::new(move |name, value| {
                sink.lock().unwrap().insert(name.to_owned(), value);
            }),
        );
        let says = |name: &str, value: i64| {
            eventually(&format!("{name} says {value}"), || told.lock().unwrap().get(name) == Some(&value));
        };
        says("one", 1);
        says("two", 0);
        fs::write(&one, "22").unwrap();
        says("one", 22);
        let new = folder.path().join("new");
        fs::write(&new, "-3").unwrap();
        fs::rename(&new, &one).unwrap();
        says("one", -3);
        fs::remove_file(&one).unwrap();
        says("one", 0);
        fs::create_dir(two.parent().unwrap()).unwrap();
        fs::write(&two, "8").unwrap();
        says("two", 8);
        fs::remove_dir_all(two.parent().unwrap()).unwrap();
        says("two", 0);
        drop(tracker);
    }
}
