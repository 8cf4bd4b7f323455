//! `cargo xtask tidy`: the house rules that a compiler cannot check. One file per rule; each returns what it finds wrong.

mod arrows;
mod invariants;
mod sources;

use crate::run::output;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// A text file of the project.
pub(super) struct Source {
    /// Its path below the root.
    path: String,
    text: String,
}

/// What a rule has found.
#[derive(Default)]
pub(super) struct Findings {
    /// Each one fails the check.
    errors: Vec<String>,
    /// For the reader's attention.
    warnings: Vec<String>,
}

/// Applies all rules.
pub(crate) fn tidy(ws: &Workspace) -> Result<()> {
    let files = files(ws)?;
    let mut findings = Findings::default();
    arrows::check(&files, &mut findings);
    sources::lengths(&files, &mut findings);
    sources::words(&files, &mut findings);
    let blocks = sources::unsafe_code(&files, &mut findings);
    let invariants = invariants::check(&files, &mut findings);
    for warning in &findings.warnings {
        eprintln!("tidy: note: {warning}");
    }
    if !findings.errors.is_empty() {
        bail!("{} findings:\n  {}", findings.errors.len(), findings.errors.join("\n  "));
    }
    eprintln!("tidy: {} files, {blocks} unsafe blocks, {invariants} invariants with tests", files.len());
    Ok(())
}

/// All text files that are, or are about to be, committed.
fn files(ws: &Workspace) -> Result<Vec<Source>> {
    let list = output(Command::new("git").current_dir(&ws.root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))
    .context("listing the project's files")?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        // A file deleted but not yet committed is listed and not there; one that is no text holds no rule.
        if let Ok(text) = fs::read_to_string(ws.root.join(path)) {
            files.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(files)
}
