//! The persistence engine `sip`: datagrams of one call go to one server, by the Call-ID that they carry (RFC 3261, sections
//! 8.1.1.4 and 20.8).
//!
//! The header is looked for as the kernel looks: from the second line on, by its long name or as `i`, in upper or lower case;
//! its value is a word, or two joined by `@`, of at most [`MAX`] bytes, and the line must end right behind it. A datagram
//! without one is of no call, and is dropped.
//!
//! A call is told from others by a hash of 62 bits of its Call-ID under the secret of the connection table (plus the client's
//! network, as with all templates): two calls that one client has at a time are taken for one with a probability of about
//! 10⁻¹⁹.

/// Longest Call-ID that is taken.
pub const MAX: u32 = 255;
/// Bytes of a datagram that are looked at.
pub const WINDOW: u32 = 2047;

/// The datagram has no Call-ID.
pub const NONE: u64 = 1;

/// Number of the engine in [`crate::abi::ServiceSlot::engine`].
pub const ENGINE: u32 = 1;

/// Waiting for the end of the line.
const SKIP: u32 = 0;
/// Matching the name of a header.
const NAME: u32 = 1;
/// Behind the name, waiting for the colon.
const COLON: u32 = 2;
/// Behind the colon.
const SPACE: u32 = 3;
/// In the value.
const VALUE: u32 = 4;
/// There is none.
const OVER: u32 = 5;

/// A walk along the bytes of one datagram.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Scan {
    digest: u64,
    phase: u32,
    /// Bytes of the header's name that matched.
    column: u32,
    /// 1: the last byte ended a line, which the next may still continue.
    folded: u32,
    /// 1: the header is the short one.
    short: u32,
    /// Where the value begins.
    pub from: u32,
    /// Its length so far.
    pub len: u32,
    /// Place of the `@`, plus 1.
    joined: u32,
    /// 1: the value is whole.
    found: u32,
}

impl Scan {
    /// At the beginning of a datagram; `seed` is the secret of the hash.
    #[inline(always)]
    pub fn new(seed: u64) -> Self {
        Self { digest: seed, ..Self::default() }
    }

    /// What the datagram is known by; [`NONE`]: it has no Call-ID.
    #[inline(always)]
    pub const fn result(&self) -> u64 {
        if self.found == 0 { NONE } else { self.digest | 2 }
    }

    /// Takes the byte at `index`; `true` when the walk is over.
    #[inline(always)]
    pub fn byte(&mut self, index: u32, byte: u8) -> bool {
        let ends_line = byte == b'\r' || byte == b'\n';
        if self.phase == VALUE {
            self.value(byte, ends_line);
            return self.found != 0 || self.phase == OVER;
        }
        if self.folded != 0 && !ends_line {
            self.folded = 0;
            // A value may go on in the next line, when that begins with a blank.
            if byte != b' ' && byte != b'\t' {
                self.begin_line();
            }
        }
        if ends_line {
            if self.phase == COLON || self.phase == SPACE {
                self.folded = 1;
            } else {
                self.begin_line();
            }
            return false;
        }
        match self.phase {
            NAME => self.name(byte),
            COLON => match byte {
                b' ' | b'\t' => {}
                b':' => self.phase = SPACE,
                _ => self.phase = OVER,
            },
            SPACE if byte != b' ' && byte != b'\t' => {
                self.phase = VALUE;
                self.from = index;
                self.len = 0;
                self.joined = 0;
                self.value(byte, false);
            }
            _ => {}
        }
        self.phase == OVER
    }

    #[inline(always)]
    fn begin_line(&mut self) {
        self.phase = NAME;
        self.column = 0;
        self.short = 0;
    }

    #[inline(always)]
    fn name(&mut self, byte: u8) {
        const LONG: u64 = u64::from_be_bytes(*b"call-id\0");
        let lower = byte | if byte.is_ascii_uppercase() { 0x20 } else { 0 };
        if self.short != 0 {
            // The short name ends where the letters end.
            self.phase = match byte {
                b':' => SPACE,
                b' ' | b'\t' => COLON,
                _ if byte.is_ascii_alphabetic() => SKIP,
                _ => OVER,
            };
        } else if lower == (LONG >> (56 - 8 * (self.column & 7))) as u8 && self.column < 7 {
            self.column += 1;
            if self.column == 7 {
                self.phase = COLON;
            }
        } else if self.column == 0 && lower == b'i' {
            self.short = 1;
        } else {
            self.phase = SKIP;
        }
    }

