//! The beginning of PostgreSQL's protocol 3.0: a request for TLS if wanted, the start-up message, and the server's request to
//! log in, which shows that it takes connections.

use super::{Gathered, Step, Talk};
use crate::Reason;
use crate::params::Pgsql;
use crate::reason::quoted;
use crate::verdict::Finding;

/// Bytes of a message.
const LIMIT: usize = 16 << 10;
/// The code of SSLRequest.
const SSL: u32 = 80_877_103;
/// Version 3.0.
const VERSION: u32 = 3 << 16;
/// Terminate.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// Shakes hands.
#[derive(Clone, Debug)]
pub(crate) struct PgsqlTalk {
    pgsql: Pgsql,
    asked_for_tls: bool,
    heard: Gathered<LIMIT>,
}

impl PgsqlTalk {
    /// This one.
    pub(crate) fn new(pgsql: &Pgsql) -> Self {
        Self { pgsql: pgsql.clone(), asked_for_tls: false, heard: Gathered::default() }
    }

    fn startup(&self) -> Vec<u8> {
        let mut body = VERSION.to_be_bytes().to_vec();
        let mut pair = |name: &str, value: &str| {
            for text in [name, value] {
                body.extend(text.bytes().filter(|&byte| byte != 0));
                body.push(0);
            }
        };
        pair("user", &self.pgsql.username);
        if let Some(database) = &self.pgsql.database {
            pair("database", database);
        }
        body.push(0);
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        bytes
    }
}

/// The fields of an error: a letter and a text each.
fn error(body: &[u8]) -> Step {
    let field = |letter: u8| {
        let mut fields = body.split(|&byte| byte == 0);
        fields.find(|field| field.first() == Some(&letter)).map(|field| quoted(&field[1..])).unwrap_or_default()
    };
    let state = field(b'C');
    let said = format!("{state} {}", field(b'M'));
    // Class 28: invalid authorization; 3D: no such database.
    let denied = state.starts_with("28") || state.starts_with("3D");
    Step::Fail(if denied { Reason::Denied(said) } else { Reason::NotServing(said) })
}

impl Talk for PgsqlTalk {
    fn open(&mut self) -> Step {
        self.asked_for_tls = self.pgsql.ssl_request;
        if !self.asked_for_tls {
            return Step::Say(self.startup());
        }
        let mut bytes = 8_u32.to_be_bytes().to_vec();
        bytes.extend_from_slice(&SSL.to_be_bytes());
        Step::Say(bytes)
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        if let Err(reason) = self.heard.add(bytes) {
            return Step::Fail(reason);
        }
        if self.asked_for_tls {
            match self.heard.bytes() {
                [] => return Step::Wait,
                // It has TLS: it is up, and would go on encrypted.
                [b'S', ..] => return Step::good(),
                [b'N'] => {
                    self.asked_for_tls = false;
                    self.heard.consume(1);
                    return Step::Say(self.startup());
                }
                [b'E', ..] => self.asked_for_tls = false,
                _ => return Step::malformed("not an answer of PostgreSQL"),
            }
        }
        let Some(&[kind, a, b, c, d]) = self.heard.bytes().first_chunk() else { return Step::Wait };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..LIMIT).contains(&length) || !matches!(kind, b'R' | b'E' | b'v') {
            return Step::malformed("not an answer of PostgreSQL");
        }
        let Some(body) = self.heard.bytes().get(5..1 + length) else { return Step::Wait };
        match kind {
            b'E' => error(body),
            _ => Step::Pass(TERMINATE.to_vec(), Finding::default()),
        }
    }
}
