//! The grammar of popt, which the original is built on: a stream of options and words.
//!
//! Letters may be bundled (`-Ln`), an argument may be attached (`-w3`, `-w=3`, `--weight=3`) or follow, an optional argument
//! is the next word unless that begins with `-`, long names are not abbreviated, and a complaint names the whole word.

use super::table::{Arg, OPTIONS, Opt};
use std::ffi::OsString;

/// One piece of a command line.
#[derive(Debug)]
pub(super) enum Token {
    /// An option, with its argument.
    Option(&'static Opt, Option<String>),
    /// A word that belongs to no option.
    Word(String),
}

/// Why a word is no option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadOption {
    /// The word.
    pub(super) word: String,
    /// popt's text.
    pub(super) why: &'static str,
}

const UNKNOWN: &str = "unknown option";
const MISSING: &str = "missing argument";
const UNWANTED: &str = "option does not take an argument";

/// The pieces of a command line, one after another.
pub(super) struct Tokens {
    parser: lexopt::Parser,
    words: Vec<String>,
    /// Index of the word that is being read.
    at: usize,
}

impl Tokens {
    /// Of the words behind the program's name.
    pub(super) fn new(args: &[OsString]) -> Self {
        let words = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        Self { parser: lexopt::Parser::from_args(args.iter().cloned()), words, at: 0 }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token>, BadOption> {
        // Within a bundle the parser has no rest to show, and the word stays the same.
        if let Some(rest) = self.parser.try_raw_args() {
            self.at = self.words.len() - rest.as_slice().len();
        }
        let opt = match self.parser.next() {
            Ok(None) => return Ok(None),
            Ok(Some(lexopt::Arg::Value(word))) => return Ok(Some(Token::Word(lossy(word)))),
            Ok(Some(lexopt::Arg::Short(letter))) => OPTIONS.iter().find(|opt| opt.short.contains(letter)),
            Ok(Some(lexopt::Arg::Long(name))) => {
                let opt = OPTIONS.iter().find(|opt| opt.long == name);
                if opt.is_some_and(|opt| opt.arg == Arg::No) && self.parser.optional_value().is_some() {
                    return Err(self.bad(UNWANTED));
                }
                opt
            }
            // The only thing the parser itself complains of: `-n=x`.
            Err(_) => return Err(self.bad(UNWANTED)),
        };
        let opt = opt.ok_or_else(|| self.bad(UNKNOWN))?;
        // What follows a letter is complained of with the letter (`-Z=1`), not after it.
        if opt.arg == Arg::No && self.parser.clone().next().is_err() {
            return Err(self.bad(UNWANTED));
        }
        let value = match opt.arg {
            Arg::No => None,
            Arg::Yes => Some(self.parser.value().map(lossy).map_err(|_| self.bad(MISSING))?),
            Arg::Maybe => self.parser.optional_value().map(lossy).or_else(|| self.following_word()),
        };
        Ok(Some(Token::Option(opt, value)))
    }

    /// The next word, if it does not look like an option.
    fn following_word(&mut self) -> Option<String> {
        let mut rest = self.parser.try_raw_args()?;
        rest.next_if(|word| !word.as_encoded_bytes().starts_with(b"-")).map(lossy)
    }

    /// The word that was read last.
    pub(super) fn word(&self) -> &str {
        self.words.get(self.at).map_or("", String::as_str)
    }

    fn bad(&self, why: &'static str) -> BadOption {
        BadOption { word: self.word().to_owned(), why }
    }
}

fn lossy(word: OsString) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(line: &str) -> Result<Vec<String>, BadOption> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let mut tokens = Tokens::new(&args);
        let mut pieces = Vec::new();
        while let Some(token) = tokens.next()? {
            pieces.push(match token {
                Token::Option(opt, None) => opt.long.to_owned(),
                Token::Option(opt, Some(value)) => format!("{}={value}", opt.long),
                Token::Word(word) => format!("'{word}'"),
            });
        }
        Ok(pieces)
    }

    #[test]
    fn every_way_to_write_an_option() {
        for (line, expected) in [
            ("-Ln", "list numeric"),
            ("-lnc", "list numeric connection"),
            ("-At 1.2.3.4:80", "add-service tcp-service=1.2.3.4:80"),
            ("-At=1.2.3.4:80", "add-service tcp-service=1.2.3.4:80"),
            ("-mw3", "masquerading weight=3"),
            ("-w -1", "weight=-1"),
            ("--weight=-1", "weight=-1"),
            ("-p", "persistent"),
            ("-p 60 -n", "persistent=60 numeric"),
            ("-p -n", "persistent numeric"),
            ("-p600", "persistent=600"),
            ("-p=600", "persistent=600"),
            ("--persistent=5", "persistent=5"),
            ("--set 900 120 300", "set '900' '120' '300'"),
            ("-L -- -n -", "list '-n' '-'"),
        ] {
            assert_eq!(pieces(line).unwrap().join(" "), expected, "{line}");
        }
    }

    #[test]
    fn complaints_name_the_whole_word() {
        for (line, word, why) in [
            ("-A -O", "-O", UNKNOWN),
            ("-nO -c", "-nO", UNKNOWN),
            ("--nosuch=1", "--nosuch=1", UNKNOWN),
            ("--numer", "--numer", UNKNOWN),
            ("-A -w", "-w", MISSING),
            ("-nw", "-nw", MISSING),
            ("--list=x", "--list=x", UNWANTED),
            ("-n=x", "-n=x", UNWANTED),
            ("-Ln=x", "-Ln=x", UNWANTED),
            ("-p -1", "-1", UNKNOWN),
        ] {
            assert_eq!(pieces(line).unwrap_err(), BadOption { word: word.into(), why }, "{line}");
        }
    }
}
