//! What the original says when the kernel refuses.

use rvs_intent::{Edit, Refusal};

/// The text for a refused edit.
pub fn refusal(edit: &Edit, refusal: &Refusal) -> String {
    match refusal {
        Refusal::ServiceExists => "Service already exists".to_owned(),
        Refusal::NoService => match edit {
            Edit::AddDest(..) | Edit::EditDest(..) | Edit::DeleteDest(..) => "Service not defined".to_owned(),
            _ => NO_SERVICE.to_owned(),
        },
        Refusal::DestExists => "Destination already exists".to_owned(),
        Refusal::NoDest => "No such destination".to_owned(),
        Refusal::NoScheduler => "Scheduler or persistence engine not found".to_owned(),
        Refusal::Invalid => "Invalid operation.  Possibly wrong module version, address not unicast, ...".to_owned(),
        Refusal::Range => "Numerical result out of range".to_owned(),
        Refusal::DaemonRuns => "Daemon has already run".to_owned(),
        Refusal::NoDaemon => NO_DAEMON.to_owned(),
        Refusal::NoDevice => "No such device".to_owned(),
        Refusal::Limit(text) | Refusal::Unsupported(text) => text.clone(),
    }
}

/// A service that is to be listed or zeroed does not exist.
pub const NO_SERVICE: &str = "No such service";

/// A daemon that is to be stopped does not run.
pub const NO_DAEMON: &str = "No daemon is running";
