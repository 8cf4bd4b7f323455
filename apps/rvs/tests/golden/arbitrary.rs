//! Arbitrary command lines: none may panic, none may change the table and complain.

use crate::recording::{entries, text};
use crate::world::Host;
use proptest::prelude::*;
use rvs_config::ipvsadm::table::OPTIONS;
use rvs_intent::Capabilities;

fn word() -> impl Strategy<Value = String> {
    let options: Vec<String> = OPTIONS
        .iter()
        .flat_map(|opt| opt.short.chars().map(|letter| format!("-{letter}")).chain([format!("--{}", opt.long)]))
        .collect();
    let values = [
        "10.0.1.10:80",
        "10.0.1.10",
        "10.0.2.11:8080",
        "10.0.2.12",
        "[fd00:1::10]:80",
        "fd00:2::11",
        "localhost:http",
        "1",
        "2",
        "0",
        "-1",
        "60",
        "65536",
        "4294967295",
        "rr",
        "wrr",
        "sh",
        "sip",
        "gue",
        "ipip",
        "sh-port,flag-1",
        "flag-3",
        "255.255.255.0",
        "24",
        "master",
        "x",
        "",
        "-",
        "--",
        "224.0.0.1",
        "é",
        "=",
        "-=",
        "--=",
        "-w=",
        "-Lnw3",
        "-p=",
    ];
    prop_oneof![
        5 => prop::sample::select(options),
        5 => prop::sample::select(values.map(str::to_owned).to_vec()),
        1 => any::<String>(),
        1 => "-{0,2}[a-zA-Z6=]{0,4}",
    ]
}

/// Lines that begin as sensible ones do, so that some of them are accepted.
fn line() -> impl Strategy<Value = Vec<String>> {
    let begin = prop::sample::select(vec![
        "-A -t 10.0.1.10:80",
        "-A -u 10.0.1.10:80 -p",
        "-A -f 1",
        "-E -t 10.0.1.10:80",
        "-D -t 10.0.1.10:80",
        "-a -t 10.0.1.10:80 -r 10.0.2.11",
        "-a -f 1 -i -r",
        "-e -t 10.0.1.10:80 -r 10.0.2.11",
        "-d -t 10.0.1.10:80 -r 10.0.2.11",
        "--set 1 2",
        "-L",
        "-Z",
        "-C",
        "-R",
        "-S",
        "--start-daemon master",
        "--drain=0 -t 10.0.1.10:80 -r 10.0.2.11",
        "--purge-dest -t 10.0.1.10:80 -r 10.0.2.11",
        "--diff -",
        "-C --dry-run",
        "-A -t 10.0.1.11:80 --dry-run",
        "",
    ]);
    (begin, prop::collection::vec(word(), 0..6)).prop_map(|(begin, words)| {
        begin.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).chain(words).collect()
    })
}

/// One change of a command line.
#[derive(Clone, Debug)]
enum Mutation {
    Drop(usize),
    Double(usize),
    Swap(usize, usize),
    Insert(usize, String),
    /// Takes a word's end off.
    Cut(usize, usize),
    /// Puts a word's end on.
    Append(usize, String),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0..16usize;
    prop_oneof![
        at.clone().prop_map(Mutation::Drop),
        at.clone().prop_map(Mutation::Double),
        (at.clone(), at.clone()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (at.clone(), word()).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (at.clone(), 1..4usize).prop_map(|(at, by)| Mutation::Cut(at, by)),
        (at, "[0-9a-z:,=-]{1,3}").prop_map(|(at, text)| Mutation::Append(at, text)),
    ]
}

fn mutated(mut words: Vec<String>, mutations: &[Mutation]) -> Vec<String> {
    for mutation in mutations {
        let count = words.len();
        let index = |at: &usize| if count == 0 { None } else { Some(at % count) };
        match mutation {
            Mutation::Drop(at) => drop(index(at).map(|at| words.remove(at))),
            Mutation::Double(at) => {
                if let Some(at) = index(at) {
                    words.insert(at, words[at].clone());
                }
            }
            Mutation::Swap(a, b) => {
                if let (Some(a), Some(b)) = (index(a), index(b)) {
                    words.swap(a, b);
                }
            }
            Mutation::Insert(at, word) => words.insert(at % (count + 1), word.clone()),
            Mutation::Cut(at, by) => {
                if let Some(at) = index(at) {
                    let keep = words[at].chars().count().saturating_sub(*by);
                    words[at] = words[at].chars().take(keep).collect();
                }
            }
            Mutation::Append(at, text) => {
                if let Some(at) = index(at) {
                    words[at] += text;
                }
            }
        }
    }
    words
}

/// The command lines that the recordings have.
fn recorded_lines() -> Vec<Vec<String>> {
    let names = ["a1_ipvsadm_text", "a2_ipvsadm_errors"];
    let entries = names.into_iter().flat_map(|name| entries(&text(&format!("recorded/{name}.txt"))));
    let lines = entries.filter_map(|entry| entry.command.strip_prefix("ipvsadm ").map(str::to_owned));
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// A command that is refused, or only looks, leaves the table alone, and says why it is refused.
fn is_sound(host: &Host, line: &[String]) -> Result<(), TestCaseError> {
    let before = host.table();
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let ours = host.ipvsadm(&line, "");
    prop_assert!([0, 1, 2, 255].contains(&ours.status), "{line:?}: {}", ours.status);
    // Status 1 of a comparison is an answer, not a complaint.
    let differs = line.iter().any(|word| word.starts_with("--diff")) && ours.status == 1;
    prop_assert_eq!(ours.err.is_empty(), ours.status == 0 || differs, "{:?}: {:?}", line, ours.err);
    if ours.status != 0 || line.contains(&"--dry-run") {
        prop_assert_eq!(host.table(), before, "{:?}", line);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn complaints_leave_the_table_alone(lines in prop::collection::vec(line(), 1..12), all in any::<bool>()) {
        let host = Host::new(if all { Capabilities::ALL_IPVS } else { Capabilities::THIS_VERSION });
        for line in &lines {
            is_sound(&host, line)?;
        }
    }

    #[test]
    fn what_is_almost_a_recorded_line_is_understood_or_refused(
        picks in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(mutation(), 0..3)), 1..20),
    ) {
        let (host, lines) = (Host::new(Capabilities::ALL_IPVS), recorded_lines());
        for (pick, mutations) in &picks {
            is_sound(&host, &mutated(pick.get(&lines).clone(), mutations))?;
        }
    }

    #[test]
    fn a_script_takes_effect_as_a_whole_or_not_at_all(lines in prop::collection::vec(line(), 1..12), replace in any::<bool>()) {
        let host = Host::new(Capabilities::ALL_IPVS);
        prop_assert_eq!(host.ipvsadm(&["-A", "-t", "10.0.1.99:80"], "").status, 0);
        let before = host.table();
        let script: String = lines.iter().map(|line| line.join(" ").replace(['\n', '\r'], " ") + "\n").collect();
        let ours = if replace { host.restore(&script) } else { host.ipvsadm(&["-R"], &script) };
        if ours.status != 0 {
            prop_assert!(ours.err.starts_with("line ") && ours.err.ends_with("nothing was restored\n"), "{}", ours.err);
            prop_assert_eq!(host.table(), before);
        }
    }
}
