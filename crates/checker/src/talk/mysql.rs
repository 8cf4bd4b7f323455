//! The handshake of MySQL and MariaDB: the server's greeting, and a login if a user is given. Without one the server counts the
//! connection as broken off, and may block the director's address after many of them (`max_connect_errors`): a user is better.
//!
//! Passwords are never sent, only proofs of them: by `mysql_native_password`, and by `caching_sha2_password` as far as the
//! server remembers the user from a full login, which takes encryption and is not made here.

use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::Mysql;
use crate::reason::quoted;
use sha1::Sha1;
use sha2::{Digest, Sha256};

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
    password: String,
    greeted: bool,
    heard: Gathered<LIMIT>,
}

impl MysqlTalk {
    /// This one.
    pub(crate) fn new(mysql: &Mysql) -> Self {
        Self {
            user: mysql.username.clone(),
            password: mysql.password.clone().unwrap_or_default(),
            greeted: false,
            heard: Gathered::default(),
        }
    }

    fn packet(&mut self, number: u8, body: &[u8]) -> Step {
        match (self.greeted, body.first()) {
            (_, Some(0xff)) => error(body),
            (false, Some(10)) => self.greeting(number, &body[1..]),
            (false, _) => Step::malformed("not a greeting of MySQL"),
            // OK.
            (true, Some(0)) => Step::Pass(QUIT.to_vec(), crate::Finding::default()),
            // Another way to log in is asked for.
            (true, Some(0xfe)) => self.another_way(number, &body[1..]),
            // More data of that way: a server with caching_sha2_password that is content, or not.
            (true, Some(1)) if body.get(1) == Some(&3) => Step::Wait,
            (true, Some(1)) if body.get(1) == Some(&4) => Step::Fail(Reason::Denied(
                "caching_sha2_password: the server does not remember this user, who must log in once by other means"
                    .to_owned(),
            )),
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
        let (way, salt) = offer(&rest[version + 1..]);
        let proof = match way.proof(&self.password, &salt) {
            Ok(proof) => proof,
            Err(reason) => return Step::Fail(reason),
        };
        let mut body = CAPABILITIES.to_le_bytes().to_vec();
        body.extend_from_slice(&(LIMIT as u32).to_le_bytes());
        // UTF-8, then reserved bytes.
        body.push(33);
        body.extend_from_slice(&[0; 23]);
        body.extend(user.bytes().filter(|&byte| byte != 0).take(255));
        // The end of the name, the answer to the salt behind its length, and the way to log in.
        body.extend_from_slice(&[0, proof.len() as u8]);
        body.extend_from_slice(&proof);
        body.extend_from_slice(way.name());
        body.push(0);
        Step::Say(packet(number, &body))
    }

    fn another_way(&self, number: u8, body: &[u8]) -> Step {
        let end = body.iter().position(|&byte| byte == 0).unwrap_or(body.len());
        let (name, salt) = (&body[..end], body.get(end + 1..).unwrap_or_default());
        // With an empty password the answer is empty in all of them.
        let way = match Way::of(name) {
            Some(way) => way,
            None if self.password.is_empty() => Way::Native,
            None => return Step::Fail(Reason::Denied(format!("the server asks to log in by {}", quoted(name)))),
        };
        match way.proof(&self.password, salt) {
            Ok(proof) => Step::Say(packet(number, &proof)),
            Err(reason) => Step::Fail(reason),
        }
    }
}

/// An answer to the packet of this number.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_le_bytes().to_vec();
    bytes[3] = number.wrapping_add(1);
    bytes.extend_from_slice(body);
    bytes
}

/// Ways to prove that we know a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Native,
    CachingSha2,
}

impl Way {
    /// Bytes of the salt.
    const SALT: usize = 20;

    fn of(name: &[u8]) -> Option<Self> {
        [Self::Native, Self::CachingSha2].into_iter().find(|way| way.name() == name)
    }

    const fn name(self) -> &'static [u8] {
        match self {
            Self::Native => b"mysql_native_password",
            Self::CachingSha2 => b"caching_sha2_password",
        }
    }

    fn proof(self, password: &str, salt: &[u8]) -> Result<Vec<u8>, Reason> {
        if password.is_empty() {
            return Ok(Vec::new());
        }
        let salt = salt.get(..Self::SALT).ok_or(Reason::Malformed("a salt of MySQL that is too short"))?;
        Ok(match self {
            Self::Native => {
                let once = Sha1::digest(password);
                xor(&once, &Sha1::new().chain_update(salt).chain_update(Sha1::digest(once)).finalize())
            }
            Self::CachingSha2 => {
                let once = Sha256::digest(password);
                let twice = Sha256::digest(once);
                xor(&once, &Sha256::new().chain_update(twice).chain_update(salt).finalize())
            }
        })
    }
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

/// The way to log in and the salt that a greeting offers, after the version: thread, eight bytes of salt, a zero, capabilities,
/// character set, status, capabilities, length of the salt, reserved bytes, the rest of the salt with a zero, the way's name.
fn offer(rest: &[u8]) -> (Way, Vec<u8>) {
    let first = rest.get(4..12).unwrap_or_default();
    let second = rest.get(31..43).unwrap_or_default();
    let length = rest.get(20).map_or(0, |&length| usize::from(length));
    let name = rest.get(31 + length.saturating_sub(8).max(13)..).unwrap_or_default();
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    (Way::of(name).unwrap_or(Way::Native), [first, second].concat())
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
