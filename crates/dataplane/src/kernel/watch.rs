//! For hosts whose interfaces come and go: serves each as it appears. Every call of a tool does the same once; this is the
//! loop for those who do not want to wait for the next call.

use super::netlink::{Socket, kind};
use super::{Director, failed};
use crate::Error;
use std::ops::ControlFlow;

/// Attaches to interfaces of the calling thread's network namespace as they come. `covered` is called after each round, with
/// the number of rounds so far, and ends the loop by `Break`.
///
/// # Errors
/// Those of [`Director::open`], and the loss of the netlink socket.
pub fn run(mut covered: impl FnMut(u64) -> ControlFlow<()>) -> Result<(), Error> {
    // First the socket, then the first look: nothing falls between them.
    let socket = Socket::watching_links().map_err(|error| failed("watching the interfaces", error))?;
    let mut rounds = 0;
    loop {
        Director::open()?;
        rounds += 1;
        if covered(rounds).is_break() {
            return Ok(());
        }
        while !is_change(&socket)? {}
    }
}

/// Waits for messages; whether one tells of an interface that came or went.
fn is_change(socket: &Socket) -> Result<bool, Error> {
    match socket.receive() {
        Ok(messages) => Ok(messages.iter().any(|(_, message)| [kind::NEWLINK, kind::DELLINK].contains(&message.kind))),
        // Too many at once: some were lost, so look again.
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(true),
        Err(error) => Err(failed("watching the interfaces", error)),
    }
}
