//! Waiting that ends early when the command is asked to end.

use crate::world::Woken;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Signals that ask a command to end.
const SIGNALS: [i32; 2] = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];

/// Waits for the clock or a signal. Signals are caught from the first wait on; until then they kill, as usual.
#[derive(Debug, Default)]
pub struct Pause {
    /// Readable once a signal has come.
    signals: Option<UnixStream>,
}

impl Pause {
    /// Waits for so long, or until a signal comes.
    pub fn wait(&mut self, time: Duration) -> Woken {
        let deadline = Instant::now() + time;
        let Some(signals) = self.catch() else {
            // Without a way to hear of signals they go on killing, and the wait is a plain one.
            std::thread::sleep(time);
            return Woken::Elapsed;
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let _ = signals.set_read_timeout(Some(left));
            match signals.read(&mut [0u8; 1]) {
                Ok(_) => return Woken::Interrupted,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if Instant::now() >= deadline => return Woken::Elapsed,
                Err(_) => {}
            }
        }
    }

    fn catch(&mut self) -> Option<&mut UnixStream> {
        if self.signals.is_none() {
            let (receiver, sender) = UnixStream::pair().ok()?;
            for signal in SIGNALS {
                signal_hook::low_level::pipe::register(signal, sender.try_clone().ok()?).ok()?;
            }
            self.signals = Some(receiver);
        }
        self.signals.as_mut()
    }
}

/// The name of the file that standard input is read from; none for a terminal, a pipe and the like.
pub fn stdin_name() -> Option<String> {
    const STDIN: &str = "/proc/self/fd/0";
    let file = std::fs::metadata(STDIN).is_ok_and(|metadata| metadata.is_file());
    let path = std::fs::read_link(STDIN).ok().filter(|_| file)?;
    path.into_os_string().into_string().ok()
}
