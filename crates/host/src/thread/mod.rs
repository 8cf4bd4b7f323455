//! A thread of its own for what must not be late, and the way to talk to it.

mod machines;
mod mailbox;
mod realtime;
mod turn;

pub use machines::Machines;
pub use mailbox::{Mailbox, Mailer, mailbox};
pub use realtime::{Promptness, is_real_time};
pub use turn::{LATE, Lateness, World, run};

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Starts a thread that makes its world itself (so that sockets are opened where they are used) and runs it to its end. What of
/// the promptness was refused is told in one warning. The thread has the network namespace of the caller.
pub fn spawn<W: World + 'static>(
    name: &str,
    promptness: Promptness,
    lateness: Arc<Lateness>,
    make: impl FnOnce() -> io::Result<W> + Send + 'static,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let label = name.to_owned();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        crate::log::never_wait();
        let mut world = make()?;
        let refused = promptness.apply();
        if !refused.is_empty() {
            tracing::warn!("Thread {label} runs without {}", refused.join(", "));
        }
        run(&mut world, &lateness).map_err(io::Error::from)
    })
}
