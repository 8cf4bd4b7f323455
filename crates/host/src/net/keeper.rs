//! Keeping things as they should be, decided without touching anything: what is wanted, what is seen to go, what is to be put
//! back and when.
//!
//! Something that others remove is put back at once; when they go on, only so often, since two programs that undo each
//! other's work must not keep the machine busy. What the kernel refuses is tried again after a pause that grows.

use rvs_machine::{Machine, Time, TimerTable};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many times in a row a thing is put back at once.
const BURST: u32 = 3;
/// How often after that, and after how long in peace the count begins anew.
const PAUSE: Duration = Duration::from_secs(1);
/// And after how long when it had come to that.
const LONG_PEACE: Duration = Duration::from_secs(10);
/// The longest pause after refusals.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What happens to a keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperInput<K, S> {
    /// This thing is to be there from now on, as said. The same again is nothing; a change is carried out.
    Want(K, S),
    /// It is to be gone.
    Release(K),
    /// It was seen to go (or was never there).
    Gone(K),
    /// The kernel refused to add it.
    Refused(K),
    /// All is to be gone, the last first: the end.
    ReleaseAll,
    /// All is to be forgotten, and left where it is: the end, but things stay.
    Forget,
}

/// What a keeper wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperOutput<K, S> {
    /// Add it, or change it to this.
    Add(K, S),
    /// Remove it.
    Remove(K),
    /// Tell the operator once: somebody keeps removing it.
    Contested(K),
}

#[derive(Debug, Clone)]
struct Entry<S> {
    what: S,
    order: u64,
    /// Times put back since the last peace.
    returns: u32,
    last_return: Time,
    /// Refusals in a row.
    refusals: u32,
}

/// The things that should be there.
#[derive(Debug, Clone)]
pub struct Keeper<K, S> {
    entries: BTreeMap<K, Entry<S>>,
    timers: TimerTable<K>,
    outputs: VecDeque<KeeperOutput<K, S>>,
    next: u64,
}

impl<K: Ord + Clone, S: Clone + PartialEq> Keeper<K, S> {
    /// Nothing wanted.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), timers: TimerTable::new(), outputs: VecDeque::new(), next: 0 }
    }

    /// Whether this is to be there.
    pub fn wants(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether this is to be there and does not wait to be put back.
    pub fn is_well(&self, key: &K) -> bool {
        self.wants(key) && self.timers.get(key).is_none()
    }

    /// All that is to be there.
    pub fn wanted(&self) -> impl Iterator<Item = (&K, &S)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.what))
    }

    /// Everything wanted that `there` denies is taken to be gone.
    pub fn compare(&mut self, now: Time, there: impl Fn(&K) -> bool) {
        let gone: Vec<K> = self.entries.keys().filter(|key| !there(key)).cloned().collect();
        for key in gone {
            self.handle(now, KeeperInput::Gone(key));
        }
    }

    fn want(&mut self, now: Time, key: K, what: S) {
        if self.entries.get(&key).is_some_and(|entry| entry.what == what) {
            return;
        }
        let order = self.entries.get(&key).map_or(self.next, |entry| entry.order);
        self.next += 1;
        self.timers.stop(&key);
        self.outputs.push_back(KeeperOutput::Add(key.clone(), what.clone()));
        self.entries.insert(key, Entry { what, order, returns: 0, last_return: now, refusals: 0 });
    }

    fn release(&mut self, key: K) {
        if self.entries.remove(&key).is_some() {
            self.timers.stop(&key);
            self.outputs.push_back(KeeperOutput::Remove(key));
        }
    }

    fn gone(&mut self, now: Time, key: K) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        if self.timers.get(&key).is_some() {
            return;
        }
        let peace = if entry.returns <= BURST { PAUSE } else { LONG_PEACE };
        if now.since(entry.last_return) >= peace {
            entry.returns = 0;
        }
        entry.returns = entry.returns.saturating_add(1);
        if entry.returns <= BURST {
            self.put_back(now, &key);
            return;
        }
        if entry.returns == BURST + 1 {
            self.outputs.push_back(KeeperOutput::Contested(key.clone()));
        }
        self.timers.set(key, now.max(entry.last_return + PAUSE));
    }

    fn refused(&mut self, now: Time, key: K) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let pause = PAUSE.saturating_mul(1 << entry.refusals.min(6)).min(LONGEST_PAUSE);
        entry.refusals = entry.refusals.saturating_add(1);
        self.timers.set(key, now + pause);
    }

    fn put_back(&mut self, now: Time, key: &K) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.last_return = now;
        self.outputs.push_back(KeeperOutput::Add(key.clone(), entry.what.clone()));
    }

    fn release_all(&mut self) {
        let mut keys: Vec<(u64, K)> = self.entries.iter().map(|(key, entry)| (entry.order, key.clone())).collect();
        keys.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
        for (_, key) in keys {
            self.release(key);
        }
    }
}

