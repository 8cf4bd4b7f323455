//! Why a replayed command may differ from its recording. Each reason also says exactly what is expected instead.

use crate::recording::Entry;

/// Schedulers of IPVS that this version does not have.
const MISSING_SCHEDULERS: [&str; 5] = ["lblc", "lblcr", "dh", "sh", "mh"];

/// Why a command differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A scheduler that is not there yet.
    Scheduler,
    /// IPVS lists unsorted services in the order of a hash table that depends on a kernel address.
    HashOrder,
    /// `-R` takes effect as a whole or not at all, and skips comments and empty lines.
    AtomicRestore,
}

impl Reason {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Scheduler, Self::HashOrder, Self::AtomicRestore];

    /// As in the list of differences and in the documentation.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::HashOrder => "hash-order",
            Self::AtomicRestore => "atomic-restore",
        }
    }
}

/// The reason why ours may differ from the recorded one as it does; `None`: it may not.
pub(crate) fn explain(recorded: &Entry, ours: &Entry) -> Option<Reason> {
    [
        (Reason::Scheduler, for_scheduler as fn(&Entry, &Entry) -> bool),
        (Reason::HashOrder, for_hash_order),
        (Reason::AtomicRestore, for_atomic_restore),
    ]
    .into_iter()
    .find(|(_, explains)| explains(recorded, ours))
    .map(|(reason, _)| reason)
}

fn has_option(command: &str, option: &str, values: &[&str]) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    words.windows(2).any(|pair| pair[0] == option && values.contains(&pair[1]))
}

/// Services with a missing scheduler are refused, and so are not in listings.
fn for_scheduler(recorded: &Entry, ours: &Entry) -> bool {
    if has_option(&recorded.command, "-s", &MISSING_SCHEDULERS) {
        let refused = ["Scheduler or persistence engine not found\n", "No such service\n"];
        return ours.status == 255 && refused.contains(&ours.err.as_str());
    }
    let left = without_missing_schedulers(&recorded.out);
    if left == recorded.out {
        return false;
    }
    let one_service = recorded.command.contains(" -t ");
    let expected = if one_service { ("", "No such service\n", 1) } else { (left.as_str(), "", 0) };
    // Services are in the hash table's order when unsorted.
    (ours.out.as_str(), ours.err.as_str(), ours.status) == expected
        || recorded.command.contains("--nosort") && same_services(&left, &ours.out)
}

/// A listing or save without the services of missing schedulers and their servers.
pub(crate) fn without_missing_schedulers(text: &str) -> String {
    let mut skipping = false;
    let mut left = String::new();
    for line in text.lines() {
        if !is_server(line) {
            let scheduler = match line.strip_prefix("-A ") {
                Some(rule) => rule.split(" -s ").nth(1).and_then(|rest| rest.split(' ').next()),
                None => line.split_whitespace().nth(2),
            };
            skipping = scheduler.is_some_and(|name| MISSING_SCHEDULERS.contains(&name));
        }
        if !skipping {
            left += line;
            left.push('\n');
        }
    }
    left
}

fn is_server(line: &str) -> bool {
    line.starts_with("  -> ") || line.starts_with("-a ")
}

/// The original saves a mark from 2147483648 on as a negative number, which nobody can restore.
pub(crate) fn restorable(saved: &str) -> String {
    saved.lines().filter(|line| !line.contains(" -f -")).map(|line| format!("{line}\n")).collect()
}

fn for_hash_order(recorded: &Entry, ours: &Entry) -> bool {
    let equal = recorded.command.contains("--nosort") && same_services(&recorded.out, &ours.out);
    equal && (&recorded.err, recorded.status) == (&ours.err, ours.status)
}

/// Whether two listings have the same services, each with the same servers in the same order.
fn same_services(a: &str, b: &str) -> bool {
    let groups = |text: &str| {
        let mut groups: Vec<String> = Vec::new();
        for line in text.lines() {
            match groups.last_mut() {
                Some(group) if is_server(line) => *group += line,
                _ => groups.push(line.to_owned()),
            }
        }
        groups.sort();
        groups
    };
    groups(a) == groups(b)
}

/// The four restores of the recording: one goes through here where the original stops half-way, two have no effect here where
/// the original goes on or had gone on, and what is listed afterwards differs accordingly.
fn for_atomic_restore(recorded: &Entry, ours: &Entry) -> bool {
    let out = match recorded.command.as_str() {
        "ipvsadm -R with a leading word and a comment and an empty line" => "",
        "ipvsadm -R with a bad line in the middle" => "line 2: Service already exists; nothing was restored\n",
        "ipvsadm-restore line with -n and quotes" => {
            "line 1: illegal virtual server address[:port] specified; nothing was restored\n"
        }
        "ipvsadm -Ln -t 10.0.1.10:8000" => {
            &format!("{}  -> 10.0.2.11:8000               Masq    1      0          0         \n", recorded.out)
        }
        "ipvsadm -Ln -t 10.0.1.10:8002" => "",
        "ipvsadm -Ln" if recorded.out.contains("TCP  10.0.1.10:8001 rr\nTCP  10.0.1.10:8002 rr\n") => {
            let server = "  -> 10.0.2.11:8000               Masq    1      0          0         \n";
            let rest = recorded.out.replace("TCP  10.0.1.10:8001 rr\nTCP  10.0.1.10:8002 rr\n", server);
            return ours.out == rest;
        }
        _ => return false,
    };
    ours.out == out
}
