//! What a change would do, for people: the rules that go, behind `-`, and the rules that come, behind `+`, and whose live
//! connections are concerned.

use super::save::{self, Writer};
use rvs_intent::{Change, Listing};

/// A change in words of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `add`, `edit` or `remove`.
    pub kind: &'static str,
    /// `service`, `destination` or `timeouts`.
    pub what: &'static str,
    /// The rule that holds now.
    pub before: Option<String>,
    /// The rule that will hold.
    pub after: Option<String>,
    /// Active connections of the destination concerned, now.
    pub active: u32,
    /// Its inactive ones.
    pub inactive: u32,
}

impl Explained {
    /// Its live connections lose their server. Those of a destination that is only edited go on as they began.
    pub fn ends_connections(&self) -> bool {
        self.kind == "remove"
    }
}

/// Explains changes of the table that `listing` shows.
pub fn explained(changes: &[Change], listing: &Listing) -> Vec<Explained> {
    changes.iter().map(|change| explain(change, listing)).collect()
}

fn explain(change: &Change, listing: &Listing) -> Explained {
    let writer = Writer::EXACT;
    let (kind, what, before, after) = match change {
        Change::Timeouts { old, new } => ("edit", "timeouts", Some(save::timeouts(old)), Some(save::timeouts(new))),
        Change::AddService(service) => ("add", "service", None, Some(format!("-A {}", writer.service(service)))),
        Change::RemoveService(service) => ("remove", "service", Some(format!("-A {}", writer.service(service))), None),
        Change::EditService { old, new } => {
            let rule = |service| Some(format!("-A {}", writer.service(service)));
            ("edit", "service", rule(old), rule(new))
        }
        Change::AddDest(key, dest) => ("add", "destination", None, Some(format!("-a {}", writer.dest(key, dest)))),
        Change::RemoveDest(key, dest) => {
            ("remove", "destination", Some(format!("-a {}", writer.dest(key, dest))), None)
        }
        Change::EditDest { key, old, new } => {
            let rule = |dest| Some(format!("-a {}", writer.dest(key, dest)));
            ("edit", "destination", rule(old), rule(new))
        }
    };
    let dest = match change {
        Change::RemoveDest(key, dest) | Change::EditDest { key, old: dest, .. } => {
            listing.dest(key, dest.addr, dest.port)
        }
        _ => None,
    };
    let (active, inactive) = dest.map_or((0, 0), |listed| (listed.active, listed.inactive));
    Explained { kind, what, before, after, active, inactive }
}

/// The text of a dry run or a comparison.
pub fn changes(changes: &[Explained]) -> String {
    let mut text = String::new();
    for change in changes {
        if let Some(rule) = &change.before {
            text += &format!("- {rule}{}\n", note(change));
        }
        if let Some(rule) = &change.after {
            text += &format!("+ {rule}\n");
        }
    }
    let count = |kind: &str| changes.iter().filter(|change| change.kind == kind).count();
    let lose = touched(changes);
    text + &format!(
        "{} added, {} changed, {} removed; {lose} live connection{} would lose {} server\n",
        count("add"),
        count("edit"),
        count("remove"),
        if lose == 1 { "" } else { "s" },
        if lose == 1 { "its" } else { "their" },
    )
}

/// Live connections whose server goes.
pub(super) fn touched(changes: &[Explained]) -> u64 {
    let ending = changes.iter().filter(|change| change.ends_connections());
    ending.map(|change| u64::from(change.active) + u64::from(change.inactive)).sum()
}

fn note(change: &Explained) -> String {
    match (change.active, change.inactive) {
        (0, 0) => String::new(),
        (active, inactive) => format!("  # {active} active, {inactive} inactive"),
    }
}
