//! One connection of a check, from the first packet to the last: what its socket says as events of the check, what the check
//! says to the socket, and an end that leaves no reset behind.

use crate::secure::{Heard, Secure};
use crate::socket::Kind;
use rvs_checker::{CheckId, Net};
use socket2::Socket;
use std::io::{self, Read, Write};
use std::net::Shutdown;

/// Bytes that are read and thrown away until the peer ends its side; a server that sends more is cut off.
const DRAIN: usize = 1 << 20;
/// Bytes that may wait for a peer that does not read. Checks say little; more than this is not said any more.
const UNSENT: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Connecting,
    /// Connected; with TLS the handshake may be going on.
    Open,
    /// The peer's end was told.
    Ended,
    /// The check is done with it. So many bytes more are read.
    Draining(usize),
}

/// What came of looking after a connection.
#[derive(Debug)]
pub(crate) enum Progress {
    /// This has happened; there may be more.
    Net(Net),
    /// Nothing until the socket's next event.
    Idle,
    /// More could be read later: others first.
    Later,
    /// It is over and can be dropped.
    Over,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: CheckId,
    pub(crate) attempt: u64,
    socket: Socket,
    kind: Kind,
    stage: Stage,
    secure: Option<Secure>,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    /// The kernel may have something to read.
    readable: bool,
    /// Writing has failed; reading will say why.
    broken: bool,
    /// Our side is shut.
    shut: bool,
}

impl Connection {
    pub(crate) fn new(id: CheckId, attempt: u64, (socket, kind): (Socket, Kind), secure: Option<Secure>) -> Self {
        let stage = if kind == Kind::Stream { Stage::Connecting } else { Stage::Open };
        let unsent = Vec::new();
        Self { id, attempt, socket, kind, stage, secure, unsent, readable: false, broken: false, shut: false }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether there was nothing to wait for.
    pub(crate) fn stands(&self) -> bool {
        self.stage == Stage::Open
    }

    /// An event of the socket has come.
    pub(crate) fn woken(&mut self, readable: bool) {
        self.readable |= readable;
    }

    /// Whether it is worth while to look at it without an event.
    pub(crate) fn has_more(&self) -> bool {
        self.readable || self.broken
    }

    /// Looks after it after an event; to be called again as long as something happens. `buffer`: for what is read.
    pub(crate) fn advance(&mut self, buffer: &mut [u8]) -> Progress {
        match self.stage {
            Stage::Connecting => self.connected(),
            Stage::Open => self.talk(buffer),
            Stage::Ended => {
                self.flush();
                Progress::Idle
            }
            Stage::Draining(left) => self.drain(left, buffer),
        }
    }

    fn connected(&mut self) -> Progress {
        match self.socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Progress::Net(refused(&error)),
        }
        self.stage = Stage::Open;
        if self.secure.is_none() {
            return Progress::Net(Net::Connected);
        }
        self.flush();
        // The handshake's answer comes with an event of its own, or is there already.
        self.readable = true;
        Progress::Later
    }

    fn talk(&mut self, buffer: &mut [u8]) -> Progress {
        self.flush();
        if !self.readable {
            return if self.broken { Progress::Net(Net::Reset) } else { Progress::Idle };
        }
        let heard = match (&mut self.secure, self.kind) {
            (Some(secure), _) => secure.hear(&mut Both(&self.socket), buffer),
            (None, Kind::Stream) => (&self.socket).read(buffer).map(|count| {
                Heard::Net(if count == 0 { Net::Closed } else { Net::Received(buffer[..count].to_vec()) })
            }),
            (None, kind) => (&self.socket).read(buffer).map(|count| datagram(kind, &buffer[..count])),
        };
        match heard {
            Ok(Heard::Net(Net::Closed)) => {
                self.stage = Stage::Ended;
                Progress::Net(Net::Closed)
            }
            Ok(Heard::Net(net)) => Progress::Net(net),
            Ok(Heard::Nothing) => self.nothing_left(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.nothing_left(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::Later,
            Err(error) => {
                self.stage = Stage::Ended;
                Progress::Net(broken_off(&error))
            }
        }
    }

    fn nothing_left(&mut self) -> Progress {
        self.readable = false;
        if self.broken { Progress::Net(Net::Reset) } else { Progress::Idle }
    }

    /// Says something. Errors show in what is read next.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Option<Net> {
        if let Some(secure) = &mut self.secure {
            secure.say(bytes);
        } else if self.kind == Kind::Stream {
            if self.unsent.len().saturating_add(bytes.len()) > UNSENT {
                self.broken = true;
                return None;
            }
            self.unsent.extend_from_slice(bytes);
        } else {
            return match self.socket.send(bytes) {
                Ok(_) => None,
                // The datagram is lost, as on the way.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                Err(error) => Some(refused(&error)),
            };
        }
        self.flush();
        None
    }

    /// Sends what is waiting; `true`: nothing is left.
    fn flush(&mut self) -> bool {
        if self.broken {
            return true;
        }
        if let Some(secure) = &mut self.secure {
            return match secure.flush(&mut Both(&self.socket)) {
                Ok(done) => done,
                Err(_) => {
                    self.broken = true;
                    true
                }
            };
        }
        while !self.unsent.is_empty() {
            match (&self.socket).write(&self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.broken = true;
                    self.unsent.clear();
                }
            }
        }
        true
    }

    /// Lets the end be a reset, after which its port is free at once.
    pub(crate) fn reset_at_close(&self) {
        // Where this fails the port is taken for a while, and the next check says so.
        let _ = self.socket.set_linger(Some(std::time::Duration::ZERO));
    }

    /// Ends our side; `false`: there is nothing to wait for, it can be dropped.
    pub(crate) fn begin_to_close(&mut self) -> bool {
        if self.kind != Kind::Stream || self.stage == Stage::Connecting || self.broken {
            return false;
        }
        if let Some(secure) = &mut self.secure {
            secure.farewell();
        }
        let ended = self.stage == Stage::Ended;
        self.stage = Stage::Draining(DRAIN);
        // When the peer has ended as well, all is said.
        self.shut_when_sent() && !(ended && self.shut)
    }

    /// Shuts our side when all is sent; `false`: it is over.
    fn shut_when_sent(&mut self) -> bool {
        if self.flush() && !self.shut {
            self.shut = true;
            return !self.broken && self.socket.shutdown(Shutdown::Write).is_ok();
        }
        true
    }

    fn drain(&mut self, left: usize, buffer: &mut [u8]) -> Progress {
        if !self.shut_when_sent() {
            return Progress::Over;
        }
        match (&self.socket).read(buffer) {
            Ok(0) => Progress::Over,
            Ok(count) if count >= left => Progress::Over,
            Ok(count) => {
                self.stage = Stage::Draining(left - count);
                Progress::Later
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Progress::Idle
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Progress::Later,
            Err(_) => Progress::Over,
        }
    }
}

/// Reads and writes by a shared reference.
struct Both<'a>(&'a Socket);

impl Read for Both<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Raw sockets of IPv4 give the header of the packet as well.
fn datagram(kind: Kind, bytes: &[u8]) -> Heard {
    let header = match (kind, bytes.first()) {
        (Kind::EchoInPackets, Some(first)) => usize::from(first & 15) * 4,
        _ => 0,
    };
    Heard::Net(Net::Received(bytes.get(header..).unwrap_or_default().to_vec()))
}

fn refused(error: &io::Error) -> Net {
    Net::Refused(error.raw_os_error().unwrap_or(0))
}

fn broken_off(error: &io::Error) -> Net {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Net::Reset,
        _ => refused(error),
    }
}
