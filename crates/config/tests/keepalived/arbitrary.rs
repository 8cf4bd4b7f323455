//! Nonsense: it ends soon, with reports, and never panics; and whatever was understood can be printed and read again.

use crate::support::{FILE, environment};
use proptest::prelude::*;
use rvs_config::keepalived::{Limits, Loaded, Memory, load_within, parse, words};
use std::path::Path;

/// Some cases at every run; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = ProptestConfig::default();
    if asked { usual } else { ProptestConfig { cases: 1500, ..usual } }
}

fn limits() -> Limits {
    Limits { lines: 5_000, expanded_bytes: 1 << 20, files: 50, ..Limits::default() }
}

fn read(text: &str) -> Loaded {
    let files = Memory::new([(FILE, text), ("/tmp/other", "include k.conf\nvrrp_script o {\nscript /o\n}\n")]);
    let loaded = load_within(Path::new(FILE), &files, &environment(), limits());
    assert!(loaded.render().len() < 4 << 20);
    loaded
}

/// What is printed reads back as the same, before anything is put right.
fn round(text: &str) {
    let once = parse(Path::new(FILE), &Memory::new([(FILE, text)]), &environment(), limits());
    let printed = once.config.print();
    let again = parse(Path::new(FILE), &Memory::new([(FILE, printed.as_str())]), &environment(), Limits::default());
    assert_eq!(again.config, once.config, "printed:\n{printed}\nof:\n{text}\ntold:\n{}", again.render());
}

/// Words that configurations are made of.
fn word() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> = words().into_iter().collect();
    let values = [
        "10.0.0.1",
        "10.0.0.1/24",
        "10.0.0.1-9",
        "fe80::1",
        "fd00::/64",
        "eth0",
        "eth9",
        "80",
        "0",
        "-1",
        "255",
        "256",
        "1.5",
        "0.1",
        "on",
        "off",
        "yes",
        "weight",
        "reverse",
        "MASTER",
        "BACKUP",
        "PASS",
        "TCP",
        "UDP",
        "rr",
        "NAT",
        "DR",
        "TUN",
        "type",
        "gue",
        "port",
        "\"a b\"",
        "'x y'",
        "\"",
        "\\",
        "#",
        "!",
        "$",
        "$A",
        "${A}",
        "$A=1",
        "${_PWD}",
        "${_RANDOM 1 3}",
        "@dr",
        "@^dr",
        "~SEQ(A,1,3)",
        "~LST(A,1,2)",
        "~SEQ(",
        "via",
        "dev",
        "table",
        "blackhole",
        "nexthop",
        "from",
        "fwmark",
        "group",
        "MTU",
        "hex:00",
        "00112233445566778899aabbccddeeff",
        "200-299",
        "é€",
        "\t",
        "x{y}",
        "include other",
        "include *",
        "id",
        "inst",
        "/bin/true",
        "all",
        "never",
        "any",
        "min_ttl",
        "max_ttl",
        "00:00:5e:00:01",
        "SOA",
        "1.1",
        "caseless",
        "initial",
        "tcp",
        "overwrite",
        "forever",
        "preferred_lft",
        "brd",
        "+",
        "-",
        "label",
        "encap",
        "mpls",
        "lock",
        "mtu",
    ];
    prop_oneof![
        4 => proptest::sample::select(known).prop_map(str::to_owned),
        4 => proptest::sample::select(values.to_vec()).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let end = proptest::sample::select(vec!["", " {", "\n{", " \\", " }", "\n}", " { }"]);
    (proptest::collection::vec(word(), 0..6), end).prop_map(|(words, end)| words.join(" ") + end)
}

