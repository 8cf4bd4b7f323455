//! Beside the kernel's IPVS: the document of the virtual machine.

use crate::section::{Section, cell};
use anyhow::{Context, Result};
use rvs_benches::bars::{Bar, bars};
use serde_json::Value;
use std::fmt::Write as _;

/// The section, with its plot.
pub(crate) fn section(measured: &Value) -> Result<Section> {
    let cases = measured["cases"].as_array().context("no cases in it")?;
    let mut section = Section::default();
    let _ = writeln!(
        section.text,
        "Linux {}, emulated, mitigations off; instructions per packet, without the sender's. Names: engine, method, connections, \
         whether they are known already.",
        measured["kernel"].as_str().unwrap_or("of no version")
    );
    let wire = cases.iter().find(|case| case["case"] == "xdp/wire").and_then(|case| case["instructions"].as_f64());
    let of = |case: &Value| {
        let name = case["case"].as_str()?;
        if name.starts_with("tc/") {
            return Some(Bar { name: name.to_owned(), value: case["to_ipvs"].as_f64()? });
        }
        Some(Bar { name: format!("{name}, without the cable"), value: without(case, wire)? })
    };
    let rows: Vec<_> = cases.iter().filter_map(of).collect();
    let title = "Instructions of a packet, to those of IPVS";
    section.plot("guest.svg", title, None, bars(title, "less is better; 1 is IPVS in the same case", &rows));
    section.text +=
        "\n| Case | instructions | to plain forwarding | to IPVS | … without the cable |\n|---|---|---|---|---|\n";
    for case in cases {
        let name = case["case"].as_str().unwrap_or_default();
        let (instructions, plain) = (cell(&case["instructions"], 0), cell(&case["to_plain"], 2));
        let (ipvs, without) = (cell(&case["to_ipvs"], 2), without(case, wire).map(Value::from).unwrap_or_default());
        let _ = writeln!(section.text, "| {name} | {instructions} | {plain} | {ipvs} | {} |", cell(&without, 2));
    }
    Ok(section)
}

/// The ratio of a case at XDP to IPVS, less the `wire` that only XDP's packets leave through; none of other cases.
fn without(case: &Value, wire: Option<f64>) -> Option<f64> {
    if !case["case"].as_str()?.starts_with("xdp/") {
        return None;
    }
    let (own, ratio) = (case["instructions"].as_f64()?, case["to_ipvs"].as_f64()?);
    Some(ratio * (own - wire?) / own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_cable_is_taken_off_at_xdp_only() {
        let case = |name: &str| json!({ "case": name, "instructions": 2000.0, "to_ipvs": 0.5 });
        assert_eq!(without(&case("xdp/DR/1/known"), Some(1000.0)), Some(0.25));
        assert_eq!((without(&case("tc/DR/1/known"), Some(1000.0)), without(&case("xdp/x"), None)), (None, None));
    }

    #[test]
    fn ours_are_bars_and_all_are_rows() {
        let case = |name: &str, ratio: Value| json!({ "case": name, "instructions": 1730.4, "to_plain": 1.0, "to_ipvs": ratio });
        let cases = json!([case("plain/-/1/known", Value::Null), case("tc/DR/1/known", json!(0.5))]);
        let section = section(&json!({ "kernel": "6.1", "cases": cases })).unwrap();
        assert!(
            section
                .text
                .contains("| plain/-/1/known | 1730 | 1.00 |  |  |\n| tc/DR/1/known | 1730 | 1.00 | 0.50 |  |\n")
        );
        assert!(section.plots[0].1.contains("tc/DR") && !section.plots[0].1.contains("plain/-"));
    }
}
