//! How a statement becomes a field of a typed block and a line again.
//!
//! A type that is written as words implements [`Words`]; a block implements [`Block`] by the macro of the keyword table. The
//! fields of a block are optional values, lists, lists of lines, flags and blocks; each knows how to read, write and describe
//! itself, so that parser, printer, manual page and comparison cannot disagree.

use super::keyword::BlockInfo;
use super::lang::{Statement, Word, quote};
use super::report::{Level, Reports};
use super::span::{Span, Spanned};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

/// The arguments of a statement, read from left to right.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    words: &'a [Word],
    /// The last word that was there, for what is missing.
    last: Span,
    /// What was wrong and could be left out.
    told: Vec<Bad>,
}

impl<'a> Args<'a> {
    /// The words behind the keyword.
    pub fn of(statement: &'a Statement) -> Self {
        Self { words: statement.words.get(1..).unwrap_or_default(), last: statement.span(), told: Vec::new() }
    }

    /// All words, for a line of a list.
    pub fn line(statement: &'a Statement) -> Self {
        Self { words: &statement.words, last: statement.span(), told: Vec::new() }
    }

    /// The next word, left where it is.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.first().map(|word| word.text.as_str())
    }

    /// The next word, taken.
    pub fn word(&mut self) -> Option<&'a Word> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        self.last = first.span;
        Some(first)
    }

    /// The next word; it must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&mut self, what: &str) -> Result<&'a Word, Bad> {
        let last = self.last;
        self.word().ok_or_else(|| Bad::new(last, format!("missing parameter: {what}")))
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, word: &str) -> bool {
        let is = self.peek() == Some(word);
        if is {
            self.word();
        }
        is
    }

    /// True if no word is left.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Tells something that spoils the verdict, but not the value.
    pub fn complain(&mut self, bad: Bad) {
        self.told.push(bad);
    }

    /// Hands on what was told.
    pub(super) fn drain(&mut self, reports: &mut Reports) {
        self.told.drain(..).for_each(|bad| bad.report(reports));
    }

    /// The place of the last word taken.
    pub fn span(&self) -> Span {
        self.last
    }
}

/// Why words cannot be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Bad {
    /// Which word.
    pub span: Span,
    /// Why.
    pub text: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Bad {
    /// Without advice.
    pub fn new(span: Span, text: impl Into<String>) -> Self {
        Self { span, text: text.into(), help: None }
    }

    /// With advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Tells it.
    pub fn report(self, reports: &mut Reports) {
        reports.add(Level::Error, self.span, self.text, self.help);
    }
}

/// A value that is written as words on a line.
pub trait Words: Sized + Clone + PartialEq + Debug {
    /// True if several may stand on one line of a list.
    const SHARES_LINE: bool = false;

    /// How it is written, for people.
    fn syntax() -> String;

    /// Takes its words.
    ///
    /// # Errors
    /// They cannot be understood.
    fn parse(args: &mut Args<'_>) -> Result<Self, Bad>;

    /// What it would have to be read from.
    fn words(&self) -> Vec<String>;
}

/// What a statement's arguments and block look like.
pub struct Syntax {
    /// The arguments.
    pub words: String,
    /// What each line between the braces is, if it is a list.
    pub lines: Option<String>,
    /// The keywords between the braces, if it is a block.
    pub block: Option<&'static BlockInfo>,
    /// True if the keyword may be given several times.
    pub repeats: bool,
}

/// Lines of text with blocks within them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Out {
    text: String,
    depth: usize,
}

impl Out {
    /// A line of words.
    pub fn line(&mut self, words: &[String]) {
        let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
        self.raw(&words.join(" "));
    }

