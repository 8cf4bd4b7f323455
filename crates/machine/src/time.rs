//! Points in time: nanoseconds of a monotonic clock whose zero means nothing.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Time(u64);

impl Time {
    /// The clock's zero.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds of the clock.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds of the clock.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier`; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Later by a duration; the end of time is not passed.
impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Earlier by a duration; not before the clock's zero.
impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_end_of_time_is_passed() {
        let now = Time::from_nanos(5);
        assert_eq!(now - Duration::from_secs(1), Time::ZERO);
        assert_eq!(now + Duration::MAX, Time::from_nanos(u64::MAX));
        assert_eq!(Time::ZERO.since(now), Duration::ZERO);
        assert_eq!((now + Duration::from_nanos(7)).since(now), Duration::from_nanos(7));
    }
}
