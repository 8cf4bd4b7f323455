//! What a configuration may ask of the system it is read on, gathered beforehand so that reading it stays a pure function.

use std::collections::{BTreeMap, BTreeSet};

/// The system.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// What `@id` lines are compared with and `${_INSTANCE}` is: the first part of the host's name unless told otherwise.
    pub config_id: String,
    /// Variables for `${_ENV NAME}`.
    pub variables: BTreeMap<String, String>,
    /// The interfaces there are; `None` if nobody knows, then none is missed.
    pub interfaces: Option<BTreeSet<String>>,
    /// Where random numbers begin unless `random_seed` says so.
    pub seed: u64,
    /// True if a file to include that is not there is an error, whatever the keyword (`-e`).
    pub all_files: bool,
}

impl Environment {
    /// That of the running system.
    pub fn system() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let names = std::fs::read_dir("/sys/class/net").ok();
        let interfaces =
            names.map(|names| names.filter_map(|name| name.ok()?.file_name().into_string().ok()).collect());
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            config_id: host.trim().split('.').next().unwrap_or_default().to_owned(),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            interfaces,
            seed: now.map_or(0, |since| since.as_secs()),
            all_files: false,
        }
    }

    /// True if it is known that there is no such interface.
    pub fn lacks(&self, interface: &str) -> bool {
        self.interfaces.as_ref().is_some_and(|known| !known.contains(interface))
    }
}
