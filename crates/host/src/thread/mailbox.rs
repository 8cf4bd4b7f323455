//! Messages to a thread that waits on file descriptors: a bounded queue, and a descriptor that becomes readable when something
//! is in it.

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<VecDeque<T>>,
    bell: EventFd,
    limit: usize,
}

impl<T> Shared<T> {
    fn queue(&self) -> MutexGuard<'_, VecDeque<T>> {
        // A queue is whole after every operation, also after one that panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that is read.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<Shared<T>>);

/// The end that is written to, by any number of threads.
#[derive(Debug)]
pub struct Mailer<T>(Arc<Shared<T>>);

impl<T> Clone for Mailer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Makes a pair that holds at most `limit` messages.
pub fn mailbox<T>(limit: usize) -> io::Result<(Mailer<T>, Mailbox<T>)> {
    let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
    let shared = Arc::new(Shared { queue: Mutex::new(VecDeque::new()), bell, limit });
    Ok((Mailer(Arc::clone(&shared)), Mailbox(shared)))
}

impl<T> Mailer<T> {
    /// Puts a message in. A full box gives it back. Never waits.
    pub fn post(&self, message: T) -> Result<(), T> {
        let mut queue = self.0.queue();
        if queue.len() >= self.0.limit {
            return Err(message);
        }
        queue.push_back(message);
        drop(queue);
        // It fails only when the counter is full, and then the bell is ringing already.
        let _ = self.0.bell.write(1);
        Ok(())
    }
}

impl<T> Mailbox<T> {
    /// Takes all messages out. Never waits.
    pub fn take(&self) -> VecDeque<T> {
        let _ = self.0.bell.read();
        std::mem::take(&mut *self.0.queue())
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_order_and_a_full_box_gives_them_back() {
        let (mailer, mailbox) = mailbox(2).unwrap();
        assert_eq!(mailer.post(1), Ok(()));
        assert_eq!(mailer.clone().post(2), Ok(()));
        assert_eq!(mailer.post(3), Err(3));
        assert_eq!(mailbox.take(), [1, 2]);
        assert!(mailbox.take().is_empty());
        assert_eq!(mailer.post(4), Ok(()));
        assert_eq!(mailbox.take(), [4]);
    }
}
