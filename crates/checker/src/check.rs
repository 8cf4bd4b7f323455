//! One check as a machine: when it runs, what a run takes, and what its end means. What is said to the server is in `talk`.
//!
//! A run is an attempt with a number. Events of another number are late ones of a run that is over and are ignored, so that
//! whoever does the I/O need not be careful. Each run ends: every wait has a limit, and so has the run as a whole.

mod finish;
mod io;

pub use io::{Ended, Facts, Input, Net, Output, Transport};

use crate::http::{HttpVersion, request};
use crate::params::{CheckParams, Probe, Target};
use crate::sentence::{Sentence, What};
use crate::talk::agent::AgentTalk;
use crate::talk::dns::DnsTalk;
use crate::talk::echo::EchoTalk;
use crate::talk::grpc::GrpcTalk;
use crate::talk::mysql::MysqlTalk;
use crate::talk::page::PageTalk;
use crate::talk::page2::Page2Talk;
use crate::talk::pgsql::PgsqlTalk;
use crate::talk::redis::RedisTalk;
use crate::talk::smtp::SmtpTalk;
use crate::talk::udp::UdpTalk;
use crate::talk::{Step, Talk};
use crate::verdict::{Advice, Finding, Wish};
use crate::{Compiled, Pace, Reason};
use core::time::Duration;
use rvs_machine::{Machine, Rng, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// A run takes at most so many times `connect_timeout`, however the server drips.
pub const RUN_LIMIT: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Until the time of the next run.
    Waiting,
    Connecting,
    Talking,
    /// The program runs.
    Running,
    /// Events come by themselves.
    Watching,
    Suspended,
}

/// A check.
#[derive(Debug)]
pub struct Check {
    params: Arc<CheckParams>,
    patterns: Vec<Option<Compiled>>,
    rng: Rng,
    phase: Phase,
    talk: Option<Box<dyn Talk>>,
    deadline: Option<Time>,
    started: Time,
    attempt: u64,
    up: bool,
    has_run: bool,
    tried: u32,
    /// Which page or mail server is next.
    turn: usize,
    /// The page that has brought the check down; it must come right before all are asked for again.
    failed_turn: Option<usize>,
    advice: Advice,
    wish: Wish,
    facts: Facts,
    out: VecDeque<Output>,
    now: Time,
}

impl Check {
    /// A check whose first run is due between [`Pace::BOOTSTRAP`] and that plus `warmup` from now. `seed`: for that and for
    /// numbers in requests. `Err`: an expression that cannot be compiled, or nothing to ask for.
    pub fn new(params: impl Into<Arc<CheckParams>>, seed: u64, now: Time) -> Result<Self, String> {
        let params: Arc<CheckParams> = params.into();
        let mut patterns = Vec::new();
        if let Probe::Http(http) = &params.probe {
            if http.urls.is_empty() {
                return Err(format!("{} has no url", params.probe.keyword()));
            }
            for url in &http.urls {
                patterns.push(url.pattern.as_ref().map(crate::Pattern::compile).transpose()?);
            }
        }
        if let Probe::Dns(dns) = &params.probe
            && !crate::is_askable(&dns.name)
        {
            return Err(format!("DNS_CHECK: `{}` is not a name that can be asked for", dns.name));
        }
        let watching = matches!(params.probe, Probe::File(_) | Probe::Bfd(_));
        let up = !params.pace.alpha;
        let mut check = Self {
            params,
            patterns,
            rng: Rng::new(seed),
            phase: if watching { Phase::Watching } else { Phase::Waiting },
            talk: None,
            deadline: None,
            started: now,
            attempt: 0,
            up,
            has_run: false,
            tried: 0,
            turn: 0,
            failed_turn: None,
            advice: Advice::Add(0),
            wish: Wish::Ready,
            facts: Facts::default(),
            out: VecDeque::new(),
            now,
        };
        if !watching {
            check.put_off();
        }
        Ok(check)
    }

    /// Its parameters.
    pub fn params(&self) -> &Arc<CheckParams> {
        &self.params
    }

    /// Whether its real server counts as up by this check.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// Whether it has come to a verdict yet.
    pub fn has_run(&self) -> bool {
        self.has_run
    }

    /// Its advice about the weight.
    pub fn advice(&self) -> Advice {
        self.advice
    }

    /// What its agent asks for.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// What has been seen of it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether it rests.
    pub fn is_suspended(&self) -> bool {
        self.phase == Phase::Suspended
    }

    /// How long it has been overdue at `now`: zero as long as it keeps its own deadlines. Deadlines bound every run, so more
    /// than a moment means that whoever drives it has lost it.
    pub fn overdue(&self, now: Time) -> Duration {
        self.deadline.map_or(Duration::ZERO, |deadline| now.since(deadline))
    }

