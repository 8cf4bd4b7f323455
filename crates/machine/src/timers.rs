//! The timers of a machine: one per key, the earliest first.

use crate::Time;
use alloc::collections::{BTreeMap, BTreeSet};

/// At most one timer per key.
#[derive(Clone, Debug)]
pub struct TimerTable<K> {
    by_key: BTreeMap<K, Time>,
    by_time: BTreeSet<(Time, K)>,
}

impl<K: Ord + Clone> TimerTable<K> {
    /// No timers.
    pub const fn new() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }

    /// Sets the timer of `key`, in place of the one it had.
    pub fn set(&mut self, key: K, at: Time) {
        self.stop(&key);
        self.by_key.insert(key.clone(), at);
        self.by_time.insert((at, key));
    }

    /// Takes the timer of `key` away; `false` when it had none.
    pub fn stop(&mut self, key: &K) -> bool {
        let Some(at) = self.by_key.remove(key) else { return false };
        self.by_time.remove(&(at, key.clone()))
    }

    /// When the timer of `key` ends.
    pub fn get(&self, key: &K) -> Option<Time> {
        self.by_key.get(key).copied()
    }

    /// When the earliest timer ends.
    pub fn deadline(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the earliest timer that has ended by `now`, if any. Of two that end together the lesser key comes first.
    pub fn expired(&mut self, now: Time) -> Option<K> {
        let (at, key) = self.by_time.first().cloned()?;
        if at > now {
            return None;
        }
        self.stop(&key);
        Some(key)
    }
}

impl<K: Ord + Clone> Default for TimerTable<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    #[test]
    fn timers_end_in_order_of_time_and_once() {
        let mut timers = TimerTable::new();
        timers.set("late", at(30));
        timers.set("early", at(10));
        timers.set("late", at(20));
        assert_eq!(timers.deadline(), Some(at(10)));
        assert_eq!(timers.expired(at(9)), None);
        assert_eq!(timers.expired(at(25)), Some("early"));
        assert_eq!(timers.expired(at(25)), Some("late"));
        assert_eq!(timers.expired(at(25)), None);
        assert_eq!(timers.deadline(), None);
    }

    #[test]
    fn a_stopped_timer_never_ends() {
        let mut timers = TimerTable::new();
        timers.set(1, at(10));
        assert!(timers.stop(&1));
        assert!(!timers.stop(&1));
        assert_eq!(timers.get(&1), None);
        assert_eq!(timers.expired(at(99)), None);
    }
}
