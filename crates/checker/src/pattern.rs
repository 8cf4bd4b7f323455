//! Expressions about the contents of pages.

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression about contents, as Perl has them. Expressions without looking around and back references take time
/// linear in the contents; with them, a limited number of steps, beyond which the expectation counts as not met.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pattern {
    /// The expression.
    pub expression: String,
    /// It must not match.
    pub no_match: bool,
    /// At which byte to begin to look.
    pub min_offset: usize,
    /// At which byte a match must have begun at the latest; `None`: anywhere.
    pub max_offset: Option<usize>,
    /// Capital and small letters are the same.
    pub caseless: bool,
    /// `^` and `$` match at lines.
    pub multiline: bool,
    /// `.` matches the end of a line as well.
    pub dotall: bool,
    /// White space and comments in the expression do not count.
    pub extended: bool,
    /// As little as possible matches, and with `?` as much as possible.
    pub ungreedy: bool,
    /// A match must begin at `min_offset`.
    pub anchored: bool,
    /// A match must end with the contents.
    pub end_anchored: bool,
    /// The contents are UTF-8.
    pub utf: bool,
    /// `$` matches at the very end only, not before a line break there as well.
    pub dollar_end_only: bool,
    /// A match must begin in the first line.
    pub first_line: bool,
    /// `[]` is a class without members; otherwise the bracket after it is its first member.
    pub empty_class: bool,
}

impl Pattern {
    /// Bytes that a compiled expression may take.
    const SIZE: usize = 1 << 20;
    /// Steps that an expression may go back in one search.
    const STEPS: usize = 1_000_000;

    /// Sets an option by the word that keepalived.conf has for it; `Err` for one that has no meaning here.
    pub fn set_option(&mut self, word: &str) -> Result<(), String> {
        match word {
            "caseless" => self.caseless = true,
            "multiline" => self.multiline = true,
            "dotall" => self.dotall = true,
            // White space in classes does not count in either, here.
            "extended" | "extended_more" => self.extended = true,
            "ungreedy" => self.ungreedy = true,
            "anchored" => self.anchored = true,
            "endanchored" => self.end_anchored = true,
            "utf" | "ucp" => self.utf = true,
            "dollar_endonly" => self.dollar_end_only = true,
            "firstline" => self.first_line = true,
            "allow_empty_class" => self.empty_class = true,
            // About groups, limits and speed, none of which shows in whether something matches.
            "no_auto_capture" | "no_auto_possess" | "no_dotstar_anchor" | "no_start_optimize" | "no_utf_check"
            | "dupnames" | "never_backslash_c" | "use_offset_limit" | "alt_verbnames" | "auto_callout" => {}
            // Forms that are understood anyway, or that an expression without them never meets.
            "alt_bsux" | "never_utf" | "never_ucp" => {}
            _ => return Err(format!("option {word} of regular expressions is not supported")),
        }
        Ok(())
    }

    /// Compiles it; `Err`: what is wrong with it, for people.
    pub fn compile(&self) -> Result<Compiled, String> {
        let (begin, end) = (if self.anchored { r"\A" } else { "" }, if self.end_anchored { r"\z" } else { "" });
        // The line break keeps a comment at the end of an extended expression from eating the bracket.
        let line = if self.extended { "\n" } else { "" };
        let text = format!("{begin}(?:{}{line}){end}", self.translated());
        let linear = RegexBuilder::new(&text)
            .case_insensitive(self.caseless)
            .multi_line(self.multiline)
            .dot_matches_new_line(self.dotall)
            .ignore_whitespace(self.extended)
            .swap_greed(self.ungreedy)
            .unicode(self.utf)
            .size_limit(Self::SIZE)
            .dfa_size_limit(Self::SIZE)
            .build();
        let wrong = |error: &dyn core::fmt::Display| format!("regular expression `{}`: {error}", self.expression);
        match linear {
            Ok(regex) => Ok(Compiled(Engine::Linear(regex))),
            Err(error @ regex::Error::CompiledTooBig(_)) => Err(wrong(&error)),
            Err(_) => self.with_steps(&text).map_err(|error| wrong(&error)),
        }
    }

