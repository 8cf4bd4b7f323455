//! Every invariant of ARCHITECTURE.md names the tests that hold it, and these exist.
//!
//! An invariant is a list item that begins with a bold name (`- **Name.** …`) below the heading `## Invariants`; it ends with
//! `Test:` and the tests' names in backquotes, each a function in a file of the project.

use super::{Findings, Source};

const HEADING: &str = "## Invariants";

/// Returns the number of invariants.
pub(super) fn check(files: &[Source], findings: &mut Findings) -> usize {
    let Some(page) = files.iter().find(|file| file.path == "ARCHITECTURE.md") else {
        findings.errors.push("ARCHITECTURE.md is missing".into());
        return 0;
    };
    let invariants = invariants(&page.text);
    if invariants.is_empty() {
        findings.errors.push(format!("ARCHITECTURE.md: no invariants below `{HEADING}`"));
    }
    for (name, tests) in &invariants {
        if tests.is_empty() {
            findings.errors.push(format!("ARCHITECTURE.md: invariant `{name}` names no test"));
        }
        for test in tests {
            let function = format!("fn {test}(");
            if !files.iter().any(|file| file.path.ends_with(".rs") && file.text.contains(&function)) {
                findings.errors.push(format!("ARCHITECTURE.md: invariant `{name}`: there is no test `{test}`"));
            }
        }
    }
    invariants.len()
}

/// The invariants' names and tests.
fn invariants(page: &str) -> Vec<(String, Vec<String>)> {
    let Some((_, section)) = page.split_once(HEADING) else { return Vec::new() };
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .split("\n- **")
        .skip(1)
        .map(|item| {
            let name = item.split("**").next().unwrap_or_default().trim_end_matches('.').to_owned();
            let tests = item.split_once("Test:").map_or("", |(_, tests)| tests);
            (name, tests.split('`').skip(1).step_by(2).map(str::to_owned).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n## Invariants\n\n- **One.** Text with `code`. Test: `first`,\n  `second`.\n- **Two.** No test.\n\n## Next\n- **Not.** x\n";

    #[test]
    fn names_and_tests_are_read_from_the_section_only() {
        let expected = [("One".to_owned(), vec!["first".to_owned(), "second".to_owned()]), ("Two".to_owned(), vec![])];
        assert_eq!(invariants(PAGE), expected);
    }

    #[test]
    fn missing_tests_are_found() {
        let files = [("ARCHITECTURE.md", PAGE), ("a.rs", "fn first() {}")]
            .map(|(path, text)| Source { path: path.into(), text: text.into() });
        let mut findings = Findings::default();
        assert_eq!(check(&files, &mut findings), 2);
        assert_eq!(findings.errors.len(), 2, "{:?}", findings.errors);
    }
}
