//! A page of HTTP/1: reads an answer in pieces of any size, whatever its length is told by (`Content-Length`, chunks, the end
//! of the connection), and compares it with what is expected.

use super::{Step, Talk};
use crate::http::Url;
use crate::verdict::{Finding, Met};
use crate::{Compiled, Pattern, Reason};
use md5::{Digest, Md5};

/// Bytes that the head of an answer may take.
const HEAD_LIMIT: usize = 16 << 10;
/// Bytes of contents that are read for a digest.
pub(crate) const DIGEST_LIMIT: u64 = 64 << 20;
/// Bytes of contents that are kept for an expression.
pub(crate) const PATTERN_LIMIT: u64 = 1 << 20;
/// Bytes of contents that are read, for courtesy, where nothing depends on them.
pub(crate) const COURTESY_LIMIT: u64 = 256 << 10;

/// An answer as it comes in. [`Page::hear`] until it says that the page is complete, or [`Page::ended`].
#[derive(Clone, Debug)]
pub struct Page {
    head: Vec<u8>,
    body: Body,
    status: Option<u16>,
    decoded: Md5,
    raw: Md5,
    chunked: bool,
    length: u64,
    kept: Vec<u8>,
    keep: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    /// The head is not complete.
    Head,
    /// Everything until the connection ends.
    UntilEnd,
    /// So many bytes more.
    Left(u64),
    /// In chunks.
    Chunks(Chunk),
    /// Nothing more.
    Complete,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    /// In the line with the size: the size so far, how many digits, and whether they have ended.
    Size(u64, u8, bool),
    /// In the contents: so many bytes more.
    Data(u64),
    /// In the line break after the contents.
    Break,
    /// In the lines after the last chunk; how many bytes of the current line there were.
    Trailer(usize),
}

impl Page {
    /// Nothing yet; keeps the first `keep` bytes of the contents.
    pub fn new(keep: usize) -> Self {
        Self {
            head: Vec::new(),
            body: Body::Head,
            status: None,
            decoded: Md5::new(),
            raw: Md5::new(),
            chunked: false,
            length: 0,
            kept: Vec::new(),
            keep,
        }
    }

    /// An answer whose head was read elsewhere, as that of HTTP/2, with contents until [`Page::ended`].
    pub(crate) fn begin(&mut self, status: u16) {
        (self.status, self.body) = (Some(status), Body::UntilEnd);
    }

    /// The status; `None` as long as there is none, and for an answer that has none.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The head as it came, with the empty line at its end.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The beginning of the contents, as much of it as is kept.
    pub fn contents(&self) -> &[u8] {
        &self.kept
    }

    /// How long the contents are so far, in bytes, without the framing of chunks.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The digest of the contents; for contents in chunks also that of what came over the wire, which is what keepalived
    /// compares with.
    pub fn digests(&self) -> ([u8; 16], Option<[u8; 16]>) {
        (self.decoded.clone().finalize().into(), self.chunked.then(|| self.raw.clone().finalize().into()))
    }

