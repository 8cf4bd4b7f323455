//! BFD (RFC 5880, 5881, 5883) as a value: the sessions of a daemon as one machine. It has no clock, socket or thread.
#![forbid(unsafe_code)]

mod packet;
mod params;
mod session;

pub use packet::{Diag, Malformed, Packet, State};
pub use params::{Name, Params};
pub use session::{Session, Stats};

use core::net::IpAddr;
use rvs_machine::{Machine, Rng, Time};
use session::Wish;
use std::collections::VecDeque;

/// The port of neighbours one hop away (RFC 5881).
pub const PORT: u16 = 3784;
/// The port of neighbours several hops away (RFC 5883).
pub const PORT_MULTIHOP: u16 = 4784;

/// What happens to the sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A datagram came to one of the two ports. As everywhere: all that the socket holds comes before a wake-up.
    Received {
        /// The sender.
        source: IpAddr,
        /// It came to [`PORT_MULTIHOP`].
        multihop: bool,
        /// Its time to live or hop limit, if known.
        hop_limit: Option<u8>,
        /// Its payload.
        bytes: Vec<u8>,
    },
    /// Hold a session down, or let it go.
    AdminDown(Name, bool),
    /// Other parameters; sessions are told apart by their names.
    Reload(Vec<Params>),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a datagram to the session's neighbour, by its parameters (source, port, hop limit).
    Send(Name, [u8; Packet::LEN]),
    /// A session has come up, or is up no longer.
    Up(Name, bool),
    /// Write to the log.
    Log(String),
}

/// What belongs to no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpeakerStats {
    /// Packets that could not be read, by [`Malformed::ALL`]'s order.
    pub malformed: [u64; Malformed::ALL.len()],
    /// Packets for no session.
    pub unknown: u64,
}

/// All sessions of a daemon.
#[derive(Clone, Debug)]
pub struct Speaker {
    sessions: Vec<Session>,
    out: VecDeque<Output>,
    stats: SpeakerStats,
    rng: Rng,
    now: Time,
}

impl Speaker {
    /// Sessions that begin down. `seed`: for discriminators and jitter; another one at every start.
    pub fn new(params: Vec<Params>, seed: u64, now: Time) -> Self {
        let mut speaker = Self {
            sessions: Vec::new(),
            out: VecDeque::new(),
            stats: SpeakerStats::default(),
            rng: Rng::new(seed),
            now,
        };
        for params in params {
            speaker.add(params);
        }
        speaker
    }

    /// The sessions.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// What belongs to no session.
    pub fn stats(&self) -> &SpeakerStats {
        &self.stats
    }

    fn add(&mut self, params: Params) {
        let taken = |number: u32| self.sessions.iter().any(|session| session.discriminator() == number);
        let mut number = self.rng.next() as u32;
        while number == 0 || taken(number) {
            number = self.rng.next() as u32;
        }
        self.sessions.push(Session::new(params, number, self.rng.next(), self.now));
    }

    /// Runs a session and passes on what it wants.
    fn with(&mut self, at: usize, work: impl FnOnce(&mut Session, Time, &mut Vec<Wish>)) {
        let mut wishes = Vec::new();
        work(&mut self.sessions[at], self.now, &mut wishes);
        let name = &self.sessions[at].params().name;
        self.out.extend(wishes.into_iter().map(|wish| match wish {
            Wish::Send(bytes) => Output::Send(name.clone(), bytes),
            Wish::Up(up) => Output::Up(name.clone(), up),
            Wish::Log(text) => Output::Log(text),
        }));
    }

    fn receive(&mut self, source: IpAddr, multihop: bool, hop_limit: Option<u8>, bytes: &[u8]) {
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(reason) => {
                if let Some(at) = Malformed::ALL.iter().position(|known| *known == reason) {
                    self.stats.malformed[at] += 1;
                }
                return;
            }
        };
        // By our number, once the neighbour knows it; its address must be right all the same, or a number would be enough
        // to bring a session down.
        let found = self.sessions.iter().position(|session| {
            let params = session.params();
            let numbered =
                matches!(packet.your_discriminator, 0) || packet.your_discriminator == session.discriminator();
            numbered && params.neighbour == source && params.multihop == multihop
        });
        let Some(at) = found else {
            self.stats.unknown += 1;
            return;
        };
        if self.sessions[at].params().is_near(hop_limit) {
            self.with(at, |session, now, wishes| session.hear(now, &packet, wishes));
        } else {
            self.sessions[at].count_too_far();
        }
    }

    fn reload(&mut self, params: Vec<Params>) {
        let kept = |old: &Params| {
            params
                .iter()
                .any(|new| (&new.name, new.neighbour, new.multihop) == (&old.name, old.neighbour, old.multihop))
        };
        for at in (0..self.sessions.len()).rev() {
            if !kept(self.sessions[at].params()) {
                self.with(at, |session, now, wishes| session.set_admin_down(now, true, wishes));
                self.sessions.remove(at);
            }
        }
        for params in params {
            match self.sessions.iter().position(|session| session.params().name == params.name) {
                Some(at) => self.with(at, |session, now, wishes| session.reload(now, params, wishes)),
                None => self.add(params),
            }
        }
    }
}

impl Machine for Speaker {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Received { source, multihop, hop_limit, bytes } => self.receive(source, multihop, hop_limit, &bytes),
            Input::Reload(params) => self.reload(params),
            Input::AdminDown(name, down) => {
                if let Some(at) = self.sessions.iter().position(|session| session.params().name == name) {
                    self.with(at, |session, now, wishes| session.set_admin_down(now, down, wishes));
                }
            }
        }
    }

    fn wake(&mut self, now: Time) {
        self.now = self.now.max(now);
        for at in 0..self.sessions.len() {
            self.with(at, |session, now, wishes| session.wake(now, wishes));
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.sessions.iter().filter_map(Session::deadline).min()
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}
