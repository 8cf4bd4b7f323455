//! `interface_up_down_delays`: a link's change counts only when it has lasted. Decided without touching anything.

use rvs_machine::{Machine, Time, TimerTable};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What happens: an interface's link is up or down now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// The interface's name.
    pub name: String,
    /// Up and running.
    pub up: bool,
}

#[derive(Debug, Clone, Default)]
struct Link {
    /// What counts.
    counts: Option<bool>,
    /// What was heard last.
    heard: bool,
}

/// Holds changes back. Its outputs are the changes that count.
#[derive(Debug, Clone, Default)]
pub struct LinkDelays {
    delays: BTreeMap<String, (Duration, Duration)>,
    links: BTreeMap<String, Link>,
    timers: TimerTable<String>,
    outputs: VecDeque<LinkState>,
}

impl LinkDelays {
    /// How long going down and coming up must last, by interface; those that are not named change at once.
    pub fn new(delays: BTreeMap<String, (Duration, Duration)>) -> Self {
        Self { delays, ..Self::default() }
    }

    fn settle(&mut self, name: String) {
        let Some(link) = self.links.get_mut(&name) else { return };
        if link.counts != Some(link.heard) {
            link.counts = Some(link.heard);
            self.outputs.push_back(LinkState { up: link.heard, name });
        }
    }
}

impl Machine for LinkDelays {
    type Input = LinkState;
    type Output = LinkState;

    fn handle(&mut self, now: Time, input: LinkState) {
        let (down, up) = self.delays.get(&input.name).copied().unwrap_or_default();
        let delay = if input.up { up } else { down };
        let link = self.links.entry(input.name.clone()).or_default();
        let (first, heard) = (link.counts.is_none(), link.heard);
        link.heard = input.up;
        if link.counts == Some(input.up) {
            self.timers.stop(&input.name); // It went back before it counted.
        } else if first || delay.is_zero() {
            self.timers.stop(&input.name);
            self.settle(input.name);
        } else if heard != input.up || self.timers.get(&input.name).is_none() {
            self.timers.set(input.name, now + delay);
        }
    }

    fn wake(&mut self, now: Time) {
        while let Some(name) = self.timers.expired(now) {
            self.settle(name);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.deadline()
    }

    fn poll(&mut self) -> Option<LinkState> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Time {
        Time::from_nanos(secs * 1_000_000_000)
    }

    fn state(up: bool) -> LinkState {
        LinkState { name: "eth0".into(), up }
    }

    fn delays() -> LinkDelays {
        LinkDelays::new(BTreeMap::from([("eth0".to_owned(), (Duration::from_secs(2), Duration::from_secs(5)))]))
    }

    fn counted(delays: &mut LinkDelays) -> Vec<bool> {
        std::iter::from_fn(|| delays.poll()).map(|state| state.up).collect()
    }

    #[test]
    fn a_change_counts_when_it_has_lasted() {
        let mut delays = delays();
        delays.handle(at(0), state(true));
        assert_eq!(counted(&mut delays), [true], "what is found at the start counts");
        delays.handle(at(10), state(false));
        delays.handle(at(11), state(false)); // Said twice, it does not begin anew.
        assert_eq!((counted(&mut delays), delays.deadline()), (vec![], Some(at(12))));
        delays.wake(at(12));
        assert_eq!(counted(&mut delays), [false]);
        delays.handle(at(20), state(true));
        assert_eq!(delays.deadline(), Some(at(25)));
        delays.wake(at(25));
        assert_eq!(counted(&mut delays), [true]);
    }

    #[test]
    fn a_change_that_does_not_last_is_none() {
        let mut delays = delays();
        delays.handle(at(0), state(true));
        counted(&mut delays);
        delays.handle(at(10), state(false));
        delays.handle(at(11), state(true));
        delays.handle(at(11), state(false));
        assert_eq!(delays.deadline(), Some(at(13)));
        delays.handle(at(12), state(true));
        delays.wake(at(99));
        assert_eq!((counted(&mut delays), delays.deadline()), (vec![], None));
    }

    #[test]
    fn others_change_at_once() {
        let mut delays = delays();
        for up in [false, true, true, false] {
            delays.handle(at(0), LinkState { name: "eth1".into(), up });
        }
        assert_eq!(counted(&mut delays), [false, true, false]);
    }
}
