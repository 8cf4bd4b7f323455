//! UDP: one state. A connection is any exchange between two ports with no longer pause than the timeout; it never counts as
//! active.

/// Name as `ipvsadm -Lc` prints it.
pub const NAME: &str = "UDP";

/// The state's number.
pub const NORMAL: u8 = 0;

/// Default timeout in seconds.
pub const TIMEOUT: u32 = 300;
