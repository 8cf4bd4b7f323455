//! What clients do: requests by a real curl, and sockets of our own that live in the client's namespace.

use crate::lab::Lab;
use crate::process::Outcome;
use anyhow::{Context as _, Result, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
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
}

impl Lab {
    /// An address of the client's with a port that was not used before (of some thousands): chance would meet connections
    /// that the director still knows.
    fn new_source(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, FIRST_PORT + self.next_port() % PORTS)
    }

    /// `curl` with these arguments, in the client's namespace; silent but for errors, and limited in time.
    pub fn curl(&self, args: &str) -> Result<Outcome> {
        self.client().command("curl").args("-sS --connect-timeout 5 --max-time 50").args(args).run()
    }

    /// Who answers an HTTP request for `/`, asked by curl.
    pub fn web(&self, at: SocketAddrV4) -> Result<String> {
        Ok(self.curl(&format!("http://{at}/"))?.ok()?.trim().to_owned())
    }

    /// Connects from a new port and reads the server's name.
    pub fn greet(&self, at: SocketAddrV4) -> Result<Greeted> {
        self.greet_from(self.new_source(), at)
    }

    /// Connects from this address and port and reads the server's name.
    pub fn greet_from(&self, from: SocketAddrV4, at: SocketAddrV4) -> Result<Greeted> {
        let stream = self.connect_from(from, at)?;
        let name = read_name(&stream).with_context(|| format!("{at} says nothing"))?;
        Ok(Greeted { name, stream })
    }

    /// Connects from this address and port (0: any).
    pub fn connect_from(&self, from: SocketAddrV4, at: SocketAddrV4) -> Result<TcpStream> {
        let socket = self.client().enter(|| -> Result<Socket> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::V4(from).into())?;
            socket.connect_timeout(&SocketAddr::V4(at).into(), PATIENCE)?;
            Ok(socket)
        })?;
        let stream = TcpStream::from(socket.with_context(|| format!("cannot connect to {at}"))?);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A UDP socket from this address and port (0: any) that talks to `at` alone.
    pub fn udp_from(&self, from: SocketAddrV4, at: SocketAddrV4) -> Result<UdpSocket> {
        let socket = self.client().enter(|| -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind(from)?;
            socket.connect(at)?;
            Ok(socket)
        })??;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    /// Who answers a datagram from a new port.
    pub fn ask(&self, at: SocketAddrV4) -> Result<String> {
        let socket = self.udp_from(self.new_source(), at)?;
        ask_again(&socket).with_context(|| format!("no answer from {at}"))
    }

    /// Who answers `count` new TCP connections, each over before the next begins, as digits: `3 2 1`.
    pub fn sequence_tcp(&self, at: SocketAddrV4, count: usize) -> Result<String> {
        sequence(count, || self.greet(at)?.bye())
    }

    /// Who answers `count` datagrams from different ports, one after the other, as digits: `3 2 1`.
    pub fn sequence_udp(&self, at: SocketAddrV4, count: usize) -> Result<String> {
        sequence(count, || self.ask(at))
    }
}

/// Sends one datagram on a connected socket and returns the name that comes back.
pub fn ask_again(socket: &UdpSocket) -> Result<String> {
    socket.send(b"who?")?;
    let mut buffer = [0; 64];
    // A machine that was suspended wakes up with this; the answer is still to come.
    let interrupted = |result: &std::io::Result<usize>| matches!(result, Err(e) if e.kind() == ErrorKind::Interrupted);
    let mut received = socket.recv(&mut buffer);
    while interrupted(&received) {
        received = socket.recv(&mut buffer);
    }
    let length = received?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim().to_owned())
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
