//! The recording, line by line.

const RECORDED: &str = include_str!("../../../../tests/golden/recorded/b1_sched.txt");

/// A recorded line: what it is about, who answered, and the counters printed on the next one.
pub(crate) struct Line {
    pub(crate) about: &'static str,
    pub(crate) answers: Vec<&'static str>,
    pub(crate) counts: Option<&'static str>,
}

/// The lines of a section; titles are padded to 52 columns.
pub(crate) fn section(title: &str) -> Vec<Line> {
    let body = RECORDED.split("=== ").find(|part| part.starts_with(title)).expect("the section is recorded");
    let lines: Vec<_> = body.lines().skip(1).collect();
    let is_counts = |line: &str| line.starts_with("       ");
    (0..lines.len())
        .filter(|i| !is_counts(lines[*i]) && lines[*i].len() > 53)
        .map(|i| Line {
            about: lines[i][..53].trim(),
            answers: lines[i][53..].split_whitespace().collect(),
            counts: lines.get(i + 1).copied().filter(|line| is_counts(line)).map(str::trim),
        })
        .collect()
}

impl Line {
    /// `w=1,2,3` somewhere in the title: numbers and weights of the servers.
    pub(crate) fn servers(&self) -> Vec<(usize, i32)> {
        let list = self.about.split("w=").nth(1).expect("weights").split(' ').next().expect("weights");
        (1..).zip(list.split(',').map(|w| w.parse().expect("a weight"))).collect()
    }

    /// Whether each connection comes from a client of its own.
    pub(crate) fn many(&self) -> bool {
        self.about.contains("24-clients")
    }

    /// Word `n` of the title.
    pub(crate) fn word(&self, n: usize) -> &'static str {
        self.about.split(' ').nth(n).expect("a word")
    }
}
