//! Writes the measured part of docs/performance.md, and its plots, from the JSON of `packets`. Nothing is measured here.

use anyhow::{Context, Result};
use clap::Parser;
use rvs_benches::plot::{Series, plot};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What is between these lines is written here.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

#[derive(Parser)]
#[command(name = "report", about = "Writes the measured part of docs/performance.md and its plots")]
struct Options {
    /// What `packets --json` has printed.
    packets: PathBuf,
    /// The folder of the documents.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

/// A curve: name of its file, title, axis, places, and the cases at these places by series (`#` stands for the place).
struct Curve {
    file: &'static str,
    title: &'static str,
    expected: &'static str,
    axis: &'static str,
    places: &'static [&'static str],
    series: &'static [(&'static str, &'static str)],
}

const CURVES: [Curve; 3] = [
    Curve {
        file: "connections.svg",
        title: "An established packet at XDP, by connections",
        expected: "flat while the caches hold the table, then no steeper than the floor",
        axis: "connections; upwards: ratio to the floor with one",
        places: &["1 k", "64 k", "1 M"],
        series: &[
            ("floor", "XDP floor of #"),
            ("NAT", "XDP NAT of # established"),
            ("DR", "XDP DR of # established"),
            ("TUN", "XDP TUN of # established"),
        ],
    },
    Curve {
        file: "services.svg",
        title: "A packet at XDP, by services",
        expected: "flat",
        axis: "services; upwards: ratio to the floor",
        places: &["1 service", "100 services", "10 k services"],
        series: &[
            ("NAT established", "XDP NAT established beside #"),
            ("SYN of no service", "XDP SYN of no service beside #"),
            ("not ours", "XDP not ours beside #"),
        ],
    },
    Curve {
        file: "schedulers.svg",
        title: "A new connection at XDP, by servers",
        expected: "flat for rr, sh and mh; for wlc one look more for each 32 servers; for twos with the list, whose weights it adds up",
        axis: "servers; upwards: ratio to the floor",
        places: &["3", "10", "100", "1000"],
        series: &[
            ("rr", "XDP NAT new, rr of #"),
            ("wlc", "XDP NAT new, wlc of #"),
            ("sh", "XDP NAT new, sh of #"),
            ("mh", "XDP NAT new, mh of #"),
            ("twos", "XDP NAT new, twos of #"),
        ],
    },
];

fn main() -> Result<()> {
    let options = Options::parse();
    let text =
        fs::read_to_string(&options.packets).with_context(|| format!("reading {}", options.packets.display()))?;
    let measured: Value = serde_json::from_str(&text).context("what `packets --json` prints")?;
    let cases = measured["cases"].as_array().context("no cases in it")?;
    let folder = options.docs.join("performance");
    fs::create_dir_all(&folder)?;
    let mut page = format!("Medians of {} rounds.\n", measured["rounds"]);
    for curve in &CURVES {
        write_curve(curve, cases, &folder)?;
        let _ = write!(
            page,
            "\n**{}.** Expected: {}. Measured:\n\n![{}](performance/{})\n",
            curve.title, curve.expected, curve.title, curve.file
        );
    }
    page += "\n| Case | ns | to its floor | least to greatest |\n|---|---|---|---|\n";
    for case in cases {
        let ratio = |what: &str| case["ratio"][what].as_f64().unwrap_or_default();
        let (name, ns) = (case["case"].as_str().unwrap_or_default(), case["net_ns"].as_u64().unwrap_or_default());
        let (least, middle, most) = (ratio("min"), ratio("median"), ratio("max"));
        let _ = writeln!(page, "| {name} | {ns} | {middle:.2} | {least:.2} to {most:.2} |");
    }
    let path = options.docs.join("performance.md");
    let old = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let new = replace(&old, &page).with_context(|| format!("{} lacks `{BEGIN}` or `{END}`", path.display()))?;
    fs::write(&path, new).with_context(|| format!("writing {}", path.display()))
}

/// Puts `page` between the two marks.
fn replace(old: &str, page: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{page}{END}{after}"))
}

/// A case's nanoseconds as a ratio to the floor with one connection of its scene.
fn ratio(cases: &[Value], name: &str) -> Option<f64> {
    let case = cases.iter().find(|case| case["case"] == name)?;
    let floor = cases.iter().find(|other| other["case"] == "XDP floor" && other["scene"] == case["scene"])?;
    Some(case["net_ns"].as_f64()? / floor["net_ns"].as_f64()?.max(1.0))
}

fn write_curve(curve: &Curve, cases: &[Value], folder: &Path) -> Result<()> {
    let mut series = Vec::new();
    for (name, pattern) in curve.series {
        let values: Result<Vec<f64>> = curve
            .places
            .iter()
            .map(|place| {
                let case = pattern.replace('#', place);
                ratio(cases, &case).with_context(|| format!("`{case}` has not been measured"))
            })
            .collect();
        series.push(Series { name: (*name).to_owned(), values: values? });
    }
    let path = folder.join(curve.file);
    fs::write(&path, plot(curve.title, curve.axis, curve.places, &series))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_benches::cases;

    #[test]
    fn every_curve_is_of_cases_that_there_are() {
        let names: Vec<_> = cases::all().into_iter().map(|case| case.name).collect();
        for curve in &CURVES {
            for (_, pattern) in curve.series {
                for place in curve.places {
                    let name = pattern.replace('#', place);
                    assert!(names.contains(&name), "{name}");
                }
            }
        }
    }

    #[test]
    fn what_is_measured_goes_between_the_marks() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        assert_eq!(replace(&page, "new\n").unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nz\n"));
        assert!(replace("a", "new").is_none());
    }
}
