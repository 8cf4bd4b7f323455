//! Redis (RESP 2): AUTH and ROLE if asked for, then PING.

use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::Redis;
use crate::reason::quoted;

/// Bytes of all answers; ROLE of a master lists its replicas.
const LIMIT: usize = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Auth,
    RoleArray,
    RoleLength,
    RoleName(usize),
    Pong,
}

/// Says PING.
#[derive(Clone, Debug)]
pub(crate) struct RedisTalk {
    redis: Redis,
    expect: Expect,
    heard: Gathered<LIMIT>,
}

/// A command as an array of strings.
fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

impl RedisTalk {
    /// This one.
    pub(crate) fn new(redis: &Redis) -> Self {
        Self { redis: redis.clone(), expect: Expect::Auth, heard: Gathered::default() }
    }

    fn after_auth(&mut self) -> Vec<u8> {
        // PING comes first where the role is asked for as well: what follows the role in its answer need not be read then.
        self.expect = Expect::Pong;
        command(&["PING"])
    }

    fn line(&mut self, line: &[u8]) -> Step {
        let refused = || {
            let text = quoted(line.strip_prefix(b"-").unwrap_or_default());
            let denied = ["NOAUTH", "WRONGPASS", "NOPERM", "ERR"].iter().any(|word| text.starts_with(word));
            Step::Fail(if denied { Reason::Denied(text) } else { Reason::NotServing(text) })
        };
        match (self.expect, line.first()) {
            (_, Some(b'-')) => refused(),
            (Expect::Auth, Some(b'+')) => Step::Say(self.after_auth()),
            (Expect::Pong, Some(b'+')) if line == b"+PONG" && self.redis.role.is_some() => {
                self.expect = Expect::RoleArray;
                Step::Say(command(&["ROLE"]))
            }
            (Expect::Pong, Some(b'+')) if line == b"+PONG" => Step::good(),
            (Expect::RoleArray, Some(b'*')) => {
                self.expect = Expect::RoleLength;
                Step::Wait
            }
            (Expect::RoleLength, Some(b'$')) => {
                let length = std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse().ok());
                match length {
                    Some(length @ 1..=64) => {
                        self.expect = Expect::RoleName(length);
                        Step::Wait
                    }
                    _ => Step::malformed("a role of a wrong length"),
                }
            }
            (Expect::RoleName(length), _) if line.len() == length => match self.redis.role.as_deref() {
                Some(role) if role.as_bytes() != line => Step::Fail(Reason::Role(quoted(line))),
                _ => Step::good(),
            },
            _ => Step::malformed("not an answer of Redis"),
        }
    }
}

impl Talk for RedisTalk {
    fn open(&mut self) -> Step {
        let user = self.redis.username.as_deref();
        Step::Say(match (user, self.redis.password.as_deref()) {
            (Some(user), password) => command(&["AUTH", user, password.unwrap_or_default()]),
            (None, Some(password)) => command(&["AUTH", password]),
            (None, None) => self.after_auth(),
        })
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        if let Err(reason) = self.heard.add(bytes) {
            return Step::Fail(reason);
        }
        while let Some(line) = self.heard.line() {
            match self.line(&line) {
                Step::Wait => {}
                step => return step,
            }
        }
        Step::Wait
    }
}
