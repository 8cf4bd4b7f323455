//! Room for lists of destinations in the map `LISTS`: next-fit over what is in use.
//!
//! Next-fit makes reuse of a freed extent as late as possible, so that no packet still reads it; only when the search wraps
//! around can it happen soon, and then the planner asks for a grace period.

use std::ops::Range;

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

    /// The first of `count` adjacent free entries; `None` when there are none.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        loop {
            let end = self.used.get(self.at).map_or(self.capacity, |range| range.start);
            let limit = if self.wrapped { end.min(self.start) } else { end };
            if self.cursor.checked_add(count).is_some_and(|to| to <= limit) {
                let first = self.cursor;
                self.cursor += count;
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
        fn single_entries_are_found_while_there_are_any(used in prop::collection::btree_set(0u32..32, 0..32), cursor in 0u32..32) {
            let mut extents = Extents::new(32, cursor, used.iter().map(|at| *at..at + 1));
            let found = std::iter::from_fn(|| extents.take(1)).count();
            prop_assert_eq!(found, 32 - used.len());
        }
    }
}
