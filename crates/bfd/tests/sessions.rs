//! Two speakers, or one and a neighbour that says what we like.
#![allow(clippy::unwrap_used)] // A failed step is a failed test.

use core::net::IpAddr;
use core::time::Duration;
use proptest::prelude::*;
use rvs_bfd::{Diag, Input, Output, Packet, Params, Speaker, State};
use rvs_machine::{Machine, Rng, Time};

fn ip(host: u8) -> IpAddr {
    IpAddr::V4([10, 0, 0, host].into())
}

fn ms(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn params(neighbour: u8) -> Params {
    Params::new("b", ip(neighbour))
}

/// A speaker, what it sent and what it told.
struct Side {
    host: u8,
    speaker: Speaker,
    sent: Vec<(Time, Packet)>,
    told: Vec<(Time, bool)>,
    logs: Vec<String>,
}

impl Side {
    fn new(host: u8, params: Params) -> Self {
        let speaker = Speaker::new(vec![params], u64::from(host), Time::ZERO);
        Self { host, speaker, sent: Vec::new(), told: Vec::new(), logs: Vec::new() }
    }

    fn drain(&mut self, now: Time) -> Vec<[u8; 24]> {
        let mut sent = Vec::new();
        while let Some(output) = self.speaker.poll() {
            match output {
                Output::Send(_, bytes) => {
                    self.sent.push((now, Packet::parse(&bytes).unwrap()));
                    sent.push(bytes);
                }
                Output::Up(_, up) => self.told.push((now, up)),
                Output::Log(text) => self.logs.push(text),
            }
        }
        sent
    }

    fn wake(&mut self, now: Time) -> Vec<[u8; 24]> {
        self.speaker.wake(now);
        self.drain(now)
    }

    fn hear(&mut self, now: Time, from: u8, bytes: &[u8]) -> Vec<[u8; 24]> {
        let bytes = bytes.to_vec();
        self.speaker.handle(now, Input::Received { source: ip(from), multihop: false, hop_limit: Some(255), bytes });
        self.drain(now)
    }

    fn state(&self) -> State {
        self.speaker.sessions()[0].state()
    }

    /// A packet that this side will take for its neighbour's.
    fn packet(&self, state: State) -> Packet {
        Packet {
            diag: Diag::None,
            state,
            poll: false,
            r#final: false,
            control_plane_independent: false,
            demand: false,
            multiplier: 3,
            my_discriminator: 77,
            your_discriminator: self.speaker.sessions()[0].discriminator(),
            desired_min_tx: 20_000,
            required_min_rx: 20_000,
            required_min_echo_rx: 0,
        }
    }
}

struct Pair {
    sides: [Side; 2],
    now: Time,
    /// Packets from one side are lost.
    cut: [bool; 2],
}

impl Pair {
    fn new(a: Params, b: Params) -> Self {
        Self { sides: [Side::new(1, a), Side::new(2, b)], now: Time::ZERO, cut: [false; 2] }
    }

    fn deliver(&mut self, from: usize, sent: Vec<[u8; 24]>) {
        for bytes in sent {
            if !self.cut[from] {
                let host = self.sides[from].host;
                let answers = self.sides[1 - from].hear(self.now, host, &bytes);
                self.deliver(1 - from, answers);
            }
        }
    }

    fn run_until(&mut self, end: Time) {
        loop {
            let due = |side: usize| Some((self.sides[side].speaker.deadline()?, side));
            let Some((at, side)) = due(0).into_iter().chain(due(1)).min().filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            let sent = self.sides[side].wake(self.now);
            self.deliver(side, sent);
        }
        self.now = end;
    }

    fn states(&self) -> [State; 2] {
        [self.sides[0].state(), self.sides[1].state()]
    }
}

#[test]
fn two_sides_come_up_and_send_at_their_pace() {
    let mut pair = Pair::new(params(2), Params { min_rx: Duration::from_millis(40), ..params(1) });
    pair.run_until(ms(3000));
    assert_eq!(pair.states(), [State::Up; 2]);
    assert!(pair.sides.iter().all(|side| side.told.len() == 1 && side.told[0].1));
    assert!(pair.sides[0].logs.contains(&"(b) Entering Up state".to_owned()));
    // The first sends at what the second can receive, less at most a quarter; the second as it likes.
    for (side, interval) in [(0, 40), (1, 10)] {
        let times: Vec<_> = pair.sides[side].sent.iter().map(|(at, _)| *at).filter(|at| *at > ms(2000)).collect();
        for pair in times.windows(2) {
            let gap = pair[1].since(pair[0]);
            let interval = Duration::from_millis(interval);
            assert!(gap <= interval && gap >= interval * 3 / 4, "{gap:?}");
        }
    }
    // Polls were asked and answered, and have ended.
    for side in &pair.sides {
        assert!(side.sent.iter().any(|(_, packet)| packet.poll));
        assert!(side.sent.iter().any(|(_, packet)| packet.r#final));
        assert!(side.sent.iter().all(|(at, packet)| *at < ms(2000) || !packet.poll));
    }
}

#[test]
fn down_it_sends_once_a_second() {
    let mut side = Side::new(1, params(2));
    while side.sent.len() < 20 {
        let at = side.speaker.deadline().unwrap();
        side.wake(at);
    }
    for pair in side.sent.windows(2) {
        let gap = pair[1].0.since(pair[0].0);
        assert!(gap <= Duration::from_secs(1) && gap >= Duration::from_millis(750));
        assert_eq!((pair[0].1.desired_min_tx, pair[0].1.your_discriminator), (1_000_000, 0));
    }
}

#[test]
fn silence_is_noticed_within_the_detection_time() {
    let mut pair = Pair::new(params(2), params(1));
    pair.run_until(ms(3000));
    pair.cut[1] = true;
    let cut = pair.now;
    pair.run_until(ms(3200));
    let (at, up) = *pair.sides[0].told.last().unwrap();
    assert!(!up && at.since(cut) <= Duration::from_millis(50) && at.since(cut) >= Duration::from_millis(39));
    assert_eq!(pair.sides[0].speaker.sessions()[0].diag(), Diag::Expired);
    // The other hears that it is down.
    assert_eq!(pair.sides[1].told.last().unwrap().0, at);
    assert_eq!(pair.sides[1].speaker.sessions()[0].diag(), Diag::NeighbourDown);
    let line = "(b) Entering Down state (Local diagnostic - Control Detection Time Expired, Remote diagnostic - No Diagnostic)";
    assert!(pair.sides[0].logs.contains(&line.to_owned()), "{:?}", pair.sides[0].logs);
    pair.cut[1] = false;
    pair.run_until(ms(7000));
    assert_eq!(pair.states(), [State::Up; 2]);
}

#[test]
fn one_passive_side_waits_and_two_wait_for_ever() {
    let passive = |neighbour| Params { passive: true, ..params(neighbour) };
    let mut one = Pair::new(passive(2), params(1));
    one.run_until(ms(4000));
    assert_eq!(one.states(), [State::Up; 2]);
    let mut both = Pair::new(passive(2), passive(1));
    both.run_until(ms(60_000));
    assert_eq!(both.states(), [State::Down; 2]);
    assert!(both.sides.iter().all(|side| side.sent.is_empty()));
}

/// RFC 5880, 6.2: local state, received state, local state after it.
#[test]
fn the_state_machine() {
    use State::{AdminDown, Down, Init, Up};
    for (local, heard, expected) in [
        (Down, AdminDown, Down),
        (Down, Down, Init),
        (Down, Init, Up),
        (Down, Up, Down),
        (Init, AdminDown, Down),
        (Init, Down, Init),
        (Init, Init, Up),
        (Init, Up, Up),
        (Up, AdminDown, Down),
        (Up, Down, Down),
        (Up, Init, Up),
        (Up, Up, Up),
        (AdminDown, Down, AdminDown),
        (AdminDown, Up, AdminDown),
    ] {
        let mut side = Side::new(1, params(2));
        let steps: &[State] = match local {
            Down => &[],
            Init => &[Down],
            Up => &[Init],
            AdminDown => {
                side.speaker.handle(ms(0), Input::AdminDown("b".into(), true));
                &[]
            }
        };
        for state in steps {
            let packet = side.packet(*state).emit();
            side.hear(ms(1), 2, &packet);
        }
        assert_eq!(side.state(), local);
        let packet = side.packet(heard).emit();
        side.hear(ms(2), 2, &packet);
        assert_eq!(side.state(), expected, "{local:?} hears {heard:?}");
    }
}

#[test]
fn questions_are_answered_at_once_and_floods_of_them_are_not() {
    let mut side = Side::new(1, params(2));
    let up = side.packet(State::Init).emit();
    side.hear(ms(1), 2, &up);
    side.sent.clear();
    let question = Packet { poll: true, ..side.packet(State::Up) }.emit();
    for micros in 0..10_000u64 {
        side.hear(ms(2) + Duration::from_micros(micros), 2, &question);
    }
    assert!(side.sent[0].0 == ms(2) && side.sent[0].1.r#final && !side.sent[0].1.poll);
    assert!(side.sent.len() <= 5, "{}", side.sent.len());
}

#[test]
fn a_neighbour_may_want_silence() {
    let mut side = Side::new(1, params(2));
    let init = side.packet(State::Init).emit();
    side.hear(ms(1), 2, &init);
    let answered = Packet { r#final: true, demand: true, ..side.packet(State::Up) }.emit();
    side.hear(ms(2), 2, &answered);
    side.sent.clear();
    side.wake(ms(30));
    assert!(side.sent.is_empty());
    let deaf = Packet { required_min_rx: 0, ..side.packet(State::Up) }.emit();
    side.hear(ms(31), 2, &deaf);
    side.wake(ms(60));
    assert!(side.sent.is_empty());
}

#[test]
fn a_slower_pace_waits_for_the_answer() {
    let mut pair = Pair::new(params(2), params(1));
    pair.run_until(ms(3000));
    pair.cut[1] = true;
    let slow = Params { min_tx: Duration::from_millis(500), ..params(2) };
    pair.sides[0].speaker.handle(ms(3000), Input::Reload(vec![slow]));
    let sent = pair.sides[0].drain(ms(3000));
    assert!(sent.len() == 1 && pair.sides[0].sent.last().unwrap().1.poll);
    assert_eq!(pair.sides[0].speaker.sessions()[0].tx_interval(), Some(Duration::from_millis(10)));
    pair.cut[1] = false;
    pair.deliver(0, sent);
    assert_eq!(pair.sides[0].speaker.sessions()[0].tx_interval(), Some(Duration::from_millis(500)));
    pair.run_until(ms(9000));
    assert_eq!((pair.states(), pair.sides[1].told.len()), ([State::Up; 2], 1));
}

#[test]
fn what_came_from_too_far_or_from_others_is_counted_and_ignored() {
    let mut side = Side::new(1, params(2));
    let bytes = side.packet(State::Init).emit().to_vec();
    let received = |source, multihop, hop_limit| Input::Received { source, multihop, hop_limit, bytes: bytes.clone() };
    side.speaker.handle(ms(1), received(ip(2), false, Some(254)));
    side.speaker.handle(ms(1), received(ip(3), false, Some(255)));
    side.speaker.handle(ms(1), received(ip(2), true, Some(255)));
    side.speaker.handle(ms(1), Input::Received { source: ip(2), multihop: false, hop_limit: None, bytes: vec![1, 2] });
    assert_eq!(side.state(), State::Down);
    let stats = side.speaker.stats();
    assert_eq!((stats.unknown, stats.malformed[0]), (2, 1));
    assert_eq!(side.speaker.sessions()[0].stats().too_far, 1);
    // Three hops away, on the other port.
    let far = Params { multihop: true, max_hops: 3, ..params(2) };
    let mut speaker = Speaker::new(vec![far], 1, Time::ZERO);
    let number = speaker.sessions()[0].discriminator();
    let bytes = Packet { your_discriminator: number, ..side.packet(State::Init) }.emit().to_vec();
    for (hop_limit, expected) in [(251, State::Down), (252, State::Up)] {
        let input = Input::Received { source: ip(2), multihop: true, hop_limit: Some(hop_limit), bytes: bytes.clone() };
        speaker.handle(ms(1), input);
        assert_eq!(speaker.sessions()[0].state(), expected);
    }
}

#[test]
fn a_session_that_is_taken_away_says_so() {
    let mut pair = Pair::new(params(2), params(1));
    pair.run_until(ms(3000));
    pair.sides[0].speaker.handle(ms(3000), Input::Reload(Vec::new()));
    let sent = pair.sides[0].drain(ms(3000));
    pair.deliver(0, sent);
    assert_eq!(pair.sides[1].state(), State::Down);
    assert_eq!(pair.sides[0].told.last(), Some(&(ms(3000), false)));
    assert!(pair.sides[0].speaker.sessions().is_empty());
}

proptest! {
    #[test]
    fn random_bytes_change_nothing(seed in any::<u64>()) {
        let mut rng = Rng::new(seed);
        let mut side = Side::new(1, params(2));
        let up = side.packet(State::Init).emit();
        side.hear(ms(1), 2, &up);
        let good = side.packet(State::Down);
        for _ in 0..200 {
            let mut bytes = good.emit().to_vec();
            match rng.below(3) {
                0 => bytes = (0..rng.below(40)).map(|_| rng.next() as u8).collect(),
                1 => bytes.truncate(rng.below(24) as usize),
                // Another number of ours than the one we gave.
                _ => bytes[8 + rng.below(4) as usize] ^= 1 << rng.below(8),
            }
            side.hear(ms(2), 2, &bytes);
        }
        prop_assert_eq!(side.state(), State::Up);
    }
}
