//! What is tracked: by the protocol, and by those who look at it.

use super::notify::Command;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::vrrp::Tracks;
use rvs_config::keepalived::value::choice::ParamMatch;
use rvs_config::keepalived::value::{Int, Weight};
use rvs_host::track::{Arguments, ProcessPattern};
use rvs_vrrp::params::{GroupParams, InstanceParams, ProcessParams, ScriptParams, TrackParams, Tracked};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A tracked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What to write at the start, and whether over what is there.
    pub first: Option<(i64, bool)>,
}

/// A tracked process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedProcess {
    /// Which processes.
    pub pattern: ProcessPattern,
    /// How long more of them must be there until that counts.
    pub fork_delay: Duration,
    /// How long less of them must be there until that counts.
    pub terminate_delay: Duration,
}

fn put<const LIMIT: i64>(list: &mut Vec<TrackParams>, what: Tracked, own: Option<Weight<LIMIT>>, other: (i64, bool)) {
    let (value, reverse) = own.map_or(other, |weight| (weight.value, weight.reverse));
    let weight = i16::try_from(value.clamp(-254, 254)).unwrap_or(0);
    list.push(TrackParams { what, weight, reverse });
}

/// What an instance or group tracks; the weight is its own, else that of what is tracked.
pub(super) fn of(tracks: &Tracks, config: &Config) -> Vec<TrackParams> {
    let mut list = Vec::new();
    for item in tracks.interfaces.iter() {
        put(&mut list, Tracked::Interface(item.name.as_str().into()), item.weight, (0, false));
    }
    for item in tracks.scripts.iter() {
        let block = config.scripts.iter().find(|block| block.name.0 == item.name);
        let weight = block.and_then(|block| block.weight).map_or((0, false), |weight| (weight.value, weight.reverse));
        put(&mut list, Tracked::Script(item.name.as_str().into()), item.weight, weight);
    }
    for item in tracks.files.iter() {
        let block = config.track_files.iter().find(|block| block.name.0 == item.name);
        let weight = block.and_then(|block| block.weight).map_or((1, false), |weight| (weight.value, weight.reverse));
        put(&mut list, Tracked::File(item.name.as_str().into()), item.weight, weight);
    }
    for item in tracks.processes.iter() {
        let block = config.track_processes.iter().find(|block| block.name.0 == item.name);
        let weight = block.and_then(|block| block.weight).map_or((1, false), |weight| (weight.value, weight.reverse));
        put(&mut list, Tracked::Process(item.name.as_str().into()), item.weight, weight);
    }
    for item in tracks.bfds.iter() {
        let block = config.bfds.iter().find(|block| block.name.0 == item.name);
        let weight = block.and_then(|block| block.weight).map_or((0, false), |weight| (weight.value, weight.reverse));
        put(&mut list, Tracked::Bfd(item.name.as_str().into()), item.weight, weight);
    }
    list
}

/// The sync groups, of instances that there are.
pub(super) fn groups(config: &Config, instances: &[InstanceParams]) -> Vec<GroupParams> {
    let mut groups = Vec::new();
    for block in &config.sync_groups {
        let is_there = |name: &str| instances.iter().any(|instance| &*instance.name == name);
        let members: Vec<_> =
            block.group.iter().filter(|name| is_there(name)).map(|name| name.0.as_str().into()).collect();
        let mut track = of(&block.tracks, config);
        if block.global_tracking {
            let members = instances.iter().filter(|instance| members.contains(&instance.name));
            for item in members.flat_map(|instance| &instance.track) {
                if track.iter().all(|known| known.what != item.what) {
                    track.push(item.clone());
                }
            }
        }
        groups.push(GroupParams {
            name: block.name.0.as_str().into(),
            members,
            track,
            tracking_weight: block.sync_group_tracking_weight,
        });
    }
    groups
}

/// The scripts as the protocol sees them.
pub(super) fn scripts(config: &Config) -> Vec<ScriptParams> {
    let params = |block: &rvs_config::keepalived::model::track::Script| ScriptParams {
        name: block.name.0.as_str().into(),
        rise: block.rise.map_or(1, Int::to),
        fall: block.fall.map_or(1, Int::to),
        init_fail: block.init_fail,
    };
    config.scripts.iter().map(params).collect()
}

/// The scripts that something tracks: what to run, how often, how long at most. Others are not run.
pub(super) fn commands(config: &Config) -> BTreeMap<String, (Command, Duration, Duration)> {
    let tracks = config.instances.iter().map(|block| &block.tracks);
    let all: Vec<&Tracks> = tracks.chain(config.sync_groups.iter().map(|block| &block.tracks)).collect();
    let tracked = |name: &str| all.iter().any(|tracks| tracks.scripts.iter().any(|item| item.name == name));
    let mut commands = BTreeMap::new();
    for block in config.scripts.iter().filter(|block| tracked(&block.name)) {
        let Some(line) = &block.script else { continue };
        let mut command = Command::of(line);
        command.user = command.user.or_else(|| block.user.clone());
        let interval = block.interval.map_or(Duration::from_secs(1), |interval| interval.duration());
        let timeout = block.timeout.map_or(interval, |timeout| timeout.duration());
        commands.insert(block.name.0.clone(), (command, interval, timeout));
    }
    commands
}

/// The files.
pub(super) fn files(config: &Config) -> BTreeMap<String, TrackedFile> {
    let file = |block: &rvs_config::keepalived::model::track::TrackFile| {
        let path = PathBuf::from(block.file.as_ref()?.0.as_str());
        let first = block.init_file.as_ref().map(|init| (init.value.unwrap_or(0), init.overwrite));
        Some((block.name.0.clone(), TrackedFile { path, first }))
    };
    config.track_files.iter().filter_map(file).collect()
}

/// The processes as the protocol sees them.
pub(super) fn processes(config: &Config) -> Vec<ProcessParams> {
    let params = |block: &rvs_config::keepalived::model::track::TrackProcess| ProcessParams {
        name: block.name.0.as_str().into(),
        quorum: block.quorum.map_or(1, Int::to),
        quorum_max: block.quorum_max.map_or(u32::MAX, Int::to),
    };
    config.track_processes.iter().map(params).collect()
}

/// The processes as they are looked for.
pub(super) fn process_patterns(config: &Config) -> BTreeMap<String, TrackedProcess> {
    let mut patterns = BTreeMap::new();
    for block in &config.track_processes {
        let Some((program, arguments)) = block.process.as_ref().and_then(|process| process.0.split_first()) else {
            continue;
        };
        let arguments = arguments.to_vec();
        let arguments = match block.param_match {
            Some(ParamMatch::Initial) => Arguments::Initial(arguments),
            Some(ParamMatch::Partial) => Arguments::Partial(arguments),
            None if arguments.is_empty() => Arguments::Any,
            None => Arguments::Exact(arguments),
        };
        let pattern = ProcessPattern { program: program.clone(), full: block.full_command, arguments };
        let delay = block.delay.map_or(Duration::ZERO, |delay| delay.duration());
        let process = TrackedProcess {
            pattern,
            fork_delay: block.fork_delay.map_or(delay, |delay| delay.duration()),
            terminate_delay: block.terminate_delay.map_or(delay, |delay| delay.duration()),
        };
        patterns.insert(block.name.0.clone(), process);
    }
    patterns
}
