//! Numbers with their ranges and units.

use crate::keepalived::field::{Args, Bad, Words};
use std::time::Duration;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Int<const MIN: i64, const MAX: i64>(i64);

impl<const MIN: i64, const MAX: i64> Int<MIN, MAX> {
    /// The number, if it is in range.
    pub const fn new(value: i64) -> Option<Self> {
        if value >= MIN && value <= MAX { Some(Self(value)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number in a smaller type; saturates where the range does not fit it.
    pub fn to<T: TryFrom<i64> + Bounded>(self) -> T {
        T::try_from(self.0).unwrap_or(if self.0 < 0 { T::LOWEST } else { T::HIGHEST })
    }
}

/// Integers that know their bounds.
pub trait Bounded {
    /// The lowest.
    const LOWEST: Self;
    /// The highest.
    const HIGHEST: Self;
}

macro_rules! bounded {
    ($($ty:ty),*) => {
        $(impl Bounded for $ty {
            const LOWEST: Self = <$ty>::MIN;
            const HIGHEST: Self = <$ty>::MAX;
        })*
    };
}
bounded!(u8, u16, u32, u64, usize, i32);

/// Reads a whole number, or says what is wrong in the original's words.
pub(crate) fn integer(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(format!("invalid number '{text}'"));
    }
    if negative && min >= 0 {
        return Err(format!("negative number '{text}'"));
    }
    let value = i64::from_str_radix(digits, radix).unwrap_or(i64::MAX);
    let value = if negative { -value } else { value };
    if (min..=max).contains(&value) { Ok(value) } else { Err(format!("number '{text}' outside range [{min}, {max}]")) }
}

impl<const MIN: i64, const MAX: i64> Words for Int<MIN, MAX> {
    fn syntax() -> String {
        match MAX {
            0x7fff_ffff.. => format!("NUMBER ({MIN}…)"),
            _ => format!("NUMBER ({MIN}…{MAX})"),
        }
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a number")?;
        integer(&word.text, MIN, MAX).map(Self).map_err(|text| Bad::new(word.span, text))
    }

    fn words(&self) -> Vec<String> {
        vec![self.0.to_string()]
    }
}

/// Reads a decimal number with `scale` digits behind the point, in units of the last digit.
fn decimal(text: &str, scale: u32, min: u64, max: u64) -> Result<u64, String> {
    let unit = 10u64.pow(scale);
    let bounds = |value: u64| format!("{}.{:0width$}", value / unit, value % unit, width = scale as usize);
    let invalid = || format!("invalid number '{text}'");
    let digits = match text.strip_prefix('-') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            return Err(format!("negative number '{text}'"));
        }
        _ => text,
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + part.len() == 0 || !whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    // Digits beyond the resolution are cut.
    let part: String = part.chars().chain(std::iter::repeat('0')).take(scale as usize).collect();
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
    let part: u64 = if part.is_empty() { 0 } else { part.parse().map_err(|_| invalid())? };
    let value = whole.checked_mul(unit).and_then(|value| value.checked_add(part)).unwrap_or(u64::MAX);
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(format!("number '{text}' outside range [{}, {}]", bounds(min), bounds(max)))
    }
}

fn decimal_text(value: u64, scale: u32) -> String {
    let unit = 10u64.pow(scale);
    let part = format!("{:0width$}", value % unit, width = scale as usize);
    match part.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        part => format!("{}.{part}", value / unit),
    }
}

/// A time in seconds with up to six digits behind the point; the range is in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seconds<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Seconds<MIN, MAX> {
    /// So many microseconds, if in range.
    pub const fn from_micros(micros: u64) -> Option<Self> {
        if micros >= MIN && micros <= MAX { Some(Self(micros)) } else { None }
    }

    /// Microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> Words for Seconds<MIN, MAX> {
    fn syntax() -> String {
        let range = |value| decimal_text(value, 6);
        if MAX > 1_000_000_000_000 {
            format!("SECONDS ({}…)", range(MIN))
        } else {
            format!("SECONDS ({}…{})", range(MIN), range(MAX))
        }
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a time in seconds")?;
        decimal(&word.text, 6, MIN, MAX).map(Self).map_err(|text| Bad::new(word.span, text))
    }

    fn words(&self) -> Vec<String> {
        vec![decimal_text(self.0, 6)]
    }
}

/// A time in milliseconds with up to three digits behind the point; the range is in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Millis<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Millis<MIN, MAX> {
    /// Microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> Words for Millis<MIN, MAX> {
    fn syntax() -> String {
        format!("MILLISECONDS ({}…{})", decimal_text(MIN, 3), decimal_text(MAX, 3))
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a time in milliseconds")?;
        decimal(&word.text, 3, MIN, MAX).map(Self).map_err(|text| Bad::new(word.span, text))
    }

    fn words(&self) -> Vec<String> {
        vec![decimal_text(self.0, 3)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_the_originals_complaints() {
        for (text, expected) in [
            ("5", Ok(5)),
            ("0x10", Ok(16)),
            ("0", Err("number '0' outside range [1, 255]")),
            ("256", Err("number '256' outside range [1, 255]")),
            ("99999999999999999999", Err("number '99999999999999999999' outside range [1, 255]")),
            ("-1", Err("negative number '-1'")),
            ("abc", Err("invalid number 'abc'")),
            ("", Err("invalid number ''")),
            ("5x", Err("invalid number '5x'")),
        ] {
            assert_eq!(integer(text, 1, 255), expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(integer("-253", -253, 253), Ok(-253));
    }

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("1", Ok(1_000_000)),
            ("0.1", Ok(100_000)),
            (".5", Ok(500_000)),
            ("1.0000019", Ok(1_000_001)),
            ("0.005", Err("number '0.005' outside range [0.010000, 255.000000]")),
            ("x", Err("invalid number 'x'")),
            (".", Err("invalid number '.'")),
            ("-1", Err("negative number '-1'")),
        ] {
            assert_eq!(decimal(text, 6, 10_000, 255_000_000), expected.map_err(str::to_owned), "{text}");
        }
        assert_eq!(decimal_text(1_500_000, 6), "1.5");
        assert_eq!(decimal_text(3, 6), "0.000003");
        assert_eq!(Int::<1, 300>::new(300).map(Int::to::<u8>), Some(255));
    }
}