    /// Takes over what an equal check has found out before a reload or a restart of the daemon.
    pub fn adopt(&mut self, up: bool, advice: Advice) {
        (self.up, self.has_run, self.advice) = (up, true, advice);
    }

    fn put_off(&mut self) {
        let warmup = u64::try_from(self.params.pace.warmup.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.rng.below(warmup));
        self.phase = Phase::Waiting;
        self.deadline = Some(self.now + Pace::BOOTSTRAP + jitter);
    }

    fn begin(&mut self) {
        self.attempt += 1;
        self.started = self.now;
        if let Probe::Misc(misc) = &self.params.probe {
            self.phase = Phase::Running;
            self.deadline = Some(self.now + misc.timeout);
            self.out.push_back(Output::Run(self.attempt));
            return;
        }
        let h2 = match &self.params.probe {
            Probe::Grpc(_) => true,
            Probe::Http(http) => http.version == HttpVersion::Http2,
            _ => false,
        };
        let transport = match &self.params.probe {
            Probe::Dns(_) | Probe::Udp(_) => Transport::Datagram,
            Probe::Ping => Transport::Echo,
            _ => Transport::Stream { h2 },
        };
        let tls = match &self.params.probe {
            Probe::Http(http) => http.tls.clone(),
            Probe::Grpc(grpc) => grpc.tls.clone(),
            _ => None,
        };
        self.phase = Phase::Connecting;
        self.talk = self.conversation();
        let target = self.target().clone();
        self.out.push_back(Output::Open { attempt: self.attempt, transport, target, tls });
        self.wait();
    }

    fn target(&self) -> &Target {
        match &self.params.probe {
            Probe::Smtp(smtp) => smtp.hosts.get(self.turn).unwrap_or(&self.params.target),
            _ => &self.params.target,
        }
    }

    fn conversation(&mut self) -> Option<Box<dyn Talk>> {
        let address = self.params.target.address;
        Some(match &self.params.probe {
            Probe::Http(http) => {
                let url = http.urls.get(self.turn)?.clone();
                let compliant = http.tls.as_ref().is_some_and(|tls| tls.compliant);
                let compiled = self.patterns.get(self.turn).cloned().flatten();
                let request = request(&url, http, address);
                let page = PageTalk::new(request, url, compiled, compliant);
                if http.version == HttpVersion::Http2 { Box::new(Page2Talk::new(page)) } else { Box::new(page) }
            }
            Probe::Smtp(smtp) => Box::new(SmtpTalk::new(&smtp.helo)),
            Probe::Dns(dns) => Box::new(DnsTalk::new(dns, self.rng.next() as u16)),
            Probe::Udp(udp) => Box::new(UdpTalk::new(udp)),
            Probe::Ping => Box::new(EchoTalk::new(address.is_ipv6(), self.rng.next())),
            Probe::Agent(agent) => Box::new(AgentTalk::new(agent)),
            Probe::Grpc(grpc) => {
                let authority = grpc.authority.clone().unwrap_or_else(|| address.to_string());
                Box::new(GrpcTalk::new(grpc, &authority))
            }
            Probe::Redis(redis) => Box::new(RedisTalk::new(redis)),
            Probe::Mysql(mysql) => Box::new(MysqlTalk::new(mysql)),
            Probe::Pgsql(pgsql) => Box::new(PgsqlTalk::new(pgsql)),
            Probe::Tcp | Probe::Misc(_) | Probe::File(_) | Probe::Bfd(_) => return None,
        })
    }

    /// Sets the limit of the next wait.
    fn wait(&mut self) {
        // Without any time at all a check would spin.
        let timeout = self.params.pace.connect_timeout.max(Duration::from_millis(1));
        let end = self.started + timeout.saturating_mul(RUN_LIMIT);
        self.deadline = Some(end.min(self.now + timeout));
    }

    fn net(&mut self, event: Net) {
        match (self.phase, event) {
            (Phase::Connecting, Net::Connected) => {
                self.phase = Phase::Talking;
                self.wait();
                match self.talk.as_mut().map(|talk| talk.open()) {
                    Some(step) => self.step(step),
                    None => self.step(Step::good()),
                }
            }
            (Phase::Talking, Net::Received(bytes)) => {
                let datagram = matches!(self.params.probe, Probe::Dns(_) | Probe::Udp(_) | Probe::Ping);
                // Datagrams that are none of ours must not make the wait longer.
                if !datagram {
                    self.wait();
                }
                if let Some(step) = self.talk.as_mut().map(|talk| talk.hear(&bytes)) {
                    self.step(step);
                }
            }
            (Phase::Talking, Net::Closed) => {
                if let Some(step) = self.talk.as_mut().map(|talk| talk.ended()) {
                    self.step(step);
                }
            }
            (_, Net::Refused(errno)) => self.break_off(Reason::Refused(errno)),
            (_, Net::Reset) => self.break_off(Reason::Reset),
            (_, Net::Tls(why)) => self.break_off(Reason::Tls(why)),
            // Out of turn: the run's limit takes care of it.
            (_, Net::Connected | Net::Received(_) | Net::Closed) => {}
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait => {}
            Step::Say(bytes) => self.out.push_back(Output::Send(self.attempt, bytes)),
            Step::Pass(bytes, finding) => {
                if !bytes.is_empty() {
                    self.out.push_back(Output::Send(self.attempt, bytes));
                }
                self.close(true);
                self.passed(finding);
            }
            Step::Fail(reason) => {
                // A server that answers, if wrongly, deserves a proper end; one that floods or talks nonsense does not.
                let improper = matches!(reason, Reason::TooLong | Reason::Malformed(_));
                self.close(!improper);
                self.failed(reason);
            }
        }
    }

