//! Every command line recorded from ipvsadm 1.31 on Linux IPVS, replayed: output, complaints and status, byte for byte.
//!
//! What differs on purpose is listed in `tests/golden/differences.txt`, line by line and with its reason; the list is exact:
//! a new difference fails, and so does one that has gone. `docs/compat.md` explains the reasons.

mod additions;
mod arbitrary;
mod differences;
mod figures;
mod largenum;
mod live;
mod proc;
mod random;
mod recording;
mod round_trip;
mod third_parties;
mod world;

use differences::Reason;
use recording::{Entry, entries, text};
use rvs_intent::Capabilities;
use world::Host;

/// What the scenario behind a recording did before the first recorded command.
const SETUP: [(&str, &[&str]); 2] = [
    ("a1_ipvsadm_text", &[]),
    ("a2_ipvsadm_errors", &["-A -t 10.0.1.10:80 -s rr", "-a -t 10.0.1.10:80 -r 10.0.2.11 -m", "-A -f 1 -s rr"]),
];

/// Standard input of the recorded commands that read it; the recording has a title in their place.
fn script(command: &str, saved: &str) -> Option<String> {
    Some(match command {
        "ipvsadm -R < saved" => saved.to_owned(),
        "ipvsadm -R with a leading word and a comment and an empty line" => {
            "ipvsadm -A -t 10.0.1.10:8000 -s rr\n# comment\n\n-a -t 10.0.1.10:8000 -r 10.0.2.11:8000 -m -w 1\n".into()
        }
        "ipvsadm -R with a bad line in the middle" => {
            "-A -t 10.0.1.10:8001 -s rr\n-A -t 10.0.1.10:8001 -s rr\n-A -t 10.0.1.10:8002 -s rr\n".into()
        }
        "ipvsadm-restore line with -n and quotes" => "-A -t \"10.0.1.10:8003\" -s rr\n".into(),
        _ => return None,
    })
}

/// Replays one recorded command.
fn replay(host: &Host, entry: &Entry, saved: &str) -> Entry {
    match script(&entry.command, saved) {
        Some(script) => {
            // These were recorded with both streams in one.
            let ours = host.ipvsadm(&["-R"], &script);
            Entry { out: ours.out + &ours.err, err: String::new(), ..ours }
        }
        None => {
            let args: Vec<&str> = entry.command.split(' ').skip(1).collect();
            host.ipvsadm(&args, "")
        }
    }
}

/// What users are told about differences.
fn compat() -> String {
    text("../../docs/compat.md")
}

fn is_equal(a: &Entry, b: &Entry) -> bool {
    (&a.out, &a.err, a.status) == (&b.out, &b.err, b.status)
}

#[test]
fn all_recorded_commands() {
    let (mut differing, mut equal, mut unexplained) = (Vec::new(), 0, String::new());
    for (name, setup) in SETUP {
        let host = Host::new(Capabilities::ALL_IPVS);
        for line in setup {
            assert_eq!(host.ipvsadm(&line.split(' ').collect::<Vec<_>>(), "").status, 0);
        }
        let mut saved = String::new();
        for entry in entries(&text(&format!("recorded/{name}.txt"))) {
            if !entry.command.starts_with("ipvsadm") || entry.command.ends_with("as nobody") {
                continue;
            }
            let ours = replay(&host, &entry, &saved);
            if entry.command == "ipvsadm -Sn" {
                saved.clone_from(&entry.out);
            }
            if is_equal(&entry, &ours) {
                equal += 1;
            } else if let Some(reason) = differences::explain(&entry, &ours) {
                differing.push(format!("{name}:{}\t{}\t{}", entry.line, reason.label(), entry.command));
            } else {
                unexplained +=
                    &format!("{name}:{}: {}\nrecorded: {entry:?}\nours:     {ours:?}\n\n", entry.line, entry.command);
            }
        }
    }
    let total = equal + differing.len();
    println!("{equal} of {total} recorded commands are equal");
    assert!(unexplained.is_empty(), "{unexplained}");
    let listed = text("differences.txt");
    let listed: Vec<&str> = listed.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(differing, listed, "tests/golden/differences.txt must list exactly these:\n{}\n", differing.join("\n"));
    let compat = compat();
    for claim in
        [format!("the {total} command lines"), format!("{equal} give the same"), format!("other {}", differing.len())]
    {
        assert!(compat.contains(&claim), "docs/compat.md must say `{claim}`");
    }
}

#[test]
fn a_saved_table_restores_to_itself() {
    let host = Host::new(Capabilities::ALL_IPVS);
    for entry in entries(&text("recorded/a1_ipvsadm_text.txt")) {
        if entry.command == "ipvsadm -Sn" {
            let saved = differences::restorable(&entry.out);
            assert_eq!(host.restore(&saved).err, "");
            assert_eq!(host.ipvsadm(&["-Sn"], "").out, saved);
        }
    }
}

#[test]
fn without_privileges() {
    let host = Host::new(Capabilities::ALL_IPVS);
    let recorded = text("recorded/a2_ipvsadm_errors.txt");
    for args in [vec!["-Ln"], vec!["-A", "-t", "10.0.1.10:80"], vec!["-C"]] {
        let ours = host.unprivileged(&args);
        // As the recording script wrote it: arguments, status, output, complaints in Python's notation.
        let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let line = format!("[{}] {} '{}' {:?}", quoted.join(", "), ours.status, ours.out, ours.err);
        assert!(recorded.lines().any(|recorded| recorded == line), "{line}");
    }
    assert_eq!(host.unprivileged(&["-h"]).status, 0);
    assert_eq!(host.unprivileged(&["-v"]).status, 0);
}

#[test]
fn this_version_refuses_what_it_cannot_balance_and_says_so() {
    let able = Capabilities::THIS_VERSION;
    for (line, is_able) in [
        ("-A -t [fd00:1::10]:80", able.ipv6),
        ("-A -f 1", able.marks),
        ("-A --sctp-service 10.0.1.10:80", able.sctp),
        ("-A -u 10.0.1.10:80 -o", able.one_packet),
        ("-A -u 10.0.1.10:80 -p --pe sip", able.engines),
        ("-a -t 10.0.1.10:80 -r 10.0.2.11 -i --tun-type gre", able.gue_gre),
        ("-a -t 10.0.1.10:80 -r 10.0.2.11 -i --tun-type gue --tun-port 6080", able.gue_gre),
        ("-a -t 10.0.1.10:80 -r [fd00:2::11]:80 -i", able.ipv6),
        ("--start-daemon master", false),
    ] {
        let host = Host::of_this_version();
        assert_eq!(host.line("-A -t 10.0.1.10:80").status, 0);
        let ours = host.line(line);
        if is_able {
            assert_eq!((ours.status, ours.err.as_str()), (0, ""), "{line}");
            continue;
        }
        assert_eq!((ours.status, ours.out.as_str()), (255, ""), "{line}");
        assert!(ours.err.trim_end().ends_with("not supported by this version of RVS"), "{line}: {}", ours.err);
        assert_eq!(host.line("-Sn").out, "-A -t 10.0.1.10:80 -s wlc\n");
    }
}

#[test]
fn the_documentation_gives_each_reason() {
    let compat = compat();
    for reason in Reason::ALL {
        assert!(compat.contains(&format!("`{}`", reason.label())), "docs/compat.md explains `{}`", reason.label());
    }
}
