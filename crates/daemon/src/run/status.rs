//! The socket that `rvs vrrp`, `rvs check` and `rvs drain` ask at: whoever connects writes one JSON document and ends his side,
//! gets one and the connection is closed. Only root may.

use super::ask::{Panel, ask, board, decide};
use crate::dump;
use crate::keeper::Decision;
use rvs_checker::Admin;
use rvs_host::daemon::default_path;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, BufWriter, Read as _, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How many are served at once.
const AT_ONCE: usize = 8;
/// How long somebody may take to read.
const LONGEST: Duration = Duration::from_secs(10);
/// The longest question that is read.
const LONGEST_QUESTION: u64 = 64 << 10;
/// So much of an answer is written at once.
const PIECE: usize = 64 << 10;
/// The longest document that is read.
const LONGEST_ANSWER: u64 = 64 << 20;

/// The server; ends when dropped, and its socket goes.
#[derive(Debug)]
pub(super) struct StatusServer {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl StatusServer {
    /// Listens. That it cannot is no reason not to run: it is said, and `rvs vrrp` will say so too.
    pub(super) fn start(path: &Path, panel: Panel) -> Option<Self> {
        match listen(path) {
            Ok(listener) => Some(Self { path: path.to_owned(), task: tokio::spawn(serve(listener, panel)) }),
            Err(error) => {
                tracing::warn!("Unable to listen at {}: {error}", path.display());
                None
            }
        }
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path); // Somebody else may have removed it.
    }
}

/// The pid file, which is locked, says that the socket at this path is nobody else's.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|facts| facts.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(listener: UnixListener, panel: Panel) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let panel = panel.clone();
        tokio::spawn(async move {
            let _place = place;
            // Whoever does not read gets nothing.
            let _ = timeout(LONGEST, answer(stream, panel)).await;
        });
    }
}

async fn answer(mut stream: UnixStream, panel: Panel) -> io::Result<()> {
    let mut question = Vec::new();
    (&mut stream).take(LONGEST_QUESTION).read_to_end(&mut question).await?;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    let until = Instant::now() + LONGEST;
    // Written as it is made: with thousands of real servers it is long.
    let write = move || respond(&question, &panel, BufWriter::with_capacity(PIECE, Patient { stream, until }));
    tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
}

/// Somebody who is written to, but not for ever.
struct Patient {
    stream: Blocking,
    until: Instant,
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Writes the answer to a question.
fn respond(question: &[u8], panel: &Panel, mut to: impl Write) -> io::Result<()> {
    let question = serde_json::from_slice::<Value>(question).unwrap_or_default();
    let about_checks = question["ask"] == "check";
    match about_checks.then(|| board(panel)).flatten() {
        Some(board) if question["as"] == "table" => {
            serde_json::to_writer(&mut to, &json!({ "table": dump::check_table(&board) }))?;
        }
        Some(board) => serde_json::to_writer(&mut to, &dump::check_status(&board))?,
        None if about_checks => serde_json::to_writer(&mut to, &silent())?,
        None => serde_json::to_writer(&mut to, &short(&question, panel))?,
    }
    to.flush()
}

fn silent() -> Value {
    json!({ "error": "the daemon does not answer" })
}

/// A short answer; a member `error` says that there is none.
fn short(question: &Value, panel: &Panel) -> Value {
    let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
    match question["ask"].as_str() {
        Some("vrrp") => ask(panel).map_or_else(silent, |snapshot| dump::status(&snapshot, panel)),
        Some("decide") => {
            let state =
                [Admin::Ready, Admin::Drain, Admin::Maint].into_iter().find(|state| state.name() == text("state"));
            let Some(state) = state else { return json!({ "error": "no such state" }) };
            let decision = Decision { service: text("service"), real: text("real"), state, why: text("why") };
            match decide(panel, decision) {
                Ok(decided) => json!({ "service": decided.service, "real": decided.real, "state": state.name() }),
                Err(why) => json!({ "error": why }),
            }
        }
        _ => json!({ "error": "this version does not know this question" }),
    }
}

/// Asks the daemon that listens at this path how its virtual routers stand; at the standard place when nothing is said.
///
/// # Errors
/// As [`request`].
pub fn fetch(path: Option<&Path>) -> io::Result<Value> {
    request(path, &json!({ "ask": "vrrp" }))
}

/// Asks the daemon that listens at this path; at the standard place when nothing is said.
///
/// # Errors
/// Nobody listens, no answer came, or it says why not.
pub fn request(path: Option<&Path>, question: &Value) -> io::Result<Value> {
    let standard = default_path(rvs_host::daemon::PidFileKind::Daemon, false, None).with_extension("sock");
    let path = path.unwrap_or(&standard);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("no daemon answers at {}: {error}", path.display()));
    let mut stream = Blocking::connect(path).map_err(named)?;
    stream.set_read_timeout(Some(LONGEST))?;
    stream.write_all(question.to_string().as_bytes()).map_err(named)?;
    stream.shutdown(Shutdown::Write).map_err(named)?;
    let mut text = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut text).map_err(named)?;
    let answer: Value = serde_json::from_str(&text).map_err(|_| named(io::ErrorKind::InvalidData.into()))?;
    match answer["error"].as_str() {
        Some(why) => Err(io::Error::other(why.to_owned())),
        None => Ok(answer),
    }
}
