//! Anything at all may happen to a check, at any time and in any order: it goes on, and says no more than has changed.

use crate::world::{ms, params};
use proptest::prelude::*;
use rvs_checker::*;
use rvs_machine::{Machine, Time};
use std::time::Duration;

fn probe(number: u8) -> Probe {
    let url = || Url { path: "/".into(), digest: Some([0; 16]), ..Url::default() };
    match number {
        0 => Probe::Tcp,
        1 => Probe::Http(Http {
            urls: vec![url(), url()],
            version: HttpVersion::Http10,
            virtualhost: None,
            fast_recovery: true,
            tls: None,
        }),
        2 => Probe::Smtp(Smtp { helo: "me".into(), hosts: vec![params(Probe::Tcp).target; 2] }),
        3 => Probe::Dns(Dns::default()),
        4 => Probe::Udp(Udp::default()),
        5 => Probe::Ping,
        6 => Probe::Misc(Misc { command: vec![], user: None, timeout: Duration::from_secs(1), dynamic: true }),
        7 => Probe::Agent(Agent::default()),
        8 => Probe::Redis(Redis::default()),
        9 => Probe::File(File { name: "f".into(), weight: 0 }),
        _ => Probe::Bfd(Bfd { name: "b".into() }),
    }
}

fn input(kind: u8, attempt: u64, byte: u8) -> Input {
    match kind {
        0..=2 => Input::Net(attempt, Net::Connected),
        3 => Input::Net(attempt, Net::Refused(111)),
        4 => Input::Net(attempt, Net::Received(b"220 x\r\n+PONG\r\n".to_vec())),
        5 => Input::Net(attempt, Net::Received(b"up 50%\n".to_vec())),
        6 => Input::Net(attempt, Net::Received(vec![byte; 99])),
        7 => Input::Net(attempt, Net::Closed),
        8 => Input::Net(attempt, Net::Reset),
        9 => Input::Net(attempt, Net::Tls("no".into())),
        10 | 11 => Input::Program(attempt, Ended::Status(i32::from(byte))),
        12 => Input::Program(attempt, Ended::Signal(9)),
        13 => Input::File(i64::from(byte % 2)),
        14 => Input::Session(byte.is_multiple_of(2)),
        15 => Input::Suspend(byte.is_multiple_of(2)),
        _ => Input::Restart,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_check_goes_on(number in 0_u8..11, alpha: bool, events in proptest::collection::vec((0_u8..17, 0_u64..3, any::<u8>(), 0_u64..5000), 1..80)) {
        let mut params = params(probe(number));
        params.pace.alpha = alpha;
        let mut check = Check::new(params, 1, Time::ZERO).expect("parameters that can be used");
        let (mut now, mut attempt, mut up, mut ran) = (0_u64, 0_u64, !alpha, false);
        let (mut open, mut opened) = (0_i32, 0_u64);
        for (kind, late, byte, wait) in events {
            now += wait;
            check.wake(ms(now));
            check.handle(ms(now), input(kind, attempt.saturating_sub(late), byte));
            while let Some(output) = check.poll() {
                match output {
                    Output::Open { attempt: new, .. } => {
                        prop_assert!(new > attempt, "attempts are new");
                        (attempt, open, opened) = (new, open + 1, opened + 1);
                    }
                    Output::Run(new) => (attempt, opened) = (new, opened + 1),
                    Output::Close { attempt: gone, .. } => {
                        prop_assert_eq!(gone, attempt);
                        open -= 1;
                    }
                    Output::Verdict(Verdict::Up { first, .. }) => {
                        prop_assert!(!up || first && !ran, "news only");
                        (up, ran) = (true, true);
                    }
                    Output::Verdict(Verdict::Down { first, .. }) => {
                        prop_assert!(up || first && !ran, "news only");
                        (up, ran) = (false, true);
                    }
                    _ => {}
                }
            }
            prop_assert!((0..=1).contains(&open), "one connection at a time, each closed");
            prop_assert_eq!((check.is_up(), check.has_run() || !ran), (up, true));
            let silent = check.is_suspended() || number >= 9;
            prop_assert_eq!(check.deadline().is_none(), silent, "it has a deadline unless it rests");
        }
    }
}
