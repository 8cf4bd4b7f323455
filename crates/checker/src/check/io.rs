//! What happens to a check, what it wants done, and what has been seen of it.

use crate::params::{Target, Tls};
use crate::{Reason, Sentence, Verdict};
use core::time::Duration;
use rvs_machine::Time;

/// What happens to a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Something about the connection of this attempt.
    Net(u64, Net),
    /// The program of this attempt has ended.
    Program(u64, Ended),
    /// The number in the tracked file (0 for a file without one).
    File(i64),
    /// The session is up, or not.
    Session(bool),
    /// Rest until told otherwise, as while the virtual address is not here (`ha_suspend`).
    Suspend(bool),
    /// Break off what is going on and start at once: what a watchdog does with a check that is stuck.
    Restart,
}

/// What happens to a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Net {
    /// It stands; for TLS, with the handshake. For datagrams and echo requests: the socket is there.
    Connected,
    /// It did not come about, or an ICMP error came; the system's error number.
    Refused(i32),
    /// Bytes came, or a datagram (of echo replies the ICMP message).
    Received(Vec<u8>),
    /// The peer will send no more.
    Closed,
    /// The peer has reset it.
    Reset,
    /// The handshake of TLS failed, or an end without a farewell where one is asked for; why.
    Tls(String),
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It did not start; why.
    NotStarted(String),
}

/// What kind of connection is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP, or TLS over it. `h2`: offer HTTP/2 in the handshake.
    Stream {
        /// Offer `h2` by ALPN.
        h2: bool,
    },
    /// UDP.
    Datagram,
    /// A socket for pings of the target's family.
    Echo,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Open a connection; then [`Net::Connected`] or [`Net::Refused`].
    Open {
        /// The attempt.
        attempt: u64,
        /// Of which kind.
        transport: Transport,
        /// Where to.
        target: Target,
        /// Over TLS.
        tls: Option<Tls>,
    },
    /// Send bytes, or a datagram.
    Send(u64, Vec<u8>),
    /// Close. Properly: end our side, read (within limits of the runner's) until the peer ends its own, so that neither sees a
    /// reset. Otherwise drop it: the peer does not keep to the rules or is not there.
    Close {
        /// The attempt.
        attempt: u64,
        /// Properly.
        properly: bool,
    },
    /// Run the program of the check; then [`Input::Program`].
    Run(u64),
    /// Stop that program: ask (SIGTERM), then force (SIGKILL).
    Stop(u64),
    /// Write to the log.
    Log(Sentence),
    /// This has been found out.
    Verdict(Verdict),
}

/// What has been seen of a check.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Runs that have ended.
    pub runs: u64,
    /// Of those, failed ones.
    pub failures: u64,
    /// When the last run ended.
    pub last_run: Option<Time>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub reason: Option<Reason>,
    /// How long all runs took together.
    pub took_in_all: Duration,
    /// How often it was stuck and was begun anew.
    pub stuck: u64,
    /// How many runs took at most as long as each of [`Facts::BOUNDS`]; the last counts longer ones.
    pub histogram: [u64; Facts::BOUNDS.len() + 1],
}

impl Facts {
    /// Upper bounds of the histogram, in milliseconds.
    pub const BOUNDS: [u32; 11] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000];

    /// Counts a run.
    pub(super) fn count(&mut self, now: Time, took: Duration, reason: Option<Reason>) {
        let place = Self::BOUNDS.iter().position(|&bound| took.as_millis() <= u128::from(bound));
        self.histogram[place.unwrap_or(Self::BOUNDS.len())] += 1;
        self.runs += 1;
        self.took_in_all = self.took_in_all.saturating_add(took);
        self.failures += u64::from(reason.is_some());
        (self.last_run, self.took, self.reason) = (Some(now), took, reason);
    }
}
