//! Names of hosts and services: resolved when a command line uses them, looked up in reverse for listings without `-n`.
//!
//! A trait, so that tests decide what is known; [`SystemNames`] asks the system as libc's functions do.

mod reverse;
mod services;

pub use services::Services;

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

/// What is known by name.
pub trait Names {
    /// The IPv4 address of a host.
    fn host(&self, name: &str) -> Option<Ipv4Addr>;

    /// The name of the host with this address.
    fn host_name(&self, addr: IpAddr) -> Option<String>;

    /// The port of a service of this IP protocol.
    fn port(&self, name: &str, proto: u8) -> Option<u16>;

    /// The name of the service at this port of this IP protocol.
    fn port_name(&self, port: u16, proto: u8) -> Option<String>;
}

/// The system's resolver and `/etc/services`.
#[derive(Debug, Default)]
pub struct SystemNames {
    services: OnceCell<Services>,
}

impl SystemNames {
    fn services(&self) -> &Services {
        // A system without the file knows no service by name; ports are then written as numbers.
        self.services.get_or_init(|| Services::parse(&std::fs::read_to_string("/etc/services").unwrap_or_default()))
    }
}

impl Names for SystemNames {
    fn host(&self, name: &str) -> Option<Ipv4Addr> {
        if name.is_empty() {
            return None;
        }
        (name, 0).to_socket_addrs().ok()?.find_map(|found| match found.ip() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        })
    }

    fn host_name(&self, addr: IpAddr) -> Option<String> {
        reverse::host_name(addr)
    }

    fn port(&self, name: &str, proto: u8) -> Option<u16> {
        self.services().port(name, proto)
    }

    fn port_name(&self, port: u16, proto: u8) -> Option<String> {
        self.services().name(port, proto).map(str::to_owned)
    }
}

/// Only what it is told: for tests.
#[derive(Debug, Default)]
pub struct FixedNames {
    /// Hosts by name and address.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// Services.
    pub services: Services,
}

impl Names for FixedNames {
    fn host(&self, name: &str) -> Option<Ipv4Addr> {
        self.hosts.iter().find(|(known, _)| known == name).map(|(_, addr)| *addr)
    }

    fn host_name(&self, addr: IpAddr) -> Option<String> {
        self.hosts.iter().find(|(_, known)| IpAddr::V4(*known) == addr).map(|(name, _)| name.clone())
    }

    fn port(&self, name: &str, proto: u8) -> Option<u16> {
        self.services.port(name, proto)
    }

    fn port_name(&self, port: u16, proto: u8) -> Option<String> {
        self.services.name(port, proto).map(str::to_owned)
    }
}
