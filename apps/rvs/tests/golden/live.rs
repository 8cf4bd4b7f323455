//! Commands recorded while traffic was running: the texts of listings with live figures. The figures themselves are taken from the
//! recording (see [`crate::figures`]); commands that were given without being recorded are in [`QUIET`].

use crate::figures::{Figures, connection};
use crate::recording::text;
use crate::world::Host;
use rvs_intent::Capabilities;

/// What was called without a trace before the command on a line: `3x SERVICE` adds the real servers 11, 12 and 13.
const QUIET: &[(&str, usize, &[&str])] = &[
    ("d1_persist", 11, &["3x -t 10.0.1.10:80"]),
    ("d1_persist", 147, &["-C"]),
    ("d1_persist", 149, &["3x -t 10.0.1.10:0"]),
    ("d1_persist", 192, &["3x -t 10.0.1.10:80"]),
    ("d1_persist", 211, &["-C"]),
    ("d1_persist", 218, &["3x -f 7"]),
    ("d1_persist", 300, &["-C"]),
    ("d1_persist", 305, &["3x -f 7"]),
    ("d1_persist", 333, &["-C"]),
    ("d1_persist", 339, &["3x -t 10.0.1.10:8080"]),
    ("d1_persist", 372, &["-C"]),
    ("d1_persist", 436, &["-C"]),
    ("d1_persist", 441, &["3x -u 10.0.1.10:80"]),
    ("d1_persist", 488, &["-C"]),
    ("d1_persist", 503, &["3x -t 10.0.1.10:443"]),
    ("d1_persist", 661, &["-C"]),
    ("d1_persist", 673, &["-a -t 10.0.1.10:80 -r 10.0.2.11 -m -x 2", "-a -t 10.0.1.10:80 -r 10.0.2.12 -m"]),
    (
        "e2_live",
        237,
        &[
            "-A -t 10.0.1.10:88 -s rr",
            "-a -t 10.0.1.10:88 -r 10.0.2.50:80 -m",
            "-a -t 10.0.1.10:88 -r 10.0.2.51:80 -m",
            "-A -u 10.0.1.10:88 -s wlc -p 50",
            "-a -u 10.0.1.10:88 -r 10.0.2.50:80 -g",
            "-A -f 77 -s wrr -p 30 -M 255.255.0.0",
            "-a -f 77 -r 10.0.2.50 -i",
        ],
    ),
    ("e3_largenum", 1, &["-A -t 10.0.1.10:80 -s rr", "-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m"]),
];

/// A command and what it printed; `status` is not always recorded.
struct Recorded {
    line: usize,
    command: String,
    out: String,
    status: Option<i32>,
}

fn recorded(name: &str) -> Vec<Recorded> {
    let mut entries: Vec<Recorded> = Vec::new();
    let mut open = false;
    for (index, line) in text(&format!("recorded/{name}.txt")).lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            open = command.starts_with("ipvsadm");
            if open {
                let (command, out) = (command.to_owned(), String::new());
                entries.push(Recorded { line: index + 1, command, out, status: None });
            }
        } else if let Some(status) = line.strip_prefix("[status ").filter(|_| open) {
            let entry = entries.last_mut().expect("a command stands before its status");
            entry.status = status.strip_suffix(']').map(|status| status.parse().expect("a number"));
            open = false;
        } else if open {
            // Without a status, the listing ends where other lines begin.
            let entry = entries.last_mut().expect("a command was opened");
            let listed = ["IP", "TCP", "UDP", "pro ", "Prot", "  -> ", "FWM"].iter().any(|word| line.starts_with(word));
            open = listed;
            if listed {
                entry.out += &format!("{line}\n");
            }
        }
    }
    entries
}

fn prepare(host: &Host, name: &str, line: usize) {
    let commands = QUIET.iter().filter(|(known, at, _)| *known == name && *at == line).flat_map(|(.., lines)| *lines);
    for command in commands {
        match command.strip_prefix("3x ") {
            Some(service) => {
                for n in 11..=13 {
                    let ours = host.line(&format!("-a {service} -r 10.0.2.{n} -m"));
                    assert_eq!(ours.err, "", "{command}");
                }
            }
            None => assert_eq!(host.line(command).err, "", "{command}"),
        }
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Replays one recording; how many commands there were.
fn replay(name: &str) -> usize {
    let host = Host::new(Capabilities::ALL_IPVS);
    let entries = recorded(name);
    if let Some(first) = entries.first() {
        prepare(&host, name, first.line.min(1));
    }
    for entry in &entries {
        prepare(&host, name, entry.line);
        if name == "c1_forward" && entry.command.starts_with("ipvsadm -A") {
            // Each section of this recording begins with an empty table.
            host.line("-C");
        }
        let part = entry.command.ends_with(" (this connection)");
        let command = entry.command.trim_end_matches(" (this connection)");
        let connections = command.split(' ').any(|word| word.starts_with("-L") && word.contains('c'));
        if connections {
            host.connections(entry.out.lines().filter_map(|line| connection(line, host.names())).collect());
        }
        // Such lists were sorted, and their title cut off, by the recording script.
        let cut = part || connections && entry.status.is_none() && !entry.out.starts_with("IPVS");
        host.figures(Figures::of(command, &entry.out));
        let ours = host.line(command.strip_prefix("ipvsadm ").expect("a command of ipvsadm"));
        let at = format!("{name}:{}: {command}", entry.line);
        assert_eq!((ours.err.as_str(), ours.status), ("", entry.status.unwrap_or(0)), "{at}");
        match (cut, ours.out.split_once('\n')) {
            (true, Some((_, rest))) => assert_eq!(sorted(rest), sorted(&entry.out), "{at}"),
            _ => {
                // The first line that differs says more than two listings.
                for (ours, recorded) in ours.out.lines().zip(entry.out.lines()) {
                    assert_eq!(ours, recorded, "{at}");
                }
                assert_eq!(ours.out, entry.out, "{at}");
            }
        }
    }
    entries.len()
}

#[test]
fn all_recorded_commands_under_traffic() {
    assert_eq!(replay("c1_forward"), 80);
    assert_eq!(replay("d1_persist"), 38);
    assert_eq!(replay("e2_live"), 5);
}

/// The recorded state machine prints lines of listings among its own.
#[test]
fn recorded_lines_of_connections() {
    let host = Host::new(Capabilities::ALL_IPVS);
    let recording = text("recorded/e1_states.txt");
    let lines: Vec<&str> = recording.lines().filter_map(|line| line.split_once("  | ")).map(|(_, line)| line).collect();
    assert_eq!(lines.len(), 9);
    for line in lines {
        host.connections(vec![connection(line, host.names()).expect("a line of a connection")]);
        assert_eq!(host.line("-Lnc").out.lines().nth(2), Some(line));
    }
    assert_eq!(host.line("--set 100 20 30").err, "");
    let timeouts = host.line("-L --timeout").out;
    assert!(recording.lines().any(|line| timeouts.trim_end() == line), "{timeouts}");
}
