//! Arbitrary command lines: none may panic, none may change the table and complain.

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
        "",
    ]);
    (begin, prop::collection::vec(word(), 0..6)).prop_map(|(begin, words)| {
        begin.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).chain(words).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn complaints_leave_the_table_alone(lines in prop::collection::vec(line(), 1..12), all in any::<bool>()) {
        let host = Host::new(if all { Capabilities::ALL_IPVS } else { Capabilities::THIS_VERSION });
        for line in &lines {
            let before = host.table();
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let ours = host.ipvsadm(&line, "");
            prop_assert!([0, 1, 2, 255].contains(&ours.status), "{line:?}: {}", ours.status);
            prop_assert_eq!(ours.err.is_empty(), ours.status == 0, "{:?}: {:?}", line, ours.err);
            if ours.status != 0 {
                prop_assert_eq!(host.table(), before, "{:?}", line);
            }
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
