//! The way to the table: the director of this namespace, or of another one (`net_namespace_ipvs`), for which a thread of its own
//! has entered that namespace: checks stay where the daemon is.

use super::table::Open;
use rvs_core::abi::ServiceKey;
use rvs_dataplane::kernel::Director;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Connection, Edit, Listing};
use std::fs::File;
use std::sync::mpsc::{Sender, channel, sync_channel};

type Work = Box<dyn FnOnce(&mut Director) + Send>;

/// Makes the way. `namespace`: that of the table if it is not the daemon's; `Some(None)` is the one the system started with.
pub fn open_in(namespace: Option<Option<String>>) -> Open {
    match namespace {
        None => Box::new(|| Ok(Box::new(Director::open()?))),
        Some(name) => Box::new(move || Ok(Box::new(Elsewhere::open(name.as_deref())?))),
    }
}

/// A director in another namespace.
struct Elsewhere {
    to: Sender<Work>,
}

fn gone<T>(_: T) -> Error {
    Error::State("the thread of the table's namespace is gone".into())
}

impl Elsewhere {
    fn open(name: Option<&str>) -> Result<Self, Error> {
        let path = name.map_or_else(|| "/proc/1/ns/net".to_owned(), |name| format!("/run/netns/{name}"));
        let (to, works) = channel::<Work>();
        let (tell, opened) = sync_channel(1);
        let live = move || {
            let enter =
                File::open(&path).and_then(|file| Ok(nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)?));
            let entered = enter.map_err(|source| Error::Io { context: format!("entering {path}"), source });
            match entered.and_then(|()| Director::open()) {
                Ok(mut director) => {
                    let _ = tell.send(Ok(()));
                    works.iter().for_each(|work| work(&mut director));
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        };
        let thread = std::thread::Builder::new().name("table".into()).spawn(live);
        thread.map_err(|source| Error::Io { context: "starting a thread".into(), source })?;
        opened.recv().map_err(gone)??;
        Ok(Self { to })
    }

    fn ask<T: Send + 'static>(&self, work: impl FnOnce(&mut Director) -> T + Send + 'static) -> Result<T, Error> {
        let (tell, answer) = sync_channel(1);
        // Whoever asked is waiting.
        self.to.send(Box::new(move |director| drop(tell.send(work(director))))).map_err(gone)?;
        answer.recv().map_err(gone)
    }
}

impl Dataplane for Elsewhere {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        let edits = edits.to_vec();
        self.ask(move |director| director.update(&edits)).map_err(UpdateError::Failed)?
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        self.ask(|director| director.listing())?
    }

    fn revision(&mut self) -> Result<Option<u32>, Error> {
        self.ask(|director| director.revision())?
    }

    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        self.ask(|director| director.connections())?
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError> {
        self.ask(move |director| director.zero(service)).map_err(UpdateError::Failed)?
    }
}