    /// Takes bytes; `Ok(true)`: the page is complete, what follows does not belong to it.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<bool, Reason> {
        let mut rest = bytes;
        while !rest.is_empty() && self.body != Body::Complete {
            rest = match self.body {
                Body::Head => self.hear_head(rest)?,
                Body::UntilEnd => {
                    self.take(rest);
                    &[]
                }
                Body::Left(left) => {
                    let (now, later) = rest.split_at(usize::try_from(left).map_or(rest.len(), |n| n.min(rest.len())));
                    self.take(now);
                    let left = left - now.len() as u64;
                    self.body = if left == 0 { Body::Complete } else { Body::Left(left) };
                    later
                }
                Body::Chunks(chunk) => self.hear_chunks(chunk, rest)?,
                Body::Complete => &[],
            };
        }
        Ok(self.body == Body::Complete)
    }

    /// The connection has ended: `Ok` when that is the end of the page.
    pub fn ended(&mut self) -> Result<(), Reason> {
        match self.body {
            Body::UntilEnd | Body::Complete => Ok(()),
            Body::Head | Body::Left(_) | Body::Chunks(_) => Err(Reason::ClosedEarly),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.decoded.update(bytes);
        let room = self.keep.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
    }

    fn hear_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Reason> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.head.push(byte);
            if byte == b'\n' && (self.head.ends_with(b"\r\n\r\n") || self.head.ends_with(b"\n\n")) {
                self.begin_body();
                return Ok(&bytes[at + 1..]);
            }
            if self.head.len() >= HEAD_LIMIT {
                return Err(Reason::TooLong);
            }
        }
        Ok(&[])
    }

    fn begin_body(&mut self) {
        self.status = status(&self.head);
        if matches!(self.status, Some(100..=199)) {
            // An interim answer; the real one follows.
            self.head.clear();
            self.status = None;
            return;
        }
        self.chunked = header(&self.head, "transfer-encoding").is_some_and(|value| value.contains("chunked"));
        let length = header(&self.head, "content-length").and_then(|value| value.parse().ok());
        self.body = match (self.status, self.chunked, length) {
            (Some(204 | 304), _, _) | (_, false, Some(0)) => Body::Complete,
            (_, true, _) => Body::Chunks(Chunk::Size(0, 0, false)),
            (_, false, Some(length)) => Body::Left(length),
            (_, false, None) => Body::UntilEnd,
        };
    }

    fn hear_chunks<'a>(&mut self, chunk: Chunk, bytes: &'a [u8]) -> Result<&'a [u8], Reason> {
        if let Chunk::Data(left) = chunk {
            let (now, later) = bytes.split_at(usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len())));
            self.raw.update(now);
            self.take(now);
            let left = left - now.len() as u64;
            self.body = Body::Chunks(if left == 0 { Chunk::Break } else { Chunk::Data(left) });
            return Ok(later);
        }
        let Some((&byte, later)) = bytes.split_first() else { return Ok(bytes) };
        self.raw.update([byte]);
        self.body = match (chunk, byte) {
            (Chunk::Size(_, 0, _), b'\n') => return Err(Reason::Malformed("a chunk without a size")),
            (Chunk::Size(0, _, _), b'\n') => Body::Chunks(Chunk::Trailer(0)),
            (Chunk::Size(size, _, _), b'\n') => Body::Chunks(Chunk::Data(size)),
            (Chunk::Size(size, digits, false), digit) if digit.is_ascii_hexdigit() => {
                if digits >= 15 {
                    return Err(Reason::Malformed("the size of a chunk is too great"));
                }
                let value = char::from(digit).to_digit(16).map_or(0, u64::from);
                Body::Chunks(Chunk::Size(size * 16 + value, digits + 1, false))
            }
            (Chunk::Size(_, 0, _), _) => return Err(Reason::Malformed("a chunk without a size")),
            (Chunk::Size(size, digits, _), _) => Body::Chunks(Chunk::Size(size, digits, true)),
            (Chunk::Break, b'\r') => Body::Chunks(Chunk::Break),
            (Chunk::Break, b'\n') => Body::Chunks(Chunk::Size(0, 0, false)),
            (Chunk::Break, _) => return Err(Reason::Malformed("a chunk longer than its size")),
            (Chunk::Trailer(0), b'\n') => Body::Complete,
            (Chunk::Trailer(_), b'\n') => Body::Chunks(Chunk::Trailer(0)),
            (Chunk::Trailer(so_far), b'\r') => Body::Chunks(Chunk::Trailer(so_far)),
            (Chunk::Trailer(so_far), _) if so_far >= HEAD_LIMIT => return Err(Reason::TooLong),
            (Chunk::Trailer(so_far), _) => Body::Chunks(Chunk::Trailer(so_far + 1)),
            (Chunk::Data(_), _) => return Err(Reason::Malformed("a chunk without contents")),
        };
        Ok(later)
    }
}

