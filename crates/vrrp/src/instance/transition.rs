//! The transitions: what is done, and in which order, when a virtual router enters and leaves its states.

use super::garp::Cx;
use super::{Instance, Rogue};
use crate::Priority;
use crate::io::{Event, Notify, Output, State};
use crate::params::VirtualAddress;
use core::time::Duration;
use rvs_machine::Time;

/// A backup that is woken later than this part of an interval may have slept through adverts.
const LATE: u32 = 4;
/// A backup looks whether it is awake this often in an interval.
const PULSE: u32 = 2;

impl Instance {
    /// Begins in the state that `group` allows; `may_lead`: an owner may become master at once.
    pub(crate) fn begin(&mut self, group: Option<State>, ready: bool, delay: Duration, cx: &mut Cx<'_>) {
        self.take_everything_down(true, cx);
        let allowed = group.unwrap_or(self.want);
        let faulty = self.faults.any() || self.faults.pending > 0 || !ready;
        if faulty || allowed == State::Fault {
            self.want = match self.want {
                _ if self.faults.any() => State::Fault,
                // An owner that waits for a script is master as soon as that is well.
                State::Master if self.params.is_owner() => State::Master,
                _ => State::Backup,
            };
            self.state = State::Fault;
            self.last_transition = cx.now;
            // Who only waits for a script's first result keeps quiet.
            if self.faults.any() || allowed == State::Fault {
                self.told = false;
                self.notify(cx, group);
            }
            return;
        }
        self.last_transition = cx.now;
        self.state = State::Backup;
        if self.params.is_owner() && self.want == State::Master && allowed == State::Master {
            // The owner is master as soon as the clock moves.
            return self.wait_for(Duration::ZERO, cx.now + delay);
        }
        let wait = match (allowed, self.want) {
            // Held back by its group only: one interval shows whether there is another master.
            (State::Backup, State::Master) => self.master_interval() + self.skew_of(Priority::OWNER),
            _ => self.master_down(),
        };
        if group.is_none() {
            self.want = State::Backup;
        }
        cx.log(format!("({}) Entering BACKUP STATE (init)", self.params.name));
        self.notify(cx, group);
        self.wait_for(wait, cx.now + delay);
        self.pulse = Some(cx.now + self.master_interval() / PULSE);
    }

    /// Sets the master-down timer.
    pub(super) fn wait_for(&mut self, wait: Duration, now: Time) {
        self.wait = wait;
        self.timer = Some(now + wait);
    }

    /// Sets the master-down timer to its full length.
    pub(crate) fn wait_for_master(&mut self, now: Time) {
        self.wait_for(self.master_down(), now);
    }

    /// Looks whether it slept. A backup that did may have missed adverts that nobody kept for it: it listens for more than an
    /// interval before it takes over, however little was left of its wait.
    ///
    /// Lateness of the master-down timer alone would not show a sleep that ended just before; so a backup has itself woken
    /// several times in an interval.
    pub(crate) fn check_pulse(&mut self, cx: &mut Cx<'_>) {
        let interval = self.master_interval();
        let due = self.timer.into_iter().chain(self.pulse).min();
        if self.state != State::Backup || due.is_none_or(|at| at > cx.now) {
            return;
        }
        let late = due.map_or(Duration::ZERO, |at| cx.now.since(at));
        if late > interval / LATE {
            self.stats.late_wakes += 1;
            self.report_lateness(late, cx);
            let until = cx.now + interval + interval / 2 + self.skew();
            self.timer = self.timer.map(|at| at.max(until));
        }
        self.pulse = Some(cx.now + interval / PULSE);
    }

