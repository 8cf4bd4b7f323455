//! What two directors log and list through a story, held against what two originals did through the same.
//!
//! Clocks, process ids and file descriptors are not compared, nor how lines of different parts of a daemon are mixed: VRRP,
//! checkers and the daemon as a whole each have their own order. What differs besides is in [`DIFFERENCES`], each with its
//! reason, and must do so.

use anyhow::{Context as _, Result, ensure};
use lab::pair::Side;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Lines that only one of the two has: how they begin, who has them, and why.
const DIFFERENCES: [(&str, Whose, &str); 13] = [
    ("Starting Keepalived", Whose::Both, "the version"),
    ("Stopped Keepalived", Whose::Both, "the version"),
    ("Command line:", Whose::Ours, "left out of the recording"),
    ("Opening file", Whose::Both, "the path"),
    ("Configuration file", Whose::Both, "the path"),
    ("Assigned address fe80::", Whose::Original, "may come later than the start"),
    ("exit status", Whose::Original, "of the script that records"),
    ("Starting Healthcheck child process", Whose::Original, "ours is one process"),
    ("Starting VRRP child process", Whose::Original, "ours is one process"),
    ("Stopped - used", Whose::Original, "ours is one process"),
    ("CPU usage", Whose::Original, "ours is one process"),
    (
        "NOTICE: setting config option max_auto_priority",
        Whose::Original,
        "ours has a low real-time priority by default",
    ),
    ("(/tmp/", Whose::Original, "`nb_get_retry` is `retry` in every check, as it was when tutorials were written"),
];

/// What only a busy machine makes either of them say.
const LATE: &str = "VRRP thread timer expired";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Original,
    Ours,
    Both,
}

/// Who says a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    /// The daemon as a whole.
    Daemon,
    /// How VRRP begins: the order is not the same.
    Setup,
    Vrrp,
    Checkers,
}

fn part(line: &str) -> Part {
    let begins = |with: &[&str]| with.iter().any(|with| line.starts_with(with));
    if begins(&["Startup complete", "Stopping"]) {
        Part::Daemon
    } else if begins(&["Registering", "Assigned address", "VRRP sockpool", "Initializing ipvs"]) {
        Part::Setup
    } else if begins(&["(VI_1)", "Sending gratuitous ARP"]) {
        Part::Vrrp
    } else {
        Part::Checkers
    }
}

/// One event of the story: what each side logged, in order, and what it lists in the end.
#[derive(Default, Debug)]
struct Phase {
    name: String,
    logs: [Vec<String>; 2],
    lists: [Vec<String>; 2],
}

/// Collects what ours log and list.
#[derive(Default)]
pub(crate) struct Teller {
    phases: Vec<Phase>,
    read: [usize; 2],
}

const fn index(side: Side) -> usize {
    match side {
        Side::A => 0,
        Side::B => 1,
    }
}

impl Teller {
    /// Something happens; what is told from now on belongs to it.
    pub(crate) fn begin(&mut self, name: &str) {
        self.phases.push(Phase { name: name.to_owned(), ..Phase::default() });
    }

    /// All that a daemon has logged; `ended`: its next log begins anew.
    pub(crate) fn log(&mut self, side: Side, log: &str, ended: bool) {
        let read = &mut self.read[index(side)];
        let new: Vec<String> = log.lines().skip(*read).map(|line| undated(line).to_owned()).collect();
        *read = if ended { 0 } else { *read + new.len() };
        if let Some(phase) = self.phases.last_mut() {
            phase.logs[index(side)].extend(new);
        }
    }

    /// What a director lists at the end of an event.
    pub(crate) fn lists(&mut self, side: Side, listing: &str) {
        if let Some(phase) = self.phases.last_mut() {
            phase.lists[index(side)] = listing.lines().skip(3).map(list_line).collect();
        }
    }
}

/// A line behind its date: `Sat Nov 21 19:19:39 2026: `.
fn undated(line: &str) -> &str {
    const LENGTH: usize = "Sat Nov 21 19:19:39 2026: ".len();
    line.get(LENGTH..).filter(|_| line.get(LENGTH - 2..LENGTH) == Some(": ")).unwrap_or(line)
}

/// A line of a listing without its connections.
fn list_line(line: &str) -> String {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.first() == Some(&"->") {
        words.truncate(4);
    }
    words.join(" ")
}

/// A section of a recording.
pub(crate) struct Recording {
    phases: Vec<Phase>,
}

