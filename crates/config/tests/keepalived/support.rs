//! Reading configurations from memory.

use rvs_config::keepalived::{Environment, Limits, Loaded, Memory, load, parse};
use std::path::Path;

/// Where the configuration is.
pub(crate) const FILE: &str = "/tmp/k.conf";

/// A machine with eth0 and eth1.
pub(crate) fn environment() -> Environment {
    Environment {
        config_id: "dr".into(),
        interfaces: Some(["lo", "eth0", "eth1"].map(str::to_owned).into()),
        variables: [("SITE".to_owned(), "north".to_owned())].into(),
        ..Environment::default()
    }
}

/// Reads and checks a text.
pub(crate) fn read(text: &str) -> Loaded {
    load(Path::new(FILE), &Memory::new([(FILE, text)]), &environment())
}

/// Reads several files, the first of which is the main one, and returns all statements as printed.
pub(crate) fn files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Loaded {
    parse(Path::new(FILE), &Memory::new(files), &environment(), Limits::default())
}

/// The first lines of all reports.
pub(crate) fn told(loaded: &Loaded) -> Vec<String> {
    loaded.reports.iter().map(|report| report.one_line(&loaded.sources)).collect()
}
