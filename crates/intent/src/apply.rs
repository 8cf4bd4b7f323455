//! What each edit makes of a table, and why the kernel would refuse it.
//!
//! An edit is checked completely before anything is changed, so a refused edit leaves no trace.

use crate::model::{Dest, Table, Timeouts};
use crate::rules::Rules;
use rvs_core::abi::ServiceKey;
use rvs_wire::{Addr, Be16};

/// One change, as a tool asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `-A`.
    AddService(ServiceSettings),
    /// `-E`: all settings are replaced; destinations stay.
    EditService(ServiceSettings),
    /// `-D`.
    DeleteService(ServiceKey),
    /// `-C`. Timeouts stay.
    Flush,
    /// `-a`.
    AddDest(ServiceKey, Dest),
    /// `-e`: settings are replaced; the place in the list stays.
    EditDest(ServiceKey, Dest),
    /// `-d`.
    DeleteDest(ServiceKey, Addr, Be16),
    /// `--set`; 0 keeps a value.
    SetTimeouts(Timeouts),
}

/// Settings of a service as `-A` and `-E` give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Protocol, address and port, or mark.
    pub key: ServiceKey,
    /// Scheduler by name, unchecked: an unknown one is refused as the kernel does.
    pub sched: String,
    /// Service flags.
    pub flags: u16,
    /// Persistence timeout in seconds; 0 when not persistent.
    pub persist_secs: u32,
    /// Persistence mask.
    pub netmask: Addr,
    /// Persistence engine by name, unchecked: an unknown one is refused as the kernel does.
    pub engine: Option<String>,
}

/// Why an edit is refused; the kernel's errors, plus what this version cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `EEXIST` on a service.
    #[error("service already exists")]
    ServiceExists,
    /// `ESRCH` on a service.
    #[error("no such service")]
    NoService,
    /// `EEXIST` on a destination.
    #[error("destination already exists")]
    DestExists,
    /// `ENOENT` on a destination.
    #[error("no such destination")]
    NoDest,
    /// `ENOENT` on a scheduler or persistence engine.
    #[error("scheduler or persistence engine not found")]
    NoScheduler,
    /// `EINVAL`: address not unicast and the like.
    #[error("invalid operation")]
    Invalid,
    /// `ERANGE`: thresholds.
    #[error("out of range")]
    Range,
    /// `EEXIST` on a daemon.
    #[error("the daemon runs already")]
    DaemonRuns,
    /// `ESRCH` on a daemon.
    #[error("no daemon is running")]
    NoDaemon,
    /// `ENODEV`: an interface that does not exist.
    #[error("no such device")]
    NoDevice,
    /// A limit of this director is reached.
    #[error("{0}")]
    Limit(String),
    /// Not supported by this version.
    #[error("{0}")]
    Unsupported(String),
}

impl Table {
    /// Makes the change under the rules of production: what this version can do, no interfaces known.
    ///
    /// # Errors
    /// Refuses it as the kernel would, and leaves the table as it was.
    pub fn apply(&mut self, edit: &Edit) -> Result<(), Refusal> {
        self.apply_in(edit, &Rules::default())
    }

    /// Makes the change under `rules`.
    ///
    /// # Errors
    /// Refuses it as the kernel would, and leaves the table as it was.
    pub fn apply_in(&mut self, edit: &Edit, rules: &Rules<'_>) -> Result<(), Refusal> {
        match edit {
            Edit::AddService(settings) => self.add_service(settings, rules),
            Edit::EditService(settings) => self.edit_service(settings, rules),
            Edit::DeleteService(key) => self.delete_service(key),
            Edit::Flush => {
                self.services.clear();
                Ok(())
            }
            Edit::AddDest(key, dest) => self.add_dest(key, dest, rules),
            Edit::EditDest(key, dest) => self.edit_dest(key, dest, rules),
            Edit::DeleteDest(key, addr, port) => self.delete_dest(key, *addr, *port),
            Edit::SetTimeouts(wanted) => {
                self.set_timeouts(*wanted);
                Ok(())
            }
        }
    }

    /// Makes all the changes in order, or none of them.
    ///
    /// # Errors
    /// Names the first refused edit by its index, and leaves the table as it was.
    pub fn apply_all(&mut self, edits: &[Edit], rules: &Rules<'_>) -> Result<(), (usize, Refusal)> {
        let mut next = self.clone();
        for (index, edit) in edits.iter().enumerate() {
            next.apply_in(edit, rules).map_err(|refusal| (index, refusal))?;
        }
        *self = next;
        Ok(())
    }

    fn set_timeouts(&mut self, wanted: Timeouts) {
        let keep_zero = |now: &mut u32, wanted: u32| {
            if wanted != 0 {
                *now = wanted;
            }
        };
        keep_zero(&mut self.timeouts.tcp, wanted.tcp);
        keep_zero(&mut self.timeouts.tcp_fin, wanted.tcp_fin);
        keep_zero(&mut self.timeouts.udp, wanted.udp);
    }
}
