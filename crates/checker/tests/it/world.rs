//! A world for one check in virtual time: a server that answers as a test says, and the log with its clock.
#![allow(dead_code, reason = "each test uses a part of it")]

use rvs_checker::*;
use rvs_machine::{Machine, Time};
use std::collections::VecDeque;
use std::time::Duration;

pub(crate) const REAL: &str = "[10.0.2.11]:tcp:80";
pub(crate) const SERVICE: &str = "[10.0.1.10]:tcp:80";

/// What the server does with an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    /// The port is closed.
    Refuses,
    /// Packets are dropped.
    Drops,
    /// It accepts, and never says a word.
    Silent,
    /// It says this when it is connected, then this to each thing it is told; with nothing left it closes.
    Says(Vec<Vec<u8>>),
    /// It does so, and resets the connection then.
    Resets(Vec<Vec<u8>>),
    /// It says a byte each second.
    Drips,
    /// The handshake of TLS fails.
    BadTls(&'static str),
    /// The program ends like this.
    Ends(Ended),
    /// The program goes on and on.
    Hangs,
}

pub(crate) fn ms(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

pub(crate) fn target() -> Target {
    Target::new(std::net::SocketAddr::from(([10, 0, 2, 11], 80)))
}

/// A pace in seconds: `connect_timeout` 2, `retry` 2, `delay_before_retry` 1, no warm-up.
pub(crate) fn pace(delay_loop: u64) -> Pace {
    Pace {
        alpha: false,
        connect_timeout: Duration::from_secs(2),
        retry: 2,
        delay_before_retry: Duration::from_secs(1),
        warmup: Duration::ZERO,
        delay_loop: Duration::from_secs(delay_loop),
    }
}

pub(crate) fn params(probe: Probe) -> CheckParams {
    CheckParams { target: target(), pace: pace(4), log_all_failures: true, probe }
}

pub(crate) struct World {
    pub(crate) check: Check,
    pub(crate) now: Time,
    pub(crate) server: Server,
    /// Milliseconds and lines, verdicts among them.
    pub(crate) log: Vec<(u64, String)>,
    /// When attempts began.
    pub(crate) begun: Vec<u64>,
    /// Whether connections were closed properly, in order.
    pub(crate) closed: Vec<bool>,
    /// What was said to the server.
    pub(crate) heard: Vec<u8>,
    script: VecDeque<Vec<u8>>,
    attempt: u64,
    drip: Option<Time>,
}

impl World {
    pub(crate) fn new(params: CheckParams, server: Server) -> Self {
        Self {
            check: Check::new(params, 1, Time::ZERO).expect("parameters that can be used"),
            now: Time::ZERO,
            server,
            log: Vec::new(),
            begun: Vec::new(),
            closed: Vec::new(),
            heard: Vec::new(),
            script: VecDeque::new(),
            attempt: 0,
            drip: None,
        }
    }

    fn millis(&self) -> u64 {
        self.now.nanos() / 1_000_000
    }

    fn net(&mut self, event: Net) {
        self.check.handle(self.now, Input::Net(self.attempt, event));
    }

    fn line(&mut self, text: String) {
        let now = self.millis();
        self.log.push((now, text));
    }

    /// Says what comes next; behind the last of it the connection ends.
    fn next_words(&mut self) {
        if let Some(words) = self.script.pop_front() {
            self.net(Net::Received(words));
        }
        self.end_of_words();
    }

    fn end_of_words(&mut self) {
        match self.server {
            Server::Says(_) if self.script.is_empty() => self.net(Net::Closed),
            Server::Resets(_) if self.script.is_empty() => self.net(Net::Reset),
            _ => {}
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.check.poll() {
            match output {
                Output::Open { attempt, .. } => {
                    self.attempt = attempt;
                    self.begun.push(self.now.nanos() / 1_000_000);
                    match self.server.clone() {
                        Server::Refuses => self.net(Net::Refused(111)),
                        Server::Drops => {}
                        Server::BadTls(why) => self.net(Net::Tls(why.to_owned())),
                        Server::Says(words) | Server::Resets(words) => {
                            self.script = words.into();
                            self.net(Net::Connected);
                            // A server that speaks first.
                            if self.script.front().is_some_and(|words| words.starts_with(b"220")) {
                                self.next_words();
                            } else {
                                self.end_of_words();
                            }
                        }
                        Server::Silent => self.net(Net::Connected),
                        Server::Drips => {
                            self.net(Net::Connected);
                            self.drip = Some(self.now + Duration::from_secs(1));
                        }
                        Server::Ends(_) | Server::Hangs => panic!("a program was meant"),
                    }
                }
                Output::Send(attempt, bytes) => {
                    assert_eq!(attempt, self.attempt);
                    self.heard.extend(bytes);
                    self.next_words();
                }
                Output::Close { attempt, properly } => {
                    assert_eq!(attempt, self.attempt);
                    self.drip = None;
                    self.closed.push(properly);
                }
                Output::Run(attempt) => {
                    self.begun.push(self.now.nanos() / 1_000_000);
                    if let Server::Ends(ended) = self.server.clone() {
                        self.check.handle(self.now, Input::Program(attempt, ended));
                    }
                }
                Output::Stop(_) => self.line("stop".to_owned()),
                Output::Log(sentence) => {
                    if let Some(text) = sentence.text(REAL, SERVICE) {
                        self.line(text);
                    }
                }
                Output::Verdict(Verdict::Up { first, mail }) => {
                    self.line(format!("UP first={first} {}", mail.unwrap_or_default()));
                }
                Output::Verdict(Verdict::Down { first, reason, mail }) => {
                    self.line(format!("DOWN first={first} {} {mail}", reason.name()));
                }
                Output::Verdict(other) => self.line(format!("{other:?}")),
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run_to(&mut self, millis: u64) {
        let end = ms(millis);
        self.carry_out();
        while let Some(next) = self.check.deadline().into_iter().chain(self.drip).min().filter(|&next| next <= end) {
            self.now = next.max(self.now);
            if self.drip.is_some_and(|drip| drip <= self.now) {
                self.drip = Some(self.now + Duration::from_secs(1));
                self.net(Net::Received(b"x".to_vec()));
            }
            self.check.wake(self.now);
            self.carry_out();
        }
        self.now = end;
    }

    /// The log since it was last asked for.
    pub(crate) fn lines(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.log)
    }

    /// Compares the log with this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[(u64, &str)]) {
        let lines = self.lines();
        let got: Vec<(u64, &str)> = lines.iter().map(|(at, text)| (*at, text.as_str())).collect();
        assert_eq!(got, expected);
    }
}
