//! Names, texts and switches.

use crate::keepalived::field::{Args, Bad, Words};
use std::fmt;
use std::ops::Deref;

/// A word that may hold anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(pub String);

/// A word that names something in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub String);

/// The name of a network interface, of at most 15 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfName(pub String);

macro_rules! string {
    ($($ty:ident)*) => {
        $(
            impl Deref for $ty {
                type Target = str;
                fn deref(&self) -> &str {
                    &self.0
                }
            }

            impl fmt::Display for $ty {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }
        )*
    };
}
string! { Text Name IfName }

impl Words for Text {
    fn syntax() -> String {
        "TEXT".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        Ok(Self(args.need("a text")?.text.clone()))
    }
    fn words(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}

impl Words for Name {
    const SHARES_LINE: bool = true;
    fn syntax() -> String {
        "NAME".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a name")?;
        if word.text.is_empty() {
            return Err(Bad::new(word.span, "the name is empty"));
        }
        Ok(Self(word.text.clone()))
    }
    fn words(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}

impl Words for IfName {
    const SHARES_LINE: bool = true;
    fn syntax() -> String {
        "INTERFACE".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("an interface")?;
        let bad = |text: &str| Err(Bad::new(word.span, format!("'{}' {text}", word.text)));
        match word.text.as_str() {
            "" | "." | ".." => bad("is no name of an interface"),
            name if name.len() > 15 => bad("is too long for an interface, the limit is 15"),
            name if name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) => {
                bad("is no name of an interface")
            }
            name => Ok(Self(name.to_owned())),
        }
    }
    fn words(&self) -> Vec<String> {
        vec![self.0.clone()]
    }
}

/// On or off; the keyword alone means on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switch(pub bool);

impl Words for Switch {
    fn syntax() -> String {
        "[on|off|true|false|yes|no]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let Some(word) = args.word() else { return Ok(Self(true)) };
        match word.text.as_str() {
            "on" | "true" | "yes" => Ok(Self(true)),
            "off" | "false" | "no" => Ok(Self(false)),
            other => Err(Bad::new(word.span, format!("Invalid value '{other}' specified")).help(Self::syntax())),
        }
    }
    fn words(&self) -> Vec<String> {
        vec![if self.0 { "on" } else { "off" }.into()]
    }
}

/// Any number of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings(pub Vec<String>);

impl Words for Strings {
    fn syntax() -> String {
        "[TEXT …]".into()
    }
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        Ok(Self(std::iter::from_fn(|| args.word()).map(|word| word.text.clone()).collect()))
    }
    fn words(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// A hardware address, whole or without its last byte (which is the VRID then).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac(pub Vec<u8>);

impl Mac {
    /// Reads `00:00:5e:00:01[:33]`.
    pub fn from_text(text: &str) -> Option<Self> {
        let byte = |part: &str| (1..=2).contains(&part.len()).then(|| u8::from_str_radix(part, 16).ok()).flatten();
        let bytes: Vec<u8> = text.split(':').map(byte).collect::<Option<_>>()?;
        (bytes.len() == 5 || bytes.len() == 6).then_some(Self(bytes))
    }

    /// With colons.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    }
}
