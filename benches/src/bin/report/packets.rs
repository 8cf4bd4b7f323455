//! The packet path alone: the document of `packets`.

use crate::section::{Section, conditions};
use anyhow::{Context, Result};
use rvs_benches::plot::{Series, evenly, plot};
use serde_json::Value;
use std::fmt::Write as _;

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

/// The section, with its curves.
pub(crate) fn section(measured: &Value) -> Result<Section> {
    let cases = measured["cases"].as_array().context("no cases in it")?;
    let first = format!("{}Medians of {} rounds.\n", conditions(measured), measured["rounds"]);
    let mut section = Section { text: first, ..Section::default() };
    for curve in &CURVES {
        let svg = draw(curve, cases)?;
        section.plot(curve.file, curve.title, Some(curve.expected), svg);
    }
    section.text += &programs(measured);
    section.text += "\n| Case | ns | to its floor | least to greatest |\n|---|---|---|---|\n";
    for case in cases {
        let ratio = |what: &str| case["ratio"][what].as_f64().unwrap_or_default();
        let (name, ns) = (case["case"].as_str().unwrap_or_default(), case["net_ns"].as_u64().unwrap_or_default());
        let (least, middle, most) = (ratio("min"), ratio("median"), ratio("max"));
        let _ = writeln!(section.text, "| {name} | {ns} | {middle:.2} | {least:.2} to {most:.2} |");
    }
    Ok(section)
}

/// How large the programs are; nothing where the document does not tell.
fn programs(measured: &Value) -> String {
    let Some(programs) = measured["programs"].as_array() else { return String::new() };
    let head = "\n| Program | instructions of bytecode | walked through by the verifier | bytes of machine code |\n|---|---|---|---|\n";
    let row = |program: &Value| {
        let number =
            |name: &str| program[name].as_u64().map_or_else(|| "not told".to_owned(), |number| number.to_string());
        let name = program["program"].as_str().unwrap_or_default();
        format!("| {name} | {} | {} | {} |\n", number("instructions"), number("verified"), number("machine_code"))
    };
    head.to_owned() + &programs.iter().map(row).collect::<String>()
}

/// A case's nanoseconds as a ratio to the floor with one connection of its scene.
fn ratio(cases: &[Value], name: &str) -> Option<f64> {
    let case = cases.iter().find(|case| case["case"] == name)?;
    let floor = cases.iter().find(|other| other["case"] == "XDP floor" && other["scene"] == case["scene"])?;
    Some(case["net_ns"].as_f64()? / floor["net_ns"].as_f64()?.max(1.0))
}

fn draw(curve: &Curve, cases: &[Value]) -> Result<String> {
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
    Ok(plot(curve.title, curve.axis, &evenly(curve.places), &series))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_benches::cases;

    #[test]
    fn sizes_are_told_as_far_as_they_are_known() {
        let measured = serde_json::json!({ "programs": [{ "program": "XDP", "instructions": 7, "verified": 9 }] });
        assert!(programs(&measured).ends_with("| XDP | 7 | 9 | not told |\n"));
        assert_eq!(programs(&Value::Null), "");
    }

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
}
