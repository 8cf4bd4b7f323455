//! Documents made of the keyword table: the manual page, the table of compatibility, the words for completion.

use super::field::Syntax;
use super::keyword::{BlockInfo, Keyword, Mark, blocks};
use std::collections::BTreeSet;

/// All keywords, for completion.
pub fn words() -> BTreeSet<&'static str> {
    blocks().iter().flat_map(|(_, block)| block.rows()).flat_map(|row| row.names.iter().copied()).collect()
}

fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn shape(syntax: &Syntax) -> String {
    let lines = syntax.lines.as_ref().map(|lines| format!("{{ {lines} … }}"));
    let block = syntax.block.map(|_| "{ … }".to_owned());
    [Some(syntax.words.clone()), lines, block]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn remarks(row: &Keyword) -> String {
    let remark = |mark: &Mark| match mark {
        Mark::NoEffect(why) => format!("No effect: {why}."),
        Mark::Deprecated(better) | Mark::Discouraged(better) => format!("Deprecated: {better}."),
        Mark::Newer(version) => format!("In the original since {version}."),
        Mark::Ours => "Not in the original.".to_owned(),
    };
    row.marks.iter().map(remark).collect::<Vec<_>>().join(" ")
}

/// Blocks, each once: several keywords may begin the same.
fn distinct() -> Vec<(String, &'static BlockInfo)> {
    let mut seen = Vec::new();
    let mut all = blocks();
    all.retain(|(_, block)| {
        let new = !seen.iter().any(|known| std::ptr::eq(*known, *block));
        seen.push(*block);
        new
    });
    all
}

/// keepalived.conf(5) in the language of `man`.
pub fn man_page() -> String {
    let mut page = String::from(
        ".TH KEEPALIVED.CONF 5 \"2026-11-21\" \"RVS\" \"File Formats\"\n.SH NAME\nkeepalived.conf \\- configuration of virtual routers and \
         virtual servers\n.SH DESCRIPTION\n",
    );
    let paragraphs: Vec<String> = LANGUAGE.iter().map(|text| format!("{}\n", escaped(text))).collect();
    page += &paragraphs.join(".PP\n");
    for (path, block) in distinct() {
        let title = if path.is_empty() { "TOP LEVEL".to_owned() } else { path.to_uppercase() };
        page += &format!(".SH {}\n{}\n", escaped(&title), escaped(&paragraph(block.about)));
        for row in block.rows() {
            let syntax = (row.syntax)();
            let names = row.names.join("\", \"").replace("\", \"", ", ");
            page += &format!(".TP\n.B {} {}\n", escaped(&names), escaped(&shape(&syntax)));
            let repeats = if syntax.repeats { "May be given several times." } else { "" };
            let text = [paragraph(row.about), repeats.to_owned(), remarks(row)];
            let text: Vec<&str> = text.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
            page += &format!("{}\n", escaped(&text.join(" ")));
        }
    }
    page + ".SH SEE ALSO\n.BR keepalived (8),\n.BR rvs (8),\n.BR ipvsadm (8)\n"
}

/// The language, in paragraphs.
const LANGUAGE: &[&str] = &[
    "A file is made of lines: a keyword, its arguments, and for some keywords a block between braces. A brace may stand on the \
     line of its keyword or on the next one, and a whole block on one line. What follows # or ! is a comment.",
    "Quotes, double or single, keep white space in a word. Within them \\a \\b \\E \\f \\n \\r \\t \\v \\nnn \\xXX \\cC are \
     single characters; a backslash before any other character stands for that character.",
    "include FILE reads other files; FILE may have * ? [...] and {a,b} and is relative to the file that includes it. A file \
     that is not there is reported as an error by includer (a file that cannot be read), includem (no file), includew (no file \
     for a pattern), includeb (no file for a part of {a,b}), includea (all of these).",
    "A line that begins with @NAME holds only if NAME is the configuration's id (-i, by default the host's name), one with \
     @^NAME only if it is not.",
    "$NAME=VALUE defines a parameter, $NAME (before white space) and ${NAME} stand for it. A value of several lines has a \
     backslash at the end of each but the last. Parameters in a value are replaced where the value is used. Predefined: \
     ${_PWD} the directory of the file, ${_INSTANCE} the id, ${_RANDOM [MIN [MAX]]}, ${_ENV NAME} a variable of the \
     environment, ${_HASH} and ${_BANG} the signs # and !.",
    "~SEQ(NAME, START, STEP, END) repeats the rest of the line with NAME set to each number, ~SEQx with hexadecimal ones, \
     ~LST(NAME, A, B, …) and ~LST({N, M}, {A, B}, {C, D}, …) with each value.",
];

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
    // A line of text must not begin with a sign of the language.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// docs/compat-keepalived.md: every keyword and what becomes of it.
pub fn compatibility() -> String {
    let mut text = String::from(HEAD);
    let all = words().len();
    let without: BTreeSet<&str> = blocks()
        .iter()
        .flat_map(|(_, block)| block.rows())
        .filter(|row| row.marks.iter().any(|mark| matches!(mark, Mark::NoEffect(_))))
        .flat_map(|row| row.names.iter().copied())
        .collect();
    text += &format!("{all} keywords, {} of them without effect.\n", without.len());
    for (path, block) in distinct() {
        let title = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
        text += &format!("\n### {title}\n\n| Keyword | Arguments | Remarks |\n|---|---|---|\n");
        for row in block.rows() {
            let names: Vec<String> = row.names.iter().map(|name| format!("`{name}`")).collect();
            let shape = shape(&(row.syntax)()).replace('|', "\\|").replace('<', "&lt;");
            text += &format!("| {} | {shape} | {} |\n", names.join(", "), remarks(row).replace('|', "\\|"));
        }
    }
    text
}

const HEAD: &str = include_str!("compat.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_is_described_once_and_differently() {
        let mut names = 0;
        for (path, block) in blocks() {
            let mut seen = BTreeSet::new();
            for row in block.rows() {
                assert!(paragraph(row.about).ends_with('.'), "{path} {:?}", row.names);
                for name in row.names {
                    names += 1;
                    assert!(seen.insert(*name), "`{name}` twice in `{path}`");
                }
            }
        }
        assert!(names > 500, "{names}");
    }

    #[test]
    fn the_manual_page_has_every_keyword() {
        let page = man_page();
        for word in words() {
            assert!(page.contains(&escaped(word)), "{word}");
        }
        assert!(page.contains(".B lvs_sched, lb_algo rr|wrr"));
    }

    #[test]
    fn docs_compat_lists_every_keyword() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compat-keepalived.md");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        let made = compatibility();
        if there != made && std::env::var_os("RVS_WRITE_DOCS").is_some() {
            std::fs::write(path, &made).expect("writing docs/compat-keepalived.md");
            return;
        }
        assert!(there == made, "docs/compat-keepalived.md differs; RVS_WRITE_DOCS=1 cargo test writes it");
    }
}
