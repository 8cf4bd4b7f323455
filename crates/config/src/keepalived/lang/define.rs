//! `$NAME=value` and what `$NAME`, `${NAME}` and the predefined `${_…}` stand for.

use super::sequence::is_name;
use super::text::Text;
use std::collections::HashMap;

/// The definitions made so far.
#[derive(Default)]
pub(super) struct Definitions {
    values: HashMap<String, Text>,
}

/// A definition on a line: the name, and where in the line its value begins.
pub(super) fn definition(line: &str) -> Option<(&str, usize)> {
    let (name, _) = line.strip_prefix('$')?.split_once('=')?;
    is_name(name).then_some((name, name.len() + 2))
}

/// A use of a parameter in a line.
#[derive(Debug, PartialEq)]
pub(super) struct Use<'a> {
    /// Its name, and for the predefined ones what follows it.
    pub(super) name: &'a str,
    /// Where it begins and ends.
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// The next use of something that `known` knows, at or after a byte.
pub(super) fn next_use<'a>(line: &'a str, from: usize, known: impl Fn(&str) -> bool) -> Option<Use<'a>> {
    let mut at = from;
    loop {
        let begin = at + line.get(at..)?.find('$')?;
        let rest = &line[begin + 1..];
        let found = match rest.strip_prefix('{') {
            Some(inner) => brace(inner).map(|end| (&inner[..end], begin + end + 3)),
            None => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                // Without braces, white space must follow.
                let ends = rest[end..].chars().next().is_none_or(char::is_whitespace);
                ends.then(|| (&rest[..end], begin + 1 + end))
            }
        };
        match found {
            Some((name, end)) if known(name) => return Some(Use { name, begin, end }),
            _ => at = begin + 1,
        }
    }
}

/// Where the name in braces ends. Names are short; a longer search could be made to take for ever.
pub(super) fn brace(inner: &str) -> Option<usize> {
    inner.bytes().take(256).position(|byte| byte == b'}')
}

impl Definitions {
    pub(super) fn set(&mut self, name: &str, value: Text) {
        self.values.insert(name.to_owned(), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Text> {
        self.values.get(name)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}

/// A predefined parameter.
#[derive(Debug, PartialEq)]
pub(super) enum Predefined<'a> {
    /// The directory of the file.
    Pwd,
    /// The configuration's id.
    Instance,
    /// A random number from the first to the second.
    Random(u32, u32),
    /// A variable of the environment.
    Env(&'a str),
    /// This text.
    Literal(&'static str),
}

/// Reads the inner text of `${…}`.
pub(super) fn predefined(name: &str) -> Option<Predefined<'_>> {
    let mut words = name.split_whitespace();
    Some(match (words.next()?, words.next(), words.next(), words.next()) {
        ("_PWD", None, None, None) => Predefined::Pwd,
        ("_INSTANCE", None, None, None) => Predefined::Instance,
        ("_HASH", None, None, None) => Predefined::Literal("#"),
        ("_BANG", None, None, None) => Predefined::Literal("!"),
        ("_ENV", Some(variable), None, None) => Predefined::Env(variable),
        ("_RANDOM", low, high, None) => {
            let low = low.map_or(Some(0), |text| text.parse().ok())?;
            let high = high.map_or(Some(32767), |text| text.parse().ok())?;
            (low <= high).then_some(Predefined::Random(low, high))?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_and_their_uses() {
        assert_eq!(definition("$A_1=x y"), Some(("A_1", 5)));
        assert_eq!(definition("$A ="), None);
        assert_eq!(definition("$1=x"), None);
        let known = |name: &str| ["A", "AB"].contains(&name);
        let found = |line: &str| next_use(line, 0, known).map(|used| (used.name.to_owned(), used.begin, used.end));
        assert_eq!(found("x $A y"), Some(("A".into(), 2, 4)));
        assert_eq!(found("x${A}y"), Some(("A".into(), 1, 5)));
        assert_eq!(found("$A.b $AB"), Some(("AB".into(), 5, 8)));
        assert_eq!(found("$C ${D $$A"), Some(("A".into(), 8, 10)));
        assert_eq!(found("${"), None);
    }

    #[test]
    fn predefined_parameters() {
        assert_eq!(predefined("_RANDOM 5 9"), Some(Predefined::Random(5, 9)));
        assert_eq!(predefined("_RANDOM"), Some(Predefined::Random(0, 32767)));
        assert_eq!(predefined("_RANDOM 9 5"), None);
        assert_eq!(predefined("_ENV HOME"), Some(Predefined::Env("HOME")));
        assert_eq!(predefined("_PWD x"), None);
        assert_eq!(predefined("OTHER"), None);
    }
}
