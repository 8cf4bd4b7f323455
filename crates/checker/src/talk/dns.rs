//! A question to a name server (RFC 1035) and the head of its answer.

use super::{Step, Talk};
use crate::Reason;
use crate::params::Dns;

const HEAD: usize = 12;

/// Asks one question.
#[derive(Clone, Debug)]
pub(crate) struct DnsTalk {
    id: u16,
    question: Vec<u8>,
}

impl DnsTalk {
    /// `id`: the number by which the answer is known.
    pub(crate) fn new(dns: &Dns, id: u16) -> Self {
        Self { id, question: question(dns) }
    }
}

/// Whether a name can be asked for: labels of 1 to 63 bytes, 255 bytes in all.
pub fn is_askable(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.is_empty() || name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

fn question(dns: &Dns) -> Vec<u8> {
    let mut bytes = Vec::new();
    let name = dns.name.strip_suffix('.').unwrap_or(&dns.name);
    if is_askable(name) {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
    }
    bytes.push(0);
    bytes.extend_from_slice(&(dns.kind as u16).to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    bytes
}

impl Talk for DnsTalk {
    fn open(&mut self) -> Step {
        // One question, recursion desired.
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&self.question);
        Step::Say(bytes)
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        // What is not an answer to this question is somebody else's, or forged: the answer may still come.
        let Some(head) = bytes.get(..HEAD) else { return Step::Wait };
        let ours = head[..2] == self.id.to_be_bytes();
        let answer = head[2] & 0x80 != 0;
        let opcode = head[2] & 0x78;
        if !ours || !answer || opcode != 0 {
            return Step::Wait;
        }
        if head[2] & 2 != 0 && bytes.len() == HEAD {
            return Step::malformed("a truncated answer without its question");
        }
        let questions = u16::from_be_bytes([head[4], head[5]]);
        if questions > 1 || questions == 1 && !same_question(&bytes[HEAD..], &self.question) {
            return Step::Wait;
        }
        match head[3] & 0x0f {
            0 => Step::good(),
            rcode => Step::Fail(Reason::Rcode(rcode)),
        }
    }
}

/// Names are the same whatever the case of their letters.
fn same_question(bytes: &[u8], question: &[u8]) -> bool {
    bytes.get(..question.len()).is_some_and(|theirs| theirs.eq_ignore_ascii_case(question))
}
