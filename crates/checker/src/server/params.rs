//! What a virtual server is made of, as far as health decides about it. Forwarding methods, schedulers and scripts are known to
//! whoever carries the outputs out.

use core::net::SocketAddr;
use core::time::Duration;

/// A virtual server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceParams {
    /// Its name in the log: `[10.0.1.10]:tcp:80`, `FWM 7` or `[WEB]:0`.
    pub name: String,
    /// The weight of all live real servers together from which on they suffice; at least 1.
    pub quorum: u32,
    /// How much more is needed to gain the quorum, and how much less to lose it.
    pub hysteresis: u32,
    /// At the end, notify as if everything had failed.
    pub omega: bool,
    /// Send mails about the quorum.
    pub smtp_alert: bool,
    /// Mails about a real server only when its state changes, not for each of its checks.
    pub no_checker_emails: bool,
    /// Notify about the state of each real server at the start.
    pub init_notifies: bool,
    /// The server for when the quorum is lost.
    pub sorry: Option<Sorry>,
    /// Real servers that leave connections unanswered leave for a while.
    pub outlier: Option<Outlier>,
    /// The real servers; no address twice.
    pub reals: Vec<RealParams>,
}

/// One without real servers, with keepalived's defaults.
impl Default for ServiceParams {
    fn default() -> Self {
        Self {
            name: String::new(),
            quorum: 1,
            hysteresis: 0,
            omega: false,
            smtp_alert: false,
            no_checker_emails: false,
            init_notifies: false,
            sorry: None,
            outlier: None,
            reals: Vec::new(),
        }
    }
}

/// A sorry server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sorry {
    /// Where it is.
    pub address: SocketAddr,
    /// Its name in the log.
    pub name: String,
    /// It has weight 0 while it is not needed, instead of being away.
    pub inhibit: bool,
}

/// When a real server counts as an outlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outlier {
    /// How many connections in a row may stay without an answer.
    pub consecutive_failures: u32,
    /// How long the first absence is; each further one is twice as long.
    pub base_ejection_time: Duration,
    /// How long an absence is at most.
    pub max_ejection_time: Duration,
    /// How much of the live weight may be absent at once, in per cent. One server may always be, unless this is 0.
    pub max_ejection_percent: u8,
}

/// A real server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RealParams {
    /// Where it is.
    pub address: SocketAddr,
    /// Its name in the log: `[10.0.2.11]:tcp:80`.
    pub name: String,
    /// Its weight.
    pub weight: i64,
    /// It has weight 0 while it fails, instead of being away.
    pub inhibit_on_failure: bool,
    /// Send mails.
    pub smtp_alert: bool,
    /// How long its weight grows after it has come back; zero: at once.
    pub slow_start: Duration,
    /// Its checks, in order: whether each counts as failed until its first success (`alpha`).
    pub checks: Vec<bool>,
}

/// What an administrator has decided about a real server, apart from its health.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Admin {
    /// Health decides.
    #[default]
    Ready,
    /// No new connections: weight 0.
    Drain,
    /// Not in the table.
    Maint,
}

impl Admin {
    /// Its name in commands.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}
