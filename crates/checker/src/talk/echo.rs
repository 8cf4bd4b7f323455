//! Echo requests of ICMP (RFC 792) and ICMPv6 (RFC 4443). The kernel fills in checksum and identifier where the socket is one
//! for pings, so answers are known by sequence number and contents.

use super::{Step, Talk};
use rvs_wire::checksum::checksum;

const TEXT: &[u8; 16] = b"rvs health check";

/// Sends an echo request.
#[derive(Clone, Debug)]
pub(crate) struct EchoTalk {
    request: u8,
    reply: u8,
    number: u64,
}

impl EchoTalk {
    /// `v6`: by ICMPv6. `number`: tells this request from earlier ones.
    pub(crate) fn new(v6: bool, number: u64) -> Self {
        let (request, reply) = if v6 { (128, 129) } else { (8, 0) };
        Self { request, reply, number }
    }

    fn rest(&self) -> Vec<u8> {
        let mut bytes = (self.number as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(TEXT);
        bytes
    }
}

impl Talk for EchoTalk {
    fn open(&mut self) -> Step {
        // Type, code, checksum and identifier; then sequence number and contents.
        let mut bytes = vec![self.request, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&self.rest());
        let sum = if self.request == 8 { checksum(&bytes).host() } else { 0 };
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        Step::Say(bytes)
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        let ours =
            bytes.first() == Some(&self.reply) && bytes.get(1) == Some(&0) && bytes.get(6..) == Some(&self.rest());
        if ours { Step::good() } else { Step::Wait }
    }
}
