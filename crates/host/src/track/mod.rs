//! Things that are tracked and told by name: files and processes. Interfaces are followed by [`crate::net::Monitor`], scripts
//! run by [`crate::script::ScriptTracker`]. Each tracker is a thread of its own, since looking at files and processes may
//! take its time.

mod connector;
mod file;
mod matching;
mod process;

pub use file::{FileTracker, TellFile, initialise, read_value, trackable, value_of};
pub use matching::{Arguments, ProcessFacts, ProcessPattern};
pub use process::{ProcessTracker, TellProcess};

use crate::thread::{Mailbox, Mailer, mailbox};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Ends a tracker's thread when dropped.
#[derive(Debug)]
struct Stopper(Mailer<()>);

impl Drop for Stopper {
    fn drop(&mut self) {
        let _ = self.0.post(()); // A full box says the same.
    }
}

/// What a tracker's thread looks at.
#[derive(Debug)]
struct Stop {
    mailbox: Mailbox<()>,
    set: Cell<bool>,
}

impl Stop {
    fn is_set(&self) -> bool {
        if !self.mailbox.take().is_empty() {
            self.set.set(true);
        }
        self.set.get()
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mailbox.as_fd()
    }
}

fn stopper() -> io::Result<(Stopper, Stop)> {
    let (mailer, mailbox) = mailbox(1)?;
    Ok((Stopper(mailer), Stop { mailbox, set: Cell::new(false) }))
}
