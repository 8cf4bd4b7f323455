//! One epoll descriptor for all connections, which the runtime waits for as for a single socket. Events are edges: whoever takes
//! one reads and writes until the kernel has no more.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Events taken at once.
const BATCH: usize = 256;

struct Descriptor(Epoll);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

/// What has happened to a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Which.
    pub(crate) key: u64,
    /// There may be something to read, or an end or an error to see.
    pub(crate) readable: bool,
}

pub(crate) struct Poller {
    descriptor: AsyncFd<Descriptor>,
    events: Vec<EpollEvent>,
}

impl Poller {
    /// Must be called within a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "the way without unsafe code; the descriptor is ours alone, stays what it is and open"
        )]
        let descriptor = AsyncFd::with_interest(Descriptor(epoll), Interest::READABLE)?;
        Ok(Self { descriptor, events: vec![EpollEvent::empty(); BATCH] })
    }

    /// Watches a socket for everything, until it is closed.
    pub(crate) fn add(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        let all = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        Ok(self.descriptor.get_ref().0.add(socket, EpollEvent::new(all, key))?)
    }

    /// Takes what has happened by now, a batch of it at most; `false`: there was nothing.
    pub(crate) fn take(&mut self, into: &mut Vec<Event>) -> bool {
        // An interrupted call has seen nothing; the next one will.
        let count = self.descriptor.get_ref().0.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
        into.extend(self.events.iter().take(count).map(|event| Event {
            key: event.data(),
            readable: event.events().intersects(EpollFlags::all() - EpollFlags::EPOLLOUT),
        }));
        count > 0
    }

    /// Waits until something happens. [`Poller::take`] must have been called until there was nothing: an event that is there
    /// already does not wake anybody.
    pub(crate) async fn wait(&self) {
        match self.descriptor.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            // The runtime ends; whoever waits for the prober is dropped with it.
            Err(_) => std::future::pending().await,
        }
    }
}
