//! What clients do: requests by a real curl, and sockets of our own that live in the client's namespace.

use crate::lab::Lab;
use crate::netns::Netns;
use crate::process::Outcome;
use crate::topology::Family;
use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// How long a client waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Source ports of new connections: below those that the kernel chooses from.
const FIRST_PORT: u16 = 20_000;
/// How many there are.
const PORTS: u16 = 12_000;

/// A TCP connection to a server that has said its name.
#[derive(Debug)]
pub struct Greeted {
    /// Who it is, such as `rs1`.
    pub name: String,
    /// The connection.
    pub stream: TcpStream,
}

impl Greeted {
    /// Closes the connection and waits until the server has done so, too: the director has then seen both ends. Returns the
    /// server's name.
    pub fn bye(mut self) -> Result<String> {
        self.stream.shutdown(Shutdown::Write)?;
        ensure!(self.stream.read(&mut [0])? == 0, "{} goes on talking", self.name);
        Ok(self.name)
    }

    /// Sends data while it comes back, ends the connection, and makes sure that all came back as it was sent. Returns the
    /// server's name.
    pub fn echo(mut self, data: &[u8]) -> Result<String> {
        let mut sender = self.stream.try_clone()?;
        let mut back = Vec::with_capacity(data.len());
        thread::scope(|scope| -> Result<()> {
            let sent = scope.spawn(move || sender.write_all(data).and_then(|()| sender.shutdown(Shutdown::Write)));
            let read = self.stream.read_to_end(&mut back);
            // Whatever came of it, the sender must not wait for ever.
            let _ = read.is_err().then(|| self.stream.shutdown(Shutdown::Both));
            let sent = sent.join();
            read.with_context(|| format!("no more of {} bytes", data.len()))?;
            sent.ok().context("the sender panicked")??;
            Ok(())
        })
        .with_context(|| format!("{} of {} bytes came back", back.len(), data.len()))?;
        ensure!(back == data, "{} of {} bytes came back, or others", back.len(), data.len());
        Ok(self.name)
    }
}

/// Connects from within a namespace, from this address and port (0: any) to `at`.
pub fn connect(ns: &Netns, from: SocketAddr, at: SocketAddr) -> Result<TcpStream> {
    let socket = ns.enter(|| -> Result<Socket> {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&from.into())?;
        socket.connect_timeout(&at.into(), PATIENCE)?;
        Ok(socket)
    })?;
    let stream = TcpStream::from(socket.with_context(|| format!("cannot connect to {at}"))?);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects from within a namespace, from any port, and reads the server's name.
pub fn greet(ns: &Netns, at: SocketAddr) -> Result<Greeted> {
    let stream = connect(ns, SocketAddr::new(Family::of(at.ip()).unspecified(), 0), at)?;
    let name = read_name(&stream).with_context(|| format!("{at} says nothing"))?;
    Ok(Greeted { name, stream })
}

/// A UDP socket in a namespace, from this address and port (0: any), that talks to `at` alone.
pub fn udp(ns: &Netns, from: SocketAddr, at: SocketAddr) -> Result<UdpSocket> {
    let socket = ns.enter(|| -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind(from)?;
        socket.connect(at)?;
        Ok(socket)
    })??;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

impl Lab {
    /// An address of the client's with a port that was not used before (of some thousands): chance would meet connections
    /// that the director still knows.
    fn new_source(&self, to: IpAddr) -> SocketAddr {
        SocketAddr::new(Family::of(to).unspecified(), FIRST_PORT + self.next_port() % PORTS)
    }

    /// `curl` with these arguments, in the client's namespace; silent but for errors, and limited in time.
    pub fn curl(&self, args: &str) -> Result<Outcome> {
        self.client().command("curl").args("-sS --connect-timeout 5 --max-time 50").args(args).run()
    }

    /// Who answers an HTTP request for `/`, asked by curl.
    pub fn web(&self, at: impl Into<SocketAddr>) -> Result<String> {
        let at = at.into();
        Ok(self.curl(&format!("-g http://{at}/"))?.ok()?.trim().to_owned())
    }

    /// Connects from a new port and reads the server's name.
    pub fn greet(&self, at: impl Into<SocketAddr>) -> Result<Greeted> {
        let at = at.into();
        self.greet_from(self.new_source(at.ip()), at)
    }