/// The status of a head that has one.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|&byte| byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/")?;
    let code = &rest[rest.iter().position(|&byte| byte == b' ')? + 1..];
    let code = code.split(|byte| !byte.is_ascii_digit()).next()?;
    (code.len() == 3).then(|| code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
}

/// The value of a header, in small letters.
fn header(head: &[u8], name: &str) -> Option<String> {
    head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let matches = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        matches.then(|| String::from_utf8_lossy(&line[colon + 1..]).trim().to_ascii_lowercase())
    })
}

/// Asks for a page.
#[derive(Clone, Debug)]
pub(crate) struct PageTalk {
    request: Vec<u8>,
    url: Url,
    compiled: Option<Compiled>,
    page: Page,
    limit: u64,
    compliant_tls: bool,
}

impl PageTalk {
    /// `compiled`: the page's pattern. `compliant_tls`: an end without a farewell is a failure even after all was read.
    pub(crate) fn new(request: Vec<u8>, url: Url, compiled: Option<Compiled>, compliant_tls: bool) -> Self {
        let limit = match (&url.pattern, url.digest) {
            (Some(_), _) => PATTERN_LIMIT,
            (None, Some(_)) => DIGEST_LIMIT,
            (None, None) => COURTESY_LIMIT,
        };
        let keep = if url.pattern.is_some() { PATTERN_LIMIT as usize } else { 0 };
        Self { request, url, compiled, page: Page::new(keep), limit, compliant_tls }
    }

    fn judge(&self) -> Step {
        let Url { digest, status, pattern, .. } = &self.url;
        let code = self.page.status().unwrap_or(0);
        let mut met = Vec::new();
        let by_default = status.is_empty() && digest.is_none() && pattern.is_none();
        if by_default || !status.is_empty() {
            let fits = |&(from, to): &(u16, u16)| (from..=to).contains(&code);
            if !(status.iter().any(fits) || by_default && (200..=299).contains(&code)) {
                return Step::Fail(Reason::Status(code));
            }
            met.push(Met::Status);
        }
        if let Some(expected) = digest {
            let (decoded, raw) = self.page.digests();
            if decoded != *expected && raw != Some(*expected) {
                return Step::Fail(Reason::Digest(decoded));
            }
            met.push(Met::Digest);
        }
        if let Some((pattern, compiled)) = self.pattern() {
            if !pattern.holds(compiled, self.page.contents()) {
                return Step::Fail(if pattern.no_match { Reason::Match } else { Reason::NoMatch });
            }
            met.push(Met::Regex);
        }
        Step::Pass(Vec::new(), Finding { met, ..Finding::default() })
    }

    fn pattern(&self) -> Option<(&Pattern, &Compiled)> {
        self.url.pattern.as_ref().zip(self.compiled.as_ref())
    }
}

impl PageTalk {
    /// The head of an answer of HTTP/2.
    pub(crate) fn begin(&mut self, status: u16) {
        self.page.begin(status);
    }

    /// Whether there was a head.
    pub(crate) fn has_begun(&self) -> bool {
        self.page.status().is_some()
    }
}

impl Talk for PageTalk {
    fn open(&mut self) -> Step {
        Step::Say(self.request.clone())
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        match self.page.hear(bytes) {
            Err(reason) => Step::Fail(reason),
            // To see whether a farewell comes, the end has to be waited for.
            Ok(true) if !self.compliant_tls => self.judge(),
            Ok(_) if self.page.length() > self.limit => {
                let nothing_depends_on_it = self.url.digest.is_none() && self.url.pattern.is_none();
                if nothing_depends_on_it { self.judge() } else { Step::Fail(Reason::TooLong) }
            }
            Ok(_) => Step::Wait,
        }
    }

    fn ended(&mut self) -> Step {
        // keepalived takes an answer without a complete head for one with a wrong status.
        if self.page.body == Body::Head && !self.page.head.is_empty() {
            return Step::Fail(Reason::Status(0));
        }
        match self.page.ended() {
            Ok(()) => self.judge(),
            Err(reason) => Step::Fail(reason),
        }
    }
}
