//! Why a replayed command may differ from its recording. Each reason also says exactly what is expected instead.

use crate::recording::Entry;

/// Why a command differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// IPVS lists unsorted services in the order of a hash table that depends on a kernel address.
    HashOrder,
    /// `-R` takes effect as a whole or not at all, and skips comments and empty lines.
    AtomicRestore,
}

impl Reason {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::HashOrder, Self::AtomicRestore];

    /// As in the list of differences and in the documentation.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::HashOrder => "hash-order",
            Self::AtomicRestore => "atomic-restore",
        }
    }
}

/// The reason why ours may differ from the recorded one as it does; `None`: it may not.
pub(crate) fn explain(recorded: &Entry, ours: &Entry) -> Option<Reason> {
    [(Reason::HashOrder, for_hash_order as fn(&Entry, &Entry) -> bool), (Reason::AtomicRestore, for_atomic_restore)]
        .into_iter()
        .find(|(_, explains)| explains(recorded, ours))
        .map(|(reason, _)| reason)
}

fn is_server(line: &str) -> bool {
    line.starts_with("  -> ") || line.starts_with("-a ")
}

/// The original saves a mark from 2147483648 on as a negative number, and flags that the scheduler has no name for as none at
/// all (`-b ` and nothing), both of which nobody can restore.
pub(crate) fn restorable(saved: &str) -> String {
    let is_restorable = |line: &&str| !line.contains(" -f -") && !line.trim_end().ends_with(" -b");
    saved.lines().filter(is_restorable).map(|line| format!("{line}\n")).collect()
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
