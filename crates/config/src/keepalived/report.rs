//! What is wrong with a configuration: all of it at once, each with its place, the line shown and a way out.

use super::span::{Place, Span};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing; the verdict stays good.
    Notice,
    /// Something was set right or left out in a way that the user may not mean. Spoils the verdict.
    Warning,
    /// Something was not understood, or contradicts itself. Spoils the verdict.
    Error,
}

impl Level {
    /// The word before the text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How bad it is.
    pub level: Level,
    /// What it is, in one line.
    pub text: String,
    /// Where; [`Span::is_none`] if it is about no particular place.
    pub span: Span,
    /// What to do, or what is done about it.
    pub help: Option<String>,
}

/// A file that was read.
#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    text: String,
    /// Where each line begins.
    starts: Vec<usize>,
}

/// The files that were read, to show their lines.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a file; its number, or nothing if there are too many.
    pub(super) fn add(&mut self, path: &Path, text: String) -> Option<u16> {
        let number = u16::try_from(self.files.len()).ok()?;
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.files.push(Source { path: path.to_owned(), text, starts });
        Some(number)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The text of a file.
    pub(super) fn text(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", |source| &source.text)
    }

    /// The name of a file as it was opened.
    pub fn path(&self, place: Place) -> &Path {
        self.files.get(usize::from(place.file)).map_or(Path::new("?"), |source| &source.path)
    }

    /// A line without its end.
    pub fn line(&self, place: Place) -> &str {
        let Some(source) = self.files.get(usize::from(place.file)) else { return "" };
        let begin = (place.line as usize).checked_sub(1).and_then(|index| source.starts.get(index));
        let rest = begin.and_then(|begin| source.text.get(*begin..)).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }

    /// The column in characters, from 1.
    pub fn column(&self, place: Place) -> usize {
        1 + self.line(place).char_indices().take_while(|(at, _)| *at < place.byte as usize).count()
    }
}

/// Everything found so far, up to a limit.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    list: Vec<Report>,
    /// How many more there were than are kept.
    dropped: usize,
    worst: Option<Level>,
}

/// How many reports are kept: nobody reads more, and a hostile file could make any number.
const KEPT: usize = 1000;

impl Reports {
    /// Adds one; one that is there already is not repeated.
    pub fn add(&mut self, level: Level, span: Span, text: impl Into<String>, help: Option<String>) {
        self.worst = self.worst.max(Some(level));
        if self.list.len() >= KEPT {
            self.dropped += 1;
            return;
        }
        let report = Report { level, text: text.into(), span, help };
        if self.list.last() != Some(&report) {
            self.list.push(report);
        }
    }

    /// Adds an error.
    pub fn error(&mut self, span: Span, text: impl Into<String>) {
        self.add(Level::Error, span, text, None);
    }

    /// Adds a warning.
    pub fn warning(&mut self, span: Span, text: impl Into<String>) {
        self.add(Level::Warning, span, text, None);
    }

    /// Adds a notice.
    pub fn notice(&mut self, span: Span, text: impl Into<String>) {
        self.add(Level::Notice, span, text, None);
    }

    /// All of them, in the order of finding.
    pub fn iter(&self) -> impl Iterator<Item = &Report> {
        self.list.iter()
    }

    /// True if nothing spoils the verdict.
    pub fn good(&self) -> bool {
        self.worst.is_none_or(|worst| worst < Level::Warning)
    }

    /// True if further ones are only counted: nobody needs to make them pretty.
    pub fn is_full(&self) -> bool {
        self.list.len() >= KEPT
    }

    /// How many are not shown because there were too many.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Everything for people: a line in the form of the original, then the place with its line.
    pub fn render(&self, sources: &Sources) -> String {
        let mut text: String = self.list.iter().map(|report| report.render(sources)).collect();
        if self.dropped > 0 {
            let _ = writeln!(text, "and {} more", self.dropped);
        }
        text
    }
}

impl Report {
    /// `(FILE: Line N) text`, as log watchers know it.
    pub fn one_line(&self, sources: &Sources) -> String {
        if self.span.is_none() {
            return self.text.clone();
        }
        let line = self.span.via.unwrap_or(self.span.at);
        format!("({}: Line {}) {}", sources.path(line).display(), line.line, self.text)
    }

    fn render(&self, sources: &Sources) -> String {
        let mut out = self.one_line(sources) + "\n";
        let at = self.span.at;
        if self.span.is_none() {
            if let Some(help) = &self.help {
                let _ = writeln!(out, "  = help: {help}");
            }
            return out;
        }
        let (line, column) = (sources.line(at), sources.column(at));
        let number = at.line.to_string();
        let gutter = " ".repeat(number.len());
        let place = format!("{}:{}:{column}", sources.path(at).display(), at.line);
        let (begin, end) = (at.byte as usize, (at.byte as usize).saturating_add(self.span.len as usize));
        let width = line.char_indices().filter(|(at, _)| (begin..end).contains(at)).count().clamp(1, 200);
        // Tabs stay tabs, so that the caret stands below what it means whatever their width is.
        let lead: String = line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let shown: String = line.chars().take(400).map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
        let _ = writeln!(out, "{gutter}--> {place}: {}", self.level.word());
        let _ = writeln!(out, "{gutter} |\n{number} | {shown}\n{gutter} | {lead}{}", "^".repeat(width));
        if let Some(via) = self.span.via {
            let _ = writeln!(out, "{gutter} = used at {}:{}", sources.path(via).display(), via.line);
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{gutter} = help: {help}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(line: u32, byte: u32, len: u32) -> Span {
        Span { at: Place { file: 0, line, byte }, len, via: None }
    }

    #[test]
    fn the_line_is_shown_with_a_caret() {
        let mut sources = Sources::default();
        sources.add(Path::new("k.conf"), "vrrp_instance V {\n\tété stat MASTER\n}\n".into());
        let mut reports = Reports::default();
        reports.add(Level::Error, span(2, 7, 4), "Unknown keyword 'stat'", Some("did you mean `state`?".into()));
        assert_eq!(
            reports.render(&sources),
            "(k.conf: Line 2) Unknown keyword 'stat'\n --> k.conf:2:6: error\n  |\n2 | \tété stat MASTER\n  | \t    ^^^^\n  = help: did \
             you mean `state`?\n"
        );
        assert!(!reports.good());
    }

    #[test]
    fn notices_leave_the_verdict_good_and_floods_are_counted() {
        let mut reports = Reports::default();
        reports.notice(Span::default(), "n");
        assert!(reports.good());
        for line in 0..2000 {
            reports.warning(span(line, 0, 0), "w");
        }
        assert!(!reports.good());
        assert_eq!(reports.iter().count(), KEPT);
        assert!(reports.render(&Sources::default()).ends_with("and 1001 more\n"));
    }
}
