//! Sockets for checks: of which kind, from where, with which mark.

use nix::sys::socket::{setsockopt, sockopt};
use rvs_checker::{Target, Transport};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a socket carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A stream of bytes.
    Stream,
    /// Datagrams.
    Datagram,
    /// ICMP messages, by themselves.
    Echo,
    /// ICMP messages behind IPv4 headers.
    EchoInPackets,
}

/// Begins to connect; datagram sockets are connected when this returns. The error is the system's number.
pub(crate) fn connect(transport: Transport, target: &Target) -> Result<(Socket, Kind), i32> {
    open(transport, target).map_err(|error| error.raw_os_error().unwrap_or(0))
}

fn open(transport: Transport, target: &Target) -> io::Result<(Socket, Kind)> {
    // Also by a virtual service: the mark says where such packets go, and whose answers come back as the real server's.
    let mut address = target.address;
    let domain = Domain::for_address(address);
    let (socket, kind) = match transport {
        Transport::Stream { .. } => {
            (Socket::new(domain, nonblocking(Type::STREAM), Some(Protocol::TCP))?, Kind::Stream)
        }
        Transport::Datagram => (Socket::new(domain, nonblocking(Type::DGRAM), Some(Protocol::UDP))?, Kind::Datagram),
        Transport::Echo => echo(domain)?,
    };
    if kind != Kind::Stream {
        // Without, a connected socket hears only of closed ports, not of hosts and networks that cannot be reached.
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
    }
    if target.mark != 0 {
        socket.set_mark(target.mark)?;
    }
    if let Some(interface) = &target.bind_interface {
        socket.bind_device(Some(interface.as_bytes()))?;
        scope(&mut address, interface);
    }
    if target.bind_address.is_some() || target.bind_port.is_some() {
        bind(&socket, kind, target, address)?;
    }
    if matches!(transport, Transport::Echo) {
        address.set_port(0);
    }
    match socket.connect(&SockAddr::from(address)) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
        other => other?,
    }
    Ok((socket, kind))
}

fn nonblocking(kind: Type) -> Type {
    kind.nonblocking().cloexec()
}

/// A socket for pings where this group may have one, else a raw socket.
fn echo(domain: Domain) -> io::Result<(Socket, Kind)> {
    let v4 = domain == Domain::IPV4;
    let protocol = Some(if v4 { Protocol::ICMPV4 } else { Protocol::ICMPV6 });
    match Socket::new(domain, nonblocking(Type::DGRAM), protocol) {
        Ok(socket) => Ok((socket, Kind::Echo)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let kind = if v4 { Kind::EchoInPackets } else { Kind::Echo };
            Ok((Socket::new(domain, nonblocking(Type::RAW), protocol)?, kind))
        }
        Err(error) => Err(error),
    }
}

/// Link-local addresses mean something on an interface only.
fn scope(address: &mut SocketAddr, interface: &str) {
    if let SocketAddr::V6(v6) = address
        && v6.scope_id() == 0
        && v6.ip().is_unicast_link_local()
    {
        v6.set_scope_id(nix::net::if_::if_nametoindex(interface).unwrap_or(0));
    }
}

fn bind(socket: &Socket, kind: Kind, target: &Target, to: SocketAddr) -> io::Result<()> {
    let any = if to.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let mut from = SocketAddr::new(target.bind_address.unwrap_or(any), 0);
    if let (SocketAddr::V6(from), SocketAddr::V6(to)) = (&mut from, to)
        && from.ip().is_unicast_link_local()
    {
        from.set_scope_id(to.scope_id());
    }
    if let Some(port) = target.bind_port
        && matches!(kind, Kind::Stream | Kind::Datagram)
    {
        from.set_port(port);
        // Checks of several servers may share it.
        socket.set_reuse_address(true)?;
    } else if kind == Kind::Stream {
        // The port is chosen at connect, where the same one serves for other destinations too.
        setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
    }
    socket.bind(&SockAddr::from(from))
}
