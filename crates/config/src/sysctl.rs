//! Settings as text, as sysctl(8) and the files below `/proc/sys/net/ipv4/vs` read and print them.
//!
//! Nothing here changes a director: [`assign`] changes a record, and [`show`] prints one.

use rvs_core::settings::{ALL, CPUS, FTP_PORTS, Rule, Setting, Settings};
use std::fmt;

/// What the names of all settings begin with.
pub const PREFIX: &str = "net.ipv4.vs.";

/// Why something that was typed is no setting, or no value of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// There is no such setting.
    Unknown(String),
    /// It cannot have this value.
    Invalid {
        /// Which.
        setting: &'static Setting,
        /// What was typed.
        value: String,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no setting `{name}`; `rvs sysctl -a` prints all"),
            Self::Invalid { setting, value } => {
                write!(f, "setting key \"{PREFIX}{}\": Invalid argument `{value}`: ", setting.name)?;
                match setting.rule {
                    Rule::Any => f.write_str("it must be a number"),
                    Rule::Range(low, high) => write!(f, "it must be a number from {low} to {high}"),
                    Rule::Defence => f.write_str("it must be a number from 0 to 3"),
                    Rule::PowerOfTwo => f.write_str("it must be a power of two"),
                    Rule::Pair => f.write_str("it must be two numbers, the first below the second"),
                    Rule::Ports => write!(f, "it must be a list of at most {FTP_PORTS} ports, such as 21,2121"),
                    Rule::Cpus => write!(f, "it must be a list of CPUs below {CPUS}, such as 0-3,8"),
                }
            }
        }
    }
}

/// The setting of this name, with or without [`PREFIX`], its parts joined by dots or by slashes.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<&'static Setting, Wrong> {
    let dotted = name.replace('/', ".");
    let bare = dotted.strip_prefix(PREFIX).unwrap_or(&dotted);
    ALL.iter().find(|setting| setting.name == bare).ok_or_else(|| Wrong::Unknown(name.to_owned()))
}

/// Gives a setting the value that `text` says.
///
/// # Errors
/// It cannot have this value; then nothing is changed.
pub fn assign(settings: &mut Settings, setting: &'static Setting, text: &str) -> Result<(), Wrong> {
    let invalid = || Wrong::Invalid { setting, value: text.trim().to_owned() };
    let words = settings.words_mut();
    if setting.rule == Rule::Cpus {
        let cpus = cpus(text.trim()).ok_or_else(invalid)?;
        for (word, cpus) in words[setting.at..].iter_mut().zip(cpus) {
            *word = cpus.cast_signed();
        }
        return Ok(());
    }
    if setting.rule == Rule::Ports {
        let ports = ports(text.trim()).ok_or_else(invalid)?;
        for (word, pair) in words[setting.at..].iter_mut().zip(ports.chunks_exact(2)) {
            let ([a, b], [c, d]) = (pair[0].to_ne_bytes(), pair[1].to_ne_bytes());
            *word = i32::from_ne_bytes([a, b, c, d]);
        }
        return Ok(());
    }
    // As many numbers as there are places for; the kernel does not look at what follows.
    let mut given = text.split_whitespace();
    let first = given.next().and_then(number).ok_or_else(invalid)?;
    match setting.rule {
        Rule::Pair => {
            let second = match given.next() {
                Some(second) => number(second).ok_or_else(invalid)?,
                None => words[setting.at + 1],
            };
            if first < 0 || second < 0 || (first >= second && second != 0) {
                return Err(invalid());
            }
            words[setting.at + 1] = second;
        }
        Rule::Range(low, high) if !(low..=high).contains(&first) => return Err(invalid()),
        Rule::Defence if !(0..=3).contains(&first) => return Err(invalid()),
        Rule::PowerOfTwo if first < 1 || !first.unsigned_abs().is_power_of_two() => return Err(invalid()),
        _ => {}
    }
    // Automatic is one mode, whichever of its two numbers it is asked for by.
    words[setting.at] = if setting.rule == Rule::Defence && first == 2 { 1 } else { first };
    Ok(())
}

/// A number as the kernel reads it: decimal, or octal after `0`, or hexadecimal after `0x`.
fn number(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    i32::try_from(sign * i64::from_str_radix(digits, radix).ok()?).ok()
}

/// A list of CPUs as bits.
fn cpus(text: &str) -> Option<[u32; CPUS / 32]> {
    let mut bits = [0; CPUS / 32];
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        let (first, last): (usize, usize) = (plain(first)?, plain(last)?);
        if first > last || last >= CPUS {
            return None;
        }
        (first..=last).for_each(|cpu| bits[cpu / 32] |= 1 << (cpu % 32));
    }
    Some(bits)
}

/// A list of ports; empty: none.
fn ports(text: &str) -> Option<[u16; FTP_PORTS]> {
    let mut ports = [0; FTP_PORTS];
    let mut places = ports.iter_mut();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let port: u16 = part.trim().bytes().all(|byte| byte.is_ascii_digit()).then(|| part.trim().parse().ok())??;
        *places.next().filter(|_| port != 0)? = port;
    }
    Some(ports)
}

fn port_list(words: &[i32]) -> String {
    let both = |word: &i32| {
        let [a, b, c, d] = word.to_ne_bytes();
        [u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])]
    };
    let ports = words.iter().take(FTP_PORTS / 2).flat_map(both);
    ports.filter(|port| *port != 0).map(|port| port.to_string()).collect::<Vec<_>>().join(",")
}

