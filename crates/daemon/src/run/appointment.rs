//! A reload at a time that a file names (`reload_time_file`): the file's forms, and when that is. Purely; the house looks at the
//! file.

/// The seconds of a day.
const DAY: i64 = 86_400;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appointment {
    /// Days since 1970; nothing: every day.
    day: Option<i64>,
    /// Seconds since midnight.
    second: i64,
    /// By UTC, not by the local clock.
    utc: bool,
}

impl Appointment {
    /// Reads the first line: `HH:MM:SS`, `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, each perhaps with a `Z` for UTC.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?;
        let (line, utc) = line.strip_suffix('Z').map_or((line, false), |line| (line, true));
        let (date, time) = line.split_once(' ').map_or((None, line), |(date, time)| (Some(date), time));
        let [hour, minute, second] = numbers(time, ':', &[2])?;
        let real = hour < 24 && minute < 60 && second < 60;
        let day = match date.map(|date| numbers(date, '-', &[2, 4])) {
            None => None,
            Some(date) => {
                let [year, month, day] = date?;
                let year = if year < 100 { 2000 + year } else { year };
                Some(days(year, month, day)?)
            }
        };
        real.then_some(Self { day, second: hour * 3600 + minute * 60 + second, utc })
    }

    /// The moment in UTC seconds since 1970, the first one later than `now`. `ahead`: how far the local clock is ahead of UTC
    /// at a moment.
    pub(super) fn next(self, now: i64, ahead: impl Fn(i64) -> i64) -> Option<i64> {
        let at = |day: i64| {
            let shown = day * DAY + self.second;
            // Twice: the first guess may lie beyond a change of the clock.
            let moment = |guess: i64| if self.utc { shown } else { shown - ahead(guess) };
            moment(moment(shown))
        };
        let today = (now + if self.utc { 0 } else { ahead(now) }).div_euclid(DAY);
        let candidates = match self.day {
            Some(day) => day..day + 1,
            None => today..today + 2,
        };
        candidates.map(at).find(|moment| *moment > now)
    }
}

/// Three numbers, the last two of two digits, the first one of so many digits.
fn numbers(text: &str, between: char, first: &[usize]) -> Option<[i64; 3]> {
    let parts: Vec<&str> = text.split(between).collect();
    let [a, b, c] = <[&str; 3]>::try_from(parts).ok()?;
    let fits = first.contains(&a.len()) && b.len() == 2 && c.len() == 2;
    let digits = [a, b, c].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let number = |part: &str| part.parse().ok();
    if fits && digits { Some([number(a)?, number(b)?, number(c)?]) } else { None }
}

/// Days from 1970 to a date of the calendar; nothing for a date that there is not.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month - 1).ok().filter(|month| *month < 12)?;
    if year < 1970 || !(1..=lengths[before]).contains(&day) {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    Some((year - 1970) * 365 + leaps(year - 1) - leaps(1969) + lengths[..before].iter().sum::<i64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, now: i64) -> Option<i64> {
        // Two hours ahead, as in Prague's summer.
        Appointment::parse(text)?.next(now, |_| 7200)
    }

    #[test]
    fn the_three_forms_and_no_others() {
        // 2024-03-01 12:00:00 UTC
        let now = 1_709_294_400;
        assert_eq!(next("2024-03-01 12:00:01Z\n", now), Some(now + 1));
        assert_eq!(next("24-03-01 14:00:01", now), Some(now + 1));
        assert_eq!(next("13:00:00Z", now), Some(now + 3600));
        assert_eq!(next("14:00:00", now), Some(now + DAY), "now is not later than now");
        assert_eq!(next("00:00:00", now), Some(now + 10 * 3600));
        assert_eq!(next("2024-02-29 00:00:00Z", now), None, "it is over");
        assert_eq!(next("2024-02-29 00:00:00Z", 0), Some(now - DAY - DAY / 2));
        for bad in [
            "",
            "1:00:00",
            "24:00:00",
            "12:60:00",
            " 12:00:00",
            "12:00:00 ",
            "2023-02-29 12:00:00",
            "124-01-01 12:00:00",
            "2024-13-01 12:00:00",
            "+1:00:00",
            "12:00",
            "2024-01-01  12:00:00",
            "ZZ:00:00",
            "1969-01-01 12:00:00",
        ] {
            assert_eq!(Appointment::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_that_is_changed_on_that_day_is_asked_twice() {
        // Ahead by two hours from 2024-03-31 01:00 UTC on, by one before.
        let ahead = |moment: i64| if moment < 1_711_846_800 { 3600 } else { 7200 };
        let appointment = Appointment::parse("2024-03-31 03:30:00").unwrap();
        assert_eq!(appointment.next(0, ahead), Some(1_711_848_600));
    }
}