    /// Connects from this address and port and reads the server's name.
    pub fn greet_from(&self, from: impl Into<SocketAddr>, at: impl Into<SocketAddr>) -> Result<Greeted> {
        let at = at.into();
        let stream = self.connect_from(from, at)?;
        let name = read_name(&stream).with_context(|| format!("{at} says nothing"))?;
        Ok(Greeted { name, stream })
    }

    /// Connects from this address and port (0: any).
    pub fn connect_from(&self, from: impl Into<SocketAddr>, at: impl Into<SocketAddr>) -> Result<TcpStream> {
        connect(&self.client(), from.into(), at.into())
    }

    /// A UDP socket from this address and port (0: any) that talks to `at` alone.
    pub fn udp_from(&self, from: impl Into<SocketAddr>, at: impl Into<SocketAddr>) -> Result<UdpSocket> {
        udp(&self.client(), from.into(), at.into())
    }

    /// Who answers a datagram from a new port.
    pub fn ask(&self, at: impl Into<SocketAddr>) -> Result<String> {
        let at = at.into();
        let socket = self.udp_from(self.new_source(at.ip()), at)?;
        ask_again(&socket).with_context(|| format!("no answer from {at}"))
    }

    /// Who answers a datagram with this data from a new port. The data comes back, too; more than [`crate::echo::SHORT`]
    /// bytes are needed for that.
    pub fn ask_with(&self, at: impl Into<SocketAddr>, data: &[u8]) -> Result<String> {
        let at = at.into();
        let socket = self.udp_from(self.new_source(at.ip()), at)?;
        socket.send(data)?;
        heard(&socket, data).with_context(|| format!("no answer from {at} to {} bytes", data.len()))
    }

    /// Who answers `count` new TCP connections, each over before the next begins, as digits: `3 2 1`.
    pub fn sequence_tcp(&self, at: impl Into<SocketAddr>, count: usize) -> Result<String> {
        let at = at.into();
        sequence(count, || self.greet(at)?.bye())
    }

    /// Who answers `count` datagrams from different ports, one after the other, as digits: `3 2 1`.
    pub fn sequence_udp(&self, at: impl Into<SocketAddr>, count: usize) -> Result<String> {
        let at = at.into();
        sequence(count, || self.ask(at))
    }
}

/// Receives the answer to a datagram with this data: the server's name and the data again. Returns the name.
pub fn heard(socket: &UdpSocket, data: &[u8]) -> Result<String> {
    let mut buffer = vec![0; 65536];
    let length = receive(socket, &mut buffer)?;
    let answer = &buffer[..length];
    let end = answer.iter().position(|byte| *byte == b'\n').context("an answer without a name")?;
    ensure!(answer[end + 1..] == *data, "{} bytes came back for {}, or others", length - end - 1, data.len());
    Ok(String::from_utf8_lossy(&answer[..end]).into_owned())
}

/// Sends one datagram on a connected socket and returns the name that comes back.
pub fn ask_again(socket: &UdpSocket) -> Result<String> {
    socket.send(b"who?")?;
    let mut buffer = [0; 64];
    let length = receive(socket, &mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> std::io::Result<usize> {
    // A machine that was suspended wakes up with this; the answer is still to come.
    let interrupted = |result: &std::io::Result<usize>| matches!(result, Err(e) if e.kind() == ErrorKind::Interrupted);
    let mut received = socket.recv(buffer);
    while interrupted(&received) {
        received = socket.recv(buffer);
    }
    received
}

fn sequence(count: usize, mut once: impl FnMut() -> Result<String>) -> Result<String> {
    let names: Result<Vec<String>> = (0..count).map(|_| Ok(once()?.trim_start_matches("rs").to_owned())).collect();
    Ok(names?.join(" "))
}

fn read_name(stream: &TcpStream) -> Result<String> {
    let mut line = String::new();
    // The greeting is all that comes unasked, so nothing is lost in the reader's buffer.
    BufReader::new(stream).read_line(&mut line)?;
    ensure!(line.ends_with('\n'), "the connection ended");
    Ok(line.trim().to_owned())
}
