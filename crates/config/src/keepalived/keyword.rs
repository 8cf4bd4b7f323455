//! The keyword table: the macro that makes blocks of rows, and what can be asked of the rows.
//!
//! A row is a field of a typed block: its type, its keyword with its synonyms, its marks and its description. From the rows come
//! the parser, the printer, the comparison, the manual page, the completion and the table of compatibility.

use super::field::Syntax;
use super::lang::Statement;
use super::report::{Level, Reports};

/// What is special about a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is accepted and does nothing; why.
    NoEffect(&'static str),
    /// It works, but there is something better.
    Deprecated(&'static str),
    /// As before, and the original's check fails for it.
    Discouraged(&'static str),
    /// The original knows it since this version, not yet in 2.2.7.
    Newer(&'static str),
    /// It is ours.
    Ours,
}

/// A row: one keyword of one block.
#[derive(Debug)]
pub struct Keyword {
    /// Its name and its synonyms.
    pub names: &'static [&'static str],
    /// What it is, in our own words; the lines of a paragraph.
    pub about: &'static [&'static str],
    /// What follows it.
    pub syntax: fn() -> Syntax,
    /// What is special.
    pub marks: &'static [Mark],
}

/// A block of the table.
#[derive(Debug)]
pub struct BlockInfo {
    /// The keyword that begins it; empty for the top level and for rows that several blocks share.
    pub keyword: &'static str,
    /// What it is.
    pub about: &'static [&'static str],
    /// What stands before the brace.
    pub head: Option<fn() -> String>,
    /// Its rows.
    pub keywords: &'static [Keyword],
    /// Rows that it shares with other blocks.
    pub shared: &'static [fn() -> &'static BlockInfo],
}

impl BlockInfo {
    /// All rows, the shared ones last.
    pub fn rows(&self) -> Vec<&'static Keyword> {
        let own = self.keywords.iter();
        own.chain(self.shared.iter().flat_map(|shared| shared().rows())).collect()
    }

    /// The row of a keyword or synonym.
    pub fn row(&self, name: &str) -> Option<&'static Keyword> {
        self.rows().into_iter().find(|row| row.names.contains(&name))
    }

    /// Tells what its row says about a keyword that was read.
    pub(super) fn tell(&self, statement: &Statement, reports: &mut Reports) {
        let name = statement.keyword();
        for mark in self.row(name).map_or(&[][..], |row| row.marks) {
            let span = statement.span();
            match mark {
                Mark::NoEffect(why) => reports.notice(span, format!("'{name}' has no effect: {why}")),
                Mark::Deprecated(better) => reports.notice(span, format!("'{name}' is deprecated: {better}")),
                Mark::Discouraged(better) => reports.warning(span, format!("'{name}' is deprecated: {better}")),
                Mark::Newer(_) | Mark::Ours => {}
            }
        }
    }

    /// Tells that a keyword is not of this block, and what may have been meant.
    pub(super) fn unknown(&self, statement: &Statement, reports: &mut Reports) {
        let name = statement.keyword();
        if reports.is_full() {
            return reports.error(statement.span(), "Unknown keyword");
        }
        let help = self.near(name).map(|near| format!("did you mean `{near}`?")).or_else(|| {
            let places = places(name);
            let names: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
            (!places.is_empty()).then(|| format!("it belongs into {}", names.join(", ")))
        });
        reports.add(Level::Error, statement.span(), format!("Unknown keyword '{name}'"), help);
    }

    fn near(&self, name: &str) -> Option<&'static str> {
        // Long words are no misspelling, and comparing them takes long.
        if name.len() > 64 {
            return None;
        }
        let names = self.rows().into_iter().flat_map(|row| row.names.iter().copied());
        let (found, near) =
            names.map(|known| (known, strsim::jaro_winkler(known, name))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        (near > 0.87 || strsim::damerau_levenshtein(found, name) <= 2 && name.len() > 4).then_some(found)
    }
}

/// Every block of the table with the path to it, the top level first.
pub fn blocks() -> Vec<(String, &'static BlockInfo)> {
    let mut all = Vec::new();
    visit("", super::model::Config::root(), &mut all);
    all
}

fn visit(path: &str, block: &'static BlockInfo, all: &mut Vec<(String, &'static BlockInfo)>) {
    all.push((path.to_owned(), block));
    for row in block.rows() {
        if let Some(inner) = (row.syntax)().block {
            let name = row.names.first().copied().unwrap_or_default();
            visit(format!("{path} {name}").trim(), inner, all);
        }
    }
}

/// The blocks that a keyword belongs into.
fn places(name: &str) -> Vec<String> {
    let all = blocks().into_iter().filter(|(_, block)| block.row(name).is_some());
    all.map(|(path, _)| if path.is_empty() { "the top level".into() } else { path }).take(4).collect()
}

