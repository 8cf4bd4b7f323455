//! The figures of a director for Prometheus, in its text format: the series of node_exporter's `ipvs` collector under their
//! own names ([`ipvs`]), and ours ([`own`]). docs/metrics.md lists them all.
//!
//! Written family by family, straight to any writer: a large table is read once and not copied into text in memory. Nothing
//! is measured here, and nothing kept from one time to the next.

mod family;
mod ipvs;
mod own;

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;

use rvs_core::verdict::Reason;
use rvs_intent::{Listing, Totals};
use std::io::{self, Write};

/// All that there is to tell.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The table with its counters.
    pub listing: Listing,
    /// The counters of all services together.
    pub totals: Totals,
    /// What only a director has; `None` where there is none.
    pub director: Option<Director>,
}

/// What a director tells of itself.
#[derive(Clone, Debug)]
pub struct Director {
    /// Packets by reason.
    pub reasons: Vec<(Reason, u64)>,
    /// How full each table is: its name, entries in use, entries there can be.
    pub tables: Vec<(&'static str, u64, u64)>,
    /// Deleted destinations that are remembered for their connections.
    pub remembered: u64,
    /// Memory of all tables, in bytes.
    pub memory: u64,
    /// Memory of one connection, in bytes.
    pub connection_bytes: u64,
    /// Whether connections expire.
    pub ticking: bool,
    /// Changes of the configuration so far.
    pub changes: u64,
    /// Version of the records in the tables.
    pub abi: u32,
    /// Release of the kernel.
    pub kernel: String,
    /// The interfaces, each with what is attached to it.
    pub interfaces: Vec<(String, &'static str)>,
}

/// Writes everything.
///
/// # Errors
/// Those of the writer.
pub fn write(figures: &Figures, out: &mut dyn Write) -> io::Result<()> {
    ipvs::write(figures, out)?;
    own::write(figures, out)
}

/// Names of all families, ours and node_exporter's.
pub fn names() -> Vec<&'static str> {
    ipvs::names().into_iter().chain(own::names()).collect()
}
