//! Rules about the text of files: length, unfinished work, and where `unsafe` is allowed.

use super::{Findings, Source};

const WARN_LINES: usize = 400;
const MAX_LINES: usize = 800;

/// Marks of unfinished work. Written in two parts, so that this file does not hold what it forbids.
const WORDS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimpl", "emented!"), concat!("to", "do!")];

/// Files that may hold unsafe blocks, and how many of them they do hold. Programs for the kernel are made of unsafe helper
/// calls; they are fenced by folder, not counted here.
const UNSAFE_FILES: &[(&str, usize)] = &[
    ("benches/src/lab.rs", 1),
    ("benches/src/raw.rs", 5),
    ("crates/config/src/names/reverse.rs", 1),
    ("crates/dataplane/src/kernel/map.rs", 3),
    ("crates/dataplane/src/kernel/mmap.rs", 7),
    ("crates/dataplane/src/kernel/os.rs", 5),
    ("crates/dataplane/src/kernel/sys.rs", 15),
    ("crates/host/src/sys.rs", 9),
];
const UNSAFE_FOLDER: &str = "crates/ebpf/";

fn is_code(file: &Source) -> bool {
    file.path.ends_with(".rs")
}

/// Code files must be readable in one sitting.
pub(super) fn lengths(files: &[Source], findings: &mut Findings) {
    for file in files.iter().filter(|file| is_code(file)) {
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            findings.errors.push(format!("{}: {lines} lines, the limit is {MAX_LINES}", file.path));
        } else if lines > WARN_LINES {
            findings.warnings.push(format!("{}: {lines} lines; more than {WARN_LINES} is two ideas", file.path));
        }
    }
}

/// Nothing unfinished is committed.
pub(super) fn words(files: &[Source], findings: &mut Findings) {
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = WORDS.iter().find(|word| line.contains(**word)) {
                findings.errors.push(format!("{}:{}: `{word}`", file.path, number + 1));
            }
        }
    }
}

/// Unsafe blocks are where they are expected, and as many as expected. Returns their number.
pub(super) fn unsafe_code(files: &[Source], findings: &mut Findings) -> usize {
    let mut total = 0;
    for file in files.iter().filter(|file| is_code(file)) {
        let found = unsafe_blocks(&file.text);
        total += found;
        if file.path.starts_with(UNSAFE_FOLDER) {
            continue;
        }
        let expected = UNSAFE_FILES.iter().find(|(path, _)| *path == file.path).map_or(0, |(_, count)| *count);
        if found != expected {
            findings.errors.push(format!(
                "{}: {found} unsafe blocks, expected {expected}; the list is UNSAFE_FILES in xtask/src/tidy/sources.rs",
                file.path
            ));
        }
    }
    total
}

const KEYWORD: &str = "unsafe";

/// Counts blocks, implementations, functions and external blocks that are unsafe, outside comments.
fn unsafe_blocks(text: &str) -> usize {
    let forms = ["{", "impl", "fn", "extern"].map(|form| format!("{KEYWORD} {form}"));
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .map(|code| forms.iter().map(|form| code.matches(form.as_str()).count()).sum::<usize>())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: String) -> [Source; 1] {
        [Source { path: path.into(), text }]
    }

    fn errors(rule: impl Fn(&[Source], &mut Findings), files: &[Source]) -> usize {
        let mut findings = Findings::default();
        rule(files, &mut findings);
        findings.errors.len()
    }

    #[test]
    fn long_files_fail_and_only_code_is_measured() {
        assert_eq!(errors(lengths, &file("a.rs", "x\n".repeat(801))), 1);
        assert_eq!(errors(lengths, &file("a.rs", "x\n".repeat(800))), 0);
        assert_eq!(errors(lengths, &file("a.txt", "x\n".repeat(9000))), 0);
    }

    #[test]
    fn unfinished_work_is_found_in_any_file() {
        assert_eq!(errors(words, &file("a.md", format!("fine\n{} later\n", WORDS[0]))), 1);
        assert_eq!(errors(words, &file("a.rs", "fn done() {}".into())), 0);
    }

    #[test]
    fn unsafe_is_counted_outside_comments_and_allowed_in_named_files_only() {
        let block = concat!("let x = uns", "afe { f() }; // uns", "afe { no }\n");
        assert_eq!(unsafe_blocks(block), 1);
        let rule = |files: &[Source], findings: &mut Findings| {
            unsafe_code(files, findings);
        };
        assert_eq!(errors(rule, &file("crates/core/src/lib.rs", block.into())), 1);
        assert_eq!(errors(rule, &file("crates/ebpf/src/maps.rs", block.into())), 0);
    }
}