/// The value of a setting as text. `short`: the automatic defences are on.
pub fn show(settings: &Settings, setting: &Setting, short: bool) -> String {
    let words = &settings.words()[setting.at..];
    match setting.rule {
        Rule::Pair => format!("{}\t{}", words[0], words[1]),
        Rule::Cpus => cpu_list(words),
        Rule::Ports => port_list(words),
        Rule::Defence if words[0] == 1 && short => "2".to_owned(),
        _ => words[0].to_string(),
    }
}

fn cpu_list(words: &[i32]) -> String {
    let is_in = |cpu: usize| cpu < CPUS && words[cpu / 32] >> (cpu % 32) & 1 != 0;
    let starts = (0..CPUS).filter(|cpu| is_in(*cpu) && (*cpu == 0 || !is_in(cpu - 1)));
    let ranges = starts.map(|first| {
        let last = (first..CPUS).take_while(|cpu| is_in(*cpu)).last().unwrap_or(first);
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    ranges.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the live kernel made of each write.
    const RECORDED: &str = include_str!("../../../tests/golden/recorded/f0_sysctl.txt");

    #[test]
    fn every_recorded_default() {
        let section = RECORDED.split("=== ").find(|part| part.starts_with("sysctl defaults")).unwrap();
        let mut known = 0;
        for line in section.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(" = ").unwrap();
            let setting = find(name).unwrap();
            if name != "sync_qlen_max" {
                assert_eq!(show(&Settings::DEFAULT, setting, false), value, "{name}");
            }
            known += 1;
        }
        // The newer ones, which the recorded kernel did not have yet or had not loaded, and the one that is a module's parameter.
        assert_eq!(known + 5, ALL.len());
    }

    #[test]
    fn every_recorded_write() {
        let section = RECORDED.split("=== ").find(|part| part.starts_with("what a write")).unwrap();
        let mut settings = Settings { sync_qlen_max: 7259, ..Settings::DEFAULT };
        let mut writes = 0;
        for line in section.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, rest) = line.split_once(": ").unwrap();
            let (before, rest) = rest.split_once(" <- ").unwrap();
            let (written, rest) = rest.split_once(": ").unwrap();
            let (result, after) = rest.split_once(", now ").unwrap();
            let setting = find(name).unwrap();
            assert_eq!(show(&settings, setting, false), before, "{line}");
            assert_eq!(assign(&mut settings, setting, written).is_ok(), result == "ok", "{line}");
            assert_eq!(show(&settings, setting, false), after, "{line}");
            writes += 1;
        }
        assert_eq!(writes, 27 * 15);
    }

    #[test]
    fn names_go_with_and_without_their_prefix() {
        for name in ["drop_entry", "net.ipv4.vs.drop_entry", "net/ipv4/vs/drop_entry"] {
            assert_eq!(find(name).unwrap().name, "drop_entry");
        }
        for name in ["", "drop", "net.ipv4.drop_entry", "net.ipv4.vs."] {
            assert_eq!(find(name), Err(Wrong::Unknown(name.to_owned())));
        }
    }

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        for (text, wanted) in [
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("-0x1", Some(-1)),
            ("2147483647", Some(i32::MAX)),
            ("2147483648", None),
            ("-2147483648", Some(i32::MIN)),
            ("1x", None),
            ("+1", None),
            ("--1", None),
            ("08", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(text), wanted, "{text}");
        }
        let mut settings = Settings::DEFAULT;
        assert!(assign(&mut settings, find("sloppy_tcp").unwrap(), " ").is_err());
        assert!(assign(&mut settings, find("sync_threshold").unwrap(), "1 x").is_err());
        assert_eq!(settings, Settings::DEFAULT);
    }

    #[test]
    fn lists_of_cpus_print_as_they_are_read() {
        let setting = find("est_cpulist").unwrap();
        let mut settings = Settings::DEFAULT;
        for (text, wanted) in [("0-3,8", "0-3,8"), ("511,5,6", "5-6,511"), ("", "")] {
            assign(&mut settings, setting, text).unwrap();
            assert_eq!(show(&settings, setting, false), wanted);
        }
        for text in ["512", "3-1", "a", "1-", "-1", "1 2", "99999999999999999999"] {
            assert!(assign(&mut settings, setting, text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_of_ports_print_as_they_are_read() {
        let setting = find("ftp_ports").unwrap();
        let mut settings = Settings::DEFAULT;
        assert_eq!(show(&settings, setting, false), "21");
        for (text, wanted) in [("21, 2121", "21,2121"), ("1,2,3,4,5,6,7,65535", "1,2,3,4,5,6,7,65535"), ("", "")] {
            assign(&mut settings, setting, text).unwrap();
            assert_eq!(show(&settings, setting, false), wanted);
        }
        assert!(!settings.is_ftp_port(21) && !settings.is_ftp_port(0));
        assign(&mut settings, setting, "2121").unwrap();
        for text in ["0", "65536", "21,", ",21", "a", "-1", "21 2121", "1,2,3,4,5,6,7,8,9"] {
            assert!(assign(&mut settings, setting, text).is_err(), "{text}");
        }
        assert!(settings.is_ftp_port(2121) && !settings.is_ftp_port(21));
    }

    #[test]
    fn an_automatic_defence_shows_whether_it_is_on() {
        let setting = find("secure_tcp").unwrap();
        let mut settings = Settings::DEFAULT;
        assign(&mut settings, setting, "2").unwrap();
        assert_eq!([false, true].map(|short| show(&settings, setting, short)), ["1", "2"]);
        assign(&mut settings, setting, "3").unwrap();
        assert_eq!(show(&settings, setting, true), "3");
    }
}
