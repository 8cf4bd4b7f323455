//! The world: directors, the network between them, and the time. One step is one event.

use crate::net::Net;
use crate::node::{Life, Node};
use core::time::Duration;
use rvs_machine::{Rng, Time};
use rvs_vrrp::Datagram;

/// The world.
pub struct World {
    pub(crate) now: Time,
    pub(crate) rng: Rng,
    pub(crate) net: Net,
    pub(crate) nodes: Vec<Node>,
    /// When something last happened that may leave the directors of two minds: until a while after it, anything goes.
    pub(crate) disturbed: Time,
    /// How long that while is.
    pub(crate) settling: Duration,
    pub(crate) steps: u64,
}

impl World {
    pub(crate) fn new(rng: Rng, net: Net, nodes: Vec<Node>, settling: Duration) -> Self {
        Self { now: Time::ZERO, rng, net, nodes, disturbed: Time::ZERO, settling, steps: 0 }
    }

    /// How many events there were.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Something happens to a director.
    pub(crate) fn disturb(&mut self, at: usize, work: impl FnOnce(&mut Node, Time) -> Vec<Datagram>) {
        self.disturbed = self.now;
        let sent = work(&mut self.nodes[at], self.now);
        self.spread(at, &sent);
    }

    fn spread(&mut self, from: usize, sent: &[Datagram]) {
        for datagram in sent {
            for to in 0..self.nodes.len() {
                let meant = datagram.destination.is_multicast() || self.nodes[to].has_address(datagram.destination);
                if to != from && meant {
                    self.net.send(self.now, &mut self.rng, from, to, datagram);
                }
            }
        }
    }

    /// The next event not after `end`; false if there is none.
    fn step(&mut self, end: Time) -> bool {
        let timer = self.nodes.iter().enumerate().filter_map(|(at, node)| Some((node.deadline()?, at))).min();
        let packet = self.net.next();
        let next = timer.map(|(time, _)| time).into_iter().chain(packet).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        self.steps += 1;
        // What has arrived comes before what is due.
        if let Some((to, datagram)) = self.net.arrive(self.now) {
            let sent = self.nodes[to].arrive(self.now, datagram);
            self.spread(to, &sent);
        } else if let Some((_, at)) = timer {
            let sent = self.nodes[at].wake(self.now);
            self.spread(at, &sent);
        }
        true
    }

    /// Lets time pass until `end`, asking after every step whether everything holds.
    pub(crate) fn run_until(&mut self, end: Time) -> Result<(), String> {
        while self.step(end) {
            if !self.net.is_sound() || self.nodes.iter().any(|node| matches!(node.life, Life::Stopped | Life::Frozen)) {
                self.disturbed = self.now;
            }
            self.check()?;
        }
        self.check()
    }
}
