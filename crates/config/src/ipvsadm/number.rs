//! Numbers and IPv4 addresses as C's library reads them, which users' scripts rely on (`10.0.1` is 10.0.0.1).

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// A decimal number that takes the whole text, within `range`. Leading blanks and a sign are allowed.
pub(super) fn whole(text: &str, range: RangeInclusive<i64>) -> Option<i64> {
    let text = text.trim_start_matches(is_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| range.contains(number))
}

/// The decimal number that the text begins with; 0 when there is none.
pub(super) fn prefix(text: &str) -> i64 {
    let text = text.trim_start_matches(is_space);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let end = text.len() - unsigned.len() + digits;
    text[..end].parse().unwrap_or(0)
}

/// An IPv4 address of one to four parts, each decimal, octal (`0…`) or hexadecimal (`0x…`); the last part fills the rest.
/// Whatever follows a blank is ignored.
pub(super) fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let text = text.split(is_space).next()?;
    let parts: Vec<u64> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 0xff) || *last >> (8 * (4 - leading.len())) != 0 {
        return None;
    }
    let high = leading.iter().zip([24, 16, 8]).fold(0, |sum, (part, shift)| sum | part << shift);
    u32::try_from(high | last).ok().map(Ipv4Addr::from)
}

fn part(text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    // A sign would be taken by `from_str_radix`.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().filter(|part| *part <= u64::from(u32::MAX))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        assert_eq!(whole("12", 0..=20), Some(12));
        assert_eq!(whole(" +12", 0..=20), Some(12));
        for bad in ["", "-1", "21", "1x", "x", "0x10", "+", "99999999999999999999", "1 "] {
            assert_eq!(whole(bad, 0..=20), None, "{bad}");
        }
    }

    #[test]
    fn numbers_at_the_beginning() {
        for (text, number) in [("64", 64), ("255.255", 255), ("x", 0), ("", 0), ("-3x", -3), ("+", 0)] {
            assert_eq!(prefix(text), number, "{text}");
        }
    }

    #[test]
    fn addresses() {
        let good = [
            ("10.0.1.10", [10, 0, 1, 10]),
            ("10.0.1", [10, 0, 0, 1]),
            ("24", [0, 0, 0, 24]),
            ("0x7f.1", [127, 0, 0, 1]),
            ("010.0.0.1", [8, 0, 0, 1]),
            ("10.0.0.1 x", [10, 0, 0, 1]),
            ("4294967295", [255; 4]),
            ("0", [0; 4]),
        ];
        for (text, octets) in good {
            assert_eq!(ipv4(text), Some(octets.into()), "{text}");
        }
        for bad in
            ["", "300.0.0.0", "10.0.1.300", "1.2.3.4.5", "a.b", "1..2", "10.", "256.1", "4294967296", "1.+2", "08"]
        {
            assert_eq!(ipv4(bad), None, "{bad}");
        }
    }
}
