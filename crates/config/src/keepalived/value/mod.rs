//! The types of values: each reads its words, says what is wrong with them, and writes them again.
//!
//! A value that exists is legal: ranges are part of the types.

pub mod address;
pub mod basic;
pub mod choice;
pub mod command;
pub mod http;
pub mod lvs;
pub mod net;
pub mod number;
pub mod route;
pub mod rule;
pub mod track;
pub mod vrrp;

pub use address::AddressEntry;
pub use basic::{IfName, Mac, Name, Strings, Switch, Text};
pub use command::{Command, User};
pub use net::{Endpoint, Net};
pub use number::{Int, Millis, Seconds};
pub use track::{Tracked, Weight};

/// Makes an enumeration of words.
macro_rules! one_of {
    ($(#[doc = $about:literal])+ pub enum $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal $(| $other:literal)*,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What the word means.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word $(| $other)* => Some(Self::$variant),)+ _ => None }
            }
        }

        impl $crate::keepalived::field::Words for $name {
            fn syntax() -> String {
                [$($word),+].join("|")
            }

            fn parse(
                args: &mut $crate::keepalived::field::Args<'_>,
            ) -> Result<Self, $crate::keepalived::field::Bad> {
                let word = args.need(&Self::syntax())?;
                Self::from_word(&word.text).ok_or_else(|| {
                    let text = format!("unknown value '{}'", word.text);
                    $crate::keepalived::field::Bad::new(word.span, text).help(format!("one of {}", Self::syntax()))
                })
            }

            fn words(&self) -> Vec<String> {
                vec![self.word().to_owned()]
            }
        }
    };
}
pub(crate) use one_of;
