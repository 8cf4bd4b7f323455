//! The handshake of MySQL and MariaDB: the server's greeting, and a login without a password if a user is given. Without one
//! the server counts the connection as broken off, and may block the director's address after many of them
//! (`max_connect_errors`): a user is better.

use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::Mysql;
use crate::reason::quoted;

/// Bytes of a packet; greetings have about a hundred.
const LIMIT: usize = 4 << 10;
/// CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH.
const CAPABILITIES: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
/// COM_QUIT as a packet.
const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

/// Shakes hands.
#[derive(Clone, Debug)]
pub(crate) struct MysqlTalk {
    user: Option<String>,
    greeted: bool,
    heard: Gathered<LIMIT>,
}

impl MysqlTalk {
    /// This one.
    pub(crate) fn new(mysql: &Mysql) -> Self {
        Self { user: mysql.username.clone(), greeted: false, heard: Gathered::default() }
    }

    fn packet(&mut self, number: u8, body: &[u8]) -> Step {
        match (self.greeted, body.first()) {
            (_, Some(0xff)) => error(body),
            (false, Some(10)) => self.greeting(number, &body[1..]),
            (false, _) => Step::malformed("not a greeting of MySQL"),
            // OK.
            (true, Some(0)) => Step::Pass(QUIT.to_vec(), crate::Finding::default()),
            // Another way to log in is asked for: with an empty password the answer is empty in all of them.
            (true, Some(0xfe)) => Step::Say(vec![0, 0, 0, number.wrapping_add(1)]),
            // More data of that way: a server with caching_sha2_password that is content.
            (true, Some(1)) if body.get(1) == Some(&3) => Step::Wait,
            (true, _) => Step::malformed("not an answer to a login at MySQL"),
        }
    }

    fn greeting(&mut self, number: u8, rest: &[u8]) -> Step {
        let Some(version) = rest.iter().position(|&byte| byte == 0) else {
            return Step::malformed("a greeting of MySQL without a version");
        };
        // Thread, eight bytes of salt, a zero.
        if rest.len() < version + 14 {
            return Step::malformed("a greeting of MySQL that is too short");
        }
        self.greeted = true;
        let Some(user) = &self.user else { return Step::good() };
        let mut body = CAPABILITIES.to_le_bytes().to_vec();
        body.extend_from_slice(&(LIMIT as u32).to_le_bytes());
        // UTF-8, then reserved bytes.
        body.push(33);
        body.extend_from_slice(&[0; 23]);
        body.extend(user.bytes().filter(|&byte| byte != 0).take(255));
        // The end of the name, an empty answer to the salt, and the way to log in.
        body.extend_from_slice(b"\0\0mysql_native_password\0");
        let mut bytes = (body.len() as u32).to_le_bytes().to_vec();
        bytes[3] = number.wrapping_add(1);
        bytes.extend_from_slice(&body);
        Step::Say(bytes)
    }
}

/// An error packet: number, then perhaps a state, then text.
fn error(body: &[u8]) -> Step {
    let number = match body.get(1..3) {
        Some(bytes) => u16::from_le_bytes([bytes[0], bytes[1]]),
        None => return Step::malformed("an error of MySQL without a number"),
    };
    let text = body.get(3..).unwrap_or_default();
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    let said = format!("{number} {}", quoted(text));
    // Access denied, for a user, to a database, without a password; the host is blocked or not allowed.
    let denied = matches!(number, 1044 | 1045 | 1129 | 1130 | 1251 | 1698);
    Step::Fail(if denied { Reason::Denied(said) } else { Reason::NotServing(said) })
}

impl Talk for MysqlTalk {
    fn open(&mut self) -> Step {
        Step::Wait
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        if let Err(reason) = self.heard.add(bytes) {
            return Step::Fail(reason);
        }
        loop {
            let Some(&[low, middle, high, number]) = self.heard.bytes().first_chunk() else { return Step::Wait };
            let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
            if length > LIMIT - 4 {
                return Step::malformed("a packet longer than MySQL sends here");
            }
            let Some(body) = self.heard.bytes().get(4..4 + length).map(<[u8]>::to_vec) else { return Step::Wait };
            self.heard.consume(4 + length);
            match self.packet(number, &body) {
                Step::Wait => {}
                step => return step,
            }
        }
    }
}
