//! The driver: the registry of checks on one side, connections, programs and the clock on the other.

use crate::connection::{Connection, Progress};
use crate::poller::{Event, Poller};
use crate::programs::Programs;
use crate::secure::Secure;
use crate::table::Table;
use crate::trust::{TlsError, TlsFiles, Trust};
use crate::{limits, socket};
use nix::libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
use rvs_checker::{
    Advice, CheckId, CheckParams, Input, Net, Output, Probe, Registry, RegistryInput, RegistryOutput, Sentence, Target,
    Tls, Transport, Verdict,
};
use rvs_host::clock;
use rvs_host::script::security::RunAs;
use rvs_machine::{Machine, Time};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long the peer has to end its side after us.
const DRAIN: Duration = Duration::from_secs(3);
/// How often stuck checks are looked for.
const WATCH: Duration = Duration::from_secs(1);
/// When to try again after the system has refused a socket for want of resources.
const PATIENCE: Duration = Duration::from_millis(50);
/// Timers that end within so many nanoseconds of each other are served together.
const GRAIN: u64 = 4_000_000;
/// The greatest piece that is read at once; no datagram is longer.
const BUFFER: usize = 64 << 10;
/// So many pieces are read of one connection before others have their turn.
const TURNS: u32 = 4;

/// What the prober tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told<S> {
    /// Something for the log, about this subscriber's real server.
    Log(S, Sentence),
    /// A verdict for this subscriber.
    Verdict(S, Verdict),
    /// What this subscriber asked for cannot be checked at all; why. It is not subscribed.
    Unusable(S, String),
    /// This check (`TCP_CHECK of 10.0.0.1:80`) was so far behind its own deadline, and has been begun anew.
    Stuck(String, Duration),
}

/// A connection that is wanted.
#[derive(Debug)]
struct Wanted {
    id: CheckId,
    attempt: u64,
    transport: Transport,
    target: Target,
    tls: Option<Tls>,
}

/// Does checks. `S`: who asks for one, such as a virtual server, a real server and a place.
pub struct Prober<S> {
    registry: Registry<S>,
    poller: Poller,
    table: Table,
    programs: Programs,
    trust: Trust,
    told: VecDeque<Told<S>>,
    /// Connections for which there is no room yet, the oldest first.
    waiting: VecDeque<Wanted>,
    /// When there was no room for want of resources: not before this time again.
    try_again: Time,
    /// Connections being closed, and when they are dropped at the latest; in order.
    draining: VecDeque<(Time, u64)>,
    /// Connections to be looked at without an event.
    again: Vec<u64>,
    events: Vec<Event>,
    buffer: Vec<u8>,
    most: usize,
    next_watch: Time,
    /// When there was a turn last.
    last_turn: Time,
}

impl<S: Ord + Clone> Prober<S> {
    /// A prober without checks. `seed`: for the start of each check and for numbers in requests; another one at every start of
    /// the daemon. Raises the limit of descriptors of this process. To be called within a runtime of tokio with I/O and time;
    /// it fails when the system has no descriptor left.
    pub fn new(seed: u64) -> io::Result<Self> {
        let now = clock::now();
        Ok(Self {
            registry: Registry::new(seed, now),
            poller: Poller::new()?,
            table: Table::default(),
            programs: Programs::new(),
            trust: Trust::default(),
            told: VecDeque::new(),
            waiting: VecDeque::new(),
            try_again: now,
            draining: VecDeque::new(),
            again: Vec::new(),
            events: Vec::new(),
            buffer: vec![0; BUFFER],
            most: limits::connections(limits::raise_descriptor_limit()),
            next_watch: now + WATCH,
            last_turn: now,
        })
    }

    /// Whom programs run as when their check does not say it, and whether with the supplementary groups of the user. Without
    /// this call: `keepalived_script` if there is such a user, else root; without groups.
    pub fn run_as(&mut self, by: RunAs, supplementary_groups: bool) {
        (self.programs.by, self.programs.with_groups) = (by, supplementary_groups);
    }

    /// Takes authorities and our own certificate from files, for all handshakes from now on. On an error nothing changes.
    pub fn tls(&mut self, files: &TlsFiles) -> Result<(), TlsError> {
        self.trust = Trust::read(files)?;
        Ok(())
    }

    /// Allows this many connections at once, 1 or more, where the limit of descriptors would allow more. Checks that find no
    /// room wait for it, within their own limits of time.
    pub fn limit_connections(&mut self, most: usize) {
        self.most = most.clamp(1, limits::connections(limits::raise_descriptor_limit()));
    }

    /// Asks for a check. Whoever asks for the same as another hears at once what is known. Asking again for other parameters
    /// replaces the check, for equal ones changes nothing.
    pub fn subscribe(&mut self, who: S, params: impl Into<Arc<CheckParams>>) {
        self.input(RegistryInput::Subscribe(who, params.into()));
    }