    /// The expression in the words of our engines, where they differ from Perl's: `$` matches before a line break at the end of
    /// the contents too, `\Q` and `\E` quote, and empty classes.
    fn translated(&self) -> String {
        let (mut text, mut rest) = (String::new(), self.expression.as_str());
        let mut in_class = false;
        while let Some(c) = rest.chars().next() {
            if let Some(quoted) = rest.strip_prefix(r"\Q") {
                let (plain, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                text += &regex::escape(plain);
                rest = after;
            } else if let Some(escaped) = rest.strip_prefix('\\') {
                let length = escaped.chars().next().map_or(0, char::len_utf8);
                text += &rest[..1 + length];
                rest = &escaped[length..];
            } else if in_class && let Some(end) = rest.strip_prefix("[:").and_then(|name| name.find(":]")) {
                let (name, after) = rest.split_at(end + 4);
                text += name;
                rest = after;
            } else if in_class && matches!(c, '[' | '&' | '~') {
                // Sets within sets and what is done with them are not Perl's.
                text.push('\\');
                text.push(c);
                rest = &rest[1..];
            } else if !in_class && self.extended && c == '#' {
                let (comment, after) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
                text += comment;
                rest = after;
            } else if !in_class && c == '[' {
                let (class, after) = self.class(rest);
                text += class;
                // Whole classes end with a bracket that is not escaped.
                in_class = !class.ends_with(r"\S]");
                rest = after;
            } else {
                in_class &= c != ']';
                match c {
                    '$' if !in_class && !self.multiline && !self.dollar_end_only => text += r"(?:\n?\z)",
                    _ => text.push(c),
                }
                rest = &rest[c.len_utf8()..];
            }
        }
        text
    }

    /// The beginning of a class, as far as its first bracket may be a member; or all of an empty one.
    fn class<'a>(&self, rest: &'a str) -> (&'a str, &'a str) {
        let (open, after) = rest.split_at(if rest.starts_with("[^") { 2 } else { 1 });
        match (after.strip_prefix(']'), self.empty_class, open) {
            (None, ..) => (open, after),
            (Some(after), true, "[") => (r"[^\s\S]", after),
            (Some(after), true, _) => (r"[\s\S]", after),
            (Some(after), false, "[") => (r"[\]", after),
            (Some(after), false, _) => (r"[^\]", after),
        }
    }

    /// Compiles what takes going back. How greedy it is makes no difference to whether and where a match begins.
    fn with_steps(&self, text: &str) -> Result<Compiled, fancy_regex::Error> {
        let mode = if self.utf { fancy_regex::BytesMode::UnicodeBytes } else { fancy_regex::BytesMode::Ascii };
        fancy_regex::RegexBuilder::new(text)
            .case_insensitive(self.caseless)
            .multi_line(self.multiline)
            .dot_matches_new_line(self.dotall)
            .ignore_whitespace(self.extended)
            .bytes_mode(mode)
            .backtrack_limit(Self::STEPS)
            .delegate_size_limit(Self::SIZE)
            .delegate_dfa_size_limit(Self::SIZE)
            .build()
            .map(|regex| Compiled(Engine::Stepping(Box::new(regex))))
    }

