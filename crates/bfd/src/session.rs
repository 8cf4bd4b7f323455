//! One session: asynchronous mode (RFC 5880, 6.8), no echo, no authentication, demand only as the neighbour's wish.

use crate::packet::{Diag, Packet, State, micros};
use crate::params::Params;
use core::time::Duration;
use rvs_machine::{Rng, Time};

/// What a session wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// Send this packet.
    Send([u8; Packet::LEN]),
    /// Tell that the session is up, or is not any more.
    Up(bool),
    /// Write to the log.
    Log(String),
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    params: Params,
    state: State,
    diag: Diag,
    discriminator: u32,
    remote: Remote,
    /// We have asked and not been answered: the neighbour may not know our new interval yet.
    polling: bool,
    /// The interval that we send at while up. One that became longer counts from the neighbour's answer on (6.8.3).
    tx_in_use: Duration,
    /// The interval that detection reckons with as ours. One that became shorter counts from the answer on.
    rx_in_use: Duration,
    next_send: Option<Time>,
    expiry: Option<Time>,
    last_heard: Option<Time>,
    last_final: Option<Time>,
    rng: Rng,
    stats: Stats,
}

/// What the neighbour said last.
#[derive(Clone, Copy, Debug)]
struct Remote {
    discriminator: u32,
    state: State,
    diag: Diag,
    demand: bool,
    multiplier: u8,
    min_tx: Duration,
    /// Zero: it wants to hear nothing.
    min_rx: Duration,
}

impl Remote {
    /// Nothing heard (6.8.1).
    const UNKNOWN: Self = Self {
        discriminator: 0,
        state: State::Down,
        diag: Diag::None,
        demand: false,
        multiplier: 0,
        min_tx: Duration::ZERO,
        min_rx: Duration::from_micros(1),
    };
}

/// A session's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Good packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// How often it came up.
    pub ups: u64,
    /// How often it went down from up.
    pub downs: u64,
    /// Packets that had come too far.
    pub too_far: u64,
}

impl Session {
    /// A session that begins down. `discriminator`: not 0, and no other session's. `seed`: for the jitter.
    pub(crate) fn new(params: Params, discriminator: u32, seed: u64, now: Time) -> Self {
        let mut session = Self {
            state: State::Down,
            diag: Diag::None,
            discriminator,
            remote: Remote::UNKNOWN,
            polling: false,
            tx_in_use: params.min_tx,
            rx_in_use: params.min_rx,
            next_send: None,
            expiry: None,
            last_heard: None,
            last_final: None,
            rng: Rng::new(seed),
            stats: Stats::default(),
            params,
        };
        session.plan(now);
        session
    }

    /// Its parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it is in its state.
    pub fn diag(&self) -> Diag {
        self.diag
    }

    /// Why the neighbour is in its.
    pub fn remote_diag(&self) -> Diag {
        self.remote.diag
    }

    /// Our number for it.
    pub fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    pub(crate) fn count_too_far(&mut self) {
        self.stats.too_far += 1;
    }

    /// The interval between our packets, before jitter; `None`: the neighbour wants none.
    pub fn tx_interval(&self) -> Option<Duration> {
        let own = if self.state == State::Up { self.tx_in_use } else { self.params.idle_tx };
        (!self.remote.min_rx.is_zero()).then(|| own.max(self.remote.min_rx))
    }

    /// After this long without a packet the neighbour is dead (6.8.4).
    pub fn detection_time(&self) -> Duration {
        self.rx_in_use.max(self.remote.min_tx) * u32::from(self.remote.multiplier)
    }

