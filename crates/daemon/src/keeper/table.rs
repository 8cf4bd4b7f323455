//! The table that is kept: opened when it is needed, opened anew when it fails, and looked at for changes by others.

use rvs_dataplane::kernel::probes::Probe;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Edit, Listing};

/// Makes a way to the table.
pub type Open = Box<dyn FnMut() -> Result<Box<dyn Dataplane>, Error>>;

/// The table.
pub(super) struct Table {
    open: Open,
    plane: Option<Box<dyn Dataplane>>,
    /// The revision at which it was last found as it should be.
    verified: Option<u32>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("verified", &self.verified).finish_non_exhaustive()
    }
}

impl Table {
    pub(super) fn new(open: Open) -> Self {
        Self { open, plane: None, verified: None }
    }

    fn plane(&mut self) -> Result<&mut dyn Dataplane, Error> {
        if self.plane.is_none() {
            self.plane = Some((self.open)()?);
        }
        match &mut self.plane {
            Some(plane) => Ok(plane.as_mut()),
            None => Err(Error::State("there is no way to the table".into())),
        }
    }

    pub(super) fn listing(&mut self) -> Result<Listing, Error> {
        let listed = self.plane()?.listing();
        self.drop_if_bad(listed)
    }

    /// How many connections this destination has, counted one by one: for those that are no longer in the table.
    pub(super) fn plane_mut(&mut self) -> Option<&mut dyn Dataplane> {
        self.plane().ok()
    }

    pub(super) fn set_probe(&mut self, number: u16, probe: &Probe) -> Result<u32, Error> {
        self.plane()?.set_probe(number, probe)
    }

    pub(super) fn remove_probe(&mut self, number: u16) -> Result<(), Error> {
        self.plane()?.remove_probe(number)
    }

    pub(super) fn renew_probes(&mut self) -> Result<(), Error> {
        self.plane()?.renew_probes()
    }

    pub(super) fn probes(&mut self) -> Result<Vec<(u16, Probe)>, Error> {
        self.plane()?.probes()
    }

    fn drop_if_bad<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            (self.plane, self.verified) = (None, None);
        }
        result
    }

    /// All edits or none.
    pub(super) fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        let done = self.plane()?.update(edits);
        if matches!(done, Err(UpdateError::Failed(_))) {
            (self.plane, self.verified) = (None, None);
        }
        done
    }

    /// The table, if it may not be as it was when it was last found right. The way to it is made anew: the old one may lead to
    /// a table that is nobody's any more, and new interfaces are served.
    pub(super) fn changed(&mut self) -> Result<Option<(Option<u32>, Listing)>, Error> {
        self.plane = None;
        // Read first: what changes after this is seen the next time.
        let revision = self.plane()?.revision();
        let revision = self.drop_if_bad(revision)?;
        if revision.is_some() && revision == self.verified {
            return Ok(None);
        }
        Ok(Some((revision, self.listing()?)))
    }

    /// Lets go of the table until it is needed: while it is held, all its memory counts as ours.
    pub(super) fn let_go(&mut self) {
        self.plane = None;
    }

    pub(super) fn is_right(&mut self, revision: Option<u32>) {
        self.verified = revision;
    }
}
