//! The socket that `rvs vrrp` asks at: whoever connects gets one JSON document and the connection is closed. Only root may.

use super::ask::{Panel, ask};
use crate::dump;
use rvs_host::daemon::default_path;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as Blocking;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How many are served at once.
const AT_ONCE: usize = 8;
/// How long somebody may take to read.
const LONGEST: Duration = Duration::from_secs(10);
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
    let make = move || ask(&panel).map(|snapshot| dump::status(&snapshot, &panel).to_string());
    let text = tokio::task::spawn_blocking(make).await.ok().flatten();
    stream.write_all(text.unwrap_or_default().as_bytes()).await?;
    stream.shutdown().await
}

/// Asks the daemon that listens at this path; at the standard place when nothing is said.
///
/// # Errors
/// Nobody listens, or no answer came.
pub fn fetch(path: Option<&Path>) -> io::Result<serde_json::Value> {
    let standard = default_path(rvs_host::daemon::PidFileKind::Daemon, false, None).with_extension("sock");
    let path = path.unwrap_or(&standard);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("no daemon answers at {}: {error}", path.display()));
    let stream = Blocking::connect(path).map_err(named)?;
    stream.set_read_timeout(Some(LONGEST))?;
    let mut text = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut text).map_err(named)?;
    serde_json::from_str(&text).map_err(|_| named(io::ErrorKind::InvalidData.into()))
}
