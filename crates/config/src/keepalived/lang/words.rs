//! A line's words: quotes, escapes, braces, comments.

use super::define::brace;
use super::text::Text;
use crate::keepalived::span::Span;

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// What it says, without quotes and escapes.
    pub text: String,
    /// Where it stands.
    pub span: Span,
    /// True if any part of it was quoted.
    pub quoted: bool,
}

/// What a line is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(Word),
    Open(Span),
    Close(Span),
}

/// The line up to its comment; quotes hide the signs of a comment, and so does a backslash.
pub(super) fn before_comment(line: &str) -> &str {
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (_, '\\') => {
                chars.next();
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#' | '!') => return line.get(..at).unwrap_or_default(),
            (None, _) => {}
        }
    }
    line
}

/// A quote that does not end.
#[derive(Debug, PartialEq)]
pub(super) struct Unterminated(pub(super) Span);

/// Splits a line. An error is told beside the words, the last of which goes to the end of the line.
pub(super) fn split(line: &Text) -> (Vec<Token>, Option<Unterminated>) {
    let mut splitter = Splitter { line, rest: line.as_str(), tokens: Vec::new(), bad: None };
    while splitter.token() {}
    (splitter.tokens, splitter.bad)
}

struct Splitter<'a> {
    line: &'a Text,
    rest: &'a str,
    tokens: Vec<Token>,
    bad: Option<Unterminated>,
}

impl Splitter<'_> {
    fn at(&self) -> usize {
        self.line.len() - self.rest.len()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn token(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        let begin = self.at();
        match self.rest.chars().next() {
            None => return false,
            Some('{') => {
                self.next();
                self.tokens.push(Token::Open(self.line.span(begin..begin + 1)));
            }
            Some('}') => {
                self.next();
                self.tokens.push(Token::Close(self.line.span(begin..begin + 1)));
            }
            Some(_) => self.word(begin),
        }
        true
    }

    fn word(&mut self, begin: usize) {
        let (mut text, mut quoted) = (String::new(), false);
        while let Some(c) = self.rest.chars().next() {
            match c {
                c if c.is_whitespace() => break,
                '{' | '}' => break,
                '"' | '\'' => {
                    quoted = true;
                    self.quoted(c, &mut text);
                }
                '$' => {
                    // The name of something undefined stays as it is.
                    let end = self.rest.strip_prefix("${").and_then(brace).map_or(1, |end| end + 3);
                    text.push_str(&self.rest[..end]);
                    self.rest = &self.rest[end..];
                }
                '\\' => {
                    self.next();
                    match self.rest.chars().next() {
                        Some(next) if next.is_whitespace() || "\\\"'#!{}".contains(next) => {
                            self.next();
                            text.push(next);
                        }
                        _ => text.push('\\'),
                    }
                }
                _ => {
                    self.next();
                    text.push(c);
                }
            }
        }
        let span = self.line.span(begin..self.at());
        self.tokens.push(Token::Word(Word { text, span, quoted }));
    }

    fn quoted(&mut self, quote: char, text: &mut String) {
        let begin = self.at();
        self.next();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => return,
                '\\' => self.escape(text),
                c => text.push(c),
            }
        }
        self.bad = Some(Unterminated(self.line.span(begin..self.line.len())));
    }

    /// What follows a backslash within quotes.
    fn escape(&mut self, text: &mut String) {
        let Some(c) = self.next() else { return };
        match c {
            'a' => text.push('\x07'),
            'b' => text.push('\x08'),
            'E' => text.push('\x1b'),
            'f' => text.push('\x0c'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'v' => text.push('\x0b'),
            'c' => text.extend(self.next().map(|c| char::from(u8::try_from(c).unwrap_or(b'?') & 0x1f))),
            'x' => text.extend(self.digits(16, 6)),
            '0'..='7' => {
                self.rest = &self.line.as_str()[self.at() - 1..];
                text.extend(self.digits(8, 3));
            }
            c => text.push(c),
        }
    }

    /// The character of a number of at most this many digits; of more digits the last ones count.
    fn digits(&mut self, radix: u32, most: usize) -> Option<char> {
        let count = self
            .rest
            .chars()
            .take_while(|c| c.is_digit(radix))
            .take(if radix == 8 { most } else { usize::MAX })
            .count();
        let digits = &self.rest[..count];
        self.rest = &self.rest[count..];
        let digits = &digits[count.saturating_sub(most)..];
        // One byte, as in a shell.
        u32::from_str_radix(digits, radix).ok().map(|value| char::from((value & 0xff) as u8))
    }
}

/// A word so that reading it gives it back.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:+%,=*?[]^&|<>();@".contains(c);
    // A line of a list could begin with the word that reads another file, or with the sign of a condition.
    if !word.is_empty() && !word.starts_with("include") && !word.starts_with('@') && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // A `$` must not become a definition, nor a line be cut.
            '$' => out.push_str("\\044"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\{:03o}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::span::Place;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        let (tokens, bad) = split(&Text::new(line, Place { file: 0, line: 1, byte: 0 }));
        assert_eq!(bad, None, "{line}");
        tokens
            .into_iter()
            .map(|token| match token {
                Token::Word(word) => word.text,
                Token::Open(_) => "<".into(),
                Token::Close(_) => ">".into(),
            })
            .collect()
    }

    #[test]
    fn quotes_escapes_and_braces() {
        for (line, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#"abcd" efg h jkl "mnop"#, vec!["abcd efg h jkl mnop"]),
            (r#"abcd "efg h jkl" mnop"#, vec!["abcd", "efg h jkl", "mnop"]),
            (r#""a'b" 'a"b' """#, vec!["a'b", "a\"b", ""]),
            (r#""\a\b\E\f\n\r\t\v\101\x42\cC\q\\\"""#, vec!["\x07\x08\x1b\x0c\n\r\t\x0bAB\x03q\\\""]),
            ("a{b}c", vec!["a", "<", "b", ">", "c"]),
            ("x ${UNDEF}.1 $U", vec!["x", "${UNDEF}.1", "$U"]),
            (r#"a\ b \"c \d"#, vec!["a b", "\"c", "\\d"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
        let (tokens, bad) = split(&Text::new("a \"b c", Place { file: 0, line: 1, byte: 0 }));
        assert_eq!(tokens.len(), 2);
        assert_eq!(bad.map(|bad| bad.0.at.byte), Some(2));
    }

    #[test]
    fn comments_end_a_line_outside_quotes() {
        assert_eq!(before_comment("a # b"), "a ");
        assert_eq!(before_comment("a!b"), "a");
        assert_eq!(before_comment("'#' \"!\" \\# x ! y"), "'#' \"!\" \\# x ");
    }

    proptest! {
        #[test]
        fn a_quoted_word_is_read_back(word in "[ -~\\n\\té€]{0,20}") {
            let line = quote(&word);
            prop_assert_eq!(before_comment(&line), line.as_str());
            prop_assert_eq!(words(&line), vec![word]);
        }

        #[test]
        fn any_line_splits(line in "\\PC*") {
            split(&Text::new(&line, Place::default()));
        }
    }
}
