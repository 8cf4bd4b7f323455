//! gRPC's health checking protocol (`grpc.health.v1.Health/Check`) over as much of HTTP/2 (RFC 9113) as one call needs. Headers
//! of the answer are not decoded: the message in it is what counts, and its absence is a refusal.

use super::h2::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, Frames, GO_AWAY, GOAWAY, HEADERS, PING, PREFACE, PUSH_PROMISE,
    RST_STREAM, SETTINGS, frame, literal, unpadded,
};
use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::Grpc;
use crate::verdict::Finding;

/// Frames in one answer.
const FRAMES: u32 = 64;

/// Makes one call.
#[derive(Clone, Debug)]
pub(crate) struct GrpcTalk {
    service: String,
    authority: String,
    https: bool,
    heard: Frames,
    message: Gathered<1024>,
}

impl GrpcTalk {
    /// `authority`: the host in the request.
    pub(crate) fn new(grpc: &Grpc, authority: &str) -> Self {
        // Longer ones would need frames that the server must not be sent unasked, and no service has such a name.
        let service = grpc.service.chars().take(1000).collect();
        let authority = authority.chars().filter(|c| !c.is_control()).take(255).collect();
        let https = grpc.tls.is_some();
        Self { service, authority, https, heard: Frames::default(), message: Gathered::default() }
    }

    fn call(&self) -> Vec<u8> {
        let mut headers = Vec::new();
        literal(&mut headers, ":method", "POST");
        literal(&mut headers, ":scheme", if self.https { "https" } else { "http" });
        literal(&mut headers, ":path", "/grpc.health.v1.Health/Check");
        literal(&mut headers, ":authority", &self.authority);
        literal(&mut headers, "content-type", "application/grpc");
        literal(&mut headers, "te", "trailers");
        literal(&mut headers, "user-agent", "KeepAliveClient");
        // HealthCheckRequest { string service = 1; }, behind one byte (not compressed) and its length.
        let mut request = Vec::new();
        if !self.service.is_empty() {
            request.push(0x0a);
            varint(&mut request, self.service.len());
            request.extend_from_slice(self.service.as_bytes());
        }
        let mut message = vec![0];
        message.extend_from_slice(&(request.len() as u32).to_be_bytes());
        message.extend_from_slice(&request);
        // No table of header fields, no push.
        let settings = [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0];
        let parts = [
            PREFACE.to_vec(),
            frame(SETTINGS, 0, 0, &settings),
            frame(HEADERS, END_HEADERS, 1, &headers),
            frame(DATA, END_STREAM, 1, &message),
        ];
        parts.concat()
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) -> Step {
        let ends = flags & END_STREAM != 0;
        match (kind, stream) {
            (SETTINGS, 0) if flags & ACK == 0 => Step::Say(frame(SETTINGS, ACK, 0, &[])),
            (PING, 0) if flags & ACK == 0 && body.len() == 8 => Step::Say(frame(PING, ACK, 0, body)),
            (GO_AWAY, 0) => Step::Fail(Reason::NotServing("the server ends the connection".to_owned())),
            (RST_STREAM, 1) => Step::Fail(Reason::NotServing("the server breaks the call off".to_owned())),
            (HEADERS, 1) if ends => Step::Fail(Reason::NotServing("the call was refused".to_owned())),
            (DATA, 1) => self.data(flags, body, ends),
            (PUSH_PROMISE, _) => Step::malformed("a push that was ruled out"),
            _ => Step::Wait,
        }
    }

    fn data(&mut self, flags: u8, body: &[u8], ends: bool) -> Step {
        let body = match unpadded(flags, body) {
            Ok(body) => body,
            Err(reason) => return Step::Fail(reason),
        };
        if let Err(reason) = self.message.add(body) {
            return Step::Fail(reason);
        }
        let Some(&[compressed, a, b, c, d]) = self.message.bytes().first_chunk() else {
            return if ends { Step::Fail(Reason::ClosedEarly) } else { Step::Wait };
        };
        if compressed != 0 {
            return Step::malformed("a compressed message that was not offered");
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = length.saturating_add(5);
        match self.message.bytes().get(5..end) {
            Some(message) => serving(message),
            None if ends => Step::Fail(Reason::ClosedEarly),
            None if length > 1000 => Step::Fail(Reason::TooLong),
            None => Step::Wait,
        }
    }
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 128 {
        out.push((value % 128) as u8 | 128);
        value /= 128;
    }
    out.push(value as u8);
}

/// HealthCheckResponse { ServingStatus status = 1; }: 1 is SERVING.
fn serving(mut message: &[u8]) -> Step {
    let mut status = 0;
    while let Some((key, rest)) = read_varint(message) {
        let Some((value, after)) = read_varint(rest) else { return Step::malformed("a field without a value") };
        message = after;
        match key & 7 {
            0 if key >> 3 == 1 => status = value,
            0 => {}
            // A field of bytes: skipped.
            2 => match usize::try_from(value).ok().and_then(|length| message.get(length..)) {
                Some(rest) => message = rest,
                None => return Step::malformed("a field longer than its message"),
            },
            _ => return Step::malformed("a field of a kind that is not expected"),
        }
    }
    if !message.is_empty() {
        return Step::malformed("a message that breaks off");
    }
    let name = match status {
        1 => return Step::Pass(GOAWAY.to_vec(), Finding::default()),
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    };
    Step::Fail(Reason::NotServing(name.to_owned()))
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 127) << (7 * at);
        if byte < 128 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

impl Talk for GrpcTalk {
    fn open(&mut self) -> Step {
        Step::Say(self.call())
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        let mut say = Vec::new();
        let mut rest = bytes;
        loop {
            let Frame { kind, flags, stream, body } = match self.heard.next(&mut rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(reason) => return Step::Fail(reason),
            };
            if self.heard.count() > FRAMES {
                return Step::Fail(Reason::TooLong);
            }
            match self.frame(kind, flags, stream, &body) {
                Step::Wait => {}
                Step::Say(bytes) => say.extend_from_slice(&bytes),
                Step::Pass(bytes, finding) => {
                    say.extend_from_slice(&bytes);
                    return Step::Pass(say, finding);
                }
                step => return step,
            }
        }
        if say.is_empty() { Step::Wait } else { Step::Say(say) }
    }
}
