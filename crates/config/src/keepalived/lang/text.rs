//! Text that remembers where each of its parts was written, through cutting, joining and substitution.

use crate::keepalived::span::{Place, Span};
use std::ops::Range;

/// A line, or the lines of a definition, with places.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    text: String,
    /// Where the part that begins at this byte was written; ascending. What follows a mark is on the mark's line.
    marks: Vec<(usize, Place)>,
    /// The line that called for a definition.
    pub(super) via: Option<Place>,
}

impl Text {
    /// A stretch of a line of a file.
    pub(super) fn new(text: &str, at: Place) -> Self {
        Self { text: text.to_owned(), marks: vec![(0, at)], via: None }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Where a byte was written.
    pub(super) fn place(&self, byte: usize) -> Place {
        let index = self.marks.partition_point(|(at, _)| *at <= byte);
        match index.checked_sub(1).and_then(|index| self.marks.get(index)) {
            Some((at, place)) => {
                let further = u32::try_from(byte - at).unwrap_or(u32::MAX);
                Place { byte: place.byte.saturating_add(further), ..*place }
            }
            None => Place::default(),
        }
    }

    /// The span of some bytes.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        Span { at: self.place(range.start), len: u32::try_from(range.len()).unwrap_or(u32::MAX), via: self.via }
    }

    /// A part; the range must lie on character boundaries.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let first = self.marks.partition_point(|(at, _)| *at <= range.start);
        let last = self.marks.partition_point(|(at, _)| *at < range.end).max(first);
        let inner = self.marks[first..last].iter();
        let marks = std::iter::once((0, self.place(range.start)))
            .chain(inner.map(|(at, place)| (at - range.start, *place)))
            .collect();
        Self { text, marks, via: self.via }
    }

    /// From a byte to the end.
    pub(super) fn from(&self, byte: usize) -> Self {
        self.slice(byte..self.text.len())
    }

    /// Appends other text with its places.
    pub(super) fn push(&mut self, other: &Self) {
        let base = self.text.len();
        self.text.push_str(&other.text);
        self.marks.extend(other.marks.iter().map(|(at, place)| (at + base, *place)));
    }

    /// Appends a piece that stands for something written at `at`.
    pub(super) fn push_str(&mut self, piece: &str, at: Place) {
        self.marks.push((self.text.len(), at));
        self.text.push_str(piece);
    }

    /// Without white space around it.
    pub(super) fn trimmed(&self) -> Self {
        let begin = self.text.len() - self.text.trim_start().len();
        let end = begin + self.text.trim().len();
        self.slice(begin..end)
    }

    /// Its lines.
    pub(super) fn lines(&self) -> Vec<Self> {
        let mut begin = 0;
        let mut lines = Vec::new();
        for line in self.text.split('\n') {
            lines.push(self.slice(begin..begin + line.len()));
            begin += line.len() + 1;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, byte: u32) -> Place {
        Place { file: 0, line, byte }
    }

    #[test]
    fn places_survive_cutting_and_joining() {
        let mut text = Text::new("  one ", at(1, 4)).trimmed();
        assert_eq!((text.as_str(), text.place(0)), ("one", at(1, 6)));
        text.push_str("\n", at(1, 9));
        text.push(&Text::new("two three", at(2, 0)));
        let lines = text.lines();
        assert_eq!(lines.iter().map(Text::as_str).collect::<Vec<_>>(), ["one", "two three"]);
        assert_eq!(lines[1].from(4).place(1), at(2, 5));
        assert_eq!(lines[1].span(4..9).len, 5);
    }
}