impl Recording {
    /// Reads the section of this title.
    pub(crate) fn read(name: &str, section: &str) -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../golden/recorded/{name}.txt"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let from = text.find(&format!("=== {section}\n")).with_context(|| format!("no section `{section}`"))?;
        let text = &text[from + 4..];
        let text = text.find("\n=== ").map_or(text, |end| &text[..end]);
        let mut phases: Vec<Phase> = Vec::new();
        let mut listed = None;
        for line in text.lines() {
            let told = line.trim_start().split_once(' ').filter(|(clock, _)| clock.parse::<f64>().is_ok());
            match told.map(|(_, rest)| rest) {
                Some(event) if event.starts_with("## ") => {
                    phases.push(Phase { name: event[3..].to_owned(), ..Phase::default() });
                    listed = None;
                }
                Some(said) => {
                    let (who, text) = said.split_once(' ').context("nobody says it")?;
                    let phase = phases.last_mut().context("before any event")?;
                    phase.logs[usize::from(who == "b")].push(text.to_owned());
                }
                None if line.starts_with("--- ") => {
                    listed = [("--- m", 0), ("--- b", 1)].into_iter().find(|it| it.0 == line)
                }
                None => {
                    if let (Some((_, side)), Some(phase)) = (listed, phases.last_mut())
                        && (line.starts_with("TCP ") || line.starts_with("  ->"))
                    {
                        phase.lists[side].push(list_line(line));
                    }
                }
            }
        }
        Ok(Self { phases })
    }
}

/// What is compared of a line.
fn essence(line: &str, both_servers: bool) -> String {
    let mut text = line.to_owned();
    if let (Some(from), Some(length)) = (text.find("fd("), text.find("fd(").and_then(|from| text[from..].find(')'))) {
        text.replace_range(from..=from + length, "fd()");
    }
    // The keyword for the number of retries is known to ours.
    if text.starts_with("TCP_CHECK on service") {
        text = text.replace("failed after 1 retries.", "failed after 3 retries.");
    }
    if both_servers {
        // Chance decides who is first.
        text = text.replace("[192.168.179.99]", "[RS]").replace("[192.168.179.104]", "[RS]");
    }
    text
}

/// The lines of one side by part; checkers' by event, the others' from beginning to end.
fn lines(
    phases: &[Phase],
    side: usize,
    whose: Whose,
    seen: &mut BTreeSet<usize>,
) -> BTreeMap<(Part, String), Vec<String>> {
    let mut all: BTreeMap<(Part, String), Vec<String>> = BTreeMap::new();
    for phase in phases {
        let both = phase.name.contains("both") || phase.name == "the master starts";
        for line in phase.logs[side].iter().filter(|line| !line.starts_with(LATE)) {
            if let Some(at) = DIFFERENCES.iter().position(|(start, _, _)| line.starts_with(start)) {
                let expected = DIFFERENCES[at].1;
                if expected == whose || expected == Whose::Both || whose == Whose::Ours && line.contains("fe80::") {
                    seen.insert(at);
                    continue;
                }
            }
            let part = part(line);
            let event = if part == Part::Checkers { phase.name.clone() } else { String::new() };
            let text = essence(line, both && part == Part::Checkers);
            let list = all.entry((part, event)).or_default();
            // How many adverts come until the master is back depends on when it began.
            if !(line.contains("received lower priority") && list.last() == Some(&text)) {
                list.push(text);
            }
        }
    }
    for ((part, _), list) in &mut all {
        if *part == Part::Setup {
            list.sort();
        }
    }
    all
}

/// Fails unless ours did as the original.
pub(crate) fn compare(recorded: &Recording, teller: &Teller) -> Result<()> {
    let mut seen = BTreeSet::new();
    let names = |phases: &[Phase]| phases.iter().map(|phase| phase.name.clone()).collect::<Vec<_>>();
    ensure!(names(&recorded.phases) == names(&teller.phases), "other events: {:?}", names(&recorded.phases));
    for side in Side::BOTH {
        let theirs = lines(&recorded.phases, index(side), Whose::Original, &mut seen);
        let ours = lines(&teller.phases, index(side), Whose::Ours, &mut seen);
        for key in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            let of = |all: &BTreeMap<(Part, String), Vec<String>>| all.get(key).cloned().unwrap_or_default().join("\n");
            let (theirs, ours) = (of(&theirs), of(&ours));
            ensure!(theirs == ours, "{key:?} of {side:?}\n--- the original\n{theirs}\n--- ours\n{ours}");
        }
        for (theirs, ours) in recorded.phases.iter().zip(&teller.phases) {
            let (theirs, ours, event) = (&theirs.lists[index(side)], &ours.lists[index(side)], &ours.name);
            ensure!(theirs == ours, "{side:?} after `{event}`: the original lists {theirs:?}, ours {ours:?}");
        }
    }
    for (at, (start, _, why)) in DIFFERENCES.iter().enumerate() {
        ensure!(seen.contains(&at), "no difference any more: `{start}` ({why})");
    }
    Ok(())
}
