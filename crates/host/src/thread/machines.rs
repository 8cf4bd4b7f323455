//! Many machines of one kind, driven as one: who is due, and whose outputs come next.

use rvs_machine::{Machine, Time, TimerTable};
use std::collections::{BTreeMap, VecDeque};

/// Machines by key.
#[derive(Debug)]
pub struct Machines<K, M: Machine> {
    machines: BTreeMap<K, M>,
    due: TimerTable<K>,
    outputs: VecDeque<(K, M::Output)>,
}

impl<K: Ord + Clone, M: Machine> Machines<K, M> {
    /// None.
    pub const fn new() -> Self {
        Self { machines: BTreeMap::new(), due: TimerTable::new(), outputs: VecDeque::new() }
    }

    /// Adds one, in place of the one that had its key.
    pub fn insert(&mut self, key: K, machine: M) -> Option<M> {
        let before = self.machines.insert(key.clone(), machine);
        self.settle(&key);
        before
    }

    /// Takes one out. Outputs of it that were not taken yet stay.
    pub fn remove(&mut self, key: &K) -> Option<M> {
        self.due.stop(key);
        self.machines.remove(key)
    }

    /// Looks at one.
    pub fn get(&self, key: &K) -> Option<&M> {
        self.machines.get(key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &M)> {
        self.machines.iter()
    }

    /// Hands an input to one; `false`: there is none of this key.
    pub fn handle(&mut self, now: Time, key: &K, input: M::Input) -> bool {
        let Some(machine) = self.machines.get_mut(key) else { return false };
        machine.handle(now, input);
        self.settle(key);
        true
    }

    /// When the first of them is due.
    pub fn deadline(&self) -> Option<Time> {
        self.due.deadline()
    }

    /// Wakes each that is due at `now`, once.
    pub fn wake(&mut self, now: Time) {
        let mut woken = Vec::new();
        while let Some(key) = self.due.expired(now) {
            woken.push(key);
        }
        for key in woken {
            if let Some(machine) = self.machines.get_mut(&key) {
                machine.wake(now);
                self.settle(&key);
            }
        }
    }

    /// The next output and whose it is.
    pub fn poll(&mut self) -> Option<(K, M::Output)> {
        self.outputs.pop_front()
    }

    fn settle(&mut self, key: &K) {
        let Some(machine) = self.machines.get_mut(key) else { return };
        while let Some(output) = machine.poll() {
            self.outputs.push_back((key.clone(), output));
        }
        match machine.deadline() {
            Some(at) => self.due.set(key.clone(), at),
            None => {
                self.due.stop(key);
            }
        }
    }
}

impl<K: Ord + Clone, M: Machine> Default for Machines<K, M> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Says each input again a second later.
    #[derive(Default)]
    struct Echo {
        waiting: Option<(Time, char)>,
        said: Option<char>,
    }

    impl Machine for Echo {
        type Input = char;
        type Output = char;

        fn handle(&mut self, now: Time, input: char) {
            self.waiting = Some((now + Duration::from_secs(1), input));
        }

        fn wake(&mut self, now: Time) {
            if let Some((at, what)) = self.waiting
                && at <= now
            {
                self.waiting = None;
                self.said = Some(what);
            }
        }

        fn deadline(&self) -> Option<Time> {
            self.waiting.map(|(at, _)| at)
        }

        fn poll(&mut self) -> Option<char> {
            self.said.take()
        }
    }

    #[test]
    fn those_due_are_woken_in_order_and_the_others_sleep() {
        let at = |secs| Time::ZERO + Duration::from_secs(secs);
        let mut machines = Machines::new();
        for key in [1, 2, 3] {
            assert!(machines.insert(key, Echo::default()).is_none());
        }
        assert!(machines.handle(at(2), &1, 'a') && machines.handle(at(1), &2, 'b') && machines.handle(at(9), &3, 'c'));
        assert!(!machines.handle(at(1), &4, 'd'));
        assert_eq!(machines.deadline(), Some(at(2)));
        machines.wake(at(5));
        assert_eq!([machines.poll(), machines.poll(), machines.poll()], [Some((2, 'b')), Some((1, 'a')), None]);
        machines.remove(&3);
        assert_eq!(machines.deadline(), None);
    }
}
