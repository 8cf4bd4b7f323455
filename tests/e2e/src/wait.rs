//! Waiting for something to become so, with a deadline. Tests wait on conditions, never for a mere length of time.

use anyhow::{Context as _, Result};
use std::thread;
use std::time::{Duration, Instant};

/// How long a probe rests before it looks again.
const REST: Duration = Duration::from_millis(10);

/// Calls `probe` until it succeeds, at most for `limit`. When the time is up, the probe's last error is returned.
pub fn eventually<T>(limit: Duration, mut probe: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("still so after {limit:?}"));
            }
            Err(_) => thread::sleep(REST),
        }
    }
}

/// Lets time pass until an instant. Only for what runs by the kernel's clock and would be disturbed by looking: everything
/// else waits with [`eventually`].
pub fn pass_until(instant: Instant) {
    while let Some(rest) = instant.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        thread::sleep(rest);
    }
}

/// Seconds, in one short word.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