    fn break_off(&mut self, reason: Reason) {
        self.close(false);
        self.failed(reason);
    }

    fn close(&mut self, properly: bool) {
        self.talk = None;
        self.out.push_back(Output::Close { attempt: self.attempt, properly });
    }

    /// Ends what is going on without a verdict.
    fn abandon(&mut self) {
        match self.phase {
            Phase::Connecting | Phase::Talking => self.close(false),
            Phase::Running => self.out.push_back(Output::Stop(self.attempt)),
            Phase::Waiting | Phase::Watching | Phase::Suspended => {}
        }
        self.attempt += 1;
    }

    fn suspend(&mut self, suspend: bool) {
        if suspend == self.is_suspended() || self.phase == Phase::Watching {
            return;
        }
        if suspend {
            self.abandon();
            (self.phase, self.deadline) = (Phase::Suspended, None);
        } else {
            self.put_off();
        }
    }

    fn ended(&mut self, ended: Ended) {
        let dynamic = matches!(&self.params.probe, Probe::Misc(misc) if misc.dynamic);
        match ended {
            Ended::Status(0) => self.passed(Finding { advice: Some(Advice::Add(0)), ..Finding::default() }),
            Ended::Status(status @ 2..=255) if dynamic => {
                let advice = Some(Advice::Weight(i64::from(status) - 2));
                self.passed(Finding { advice, ..Finding::default() });
            }
            Ended::Status(status) => self.failed(Reason::Exit(status)),
            Ended::Signal(signal) => self.failed(Reason::Signal(signal)),
            Ended::NotStarted(why) => self.failed(Reason::Spawn(why)),
        }
    }

    fn file(&mut self, value: i64) {
        let Probe::File(file) = &self.params.probe else { return };
        let weight = file.weight;
        self.started = self.now;
        if weight == 0 && value != 0 {
            self.failed(Reason::FileValue(value));
        } else {
            let advice = Some(Advice::Add(value.saturating_mul(weight)));
            self.passed(Finding { advice, ..Finding::default() });
        }
    }

    fn say(&mut self, what: What) {
        self.out.push_back(Output::Log(Sentence {
            params: Arc::clone(&self.params),
            address: self.target().address,
            what,
        }));
    }
}

impl Machine for Check {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Net(attempt, event) => {
                let going_on = matches!(self.phase, Phase::Connecting | Phase::Talking);
                if attempt == self.attempt && going_on {
                    self.net(event);
                }
            }
            Input::Program(attempt, ended) => {
                if attempt == self.attempt && self.phase == Phase::Running {
                    self.ended(ended);
                }
            }
            Input::File(value) => self.file(value),
            Input::Session(up) => {
                if matches!(self.params.probe, Probe::Bfd(_)) {
                    self.started = self.now;
                    if up { self.passed(Finding::default()) } else { self.failed(Reason::SessionDown) }
                }
            }
            Input::Suspend(suspend) => self.suspend(suspend),
            Input::Restart => {
                if !matches!(self.phase, Phase::Watching | Phase::Suspended) {
                    self.facts.stuck += 1;
                    self.abandon();
                    self.begin();
                }
            }
        }
    }

    fn wake(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.deadline.is_none_or(|deadline| self.now < deadline) {
            return;
        }
        match self.phase {
            Phase::Waiting => self.begin(),
            Phase::Connecting => self.break_off(Reason::ConnectTimeout),
            Phase::Talking => {
                let step = self.talk.as_mut().map(|talk| talk.silent());
                match step {
                    Some(Step::Fail(reason)) => self.break_off(reason),
                    Some(step) => self.step(step),
                    None => self.break_off(Reason::ReadTimeout),
                }
            }
            Phase::Running => {
                self.out.push_back(Output::Stop(self.attempt));
                self.failed(Reason::ScriptTimeout);
            }
            Phase::Watching | Phase::Suspended => self.deadline = None,
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}
