//! What is to be done, made of a configuration: the protocols' parameters with the original's defaults, the things to hold, the
//! scripts to run, whom to tell. A pure function; what it needs to know of the system is handed in.

pub mod balance;
mod bfd;
mod instance;
mod notify;
mod options;
mod things;
mod track;
mod vmac;

pub use balance::Balance;
pub use instance::hmac_key;
pub use notify::{Command, Fifos, Notifies, Recipient};
pub use options::{Boundaries, Dumps, Options, Room, paths};
pub use things::{Catalogue, Statics, Tables, address, route, rule};
pub use track::{TrackedFile, TrackedProcess};

use rvs_config::keepalived::Config;
use rvs_vrrp::params::{Config as Vrrp, InstanceParams, Name, Pace, PacingParams, Tracked};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// What is known of the system when a configuration is read.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// How long the machine has been up.
    pub uptime: Duration,
    /// The contents of key files that `auth_hmac` names; files that cannot be read are missing.
    pub keys: BTreeMap<PathBuf, Vec<u8>>,
}

/// Which parts run; the command line may leave some out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The virtual routers.
    pub vrrp: bool,
    /// The BFD sessions.
    pub bfd: bool,
    /// The virtual servers.
    pub check: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The virtual routers.
    pub vrrp: Vrrp,
    /// The BFD sessions.
    pub bfd: Vec<rvs_bfd::Params>,
    /// The virtual servers.
    pub balance: Balance,
    /// Addresses, routes and rules by the names that the protocol knows them by.
    pub catalogue: Catalogue,
    /// Tracked files.
    pub files: BTreeMap<String, TrackedFile>,
    /// Tracked processes.
    pub processes: BTreeMap<String, TrackedProcess>,
    /// Tracked scripts: what to run, how often, how long at most.
    pub scripts: BTreeMap<String, (Command, Duration, Duration)>,
    /// Whom instances and groups tell.
    pub notifies: Notifies,
    /// Everything else.
    pub options: Options,
    /// What an operator should know: lines for the log.
    pub remarks: Vec<String>,
}

impl Plan {
    /// All commands that may be run for somebody who is told or tracked, the tracked scripts left out.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let everybody = self.notifies.instances.values().chain(self.notifies.groups.values());
        let readers = self.notifies.all_fifos().filter_map(|(_, reader)| reader.as_ref());
        let (first, last) = &self.options.boundaries;
        let boundaries = [first, last].into_iter().flatten().map(|(command, _)| command);
        everybody.flat_map(Recipient::commands).chain(readers).chain(boundaries).chain(self.balance.commands())
    }

    /// Leaves parts out.
    pub fn restrict(&mut self, parts: Parts) {
        if !parts.vrrp {
            self.vrrp = Vrrp::default();
            self.catalogue = Catalogue::default();
            self.scripts.clear();
        }
        if !parts.bfd {
            self.bfd.clear();
        }
        if !parts.check {
            self.balance = Balance::default();
        }
    }

    /// Whether somebody else waits for our timers: other routers, or the ends of sessions.
    pub fn must_be_prompt(&self) -> bool {
        !self.vrrp.instances.is_empty() || !self.bfd.is_empty()
    }

    /// Leaves tracked scripts out that cannot be run: nobody waits for what will never be told.
    pub fn forget_script(&mut self, name: &str) {
        let gone = Tracked::Script(name.into());
        self.scripts.remove(name);
        self.vrrp.scripts.retain(|script| &*script.name != name);
        let instances = self.vrrp.instances.iter_mut().map(|instance| &mut instance.track);
        for track in instances.chain(self.vrrp.groups.iter_mut().map(|group| &mut group.track)) {
            track.retain(|item| item.what != gone);
        }
    }

    /// Makes a plan of a configuration.
    pub fn of(config: &Config, facts: &Facts) -> Self {
        let mut remarks = Vec::new();
        let mut catalogue = Catalogue::of_statics(config);
        let mut instances: Vec<InstanceParams> = Vec::new();
        for block in &config.instances {
            let vmacs = instances.iter().flat_map(InstanceParams::vmacs);
            let taken: BTreeSet<Name> = vmacs.map(|(_, vmac)| vmac.name.clone()).collect();
            let params = instance::params(block, config, facts, &taken, &mut remarks);
            if let Some(params) = params {
                catalogue.add_instance(block);
                instances.push(params);
            }
        }
        let vrrp = Vrrp {
            groups: track::groups(config, &instances),
            instances,
            scripts: track::scripts(config),
            processes: track::processes(config),
            pacing: config.garp_groups.iter().map(pacing).collect(),
            default_pace: pace(config.globals.vrrp_garp_interval, config.globals.vrrp_gna_interval),
            log_unknown_vrids: config.globals.log_unknown_vrids,
            startup_delay: startup_delay(config, facts.uptime),
        };
        things::remark(config, &mut remarks);
        Self {
            balance: Balance::of(config, &mut remarks),
            bfd: bfd::params(config, &mut remarks),
            files: track::files(config),
            processes: track::process_patterns(config),
            scripts: track::commands(config),
            notifies: Notifies::of(config),
            options: Options::of(config),
            vrrp,
            catalogue,
            remarks,
        }
    }
}

type GarpDelay = rvs_config::keepalived::value::Int<0, 2_147_483_647>;
type Pause = rvs_config::keepalived::value::Seconds<0, 4_294_967_295_000_000>;

fn pace(arp: Option<Pause>, na: Option<Pause>) -> Pace {
    let duration = |pause: Option<Pause>| pause.map_or(Duration::ZERO, Pause::duration);
    Pace { arp: duration(arp), na: duration(na) }
}

fn pacing(group: &rvs_config::keepalived::model::statics::GarpGroup) -> PacingParams {
    let one = group.interface.iter().map(|name| (**name).into());
    let several = group.interfaces.iter().map(|name| name.0.as_str().into());
    PacingParams { pace: pace(group.garp_interval, group.gna_interval), interfaces: one.chain(several).collect() }
}

fn startup_delay(config: &Config, uptime: Duration) -> Duration {
    let duration = |pause: Option<Pause>| pause.map_or(Duration::ZERO, Pause::duration);
    let after_boot = duration(config.globals.vrrp_delay_after_boot).saturating_sub(uptime);
    duration(config.globals.vrrp_startup_delay).max(after_boot)
}

#[cfg(test)]
mod tests;
