//! What makes a thread prompt: a real-time priority, locked memory, CPUs of its own. Each is asked for and done without where
//! it is not allowed; what was not granted is told in one line.

use crate::sys;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Pid;
use std::time::Duration;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Promptness {
    /// `vrrp_rt_priority`: `SCHED_RR` with this priority, 1 to 99.
    pub real_time: Option<u8>,
    /// `vrrp_priority`: the nice value, -20 to 19; without effect beside a real-time priority.
    pub nice: Option<i8>,
    /// `vrrp_no_swap`: all memory of the process is locked, what it has and what it will get.
    pub lock_memory: bool,
    /// `vrrp_cpu_affinity`: the CPUs to run on; any when empty.
    pub cpus: Vec<usize>,
    /// `vrrp_rlimit_rttime`: how long a real-time thread may run without waiting before the kernel stops it.
    pub longest_run: Option<Duration>,
}

impl Promptness {
    /// Applies it to the calling thread; memory and the longest run concern the whole process. Gives what was refused.
    pub fn apply(&self) -> Vec<String> {
        let mut refused = Vec::new();
        let mut note = |what: &str, result: Result<(), nix::Error>| {
            if let Err(errno) = result {
                refused.push(format!("{what} ({})", errno.desc()));
            }
        };
        if !self.cpus.is_empty() {
            note("CPU affinity", self.affinity());
        }
        if self.lock_memory {
            // What is there is needed soon. What comes later, such as other threads' stacks and tables that are mapped whole, is
            // locked once it is used, and takes no memory before.
            let now = mlockall(MlockAllFlags::MCL_CURRENT);
            let later = mlockall(MlockAllFlags::MCL_FUTURE | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT));
            note("locked memory", now.and(later));
        }
        if let Some(nice) = self.nice {
            note("nice value", sys::set_nice(nice.into()));
        }
        if let Some(priority) = self.real_time {
            if let Some(longest) = self.longest_run {
                let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
                note("limit of real-time runs", setrlimit(Resource::RLIMIT_RTTIME, micros, micros));
            }
            note("real-time priority", sys::schedule_round_robin(priority.into()));
        }
        refused
    }

    fn affinity(&self) -> Result<(), nix::Error> {
        let mut set = CpuSet::new();
        for cpu in &self.cpus {
            set.set(*cpu)?;
        }
        sched_setaffinity(Pid::from_raw(0), &set)
    }
}

/// Whether the calling thread has a real-time policy.
pub fn is_real_time() -> bool {
    sys::scheduling_policy().is_ok_and(|policy| policy == libc::SCHED_RR || policy == libc::SCHED_FIFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_said_and_what_is_granted_holds() {
        let thread = std::thread::spawn(|| {
            let wanted = Promptness { real_time: Some(1), cpus: vec![0], ..Promptness::default() };
            let refused = wanted.apply();
            // Root may be refused as well: where groups have no real-time budget.
            assert_eq!(is_real_time(), refused.is_empty(), "{refused:?}");
            let child = std::thread::spawn(is_real_time);
            assert!(!child.join().unwrap());
        });
        thread.join().unwrap();
        let refused = Promptness { cpus: vec![1000], real_time: Some(200), ..Promptness::default() }.apply();
        assert_eq!(refused, ["CPU affinity (Invalid argument)", "real-time priority (Invalid argument)"]);
    }
}
