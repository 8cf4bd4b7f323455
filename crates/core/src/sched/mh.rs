//! Maglev hashing: like source hashing, by a table in which every server claims places in an order of its own, so that few
//! clients move when servers come or go.
//!
//! A server's claim is after its last weight that was not zero: quiescing one moves nobody else. `mh-port` adds the client's
//! port, `mh-fallback` looks further when the server takes no connections.

use super::{Candidates, Request, Scheduler, Step, Walk, hash, wrr};
use crate::abi::{NO_PLACE, SchedState, flags};
use rvs_wire::{Addr, Be16};

/// Places: a prime number, the kernel's default.
pub(super) const PLACES: u32 = 4093;

/// Key of the hash that says where in the table a client or a server begins.
const FIRST_KEY: u64 = 2_654_435_761;
/// Key of the hash that says in which steps a server goes on.
const STEP_KEY: u64 = 2_654_446_892;

/// `mh`.
#[derive(Debug)]
pub struct Mh;

impl Scheduler for Mh {
    #[inline(always)]
    fn pick<C: Candidates>(list: &C, request: &Request<'_>, _state: &mut SchedState) -> Option<u32> {
        let port = if request.flags & flags::SCHED_2 != 0 { request.key.sport } else { Be16::ZERO };
        let client = hash::endpoint(request.key.src, port);
        let first = hash::sip(client, FIRST_KEY) % PLACES;
        let index = list.place(first)?;
        if list.candidate(index)?.usable() {
            return Some(index);
        }
        if request.flags & flags::SCHED_1 == 0 {
            return None;
        }
        list.repeat(PLACES, &(), Fallback { client, first, found: None }).found
    }
}

/// Hashes the client together with one number after the other.
#[derive(Clone, Copy)]
struct Fallback {
    client: u32,
    first: u32,
    found: Option<u32>,
}

impl Step for Fallback {
    type Over = ();

    #[inline(always)]
    fn step<C: Candidates>(&mut self, list: &C, (): &(), number: u32) -> Walk {
        let number = number.wrapping_add(self.first) % PLACES;
        let place = hash::sip(self.client.wrapping_add(number), FIRST_KEY) % PLACES;
        let Some(index) = list.place(place) else { return Walk::Break };
        if !list.candidate(index).is_some_and(|candidate| candidate.usable()) {
            return Walk::Continue;
        }
        self.found = Some(index);
        Walk::Break
    }
}

/// What a server's claim depends on.
#[derive(Clone, Copy, Debug)]
pub struct Claimant {
    /// Its address.
    pub addr: Addr,
    /// Its port.
    pub port: Be16,
    /// Its last weight that was not 0.
    pub last_weight: i32,
}

/// Where a server's claim stands while the table is filled.
#[derive(Clone, Copy, Default, Debug)]
pub struct Claim {
    place: u32,
    step: u32,
    turns: u32,
}

/// Fills the table in rounds, in each of which every server takes as many places as its share of the weights says. `claims`
/// is room for one entry each; of more servers than places only the oldest, at the list's end, take part.
pub(super) fn populate(
    servers: impl ExactSizeIterator<Item = Claimant> + Clone,
    claims: &mut [Claim],
    table: &mut [u16],
) {
    table.fill(NO_PLACE);
    let late = servers.len().saturating_sub(table.len());
    let weights = servers.clone().skip(late).map(|server| server.last_weight).filter(|weight| *weight > 0);
    let Some(divisor) = weights.clone().reduce(wrr::gcd) else { return };
    let most = (weights.max().unwrap_or(0) / divisor) as u32;
    // Six bits of resolution: else a heavy server would take all in the first round.
    let shift = (u32::BITS - most.leading_zeros()).saturating_sub(6);
    for (claim, server) in claims.iter_mut().zip(servers).skip(late) {
        let start = hash::endpoint(server.addr, server.port);
        let shares = (server.last_weight.max(0) / divisor) as u32 >> shift;
        *claim = Claim {
            place: hash::sip(start, FIRST_KEY) % PLACES,
            step: hash::sip(start, STEP_KEY) % (PLACES - 1) + 1,
            turns: shares.max((server.last_weight > 0) as u32),
        };
    }
    let mut left = table.len();
    loop {
        for (index, claim) in claims.iter_mut().enumerate().skip(late) {
            for _ in 0..claim.turns {
                // The number of places is prime: the steps lead everywhere before they come round, and one is free.
                while table[claim.place as usize] != NO_PLACE {
                    claim.place = (claim.place + claim.step) % PLACES;
                }
                table[claim.place as usize] = index as u16;
                left -= 1;
                if left == 0 {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, testing::sequence_by_client};
    use super::*;
    use core::net::Ipv4Addr;
    use std::vec;

    #[test]
    fn as_recorded() {
        let wanted = [1, 3, 2, 2, 1, 2, 2, 3, 3, 2, 3, 3, 3, 3, 3, 2, 1, 3, 3, 2, 3, 3, 1, 3];
        assert_eq!(sequence_by_client(Kind::Mh, 0, &[1, 2, 3]), wanted.map(Some));
    }

    #[test]
    fn with_the_port() {
        let wanted = [1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 3, 1, 1, 3, 3, 2];
        assert_eq!(sequence_by_client(Kind::Mh, flags::SCHED_2, &[5, 1, 1]), wanted.map(Some));
    }

    #[test]
    fn with_more_servers_than_places_the_table_is_full_all_the_same() {
        let servers = (0..PLACES + 7).map(|n| Claimant {
            addr: Ipv4Addr::from(0x0a00_0000 + n).into(),
            port: Be16::new(80),
            last_weight: 1,
        });
        let servers: std::vec::Vec<_> = servers.collect();
        let mut claims = vec![Claim::default(); servers.len()];
        let mut table = vec![0; PLACES as usize];
        populate(servers.iter().copied(), &mut claims, &mut table);
        table.sort_unstable();
        assert!(table.iter().copied().eq(7..7 + PLACES as u16));
    }

    #[test]
    fn nobody_claims_when_all_were_added_with_weight_zero() {
        let server = Claimant { addr: Addr::UNSPECIFIED, port: Be16::ZERO, last_weight: 0 };
        let mut table = vec![0; PLACES as usize];
        populate([server].into_iter(), &mut [Claim::default()], &mut table);
        assert!(table.iter().all(|place| *place == NO_PLACE));
    }
}
