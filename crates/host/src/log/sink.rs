//! Where lines go: syslog, the journal, a file, the console. None of them may ever stop the daemon: what cannot be written is
//! lost, and the next line tries again.

use super::record::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

/// Where syslog listens.
pub(crate) const SYSLOG: &str = "/dev/log";
/// Where the journal listens.
pub(crate) const JOURNAL: &str = "/run/systemd/journal/socket";

/// One place for lines.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To `/dev/log`.
    Syslog { socket: Datagrams, facility: u8 },
    /// To the journal.
    Journal { socket: Datagrams, facility: u8 },
    /// To a file.
    File { path: PathBuf, file: BufWriter<File>, flush: bool, json: bool },
    /// To standard error.
    Console { json: bool },
}

impl Sink {
    /// Opens a file for appending; only its owner may read and write it.
    pub(crate) fn file(path: &Path, flush: bool, json: bool) -> io::Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: BufWriter::new(open(path)?), flush, json })
    }

    pub(crate) fn write(&mut self, record: &Record, pid: u32) {
        // There is nobody to tell that the log cannot be written.
        let _ = match self {
            Self::Syslog { socket, facility } => socket.send(record.syslog(*facility, pid).as_bytes()),
            Self::Journal { socket, facility } => socket.send(record.journal(*facility, pid).as_bytes()),
            Self::Console { json } => io::stderr().write_all(line(record, *json).as_bytes()),
            Self::File { file, flush, json, .. } => {
                let written = file.write_all(line(record, *json).as_bytes());
                if *flush { written.and_then(|()| file.flush()) } else { written }
            }
        };
    }

    pub(crate) fn flush(&mut self) {
        if let Self::File { file, .. } = self {
            let _ = file.flush();
        }
    }

    /// Opens a file anew, after it was moved away by a rotation of logs.
    pub(crate) fn reopen(&mut self) {
        self.flush();
        if let Self::File { path, file, .. } = self
            && let Ok(new) = open(path)
        {
            *file = BufWriter::new(new);
        }
    }
}

fn line(record: &Record, json: bool) -> String {
    if json { record.json() } else { record.plain() }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Datagrams to a socket's name, which may come and go.
#[derive(Debug)]
pub(crate) struct Datagrams {
    to: Option<SocketAddr>,
    socket: Option<UnixDatagram>,
}

impl Datagrams {
    pub(crate) fn new(to: &str) -> Self {
        Self { to: address(to).ok(), socket: None }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(to) = &self.to else { return Err(io::ErrorKind::InvalidInput.into()) };
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                none.insert(socket)
            }
        };
        socket.send_to_addr(bytes, to).map(drop)
    }
}

/// A path, or `@name` for one without a file.
pub(crate) fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

/// Whether standard error goes to the journal: `JOURNAL_STREAM` then has its device and inode.
pub(crate) fn stderr_is_journal(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else { return false };
    let facts = std::fs::metadata("/proc/self/fd/2");
    facts.is_ok_and(|facts| facts.dev().to_string() == device && facts.ino().to_string() == inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tracing::Level;

    fn record(message: &str) -> Record {
        Record {
            time: (0, 0),
            offset: 0,
            level: Level::WARN,
            ident: "Keepalived".into(),
            message: message.into(),
            fields: vec![],
        }
    }

    #[test]
    fn syslog_and_journal_get_a_datagram_each_also_when_they_come_late() {
        let folder = tempfile::tempdir().unwrap();
        for (name, wanted) in [
            ("syslog", "<28>Jan  1 00:00:00 Keepalived[7]: hello"),
            ("journal", "MESSAGE=hello\nPRIORITY=4\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=Keepalived\nSYSLOG_PID=7\n"),
        ] {
            let path = folder.path().join(name);
            let socket = Datagrams::new(path.to_str().unwrap());
            let mut sink = match name {
                "syslog" => Sink::Syslog { socket, facility: 3 },
                _ => Sink::Journal { socket, facility: 3 },
            };
            sink.write(&record("lost"), 7);
            let server = UnixDatagram::bind(&path).unwrap();
            sink.write(&record("hello"), 7);
            let mut buffer = [0; 256];
            let length = server.recv(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), wanted);
        }
    }

    #[test]
    fn a_file_is_appended_to_flushed_and_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let mut lazy = Sink::file(&path, false, false).unwrap();
        lazy.write(&record("one"), 7);
        assert_eq!(read(&path), "");
        lazy.flush();
        assert_eq!(read(&path), "Thu Jan  1 00:00:00 1970: one\n");
        let mut prompt = Sink::file(&path, true, false).unwrap();
        prompt.write(&record("two"), 7);
        assert_eq!(read(&path).lines().count(), 2);
        let moved = folder.path().join("log.1");
        std::fs::rename(&path, &moved).unwrap();
        prompt.reopen();
        prompt.write(&record("three"), 7);
        assert_eq!((read(&moved).lines().count(), read(&path).lines().count()), (2, 1));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_journal_is_known_by_its_inode() {
        let facts = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert!(stderr_is_journal(Some(&format!("{}:{}", facts.dev(), facts.ino()))));
        for no in [None, Some(""), Some("1:2"), Some("nonsense")] {
            assert!(!stderr_is_journal(no), "{no:?}");
        }
    }
}