    /// True if its main timer is due.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        matches!(self.state, State::Backup | State::Master) && self.timer.is_some_and(|at| at <= now)
    }

    fn report_lateness(&mut self, late: Duration, cx: &mut Cx<'_>) {
        let (seconds, micros) = (late.as_secs(), late.subsec_micros());
        self.complain(cx, "late", || format!("VRRP thread timer expired {seconds}.{micros:06} seconds ago"));
    }

    /// The master-down timer has ended.
    pub(crate) fn time_out(&mut self, cx: &mut Cx<'_>) {
        cx.detail(format!("({}) Receive advertisement timeout", self.params.name));
        self.want = State::Master;
    }

    /// As master: the next advert. Returns false if it slept so long that it must go to backup instead.
    pub(crate) fn advertise(&mut self, cx: &mut Cx<'_>) -> bool {
        let silence = self.last_sent.map_or(Duration::ZERO, |at| cx.now.since(at));
        // A backup of the highest priority waits at least this long.
        let patience = self.params.interval() * 3;
        let asleep = silence >= patience && self.holds;
        if asleep {
            self.stats.late_wakes += 1;
            self.report_lateness(silence.saturating_sub(self.params.interval()), cx);
            if let Some(other) = self.params.timer_expired_backup
                && silence >= patience + self.skew_of(other)
            {
                self.want = State::Backup;
                return false;
            }
        }
        self.send(self.priority.get(), cx);
        self.timer = Some(cx.now + self.params.interval());
        if asleep {
            // Somebody else may have told the neighbours that the addresses are his.
            self.tell_after_lower(cx);
        }
        if self.params.is_owner() && self.rogue.adverts > 0 {
            self.rogue.adverts -= 1;
            if self.rogue.adverts == 0 {
                let wait = self.rogue.interval.max(self.params.interval()) * 12 / 10;
                self.rogue.until = Some(cx.now + wait);
            }
        }
        true
    }

    /// The other owner has stopped.
    pub(crate) fn check_rogue(&mut self, cx: &mut Cx<'_>) {
        if self.rogue.until.is_some_and(|at| at <= cx.now) {
            self.rogue = Rogue::default();
            cx.log(format!("({}): rogue address owner appears to have stopped advertising", self.params.name));
        }
    }

    /// Becomes master: the advert first, so that the old master removes the addresses before ours are told.
    pub(crate) fn become_master(&mut self, group: Option<State>, cx: &mut Cx<'_>) {
        self.ah.renew();
        self.complaints.0.clear();
        self.pulse = None;
        self.state = State::Master;
        self.want = State::Master;
        if self.params.is_owner() && self.priority != Priority::OWNER {
            let name = &self.params.name;
            cx.log(format!("({name}) Restoring our priority to 255 since other address owner has disappeared"));
            self.priority = Priority::OWNER;
        }
        self.send(self.priority.get(), cx);
        self.timer = Some(cx.now + self.params.interval());
        cx.log(format!("({}) Entering MASTER STATE", self.params.name));
        self.stats.become_master += 1;
        if self.learned.is_some() && self.master_interval() != self.params.interval() {
            let (theirs, ours) = (self.master_interval().as_millis(), self.params.interval().as_millis());
            let name = &self.params.name;
            cx.detail(format!("({name}) changing advert interval from {theirs}ms to locally configured {ours}ms"));
        }
        self.learned = None;
        self.put_everything_up(cx);
        self.tell_all(cx, self.params.garp.master_repeat);
        self.plan_rounds(cx.now);
        self.last_transition = cx.now;
        self.notify(cx, group);
    }

    /// Stops being master, for backup or fault. `goodbye`: with an advert of priority 0.
    pub(crate) fn leave_master(&mut self, goodbye: bool, group: Option<State>, cx: &mut Cx<'_>) {
        self.complaints.0.clear();
        cx.log(format!("({}) Entering {} STATE", self.params.name, self.want.word()));
        self.preempt_at = None;
        if goodbye {
            self.say_goodbye(cx);
        }
        self.take_everything_down(false, cx);
        self.state = self.want;
        self.rogue = Rogue::default();
        self.stats.release_master += 1;
        self.last_transition = cx.now;
        self.listen(cx.now);
        self.notify(cx, group);
    }

    /// Leaves fault, or enters it from backup: into the wanted state.
    pub(crate) fn settle(&mut self, group: Option<State>, cx: &mut Cx<'_>) {
        if self.state != self.want {
            cx.log(format!("({}) Entering {} STATE", self.params.name, self.want.word()));
            self.last_transition = cx.now;
        }
        self.state = self.want;
        self.preempt_at = None;
        self.learned = None;
        self.listen(cx.now);
        self.notify(cx, group);
    }

    /// Starts the master-down timer in backup, no timer in fault.
    fn listen(&mut self, now: Time) {
        if self.state == State::Backup {
            self.wait_for_master(now);
            self.pulse = Some(now + self.master_interval() / PULSE);
        } else {
            self.timer = None;
            self.pulse = None;
        }
    }

    fn say_goodbye(&mut self, cx: &mut Cx<'_>) {
        if self.source.is_some() {
            self.send(0, cx);
            self.stats.pri_zero_sent += 1;
            cx.detail(format!("({}) sent 0 priority", self.params.name));
        }
    }

    /// The daemon stops, or a reload removes it.
    pub(crate) fn end(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Master {
            self.say_goodbye(cx);
            self.stats.release_master += 1;
        }
        if self.holds {
            self.take_everything_down(false, cx);
        }
        self.want = State::Init;
        self.state = State::Init;
        self.timer = None;
        self.pulse = None;
    }

    /// Changes the effective priority and the wait that depends on it.
    pub(crate) fn set_priority(&mut self, priority: Priority, cx: &mut Cx<'_>) {
        if self.params.is_owner() || priority == self.priority {
            return;
        }
        cx.log(format!("({}) Changing effective priority from {} to {priority}", self.params.name, self.priority));
        let before = self.skew();
        self.priority = priority;
        let after = self.skew();
        if let (State::Backup, Some(at)) = (self.state, self.timer) {
            self.timer = Some(if after > before { at + (after - before) } else { at - (before - after) });
        }
        if self.params.notify_priority_changes {
            let event = if self.state == State::Master { Event::MasterPriority } else { Event::BackupPriority };
            self.push_notify(cx, event);
        }
    }

    /// The effective priority before it has begun, without a word.
    pub(crate) fn init_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// Tells the state it is in, unless its group tells the same.
    fn notify(&mut self, cx: &mut Cx<'_>, group: Option<State>) {
        if self.told && group == Some(self.state) {
            return;
        }
        self.told = true;
        self.push_notify(cx, Event::Entered(self.state));
    }

    pub(crate) fn push_notify(&self, cx: &mut Cx<'_>, event: Event) {
        cx.out.push_back(Output::Notify(Notify {
            group: false,
            name: self.params.name.clone(),
            event,
            priority: self.priority.get(),
        }));
    }

    /// Its group has told, or a reload found it as it was: nothing is to be told until it changes.
    pub(crate) fn mark_told(&mut self) {
        self.told = true;
    }

    /// Addresses, routes, rules.
    fn put_everything_up(&mut self, cx: &mut Cx<'_>) {
        let params = self.params.clone();
        self.drop_rule(true, cx);
        self.change_addresses(&params.addresses, "", true, cx);
        self.change_addresses(&params.excluded, "E-", true, cx);
        self.holds = true;
        self.change_routes(&params.routes, true, cx);
        self.change_rules(&params.rules, true, cx);
    }

    /// The reverse. `leftovers`: what an earlier run may have left; nobody held it in this one.
    fn take_everything_down(&mut self, leftovers: bool, cx: &mut Cx<'_>) {
        let params = self.params.clone();
        cx.pacers.forget(&params.name);
        self.rounds = super::Rounds::default();
        if !self.holds && !leftovers {
            return;
        }
        self.change_rules(&params.rules, false, cx);
        self.change_routes(&params.routes, false, cx);
        self.change_addresses(&params.addresses, "", false, cx);
        self.change_addresses(&params.excluded, "E-", false, cx);
        self.drop_rule(false, cx);
        self.holds = false;
    }

    pub(crate) fn change_addresses(&self, addresses: &[VirtualAddress], kind: &str, add: bool, cx: &mut Cx<'_>) {
        if addresses.is_empty() {
            return;
        }
        let word = if add { "setting" } else { "removing" };
        cx.detail(format!("({}) {word} {kind}VIPs.", self.params.name));
        cx.out.push_back(Output::Addresses { instance: self.params.name.clone(), addresses: addresses.to_vec(), add });
    }

    pub(crate) fn change_routes(&self, routes: &[crate::params::Name], add: bool, cx: &mut Cx<'_>) {
        if routes.is_empty() {
            return;
        }
        let word = if add { "setting" } else { "removing" };
        cx.detail(format!("({}) {word} Virtual Routes", self.params.name));
        cx.out.push_back(Output::Routes { instance: self.params.name.clone(), routes: routes.to_vec(), add });
    }

    pub(crate) fn change_rules(&self, rules: &[crate::params::Name], add: bool, cx: &mut Cx<'_>) {
        if rules.is_empty() {
            return;
        }
        let word = if add { "setting" } else { "removing" };
        cx.detail(format!("({}) {word} Virtual Rules", self.params.name));
        cx.out.push_back(Output::Rules { instance: self.params.name.clone(), rules: rules.to_vec(), add });
    }

    /// Without accept mode, packets to the addresses are dropped; the owner always accepts.
    pub(crate) fn drop_rule(&self, add: bool, cx: &mut Cx<'_>) {
        if self.params.accept || self.params.is_owner() {
            return;
        }
        let word = if add { "setting" } else { "removing" };
        cx.detail(format!("({}) {word} firewall drop rule", self.params.name));
        let addresses = self.params.addresses.iter().chain(&self.params.excluded).cloned().collect();
        cx.out.push_back(Output::DropRule { instance: self.params.name.clone(), addresses, add });
    }
}

/// Transitions that faults and groups ask for.
impl Instance {
    /// To backup, out of whatever it is in.
    pub(crate) fn follow_to_backup(&mut self, group: Option<State>, cx: &mut Cx<'_>) {
        self.want = State::Backup;
        match self.state {
            State::Master => self.leave_master(false, group, cx),
            _ => self.settle(group, cx),
        }
    }

    /// To fault. In fault already, it only tells so if it has not yet.
    pub(crate) fn fall(&mut self, group: Option<State>, cx: &mut Cx<'_>) {
        self.want = State::Fault;
        match self.state {
            State::Master => self.leave_master(true, group, cx),
            State::Fault if self.told => {}
            _ => self.settle(group, cx),
        }
    }
}
