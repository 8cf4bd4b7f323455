//! What processes use: processor time and memory, read from `/proc`.

use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// Of several processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Processor time, user and system.
    pub(crate) time: Duration,
    /// Memory now, in MiB; pages that they share are counted once, and those shared with others in part (`Pss`).
    pub(crate) memory: f64,
    /// Resident memory at most, in MiB; pages that they share are counted for each (`VmHWM`).
    pub(crate) peak: f64,
}

impl Usage {
    /// Of these processes; one that ends meanwhile is an error.
    pub(crate) fn of(pids: &[i32]) -> Result<Self> {
        let mut all = Self::default();
        for pid in pids {
            let read = |name: &str| {
                let path = format!("/proc/{pid}/{name}");
                fs::read_to_string(&path).with_context(|| format!("reading {path}"))
            };
            // A tick has been a hundredth of a second since long ago.
            all.time += Duration::from_millis(10 * ticks(&read("stat")?).context("no times in stat")?);
            all.memory += mebibytes(&read("smaps_rollup")?, "Pss:").context("no Pss")?;
            all.peak += mebibytes(&read("status")?, "VmHWM:").context("no VmHWM")?;
        }
        Ok(all)
    }
}

/// Ticks of user and system time in `/proc/PID/stat`.
fn ticks(stat: &str) -> Option<u64> {
    // The name comes before, in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let user: u64 = words.next()?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    Some(user + system)
}

/// A line of kibibytes.
fn mebibytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 200 50 0 0";
        assert_eq!(ticks(stat), Some(250));
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(mebibytes("Rss:  2048 kB\nPss:     1536 kB\n", "Pss:"), Some(1.5));
        assert_eq!(mebibytes("Rss: 1 kB\n", "Pss:"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(&[i32::try_from(std::process::id()).unwrap()]).unwrap();
        assert!(usage.memory > 0.0 && usage.peak > 0.0);
        assert!(Usage::of(&[-1]).is_err());
    }
}
