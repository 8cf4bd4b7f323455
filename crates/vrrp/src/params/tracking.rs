//! Sync groups, and what instances and groups track.

use super::Name;

/// A sync group: its members change state together.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupParams {
    /// Its name.
    pub name: Name,
    /// The names of its instances.
    pub members: Vec<Name>,
    /// What it tracks for all members.
    pub track: Vec<TrackParams>,
    /// The members' own weights count (`sync_group_tracking_weight`); otherwise what they track are conditions.
    pub tracking_weight: bool,
}

/// Something tracked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackParams {
    /// What it is.
    pub what: Tracked,
    /// Its weight, -254 to 254; 0: the instance is in fault while it is down.
    pub weight: i16,
    /// The other way round: what is down counts as up.
    pub reverse: bool,
}

/// What can be tracked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tracked {
    /// An interface, by name.
    Interface(Name),
    /// A script, by the name of its block.
    Script(Name),
    /// A file, by the name of its block; its number times the weight counts.
    File(Name),
    /// A process, by the name of its block.
    Process(Name),
    /// A BFD session, by the name of its block.
    Bfd(Name),
}

/// A tracked script; running it is the driver's business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptParams {
    /// Its name.
    pub name: Name,
    /// So many successes in a row make it well (1).
    pub rise: u32,
    /// So many failures in a row make it ill (1).
    pub fall: u32,
    /// It is ill until it has succeeded (`init_fail`).
    pub init_fail: bool,
}

/// A tracked process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessParams {
    /// Its name.
    pub name: Name,
    /// At least so many must run (1).
    pub quorum: u32,
    /// At most so many may run.
    pub quorum_max: u32,
}
