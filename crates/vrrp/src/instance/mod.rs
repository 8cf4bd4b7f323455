//! One virtual router: its state, its timers, and the transitions that concern nobody else.
//!
//! It does not know its group or what it tracks: the router around it does, and calls these transitions.

mod auth;
mod check;
mod garp;
mod hear;
mod reload;
mod send;
mod transition;

pub use check::Reject;
pub(crate) use garp::{Cx, Links, Pacers};
pub(crate) use hear::Heard;

use crate::io::{Interface, State};
use crate::params::{InstanceParams, Name, Protocol};
use crate::stats::Stats;
use crate::{Centis, Priority, skew_v2, skew_v3};
use auth::{AhCounter, HmacState};
use core::net::IpAddr;
use core::time::Duration;
use rvs_machine::Time;
use std::collections::BTreeMap;

/// A virtual router.
#[derive(Clone, Debug)]
pub struct Instance {
    params: InstanceParams,
    state: State,
    /// What it would be if its group let it.
    want: State,
    priority: Priority,
    pub(crate) faults: Faults,
    /// The source of its adverts, once it has one.
    source: Option<IpAddr>,
    /// Version 3: the interval of the master that it listens to.
    learned: Option<Centis>,
    /// As master: the next advert. As backup: the end of the master.
    timer: Option<Time>,
    /// The wait that `timer` was set to, for a change of priority to correct.
    wait: Duration,
    /// As backup: when it wants to be woken next for no other reason than to see that it was not asleep.
    pulse: Option<Time>,
    preempt_at: Option<Time>,
    master: Option<(IpAddr, u8)>,
    /// Its addresses are on their interfaces.
    holds: bool,
    complaints: Complaints,
    stats: Stats,
    ah: AhCounter,
    hmac: HmacState,
    ip_id: u16,
    last_sent: Option<Time>,
    last_answer: Option<Time>,
    last_transition: Time,
    rogue: Rogue,
    /// Unicast peers were heard to use the old checksum.
    old_unicast: bool,
    rounds: Rounds,
    /// It has told its state at least once.
    told: bool,
}

/// Why it cannot take part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Faults {
    /// The configuration forbids it.
    pub(crate) config: bool,
    /// Its interface is down or gone.
    pub(crate) interface: bool,
    /// It has no source address.
    pub(crate) source: bool,
    /// The driver could not provide what it needs.
    pub(crate) lacking: bool,
    /// How many tracked conditions do not hold.
    pub(crate) tracked: u32,
    /// How many tracked conditions are not known yet.
    pub(crate) pending: u32,
}

impl Faults {
    pub(crate) fn any(&self) -> bool {
        self.config || self.interface || self.source || self.lacking || self.tracked > 0
    }
}

/// Two owners of the same addresses: what happened so far.
#[derive(Clone, Copy, Debug, Default)]
struct Rogue {
    /// Adverts that we shall send before the other should have given way.
    adverts: u8,
    interval: Duration,
    /// Until when an advert of the other means that it will not give way.
    until: Option<Time>,
}

/// When the next rounds of gratuitous ARP are due.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    second: Option<Time>,
    lower: Option<Time>,
    refresh: Option<Time>,
    vmac: Option<Time>,
    /// The last time an advert of lower priority was answered by a round.
    answered: Option<Time>,
}