    #[inline(always)]
    fn value(&mut self, byte: u8, ends_line: bool) {
        if ends_line {
            if self.len != 0 && self.joined != self.len && self.joined != 1 {
                self.found = 1;
            } else {
                // Half a value counts as none; another header may have one.
                self.begin_line();
            }
            return;
        }
        let joins = byte == b'@' && self.joined == 0;
        self.len += 1;
        if joins {
            self.joined = self.len;
        } else if !is_word(byte) {
            self.phase = OVER;
        }
        if self.len > MAX {
            self.phase = OVER;
        }
        let mixed = (self.digest ^ byte as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.digest = mixed ^ (mixed >> 29);
    }
}

/// Characters of a word (RFC 3261, section 25.1).
#[inline(always)]
fn is_word(byte: u8) -> bool {
    // One bit for each character from 0 to 127.
    const fn set() -> [u64; 2] {
        let mut bits = [0u64; 2];
        let others = b"!\"%()*+:<>?[\\]_`{}~-./'";
        let mut n = 0;
        while n < others.len() {
            bits[(others[n] >> 6) as usize] |= 1 << (others[n] & 63);
            n += 1;
        }
        let mut byte = b'0';
        while byte <= b'z' {
            if byte.is_ascii_alphanumeric() {
                bits[(byte >> 6) as usize] |= 1 << (byte & 63);
            }
            byte += 1;
        }
        bits
    }
    const LOW: u64 = set()[0];
    const HIGH: u64 = set()[1];
    let bits = if byte < 64 { LOW } else { HIGH };
    byte < 128 && bits >> (byte & 63) & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn call_id(datagram: &[u8]) -> Option<(Vec<u8>, u64)> {
        let mut scan = Scan::new(7);
        for (index, byte) in (0..).zip(datagram.iter().take(WINDOW as usize)) {
            if scan.byte(index, *byte) {
                break;
            }
        }
        let value = datagram.get(scan.from as usize..(scan.from + scan.len) as usize);
        (scan.result() != NONE).then(|| (value.unwrap().to_vec(), scan.result()))
    }

    fn of(header: &str) -> Option<String> {
        let text =
            format!("OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.100\r\n{header}\r\nContent-Length: 0\r\n\r\n");
        call_id(text.as_bytes()).map(|(id, _)| String::from_utf8(id).unwrap())
    }

    /// What the kernel's engine made of the same datagrams.
    #[test]
    fn as_recorded_from_the_kernel() {
        for header in ["Call-ID: one@host", "i: one@host", "call-id : one@host", "Call-ID:\r\n one@host", "I:one@host"]
        {
            assert_eq!(of(header).as_deref(), Some("one@host"), "{header}");
        }
        assert_eq!(of("Call-ID: plain").as_deref(), Some("plain"));
        assert_eq!(of("Call-ID: q\"<>%w@host").as_deref(), Some("q\"<>%w@host"));
        let long = |len: usize| "l".repeat(len) + "@host";
        assert_eq!(of(&format!("Call-ID: {}", long(250))), Some(long(250)));
        for header in ["CALL-ID:one@host  ", "Call-ID: a b", "Call-ID: x@", "From: x"] {
            assert_eq!(of(header), None, "{header}");
        }
        assert_eq!(of(&format!("Call-ID: {}", long(251))), None);
        assert_eq!(call_id(b"hello"), None);
        assert_eq!(call_id(b"x\r\nCall-ID: nonl@h\r").map(|(id, _)| id), Some(b"nonl@h".to_vec()));
        assert_eq!(call_id(b"x\r\nCall-ID: nonl@h"), None, "the line does not end");
    }

    #[test]
    fn the_first_line_is_no_header() {
        assert_eq!(call_id(b"Call-ID: a@b\r\n\r\n"), None);
        assert_eq!(of("X-Call-ID: a\r\nCall-ID: b").as_deref(), Some("b"));
        assert_eq!(of("Call-ID: a@\r\ni: b").as_deref(), Some("b"));
        assert_eq!(of("In-Reply-To: a\r\nCall-ID: b").as_deref(), Some("b"));
    }

    #[test]
    fn calls_differ() {
        let digest = |id: &str| call_id(format!("x\r\ni:{id}\r\n").as_bytes()).unwrap().1;
        assert_ne!(digest("a@b"), digest("b@a"));
        assert_eq!(digest("a@b"), call_id("y\r\nfoo: 1\r\nCall-ID: a@b\r\n".to_string().as_bytes()).unwrap().1);
    }

    proptest! {
        #[test]
        fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..2500)) {
            if let Some((id, _)) = call_id(&bytes) {
                prop_assert!((1..=MAX as usize).contains(&id.len()));
            }
        }

        #[test]
        fn lines_made_of_their_own_letters(text in "[\r\n :@iI\tcaldCALD-]{0,80}") {
            if let Some((id, digest)) = call_id(format!("x\r\nCall-ID{text}").as_bytes()) {
                prop_assert!(id.iter().filter(|byte| **byte == b'@').count() <= 1);
                prop_assert!(digest != NONE && digest != 0);
            }
        }
    }
}
