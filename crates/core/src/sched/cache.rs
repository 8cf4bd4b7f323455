//! How long lblc and lblcr remember an address: the kernel's rules.
//!
//! Once a minute the sweeper makes a round. In each, a service that remembers more than [`MOST`] addresses loses some of those
//! that nobody asked for in [`IDLE_NS`]; every 30th round drops all that nobody asked for during the expiration time. What was
//! remembered for a scheduler that is no longer attached goes in the next round.

/// Nanoseconds between two rounds.
pub const ROUND_NS: u64 = 60 * SECOND;
/// Addresses that a service may remember without losing the idle ones.
pub const MOST: u32 = 16 * 1024;
/// What is idle, when there are too many.
pub const IDLE_NS: u64 = 6 * 60 * SECOND;
/// Seconds until an address expires, unless set otherwise.
pub const EXPIRATION: u32 = 24 * 60 * 60;

/// Every so manieth round looks at the expiration.
const FULL_ROUND: u32 = 30;
const SECOND: u64 = 1_000_000_000;

/// Whether round number `round`, counted from 1, drops what has expired.
#[inline(always)]
pub const fn is_full(round: u32) -> bool {
    round.is_multiple_of(FULL_ROUND)
}

/// How many idle addresses a service loses in a round that is not full.
#[inline(always)]
pub const fn excess(remembered: u32) -> u32 {
    let over = remembered.saturating_sub(MOST);
    let goal = over.saturating_add(over / 3);
    if goal > MOST / 2 { MOST / 2 } else { goal }
}

/// Why an address is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// It is not.
    No,
    /// Its time is over.
    Expired,
    /// There are too many.
    Excess,
}

/// Whether an address goes that was last asked for at `last_use`. `expiration` in seconds; `excess`: how many of its service's
/// may still go in this round.
#[inline(always)]
pub const fn verdict(full: bool, now: u64, last_use: u64, expiration: u32, excess: u32) -> Drop {
    let idle = now.saturating_sub(last_use);
    if full {
        return if idle >= expiration as u64 * SECOND { Drop::Expired } else { Drop::No };
    }
    if excess > 0 && idle >= IDLE_NS { Drop::Excess } else { Drop::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_in_every_thirtieth_round_only() {
        let day = EXPIRATION as u64 * SECOND;
        assert_eq!(verdict(is_full(30), day, 0, EXPIRATION, 0), Drop::Expired);
        assert_eq!(verdict(is_full(30), day - 1, 0, EXPIRATION, 9), Drop::No);
        assert_eq!(verdict(is_full(29), 2 * day, 0, EXPIRATION, 0), Drop::No);
    }

    #[test]
    fn six_minutes_count_when_there_are_too_many() {
        assert_eq!(verdict(false, IDLE_NS, 0, EXPIRATION, 1), Drop::Excess);
        assert_eq!(verdict(false, IDLE_NS - 1, 0, EXPIRATION, 1), Drop::No);
    }

    #[test]
    fn a_third_more_than_too_many_go_but_at_most_half_of_the_limit() {
        assert_eq!([MOST, MOST + 3, MOST + 300, u32::MAX].map(excess), [0, 4, 400, MOST / 2]);
    }
}
