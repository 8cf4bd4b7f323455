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
        // /sys may show another network namespace than this thread's; this never does.
        let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev").ok().map(|table| names(&table));
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

/// The names in the kernel's table of interfaces.
fn names(table: &str) -> BTreeSet<String> {
    table.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_from_the_kernels_table() {
        let table = "Inter-|   Receive\n face |bytes\n    lo:    0 1 2\n eth0.5: 9\n";
        assert_eq!(names(table), ["eth0.5", "lo"].map(str::to_owned).into());
        assert!(Environment::system().interfaces.is_some_and(|names| names.contains("lo")));
    }
}
