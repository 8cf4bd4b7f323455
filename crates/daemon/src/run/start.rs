//! Reading the configuration: at the start, in the right namespace, and again at a reload.

use crate::plan::{Facts, Parts, Plan};
use rvs_config::keepalived::options::{Id, Settings};
use rvs_config::keepalived::{Config, Disk, Level, Loaded, load};
use rvs_host::clock;
use rvs_host::daemon::{PidFileKind, default_path, enter_namespace};
use rvs_machine::Time;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The exit status where there is nothing to run by.
pub const NO_CONFIG: i32 = 6;
/// The longest file of a key; keys have at most 64 bytes.
const LONGEST_KEY: u64 = 65;

/// A configuration that was read.
#[derive(Debug)]
pub struct Started {
    loaded: Loaded,
    path: PathBuf,
}

/// Reads the configuration, after entering the namespace that it or the command line names.
pub(super) fn read(settings: &Settings) -> Result<Started, (String, i32)> {
    let path = settings.file();
    let first = load(&path, &Disk, &settings.environment());
    if !first.found {
        return Err((format!("Unable to find configuration file {}", path.display()), NO_CONFIG));
    }
    let named = settings.argument(Id::Namespace).or(first.config.net_namespace());
    let Some(name) = named.map(str::to_owned) else { return Ok(Started { loaded: first, path }) };
    enter_namespace(&name).map_err(|error| (format!("Unable to enter network namespace {name}: {error}"), 1))?;
    // Which interfaces there are is another question there.
    Ok(Started { loaded: load(&path, &Disk, &settings.environment()), path })
}

/// Reads it again. What is wrong with it is in the log; then nothing changes.
pub(super) fn reread(settings: &Settings) -> Result<Started, String> {
    let path = settings.file();
    let loaded = load(&path, &Disk, &settings.environment());
    if !loaded.found {
        return Err(format!("there is no {}", path.display()));
    }
    let again = Started { loaded, path };
    again.announce();
    let errors = again.loaded.reports.iter().filter(|report| report.level == Level::Error).count();
    if errors > 0 {
        return Err(format!("the configuration has {errors} errors"));
    }
    Ok(again)
}

impl Started {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// The configuration, as far as it is needed while the daemon runs: without what only the plan was made of, which with
    /// thousands of real servers is most of it.
    pub(super) fn into_config(self) -> Config {
        let mut config = self.loaded.config;
        for server in &mut config.servers {
            server.spans = Default::default();
            for real in &mut server.real_servers {
                real.spans = Default::default();
                real.pace.spans = Default::default();
                real.checks = Default::default();
            }
            server.real_servers.shrink_to_fit();
        }
        config
    }

    /// Logs what was read and all that was found in it.
    pub fn announce(&self) {
        tracing::info!("Opening file '{}'.", self.path.display());
        tracing::info!("Configuration file {}", self.path.display());
        for report in self.loaded.reports.iter() {
            tracing::info!("{}", report.one_line(&self.loaded.sources));
        }
    }

    /// The plan that follows from it.
    pub fn plan(&self, settings: &Settings) -> Plan {
        let mut keys = BTreeMap::new();
        for line in self.config().instances.iter().flat_map(|block| &block.auth_hmac.keys) {
            if let Some(path) = line.key.strip_prefix("file:")
                && let Ok(key) = read_key(path)
            {
                keys.insert(PathBuf::from(path), key);
            }
        }
        // The monotonic clock began with the machine, but for the time it slept.
        let mut plan = Plan::of(self.config(), &Facts { uptime: clock::now().since(Time::ZERO), keys });
        plan.restrict(Parts {
            vrrp: settings.has(Id::Vrrp) || !settings.has(Id::Check),
            bfd: !settings.has(Id::NoBfd),
            check: settings.has(Id::Check) || !settings.has(Id::Vrrp),
        });
        plan.options.watch_addresses = settings.has(Id::AddressMonitoring);
        for remark in &plan.remarks {
            tracing::warn!("{remark}");
        }
        plan
    }
}

fn read_key(path: &str) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut key = Vec::new();
    std::fs::File::open(path)?.take(LONGEST_KEY).read_to_end(&mut key)?;
    while key.last().is_some_and(u8::is_ascii_whitespace) {
        key.pop();
    }
    Ok(key)
}

/// The file for the number of the process.
pub fn pid_path(settings: &Settings, config: &Config, kind: PidFileKind) -> PathBuf {
    let option = match kind {
        PidFileKind::Daemon => Id::Pid,
        PidFileKind::Vrrp => Id::VrrpPid,
        PidFileKind::Checkers => Id::CheckersPid,
        PidFileKind::Bfd => Id::BfdPid,
    };
    let folder = config.globals.use_pid_dir || config.top.use_pid_dir;
    let standard = || default_path(kind, folder, config.instance_name());
    settings.argument(option).map_or_else(standard, PathBuf::from)
}

/// All the files for the number of the process.
pub(super) fn pid_files(settings: &Settings, started: &Started) -> Vec<PathBuf> {
    let config = started.config();
    let mut kinds = vec![PidFileKind::Daemon];
    kinds.extend((!config.instances.is_empty()).then_some(PidFileKind::Vrrp));
    kinds.extend((!config.bfds.is_empty()).then_some(PidFileKind::Bfd));
    kinds.extend((!config.servers.is_empty()).then_some(PidFileKind::Checkers));
    kinds.into_iter().map(|kind| pid_path(settings, config, kind)).collect()
}

/// Where the keeper of virtual servers writes down what the next daemon is to know: beside the pid file.
pub(super) fn state_path(settings: &Settings, config: &Config) -> PathBuf {
    pid_path(settings, config, PidFileKind::Daemon).with_extension("state")
}

/// Where `rvs vrrp` asks: beside the pid file, with another ending.
pub fn status_path(settings: &Settings, config: &Config) -> PathBuf {
    pid_path(settings, config, PidFileKind::Daemon).with_extension("sock")
}
