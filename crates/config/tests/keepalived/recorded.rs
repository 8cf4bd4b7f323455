//! Every configuration that was recorded with the verdict of the original.

use crate::support::{FILE, read, told};
use rvs_config::keepalived::{Config, Level};
use std::path::Path;

/// A recorded configuration.
struct Case {
    title: String,
    text: String,
    told: Vec<String>,
    status: i32,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/recorded/h1_keepalived_config.txt");
    let recording = std::fs::read(&path).expect("the recording is in the project");
    let recording = String::from_utf8_lossy(&recording);
    let mut cases = Vec::new();
    for part in recording.split("\n=== ").skip(2) {
        let (title, rest) = part.split_once('\n').expect("a title");
        let mut case = Case { title: title.into(), text: String::new(), told: Vec::new(), status: -1 };
        for line in rest.lines() {
            if let Some(line) = line.strip_prefix("| ") {
                case.text += &format!("{line}\n");
            } else if let Some(line) = line.strip_prefix("stderr: ") {
                case.told.push(line.into());
            } else if let Some(status) = line.strip_prefix("[status ").and_then(|rest| rest.strip_suffix(']')) {
                case.status = status.parse().expect("a status is a number");
                break;
            }
        }
        if title != "genhash" {
            cases.push(case);
        }
    }
    cases
}

/// Where the verdict differs on purpose; docs/compat-keepalived.md says why.
const DIFFERENT: &[(&str, bool)] = &[
    // The original crashes or is killed by its own script check.
    ("vrrp_script whose program does not exist", true),
    ("notify program that does not exist", true),
    ("HTTP_GET without url", false),
    // The original accepts it and serves nothing.
    ("virtual_server group unknown", false),
];

#[test]
fn every_recorded_configuration_gets_its_verdict() {
    let cases = cases();
    assert!(cases.len() > 70, "{}", cases.len());
    let mut wrong = Vec::new();
    let (mut lines, mut same) = (0, 0);
    for case in &cases {
        let loaded = read(&case.text);
        let expected = match DIFFERENT.iter().find(|(title, _)| *title == case.title) {
            Some((_, good)) => *good,
            None => case.status == 0,
        };
        let ours = told(&loaded);
        if loaded.good() != expected {
            wrong.push(format!("{}: expected {expected}, told {ours:#?}", case.title));
        }
        // Whatever line the original complains about, we do.
        for line in case.told.iter().filter_map(|line| line.strip_prefix('(')?.split_once(": Line ")?.1.split_once(')'))
        {
            let place = format!("({FILE}: Line {})", line.0);
            let consequence = line.1.contains("'}'") || line.1.contains("Unexpected '{'");
            // What it finds at the end of a block, we tell of its beginning.
            let there = |text: &String| text.starts_with(&place) || text.contains(line.1.trim());
            if !consequence && !ours.iter().any(there) {
                wrong.push(format!("{}: nothing told of line {} `{}`: {ours:#?}", case.title, line.0, line.1));
            }
        }
        for line in &case.told {
            lines += 1;
            let text = line.rsplit_once(") ").map_or(line.as_str(), |(_, text)| text);
            same += usize::from(ours.iter().any(|ours| ours.contains(text)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Log watchers know these sentences.
    assert!(same * 100 > lines * 60, "{same} of {lines} lines are told in the original's words");
}

#[test]
fn every_recorded_configuration_prints_and_reads_back_the_same() {
    for case in cases() {
        let loaded = read(&case.text);
        let printed = loaded.config.print();
        let again = read(&printed);
        assert_eq!(again.config, loaded.config, "{}:\n{printed}", case.title);
    }
}

#[test]
fn every_report_has_a_place_and_shows_its_line() {
    for case in cases() {
        let loaded = read(&case.text);
        for report in loaded.reports.iter().filter(|report| report.level > Level::Notice) {
            assert!(!report.span.is_none(), "{}: {}", case.title, report.text);
        }
        let shown = loaded.render();
        assert!(loaded.good() || shown.contains("--> /tmp/k.conf:"), "{}: {shown}", case.title);
    }
}

#[test]
fn what_is_put_right_is_right_the_next_time() {
    for case in cases() {
        let loaded = read(&case.text);
        let again = read(&loaded.config.print());
        let still: Vec<String> = told(&again)
            .into_iter()
            .filter(|text| {
                ![
                    "No VIP",
                    "router id must be set",
                    "Unknown interface",
                    "doesn't exist",
                    "only 1 virtual",
                    "not defined",
                    "both use VRID",
                    "cannot track",
                    "no virtual router",
                ]
                .iter()
                .any(|known| text.contains(known))
            })
            .collect();
        assert!(again.good() || still.is_empty(), "{}: {still:?}", case.title);
    }
    assert_eq!(read("").config, Config::default());
}
