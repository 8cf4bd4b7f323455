//! SMTP (RFC 5321) as far as HELO and QUIT.

use super::{Gathered, Step, Talk};
use crate::Reason;

/// Bytes of one answer.
const LIMIT: usize = 8 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expect {
    Greeting,
    Helo,
    Quit,
}

/// Greets a mail server.
#[derive(Clone, Debug)]
pub(crate) struct SmtpTalk {
    helo: String,
    expect: Expect,
    heard: Gathered<LIMIT>,
}

impl SmtpTalk {
    /// `helo`: the name to greet with.
    pub(crate) fn new(helo: &str) -> Self {
        Self { helo: helo.replace(['\r', '\n'], ""), expect: Expect::Greeting, heard: Gathered::default() }
    }

    fn wrong(&self) -> Step {
        Step::Fail(match self.expect {
            Expect::Greeting => Reason::Greeting,
            Expect::Helo => Reason::Helo,
            Expect::Quit => Reason::Quit,
        })
    }
}

impl Talk for SmtpTalk {
    fn open(&mut self) -> Step {
        Step::Wait
    }

    fn hear(&mut self, bytes: &[u8]) -> Step {
        if let Err(reason) = self.heard.add(bytes) {
            return Step::Fail(reason);
        }
        while let Some(line) = self.heard.line() {
            let (code, next) = match self.expect {
                Expect::Greeting => (b"220", Expect::Helo),
                Expect::Helo => (b"250", Expect::Quit),
                Expect::Quit => (b"221", Expect::Quit),
            };
            if !line.starts_with(code) {
                return self.wrong();
            }
            // All lines but the last of an answer have a hyphen behind the code.
            if line.get(3) == Some(&b'-') {
                continue;
            }
            let said = self.expect;
            self.expect = next;
            match said {
                Expect::Greeting => return Step::Say(format!("HELO {}\r\n", self.helo).into_bytes()),
                Expect::Helo => return Step::Say(b"QUIT\r\n".to_vec()),
                Expect::Quit => return Step::good(),
            }
        }
        Step::Wait
    }

    fn ended(&mut self) -> Step {
        // Some servers hang up at QUIT without a word.
        if self.expect == Expect::Quit { Step::good() } else { self.wrong() }
    }
}
