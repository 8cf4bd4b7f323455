//! As much of HTTP/2 (RFC 9113) as one request needs: frames out of bytes and back, fields of a request without compression, and
//! the status out of those of an answer.

use super::Gathered;
use crate::Reason;

/// Bytes of one frame with its head: the greatest that we allow.
const FRAME_LIMIT: usize = 9 + 16_384;
/// How much an answer may hold before we would have to ask for more: as much as can be said (RFC 9113, 6.9.1).
const WINDOW: u32 = 0x7fff_ffff;
/// What a connection has of it without being told.
const INITIAL_WINDOW: u32 = 65_535;
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GOAWAY: no stream of the server's, no error.
pub(crate) const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) body: Vec<u8>,
}

/// Frames as they come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    heard: Gathered<FRAME_LIMIT>,
    count: u32,
}

impl Frames {
    /// How many there were.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The next frame out of what was kept and `bytes`, of which it takes what it needs; `None`: it is not complete.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, Reason> {
        self.fill(9, bytes)?;
        let Some(&[a, b, c, kind, flags, e, f, g, h]) = self.heard.bytes().first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > FRAME_LIMIT - 9 {
            return Err(Reason::Malformed("a frame longer than allowed; not HTTP/2?"));
        }
        self.fill(9 + length, bytes)?;
        let Some(body) = self.heard.bytes().get(9..9 + length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.heard.consume(9 + length);
        self.count = self.count.saturating_add(1);
        if self.count == 1 && kind != SETTINGS {
            return Err(Reason::Malformed("no settings first; not HTTP/2?"));
        }
        Ok(Some(Frame { kind, flags, stream: u32::from_be_bytes([e, f, g, h]) & WINDOW, body }))
    }

    fn fill(&mut self, length: usize, bytes: &mut &[u8]) -> Result<(), Reason> {
        let wanted = length.saturating_sub(self.heard.bytes().len()).min(bytes.len());
        let (now, later) = bytes.split_at(wanted);
        *bytes = later;
        self.heard.add(now)
    }
}

/// A frame in bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// What a frame of DATA or HEADERS holds besides padding.
pub(crate) fn unpadded(flags: u8, body: &[u8]) -> Result<&[u8], Reason> {
    if flags & PADDED == 0 {
        return Ok(body);
    }
    let (&padding, rest) = body.split_first().ok_or(Reason::Malformed("padding without a length"))?;
    let length = rest.len().checked_sub(usize::from(padding)).ok_or(Reason::Malformed("more padding than data"))?;
    Ok(&rest[..length])
}

/// A header field as a literal without indexing and without Huffman coding (RFC 7541, 6.2.2).
pub(crate) fn literal(out: &mut Vec<u8>, name: &str, value: &str) {
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

/// Asks for a page: all that is to be said before the server's first answer.
pub(crate) fn get(path: &str, authority: &str, https: bool) -> Vec<u8> {
    let mut headers = Vec::new();
    // More would take another frame, and no server takes so long a name or path.
    let short = |text: &str| text.chars().take(2000).collect::<String>();
    literal(&mut headers, ":method", "GET");
    literal(&mut headers, ":scheme", if https { "https" } else { "http" });
    literal(&mut headers, ":path", &short(path));
    literal(&mut headers, ":authority", &short(authority));
    literal(&mut headers, "user-agent", "KeepAliveClient");
    // No table of header fields, no push, all the contents at once.
    let mut settings = vec![0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 4];
    settings.extend_from_slice(&WINDOW.to_be_bytes());
    let parts = [
        PREFACE.to_vec(),
        frame(SETTINGS, 0, 0, &settings),
        frame(WINDOW_UPDATE, 0, 0, &(WINDOW - INITIAL_WINDOW).to_be_bytes()),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &headers),
    ];
    parts.concat()
}

/// The status of an answer: the first field of its first frame of HEADERS, since nothing may go before it (RFC 9113, 8.3) and no
/// table was allowed. `None`: there is none.
pub(crate) fn status(flags: u8, body: &[u8]) -> Result<Option<u16>, Reason> {
    let mut block = unpadded(flags, body)?;
    if flags & PRIORITY != 0 {
        block = block.get(5..).ok_or(Reason::Malformed("a priority that breaks off"))?;
    }
    // The table's size, which is nothing.
    while let [0x20..=0x3f, rest @ ..] = block {
        block = rest;
    }
    // The static table's places 8 to 14 (RFC 7541, appendix A).
    Ok(match block {
        [indexed @ 0x88..=0x8e, ..] => Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]),
        // A literal whose name is at one of them, of the three kinds of literals.
        [0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e, length, value @ ..] => digits(*length, value),
        // A literal with a name of its own.
        [0x00 | 0x10 | 0x40, 7, b':', b's', b't', b'a', b't', b'u', b's', length, value @ ..] => digits(*length, value),
        _ => None,
    })
}

/// Three digits, in plain or in Huffman's code (RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 six).
fn digits(length: u8, value: &[u8]) -> Option<u16> {
    let text = value.get(..usize::from(length & 127))?;
    if length & 128 == 0 {
        let three = text.len() == 3 && text.iter().all(u8::is_ascii_digit);
        return three.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')));
    }
    if text.len() > 3 {
        return None;
    }
    let bits: u32 = text.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte));
    let mut left = text.len() * 8;
    let mut number = 0;
    for _ in 0..3 {
        let five = bits >> left.checked_sub(5)? & 31;
        let digit = if five < 3 {
            left -= 5;
            five
        } else {
            let six = bits >> left.checked_sub(6)? & 63;
            left -= 6;
            six.checked_sub(0x19).filter(|digit| *digit < 7)? + 3
        };
        number = number * 10 + digit as u16;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_in_every_way_to_write_it() {
        let table: [(&[u8], Option<u16>); 12] = [
            (&[0x88], Some(200)),
            (&[0x8d, 0xff], Some(404)),
            (&[0x20, 0x3f, 0x8e], Some(500)),
            (b"\x08\x03301", Some(301)),
            (b"\x48\x03503rest", Some(503)),
            (b"\x00\x07:status\x03418", Some(418)),
            // Huffman: 302 is 011001 00000 00010, as in RFC 7541, C.6.1; 307 is C.6.2's.
            (b"\x48\x82\x64\x02", Some(302)),
            (b"\x48\x83\x64\x0e\xff", Some(307)),
            (b"\x48\x82\xff\xff", None),
            (b"\x08\x0330x", None),
            (b"\x08\x7f", None),
            (&[0x90], None),
        ];
        for (block, expected) in table {
            assert_eq!(status(END_HEADERS, block), Ok(expected), "{block:02x?}");
        }
        assert_eq!(status(PADDED, &[1, 0x88, 0]), Ok(Some(200)));
        assert_eq!(status(PRIORITY, &[0, 0, 0, 0, 0, 0x89]), Ok(Some(204)));
        assert!(status(PRIORITY, &[0, 0]).is_err() && status(PADDED, &[9]).is_err());
    }
}
