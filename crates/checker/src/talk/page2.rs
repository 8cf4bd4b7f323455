//! A page of HTTP/2: its frames, in which the page is what lies in those of one stream. What is expected of it is `page`'s.

use super::h2::{
    ACK, DATA, END_STREAM, Frame, Frames, GO_AWAY, GOAWAY, HEADERS, PING, PUSH_PROMISE, RST_STREAM, SETTINGS, frame,
    status, unpadded,
};
use super::page::PageTalk;
use super::{Step, Talk};
use crate::Reason;

/// Frames without contents in one answer.
const IDLE: u32 = 256;

/// Asks for a page.
#[derive(Clone, Debug)]
pub(crate) struct Page2Talk {
    page: PageTalk,
    heard: Frames,
    idle: u32,
}

impl Page2Talk {
    /// `page`: with the request in HTTP/2.
    pub(crate) fn new(page: PageTalk) -> Self {
        Self { page, heard: Frames::default(), idle: 0 }
    }

    fn frame(&mut self, Frame { kind, flags, stream, body }: &Frame) -> Step {
        let ends = flags & END_STREAM != 0;
        match (*kind, stream) {
            (SETTINGS, 0) if flags & ACK == 0 => Step::Say(frame(SETTINGS, ACK, 0, &[])),
            (PING, 0) if flags & ACK == 0 && body.len() == 8 => Step::Say(frame(PING, ACK, 0, body)),
            // One that takes our request yet says so beforehand is about to shut down.
            (GO_AWAY, 0) if self.refused(body) => Step::Fail(Reason::ClosedEarly),
            (RST_STREAM, 1) => Step::Fail(Reason::ClosedEarly),
            (PUSH_PROMISE, _) => Step::malformed("a push that was ruled out"),
            (HEADERS, 1) => self.headers(*flags, body, ends),
            (DATA, 1) => match unpadded(*flags, body) {
                Ok(_) if !self.page.has_begun() => Step::malformed("contents without a head"),
                Ok(contents) => match self.page.hear(contents) {
                    Step::Wait if ends => self.page.ended(),
                    step => step,
                },
                Err(reason) => Step::Fail(reason),
            },
            _ => Step::Wait,
        }
    }

    /// Whether a farewell leaves our stream out, or is an error.
    fn refused(&self, body: &[u8]) -> bool {
        match body.first_chunk() {
            Some(&[a, b, c, d, e, f, g, h]) => {
                u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff == 0 || u32::from_be_bytes([e, f, g, h]) != 0
            }
            None => true,
        }
    }

    fn headers(&mut self, flags: u8, body: &[u8], ends: bool) -> Step {
        if !self.page.has_begun() {
            match status(flags, body) {
                Ok(Some(100..=199)) if !ends => return Step::Wait,
                Ok(Some(code)) => self.page.begin(code),
                Ok(None) => return Step::Fail(Reason::Status(0)),
                Err(reason) => return Step::Fail(reason),
            }
        }
        // After the contents these are trailers, which nobody looks at.
        if ends { self.page.ended() } else { Step::Wait }
    }
}

impl Talk for Page2Talk {
    fn open(&mut self) -> Step {
        self.page.open()
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        let mut say = Vec::new();
        let mut rest = bytes;
        loop {
            let frame = match self.heard.next(&mut rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(reason) => return Step::Fail(reason),
            };
            if frame.kind != DATA || frame.body.is_empty() {
                self.idle += 1;
                if self.idle > IDLE {
                    return Step::Fail(Reason::TooLong);
                }
            }
            match self.frame(&frame) {
                Step::Wait => {}
                Step::Say(bytes) => say.extend_from_slice(&bytes),
                Step::Pass(_, finding) => {
                    say.extend_from_slice(&GOAWAY);
                    return Step::Pass(say, finding);
                }
                step => return step,
            }
        }
        if say.is_empty() { Step::Wait } else { Step::Say(say) }
    }
}
