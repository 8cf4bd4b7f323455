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

/// A moment of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// 1970 and later.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
    /// 0 (Sunday) to 6.
    pub weekday: u64,
    /// 0 to 23.
    pub hour: u64,
    /// 0 to 59.
    pub minute: u64,
    /// 0 to 59.
    pub second: u64,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Calendar {
    /// The moment so many seconds after 1970 began (Hinnant's `civil_from_days`).
    pub const fn at(seconds: u64) -> Self {
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let z = days + 719_468;
        let (era, of_era) = (z / 146_097, z % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153; // Months from March on.
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: year_of_era + era * 400 + if month <= 2 { 1 } else { 0 },
            month,
            day: of_year - (153 * shifted + 2) / 5 + 1,
            weekday: (days + 4) % 7,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// The month's name, three letters.
    pub fn month_name(&self) -> &'static str {
        MONTHS[(self.month as usize - 1) % 12]
    }

    /// The weekday's name, three letters.
    pub fn weekday_name(&self) -> &'static str {
        WEEKDAYS[self.weekday as usize % 7]
    }
}

/// Now in local time: the calendar, microseconds, and how many seconds local time is ahead of UTC.
pub fn local() -> (Calendar, u32, i64) {
    let (seconds, micros) = wall();
    let offset = crate::sys::local_offset(seconds);
    (Calendar::at(seconds.saturating_add_signed(offset)), micros, offset)
}

/// How far local time is ahead of UTC at a moment, in seconds; both since 1970.
pub fn ahead(seconds: i64) -> i64 {
    crate::sys::local_offset(u64::try_from(seconds).unwrap_or(0))
}

/// Now, as a mail's header has it, in local time.
pub fn rfc5322() -> String {
    let (now, _, offset) = local();
    let Calendar { year, day, hour, minute, second, .. } = now;
    let (weekday, month) = (now.weekday_name(), now.month_name());
    let (sign, ahead) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
    let (hours, minutes) = (ahead / 60, ahead % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} {sign}{hours:02}{minutes:02}")
}

fn nanos(time: TimeSpec) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_that_of_date() {
        for (seconds, text) in [
            (0, "Thu 1970-01-01 00:00:00"),
            (951_782_399, "Mon 2000-02-28 23:59:59"),
            (951_782_400, "Tue 2000-02-29 00:00:00"),
            (1_735_689_645, "Wed 2025-01-01 00:00:45"),
            (4_107_542_400, "Mon 2100-03-01 00:00:00"),
        ] {
            let at = Calendar::at(seconds);
            let Calendar { year, month, day, hour, minute, second, .. } = at;
            let shown = format!("{} {year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}", at.weekday_name());
            assert_eq!(shown, text);
        }
    }

    #[test]
    fn time_goes_on() {
        let before = now();
        assert!(before > Time::ZERO);
        while now() == before {}
        assert!(now() > before);
        assert!(wall().0 > 1_700_000_000);
    }
}
