//! Traffic through namespaces: the document of the laboratory's `bench`.

use crate::section::{Section, cell, conditions, spread};
use anyhow::{Context, Result};
use rvs_benches::bars::{Bar, bars};
use serde_json::Value;
use std::fmt::Write as _;

/// Columns: title, field, divisor's decimal digits shown. The ratio to plain forwarding stands in the field's `_to_plain`.
const COLUMNS: [(&str, &str, f64, usize); 4] = [
    ("Gbit/s", "gigabits", 1.0, 1),
    ("of 8 streams", "gigabits_of_8", 1.0, 1),
    ("k packets/s", "packets", 1e3, 0),
    ("connections/s", "connections", 1.0, 0),
];

/// Plots: file, title, field.
const PLOTS: [(&str, &str, &str); 3] = [
    ("throughput-bulk.svg", "Bulk TCP of eight streams, to plain forwarding", "gigabits_of_8_to_plain"),
    ("throughput-packets.svg", "Packets per second, to plain forwarding", "packets_to_plain"),
    ("throughput-connections.svg", "Connections per second, to plain forwarding", "connections_to_plain"),
];

/// The section, with its plots.
pub(crate) fn section(measured: &Value) -> Result<Section> {
    let ways = measured["ways"].as_array().context("no ways in it")?;
    let mut section = Section::default();
    let _ = writeln!(
        section.text,
        "{}Medians of {} rounds of {} s each; behind each figure its ratio to plain forwarding in the same round, with the least \
         and the greatest.",
        conditions(measured),
        measured["rounds"],
        measured["seconds"]
    );
    for (file, title, field) in PLOTS {
        let of =
            |way: &Value| Some(Bar { name: way["way"].as_str()?.to_owned(), value: way[field]["median"].as_f64()? });
        let rows: Vec<_> = ways.iter().filter_map(of).collect();
        section.plot(file, title, None, bars(title, "more is better; 1 is plain forwarding", &rows));
    }
    section.text += "\n| Way |";
    COLUMNS.iter().for_each(|(title, ..)| section.text += &format!(" {title} |"));
    section.text += " latency, µs: 50 % | 90 % | 99 % | CPU µs of a connection | … its own |\n";
    section.text += &format!("|---|{}\n", "---|".repeat(COLUMNS.len() + 5));
    for way in ways {
        section.text += &row(way);
    }
    Ok(section)
}

fn row(way: &Value) -> String {
    let mut row = format!("| {} |", way["way"].as_str().unwrap_or_default());
    for (_, field, unit, digits) in COLUMNS {
        let value =
            way[field]["median"].as_f64().map_or_else(String::new, |value| format!("{:.digits$}", value / unit));
        let ratio = spread(&way[format!("{field}_to_plain")], 2);
        let _ = write!(row, " {} |", format!("{value} · {ratio}").trim_matches([' ', '·']));
    }
    for field in ["latency_50_us", "latency_90_us", "latency_99_us", "cpu_us", "director_cpu_us"] {
        let _ = write!(row, " {} |", cell(&way[field]["median"], 0));
    }
    row + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_way_is_a_row_and_a_bar() {
        let triple = |value: f64| json!({ "min": value, "median": value, "max": value });
        let ways = json!([{ "way": "nginx", "connections": triple(1234.0), "connections_to_plain": triple(0.5) }]);
        let section = section(&json!({ "rounds": 1, "seconds": 1, "ways": ways })).unwrap();
        assert!(
            section.text.contains("| nginx |  |  |  | 1234 · 0.50 (0.50 to 0.50) |  |  |  |  |  |"),
            "{}",
            section.text
        );
        assert!(section.plots[2].1.contains("nginx") && !section.plots[0].1.contains("nginx"));
        assert!(super::section(&json!({})).is_err());
    }
}