    /// Whether contents are as expected.
    pub fn holds(&self, compiled: &Compiled, contents: &[u8]) -> bool {
        let begin = self.min_offset.min(contents.len());
        // `\A` means the first byte looked at, as it does where matching begins at an offset.
        let (contents, from, added) = if self.anchored { (&contents[begin..], 0, begin) } else { (contents, begin, 0) };
        let found = match &compiled.0 {
            Engine::Linear(regex) => regex.find_at(contents, from).map(|found| found.start()),
            Engine::Stepping(regex) => match regex.find_from_pos(contents, from) {
                Ok(found) => found.map(|found| found.start()),
                // Nobody knows: neither that it matches nor that it does not.
                Err(_) => return false,
            },
        };
        let line_end = contents[from..].iter().position(|&byte| byte == b'\n').map_or(contents.len(), |at| from + at);
        let in_time = |start| self.max_offset.is_none_or(|max| start + added <= max);
        let fits = found.is_some_and(|start| in_time(start) && (!self.first_line || start <= line_end));
        fits != self.no_match
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Compiled(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Linear(Regex),
    Stepping(Box<fancy_regex::Regex>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_keep_to_their_offsets_and_options() {
        type Row<'a> = (&'a str, &'a [&'a str], usize, Option<usize>, bool);
        let table: [Row; 12] = [
            ("hello", &[], 0, None, true),
            ("HELLO", &[], 0, None, false),
            ("HELLO", &["caseless"], 0, None, true),
            ("hello", &[], 1, None, false),
            ("world", &[], 0, Some(5), false),
            ("world", &[], 0, Some(6), true),
            ("world", &["anchored"], 6, None, true),
            ("world", &["anchored"], 0, None, false),
            ("hello", &["endanchored"], 0, None, false),
            ("world # comment", &["extended", "endanchored"], 0, None, true),
            ("hello", &[], 999, None, false),
            ("", &[], 999, None, true),
        ];
        for (expression, options, min_offset, max_offset, expected) in table {
            let mut pattern = Pattern { expression: expression.into(), min_offset, max_offset, ..Pattern::default() };
            options.iter().for_each(|option| pattern.set_option(option).unwrap());
            let compiled = pattern.compile().unwrap();
            assert_eq!(pattern.holds(&compiled, b"hello world"), expected, "{pattern:?}");
            pattern.no_match = true;
            assert_eq!(pattern.holds(&compiled, b"hello world"), !expected, "{pattern:?}");
        }
    }

    #[test]
    fn what_cannot_be_compiled_is_said_so() {
        for expression in ["(", "(?<=a", r"\1(", "((a{500}){500}){500}"] {
            let pattern = Pattern { expression: expression.into(), ..Pattern::default() };
            assert!(pattern.compile().unwrap_err().contains("regular expression"), "{expression}");
        }
        assert!(Pattern::default().set_option("match_unset_backref").is_err());
    }

    #[test]
    fn expressions_mean_what_they_mean_to_perl() {
        let table: [(&str, &[&str], &[u8], bool); 21] = [
            ("world$", &[], b"hello world\n", true),
            ("world$", &["dollar_endonly"], b"hello world\n", false),
            ("hello$", &[], b"hello\nworld", false),
            ("hello$", &["multiline"], b"hello\nworld", true),
            (r"a\$b", &[], b"a$b", true),
            ("[$]b", &[], b"a$b", true),
            ("[]$]b", &[], b"]b", true),
            ("[^]$]b", &[], b"$b", false),
            (r"[\]$]b", &[], b"$b", true),
            (r"\Qa.b$\E$", &[], b"a.b$", true),
            (r"\Qa.b", &[], b"axb", false),
            ("world", &["firstline"], b"hello\nworld", false),
            ("hello", &["firstline"], b"hello\nworld", true),
            ("a[]b", &["allow_empty_class"], b"a]b", false),
            ("a[^]b", &["allow_empty_class"], b"a\nb", true),
            ("a[]b]", &[], b"a]", true),
            ("a # $ [\nb$", &["extended_more"], b"ab\n", true),
            ("(?=h)hello$", &[], b"hello\n", true),
            (r"hello\Z", &[], b"hello\n", true),
            ("^[[:digit:]$]+$", &[], b"12$", true),
            ("^[[&&a]+$", &[], b"[&a", true),
        ];
        for (expression, options, contents, expected) in table {
            let mut pattern = Pattern { expression: expression.into(), ..Pattern::default() };
            options.iter().for_each(|option| pattern.set_option(option).unwrap());
            let compiled = pattern.compile().unwrap();
            assert_eq!(pattern.holds(&compiled, contents), expected, "{pattern:?}");
        }
    }

    #[test]
    fn what_takes_going_back_does_so_within_a_limit() {
        let table: [(&str, &[&str], &[u8], bool); 9] = [
            (r"(a+)b\1c", &[], b"aabaac", true),
            (r"(a+)b\1c", &[], b"aabxc", false),
            ("hello(?= world)", &[], b"hello world", true),
            ("hello(?! world)", &[], b"hello world", false),
            ("(?<=say )hello", &["caseless"], b"SAY HELLO", true),
            ("(?<!say )hello", &[], b"say hello", false),
            (r"(?=h)h.llo", &[], b"h\xffllo", true),
            ("(?=hello)", &["anchored"], b"x hello", false),
            ("(?=w)world", &["endanchored"], b"hello world", true),
        ];
        for (expression, options, contents, expected) in table {
            let mut pattern = Pattern { expression: expression.into(), ..Pattern::default() };
            options.iter().for_each(|option| pattern.set_option(option).unwrap());
            let compiled = pattern.compile().unwrap();
            assert_eq!(pattern.holds(&compiled, contents), expected, "{pattern:?}");
        }
        // Nobody waits for this one, whichever way it is meant.
        for no_match in [false, true] {
            let pattern = Pattern { expression: r"(x+x+)+(?=y)\1z".into(), no_match, ..Pattern::default() };
            let begun = std::time::Instant::now();
            assert!(!pattern.holds(&pattern.compile().unwrap(), &[b'x'; 5000]));
            assert!(begun.elapsed() < std::time::Duration::from_secs(20));
        }
    }
}
