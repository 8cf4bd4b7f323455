//! Line plots as SVG: what grows to the right, what it costs upwards. Pure; no fonts and no colours beyond what every viewer has.

use std::fmt::Write as _;

/// One line of a plot: its name, and a value for each place on the axis.
#[derive(Clone, Debug)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// By place on the axis.
    pub values: Vec<f64>,
}

const COLOURS: [&str; 8] = ["#777777", "#1b6ca8", "#c0392b", "#1e8449", "#8e44ad", "#d68910", "#117a65", "#5d4037"];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Places on an axis that are spaced evenly.
pub fn evenly<'a>(names: &[&'a str]) -> Vec<(f64, &'a str)> {
    names.iter().enumerate().map(|(place, name)| (place as f64, *name)).collect()
}

/// A plot; places on the axis, in ascending order, have a number and a name. Texts hold nothing that XML would take for its own.
pub fn plot(title: &str, axis: &str, places: &[(f64, &str)], series: &[Series]) -> String {
    let greatest = series.iter().flat_map(|line| &line.values).copied().fold(1.0, f64::max);
    let first = places.first().map_or(0.0, |place| place.0);
    let width = places.last().map_or(0.0, |place| place.0 - first).max(1.0);
    let x = |place: usize| {
        let at = places.get(place).map_or(0.0, |place| place.0 - first);
        LEFT + (WIDTH - LEFT - RIGHT) * at / width
    };
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / greatest;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{title}</text>\n"
    );
    for part in 0..=4 {
        let value = greatest * f64::from(part) / 4.0;
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>");
        let text = LEFT - 6.0;
        let _ = writeln!(svg, "<text x=\"{text}\" y=\"{:.1}\" text-anchor=\"end\">{value:.1}</text>", at + 4.0);
    }
    for (place, (_, name)) in places.iter().enumerate() {
        let under = HEIGHT - BOTTOM + 18.0;
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{under}\" text-anchor=\"middle\">{name}</text>", x(place));
    }
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{}\">{axis}</text>", HEIGHT - 10.0);
    for (number, line) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<_> =
            line.values.iter().enumerate().map(|(place, value)| format!("{:.1},{:.1}", x(place), y(*value))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        let (at, right) = (TOP + 18.0 * number as f64 + 10.0, WIDTH - RIGHT + 14.0);
        let _ = writeln!(svg, "<text x=\"{right}\" y=\"{at}\" fill=\"{colour}\">{}</text>", line.name);
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_line_is_flat_and_a_growing_one_rises() {
        let line = |name: &str, values: &[f64]| Series { name: name.into(), values: values.to_vec() };
        let svg =
            plot("t", "connections", &evenly(&["1", "2"]), &[line("flat", &[1.0, 1.0]), line("grows", &[1.0, 2.0])]);
        let points: Vec<&str> = svg.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(points, ["60.0,155.0 490.0,155.0", "60.0,155.0 490.0,40.0"]);
    }

    #[test]
    fn places_lie_where_their_numbers_are() {
        let line = Series { name: "straight".into(), values: vec![0.0, 1.0, 4.0] };
        let svg = plot("t", "a", &[(0.0, "0"), (1.0, "1"), (4.0, "4")], &[line]);
        assert!(svg.contains("points=\"60.0,270.0 167.5,212.5 490.0,40.0\""), "{svg}");
    }
}
