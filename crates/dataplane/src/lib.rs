//! Where a table meets packets: one trait, and the backends behind it.
//!
//! `kernel` drives the eBPF programs of one network namespace; `model` keeps a table in memory, for tests of everything above.
//! A change is all or nothing: [`Dataplane::update`] applies the edits one by one to what is there, as the kernel would, and
//! commits the result with one store, or refuses and changes nothing.

pub mod kernel;
pub mod limits;
pub mod model;

use rvs_core::abi::ServiceKey;
use rvs_intent::{Connection, Daemon, DaemonRole, Edit, Listing, Refusal, Rules, Table, Totals};
use rvs_wire::{Addr, Be16};
use std::ops::ControlFlow;

/// The data plane of one network namespace.
pub trait Dataplane {
    /// Applies all edits in order, or none of them.
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError>;

    /// The table as it is now, with its counters.
    fn listing(&mut self) -> Result<Listing, Error>;

    /// A number that is another one after each change of the table, whoever makes it; `None` where nobody counts.
    fn revision(&mut self) -> Result<Option<u32>, Error> {
        Ok(None)
    }

    /// The connections, templates included, in no order.
    fn connections(&mut self) -> Result<Vec<Connection>, Error>;

    /// Hands over the connections one by one, in no order, until `visit` has enough; so a table of any size can be printed
    /// in little memory.
    fn each_connection(&mut self, visit: &mut dyn FnMut(&Connection) -> ControlFlow<()>) -> Result<(), Error> {
        let _ = self.connections()?.iter().try_for_each(visit);
        Ok(())
    }

    /// The counters of all services together, deleted ones included where the backend remembers them.
    fn totals(&mut self) -> Result<Totals, Error> {
        Ok(Totals::of(&self.listing()?))
    }

    /// Zeroes the counters of one service and its destinations, or of all services; rates go on.
    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError>;

    /// What [`Dataplane::update`] would make of the table. Nothing is changed.
    fn preview(&mut self, edits: &[Edit]) -> Result<Table, UpdateError> {
        let mut table = self.listing()?.table();
        let applied = table.apply_all(edits, &Rules::default());
        applied.map(|()| table).map_err(|(index, refusal)| UpdateError::Refused { index, refusal })
    }

    /// Ends the connections of a destination now; their number. Templates of persistence go with them.
    fn purge(&mut self, _service: &ServiceKey, _addr: Addr, _port: Be16) -> Result<u32, UpdateError> {
        let text = "Ending connections is not supported by this version of RVS".to_owned();
        Err(UpdateError::Refused { index: 0, refusal: Refusal::Unsupported(text) })
    }

    /// Lets checks with the mark that this gives go by a virtual service ([`kernel::probes`]). `number` is the caller's choice;
    /// one that is in use is replaced.
    fn set_probe(&mut self, _number: u16, _probe: &kernel::probes::Probe) -> Result<u32, Error> {
        Err(Error::Unsupported(NO_PROBES.to_owned()))
    }

    /// Ends that.
    fn remove_probe(&mut self, _number: u16) -> Result<(), Error> {
        Err(Error::Unsupported(NO_PROBES.to_owned()))
    }

    /// Holds all of them for another [`kernel::probes::LEASE`].
    fn renew_probes(&mut self) -> Result<(), Error> {
        Err(Error::Unsupported(NO_PROBES.to_owned()))
    }

    /// All of them, whoever has set them.
    fn probes(&mut self) -> Result<Vec<(u16, kernel::probes::Probe)>, Error> {
        Ok(Vec::new())
    }

    /// The daemons of the connection synchronisation that run, the sender first.
    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        Ok(Vec::new())
    }

    /// Starts a daemon.
    fn start_daemon(&mut self, _daemon: &Daemon) -> Result<(), UpdateError> {
        let refusal = Refusal::Unsupported(NO_SYNC.to_owned());
        Err(UpdateError::Refused { index: 0, refusal })
    }

    /// Stops a daemon.
    fn stop_daemon(&mut self, _role: DaemonRole) -> Result<(), UpdateError> {
        Err(UpdateError::Refused { index: 0, refusal: Refusal::NoDaemon })
    }
}

/// Why no check can go by a virtual service.
const NO_PROBES: &str = "Health checks by virtual services go from the network namespace of the table only";

/// Why no daemon can be started.
const NO_SYNC: &str = "Connection synchronisation is not supported by this version of RVS";

/// Why an update did not take place.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The edit with this index is refused.
    #[error("edit {index}: {refusal}")]
    Refused {
        /// Which of the edits, from 0.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// The data plane itself failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Why the data plane cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not root, or a capability is missing.
    #[error("permission denied: {0}")]
    Permission(String),
    /// The kernel lacks something; the text names it.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else, with what was being done.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, to what.
        context: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The programs or maps are not what they should be.
    #[error("{0}")]
    State(String),
}
