//! What happens to a virtual server, what it wants done, and how its real servers stand.

use super::params::{Admin, ServiceParams};
use crate::verdict::Verdict;
use core::net::SocketAddr;
use rvs_machine::Time;

/// What happens to a virtual server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceInput {
    /// It begins. Before this nothing is in the table.
    Start,
    /// One of a real server's checks has come to a verdict.
    Verdict {
        /// The real server.
        real: SocketAddr,
        /// Which of its checks.
        check: usize,
        /// What it says.
        verdict: Verdict,
    },
    /// An administrator has decided; why, for the log.
    Admin {
        /// The real server.
        real: SocketAddr,
        /// What.
        state: Admin,
        /// Why; may be empty.
        why: String,
    },
    /// The packet path has seen a new connection answered, or left without an answer.
    Passive {
        /// The real server.
        real: SocketAddr,
        /// It was answered.
        answered: bool,
    },
    /// Other parameters. Real servers are told apart by their addresses; what is the same stays as it is.
    Reload(ServiceParams),
    /// It ends.
    Stop {
        /// Leave the table as it is.
        keep: bool,
    },
}

/// An entry of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dest {
    /// A real server.
    Real(SocketAddr),
    /// The sorry server, which has a forwarding method of its own.
    Sorry(SocketAddr),
}

/// A change of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Enter with this weight.
    Add(Dest, i64),
    /// Change the weight.
    SetWeight(Dest, i64),
    /// Take out; connections are let go on or not as configured for the service.
    Remove(Dest),
}

/// What scripts are run for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// `notify_up` of a real server.
    Up(SocketAddr),
    /// `notify_down` of a real server.
    Down(SocketAddr),
    /// `quorum_up`.
    QuorumUp,
    /// `quorum_down`.
    QuorumDown,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceOutput {
    /// Change the table, all at once.
    Commit(Vec<Edit>),
    /// Write to the log.
    Log(String),
    /// Run the script, if one is configured.
    Notify(Notify),
    /// Write this line, with a line break behind it, to the FIFOs.
    Fifo(String),
    /// Send a mail; `[router_id] ` goes before the subject.
    Mail {
        /// Its subject.
        subject: String,
        /// Its body.
        body: String,
    },
}

/// How a real server stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RealView {
    /// Where it is.
    pub address: SocketAddr,
    /// All its checks say that it is up.
    pub alive: bool,
    /// How many do not.
    pub failed_checks: usize,
    /// Its weight with all advice.
    pub weight: i64,
    /// Its weight in the table; `None`: it is not there.
    pub in_table: Option<i64>,
    /// What an administrator has decided.
    pub admin: Admin,
    /// That, or what its agent wants if that is more.
    pub effective_admin: Admin,
    /// Until when it is ejected.
    pub ejected_until: Option<Time>,
    /// Its weight is growing.
    pub starts_slowly: bool,
}
