//! FIFOs that tell what happens, and the script that reads one.
//!
//! Writing never waits: without a reader the kernel keeps what fits in the pipe, then this keeps a bounded number of lines, then
//! lines are dropped and counted. A line is written whole or not at all.

use crate::script::{Group, Script};
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The most lines kept for a reader that does not read.
pub const BACKLOG: usize = 1024;
/// The longest line: what the kernel writes in one piece.
const LONGEST: usize = 4096;
/// How long a reading script that ended is left alone before it is started again.
const RESTART: Duration = Duration::from_secs(1);
/// Only its owner reads what is told.
const PERMISSIONS: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<(VecDeque<Vec<u8>>, u64)>,
    bell: Notify,
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, (VecDeque<Vec<u8>>, u64)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A FIFO that is written to. It is removed when dropped, if it was made here.
#[derive(Debug)]
pub struct Fifo {
    path: PathBuf,
    made: bool,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Fifo {
    /// Opens the FIFO at `path`, makes it where there is nothing, and starts the script that reads it (with the path behind its
    /// own arguments). Something else at that path is an error. Must be called on a runtime.
    pub fn open(path: &Path, reader: Option<Script>) -> io::Result<Self> {
        let made = match mkfifo(path, PERMISSIONS) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        if !fs::metadata(path)?.file_type().is_fifo() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is no FIFO", path.display())));
        }
        // Open for reading as well: so it opens without a reader, and the end of one is no error.
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        let sender = pipe::Sender::from_file_unchecked(file)?;
        let shared = Arc::new(Shared::default());
        let mut tasks = vec![tokio::spawn(write(sender, Arc::clone(&shared)))];
        if let Some(script) = reader {
            let script = script.with([path.display().to_string()]);
            tasks.push(tokio::spawn(keep_running(script)));
        }
        Ok(Self { path: path.to_owned(), made, shared, tasks })
    }

    /// Puts a line behind the others. `false`: it was dropped. Never waits.
    pub fn tell(&self, line: Vec<u8>) -> bool {
        let mut lines = self.shared.lines();
        if lines.0.len() >= BACKLOG || line.len() > LONGEST {
            lines.1 += 1;
            if lines.1.is_power_of_two() {
                tracing::warn!("Nobody reads {}; {} lines dropped so far", self.path.display(), lines.1);
            }
            return false;
        }
        lines.0.push_back(line);
        drop(lines);
        self.shared.bell.notify_one();
        true
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.shared.lines().1
    }

    /// How many lines wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.lines().0.len()
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if self.made {
            let _ = fs::remove_file(&self.path); // Somebody else may have removed it.
        }
    }
}

async fn write(sender: pipe::Sender, shared: Arc<Shared>) {
    loop {
        // Looked at in place, so that a line that does not fit yet is not lost and counts as waiting.
        let next = shared.lines().0.front().cloned();
        let Some(line) = next else {
            shared.bell.notified().await;
            continue;
        };
        match sender.try_write(&line) {
            Ok(_) => {
                shared.lines().0.pop_front();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if sender.writable().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!("Unable to write to a notify FIFO: {error}");
                return;
            }
        }
    }
}

async fn keep_running(script: Script) {
    loop {
        let ended = match Group::start(&script) {
            Ok(mut group) => group.wait().await,
            Err(ended) => ended,
        };
        tracing::info!("Notify FIFO script {} {ended}; it is started again", script.name());
        tokio::time::sleep(RESTART).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::security::RunAs;
    use crate::testing::{DEADLINE, runtime};
    use std::os::unix::fs::PermissionsExt;
    use tokio::io::AsyncReadExt;

    #[test]
    fn lines_reach_the_reader_in_order_and_the_fifo_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        runtime().block_on(async {
            let fifo = Fifo::open(&path, None).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(fifo.tell(b"INSTANCE \"VI_1\" MASTER 100\n".to_vec()));
            let mut reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
            assert!(fifo.tell(b"INSTANCE \"VI_1\" BACKUP 100\n".to_vec()));
            let mut text: Vec<u8> = Vec::new();
            while text.len() < 54 {
                let mut buffer = [0; 64];
                let read = tokio::time::timeout(DEADLINE, reader.read(&mut buffer)).await.unwrap().unwrap();
                text.extend(&buffer[..read]);
            }
            assert_eq!(text, b"INSTANCE \"VI_1\" MASTER 100\nINSTANCE \"VI_1\" BACKUP 100\n");
        });
        assert!(!path.exists());
    }

    #[test]
    fn without_a_reader_nothing_waits_and_what_is_too_much_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        mkfifo(&path, PERMISSIONS).unwrap();
        runtime().block_on(async {
            let fifo = Fifo::open(&path, None).unwrap();
            let line = vec![b'x'; 1000];
            let mut taken = 0;
            for _ in 0..3000 {
                taken += usize::from(fifo.tell(line.clone()));
                tokio::task::yield_now().await;
            }
            assert!(!fifo.tell(vec![b'x'; LONGEST + 1]));
            assert_eq!(fifo.waiting(), BACKLOG);
            assert_eq!(fifo.dropped() as usize, 3001 - taken);
            assert!(taken > BACKLOG && taken < 3000, "{taken}");
        });
        assert!(path.exists(), "it was there before");
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "precious").unwrap();
        let error = runtime().block_on(async { Fifo::open(&path, None).unwrap_err() });
        assert!(error.to_string().contains("is no FIFO"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn the_reading_script_gets_the_path_and_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, out) = (folder.path().join("fifo"), folder.path().join("out"));
        let by = RunAs { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let text = "read line < \"$1\"; echo \"$line\" >> \"$OUT\"";
        let mut script = Script::new(["/bin/sh", "-c", text, "sh"].map(String::from).to_vec(), by);
        script.variables = vec![("OUT".into(), out.display().to_string())];
        runtime().block_on(async {
            let fifo = Fifo::open(&path, Some(script)).unwrap();
            for wanted in 1..=2 {
                fifo.tell(b"VS [1.2.3.4]:tcp:80 UP\n".to_vec());
                let all = async {
                    while fs::read_to_string(&out).unwrap_or_default().lines().count() < wanted {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::time::timeout(DEADLINE, all).await.unwrap();
            }
        });
        assert!(fs::read_to_string(&out).unwrap().starts_with("VS [1.2.3.4]:tcp:80 UP\n"));
    }
}
