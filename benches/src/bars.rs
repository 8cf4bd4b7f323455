//! Bar plots as SVG: names from top to bottom, ratios to the right, a line where the ratio is 1. Pure.

use std::fmt::Write as _;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What stands before it.
    pub name: String,
    /// Its length.
    pub value: f64,
}

const WIDTH: f64 = 820.0;
const LEFT: f64 = 440.0;
const RIGHT: f64 = 50.0;
/// The longest bar: what is longer ends here, and its number tells how long it is.
const MOST: f64 = 4.0;
const TOP: f64 = 36.0;
const ROW: f64 = 20.0;
const BOTTOM: f64 = 28.0;

/// A plot; its height goes by the number of bars. Texts hold nothing that XML would take for its own.
pub fn bars(title: &str, axis: &str, rows: &[Bar]) -> String {
    let greatest = rows.iter().map(|row| row.value.min(MOST)).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / greatest;
    let height = TOP + ROW * rows.len() as f64 + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"14\">{title}</text>\n"
    );
    for (number, row) in rows.iter().enumerate() {
        let top = TOP + ROW * number as f64;
        let (under, long) = (top + 14.0, row.value.clamp(0.0, MOST) * scale);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{under:.1}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, row.name);
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{long:.1}\" height=\"{:.1}\" fill=\"#1b6ca8\"/>",
            top + 3.0,
            ROW - 6.0
        );
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{under:.1}\">{:.2}</text>", LEFT + long + 4.0, row.value);
    }
    let (one, end) = (LEFT + scale, height - BOTTOM);
    let _ = writeln!(
        svg,
        "<line x1=\"{one:.1}\" y1=\"{TOP}\" x2=\"{one:.1}\" y2=\"{end:.1}\" stroke=\"#c0392b\" stroke-dasharray=\"4 3\"/>"
    );
    let _ = writeln!(svg, "<text x=\"10\" y=\"{:.1}\">{axis}</text>", height - 9.0);
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, value| Bar { name: name.into(), value };
        let widths = |rows: &[Bar]| {
            let svg = bars("t", "a", rows);
            svg.split("<rect x=").skip(1).map(|bar| bar.split('"').nth(5).unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(widths(&[bar("half", 0.5), bar("twice", 2.0), bar("below", -1.0)]), ["82.5", "330.0", "0.0"]);
        assert_eq!(widths(&[bar("one", 1.0), bar("far", 80.0)]), ["82.5", "330.0"]);
        assert!(bars("t", "a", &[bar("far", 80.0)]).contains("80.00"));
    }
}
