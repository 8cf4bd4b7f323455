//! Settings below `/proc/sys`, of the network namespace of the calling thread, and putting back what they were.

use std::fs;
use std::io;
use std::path::PathBuf;

const ROOT: &str = "/proc/sys";

/// The address family a setting of an interface belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SysctlFamily {
    /// `net/ipv4/conf`
    Ipv4,
    /// `net/ipv6/conf`
    Ipv6,
}

/// The path of a setting of an interface; `None` when the name cannot be one of an interface.
pub fn interface_path(family: SysctlFamily, interface: &str, setting: &str) -> Option<String> {
    if interface.is_empty() || interface.len() > 15 || interface.contains('/') || [".", ".."].contains(&interface) {
        return None;
    }
    let family = match family {
        SysctlFamily::Ipv4 => "ipv4",
        SysctlFamily::Ipv6 => "ipv6",
    };
    Some(format!("net/{family}/conf/{interface}/{setting}"))
}

/// What `path` (below `/proc/sys`) says, without the line's end.
pub fn read(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(PathBuf::from(ROOT).join(path))?.trim_end().to_owned())
}

/// Writes `value` to `path` (below `/proc/sys`).
pub fn write(path: &str, value: &str) -> io::Result<()> {
    fs::write(PathBuf::from(ROOT).join(path), value)
}

/// Changes that are put back, the last one first, when this value is dropped or [`Changed::restore`] is called.
#[derive(Debug, Default)]
pub struct Changed(Vec<(String, String)>);

impl Changed {
    /// Nothing changed yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Writes `value` to `path`, remembering what was there. Nothing is written (and nothing put back) where it says so
    /// already.
    pub fn set(&mut self, path: &str, value: &str) -> io::Result<()> {
        let before = read(path)?;
        if before != value {
            write(path, value)?;
            self.0.push((path.to_owned(), before));
        }
        Ok(())
    }

    /// Puts everything back. A setting whose interface is gone needs no putting back; other failures are given.
    pub fn restore(&mut self) -> Vec<(String, io::Error)> {
        let mut failed = Vec::new();
        while let Some((path, before)) = self.0.pop() {
            match write(&path, &before) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => failed.push((path, error)),
                _ => {}
            }
        }
        failed
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        for (path, error) in self.restore() {
            tracing::warn!("Unable to restore {path}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::in_namespace;

    #[test]
    fn what_was_there_comes_back_in_the_right_order() {
        in_namespace(|| {
            let path = interface_path(SysctlFamily::Ipv4, "lo", "arp_ignore").unwrap();
            write(&path, "0").unwrap();
            let mut changed = Changed::new();
            changed.set(&path, "1").unwrap();
            changed.set(&path, "2").unwrap();
            changed.set(&path, "2").unwrap();
            assert_eq!(read(&path).unwrap(), "2");
            assert!(changed.restore().is_empty());
            assert_eq!(read(&path).unwrap(), "0");
            changed.set(&path, "1").unwrap();
            drop(changed);
            assert_eq!(read(&path).unwrap(), "0");
        });
    }

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        for name in ["..", ".", "", "a/b", "an-interface-name-too-long"] {
            assert_eq!(interface_path(SysctlFamily::Ipv6, name, "x"), None, "{name}");
        }
        assert_eq!(interface_path(SysctlFamily::Ipv6, "v.1", "x").unwrap(), "net/ipv6/conf/v.1/x");
    }
}
