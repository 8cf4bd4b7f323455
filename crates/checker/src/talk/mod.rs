//! Conversations: what to say to a server and what to make of its answer, one file per protocol. A conversation sees bytes
//! and nothing else; time, connections and the log belong to `check`. Each ends for every sequence of bytes, and keeps no
//! more of them than its limit.

pub(crate) mod agent;
pub(crate) mod dns;
pub(crate) mod echo;
pub(crate) mod grpc;
pub(crate) mod h2;
pub(crate) mod mysql;
pub(crate) mod page;
pub(crate) mod page2;
pub(crate) mod pgsql;
pub(crate) mod redis;
pub(crate) mod smtp;
#[cfg(test)]
mod tests;
pub(crate) mod udp;

use crate::Reason;
use crate::verdict::Finding;
use core::fmt::Debug;

/// What a conversation wants next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// To hear more.
    Wait,
    /// To say this, then hear more.
    Say(Vec<u8>),
    /// It is over and good; say this first, if it is not empty.
    Pass(Vec<u8>, Finding),
    /// It is over and bad.
    Fail(Reason),
}

impl Step {
    /// Over and good, with nothing to add.
    pub(crate) fn good() -> Self {
        Self::Pass(Vec::new(), Finding::default())
    }

    pub(crate) fn malformed(what: &'static str) -> Self {
        Self::Fail(Reason::Malformed(what))
    }
}

/// A conversation.
pub(crate) trait Talk: Debug + Send {
    /// The connection stands.
    fn open(&mut self) -> Step;
    /// Bytes of a stream in pieces of any size, or a datagram.
    fn hear(&mut self, bytes: &[u8]) -> Step;
    /// The peer says no more.
    fn ended(&mut self) -> Step {
        Step::Fail(Reason::ClosedEarly)
    }
    /// The peer has been silent for the time that it had.
    fn silent(&mut self) -> Step {
        Step::Fail(Reason::ReadTimeout)
    }
}

/// Bytes of a stream until they are enough, at most `LIMIT` of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered<const LIMIT: usize>(Vec<u8>);

impl<const LIMIT: usize> Gathered<LIMIT> {
    /// Adds bytes; `Err` when they are too many.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        if self.0.len().saturating_add(bytes.len()) > LIMIT {
            return Err(Reason::TooLong);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// What is there.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Drops the first bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }

    /// Takes the first line out, without its end; `None` when there is none yet.
    pub(crate) fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.0.iter().position(|&byte| byte == b'\n')?;
        let mut line: Vec<u8> = self.0.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line)
    }
}
