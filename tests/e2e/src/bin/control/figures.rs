//! Figures of several rounds, ours beside the original's: least, middle, greatest, and ratios; a table or JSON. Pure.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// What the lines of the virtual machine begin with.
const MARK: &str = "rvs-control: ";

/// What one figure counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Milliseconds.
    Millis,
    /// Mebibytes.
    Mebibytes,
    /// Hundredths of one processor.
    Percent,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Millis, Self::Mebibytes, Self::Percent];

    /// Its sign.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Millis => "ms",
            Self::Mebibytes => "MiB",
            Self::Percent => "%",
        }
    }
}

/// Whose program was measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// The one of this project.
    Ours,
    /// What it stands in for.
    Original,
}

/// One figure, by rounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    name: String,
    unit: Unit,
    ours: Vec<f64>,
    original: Vec<f64>,
}

/// All figures, in the order in which they first came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Enters what a round found.
    pub(crate) fn add(&mut self, name: &str, unit: Unit, whose: Whose, value: f64) {
        let place = self.0.iter().position(|figure| figure.name == name && figure.unit == unit);
        let place = place.unwrap_or_else(|| {
            self.0.push(Figure { name: name.into(), unit, ours: Vec::new(), original: Vec::new() });
            self.0.len() - 1
        });
        if let Some(figure) = self.0.get_mut(place) {
            let values = if whose == Whose::Ours { &mut figure.ours } else { &mut figure.original };
            values.push(value);
        }
    }

    /// Enters a line of the virtual machine: `rvs-control: ours ms 12.5 NAME`. Other lines are not ours to read.
    pub(crate) fn add_line(&mut self, line: &str) -> Result<()> {
        let Some(rest) = line.strip_prefix(MARK) else { return Ok(()) };
        let mut words = rest.splitn(4, ' ');
        let mut word = || words.next().with_context(|| format!("`{line}` ends too early"));
        let whose = match word()? {
            "ours" => Whose::Ours,
            "original" => Whose::Original,
            other => bail!("whose is `{other}`, in `{line}`?"),
        };
        let sign = word()?;
        let unit = Unit::ALL.into_iter().find(|unit| unit.sign() == sign);
        let unit = unit.with_context(|| format!("`{sign}` is no unit, in `{line}`"))?;
        let value: f64 = word()?.parse().with_context(|| format!("no number in `{line}`"))?;
        ensure!(value.is_finite() && value >= 0.0, "{value} cannot be, in `{line}`");
        self.add(word()?, unit, whose, value);
        Ok(())
    }

    /// One JSON document.
    pub(crate) fn to_json(&self, rounds: usize) -> Value {
        let rows: Vec<_> = self.0.iter().map(Figure::to_json).collect();
        json!({ "rounds": rounds, "figures": rows })
    }

    /// A table.
    pub(crate) fn print(&self, rounds: usize) {
        println!("{:<62} {:>24} {:>24} {:>18}", "", "RVS", "the original", "ratio");
        for figure in &self.0 {
            let cell = |values: Option<[f64; 3]>, digits| {
                values.map_or_else(String::new, |[min, median, max]| {
                    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
                })
            };
            let name = format!("{}, {}", figure.name, figure.unit.sign());
            let (ours, original) = (cell(spread(&figure.ours), 1), cell(spread(&figure.original), 1));
            println!("{name:<62} {ours:>24} {original:>24} {:>18}", cell(figure.ratio(), 2));
        }
        println!("medians of {rounds} rounds, least and greatest; ratio: ours to the original's of the same round");
    }
}

impl Figure {
    /// Ours to the original's of the same round; none where one of them was not measured.
    fn ratio(&self) -> Option<[f64; 3]> {
        let both = self.ours.iter().zip(&self.original);
        spread(
            &both.filter(|(_, original)| **original > 0.0).map(|(ours, original)| ours / original).collect::<Vec<_>>(),
        )
    }

    fn to_json(&self) -> Value {
        let triple = |values: Option<[f64; 3]>| {
            values.map_or(Value::Null, |[min, median, max]| json!({ "min": min, "median": median, "max": max }))
        };
        json!({
            "figure": self.name, "unit": self.unit.sign(), "rounds": self.ours.len(), "ours": triple(spread(&self.ours)),
            "original": triple(spread(&self.original)), "ratio": triple(self.ratio()),
        })
    }
}

/// Least, middle and greatest; none of none.
fn spread(values: &[f64]) -> Option<[f64; 3]> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    Some([*values.first()?, *values.get(values.len() / 2)?, *values.last()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut figures = Figures::default();
        for (ours, original) in [(1.0, 10.0), (4.0, 8.0), (3.0, 10.0)] {
            figures.add("save", Unit::Millis, Whose::Ours, ours);
            figures.add("save", Unit::Millis, Whose::Original, original);
        }
        figures.add("alone", Unit::Percent, Whose::Ours, 7.0);
        let json = figures.to_json(3);
        assert_eq!(json["figures"][0]["ratio"], json!({ "min": 0.1, "median": 0.3, "max": 0.5 }));
        assert_eq!((&json["figures"][0]["ours"]["median"], &json["figures"][0]["rounds"]), (&json!(3.0), &json!(3)));
        assert_eq!((&json["figures"][1]["ratio"], &json["figures"][1]["original"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn lines_of_the_machine_are_read_and_bad_ones_refused() {
        let mut figures = Figures::default();
        figures.add_line("Linux 6.1").unwrap();
        figures.add_line("rvs-control: ours ms 12.5 save of 10,000 services").unwrap();
        figures.add_line("rvs-control: original ms 25 save of 10,000 services").unwrap();
        assert_eq!(figures.to_json(1)["figures"][0]["ratio"]["median"], 0.5);
        assert_eq!(figures.to_json(1)["figures"][0]["figure"], "save of 10,000 services");
        for bad in ["theirs ms 1 x", "ours h 1 x", "ours ms x x", "ours ms 1", "ours ms inf x", ""] {
            assert!(figures.add_line(&format!("{MARK}{bad}")).is_err(), "{bad}");
        }
    }
}
