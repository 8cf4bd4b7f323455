//! The language below the keywords: files become lines, lines statements.
//!
//! [`reader`] reads files and follows includes, conditions and definitions; [`tree`] makes statements with their blocks of the
//! words. Nothing here knows a keyword but `include…` and its checks. Whatever the input, it ends: see [`Limits`].

mod define;
mod reader;
mod sequence;
mod text;
mod tree;
mod words;

pub(crate) use reader::Reader;
pub use tree::Statement;
pub use words::Word;
pub(crate) use words::quote;

/// What a configuration may use up. What would exceed it is reported and left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files that include one another.
    pub include_depth: usize,
    /// Files altogether.
    pub files: usize,
    /// Bytes of one file and of all files together.
    pub file_bytes: u64,
    /// Lines after sequences, lists and definitions.
    pub lines: u64,
    /// Bytes that substitution makes.
    pub expanded_bytes: u64,
    /// Definitions, sequences and lists within one another.
    pub expansion_depth: usize,
    /// Blocks within one another.
    pub block_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            include_depth: 32,
            files: 10_000,
            file_bytes: 64 << 20,
            lines: 4_000_000,
            expanded_bytes: 512 << 20,
            expansion_depth: 32,
            block_depth: 32,
        }
    }
}
