//! What makes a program a daemon.

mod dump;
mod pidfile;
mod process;
mod signals;
mod systemd;

pub use dump::write_dump;
pub use pidfile::{PidFile, PidFileError, PidFileKind, default_path};
pub use process::{Capability, detach, enter_namespace, has, leave_core, set_umask};
pub use signals::{Request, Signals};
pub use systemd::{Systemd, watchdog};
