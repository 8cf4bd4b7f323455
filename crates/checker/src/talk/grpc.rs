//! gRPC's health checking protocol (`grpc.health.v1.Health/Check`) over as much of HTTP/2 (RFC 9113) as one call needs. Headers
//! of the answer are not decoded: the message in it is what counts, and its absence is a refusal.

use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::Grpc;
use crate::verdict::Finding;

/// Bytes of one frame with its head: the greatest that we allow.
const FRAME_LIMIT: usize = 9 + 16_384;
/// Frames in one answer.
const FRAMES: u32 = 64;
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GOAWAY: no stream of the server's, no error.
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// Makes one call.
#[derive(Clone, Debug)]
pub(crate) struct GrpcTalk {
    service: String,
    authority: String,
    https: bool,
    heard: Gathered<{ 4 * FRAME_LIMIT }>,
    message: Gathered<1024>,
    frames: u32,
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A header field as a literal without indexing and without Huffman coding (RFC 7541, 6.2.2).
fn literal(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(0);
    for text in [name, value] {
        // Lengths from 127 on take more bytes.
        if text.len() < 127 {
            out.push(text.len() as u8);
        } else {
            out.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
        out.extend_from_slice(text.as_bytes());
    }
}

impl GrpcTalk {
    /// `authority`: the host in the request.
    pub(crate) fn new(grpc: &Grpc, authority: &str) -> Self {
        // Longer ones would need frames that the server must not be sent unasked, and no service has such a name.
        let service = grpc.service.chars().take(1000).collect();
        let authority = authority.chars().filter(|c| !c.is_control()).take(255).collect();
        let https = grpc.tls.is_some();
        Self { service, authority, https, heard: Gathered::default(), message: Gathered::default(), frames: 0 }
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
        let body = if flags & PADDED == 0 {
            body
        } else {
            let Some((&padding, rest)) = body.split_first() else { return Step::malformed("padding without a length") };
            match rest.len().checked_sub(usize::from(padding)) {
                Some(length) => &rest[..length],
                None => return Step::malformed("more padding than data"),
            }
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
        if let Err(reason) = self.heard.add(bytes) {
            return Step::Fail(reason);
        }
        let mut say = Vec::new();
        while let Some(&[a, b, c, kind, flags, e, f, g, h]) = self.heard.bytes().first_chunk() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if length > FRAME_LIMIT - 9 {
                return Step::malformed("a frame longer than allowed; not HTTP/2?");
            }
            let Some(body) = self.heard.bytes().get(9..9 + length).map(<[u8]>::to_vec) else { break };
            self.heard.consume(9 + length);
            self.frames += 1;
            if self.frames == 1 && kind != SETTINGS {
                return Step::malformed("no settings first; not HTTP/2?");
            }
            if self.frames > FRAMES {
                return Step::Fail(Reason::TooLong);
            }
            match self.frame(kind, flags, u32::from_be_bytes([e, f, g, h]) & 0x7fff_ffff, &body) {
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