    fn raw(&mut self, line: &str) {
        self.text.push_str(&"    ".repeat(self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A block.
    pub fn block(&mut self, head: &[String], body: impl FnOnce(&mut Self)) {
        let head: Vec<String> = head.iter().map(|word| quote(word)).collect();
        self.raw(&format!("{} {{", head.join(" ")));
        self.depth += 1;
        body(self);
        self.depth -= 1;
        self.raw("}");
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The keyword and the words of a value.
fn with_keyword(keyword: &str, words: Vec<String>) -> Vec<String> {
    std::iter::once(keyword.to_owned()).chain(words).collect()
}

/// A value that takes a whole statement.
pub trait Value: Sized + Clone + PartialEq + Debug {
    /// What it looks like.
    fn syntax() -> Syntax;
    /// Reads it; nothing, and a report, if it makes no sense.
    fn read(statement: &Statement, reports: &mut Reports) -> Option<Self>;
    /// Writes it.
    fn write(&self, keyword: &str, out: &mut Out);
}

/// Words that nobody asked for are left out, as the original does, but not in silence.
pub(super) fn leftover(args: &Args<'_>, reports: &mut Reports) {
    if let Some(word) = args.words.first() {
        reports.notice(word.span, format!("'{}' is not expected here - ignoring", word.text));
    }
}

fn no_body(statement: &Statement, reports: &mut Reports) {
    if statement.body.is_some() {
        reports.error(statement.span(), format!("'{}' has no block: Unexpected '{{' - ignoring", statement.keyword()));
    }
}

impl<T: Words> Value for T {
    fn syntax() -> Syntax {
        Syntax { words: <T as Words>::syntax(), lines: None, block: None, repeats: false }
    }

    fn read(statement: &Statement, reports: &mut Reports) -> Option<Self> {
        no_body(statement, reports);
        let mut args = Args::of(statement);
        let parsed = T::parse(&mut args);
        args.drain(reports);
        match parsed {
            Ok(value) => {
                leftover(&args, reports);
                Some(value)
            }
            Err(bad) => {
                bad.report(reports);
                None
            }
        }
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        out.line(&with_keyword(keyword, self.words()));
    }
}

/// Is told each keyword with a way to write it.
pub type Each<'a> = dyn FnMut(&'static str, &dyn Fn(&mut Out)) + 'a;

/// A block of keywords, made by the macro of the keyword table.
pub trait Block: Clone + PartialEq + Debug + Default {
    /// Its row of the table.
    fn info() -> &'static BlockInfo;
    /// Reads what stands before the brace. False if the whole block makes no sense.
    fn set_head(&mut self, statement: &Statement, reports: &mut Reports) -> bool;
    /// Reads one statement. False if the keyword is not of this block.
    fn set(&mut self, statement: &Statement, reports: &mut Reports) -> bool;
    /// What stands before the brace.
    fn head(&self) -> Vec<String>;
    /// Every keyword that is set, in the order of the table, as it is written.
    fn each(&self, out: &mut Each<'_>);

    /// Reads the statements between the braces.
    fn read_body(&mut self, statement: &Statement, reports: &mut Reports) {
        match &statement.body {
            Some(body) => body.iter().for_each(|inner| self.read_one(inner, reports)),
            None => reports.error(statement.span(), format!("Missing '{{' after '{}'", statement.keyword())),
        }
    }

    /// Reads one statement and tells what there is to tell of its keyword.
    fn read_one(&mut self, statement: &Statement, reports: &mut Reports) {
        if self.set(statement, reports) {
            Self::info().tell(statement, reports);
        } else {
            Self::info().unknown(statement, reports);
        }
    }

    /// Writes the statements between the braces.
    fn write_body(&self, out: &mut Out) {
        self.each(&mut |_, write| write(out));
    }
}

/// A field of a block.
pub trait Field: Default {
    /// What its statement looks like.
    fn syntax() -> Syntax;
    /// Takes a statement.
    fn read(&mut self, statement: &Statement, reports: &mut Reports);
    /// Writes the statements that make it; none if it is not set.
    fn write(&self, keyword: &str, out: &mut Out);
    /// True if there is nothing to write.
    fn is_unset(&self) -> bool;
}

impl<B: Block> Field for B {
    fn syntax() -> Syntax {
        Syntax { words: String::new(), lines: None, block: Some(B::info()), repeats: false }
    }

    fn read(&mut self, statement: &Statement, reports: &mut Reports) {
        if self.set_head(statement, reports) {
            self.read_body(statement, reports);
        }
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        out.block(&with_keyword(keyword, self.head()), |out| self.write_body(out));
    }

    fn is_unset(&self) -> bool {
        *self == B::default()
    }
}

impl Field for bool {
    fn syntax() -> Syntax {
        Syntax { words: String::new(), lines: None, block: None, repeats: false }
    }

    fn read(&mut self, statement: &Statement, reports: &mut Reports) {
        no_body(statement, reports);
        let mut args = Args::of(statement);
        *self = match args.peek() {
            Some("on" | "true" | "yes") => args.word().is_some(),
            Some("off" | "false" | "no") => args.word().is_none(),
            _ => true,
        };
        leftover(&args, reports);
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        out.line(&[keyword.to_owned()]);
    }

    fn is_unset(&self) -> bool {
        !*self
    }
}

impl<T: Value> Field for Option<T> {
    fn syntax() -> Syntax {
        T::syntax()
    }

    fn read(&mut self, statement: &Statement, reports: &mut Reports) {
        if let Some(value) = T::read(statement, reports) {
            *self = Some(value);
        }
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        self.iter().for_each(|value| value.write(keyword, out));
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T: Value> Field for Vec<T> {
    fn syntax() -> Syntax {
        Syntax { repeats: true, ..T::syntax() }
    }

    fn read(&mut self, statement: &Statement, reports: &mut Reports) {
        if let Some(value) = T::read(statement, reports) {
            // Most lists have one element, and there may be thousands of lists.
            if self.is_empty() {
                self.reserve_exact(1);
            }
            self.push(value);
        }
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        self.iter().for_each(|value| value.write(keyword, out));
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

/// A list between braces, one value a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines<T>(pub Vec<Spanned<T>>);

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Lines<T> {
    type Target = Vec<Spanned<T>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> Lines<T> {
    /// The values without their places.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|item| &item.value)
    }
}

impl<T: Words> Lines<T> {
    /// Reads the lines of a list.
    pub fn read_lines(&mut self, body: &[Statement], reports: &mut Reports) {
        for line in body {
            no_body(line, reports);
            let mut args = Args::line(line);
            loop {
                let parsed = T::parse(&mut args);
                args.drain(reports);
                match parsed {
                    Ok(value) => {
                        self.0.push(Spanned::new(value, line.span()));
                        if T::SHARES_LINE && !args.is_empty() {
                            continue;
                        }
                        leftover(&args, reports);
                    }
                    Err(bad) => bad.report(reports),
                }
                break;
            }
        }
    }
}

impl<T: Words> Field for Lines<T> {
    fn syntax() -> Syntax {
        Syntax { words: String::new(), lines: Some(T::syntax()), block: None, repeats: false }
    }

    fn read(&mut self, statement: &Statement, reports: &mut Reports) {
        leftover(&Args::of(statement), reports);
        match &statement.body {
            Some(body) => self.read_lines(body, reports),
            None => reports.error(statement.span(), format!("Missing '{{' after '{}'", statement.keyword())),
        }
    }

    fn write(&self, keyword: &str, out: &mut Out) {
        out.block(&[keyword.to_owned()], |out| self.0.iter().for_each(|item| out.line(&item.value.words())));
    }

    fn is_unset(&self) -> bool {
        self.0.is_empty()
    }
}
