//! A datagram, and the answer that may be required.

use super::{Step, Talk};
use crate::Reason;
use crate::params::{Udp, UdpReply};

/// Sends a datagram.
#[derive(Clone, Debug)]
pub(crate) struct UdpTalk(Udp);

impl UdpTalk {
    /// This one.
    pub(crate) fn new(udp: &Udp) -> Self {
        Self(udp.clone())
    }
}

fn fits(reply: &UdpReply, bytes: &[u8]) -> bool {
    let same = |(&byte, &(value, mask)): (&u8, &(u8, u8))| byte & mask == value & mask;
    (reply.min..=reply.max).contains(&bytes.len())
        && bytes.len() >= reply.pattern.len()
        && bytes.iter().zip(&reply.pattern).all(same)
}

impl Talk for UdpTalk {
    fn open(&mut self) -> Step {
        Step::Say(self.0.payload.clone())
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        match &self.0.reply {
            Some(reply) if !fits(reply, bytes) => Step::Fail(Reason::Mismatch),
            _ => Step::good(),
        }
    }

    fn silent(&mut self) -> Step {
        // No error has come either.
        if self.0.reply.is_some() { Step::Fail(Reason::ReadTimeout) } else { Step::good() }
    }
}
