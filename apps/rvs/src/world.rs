//! Everything that a command touches, handed to it from outside: input, output, names, and the way to a data plane.

use rvs_config::names::Names;
use rvs_dataplane::{Dataplane, Error};
use std::io::{self, BufRead, Write};
use std::time::Duration;

/// What a command needs the data plane for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To put something into it: it is brought into being if need be.
    Create,
    /// For what is there already. Where nothing is, an empty table does.
    Existing,
}

/// Brings the data plane of the present network namespace.
pub type Open<'a> = dyn FnMut(Access) -> Result<Box<dyn Dataplane>, Error> + 'a;

/// What ended a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Its time was up.
    Elapsed,
    /// Somebody wants the command to end: Ctrl-C or a request to terminate.
    Interrupted,
}

/// What a command touches.
pub struct World<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn BufRead,
    /// The file that standard input is read from, if it is one.
    pub stdin_name: Option<String>,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Names of hosts and services.
    pub names: &'a dyn Names,
    /// The data plane.
    pub open: &'a mut Open<'a>,
    /// Waits. From the first call on the command is not killed by Ctrl-C any more, but told.
    pub pause: &'a mut dyn FnMut(Duration) -> Woken,
}

impl World<'_> {
    /// Prints a command's whole output; the exit status.
    pub(crate) fn print(&mut self, text: &str) -> i32 {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Ok(()) => 0,
            // Whoever read it has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Err(error) => self.fail(1, &format!("cannot write the output: {error}")),
        }
    }

    /// Prints a complaint; `status`, the exit status.
    pub(crate) fn fail(&mut self, status: i32, text: &str) -> i32 {
        // A standard error that cannot be written leaves nobody to tell.
        let _ = writeln!(self.err, "{text}");
        status
    }
}
