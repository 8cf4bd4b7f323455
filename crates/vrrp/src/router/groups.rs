//! Sync groups: their members are all master, or all backup, or all in fault.

use super::Router;
use crate::instance::Instance;
use crate::io::{Event, State};
use crate::params::{Config, GroupParams, Name};

/// A sync group.
#[derive(Clone, Debug)]
pub struct Group {
    params: GroupParams,
    state: State,
    members: Vec<usize>,
}

impl Group {
    /// Its parameters.
    pub fn params(&self) -> &GroupParams {
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

    /// The places of its members among the instances.
    pub fn members(&self) -> &[usize] {
        &self.members
    }
}

/// The groups, and the group of each instance. A name that is no instance's, or is in a group already, is left out.
pub(super) fn build(config: &Config, instances: &[Instance]) -> (Vec<Group>, Vec<Option<usize>>) {
    let mut membership = vec![None; instances.len()];
    let mut groups = Vec::new();
    for params in &config.groups {
        let mut members = Vec::new();
        for name in &params.members {
            let Some(at) = instances.iter().position(|instance| instance.name() == name) else { continue };
            if membership[at].is_none() {
                membership[at] = Some(groups.len());
                members.push(at);
            }
        }
        groups.push(Group { params: params.clone(), state: State::Init, members });
    }
    (groups, membership)
}

impl Router {
    /// The other members of an instance's group.
    pub(super) fn other_members(&self, at: usize) -> Vec<usize> {
        let members = self.membership[at].map(|group| &self.groups[group].members[..]).unwrap_or_default();
        members.iter().copied().filter(|member| *member != at).collect()
    }

    /// True if no other member of its group is at fault or waits for a script.
    fn peers_able(&self, at: usize) -> bool {
        let able = |at: usize| !self.instances[at].faults.any() && self.instances[at].faults.pending == 0;
        self.other_members(at).into_iter().all(able)
    }

    /// True if no member of its group waits for a script.
    pub(super) fn peers_ready(&self, at: usize) -> bool {
        self.other_members(at).into_iter().all(|at| self.instances[at].faults.pending == 0)
    }

    /// The state that a group begins in, by its members' faults and wishes.
    fn first_state(&self, group: usize) -> State {
        let members = || self.groups[group].members.iter().map(|at| &self.instances[*at]);
        if members().any(|member| member.faults.any()) {
            State::Fault
        } else if members().any(|member| member.faults.pending > 0) {
            State::Init
        } else if members().all(|member| member.want() == State::Master && member.params().is_owner()) {
            State::Master
        } else {
            State::Backup
        }
    }

    /// Sets and tells the groups' first states.
    pub(super) fn begin_groups(&mut self) {
        for group in 0..self.groups.len() {
            self.begin_group(group);
        }
    }

    /// Sets and tells a group's first state.
    pub(super) fn begin_group(&mut self, group: usize) {
        self.groups[group].state = self.first_state(group);
        let members = self.groups[group].members.iter().map(|at| &self.instances[*at]);
        if let Some(first) = members.into_iter().find(|member| member.faults.any()) {
            let (group, member) = (self.groups[group].name(), first.name());
            let text = format!("VRRP_Group({group}): Syncing {member} to FAULT state");
            self.out.push_back(crate::io::Output::Log(crate::io::Log { detail: false, text }));
        }
        if self.groups[group].state != State::Init {
            self.notify_group(group, Event::Entered(self.groups[group].state));
        }
    }

    /// After a reload: a group that was there before keeps its state, another takes its members'.
    pub(super) fn resume_group(&mut self, group: usize, before: Option<State>) {
        let states: Vec<State> = self.groups[group].members.iter().map(|at| self.instances[*at].state()).collect();
        let state = if states.contains(&State::Fault) {
            State::Fault
        } else if !states.is_empty() && states.iter().all(|state| *state == State::Master) {
            State::Master
        } else {
            State::Backup
        };
        self.groups[group].state = state;
        if before != Some(state) {
            self.notify_group(group, Event::Entered(state));
        }
    }

    /// True if its group is master already or every other member wants to be.
    pub(super) fn may_lead(&self, at: usize) -> bool {
        let Some(group) = self.membership[at] else { return true };
        self.groups[group].state == State::Master
            || self.other_members(at).into_iter().all(|at| self.instances[at].want() == State::Master)
    }

    /// An instance has become master, or is: its group follows, once all want to.
    pub(super) fn sync_master(&mut self, at: usize) {
        let Some(group) = self.membership[at] else { return };
        if self.groups[group].state == State::Master || !self.may_lead(at) {
            return;
        }
        self.log_sync(group, State::Master);
        for other in self.other_members(at) {
            if self.instances[other].state() != State::Master {
                self.with(other, |instance, group, cx| instance.become_master(group, cx));
            }
        }
        self.enter(group, State::Master);
    }

    /// An instance has gone to backup: its group follows.
    pub(super) fn sync_backup(&mut self, at: usize) {
        let Some(group) = self.membership[at] else { return };
        if self.groups[group].state == State::Backup {
            return;
        }
        self.log_sync(group, State::Backup);
        for other in self.other_members(at) {
            if self.instances[other].state() != State::Backup {
                self.with(other, |instance, group, cx| instance.follow_to_backup(group, cx));
            }
        }
        self.enter(group, State::Backup);
    }

    fn sync_fault(&mut self, at: usize) {
        let Some(group) = self.membership[at] else { return };
        if self.groups[group].state == State::Fault {
            return;
        }
        self.log_sync(group, State::Fault);
        for other in self.other_members(at) {
            if self.instances[other].state() != State::Fault {
                self.with(other, |instance, group, cx| instance.fall(group, cx));
            }
        }
        self.enter(group, State::Fault);
    }

    fn log_sync(&mut self, group: usize, state: State) {
        let text = format!("VRRP_Group({}) Syncing instances to {} state", self.groups[group].name(), state.word());
        self.out.push_back(crate::io::Output::Log(crate::io::Log { detail: false, text }));
    }

    fn enter(&mut self, group: usize, state: State) {
        self.groups[group].state = state;
        self.notify_group(group, Event::Entered(state));
    }

    /// Acts upon faults that came or went.
    pub(super) fn react(&mut self, at: usize) {
        let instance = &self.instances[at];
        let (faulty, pending) = (instance.faults.any(), instance.faults.pending > 0);
        match instance.state() {
            State::Backup | State::Master if faulty => {
                self.with(at, |instance, group, cx| instance.fall(group, cx));
                self.sync_fault(at);
            }
            State::Fault if faulty => {
                // It may have waited for a script, and its group with it.
                self.with(at, |instance, group, cx| instance.fall(group, cx));
                self.sync_fault(at);
            }
            State::Fault if !pending && self.peers_able(at) => self.rise(at),
            _ => {}
        }
    }

    /// Leaves fault.
    fn rise(&mut self, at: usize) {
        let owner = self.instances[at].want() == State::Master && self.instances[at].params().is_owner();
        if owner && self.may_lead(at) {
            return self.lead(at);
        }
        self.with(at, |instance, group, cx| {
            instance.follow_to_backup(group, cx);
            instance.tell_source(cx);
        });
        self.sync_backup(at);
    }
}