/// A configuration that is mostly right: real keywords of real blocks with likely values.
fn likely() -> impl Strategy<Value = String> {
    let blocks = rvs_config::keepalived::keyword::blocks();
    let blocks: Vec<(String, Vec<&'static str>)> = blocks
        .into_iter()
        .filter(|(path, _)| !path.contains(' ') && !path.is_empty())
        .map(|(path, block)| (path, block.rows().into_iter().flat_map(|row| row.names.iter().copied()).collect()))
        .collect();
    let block = (
        proptest::sample::select(blocks),
        proptest::collection::vec((0usize..1000, word(), word(), any::<bool>()), 0..30),
    );
    let block = block.prop_map(|((head, rows), body)| {
        let body: String = body
            .into_iter()
            .map(|(index, one, two, list)| {
                let keyword = rows[index % rows.len()];
                if list {
                    format!("{keyword} {{\n{one} {two}\n{two}\n}}\n")
                } else {
                    format!("{keyword} {one} {two}\n")
                }
            })
            .collect();
        format!("{head} 10.0.0.1 80 {{\n{body}}}\n")
    });
    proptest::collection::vec(block, 1..4).prop_map(|blocks| blocks.concat())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn lines_of_words(lines in proptest::collection::vec(line(), 0..40)) {
        let text = lines.join("\n");
        read(&text);
        round(&text);
    }

    #[test]
    fn likely_configurations(text in likely()) {
        read(&text);
        round(&text);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        read(&text);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_good_file_with_a_flaw(at in 0usize..2000, cut in 0usize..20, put in "[ -~\\n]{0,4}") {
        let good = include_str!("good.conf");
        let begin = (0..=at.min(good.len())).rev().find(|at| good.is_char_boundary(*at)).unwrap_or(0);
        let end = (begin + cut).min(good.len());
        let end = (end..=good.len()).find(|at| good.is_char_boundary(*at)).unwrap_or(good.len());
        let text = format!("{}{put}{}", &good[..begin], &good[end..]);
        read(&text);
        round(&text);
    }
}

/// The files to change: those of the original's package, where it is installed, and our own.
fn samples() -> Vec<String> {
    let mut texts = vec![include_str!("good.conf").to_owned()];
    let entries = std::fs::read_dir("/usr/share/doc/keepalived/samples").into_iter().flatten().flatten();
    texts.extend(
        entries.filter_map(|entry| Some(String::from_utf8_lossy(&std::fs::read(entry.path()).ok()?).into_owned())),
    );
    texts.sort();
    texts
}

/// What may happen to a file: where, as a part of its length, and what.
#[derive(Debug, Clone)]
enum Change {
    Cut(usize),
    Put(String),
    PutLine(String),
    Repeat(usize, usize),
    Swap(char),
}

fn change() -> impl Strategy<Value = (f64, Change)> {
    let what = prop_oneof![
        (0usize..40).prop_map(Change::Cut),
        word().prop_map(Change::Put),
        line().prop_map(Change::PutLine),
        (1usize..200, 2usize..20).prop_map(|(length, times)| Change::Repeat(length, times)),
        any::<char>().prop_map(Change::Swap),
    ];
    (0.0..1.0, what)
}

fn changed(text: &str, changes: &[(f64, Change)]) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (place, change) in changes {
        let at = (place * text.len() as f64) as usize;
        let end = |length: usize| (at + length).min(text.len());
        let (end, put): (usize, Vec<char>) = match change {
            Change::Cut(length) => (end(*length), Vec::new()),
            Change::Put(word) => (at, format!(" {word} ").chars().collect()),
            Change::PutLine(line) => (at, format!("\n{line}\n").chars().collect()),
            Change::Repeat(length, times) => (end(*length), text[at..end(*length)].repeat(*times)),
            Change::Swap(letter) => (end(1), vec![*letter]),
        };
        text.splice(at..end, put);
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn samples_with_flaws(which in any::<proptest::sample::Index>(), changes in proptest::collection::vec(change(), 1..8)) {
        let samples = samples();
        let text = changed(&samples[which.index(samples.len())], &changes);
        read(&text);
        round(&text);
    }
}

#[test]
fn the_good_file_is_good_and_uses_much_of_the_language() {
    let loaded = read(include_str!("good.conf"));
    assert!(loaded.good(), "{}", loaded.render());
    round(include_str!("good.conf"));
}

/// As long as the input is, reading it takes time in proportion.
#[test]
fn long_lines_end_soon() {
    let long = 300_000;
    for text in [
        "${".repeat(long),
        "$".repeat(long),
        "{".repeat(long),
        "}".repeat(long),
        "\"".repeat(long),
        "\\".repeat(long),
        "a{".repeat(long),
        "x ".repeat(long),
        "include {a,b}".to_owned() + &"{a,b}".repeat(500),
        "~SEQ(A,1,2)".repeat(1000),
        "x\n".repeat(long),
        "$A=x\n".to_owned() + &"$A ".repeat(long),
        format!("$A= \\\n{}\n$A\n", "x \\\n".repeat(50_000)),
    ] {
        let begun = std::time::Instant::now();
        let files = Memory::new([(FILE, text.as_str())]);
        load_within(Path::new(FILE), &files, &environment(), Limits::default()).render();
        let taken = begun.elapsed();
        assert!(taken.as_secs() < 60, "{taken:?} for {}", text.get(..20).unwrap_or("?"));
    }
}
