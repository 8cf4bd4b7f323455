//! The clock that protocols run by, and the one that people read.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use rvs_machine::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, by the kernel's monotonic clock: it neither jumps nor runs while the machine sleeps.
pub fn now() -> Time {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Time::ZERO, |time| Time::from_nanos(nanos(time)))
}

/// Now, as people write it: seconds and microseconds since 1970.
pub fn wall() -> (u64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_micros())
}

fn nanos(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on() {
        let before = now();
        assert!(before > Time::ZERO);
        while now() == before {}
        assert!(now() > before);
        assert!(wall().0 > 1_700_000_000);
    }
}
