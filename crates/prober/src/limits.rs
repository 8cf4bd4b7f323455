//! How many sockets there may be at once.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are left to the rest of the process.
const RESERVED: u64 = 192;
/// More connections than this at once would be a mistake whatever the system allows.
const MOST: u64 = 65_536;
/// Fewer would not do any work.
const LEAST: u64 = 16;

/// Raises the soft limit of open descriptors of this process to the hard one; gives what holds now. What cannot be raised stays
/// as it is.
pub fn raise_descriptor_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft }
}

/// How many connections a prober may have under this limit of descriptors.
pub(crate) fn connections(limit: u64) -> usize {
    let room = limit.saturating_sub(RESERVED).clamp(LEAST, MOST);
    usize::try_from(room).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_to_others_and_something_to_us() {
        assert_eq!(connections(0), 16);
        assert_eq!(connections(1024), 832);
        assert_eq!(connections(u64::MAX), 65_536);
        assert!(raise_descriptor_limit() >= 16);
        assert_eq!(raise_descriptor_limit(), getrlimit(Resource::RLIMIT_NOFILE).unwrap().1);
    }
}
