//! Medians, ratios to plain forwarding, a table or JSON.

use crate::measure::Figures;
use crate::ways::Way;
use serde_json::{Value, json};

/// Rounds of all ways.
pub(crate) type All = Vec<(Way, Vec<Figures>)>;

/// A figure of a round.
type Pick = fn(&Figures) -> Option<f64>;

/// Figures of which more is better, with what tables call them.
const FIGURES: [(&str, Pick); 8] = [
    ("gigabits", |f| f.bulk[0]),
    ("gigabits_of_8", |f| f.bulk[1]),
    ("packets", |f| f.packets),
    ("connections", |f| f.connections),
    ("latency_50_us", |f| f.latency[0]),
    ("latency_90_us", |f| f.latency[1]),
    ("latency_99_us", |f| f.latency[2]),
    ("cpu_us", |f| f.cpu),
];

/// Least, middle and greatest of what there is.
fn spread(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    Some([*values.first()?, *values.get(values.len() / 2)?, *values.last()?])
}

fn own(all: &All, way: Way) -> &[Figures] {
    all.iter().find(|(other, _)| *other == way).map_or(&[], |(_, rounds)| rounds)
}

/// Of a way's figure, and of its ratio to plain forwarding in the same round.
fn figure(all: &All, way: Way, pick: Pick) -> (Option<[f64; 3]>, Option<[f64; 3]>) {
    let rounds = own(all, way);
    let ceiling = own(all, way.ceiling());
    let ratios = rounds.iter().zip(ceiling).filter_map(|(own, plain)| Some(pick(own)? / pick(plain)?));
    (spread(rounds.iter().filter_map(pick).collect()), spread(ratios.collect()))
}

/// Processor microseconds of a connection that are not the client's and the server's.
fn share(all: &All, way: Way) -> Option<[f64; 3]> {
    let alone = own(all, Way::Direct);
    spread(own(all, way).iter().zip(alone).filter_map(|(own, alone)| Some(own.cpu? - alone.cpu?)).collect())
}

/// One JSON document.
pub(crate) fn to_json(all: &All, rounds: usize, seconds: u64) -> Value {
    let triple = |values: Option<[f64; 3]>| {
        values.map_or(Value::Null, |[min, median, max]| json!({ "min": min, "median": median, "max": max }))
    };
    let ways: Vec<Value> = all
        .iter()
        .map(|(way, _)| {
            let mut row = json!({ "way": way.name(), "director_cpu_us": triple(share(all, *way)) });
            for (name, pick) in FIGURES {
                let (value, ratio) = figure(all, *way, pick);
                row[name] = triple(value);
                row[format!("{name}_to_plain")] = triple(ratio);
            }
            row
        })
        .collect();
    json!({ "rounds": rounds, "seconds": seconds, "ways": ways })
}

/// A table.
pub(crate) fn print(all: &All, rounds: usize, seconds: u64) {
    println!(
        "{:<22} {:>15} {:>15} {:>15} {:>15} {:>20} {:>15}",
        "", "Gbit/s", "of 8 streams", "k packets/s", "connections/s", "µs: 50 %, 99 %", "CPU µs, its own"
    );
    for (way, _) in all {
        let cell = |pick: Pick, unit: f64| match figure(all, *way, pick) {
            (Some([_, value, _]), Some([_, ratio, _])) => format!("{:.1} {ratio:>6.2}", value / unit),
            (Some([_, value, _]), None) => format!("{:.1}       ", value / unit),
            _ => String::new(),
        };
        let middle = |values: Option<[f64; 3]>| values.map_or_else(String::new, |[_, value, _]| format!("{value:.0}"));
        let at = |pick: Pick| middle(figure(all, *way, pick).0);
        println!(
            "{:<22} {:>15} {:>15} {:>15} {:>15} {:>20} {:>15}",
            way.name(),
            cell(FIGURES[0].1, 1.0),
            cell(FIGURES[1].1, 1.0),
            cell(FIGURES[2].1, 1e3),
            cell(FIGURES[3].1, 1.0),
            format!("{} {:>8}", at(FIGURES[4].1), at(FIGURES[6].1)),
            format!("{} {:>6}", at(FIGURES[7].1), middle(share(all, *way))),
        );
    }
    println!(
        "medians of {rounds} rounds of {seconds} s each, and ratios to plain forwarding; iperf3, a sender of our own (64 bytes, \
         1000 connections), wrk (32 clients, a connection for each request). CPU: microseconds of all processors for a connection, \
         and what is left without those of client and server"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_same_round_of_the_right_ceiling() {
        let rounds = |rates: &[f64]| {
            rates
                .iter()
                .map(|rate| Figures { connections: Some(*rate), cpu: Some(*rate), ..Figures::default() })
                .collect()
        };
        let all: All = vec![
            (Way::Direct, rounds(&[1.0, 2.0, 3.0])),
            (Way::Plain, rounds(&[10.0, 20.0, 40.0])),
            (Way::Tc(lab::Method::Nat), rounds(&[10.0, 10.0, 10.0])),
        ];
        let (value, ratio) = figure(&all, Way::Tc(lab::Method::Nat), |f| f.connections);
        assert_eq!((value, ratio), (Some([10.0; 3]), Some([0.25, 0.5, 1.0])));
        assert_eq!(share(&all, Way::Tc(lab::Method::Nat)), Some([7.0, 8.0, 9.0]));
        assert_eq!(figure(&all, Way::Xdp(lab::Method::Nat), |f| f.connections), (None, None));
    }
}
