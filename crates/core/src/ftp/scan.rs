//! What is said on a control connection, byte by byte: the commands and replies that announce a data connection (RFC 959,
//! sections 4.1.2 and 4.2; RFC 2428).
//!
//! | text | from | announces |
//! |---|---|---|
//! | `PASV`, `EPSV` | client | that the server's next 227 or 229 counts |
//! | `PORT 10,0,1,100,156,64` | client | the client's port |
//! | `EPRT \|1\|10.0.1.100\|40000\|` | client | the client's port |
//! | `227 … (10,0,2,11,156,64)` | server | the server's address and port |
//! | `229 … (\|\|\|40000\|)` | server | the server's port |
//!
//! A line is looked at from its beginning on; one that is not of these forms announces nothing. Each byte costs the same,
//! whatever it is.

/// Nothing was announced.
pub const NOTHING: u32 = 0;
/// The client asked for a passive data connection.
pub const PASSIVE: u32 = 1;
/// The client waits at a port (`PORT`, `EPRT`).
pub const ACTIVE: u32 = 2;
/// The server waits at an address and port (227).
pub const ADDRESS: u32 = 3;
/// The server waits at a port (229).
pub const EXTENDED: u32 = 4;

/// Bytes of a segment that are looked at.
pub const WINDOW: u32 = 512;

/// At the beginning of a line, matching its first four bytes.
const LINE: u32 = 0;
/// Nothing more of interest in this line.
const SKIP: u32 = 1;
/// Behind `PASV` or `EPSV`.
const WORD: u32 = 2;
/// Behind 227, looking for the first digit.
const SEEK: u32 = 3;
/// Among six numbers.
const NUMBERS: u32 = 4;
/// Behind 229, looking for the parenthesis.
const OPENING: u32 = 5;
/// Behind `EPRT` or the parenthesis, looking for the delimiter.
const DELIMITER: u32 = 6;
/// Between delimiters.
const FIELDS: u32 = 7;

/// A walk along the bytes of one segment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Scan {
    /// What was announced: one of [`NOTHING`], [`PASSIVE`], [`ACTIVE`], [`ADDRESS`], [`EXTENDED`].
    pub said: u32,
    /// [`ADDRESS`]: the address, host order.
    pub addr: u32,
    /// The port, host order.
    pub port: u32,
    /// [`ADDRESS`]: where the first of the six numbers begins, from the beginning of the segment.
    pub from: u32,
    /// [`ADDRESS`]: where the last of them ends.
    pub end: u32,
    /// 1: the server speaks.
    server: u32,
    phase: u32,
    /// What the line turns out to say.
    says: u32,
    /// The last four bytes, letters in upper case.
    last: u32,
    /// Bytes of this line so far, as far as they matter.
    column: u32,
    /// Numbers or delimiters seen.
    count: u32,
    value: u32,
    digits: u32,
    delimiter: u32,
}

impl Scan {
    /// At the beginning of a segment from the server or the client.
    #[inline(always)]
    pub fn new(server: bool) -> Self {
        Self { server: server as u32, ..Self::default() }
    }

    /// Takes the byte at `index`; `true` when something was announced and the walk is over.
    #[inline(always)]
    pub fn byte(&mut self, index: u32, byte: u8) -> bool {
        match self.phase {
            LINE => self.line(byte),
            WORD => self.word(byte),
            SEEK | NUMBERS => self.numbers(index, byte),
            OPENING if byte == b'(' => self.phase = DELIMITER,
            DELIMITER => self.delimiter(byte),
            FIELDS => self.fields(byte),
            _ => {}
        }
        if byte == b'\n' {
            self.phase = LINE;
            self.column = 0;
        }
        self.said != NOTHING
    }

    #[inline(always)]
    fn line(&mut self, byte: u8) {
        let upper = byte & if byte.is_ascii_lowercase() { 0xdf } else { 0xff };
        self.last = self.last << 8 | upper as u32;
        self.column += 1;
        if self.column < 4 {
            return;
        }
        self.count = 0;
        self.value = 0;
        self.digits = 0;
        self.addr = 0;
        const fn tag(text: &[u8; 4]) -> u32 {
            u32::from_be_bytes(*text)
        }
        let (phase, says) = if self.server != 0 {
            match self.last {
                l if l == tag(b"227 ") => (SEEK, ADDRESS),
                l if l == tag(b"229 ") => (OPENING, EXTENDED),
                _ => (SKIP, NOTHING),
            }
        } else {
            match self.last {
                l if l == tag(b"PASV") || l == tag(b"EPSV") => (WORD, PASSIVE),
                l if l == tag(b"PORT") => (SEEK, ACTIVE),
                l if l == tag(b"EPRT") => (DELIMITER, ACTIVE),
                _ => (SKIP, NOTHING),
            }
        };
        self.phase = phase;
        self.says = says;
    }

