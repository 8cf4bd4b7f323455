//! Room for lists of destinations in the map `LISTS`, and for tables in `TABLES`: next-fit over what is in use.
//!
//! A long list begins at the first entry of a block and has all blocks that it reaches into for itself, because what packets
//! remember of a block's members is kept by block.
//!
//! Next-fit makes reuse of a freed extent as late as possible, so that no packet still reads it; only when the search wraps
//! around can it happen soon, and then the planner asks for a grace period.

use rvs_core::abi::BLOCK_ENTRIES;
use std::ops::Range;

/// The entries that a list of `count` takes.
pub(crate) const fn span(count: u32) -> u32 {
    if count > BLOCK_ENTRIES { count.next_multiple_of(BLOCK_ENTRIES) } else { count }
}

const fn aligned(at: u32, count: u32) -> u32 {
    if count > BLOCK_ENTRIES { at.next_multiple_of(BLOCK_ENTRIES) } else { at }
}

/// Finds room for lists.
#[derive(Debug)]
pub(crate) struct Extents {
    capacity: u32,
    /// What is in use, in order of the starts.
    used: Vec<Range<u32>>,
    /// Next of `used` at or after the cursor.
    at: usize,
    cursor: u32,
    start: u32,
    /// What was handed out and is not yet in `used`.
    taken: Vec<Range<u32>>,
    wrapped: bool,
}

impl Extents {
    /// Over `capacity` entries of which `used` are in use (overlaps and empty ranges allowed), searching from `cursor` on.
    pub(crate) fn new(capacity: u32, cursor: u32, used: impl IntoIterator<Item = Range<u32>>) -> Self {
        let cursor = if cursor < capacity { cursor } else { 0 };
        let mut extents = Self {
            capacity,
            used: used.into_iter().filter(|range| !range.is_empty()).collect(),
            at: 0,
            cursor,
            start: cursor,
            taken: Vec::new(),
            wrapped: false,
        };
        extents.seek();
        extents
    }

    fn seek(&mut self) {
        self.used.sort_unstable_by_key(|range| range.start);
        // A range that begins before the cursor may reach over it.
        let before = self.used.partition_point(|range| range.start < self.cursor);
        let reach = self.used[..before].iter().map(|range| range.end).max().unwrap_or(0);
        self.cursor = self.cursor.max(reach.min(self.capacity));
        self.at = before;
    }

    /// The first of `count` adjacent free entries for a list; `None` when there are none.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        self.find(count, |at| aligned(at, count), span(count))
    }

    /// The first of `count` adjacent free rows for a table.
    pub(crate) fn take_rows(&mut self, count: u32) -> Option<u32> {
        self.find(count, |at| at, count)
    }

    fn find(&mut self, count: u32, begin: impl Fn(u32) -> u32, span: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        loop {
            let end = self.used.get(self.at).map_or(self.capacity, |range| range.start);
            let limit = if self.wrapped { end.min(self.start) } else { end };
            let first = begin(self.cursor);
            if first.checked_add(span).is_some_and(|to| to <= limit) {
                self.cursor = first + span;
                self.taken.push(first..self.cursor);
                return Some(first);
            }
            match self.used.get(self.at) {
                Some(range) if !(self.wrapped && range.start >= self.start) => {
                    self.cursor = self.cursor.max(range.end);
                    self.at += 1;
                }
                _ if self.wrapped => return None,
                _ => {
                    self.wrapped = true;
                    self.cursor = 0;
                    self.used.append(&mut self.taken);
                    self.seek();
                }
            }
        }
    }

    /// Where the next search should start.
    pub(crate) fn cursor(&self) -> u32 {
        self.cursor
    }

    /// Whether room was used that lies before the point where the search began.
    pub(crate) fn wrapped(&self) -> bool {
        self.wrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn room_is_found_behind_the_cursor_first_and_then_from_the_start() {
        let mut extents = Extents::new(10, 6, std::iter::once(7..8));
        assert_eq!(extents.take(2), Some(8));
        assert!(!extents.wrapped());
        assert_eq!(extents.take(3), Some(0));
        assert!(extents.wrapped());
        assert_eq!(extents.take(3), Some(3));
        assert_eq!(extents.take(3), None);
    }

    proptest! {
        #[test]
        fn extents_never_overlap_and_fill_the_map(
            used in prop::collection::vec((0u32..64, 0u32..6), 0..12),
            cursor in 0u32..80,
            sizes in prop::collection::vec(0u32..7, 0..24),
        ) {
            let used: Vec<_> = used.into_iter().map(|(first, count)| first..(first + count).min(64)).collect();
            let mut taken = [false; 64];
            used.iter().cloned().flatten().for_each(|at| taken[at as usize] = true);
            let mut extents = Extents::new(64, cursor, used);
            for size in sizes {
                let Some(first) = extents.take(size) else { continue };
                for at in first..first + size {
                    prop_assert!(!taken[at as usize], "entry {at} handed out twice");
                    taken[at as usize] = true;
                }
            }
        }

        #[test]
        fn long_lists_have_their_blocks_for_themselves(
            sizes in prop::collection::vec(1u32..100, 1..40),
            cursor in 0u32..700,
        ) {
            let mut extents = Extents::new(640, cursor, std::iter::once(30..40));
            let mut owner = [None; 20];
            for (n, size) in sizes.into_iter().enumerate() {
                let Some(first) = extents.take(size) else { continue };
                prop_assert!(first + size <= 640);
                if size > BLOCK_ENTRIES {
                    prop_assert!(first.is_multiple_of(BLOCK_ENTRIES));
                    owner[first as usize / 32..(first + size).div_ceil(32) as usize].fill(Some(n));
                } else {
                    prop_assert!(owner[first as usize / 32..(first + size).div_ceil(32) as usize].iter().all(Option::is_none));
                }
            }
        }

        #[test]
        fn single_entries_are_found_while_there_are_any(used in prop::collection::btree_set(0u32..32, 0..32), cursor in 0u32..32) {
            let mut extents = Extents::new(32, cursor, used.iter().map(|at| *at..at + 1));
            let found = std::iter::from_fn(|| extents.take(1)).count();
            prop_assert_eq!(found, 32 - used.len());
        }
    }
}
