//! The format of the recordings: `$ command`, its output, each line of standard error behind `stderr: `, its `[status N]`.

use std::path::Path;

/// One recorded command.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Line of the recording, from 1.
    pub(crate) line: usize,
    /// What was called, without the `$ `.
    pub(crate) command: String,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// Exit status.
    pub(crate) status: i32,
}

/// The text of a recording.
pub(crate) fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All commands of a recording that have a status.
pub(crate) fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut open: Option<Entry> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (out, err) = (String::new(), String::new());
            open = Some(Entry { line: index + 1, command: command.to_owned(), out, err, status: 0 });
        } else if let Some(mut entry) = open.take() {
            if let Some(status) = line.strip_prefix("[status ").and_then(|rest| rest.strip_suffix(']')) {
                entry.status = status.parse().expect("a status is a number");
                entries.push(entry);
                continue;
            }
            let (stream, line) = match line.strip_prefix("stderr: ") {
                Some(line) => (&mut entry.err, line),
                None => (&mut entry.out, line),
            };
            stream.push_str(line);
            stream.push('\n');
            open = Some(entry);
        }
    }
    entries
}
