//! One page, once: what `genhash` asks for. The same sockets, the same TLS and the same reader of pages as the checks have, without
//! a check around them.

use crate::connection::{Connection, Progress};
use crate::poller::Poller;
use crate::secure::Secure;
use crate::socket;
use crate::trust::Trust;
use rvs_checker::{CheckId, Net, Page, Target, Tls, Transport};
use std::io;
use std::time::Duration;

/// What to fetch, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// From where.
    pub target: Target,
    /// Over TLS.
    pub tls: Option<Tls>,
    /// What to say first ([`rvs_checker::request`]); HTTP/1 only.
    pub request: Vec<u8>,
    /// How long to wait for the connection, and for each piece.
    pub timeout: Duration,
    /// How much of the contents to keep, in bytes; the digest is of all.
    pub keep: usize,
}

/// Why there is no page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchError {
    /// Refused or unreachable; the system's error number.
    Refused(i32),
    /// No connection in time.
    ConnectTimeout,
    /// The handshake failed; why.
    Tls(String),
    /// No word, or no further word, in time. `begun`: something had come.
    ReadTimeout {
        /// There was a part of an answer.
        begun: bool,
    },
    /// The connection ended or broke before anything came.
    Broken,
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The page, or as much of it as came.
    pub page: Page,
    /// It is whole.
    pub complete: bool,
}

/// Fetches a page; blocks until it is there. An error of the system about descriptors counts as [`FetchError::Refused`].
pub fn fetch(what: &Fetch) -> Result<Fetched, FetchError> {
    let refused = |error: io::Error| FetchError::Refused(error.raw_os_error().unwrap_or(0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    runtime.block_on(async {
        let mut poller = Poller::new().map_err(refused)?;
        let secure = what.tls.as_ref().map(|tls| secure(tls, &what.target)).transpose().map_err(FetchError::Tls)?;
        let socket = socket::connect(Transport::Stream { h2: false }, &what.target).map_err(FetchError::Refused)?;
        let mut connection = Connection::new(CheckId::default(), 0, socket, secure);
        poller.add(connection.socket(), 0).map_err(refused)?;
        converse(&mut poller, &mut connection, what).await
    })
}

fn secure(tls: &Tls, target: &Target) -> Result<Secure, String> {
    let config = Trust::default().config(tls.verify, false, tls.sni.is_some())?;
    Secure::new(config, tls.sni.as_deref(), target.address.ip(), false, tls.compliant)
}

async fn converse(poller: &mut Poller, connection: &mut Connection, what: &Fetch) -> Result<Fetched, FetchError> {
    let mut page = Page::new(what.keep);
    let (mut events, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let (mut connected, mut begun) = (false, false);
    loop {
        // Edges: only when there is none is there anything to wait for.
        while !poller.take(&mut events) {
            let late = || match (connected, begun) {
                (false, _) => FetchError::ConnectTimeout,
                (true, begun) => FetchError::ReadTimeout { begun },
            };
            tokio::time::timeout(what.timeout, poller.wait()).await.map_err(|_| late())?;
        }
        events.drain(..).for_each(|event| connection.woken(event.readable));
        loop {
            match connection.advance(&mut buffer) {
                Progress::Net(Net::Connected) => {
                    connected = true;
                    // An error shows when the answer is read.
                    let _ = connection.say(&what.request);
                }
                Progress::Net(Net::Received(bytes)) => {
                    begun = true;
                    match page.hear(&bytes) {
                        Ok(false) => {}
                        end => return Ok(Fetched { page, complete: end.is_ok() }),
                    }
                }
                Progress::Net(Net::Closed | Net::Reset) if begun => {
                    let complete = page.ended().is_ok();
                    return Ok(Fetched { page, complete });
                }
                Progress::Net(Net::Closed | Net::Reset) => return Err(FetchError::Broken),
                Progress::Net(Net::Refused(errno)) => return Err(FetchError::Refused(errno)),
                Progress::Net(Net::Tls(why)) => return Err(FetchError::Tls(why)),
                Progress::Later => {}
                Progress::Idle => break,
                Progress::Over => return Err(FetchError::Broken),
            }
        }
    }
}