    /// When it wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.next_send.into_iter().chain(self.expiry).min()
    }

    /// True if packets are to be sent at intervals (6.8.7).
    fn sends(&self) -> bool {
        let waits = self.params.passive && self.remote.discriminator == 0;
        let both_up = self.state == State::Up && self.remote.state == State::Up;
        let unwanted = self.remote.demand && both_up && !self.polling;
        self.state != State::AdminDown && !waits && !unwanted
    }

    /// Sets the time of the next packet: an interval from now, less up to a quarter (6.8.7).
    fn plan(&mut self, now: Time) {
        self.next_send = None;
        let Some(interval) = self.tx_interval().filter(|_| self.sends()) else { return };
        let nanos = interval.as_nanos() as u64;
        // With a multiplier of one a single packet decides: it must not be late.
        let least = if self.params.multiplier == 1 { nanos / 10 } else { 0 };
        let jitter = least + self.rng.below(nanos / 4 - least + 1);
        self.next_send = Some(now + Duration::from_nanos(nanos - jitter));
    }

    /// Sends a packet now and plans the next.
    fn send_now(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        self.send(false, wishes);
        self.plan(now);
    }

    fn send(&mut self, r#final: bool, wishes: &mut Vec<Wish>) {
        self.stats.sent += 1;
        let desired = if self.state == State::Up { self.params.min_tx } else { self.params.idle_tx };
        let packet = Packet {
            diag: self.diag,
            state: self.state,
            // An answer carries what we would ask for.
            poll: self.polling && !r#final,
            r#final,
            control_plane_independent: false,
            demand: false,
            multiplier: self.params.multiplier,
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: micros(desired),
            required_min_rx: micros(self.params.min_rx),
            required_min_echo_rx: 0,
        };
        wishes.push(Wish::Send(packet.emit()));
    }

    /// A packet for this session (6.8.6).
    pub(crate) fn hear(&mut self, now: Time, packet: &Packet, wishes: &mut Vec<Wish>) {
        if self.state == State::AdminDown {
            return;
        }
        self.stats.received += 1;
        let before = (self.state, self.tx_interval(), self.sends());
        self.remote = Remote {
            discriminator: packet.my_discriminator,
            state: packet.state,
            diag: packet.diag,
            demand: packet.demand,
            multiplier: packet.multiplier,
            min_tx: Duration::from_micros(u64::from(packet.desired_min_tx)),
            min_rx: Duration::from_micros(u64::from(packet.required_min_rx)),
        };
        if packet.r#final {
            self.settle();
        }
        match (self.state, packet.state) {
            (State::Down, State::Down) => self.enter(State::Init, Diag::None, wishes),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => self.rise(wishes),
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.enter(State::Down, Diag::NeighbourDown, wishes);
            }
            _ => {}
        }
        self.last_heard = Some(now);
        self.expiry = Some(now + self.detection_time());
        if packet.poll && self.may_answer(now) {
            self.last_final = Some(now);
            self.send(true, wishes);
            // The answer has told our intervals.
            self.plan(now);
        } else if self.state != before.0 {
            // The neighbour is not kept waiting for what has changed.
            self.send_now(now, wishes);
        } else if (self.state, self.tx_interval(), self.sends()) != before || self.next_send.is_none() {
            self.plan(now);
        }
    }

    /// Answers are not sent faster than we said we receive: a flood of questions must not become one of answers.
    fn may_answer(&self, now: Time) -> bool {
        self.last_final.is_none_or(|at| now.since(at) >= self.params.min_rx / 4)
    }

    /// The neighbour knows our intervals.
    fn settle(&mut self) {
        self.polling = false;
        (self.tx_in_use, self.rx_in_use) = (self.params.min_tx, self.params.min_rx);
    }

    fn rise(&mut self, wishes: &mut Vec<Wish>) {
        self.stats.ups += 1;
        self.settle();
        self.enter(State::Up, Diag::None, wishes);
        // From here on we send faster than we said while down.
        self.polling = self.params.idle_tx != self.params.min_tx;
        wishes.push(Wish::Up(true));
    }

    fn enter(&mut self, state: State, diag: Diag, wishes: &mut Vec<Wish>) {
        let was_up = self.state == State::Up;
        (self.state, self.diag) = (state, diag);
        let name = &self.params.name;
        if state == State::Up {
            wishes.push(Wish::Log(format!("({name}) Entering Up state")));
        } else if was_up {
            self.stats.downs += 1;
            self.polling = false;
            let (local, remote) = (diag.words(), self.remote.diag.words());
            let word = state.word();
            wishes.push(Wish::Log(format!(
                "({name}) Entering {word} state (Local diagnostic - {local}, Remote diagnostic - {remote})"
            )));
            wishes.push(Wish::Up(false));
        }
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        if self.expiry.is_some_and(|at| at <= now) {
            self.expire(now, wishes);
        }
        if self.next_send.is_some_and(|at| at <= now) {
            self.send_now(now, wishes);
        }
    }

    /// Nothing was heard for the detection time.
    fn expire(&mut self, now: Time, wishes: &mut Vec<Wish>) {
        let silence = self.last_heard.map_or(Duration::ZERO, |at| now.since(at));
        let overdue = silence.saturating_sub(self.detection_time());
        self.expiry = None;
        let state = self.state;
        if state == State::Up {
            let name = &self.params.name;
            let (millis, micros) = (silence.as_millis(), overdue.as_micros());
            wishes.push(Wish::Log(format!("({name}) Expired after {millis} ms ({micros} usec overdue)")));
        }
        // Whoever comes next may be another (6.8.1).
        self.remote = Remote { diag: self.remote.diag, ..Remote::UNKNOWN };
        if matches!(state, State::Init | State::Up) {
            self.enter(State::Down, Diag::Expired, wishes);
            if !self.params.passive {
                return self.send_now(now, wishes);
            }
        }
        self.plan(now);
    }

    /// Holds it down, or lets it go again.
    pub(crate) fn set_admin_down(&mut self, now: Time, down: bool, wishes: &mut Vec<Wish>) {
        match (down, self.state) {
            (true, state) if state != State::AdminDown => {
                self.enter(State::AdminDown, Diag::AdminDown, wishes);
                // The neighbour is told once; it need not wait for its detection time.
                if self.remote.discriminator != 0 {
                    self.send(false, wishes);
                }
                self.expiry = None;
            }
            (false, State::AdminDown) => {
                (self.state, self.diag) = (State::Down, Diag::None);
                self.remote = Remote::UNKNOWN;
            }
            _ => return,
        }
        self.plan(now);
    }

    /// Takes over new parameters; the session stays up, and the neighbour is asked to take note.
    pub(crate) fn reload(&mut self, now: Time, params: Params, wishes: &mut Vec<Wish>) {
        if params == self.params {
            return;
        }
        if self.state == State::Up {
            self.tx_in_use = self.tx_in_use.min(params.min_tx);
            self.rx_in_use = self.rx_in_use.max(params.min_rx);
            self.polling = true;
        } else {
            (self.tx_in_use, self.rx_in_use) = (params.min_tx, params.min_rx);
        }
        self.params = params;
        if self.sends() && self.tx_interval().is_some() {
            self.send_now(now, wishes);
        } else {
            self.plan(now);
        }
    }
}