/// When each complaint was last written.
#[derive(Clone, Debug, Default)]
struct Complaints(BTreeMap<&'static str, Time>);

impl Instance {
    /// A virtual router that has not begun.
    pub(crate) fn new(params: InstanceParams, now: Time) -> Self {
        Self {
            state: State::Init,
            want: if params.start_as_master || params.is_owner() { State::Master } else { State::Backup },
            priority: params.priority,
            faults: Faults { config: params.config_fault, ..Faults::default() },
            source: None,
            learned: None,
            timer: None,
            wait: Duration::ZERO,
            pulse: None,
            preempt_at: None,
            master: None,
            holds: false,
            complaints: Complaints::default(),
            stats: Stats::default(),
            ah: AhCounter::default(),
            hmac: HmacState::default(),
            ip_id: 0,
            last_sent: None,
            last_answer: None,
            last_transition: now,
            rogue: Rogue::default(),
            old_unicast: false,
            rounds: Rounds::default(),
            told: false,
            params,
        }
    }

    /// Its parameters.
    pub fn params(&self) -> &InstanceParams {
        &self.params
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.params.name
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The state it would be in if its group let it.
    pub fn want(&self) -> State {
        self.want
    }

    /// Its effective priority.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// How many conditions keep it in fault: its interface, its source, what it tracks.
    pub fn tracked_faults(&self) -> u32 {
        self.faults.tracked + u32::from(self.faults.interface) + u32::from(self.faults.source)
    }

    /// How many tracked scripts have not told their first result.
    pub fn pending_scripts(&self) -> u32 {
        self.faults.pending
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The master that it last listened to, with its priority.
    pub fn master(&self) -> Option<(IpAddr, u8)> {
        self.master
    }

    /// True if its addresses are on their interfaces.
    pub fn holds_addresses(&self) -> bool {
        self.holds
    }

    /// When its state last changed.
    pub fn last_transition(&self) -> Time {
        self.last_transition
    }

    /// The source of its adverts.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// When its advert or its master-down timer is due.
    pub fn timer(&self) -> Option<Time> {
        self.timer
    }

    /// The interval that it reckons with as backup: the master's in version 3, its own otherwise.
    pub fn master_interval(&self) -> Duration {
        self.learned.map_or(self.params.interval(), Centis::duration)
    }

    /// The skew time of its priority.
    pub fn skew(&self) -> Duration {
        // An owner that gave way to another owner stays as quick as an owner.
        let priority = if self.params.is_owner() { Priority::OWNER } else { self.priority };
        self.skew_of(priority)
    }

    fn skew_of(&self, priority: Priority) -> Duration {
        match self.params.protocol {
            Protocol::V2 { .. } => skew_v2(priority),
            Protocol::V3 { interval, .. } => skew_v3(priority, self.learned.unwrap_or(interval)),
        }
    }

    /// How long without adverts until it takes the master for dead.
    pub fn master_down(&self) -> Duration {
        self.master_interval() * u32::from(self.params.down_timer_adverts) + self.skew()
    }

    /// When it wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let Rounds { second, lower, refresh, vmac, .. } = self.rounds;
        [self.timer, self.pulse, second, lower, refresh, vmac, self.rogue.until].into_iter().flatten().min()
    }

    /// Learns what its interface has for it.
    pub(crate) fn look_at(&mut self, link: Option<&Interface>) {
        let found = self.params.source.or_else(|| {
            let link = link?;
            if self.params.ipv6 { link.ipv6.map(IpAddr::V6) } else { link.ipv4.map(IpAddr::V4) }
        });
        self.faults.interface = !self.params.dont_track_primary && !link.is_some_and(|link| link.up);
        // An address that goes together with the link is remembered: the last advert of priority 0 needs it.
        if found.is_some() {
            self.source = found;
        }
        if self.params.source.is_none() {
            self.faults.source = found.is_none();
        }
    }

    /// Takes over new parameters, keeping its state.
    pub(crate) fn set_params(&mut self, params: InstanceParams) {
        self.faults.config = params.config_fault;
        if params.source != self.params.source {
            self.source = None;
            self.faults.source = false;
        }
        if matches!((&params.protocol, &self.params.protocol), (Protocol::V2 { .. }, Protocol::V3 { .. })) {
            self.learned = None;
        }
        self.params = params;
    }

    /// Counts an address that somebody else took away.
    pub(crate) fn lost_address(&mut self) {
        self.stats.addresses_lost += 1;
    }

    /// Sets its counters to zero.
    pub(crate) fn clear_stats(&mut self) {
        self.stats = Stats::default();
    }
}