/// Makes a mark of its short form in a row.
macro_rules! mark {
    (no_effect $why:expr) => {
        $crate::keepalived::keyword::Mark::NoEffect($why)
    };
    (deprecated $better:expr) => {
        $crate::keepalived::keyword::Mark::Deprecated($better)
    };
    (discouraged $better:expr) => {
        $crate::keepalived::keyword::Mark::Discouraged($better)
    };
    (newer $version:expr) => {
        $crate::keepalived::keyword::Mark::Newer($version)
    };
    (ours $nothing:expr) => {
        $crate::keepalived::keyword::Mark::Ours
    };
}

/// Makes a typed block of its rows: `field: Type = "keyword" | "synonym" [mark "text"];`.
macro_rules! block {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident $keyword:literal $(($hfield:ident: $hty:ty))? {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $ty:ty = $kw:literal $(| $alias:literal)* $([$mark:ident $text:expr])*;
            )*
            $(..$shared:ident: $sty:ty;)*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                /// What stands before the brace.
                pub $hfield: $hty,
            )?
            $(
                $(#[doc = $doc])+
                pub $field: $ty,
            )*
            $(
                /// Keywords that other blocks have as well.
                pub $shared: $sty,
            )*
            /// Where each keyword stands.
            pub spans: $crate::keepalived::span::Spans,
        }

        impl $crate::keepalived::field::Block for $name {
            fn info() -> &'static $crate::keepalived::keyword::BlockInfo {
                static INFO: $crate::keepalived::keyword::BlockInfo = $crate::keepalived::keyword::BlockInfo {
                    keyword: $keyword,
                    about: &[$($about),+],
                    head: block!(@head $($hty)?),
                    keywords: &[$(
                        $crate::keepalived::keyword::Keyword {
                            names: &[$kw $(, $alias)*],
                            about: &[$($doc),+],
                            syntax: <$ty as $crate::keepalived::field::Field>::syntax,
                            marks: &[$($crate::keepalived::keyword::mark!($mark $text)),*],
                        },
                    )*],
                    shared: &[$(<$sty as $crate::keepalived::field::Block>::info,)*],
                };
                &INFO
            }

            fn set_head(
                &mut self,
                statement: &$crate::keepalived::lang::Statement,
                reports: &mut $crate::keepalived::report::Reports,
            ) -> bool {
                self.spans.set_header(statement.span());
                let args = &mut $crate::keepalived::field::Args::of(statement);
                $(
                    match <$hty as $crate::keepalived::field::Words>::parse(args) {
                        Ok(head) => self.$hfield = head,
                        Err(bad) => {
                            bad.report(reports);
                            return false;
                        }
                    }
                )?
                $crate::keepalived::field::leftover(args, reports);
                true
            }

            fn set(
                &mut self,
                statement: &$crate::keepalived::lang::Statement,
                reports: &mut $crate::keepalived::report::Reports,
            ) -> bool {
                match statement.keyword() {
                    $(
                        $kw $(| $alias)* => {
                            self.spans.note($kw, statement.span());
                            $crate::keepalived::field::Field::read(&mut self.$field, statement, reports);
                            true
                        }
                    )*
                    _ => false $(|| $crate::keepalived::field::Block::set(&mut self.$shared, statement, reports))*,
                }
            }

            fn head(&self) -> Vec<String> {
                #[allow(unused_mut, reason = "some blocks have no head")]
                let mut words = Vec::new();
                $(words.extend($crate::keepalived::field::Words::words(&self.$hfield));)?
                words
            }

            fn each(&self, out: &mut $crate::keepalived::field::Each<'_>) {
                $(
                    if !$crate::keepalived::field::Field::is_unset(&self.$field) {
                        out($kw, &|out| $crate::keepalived::field::Field::write(&self.$field, $kw, out));
                    }
                )*
                $($crate::keepalived::field::Block::each(&self.$shared, out);)*
            }
        }

        impl $crate::keepalived::field::Value for $name {
            fn syntax() -> $crate::keepalived::field::Syntax {
                let info = <Self as $crate::keepalived::field::Block>::info();
                $crate::keepalived::field::Syntax {
                    words: info.head.map_or(String::new(), |head| head()),
                    lines: None,
                    block: Some(info),
                    repeats: false,
                }
            }

            fn read(
                statement: &$crate::keepalived::lang::Statement,
                reports: &mut $crate::keepalived::report::Reports,
            ) -> Option<Self> {
                use $crate::keepalived::field::Block;
                let mut block = Self::default();
                if !block.set_head(statement, reports) {
                    return None;
                }
                block.read_body(statement, reports);
                Some(block)
            }

            fn write(&self, keyword: &str, out: &mut $crate::keepalived::field::Out) {
                $crate::keepalived::field::Field::write(self, keyword, out);
            }
        }
    };
    (@head) => {
        None
    };
    (@head $hty:ty) => {
        Some(<$hty as $crate::keepalived::field::Words>::syntax)
    };
}

pub(super) use {block, mark};
