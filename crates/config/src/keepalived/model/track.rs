//! What instances can depend on: scripts, files, processes.

use super::rows::*;

block! {
    /// A script that is run again and again; its exit status counts.
    pub struct Script "vrrp_script" (name: Name) {
        /// What to run.
        script: Option<Command> = "script";
        /// How often. 1 by default.
        interval: Option<Seconds<1, 18_446_744_073_709_551_614>> = "interval";
        /// How long it may take. As the interval by default.
        timeout: Option<Seconds<1, 18_446_744_073_709_551_614>> = "timeout";
        /// What it adds to or takes from the priority; 0, the default, means that its failure is a fault.
        weight: Option<Weight<253>> = "weight";
        /// How many successes in a row make it succeed. 1 by default.
        rise: Option<Count> = "rise";
        /// How many failures in a row make it fail. 1 by default.
        fall: Option<Count> = "fall";
        /// On whose behalf it runs.
        user: Option<User> = "user";
        /// It counts as failed until it has succeeded.
        init_fail: bool = "init_fail";
    }
}

block! {
    /// A file with a number that counts, read whenever it changes.
    pub struct TrackFile "track_file" (name: Name) {
        /// Its path.
        file: Option<Text> = "file";
        /// What the number is multiplied by; 1 by default. With 0, any other number than 0 is a fault.
        weight: Option<Weight<2_147_483_647>> = "weight";
        /// Make it at the start, with this number.
        init_file: Option<FileInit> = "init_file";
    }
}

block! {
    /// Processes that must run.
    pub struct TrackProcess "track_process" (name: Name) {
        /// The program, and its parameters if those count.
        process: Option<Process> = "process";
        /// How parameters are compared.
        param_match: Option<ParamMatch> = "param_match";
        /// What they add to or take from the priority. 1 by default.
        weight: Option<Weight<254>> = "weight";
        /// How many must run at least. 1 by default.
        quorum: Option<Count> = "quorum";
        /// How many may run at most.
        quorum_max: Option<CountOrNone> = "quorum_max";
        /// How long to wait after the start or end of a process.
        delay: Option<Seconds<0, 3_600_000_000>> = "delay";
        /// How long to wait after the start of a process.
        fork_delay: Option<Seconds<0, 3_600_000_000>> = "fork_delay";
        /// How long to wait after the end of a process.
        terminate_delay: Option<Seconds<0, 3_600_000_000>> = "terminate_delay";
        /// Compare the whole command line.
        full_command: bool = "full_command";
    }
}