    /// A command ends where its letters end.
    #[inline(always)]
    fn word(&mut self, byte: u8) {
        if matches!(byte, b' ' | b'\r' | b'\n') {
            self.said = PASSIVE;
        }
        self.phase = SKIP;
    }

    #[inline(always)]
    fn numbers(&mut self, index: u32, byte: u8) {
        if byte.is_ascii_digit() {
            if self.phase == SEEK {
                self.phase = NUMBERS;
                self.from = index;
            }
            self.digit(byte, 255);
        } else if self.phase == NUMBERS {
            let ends = self.count == 5;
            if self.digits == 0 || (!ends && byte != b',') {
                self.phase = SKIP;
                return;
            }
            // The first four are the address, the last two the port.
            if self.count < 4 {
                self.addr = self.addr << 8 | self.value;
                self.port = 0;
            } else {
                self.port = self.port << 8 | self.value;
            }
            self.count += 1;
            self.value = 0;
            self.digits = 0;
            if ends {
                self.end = index;
                self.complete();
            }
        } else if self.says == ACTIVE && byte != b' ' {
            self.phase = SKIP;
        }
    }

    #[inline(always)]
    fn digit(&mut self, byte: u8, most: u32) {
        self.value = self.value * 10 + (byte - b'0') as u32;
        self.digits += 1;
        if self.value > most || self.digits > 5 {
            self.phase = SKIP;
        }
    }

    #[inline(always)]
    fn delimiter(&mut self, byte: u8) {
        if byte == b' ' && self.says == ACTIVE {
            return;
        }
        self.delimiter = byte as u32;
        self.count = 1;
        self.phase = if byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric() { FIELDS } else { SKIP };
    }

    /// Protocol, address, port: the server leaves the first two out.
    #[inline(always)]
    fn fields(&mut self, byte: u8) {
        if byte as u32 == self.delimiter {
            self.count += 1;
            if self.count == 4 {
                self.port = self.value;
                if self.digits == 0 {
                    self.phase = SKIP;
                } else {
                    self.complete();
                }
            }
        } else if self.count == 3 {
            if byte.is_ascii_digit() {
                self.digit(byte, 65535);
            } else {
                self.phase = SKIP;
            }
        } else if self.says == EXTENDED || !byte.is_ascii_graphic() {
            self.phase = SKIP;
        }
    }

    /// There is no port 0.
    #[inline(always)]
    fn complete(&mut self) {
        self.phase = SKIP;
        if self.port != 0 {
            self.said = self.says;
        }
    }
}

/// Most characters of an address and a port in six numbers.
pub const TEXT: usize = 24;

/// An address and a port (host order) in six numbers; gives the number of characters.
#[inline(always)]
pub fn text(addr: u32, port: u32, out: &mut [u8; 32]) -> u32 {
    let numbers = [addr >> 24, addr >> 16, addr >> 8, addr, port >> 8, port];
    let mut at = 0u32;
    for (n, number) in numbers.into_iter().enumerate() {
        let number = number & 0xff;
        if n > 0 {
            put(out, &mut at, b',');
        }
        if number >= 100 {
            put(out, &mut at, b'0' + (number / 100) as u8);
        }
        if number >= 10 {
            put(out, &mut at, b'0' + (number / 10 % 10) as u8);
        }
        put(out, &mut at, b'0' + (number % 10) as u8);
    }
    at
}

