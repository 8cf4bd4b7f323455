//! Rules of our own that mark packets, matched where connections begin. The list is replaced as a whole: two halves of the map,
//! and one word that says which holds and how many rules it has.

use super::failed;
use super::maps::Maps;
use crate::Error;
use rvs_core::abi::{MARK_RULES, MarkRule};
use std::io;

/// Most rules at once.
pub const MAX_RULES: usize = MARK_RULES as usize / 2;

/// The rules that hold, in the order in which they are tried.
pub(super) fn read(maps: &Maps) -> Result<Vec<MarkRule>, Error> {
    let word = maps.control()?.mark_rules.get();
    let (first, count) = (word >> 16, word & 0xffff);
    (first..first + count).map(|index| maps.mark_rule(index)).collect()
}

/// Replaces them all, at once. The lock must be held.
pub(super) fn write(maps: &mut Maps, rules: &[MarkRule]) -> Result<(), Error> {
    if rules.len() > MAX_RULES {
        return Err(failed(format!("at most {MAX_RULES} rules for marks"), io::ErrorKind::QuotaExceeded.into()));
    }
    let other = if maps.control()?.mark_rules.get() >> 16 == 0 { MAX_RULES as u32 } else { 0 };
    for (index, rule) in (other..).zip(rules) {
        maps.set_mark_rule(index, rule)?;
    }
    maps.set_mark_word(other << 16 | rules.len() as u32)
}
