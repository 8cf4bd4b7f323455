//! What the packet path has seen of new connections, for the ejection of outliers: the table counts, this compares with what it
//! counted before. Whether somebody leaves is decided elsewhere.

use super::Keeper;
use super::unit::place_of;
use rvs_checker::ServiceInput;
use rvs_core::abi::ServiceKey;
use rvs_intent::{ListedService, Openings};
use rvs_machine::{Machine as _, Time};
use std::collections::HashMap;
use std::net::SocketAddr;

/// The counters of each destination when they were last looked at.
pub(super) type Seen = HashMap<(ServiceKey, SocketAddr), Openings>;

/// More failures than this at once say nothing more.
const MOST: u32 = 10_000;

/// How many connections failed between two looks, and whether any came about. A counter that went back belongs to a destination
/// that is there anew.
fn between(before: Openings, now: Openings) -> (u32, bool) {
    let grown = |before: u32, now: u32| {
        let by = now.wrapping_sub(before);
        if by > u32::MAX / 2 { now } else { by }
    };
    let failed = grown(before.refused, now.refused).saturating_add(grown(before.unanswered, now.unanswered));
    (failed.min(MOST), grown(before.answered, now.answered) > 0)
}

impl Keeper {
    /// Whether anybody wants to know what becomes of new connections.
    fn observes(&self) -> bool {
        self.units.iter().any(|unit| unit.server.params.outlier.is_some())
    }

    /// Looks at what has become of new connections since the last time; to be called every second or two.
    pub fn observe(&mut self, now: Time) {
        if !self.observes() {
            return self.openings.clear();
        }
        // A table that does not answer is told of where it is changed.
        let Ok(listing) = self.table.listing() else { return };
        let by_key: HashMap<ServiceKey, &ListedService> =
            listing.services.iter().map(|listed| (listed.service.key, listed)).collect();
        let before = std::mem::take(&mut self.openings);
        for at in 0..self.units.len() {
            let server = &self.units[at].server;
            if server.params.outlier.is_none() {
                continue;
            }
            let mut seen: HashMap<SocketAddr, (u32, bool)> = HashMap::new();
            for member in &server.members {
                let Some(listed) = by_key.get(&member.key) else { continue };
                let figures: HashMap<SocketAddr, Openings> =
                    listed.dests.iter().map(|dest| (place_of(&dest.dest), dest.openings)).collect();
                for (real, dest) in &server.dests {
                    let place = place_of(&server.place(member, dest));
                    let Some(openings) = figures.get(&place) else { continue };
                    self.openings.insert((member.key, place), *openings);
                    // Of one that is new to us nothing is known to be recent.
                    let Some(known) = before.get(&(member.key, place)) else { continue };
                    let (failed, answered) = between(*known, *openings);
                    let sum = seen.entry(*real).or_default();
                    *sum = (sum.0.saturating_add(failed), sum.1 | answered);
                }
            }
            self.report(now, at, seen);
        }
    }

    fn report(&mut self, now: Time, at: usize, seen: HashMap<SocketAddr, (u32, bool)>) {
        for (real, (failed, answered)) in seen {
            // Whoever accepts some has not failed many in a row.
            let times = if answered { 1 } else { failed };
            for _ in 0..times {
                self.units[at].service.handle(now, ServiceInput::Passive { real, answered });
            }
            if times > 0 {
                self.collect(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_round_and_begin_anew() {
        let of = |answered, refused, unanswered| Openings { answered, refused, unanswered };
        assert_eq!(between(of(1, 1, 1), of(1, 1, 1)), (0, false));
        assert_eq!(between(of(1, 1, 1), of(2, 3, 5)), (6, true));
        assert_eq!(between(of(0, 0, u32::MAX - 1), of(0, 0, 1)), (3, false));
        assert_eq!(between(of(900, 0, 700), of(0, 0, 2)), (2, false));
    }
}