#[inline(always)]
fn put(out: &mut [u8; 32], at: &mut u32, byte: u8) {
    out[(*at & 31) as usize] = byte;
    *at += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    fn scan(server: bool, text: &[u8]) -> Scan {
        let mut scan = Scan::new(server);
        for (index, byte) in (0..).zip(text.iter().take(WINDOW as usize)) {
            if scan.byte(index, *byte) {
                break;
            }
        }
        scan
    }

    fn said(server: bool, text: &str) -> (u32, u32) {
        let scan = scan(server, text.as_bytes());
        (scan.said, if scan.said == NOTHING { 0 } else { scan.port })
    }

    #[test]
    fn replies_of_known_servers() {
        for line in [
            "227 Entering Passive Mode (10,0,2,11,156,64).\r\n",
            "227 Entering Passive Mode (10,0,2,11,156,64)\r\n",
            "227 Entering Passive Mode. 10,0,2,11,156,64\r\n",
            "227 =10,0,2,11,156,64\r\n",
            "200 Switching to Binary mode.\r\n227 Entering Passive Mode (10,0,2,11,156,64).\r\n",
        ] {
            let found = scan(true, line.as_bytes());
            assert_eq!((found.said, found.addr, found.port), (ADDRESS, 0x0a00_020b, 40000), "{line}");
            assert_eq!(&line[found.from as usize..found.end as usize], "10,0,2,11,156,64");
        }
        assert_eq!(said(true, "229 Entering Extended Passive Mode (|||6446|)\r\n"), (EXTENDED, 6446));
        assert_eq!(said(true, "229 Extended Passive mode OK (!!!40000!)\r\n"), (EXTENDED, 40000));
    }

    #[test]
    fn commands_in_upper_and_lower_case() {
        assert_eq!(said(false, "PASV\r\n"), (PASSIVE, 0));
        assert_eq!(said(false, "epsv\r\n"), (PASSIVE, 0));
        assert_eq!(said(false, "EPSV 2\r\n"), (PASSIVE, 0));
        assert_eq!(said(false, "TYPE I\r\nPASV\r\nRETR x\r\n"), (PASSIVE, 0));
        assert_eq!(said(false, "PORT 10,0,1,100,156,64\r\n"), (ACTIVE, 40000));
        assert_eq!(said(false, "port  10,0,1,100,0,21\r\n"), (ACTIVE, 21));
        assert_eq!(said(false, "EPRT |1|132.235.1.2|6275|\r\n"), (ACTIVE, 6275));
        assert_eq!(said(false, "EPRT |2|1080::8:800:200C:417A|5282|\r\n"), (ACTIVE, 5282));
    }

    #[test]
    fn what_only_looks_alike_announces_nothing() {
        for line in [
            "PORT 10,0,1,100,156\r\n",
            "PORT 10,0,1,256,156,64\r\n",
            "PORT 10,0,1,100,156,\r\n",
            "PORT 10.0.1.100,156,64\r\n",
            "PORT x10,0,1,100,156,64\r\n",
            "PORT 10,0,1,100,0,0\r\n",
            "PORT 10,0,1,100,156,64",
            "EPRT |1|132.235.1.2|70000|\r\n",
            "EPRT |1|132.235.1.2||\r\n",
            "EPRT |1|132.235.1.2|62x5|\r\n",
            "EPRT |1|132.235.1.2|6275\r\n|\r\n",
            "PASVX\r\n",
            "XPASV\r\n",
            "RETR PASV\r\n",
            "227 Entering Passive Mode (10,0,2,11,156,64).\r\n",
        ] {
            assert_eq!(said(false, line), (NOTHING, 0), "{line}");
        }
        for line in [
            "227-Entering Passive Mode (10,0,2,11,156,64).\r\n",
            "200 227 Entering Passive Mode (10,0,2,11,156,64).\r\n",
            "227 Entering\r\n Passive Mode (10,0,2,11,156,64).\r\n",
            "229 (|1||6446|)\r\n",
            "229 (||6446|)\r\n",
            "229 (111640001)\r\n",
            "PASV\r\n",
        ] {
            assert_eq!(said(true, line), (NOTHING, 0), "{line}");
        }
    }

    #[test]
    fn nothing_is_looked_for_behind_the_window() {
        let mut line = String::from("200 ");
        line.extend(core::iter::repeat_n('x', WINDOW as usize - 10));
        line += "\r\n";
        assert_eq!(said(true, &format!("{line}227 (10,0,2,11,156,64)\r\n")), (NOTHING, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..600), server in any::<bool>()) {
            let found = scan(server, &bytes);
            prop_assert!(found.said <= EXTENDED);
            prop_assert!(found.said == NOTHING || found.said == PASSIVE || (1..=65535).contains(&found.port));
            if found.said == ADDRESS {
                prop_assert!(found.from < found.end && (found.end as usize) < bytes.len().min(WINDOW as usize));
            }
        }

        #[test]
        fn lines_made_of_their_own_letters(text in "[0-9,.()|\r\n 2279EPRTASVO]{0,80}", server in any::<bool>(), cut in 0usize..4) {
            let heads = ["", "227 ", "229 (", "PORT "];
            let found = scan(server, format!("{}{text}", heads[cut]).as_bytes());
            prop_assert!(found.from <= WINDOW && found.end <= WINDOW);
        }

        #[test]
        fn what_is_written_is_read_back(addr in any::<u32>(), port in 1u32..=65535) {
            let mut out = [0; 32];
            let len = text(addr, port, &mut out) as usize;
            prop_assert!(len < TEXT);
            let numbers = core::str::from_utf8(&out[..len]).unwrap();
            let line = format!("227 Entering Passive Mode ({numbers}).\r\n");
            let found = scan(true, line.as_bytes());
            prop_assert_eq!((found.said, found.addr, found.port), (ADDRESS, addr, port));
            prop_assert_eq!((found.end - found.from) as usize, len);
        }
    }
}