impl<K: Ord + Clone, S: Clone + PartialEq> Default for Keeper<K, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone, S: Clone + PartialEq> Machine for Keeper<K, S> {
    type Input = KeeperInput<K, S>;
    type Output = KeeperOutput<K, S>;

    fn handle(&mut self, now: Time, input: Self::Input) {
        match input {
            KeeperInput::Want(key, what) => self.want(now, key, what),
            KeeperInput::Release(key) => self.release(key),
            KeeperInput::Gone(key) => self.gone(now, key),
            KeeperInput::Refused(key) => self.refused(now, key),
            KeeperInput::ReleaseAll => self.release_all(),
            KeeperInput::Forget => {
                self.entries.clear();
                self.timers = TimerTable::new();
                self.outputs.clear();
            }
        }
    }

    fn wake(&mut self, now: Time) {
        while let Some(key) = self.timers.expired(now) {
            self.put_back(now, &key);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.deadline()
    }

    fn poll(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeeperInput::{Gone, Refused, Release, ReleaseAll, Want};
    use KeeperOutput::{Add, Contested, Remove};
    use proptest::prelude::*;

    const fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    fn outputs(keeper: &mut Keeper<u8, char>) -> Vec<KeeperOutput<u8, char>> {
        std::iter::from_fn(|| keeper.poll()).collect()
    }

    #[test]
    fn what_is_wanted_is_added_once_and_changed_when_it_changes() {
        let mut keeper = Keeper::new();
        keeper.handle(at(0), Want(1, 'a'));
        keeper.handle(at(0), Want(1, 'a'));
        keeper.handle(at(0), Want(1, 'b'));
        keeper.handle(at(0), Release(1));
        keeper.handle(at(0), Release(1));
        keeper.handle(at(0), Gone(1));
        assert_eq!(outputs(&mut keeper), [Add(1, 'a'), Add(1, 'b'), Remove(1)]);
    }

    #[test]
    fn what_goes_comes_back_at_once_and_later_once_a_second() {
        let mut keeper = Keeper::new();
        keeper.handle(at(0), Want(1, 'a'));
        outputs(&mut keeper);
        for _ in 0..3 {
            keeper.handle(at(10), Gone(1));
            assert_eq!(outputs(&mut keeper), [Add(1, 'a')]);
        }
        keeper.handle(at(20), Gone(1));
        keeper.handle(at(30), Gone(1));
        assert_eq!(outputs(&mut keeper), [Contested(1)]);
        assert_eq!(keeper.deadline(), Some(at(1010)));
        keeper.wake(at(1009));
        assert_eq!(outputs(&mut keeper), []);
        keeper.wake(at(1010));
        assert_eq!(outputs(&mut keeper), [Add(1, 'a')]);
        keeper.handle(at(1011), Gone(1));
        assert_eq!((outputs(&mut keeper), keeper.deadline()), (vec![], Some(at(2010))));
        keeper.wake(at(2010));
        assert_eq!(outputs(&mut keeper), [Add(1, 'a')]);
        keeper.handle(at(20_000), Gone(1)); // After a long peace.
        assert_eq!(outputs(&mut keeper), [Add(1, 'a')]);
    }

    #[test]
    fn what_is_refused_is_tried_again_after_growing_pauses() {
        let mut keeper = Keeper::new();
        keeper.handle(at(0), Want(1, 'a'));
        outputs(&mut keeper);
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            keeper.handle(now, Refused(1));
            let next = keeper.deadline().unwrap();
            pauses.push(next.since(now).as_secs());
            now = next;
            keeper.wake(now);
            assert_eq!(outputs(&mut keeper), [Add(1, 'a')]);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn at_the_end_the_last_added_goes_first() {
        let mut keeper = Keeper::new();
        for (key, what) in [(3, 'a'), (1, 'b'), (2, 'c')] {
            keeper.handle(at(0), Want(key, what));
        }
        outputs(&mut keeper);
        keeper.handle(at(5), ReleaseAll);
        assert_eq!(outputs(&mut keeper), [Remove(2), Remove(1), Remove(3)]);
        assert_eq!(keeper.deadline(), None);
    }

    type There = std::collections::BTreeSet<u8>;

    /// Does what is wanted to the things that are there; gives how often something was put there.
    fn carry_out(keeper: &mut Keeper<u8, char>, there: &mut There) -> usize {
        let mut adds = 0;
        while let Some(output) = keeper.poll() {
            match output {
                Add(key, _) => {
                    adds += 1;
                    there.insert(key);
                }
                Remove(key) => {
                    there.remove(&key);
                }
                Contested(_) => {}
            }
        }
        adds
    }

    proptest! {
        /// Played against a kernel from which somebody else removes things: in the end all that is wanted is there and
        /// nothing else of ours.
        #[test]
        fn in_the_end_there_is_what_is_wanted(steps in prop::collection::vec((0u8..4, 0u8..4, 1u64..400), 1..200)) {
            let (mut keeper, mut there, mut now) = (Keeper::new(), There::new(), at(0));
            for (what, key, wait) in steps {
                now = now + Duration::from_millis(wait);
                keeper.wake(now);
                carry_out(&mut keeper, &mut there);
                match what {
                    0 => keeper.handle(now, Want(key, 'x')),
                    1 => keeper.handle(now, Release(key)),
                    _ => if there.remove(&key) { keeper.handle(now, Gone(key)) },
                }
                carry_out(&mut keeper, &mut there);
            }
            while let Some(next) = keeper.deadline() {
                keeper.wake(next);
                carry_out(&mut keeper, &mut there);
            }
            let wanted: There = keeper.wanted().map(|(key, _)| *key).collect();
            prop_assert_eq!(wanted, there);
        }

        /// However often others remove a thing, it is put back only a few times a second.
        #[test]
        fn others_cannot_keep_us_busy(waits in prop::collection::vec(0u64..700, 1..300)) {
            let (mut keeper, mut there, mut now) = (Keeper::new(), There::new(), at(0));
            keeper.handle(now, Want(1, 'x'));
            carry_out(&mut keeper, &mut there);
            let mut returns = Vec::new();
            for wait in waits {
                let end = now + Duration::from_millis(wait);
                while let Some(next) = keeper.deadline().filter(|next| *next <= end) {
                    keeper.wake(next);
                    returns.extend(std::iter::repeat_n(next, carry_out(&mut keeper, &mut there)));
                }
                now = end;
                if there.remove(&1) {
                    keeper.handle(now, Gone(1));
                }
                returns.extend(std::iter::repeat_n(now, carry_out(&mut keeper, &mut there)));
            }
            let limit = BURST as usize + 1;
            for window in returns.windows(limit + 1) {
                prop_assert!(window[limit].since(window[0]) >= PAUSE, "{window:?}");
            }
        }
    }
}
