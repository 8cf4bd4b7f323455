//! Numbers of the protocol that must not be mixed up: version 2 counts in seconds, version 3 in hundredths.
//!
//! Nothing here knows a state or a packet.

use core::fmt;
use core::time::Duration;

/// The advertisement interval of version 2: whole seconds, 1 to 255 (RFC 3768, 5.3.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seconds(u8);

impl Seconds {
    /// `None` for 0.
    pub const fn new(seconds: u8) -> Option<Self> {
        if seconds == 0 { None } else { Some(Self(seconds)) }
    }

    /// The field's value.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// The advertisement interval of version 3: hundredths of a second, 1 to 4095 (RFC 9568, 5.2.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Centis(u16);

impl Centis {
    /// The largest value of the twelve-bit field.
    pub const MAX: Self = Self(0x0fff);

    /// `None` for 0 and for what twelve bits cannot hold.
    pub const fn new(centis: u16) -> Option<Self> {
        if centis == 0 || centis > Self::MAX.0 { None } else { Some(Self(centis)) }
    }

    /// The field's value.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }
}

/// The number of a virtual router: 1 to 255, unique per link and address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Vrid(u8);

impl Vrid {
    /// `None` for 0.
    pub const fn new(vrid: u8) -> Option<Self> {
        if vrid == 0 { None } else { Some(Self(vrid)) }
    }

    /// The field's value.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A configured or effective priority: 1 to 255; 255 owns the addresses. Zero exists on the wire only: "I stop".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    /// The address owner's.
    pub const OWNER: Self = Self(255);
    /// One below the owner's: the highest that tracking can reach, and what one of two owners falls back to.
    pub const HIGHEST_OF_OTHERS: Self = Self(254);
    /// What an instance has that names none.
    pub const DEFAULT: Self = Self(100);

    /// `None` for 0.
    pub const fn new(priority: u8) -> Option<Self> {
        if priority == 0 { None } else { Some(Self(priority)) }
    }

    /// A sum of weights brought back to 1..=254.
    pub const fn clamped(total: i64) -> Self {
        if total < 1 {
            Self(1)
        } else if total > 254 {
            Self(254)
        } else {
            Self(total as u8)
        }
    }

    /// The field's value.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The skew time of version 2: `(256 - priority) / 256` seconds (RFC 3768, 6.1), to the microsecond below.
pub const fn skew_v2(priority: Priority) -> Duration {
    Duration::from_micros((256 - priority.0 as u64) * 1_000_000 / 256)
}

/// The skew time of version 3: `(256 - priority) * master_adver_interval / 256` (RFC 9568, 6.1), to the microsecond below.
pub const fn skew_v3(priority: Priority, master: Centis) -> Duration {
    Duration::from_micros((256 - priority.0 as u64) * master.0 as u64 * 10_000 / 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_hold_what_the_wire_can() {
        assert_eq!(Seconds::new(0), None);
        assert_eq!(Centis::new(0), None);
        assert_eq!(Centis::new(4096), None);
        assert_eq!(Centis::new(4095).map(Centis::duration), Some(Duration::from_millis(40_950)));
        assert_eq!(Vrid::new(0), None);
        assert_eq!(Priority::new(0), None);
    }

    #[test]
    fn sums_of_weights_stay_below_the_owner() {
        assert_eq!(Priority::clamped(-7).get(), 1);
        assert_eq!(Priority::clamped(80).get(), 80);
        assert_eq!(Priority::clamped(999).get(), 254);
    }

    #[test]
    fn skew_times_are_the_recorded_ones() {
        let prio = |p| Priority::new(p).unwrap();
        assert_eq!(skew_v2(prio(90)), Duration::from_micros(648_437));
        assert_eq!(skew_v2(prio(100)), Duration::from_micros(609_375));
        assert_eq!(skew_v3(prio(120), Centis::new(50).unwrap()), Duration::from_micros(265_625));
    }
}