    /// Asks no longer. A check that nobody asks for ends, and what it was doing is broken off.
    pub fn unsubscribe(&mut self, who: &S) {
        self.input(RegistryInput::Unsubscribe(who.clone()));
    }

    /// Lets somebody's check rest, or work again. It rests when all who asked for it rest.
    pub fn suspend(&mut self, who: &S, rests: bool) {
        self.input(RegistryInput::Suspend(who.clone(), rests));
    }

    /// Takes over what an earlier daemon has found out by this check, without telling it again.
    pub fn adopt(&mut self, who: &S, up: bool, advice: Advice) {
        self.registry.adopt(who, up, advice);
    }

    /// The number in the tracked file of somebody's FILE_CHECK.
    pub fn file(&mut self, who: &S, value: i64) {
        self.tell(who, Input::File(value));
    }

    /// Whether the session of somebody's BFD_CHECK is up.
    pub fn session(&mut self, who: &S, up: bool) {
        self.tell(who, Input::Session(up));
    }

    /// All checks, for status and metrics.
    pub fn registry(&self) -> &Registry<S> {
        &self.registry
    }

    /// How many connections there are, those being closed among them.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// How many programs are running.
    pub fn programs(&self) -> usize {
        self.programs.count()
    }

    /// Does checks until there is something to tell. Checks are done only while this is awaited. It may be dropped at any
    /// await and called again: nothing is lost, as `select!` wants it.
    pub async fn next(&mut self) -> Told<S> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            let busy = self.turn();
            if !self.told.is_empty() {
                continue;
            }
            if busy {
                tokio::task::yield_now().await;
                continue;
            }
            let wait = self.wait();
            tokio::select! {
                () = self.poller.wait() => {}
                () = tokio::time::sleep(wait) => {}
                end = self.programs.next() => self.check(end.id, Input::Program(end.attempt, end.how)),
            }
        }
    }

    /// Does what there is to do now, a bounded part of it; `true`: there is more.
    fn turn(&mut self) -> bool {
        // What has come by now counts before any timer that has ended by now.
        let mut events = std::mem::take(&mut self.events);
        let busy = self.poller.take(&mut events);
        for event in events.drain(..) {
            if let Some(connection) = self.table.get(event.key) {
                connection.woken(event.readable);
                self.look_after(event.key);
            }
        }
        self.events = events;
        for key in std::mem::take(&mut self.again) {
            self.look_after(key);
        }
        let now = clock::now();
        if now >= self.next_watch {
            self.next_watch = now + WATCH;
            // After a long time without a turn everything is late, and nothing stuck: what is shows the next time.
            if now.since(self.last_turn) < Registry::<S>::PATIENCE / 2 {
                self.registry.watch(now);
            }
        }
        self.last_turn = now;
        self.registry.wake(now);
        self.carry_out(now);
        while let Some(&(until, key)) = self.draining.front()
            && until <= now
        {
            self.draining.pop_front();
            self.table.remove(key);
        }
        self.let_in(now);
        self.carry_out(now);
        busy || !self.again.is_empty()
    }

    /// How long to sleep when nothing happens.
    fn wait(&self) -> Duration {
        let mut until = self.next_watch;
        if let Some(deadline) = self.registry.deadline() {
            until = until.min(deadline);
        }
        if let Some(&(deadline, _)) = self.draining.front() {
            until = until.min(deadline);
        }
        if !self.waiting.is_empty() {
            until = until.min(self.try_again);
        }
        let until = Time::from_nanos(until.nanos().next_multiple_of(GRAIN));
        until.since(clock::now())
    }

    fn input(&mut self, input: RegistryInput<S>) {
        let now = clock::now();
        self.registry.handle(now, input);
        self.carry_out(now);
    }

    fn tell(&mut self, who: &S, input: Input) {
        if let Some(id) = self.registry.of(who) {
            self.check(id, input);
        }
    }

    fn check(&mut self, id: CheckId, input: Input) {
        self.input(RegistryInput::Check(id, input));
    }

    /// Does what the registry wants.
    fn carry_out(&mut self, now: Time) {
        while let Some(output) = self.registry.poll() {
            match output {
                RegistryOutput::Log(who, sentence) => self.told.push_back(Told::Log(who, sentence)),
                RegistryOutput::Verdict(who, verdict) => self.told.push_back(Told::Verdict(who, verdict)),
                RegistryOutput::Unusable(who, why) => self.told.push_back(Told::Unusable(who, why)),
                RegistryOutput::Stuck(id, overdue) => {
                    let name = self.registry.check(id).map_or_else(String::new, |check| {
                        let params = check.params();
                        format!("{} of {}", params.probe.keyword(), params.target.address)
                    });
                    self.told.push_back(Told::Stuck(name, overdue));
                }
                RegistryOutput::Check(id, output) => self.output(now, id, output),
            }
        }
    }

    fn output(&mut self, now: Time, id: CheckId, output: Output) {
        match output {
            Output::Open { attempt, transport, target, tls } => {
                self.waiting.push_back(Wanted { id, attempt, transport, target, tls });
                self.let_in(now);
            }
            Output::Send(attempt, bytes) => {
                let Some(key) = self.table.of(id, attempt) else { return };
                let Some(connection) = self.table.get(key) else { return };
                let failed = connection.say(&bytes);
                if connection.has_more() {
                    self.again.push(key);
                }
                if let Some(net) = failed {
                    self.happened(now, id, attempt, net);
                }
            }
            Output::Close { attempt, properly } => self.close(now, id, attempt, properly),
            Output::Run(attempt) => {
                if let Some(Probe::Misc(misc)) = self.registry.check(id).map(|check| &check.params().probe) {
                    self.programs.start(id, attempt, misc);
                }
            }
            Output::Stop(attempt) => self.programs.stop(id, attempt),
            // The registry never passes these on as a check's own.
            Output::Log(_) | Output::Verdict(_) => {}
        }
    }

    fn close(&mut self, now: Time, id: CheckId, attempt: u64, properly: bool) {
        let Some(key) = self.table.of(id, attempt) else {
            self.waiting.retain(|wanted| (wanted.id, wanted.attempt) != (id, attempt));
            return;
        };
        self.table.retire(key);
        // A port of its own would be taken for a minute after a proper end, and the next check could not begin.
        let fixed_port = self.registry.check(id).is_some_and(|check| check.params().target.bind_port.is_some());
        let Some(connection) = self.table.get(key) else { return };
        if properly && !fixed_port && connection.begin_to_close() {
            if connection.has_more() {
                self.again.push(key);
            }
            self.draining.push_back((now + DRAIN, key));
        } else {
            if fixed_port {
                connection.reset_at_close();
            }
            self.table.remove(key);
        }
    }

    /// Opens connections that wait for room, as far as there is any.
    fn let_in(&mut self, now: Time) {
        while !self.waiting.is_empty() && now >= self.try_again {
            if self.table.len() >= self.most {
                // Who is only being waited for goes first.
                let Some((_, key)) = self.draining.pop_front() else { return };
                self.table.remove(key);
                continue;
            }
            let Some(wanted) = self.waiting.pop_front() else { return };
            if let Some(wanted) = self.open(now, wanted) {
                self.waiting.push_front(wanted);
                self.try_again = now + PATIENCE;
            }
        }
    }

    /// Opens a connection; gives back what the system has no resources for.
    fn open(&mut self, now: Time, wanted: Wanted) -> Option<Wanted> {
        let secure = match &wanted.tls {
            None => None,
            Some(tls) => match self.secure(tls, &wanted) {
                Ok(secure) => Some(secure),
                Err(why) => {
                    self.happened(now, wanted.id, wanted.attempt, Net::Tls(why));
                    return None;
                }
            },
        };
        let socket = match socket::connect(wanted.transport, &wanted.target) {
            Ok(socket) => socket,
            Err(EMFILE | ENFILE | ENOBUFS | ENOMEM) => return Some(wanted),
            Err(errno) => {
                self.happened(now, wanted.id, wanted.attempt, Net::Refused(errno));
                return None;
            }
        };
        let key = self.table.insert(Connection::new(wanted.id, wanted.attempt, socket, secure));
        let connection = self.table.get(key)?;
        let stands = connection.stands();
        if self.poller.add(connection.socket(), key).is_err() {
            self.table.remove(key);
            return Some(wanted);
        }
        if stands {
            self.happened(now, wanted.id, wanted.attempt, Net::Connected);
        }
        None
    }

    fn secure(&mut self, tls: &Tls, wanted: &Wanted) -> Result<Secure, String> {
        let h2 = matches!(wanted.transport, Transport::Stream { h2: true });
        let config = self.trust.config(tls.verify, h2, tls.sni.is_some())?;
        Secure::new(config, tls.sni.as_deref(), wanted.target.address.ip(), h2, tls.compliant)
    }

    /// Passes on what has happened to a connection; what is wanted thereupon is done by whoever carries out.
    fn happened(&mut self, now: Time, id: CheckId, attempt: u64, net: Net) {
        self.registry.handle(now, RegistryInput::Check(id, Input::Net(attempt, net)));
    }

    /// Lets a connection go on as far as it can, within bounds.
    fn look_after(&mut self, key: u64) {
        for _ in 0..TURNS {
            let Some(connection) = self.table.get(key) else { return };
            match connection.advance(&mut self.buffer) {
                Progress::Net(net) => {
                    let (id, attempt) = (connection.id, connection.attempt);
                    let now = clock::now();
                    self.happened(now, id, attempt, net);
                    self.carry_out(now);
                }
                Progress::Later => {}
                Progress::Idle => return,
                Progress::Over => return self.table.remove(key),
            }
        }
        self.again.push(key);
    }
}
