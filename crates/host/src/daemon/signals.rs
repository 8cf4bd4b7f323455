//! Signals as what they ask for, and their numbers for `--signum`.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM; also SIGINT, unless it is to be ignored.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1: write the state.
    Data,
    /// SIGUSR2: write the statistics.
    Stats,
    /// SIGRTMAX-1: clear the statistics.
    StatsClear,
    /// SIGRTMIN+2: write state and statistics as JSON.
    Json,
}

const ALL: [Request; 6] =
    [Request::Stop, Request::Reload, Request::Data, Request::Stats, Request::StatsClear, Request::Json];

impl Request {
    /// The signal's number.
    pub fn number(self) -> i32 {
        match self {
            Self::Stop => libc::SIGTERM,
            Self::Reload => libc::SIGHUP,
            Self::Data => libc::SIGUSR1,
            Self::Stats => libc::SIGUSR2,
            Self::StatsClear => libc::SIGRTMAX() - 1,
            Self::Json => libc::SIGRTMIN() + 2,
        }
    }

    /// Reads the word of `--signum`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "STOP" => Some(Self::Stop),
            "RELOAD" => Some(Self::Reload),
            "DATA" => Some(Self::Data),
            "STATS" => Some(Self::Stats),
            "STATS_CLEAR" => Some(Self::StatsClear),
            "JSON" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The stream of requests.
#[derive(Debug)]
pub struct Signals {
    signals: Vec<(Request, Signal)>,
}

impl Signals {
    /// Takes the signals over from their default actions. Must be called on a runtime. Ended children are the runtime's
    /// business; SIGPIPE is ignored by every Rust program.
    pub fn open(ignore_interrupt: bool) -> io::Result<Self> {
        let mut signals = Vec::new();
        for request in ALL {
            signals.push((request, signal(SignalKind::from_raw(request.number()))?));
        }
        let interrupt = signal(SignalKind::interrupt())?;
        if !ignore_interrupt {
            signals.push((Request::Stop, interrupt));
        }
        Ok(Self { signals })
    }

    /// Waits for the next request. The same one several times before it is taken is one.
    pub async fn next(&mut self) -> Request {
        std::future::poll_fn(|context| {
            for (request, signal) in &mut self.signals {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*request);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DEADLINE, runtime};
    use std::process::Command;

    #[test]
    fn numbers_are_the_recorded_ones() {
        for (word, number) in
            [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36)]
        {
            assert_eq!(Request::from_word(word).map(Request::number), Some(number), "{word}");
        }
        assert_eq!(Request::from_word("TDATA"), None);
    }

    #[test]
    fn each_signal_is_its_request() {
        runtime().block_on(async {
            let mut signals = Signals::open(false).unwrap();
            let mut ask = async |number: i32| {
                let pid = std::process::id().to_string();
                let number = number.to_string();
                let sent = Command::new("/bin/kill").args(["-s", &number, &pid]).status().unwrap();
                assert!(sent.success());
                tokio::time::timeout(DEADLINE, signals.next()).await.unwrap()
            };
            for request in ALL {
                assert_eq!(ask(request.number()).await, request);
            }
            assert_eq!(ask(libc::SIGINT).await, Request::Stop);
        });
    }
}
