//! The control plane: the document of the laboratory's `control`.

use crate::section::{Section, conditions, spread};
use anyhow::{Context, Result};
use rvs_benches::bars::{Bar, bars};
use rvs_benches::plot::{Series, plot};
use serde_json::Value;
use std::fmt::Write as _;

/// Numbers of checked real servers: on the axis, and as `control` calls them.
const COUNTS: [(f64, &str, &str); 5] = [
    (1.0, "1", "1 real server"),
    (1000.0, "1,000", "1,000 real servers"),
    (2500.0, "2,500", "2,500 real servers"),
    (5000.0, "5,000", "5,000 real servers"),
    (10_000.0, "10,000", "10,000 real servers"),
];

/// A curve by checked real servers: file, title, what is expected, axis, and figures by series.
struct Curve {
    file: &'static str,
    title: &'static str,
    expected: &'static str,
    axis: &'static str,
    unit: &'static str,
    series: &'static [(&'static str, &'static str)],
}

const CURVES: [Curve; 2] = [
    Curve {
        file: "checkers-cpu.svg",
        title: "The daemon's share of a processor, by checked real servers",
        expected: "a straight line: a check costs the same however many there are",
        axis: "real servers, TCP_CHECK every 2 seconds; upwards: % of one processor",
        unit: "%",
        series: &[("CPU", "keepalived, processor, #")],
    },
    Curve {
        file: "checkers-memory.svg",
        title: "The daemon's memory, by checked real servers",
        expected: "two straight lines: in the end above what the program takes by itself, at most (while it starts) above what loading \
                   the eBPF programs takes",
        axis: "real servers, TCP_CHECK every 2 seconds; upwards: MiB",
        unit: "MiB",
        series: &[("in the end", "keepalived, memory, #"), ("at most", "keepalived, memory at most, #")],
    },
];

/// The section, with its plots.
pub(crate) fn section(measured: &Value) -> Result<Section> {
    let figures = measured["figures"].as_array().context("no figures in it")?;
    let mut section = Section::default();
    let _ = writeln!(
        section.text,
        "{}Medians of {} rounds, with the least and the greatest.",
        conditions(measured),
        measured["rounds"]
    );
    for curve in &CURVES {
        let svg = draw(curve, figures)?;
        section.plot(curve.file, curve.title, Some(curve.expected), svg);
    }
    let of = |figure: &Value| {
        let (name, unit) = (figure["figure"].as_str()?, figure["unit"].as_str()?);
        Some(Bar { name: format!("{name}, {unit}").replace('`', ""), value: figure["ratio"]["median"].as_f64()? })
    };
    let rows: Vec<_> = figures.iter().filter_map(of).collect();
    let title = "The control plane, to the originals";
    section.plot(
        "control.svg",
        title,
        None,
        bars(title, "less is better; 1 is ipvsadm 1.31 or keepalived 2.2.7", &rows),
    );
    section.text += "\n| Figure | unit | RVS | the original | ratio |\n|---|---|---|---|---|\n";
    for figure in figures {
        let text = |name: &str| figure[name].as_str().unwrap_or_default();
        let (ours, original) = (spread(&figure["ours"], 1), spread(&figure["original"], 1));
        let (name, unit, ratio) = (text("figure"), text("unit"), spread(&figure["ratio"], 2));
        let _ = writeln!(section.text, "| {name} | {unit} | {ours} | {original} | {ratio} |");
    }
    Ok(section)
}

fn draw(curve: &Curve, figures: &[Value]) -> Result<String> {
    let value = |name: &str| {
        let figure = figures.iter().find(|figure| figure["figure"] == name && figure["unit"] == curve.unit);
        figure
            .and_then(|figure| figure["ours"]["median"].as_f64())
            .with_context(|| format!("`{name}` has not been measured"))
    };
    let mut series = Vec::new();
    for (name, pattern) in curve.series {
        let values: Result<Vec<f64>> = COUNTS.iter().map(|(.., count)| value(&pattern.replace('#', count))).collect();
        series.push(Series { name: (*name).to_owned(), values: values? });
    }
    // The numbers are not evenly spaced, and a straight line is to be seen as one.
    let places: Vec<_> = COUNTS.iter().map(|(at, name, _)| (*at, *name)).collect();
    Ok(plot(curve.title, curve.axis, &places, &series))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn figure(name: &str, unit: &str, ratio: Value) -> Value {
        let triple = json!({ "min": 1.0, "median": 2.0, "max": 3.0 });
        json!({ "figure": name, "unit": unit, "ours": triple, "original": null, "ratio": ratio })
    }

    fn document() -> Value {
        let mut figures = vec![figure("`save`", "ms", json!({ "min": 0.1, "median": 0.2, "max": 0.3 }))];
        for (.., count) in COUNTS {
            for (curve, (_, pattern)) in
                CURVES.iter().flat_map(|curve| curve.series.iter().map(move |one| (curve, one)))
            {
                figures.push(figure(&pattern.replace('#', count), curve.unit, Value::Null));
            }
        }
        json!({ "rounds": 3, "figures": figures })
    }

    #[test]
    fn every_figure_is_a_row_and_those_with_a_ratio_are_bars() {
        let section = section(&document()).unwrap();
        assert!(
            section.text.contains("| `save` | ms | 2.0 (1.0 to 3.0) |  | 0.20 (0.10 to 0.30) |\n"),
            "{}",
            section.text
        );
        assert_eq!(section.plots.len(), CURVES.len() + 1);
        assert!(section.plots[2].1.contains("save, ms") && !section.plots[2].1.contains("real servers"));
    }

    #[test]
    fn a_curve_that_was_not_measured_is_an_error() {
        assert!(
            section(&json!({ "rounds": 3, "figures": [] })).unwrap_err().to_string().contains("has not been measured")
        );
    }
}
