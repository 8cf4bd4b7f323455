//! A real server of ours, as threads whose sockets live in the server's namespace. On TCP it says its name and then echoes
//! what it gets; on UDP it answers each datagram with its name, and what is longer than a greeting with the same data behind it.

use crate::netns::Netns;
use crate::topology::Family;
use anyhow::{Context as _, Result};
use nix::sys::socket::{MsgFlags, Shutdown, SockaddrStorage, recvfrom, sendto, shutdown};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The port that it serves on TCP and UDP; nothing else does.
pub const PORT: u16 = 7;
/// Another one, for port mapping.
pub const OTHER_PORT: u16 = 7007;
/// Datagrams of up to so many bytes are answered with the name only.
pub const SHORT: usize = 64;
/// The largest datagram whose answer is a datagram, too.
const LONGEST: usize = 65_000;

/// How often a connection without traffic looks whether the server still exists.
const PATIENCE: Duration = Duration::from_millis(200);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Echo {
    stopping: Arc<AtomicBool>,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    /// Starts it in a namespace on both ports: TCP on all addresses, UDP on each of these.
    pub fn start(ns: &Netns, name: &str, addresses: &[IpAddr]) -> Result<Self> {
        let sockets = ns.enter(|| -> std::io::Result<_> {
            let (mut tcp, mut udp) = (Vec::new(), Vec::new());
            for port in [PORT, OTHER_PORT] {
                for family in Family::ALL {
                    tcp.push(listener(SocketAddr::new(family.unspecified(), port))?);
                }
                // One socket for each address: an answer must come from the address that was asked.
                for address in addresses {
                    udp.push(UdpSocket::bind(SocketAddr::new(*address, port))?);
                }
            }
            Ok((tcp, udp))
        })?;
        let (tcp, udp) = sockets.with_context(|| format!("cannot start the echo server of {name}"))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let greeting: Arc<str> = format!("{name}\n").into();
        let mut echo = Self { stopping, tcp, udp, threads: Vec::new() };
        for listener in &echo.tcp {
            let (listener, greeting, stopping) = (listener.try_clone()?, greeting.clone(), echo.stopping.clone());
            echo.threads.push(thread::spawn(move || accept(&listener, &greeting, &stopping)));
        }
        for socket in &echo.udp {
            let (socket, greeting, stopping) = (socket.try_clone()?, greeting.clone(), echo.stopping.clone());
            echo.threads.push(thread::spawn(move || answer(&socket, &greeting, &stopping)));
        }
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Shutting down wakes the threads, even on a socket without a peer.
        let tcp = self.tcp.iter().map(|socket| socket.as_raw_fd());
        for fd in tcp.chain(self.udp.iter().map(|socket| socket.as_raw_fd())) {
            let _ = shutdown(fd, Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Listens on one family only.
fn listener(at: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&at.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, greeting: &Arc<str>, stopping: &Arc<AtomicBool>) {
    while let Ok((stream, _)) = listener.accept() {
        let (greeting, stopping) = (greeting.clone(), stopping.clone());
        thread::spawn(move || serve(stream, &greeting, &stopping));
    }
}

fn serve(mut stream: TcpStream, greeting: &str, stopping: &AtomicBool) {
    if stream.write_all(greeting.as_bytes()).and_then(|()| stream.set_read_timeout(Some(PATIENCE))).is_err() {
        return;
    }
    let mut buffer = vec![0; 16 * 1024];
    while !stopping.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if stream.write_all(&buffer[..length]).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

fn answer(socket: &UdpSocket, greeting: &str, stopping: &AtomicBool) {
    let mut buffer = vec![0; LONGEST];
    while !stopping.load(Ordering::Relaxed) {
        // An error is an ICMP message about an earlier answer; it concerns nobody here. A socket that was shut down receives
        // from nobody, which the standard library does not expect.
        let Ok((length, Some(peer))) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut buffer) else { continue };
        let mut reply = greeting.as_bytes().to_vec();
        if length > SHORT {
            reply.extend(&buffer[..length]);
        }
        let _ = sendto(socket.as_raw_fd(), &reply, &peer, MsgFlags::empty());
    }
}
