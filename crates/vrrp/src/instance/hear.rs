//! What an advert does to a backup and to a master.

use super::Instance;
use super::check::Reject;
use super::garp::Cx;
use crate::io::{Event, State};
use crate::packet::Packet;
use crate::params::Protocol;
use crate::{Centis, Priority};
use core::cmp::Ordering;
use core::time::Duration;

/// What came of a packet, as far as others are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// Nothing to do with others.
    Own,
    /// It was refused.
    Refused(Reject),
    /// The master gives way.
    GiveWay,
    /// The master answered a lower priority: its group's members tell their addresses again.
    Lower,
}

impl Instance {
    /// Takes a packet for this virtual router, as backup or master.
    pub(crate) fn hear(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Heard {
        match self.state {
            State::Backup => self.hear_as_backup(packet, cx),
            State::Master => self.hear_as_master(packet, cx),
            State::Init | State::Fault => Heard::Own,
        }
    }

    fn hear_as_backup(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Heard {
        let source = packet.source();
        let other = self.master.map(|(master, _)| master) != Some(source);
        if let Err(reason) = self.check(packet, other || !self.params.skip_check_adv_addr, cx) {
            return Heard::Refused(reason);
        }
        let priority = packet.priority();
        let name = self.params.name.clone();
        let gave_way = self.params.is_owner() && self.priority == Priority::HIGHEST_OF_OTHERS;
        if gave_way && (other || priority != Priority::OWNER.get()) {
            cx.log(format!("({name}) Restoring our priority to 255 since received advert with lower priority"));
            self.priority = Priority::OWNER;
        }
        if priority == 0 {
            cx.detail(format!("({name}) Backup received priority 0 advertisement"));
            // Never later than it would have been: repeating it must not keep us waiting.
            let skew = self.skew();
            if self.timer.is_none_or(|at| at > cx.now + skew) {
                self.wait_for(skew, cx.now);
            }
            return Heard::Own;
        }
        if !(self.params.nopreempt || priority >= self.priority.get() || self.holds_back(cx)) {
            self.complain(cx, "lower", || {
                format!("({name}) received lower priority ({priority}) advert from {source} - discarding")
            });
            self.master = Some((source, priority));
            return Heard::Own;
        }
        self.learn(packet, cx);
        self.master = Some((source, priority));
        self.delay_preemption(priority, cx);
        // Its group may have held it back; now it does not want to be master any more.
        self.want = State::Backup;
        self.wait_for_master(cx.now);
        Heard::Own
    }

    /// True while `preempt_delay` protects a master of lower priority.
    fn holds_back(&self, cx: &Cx<'_>) -> bool {
        !self.params.preempt_delay.is_zero() && self.preempt_at.is_none_or(|at| at > cx.now)
    }

    fn delay_preemption(&mut self, priority: u8, cx: &mut Cx<'_>) {
        let delay = self.params.preempt_delay;
        if delay.is_zero() {
            return;
        }
        let name = &self.params.name;
        if priority >= self.priority.get() {
            if self.preempt_at.take().is_some() {
                cx.detail(format!("({name}) stop preempt delay"));
            }
        } else if self.preempt_at.is_none() {
            cx.detail(format!("({name}) start preempt delay ({}.{:06})", delay.as_secs(), delay.subsec_micros()));
            self.preempt_at = Some(cx.now + delay);
        }
    }

    /// Version 3: takes over the master's interval.
    fn learn(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) {
        let Protocol::V3 { interval, .. } = self.params.protocol else { return };
        let Some(theirs) = Centis::new(packet.centis()) else { return };
        let before = self.learned.unwrap_or(interval);
        if theirs != before {
            let (before, after) = (before.duration().as_millis(), theirs.duration().as_millis());
            let name = &self.params.name;
            cx.detail(format!("({name}) advertisement interval updated from {before}ms to {after}ms by master"));
        }
        self.learned = Some(theirs);
    }

    fn hear_as_master(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Heard {
        if let Err(reason) = self.check(packet, true, cx) {
            return Heard::Refused(reason);
        }
        let (source, theirs, ours) = (packet.source(), packet.priority(), self.priority.get());
        let name = self.params.name.clone();
        if theirs == 0 {
            self.answer(cx);
            self.complain_detail(cx, "zero", || format!("({name}) Master received priority 0 message"));
            return Heard::Own;
        }
        // Equal priorities: the higher address is master (RFC 9568, 6.4.3).
        let rank = theirs.cmp(&ours).then(self.source.map_or(Ordering::Equal, |own| source.cmp(&own)));
        if self.params.higher_prio_send_advert && rank == Ordering::Greater {
            self.answer(cx);
        }
        if theirs == ours {
            self.meet_equal(packet, rank, cx);
        }
        // Another owner that will not give way has just changed our priority.
        let ours = self.priority.get();
        let rank = if ours < theirs { Ordering::Greater } else { rank };
        match rank {
            Ordering::Less => self.answer_lower(packet, cx),
            Ordering::Greater => self.give_way(packet, cx),
            Ordering::Equal => Heard::Own,
        }
    }

    /// Somebody of our priority.
    fn meet_equal(&mut self, packet: &Packet<'_>, rank: Ordering, cx: &mut Cx<'_>) {
        let (name, source) = (self.params.name.clone(), packet.source());
        let conflict = format!(
            "({name}) CONFIGURATION ERROR: local instance and {source} are both configured as address owner, please resolve"
        );
        if rank == Ordering::Equal {
            self.complain(cx, "own-address", || {
                format!("({name}) WARNING - equal priority advert received from remote host with our IP address.")
            });
        } else if self.priority != Priority::OWNER {
            // Nothing special: the higher address wins.
        } else if rank == Ordering::Greater {
            self.complain(cx, "owners", || conflict);
        } else if self.rogue.until.take().is_some() {
            // It had its time to give way.
            cx.log(format!(
                "({name}) {source} is still advertising as address owner, please resolve - reducing our priority"
            ));
            self.rogue = super::Rogue::default();
            self.priority = Priority::HIGHEST_OF_OTHERS;
        } else {
            self.rogue.interval = match self.params.protocol {
                Protocol::V2 { .. } => Duration::from_secs(u64::from(packet.seconds())),
                Protocol::V3 { .. } => Duration::from_millis(u64::from(packet.centis()) * 10),
            };
            if self.rogue.adverts == 0 {
                self.complain(cx, "owners", || conflict);
                self.rogue.adverts = 2;
            }
        }
    }

    fn answer_lower(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Heard {
        let (name, source) = (self.params.name.clone(), packet.source());
        let (theirs, ours) = (packet.priority(), self.priority);
        let election = if self.params.lower_prio_no_advert { "" } else { ", forcing new election" };
        self.complain(cx, "lower", || {
            format!("({name}) Received advert from {source} with lower priority {theirs}, ours {ours}{election}")
        });
        if let Some(sequence) = packet.ah_sequence() {
            self.complain(cx, "ah-sync", || format!("({name}) IPSEC-AH : Syncing seq_num - Increment seq"));
            self.ah.set(sequence.saturating_add(1));
        }
        if !self.params.lower_prio_no_advert {
            self.answer(cx);
        }
        self.tell_after_lower(cx);
        if self.complaints.allow("notify-lower", cx.now) {
            self.push_notify(cx, Event::MasterRxLowerPri);
        }
        Heard::Lower
    }

    fn give_way(&mut self, packet: &Packet<'_>, cx: &mut Cx<'_>) -> Heard {
        let (name, source) = (&self.params.name, packet.source());
        let (theirs, ours) = (packet.priority(), self.priority.get());
        if theirs > ours && !self.params.is_owner() {
            cx.log(format!("({name}) Master received advert from {source} with higher priority {theirs}, ours {ours}"));
        } else {
            cx.log(format!(
                "({name}) Master received advert from {source} with same priority {theirs} but higher IP address than ours"
            ));
        }
        self.learn(packet, cx);
        self.master = Some((source, theirs));
        self.want = State::Backup;
        Heard::GiveWay
    }

    /// Sends an advert at once, and the next one an interval later. What was answered a moment ago is not answered again: a
    /// flood of adverts must not make us flood.
    fn answer(&mut self, cx: &mut Cx<'_>) {
        let interval = self.params.interval();
        if self.last_answer.is_some_and(|at| cx.now.since(at) < interval / 20) {
            return;
        }
        self.last_answer = Some(cx.now);
        self.send(self.priority.get(), cx);
        self.timer = Some(cx.now + interval);
    }

    fn complain_detail(&mut self, cx: &mut Cx<'_>, kind: &'static str, text: impl FnOnce() -> String) {
        if self.complaints.allow(kind, cx.now) {
            cx.detail(text());
        }
    }
}
