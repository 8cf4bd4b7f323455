//! Where something stands in the configuration: file, line and column, kept from the first byte read to the last message.
//!
//! Positions never take part in comparisons: a configuration that only moved within its file is the same configuration.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// One place in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, as an index into [`Sources`](super::Sources).
    pub file: u16,
    /// The line, from 1; 0 when there is no place.
    pub line: u32,
    /// The byte within the line, from 0.
    pub byte: u32,
}

/// A stretch of one line, and where it was called for if it came out of a definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub at: Place,
    /// How many bytes it has.
    pub len: u32,
    /// The line that named the definition (`$NAME`) whose text this is.
    pub via: Option<Place>,
}

impl Span {
    /// True for the span of nothing: what it belongs to was not written by anybody.
    pub fn is_none(&self) -> bool {
        self.at.line == 0
    }
}

/// A value and where it was written. Equality is that of the value.
#[derive(Clone, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins both.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Spanned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Where the keywords of one block stand. Any two are equal.
#[derive(Clone, Default)]
pub struct Spans {
    header: Span,
    keywords: Vec<(&'static str, Span)>,
}

impl Spans {
    /// The block's own keyword.
    pub fn header(&self) -> Span {
        self.header
    }

    /// The last statement of this keyword, by its first name; the block's own keyword if there is none.
    pub fn of(&self, keyword: &str) -> Span {
        self.keywords.iter().rev().find(|(name, _)| *name == keyword).map_or(self.header, |(_, span)| *span)
    }

    pub(super) fn set_header(&mut self, span: Span) {
        self.header = span;
    }

    /// Notes a statement; of several with one keyword the last is kept.
    pub(super) fn note(&mut self, keyword: &'static str, span: Span) {
        match self.keywords.iter_mut().find(|(name, _)| *name == keyword) {
            Some((_, old)) => *old = span,
            None => {
                // Most blocks have few keywords, and there may be thousands of blocks.
                if self.keywords.is_empty() {
                    self.keywords.reserve_exact(2);
                }
                self.keywords.push((keyword, span));
            }
        }
    }
}

impl PartialEq for Spans {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}
