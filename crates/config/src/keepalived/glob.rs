//! The patterns of `include`: `*`, `?`, `[…]` within a name, and `{a,b}` as in the C shell.

use super::files::Files;
use std::path::{Path, PathBuf};

/// How many names a pattern may stand for; `{a,b}{a,b}…` doubles with each pair.
const MOST: usize = 10_000;

/// What a pattern stands for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Matches {
    /// The files, each alternative's in order of their names.
    pub(super) files: Vec<PathBuf>,
    /// Alternatives of braces, or the whole pattern, for which there is nothing.
    pub(super) without: Vec<String>,
    /// True if there was a sign other than braces.
    pub(super) wild: bool,
    /// True if there were too many.
    pub(super) cut: bool,
}

/// Looks a pattern up, relative to a directory.
pub(super) fn matches(files: &dyn Files, directory: &Path, pattern: &str) -> Matches {
    let mut found = Matches::default();
    let mut alternatives = Vec::new();
    found.cut = !expand(pattern, &mut alternatives, 0);
    for alternative in alternatives {
        let before = found.files.len();
        let full = directory.join(&alternative);
        if is_wild(&alternative) {
            found.wild = true;
            found.cut |= !walk(files, &full, &mut found.files);
        } else if files.exists(&full) {
            found.files.push(full);
        }
        if found.files.len() == before {
            found.without.push(alternative);
        }
    }
    found
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Writes out braces; false if there are too many alternatives.
fn expand(pattern: &str, out: &mut Vec<String>, depth: usize) -> bool {
    let (Some((begin, end)), true) = (braces(pattern), depth < 32) else {
        out.push(pattern.to_owned());
        return out.len() < MOST;
    };
    let mut level = 0;
    let mut part = begin + 1;
    for (at, c) in pattern[begin + 1..=end].char_indices() {
        let at = begin + 1 + at;
        match c {
            '{' => level += 1,
            '}' if at < end => level -= 1,
            ',' | '}' if level == 0 => {
                let alternative = format!("{}{}{}", &pattern[..begin], &pattern[part..at], &pattern[end + 1..]);
                part = at + 1;
                if !expand(&alternative, out, depth + 1) {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

/// The first pair of braces.
fn braces(pattern: &str) -> Option<(usize, usize)> {
    let begin = pattern.find('{')?;
    let mut level = 0;
    for (at, c) in pattern[begin..].char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 1 => return Some((begin, begin + at)),
            '}' => level -= 1,
            _ => {}
        }
    }
    None
}

/// Follows the components of a path; false if there are too many files.
fn walk(files: &dyn Files, full: &Path, out: &mut Vec<PathBuf>) -> bool {
    let mut at = vec![PathBuf::new()];
    for part in full.components() {
        let name = part.as_os_str().to_string_lossy();
        if !is_wild(&name) {
            at.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for path in at {
            let mut names = files.list(&path);
            names.retain(|found| (!found.starts_with('.') || name.starts_with('.')) && like(&name, found));
            names.sort();
            next.extend(names.into_iter().map(|found| path.join(found)));
            if next.len() > MOST {
                return false;
            }
        }
        at = next;
    }
    out.extend(at.into_iter().filter(|path| files.exists(path)));
    out.len() <= MOST
}

/// True if a name is what the pattern describes. Takes time in proportion to the product of their lengths at most.
fn like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on if what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => set(&pattern, p, name[n]),
            Some(c) => (*c == name[n]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => (p, n) = (next, n + 1),
            (None, Some((after, begun))) => {
                star = Some((after, begun + 1));
                (p, n) = (after, begun + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether `[…]` at this place has the character; where it ends if so.
fn set(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let begin = at + 1;
    let negated = matches!(pattern.get(begin), Some('!' | '^'));
    let first = begin + usize::from(negated);
    // A `]` in the first place is a member.
    let Some(end) = (first + 1..pattern.len()).find(|at| pattern[*at] == ']') else {
        return (c == '[').then_some(at + 1);
    };
    let (mut at, mut found) = (first, false);
    while at < end {
        if at + 2 < end && pattern[at + 1] == '-' {
            found |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= pattern[at] == c;
            at += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::files::Memory;

    #[test]
    fn names_and_patterns() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.config", false),
            ("a?c*", "abcd", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[", "[", true),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
        ] {
            assert_eq!(like(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn braces_and_directories() {
        let files = Memory::new([("/c/a/1.conf", ""), ("/c/b/2.conf", ""), ("/c/b/.hidden", ""), ("/c/x", "")]);
        let find = |pattern: &str| {
            let found = matches(&files, Path::new("/c"), pattern);
            (found.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" "), found.without)
        };
        assert_eq!(find("*/*"), ("/c/a/1.conf /c/b/2.conf".into(), vec![]));
        assert_eq!(find("{b,a}/*.conf").0, "/c/b/2.conf /c/a/1.conf");
        assert_eq!(find("{x,y}"), ("/c/x".into(), vec!["y".to_owned()]));
        assert_eq!(find("{a/{1,3},b/2}.conf").0, "/c/a/1.conf /c/b/2.conf");
        assert_eq!(find("../c/x").0, "/c/../c/x");
        assert!(matches(&files, Path::new("/c"), &"{a,b}".repeat(40)).cut);
    }
}
