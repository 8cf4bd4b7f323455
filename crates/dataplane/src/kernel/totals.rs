//! The figures of the whole director, as `/proc/net/ip_vs_stats` has them in IPVS: all services since the director exists,
//! deleted ones included, or since the last `ipvsadm -Z` of everything. The lock is held by the caller.
//!
//! The counters of services only ever grow and indexes keep what earlier services counted, so that the total is their sum;
//! what zeroing subtracts is noted beside the maps.

use super::change::image::Image;
use super::home::Home;
use super::listing;
use super::maps::Maps;
use crate::Error;
use rvs_core::abi::Counters;
use rvs_intent::Totals;
use rvs_intent::observed::{minus, plus};

/// The fact that holds the totals at the last zeroing.
const ZEROED_FACT: &str = "zeroed";

/// Reads the totals.
pub(crate) fn read(home: &Home, maps: &Maps) -> Result<Totals, Error> {
    let image = Image::capture(maps)?;
    let per_cpu = maps.cpu_counters(image.heads.services_used)?;
    let zeroed = home.fact(ZEROED_FACT).and_then(|text| parse(&text)).unwrap_or_default();
    let ewma = image.order().into_iter().map(|id| maps.service_rate(id).ewma);
    Ok(Totals {
        counters: minus(&sum(&per_cpu), &zeroed),
        // Added up before they are rounded: many services with little traffic each are not nothing.
        rates: listing::rates(&ewma.fold(Counters::default(), |sum, one| plus(&sum, &one))),
        per_cpu,
    })
}

/// Takes the present totals as zero.
pub(crate) fn zero(home: &Home, maps: &Maps) -> Result<(), Error> {
    let used = Image::capture(maps)?.heads.services_used;
    home.note(ZEROED_FACT, &print(&sum(&maps.cpu_counters(used)?)))
}

fn sum(cpus: &[Counters]) -> Counters {
    cpus.iter().fold(Counters::default(), |sum, cpu| plus(&sum, cpu))
}

fn print(counters: &Counters) -> String {
    let Counters { conns, in_pkts, out_pkts, in_bytes, out_bytes } = counters;
    format!("{conns} {in_pkts} {out_pkts} {in_bytes} {out_bytes}")
}

fn parse(text: &str) -> Option<Counters> {
    let mut numbers = text.split(' ').map(|word| word.parse().ok());
    let mut next = || numbers.next().flatten();
    Some(Counters { conns: next()?, in_pkts: next()?, out_pkts: next()?, in_bytes: next()?, out_bytes: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let counters = Counters { conns: 1, in_pkts: 2, out_pkts: 3, in_bytes: u64::MAX, out_bytes: 5 };
        assert_eq!(parse(&print(&counters)), Some(counters));
        assert_eq!(parse("1 2 3 4"), None);
        assert_eq!(parse("1 2 3 4 many"), None);
    }
}
