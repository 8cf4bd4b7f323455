//! Statements: a keyword, its words, and perhaps a block of statements, however the braces are laid out.

use super::words::{Token, Word};
use crate::keepalived::report::Reports;
use crate::keepalived::span::Span;

/// A statement of the configuration.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Statement {
    /// The keyword and its arguments; never empty.
    pub words: Vec<Word>,
    /// The statements between braces, if there are braces.
    pub body: Option<Vec<Statement>>,
}

impl Statement {
    /// The keyword.
    pub fn keyword(&self) -> &str {
        self.words.first().map_or("", |word| &word.text)
    }

    /// Where the keyword stands.
    pub fn span(&self) -> Span {
        self.words.first().map_or(Span::default(), |word| word.span)
    }
}

/// A block whose end has not come.
struct Frame {
    head: Statement,
    open: Span,
}

/// Puts statements together from tokens.
#[derive(Default)]
pub(super) struct Tree {
    frames: Vec<Frame>,
    /// The words of the last line, which the next line's brace may belong to.
    pending: Vec<Word>,
    /// Statements at top level that are complete.
    pub(super) done: Vec<Statement>,
    /// Blocks too deep to keep.
    skipped: usize,
}

impl Tree {
    /// Takes the tokens of one line.
    pub(super) fn line(&mut self, tokens: Vec<Token>, depth: usize, reports: &mut Reports) {
        let mut fresh = true;
        for token in tokens {
            match token {
                Token::Word(word) => {
                    if std::mem::take(&mut fresh) {
                        self.flush();
                    }
                    self.pending.push(word);
                }
                Token::Open(span) => {
                    self.open(span, depth, reports);
                    fresh = true;
                }
                Token::Close(span) => {
                    self.close(span, reports);
                    fresh = true;
                }
            }
        }
    }

    /// Ends the last statement.
    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let words = std::mem::take(&mut self.pending);
            self.complete(Statement { words, body: None });
        }
    }

    fn complete(&mut self, statement: Statement) {
        if self.skipped > 0 {
            return;
        }
        match self.frames.last_mut() {
            Some(frame) => frame.head.body.get_or_insert_default().push(statement),
            None => self.done.push(statement),
        }
    }

    fn open(&mut self, span: Span, depth: usize, reports: &mut Reports) {
        if self.skipped > 0 || self.frames.len() >= depth {
            if self.skipped == 0 {
                reports.error(span, format!("Blocks are nested more than {depth} deep - ignoring this one"));
            }
            self.pending.clear();
            self.skipped += 1;
            return;
        }
        if self.pending.is_empty() {
            reports.error(span, "Unexpected '{' - ignoring");
        }
        let words = std::mem::take(&mut self.pending);
        self.frames.push(Frame { head: Statement { words, body: Some(Vec::new()) }, open: span });
    }

    fn close(&mut self, span: Span, reports: &mut Reports) {
        if self.skipped > 0 {
            self.pending.clear();
            self.skipped -= 1;
            return;
        }
        self.flush();
        match self.frames.pop() {
            Some(frame) if !frame.head.words.is_empty() => self.complete(frame.head),
            Some(_) => {}
            None => reports.error(span, "Extra '}' found"),
        }
    }

    /// Ends everything that is still open.
    pub(super) fn finish(&mut self, reports: &mut Reports) {
        self.skipped = 0;
        self.flush();
        let open = self.frames.len();
        if let Some(frame) = self.frames.last() {
            reports.error(frame.open, format!("There are {open} missing '}}'s or extra '{{'s"));
        }
        while let Some(frame) = self.frames.pop() {
            if !frame.head.words.is_empty() {
                self.complete(frame.head);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::super::words::split;
    use super::*;
    use crate::keepalived::span::Place;

    fn read(text: &str) -> (Vec<Statement>, Vec<String>) {
        let (mut tree, mut reports) = (Tree::default(), Reports::default());
        for (line, number) in text.lines().zip(1..) {
            let (tokens, _) = split(&Text::new(line, Place { file: 0, line: number, byte: 0 }));
            tree.line(tokens, 3, &mut reports);
        }
        tree.finish(&mut reports);
        (tree.done, reports.iter().map(|report| report.text.clone()).collect())
    }

    fn shape(statements: &[Statement]) -> String {
        let one = |statement: &Statement| {
            let words: Vec<&str> = statement.words.iter().map(|word| word.text.as_str()).collect();
            match &statement.body {
                Some(body) => format!("{}({})", words.join(" "), shape(body)),
                None => words.join(" "),
            }
        };
        statements.iter().map(one).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn braces_may_stand_anywhere() {
        for text in
            ["a x {\n b\n c {\n d e\n }\n}", "a x\n{\nb\nc\n{ d e }}", "a x{\nb\nc{d e}\n}", "a x { b\n c { d e } }"]
        {
            assert_eq!(read(text).1, Vec::<String>::new(), "{text}");
            assert_eq!(shape(&read(text).0), "a x(b,c(d e))", "{text}");
        }
    }

    #[test]
    fn unbalanced_braces_are_told() {
        assert_eq!(read("a {\nb\n").1, ["There are 1 missing '}'s or extra '{'s"]);
        assert_eq!(read("a\n}\nb").1, ["Extra '}' found"]);
        assert_eq!(read("{\nb }\nc").1, ["Unexpected '{' - ignoring"]);
        let (statements, told) = read("a { b { c { d { e { f } } g } } h }\ni");
        assert_eq!(shape(&statements), "a(b(c(g)),h),i");
        assert_eq!(told.len(), 1);
    }
}
