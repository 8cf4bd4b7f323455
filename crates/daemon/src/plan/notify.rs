//! Whom instances and groups tell of what happens to them.

use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::vrrp;
use rvs_config::keepalived::value::{self, User};
use rvs_vrrp::{Event, State};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A command as it is configured; who may run it is not judged here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Command {
    /// Program and arguments.
    pub words: Vec<String>,
    /// As whom, if that was said.
    pub user: Option<User>,
}

impl Command {
    pub(super) fn of(command: &value::Command) -> Self {
        Self { words: command.argv(), user: command.user.clone() }
    }
}

/// Whom one instance or group tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipient {
    master: Option<Command>,
    backup: Option<Command>,
    fault: Option<Command>,
    stop: Option<Command>,
    deleted: Option<Command>,
    lower: Option<Command>,
    any: Option<Command>,
    /// Mails as well.
    pub mail: bool,
}

impl Recipient {
    fn of(block: &vrrp::Notifies, lower: Option<&value::Command>, mail: bool) -> Self {
        let command = |command: &Option<value::Command>| command.as_ref().map(Command::of);
        Self {
            master: command(&block.master),
            backup: command(&block.backup),
            fault: command(&block.fault),
            stop: command(&block.stop),
            deleted: block.deleted.as_ref().and_then(|deleted| command(&deleted.0)),
            lower: lower.map(Command::of),
            any: command(&block.any),
            mail: block.smtp_alert.map_or(mail, |switch| switch.0),
        }
    }

    /// The command for this event, without further arguments.
    pub fn special(&self, event: Event) -> Option<&Command> {
        match event {
            Event::Entered(State::Master) => self.master.as_ref(),
            Event::Entered(State::Backup) => self.backup.as_ref(),
            Event::Entered(State::Fault) => self.fault.as_ref(),
            Event::Stop => self.stop.as_ref(),
            Event::Deleted => self.deleted.as_ref(),
            Event::MasterRxLowerPri => self.lower.as_ref(),
            Event::Entered(State::Init) | Event::MasterPriority | Event::BackupPriority => None,
        }
    }

    /// The command for all events, which is told what happened. Of an advert of lower priority only the special one is told.
    pub fn general(&self, event: Event) -> Option<&Command> {
        self.any.as_ref().filter(|_| event != Event::MasterRxLowerPri)
    }

    /// All its commands.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let all = [&self.master, &self.backup, &self.fault, &self.stop, &self.deleted, &self.lower, &self.any];
        all.into_iter().flatten()
    }
}

/// FIFOs with the programs that read them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fifos(pub Vec<(PathBuf, Option<Command>)>);

/// Whom everybody tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notifies {
    /// By instance.
    pub instances: BTreeMap<String, Recipient>,
    /// By group.
    pub groups: BTreeMap<String, Recipient>,
    /// FIFOs that hear of VRRP.
    pub fifos: Fifos,
    /// FIFOs that hear of virtual servers.
    pub lvs_fifos: Fifos,
}

impl Notifies {
    pub(super) fn of(config: &Config) -> Self {
        let globals = &config.globals;
        let mail = globals.smtp_alert_vrrp.or(globals.smtp_alert).is_some_and(|switch| switch.0);
        let instance = |block: &vrrp::Instance| {
            let lower = block.notify_master_rx_lower_pri.as_ref();
            (block.name.0.clone(), Recipient::of(&block.notifies, lower, mail))
        };
        let group = |block: &vrrp::SyncGroup| (block.name.0.clone(), Recipient::of(&block.notifies, None, mail));
        let fifo = |fifo: &Option<value::command::Fifo>, script: &Option<value::Command>| {
            fifo.as_ref().map(|fifo| (PathBuf::from(&fifo.path), script.as_ref().map(Command::of)))
        };
        let all = fifo(&globals.notify_fifo, &globals.notify_fifo_script);
        let fifos = [all.clone(), fifo(&globals.vrrp_notify_fifo, &globals.vrrp_notify_fifo_script)];
        let lvs_fifos = [all, fifo(&globals.lvs_notify_fifo, &globals.lvs_notify_fifo_script)];
        Self {
            instances: config.instances.iter().map(instance).collect(),
            groups: config.sync_groups.iter().map(group).collect(),
            fifos: Fifos(fifos.into_iter().flatten().collect()),
            lvs_fifos: Fifos(lvs_fifos.into_iter().flatten().collect()),
        }
    }

    /// All FIFOs, each once.
    pub fn all_fifos(&self) -> impl Iterator<Item = &(PathBuf, Option<Command>)> {
        let more = self.lvs_fifos.0.iter().filter(|fifo| !self.fifos.0.contains(fifo));
        self.fifos.0.iter().chain(more)
    }

    /// Whom an instance or a group tells.
    pub fn recipient(&self, group: bool, name: &str) -> Option<&Recipient> {
        if group { self.groups.get(name) } else { self.instances.get(name) }
    }

    /// True if some script is to be run.
    pub fn has_scripts(&self) -> bool {
        let everybody = || self.instances.values().chain(self.groups.values());
        everybody().any(|recipient| recipient.commands().next().is_some())
            || self.all_fifos().any(|(_, reader)| reader.is_some())
    }
}
