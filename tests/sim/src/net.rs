//! The network: one link that all directors are on, which may treat every direction between two of them badly.

use core::time::Duration;
use rvs_machine::{Rng, Time};
use rvs_vrrp::Datagram;
use std::collections::BTreeMap;

/// How a direction between two directors treats packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quality {
    /// Nothing passes.
    pub(crate) cut: bool,
    /// In a hundred packets, so many are lost.
    pub(crate) loss: u64,
    /// In a hundred packets, so many come twice.
    pub(crate) twice: u64,
    /// The greatest delay, in microseconds; packets overtake each other within it.
    pub(crate) delay: u64,
}

impl Quality {
    /// A direction on which packets are neither lost nor late enough to matter.
    pub(crate) fn is_sound(&self) -> bool {
        !self.cut && self.loss == 0
    }
}

/// The network and the packets on it.
#[derive(Default)]
pub(crate) struct Net {
    qualities: BTreeMap<(usize, usize), Quality>,
    default: Quality,
    /// By time of arrival; the number makes keys unique and keeps the order of what arrives together.
    flying: BTreeMap<(Time, u64), (usize, Datagram)>,
    sent: u64,
}

impl Net {
    /// A network where every direction is like this.
    pub(crate) fn new(default: Quality) -> Self {
        Self { default, ..Self::default() }
    }

    pub(crate) fn quality(&self, from: usize, to: usize) -> Quality {
        self.qualities.get(&(from, to)).copied().unwrap_or(self.default)
    }

    pub(crate) fn set(&mut self, from: usize, to: usize, quality: Quality) {
        self.qualities.insert((from, to), quality);
    }

    /// Every direction is as at the beginning.
    pub(crate) fn heal(&mut self) {
        self.qualities.clear();
    }

    /// True if every direction is sound.
    pub(crate) fn is_sound(&self) -> bool {
        self.qualities.values().all(Quality::is_sound)
    }

    /// Sends a packet to one director.
    pub(crate) fn send(&mut self, now: Time, rng: &mut Rng, from: usize, to: usize, datagram: &Datagram) {
        let quality = self.quality(from, to);
        if quality.cut || rng.percent(quality.loss) {
            return;
        }
        let copies = if rng.percent(quality.twice) { 2 } else { 1 };
        for _ in 0..copies {
            let at = now + Duration::from_micros(20 + rng.below(quality.delay + 1));
            self.sent += 1;
            self.flying.insert((at, self.sent), (to, datagram.clone()));
        }
    }

    /// When the next packet arrives.
    pub(crate) fn next(&self) -> Option<Time> {
        self.flying.keys().next().map(|(at, _)| *at)
    }

    /// The next packet that has arrived by `now`.
    pub(crate) fn arrive(&mut self, now: Time) -> Option<(usize, Datagram)> {
        let key = *self.flying.keys().next().filter(|(at, _)| *at <= now)?;
        self.flying.remove(&key)
    }
}
