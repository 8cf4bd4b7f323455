//! Values of checkers: digests, status codes, bytes to send and to expect.

use super::number::integer;
use crate::keepalived::field::{Args, Bad, Words};
use std::ops::RangeInclusive;

/// The MD5 digest of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 16]);

impl Words for Digest {
    fn syntax() -> String {
        "DIGEST (32 hexadecimal digits)".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a digest")?;
        let text = &word.text;
        if text.len() != 32 {
            let text = format!("digest '{text}' character length should be 32 rather than {}", text.len());
            return Err(Bad::new(word.span, text).help("genhash computes it"));
        }
        let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
        let digits = digits.ok_or_else(|| Bad::new(word.span, format!("digest '{text}' is not hexadecimal")))?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
        }
        Ok(Self(bytes))
    }

    fn words(&self) -> Vec<String> {
        vec![self.0.iter().map(|byte| format!("{byte:02x}")).collect()]
    }
}

/// Status codes that are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCodes(pub Vec<RangeInclusive<u16>>);

impl StatusCodes {
    /// True if a code is right.
    pub fn has(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

impl Words for StatusCodes {
    fn syntax() -> String {
        "CODE|FIRST-LAST …".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut codes = Vec::new();
        loop {
            let word = args.need("a status code")?;
            let code = |text: &str| integer(text, 100, 999).ok().and_then(|code| u16::try_from(code).ok());
            let range = match word.text.split_once('-') {
                Some((first, last)) => code(first).zip(code(last)).filter(|(first, last)| first <= last),
                None => code(&word.text).map(|code| (code, code)),
            };
            match range {
                Some((first, last)) => codes.push(first..=last),
                None => return Err(Bad::new(word.span, format!("Invalid HTTP_GET status code '{}'", word.text))),
            }
            if args.is_empty() {
                return Ok(Self(codes));
            }
        }
    }

    fn words(&self) -> Vec<String> {
        let text = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        self.0.iter().map(text).collect()
    }
}

/// Bytes in hexadecimal; in what is expected, `X` stands for any half of a byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hex {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Which of their bits count.
    pub mask: Vec<u8>,
}

/// More than a datagram holds.
const MOST: usize = 65_507;

impl Words for Hex {
    fn syntax() -> String {
        "HEX".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut hex = Self::default();
        let first = args.need("bytes in hexadecimal")?;
        let mut word = Some(first);
        while let Some(part) = word {
            let digits: Vec<char> = part.text.chars().filter(|c| !c.is_whitespace()).collect();
            // An odd digit is the lower half of a byte of its own, the last one.
            for pair in digits.chunks(2) {
                let (mut byte, mut mask) = (0, 0);
                for c in pair {
                    let (digit, bits) = match (c.to_digit(16), c) {
                        (Some(digit), _) => (digit as u8, 0xf),
                        (None, 'x' | 'X') => (0, 0),
                        (None, _) => {
                            return Err(Bad::new(part.span, format!("'{c}' is no hexadecimal digit")));
                        }
                    };
                    byte = byte << 4 | digit;
                    mask = mask << 4 | bits;
                }
                if pair.len() == 1 {
                    mask |= 0xf0;
                }
                hex.bytes.push(byte);
                hex.mask.push(mask);
            }
            if hex.bytes.len() > MOST {
                return Err(Bad::new(part.span, "these are more bytes than a datagram holds"));
            }
            word = args.word();
        }
        Ok(hex)
    }

    fn words(&self) -> Vec<String> {
        let half = |byte: u8, mask: u8| match mask & 0xf {
            0 => 'x',
            _ => char::from_digit(u32::from(byte & 0xf), 16).unwrap_or('0'),
        };
        let pairs = self.bytes.iter().zip(&self.mask);
        vec![pairs.flat_map(|(byte, mask)| [half(byte >> 4, mask >> 4), half(*byte, *mask)]).collect()]
    }
}

/// An expected answer: any, or these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(pub Option<Hex>);

impl Words for Reply {
    fn syntax() -> String {
        "[HEX]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        if args.is_empty() { Ok(Self(None)) } else { Hex::parse(args).map(|hex| Self(Some(hex))) }
    }
    fn words(&self) -> Vec<String> {
        self.0.iter().flat_map(Words::words).collect()
    }
}

/// Two sizes in bytes: the first and the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes(pub u32, pub u32);

impl Words for Sizes {
    fn syntax() -> String {
        "START MAX".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut size = || -> Result<u32, Bad> {
            let word = args.need("a size in bytes")?;
            let size = integer(&word.text, 1, i64::from(i32::MAX)).map_err(|text| Bad::new(word.span, text))?;
            Ok(u32::try_from(size).unwrap_or(u32::MAX))
        };
        Ok(Self(size()?, size()?))
    }
    fn words(&self) -> Vec<String> {
        vec![self.0.to_string(), self.1.to_string()]
    }
}

/// Options of a regular expression, by the names of PCRE2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegexOptions(pub Vec<String>);

/// What PCRE2 knows.
const REGEX_OPTIONS: [&str; 25] = [
    "allow_empty_class",
    "alt_bsux",
    "alt_circumflex",
    "alt_verbnames",
    "auto_callout",
    "caseless",
    "dollar_endonly",
    "dotall",
    "dupnames",
    "extended",
    "extended_more",
    "firstline",
    "match_unset_backref",
    "multiline",
    "never_backslash_c",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
    "ucp",
    "ungreedy",
    "use_offset_limit",
    "utf",
];

impl Words for RegexOptions {
    fn syntax() -> String {
        "OPTION …".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut options = Vec::new();
        while let Some(word) = args.word() {
            if !REGEX_OPTIONS.contains(&word.text.as_str()) {
                let help = REGEX_OPTIONS.join(", ");
                return Err(Bad::new(word.span, format!("unknown regex option '{}'", word.text)).help(help));
            }
            options.push(word.text.clone());
        }
        Ok(Self(options))
    }

    fn words(&self) -> Vec<String> {
        self.0.clone()
    }
}
