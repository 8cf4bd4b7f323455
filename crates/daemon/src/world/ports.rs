//! The raw sockets that adverts come and go by: one per interface, family and protocol, shared by its instances.

use crate::plan::Room;
use nix::errno::Errno;
use rvs_host::net::Monitor;
use rvs_host::socket::Packet;
use rvs_host::socket::raw::{AH, RawOptions, RawSocket, VRRP};
use rvs_vrrp::Datagram;
use rvs_vrrp::params::{Config, InstanceParams, LegacyAuth, Name, Protocol, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

/// The MTU where there is no interface.
const MTU: usize = 1500;
/// Less room than this is never asked for: the kernel's own account of a packet is a multiple of its size.
const LEAST_ROOM: usize = 64 * 1024;

/// What tells sockets apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The interface; empty: any.
    device: Name,
    ipv6: bool,
    protocol: u8,
    /// Only sends.
    send_only: bool,
}

#[derive(Debug)]
struct Port {
    socket: RawSocket,
    index: u32,
    groups: BTreeSet<IpAddr>,
}

/// The sockets.
#[derive(Debug)]
pub(super) struct Ports {
    room: Room,
    open: BTreeMap<Key, Port>,
    /// What went wrong last, so that it is said once.
    refused: BTreeMap<Key, Errno>,
    failing: BTreeMap<Name, Errno>,
}

fn wanted(config: &Config) -> BTreeMap<Key, BTreeSet<IpAddr>> {
    let mut keys: BTreeMap<Key, BTreeSet<IpAddr>> = BTreeMap::new();
    for params in &config.instances {
        let ah = matches!(&params.protocol, Protocol::V2 { auth: LegacyAuth::Header(_), .. });
        let key = |device: &Name, send_only| Key {
            device: device.clone(),
            ipv6: params.ipv6,
            protocol: if ah { AH } else { VRRP },
            send_only,
        };
        let groups = keys.entry(key(&params.interface, false)).or_default();
        if let Transport::Multicast { group } = &params.transport {
            groups.insert(*group);
        }
        if ah {
            // So that adverts without the header are seen, and refused by name.
            let other = Key { protocol: VRRP, ..key(&params.interface, false) };
            let groups = groups.clone();
            keys.entry(other).or_default().extend(groups);
        }
        if params.advert_device() != &params.interface {
            keys.entry(key(params.advert_device(), true)).or_default();
        }
    }
    keys
}

/// The room to ask for.
fn bytes(room: Room, key: &Key, config: &Config, mtu: usize) -> Option<usize> {
    let mine = || config.instances.iter().filter(|params| params.interface == key.device && params.ipv6 == key.ipv6);
    let advert = |params: &InstanceParams| {
        let (head, each) = if params.ipv6 { (40, 16) } else { (44, 4) };
        // The header of VRRP and what follows the addresses: a password, a trailer.
        head + 8 + each * params.addresses.len() + 28
    };
    let wanted = match room {
        Room::Usual => return None,
        Room::Bytes(bytes) => return Some(bytes),
        Room::Adverts(times) => mine().map(advert).sum::<usize>().saturating_mul(times),
        Room::Mtus(times) => mtu.saturating_mul(mine().count()).saturating_mul(times),
    };
    Some(wanted.max(LEAST_ROOM))
}

impl Ports {
    pub(super) const fn new(room: Room) -> Self {
        Self { room, open: BTreeMap::new(), refused: BTreeMap::new(), failing: BTreeMap::new() }
    }

    /// Opens what is missing, closes what nobody needs, and opens anew what was on an interface that came again.
    pub(super) fn refresh(&mut self, config: &Config, monitor: &Monitor) {
        let wanted = wanted(config);
        self.open.retain(|key, port| {
            let index = monitor.named(&key.device).map_or(0, |interface| interface.index);
            wanted.get(key).is_some_and(|groups| port.index == index && port.groups.is_subset(groups))
        });
        for (key, groups) in wanted {
            let interface = match &*key.device {
                "" => None,
                name => match monitor.named(name) {
                    Some(interface) => Some((name.to_owned(), interface.index)),
                    None => continue,
                },
            };
            let mtu = monitor.named(&key.device).map_or(MTU, |interface| interface.mtu as usize);
            self.provide(key, groups, interface, mtu, config);
        }
    }

    fn provide(
        &mut self,
        key: Key,
        groups: BTreeSet<IpAddr>,
        interface: Option<(String, u32)>,
        mtu: usize,
        config: &Config,
    ) {
        if let Some(port) = self.open.get_mut(&key) {
            for group in groups.difference(&port.groups).copied().collect::<Vec<_>>() {
                match port.socket.join(group) {
                    Ok(()) => {
                        port.groups.insert(group);
                    }
                    Err(error) => {
                        tracing::warn!(target: "Keepalived_vrrp", "joining {group} on {}: {error}", key.device)
                    }
                }
            }
            return;
        }
        let index = interface.as_ref().map_or(0, |(_, index)| *index);
        let options = RawOptions {
            protocol: key.protocol,
            ipv6: key.ipv6,
            interface,
            groups: groups.iter().copied().collect(),
            send_only: key.send_only,
            room: bytes(self.room, &key, config, mtu),
        };
        match RawSocket::open(&options) {
            Ok(socket) => {
                self.refused.remove(&key);
                announce(&key, index, &socket, config);
                self.open.insert(key, Port { socket, index, groups });
            }
            Err(error) => {
                if self.refused.insert(key, error.errno) != Some(error.errno) {
                    tracing::warn!(target: "Keepalived_vrrp", "{error}");
                }
            }
        }
    }

    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.extend(self.open.iter().filter(|(key, _)| !key.send_only).map(|(_, port)| port.socket.as_fd()));
    }

    /// Hands over what has arrived; `true`: there may be more.
    pub(super) fn drain(&self, mut each: impl FnMut(&Name, Packet)) -> bool {
        let mut more = false;
        for (key, port) in self.open.iter().filter(|(key, _)| !key.send_only) {
            match port.socket.drain(|packet| each(&key.device, packet)) {
                Ok(drained) => more |= drained.more,
                // A link that went down says so here once; its instances hear of it from the kernel's own news.
                Err(errno) => {
                    tracing::debug!(target: "Keepalived_vrrp", "receiving on {}: {}", key.device, errno.desc())
                }
            }
        }
        more
    }

    /// Sends an advert. Why it cannot be sent is said once, until it can again.
    pub(super) fn send(&mut self, datagram: &Datagram) {
        let fits = |key: &&Key| key.device == datagram.interface && key.ipv6 == datagram.destination.is_ipv6();
        let Some(key) = self.open.keys().find(fits) else { return };
        let Some(port) = self.open.get(key) else { return };
        let sent = match (datagram.source, datagram.destination) {
            (_, IpAddr::V4(to)) => port.socket.send_v4(&datagram.bytes, to),
            (IpAddr::V6(from), IpAddr::V6(to)) => port.socket.send_v6(&datagram.bytes, from, to, datagram.hop_limit),
            (IpAddr::V4(_), IpAddr::V6(_)) => Err(Errno::EAFNOSUPPORT),
        };
        match sent {
            Ok(()) => {
                self.failing.remove(&datagram.instance);
            }
            Err(errno) => {
                if self.failing.insert(datagram.instance.clone(), errno) != Some(errno) {
                    let (instance, interface) = (&datagram.instance, &datagram.interface);
                    let text =
                        format!("({instance}) send advert error {} ({}) on {interface}", errno as i32, errno.desc());
                    tracing::info!(target: "Keepalived_vrrp", "{text}");
                }
            }
        }
    }
}

/// The original's line about a socket.
fn announce(key: &Key, index: u32, socket: &RawSocket, config: &Config) {
    if key.send_only {
        return;
    }
    let family = if key.ipv6 { "IPv6" } else { "IPv4" };
    let of_it = |params: &&InstanceParams| params.interface == key.device && params.ipv6 == key.ipv6;
    let how = match config.instances.iter().find(of_it) {
        Some(InstanceParams { transport: Transport::Multicast { group }, .. }) => {
            format!(" multicast, address({group})")
        }
        Some(params) => match params.source {
            Some(source) => format!(" , unicast, address({source})"),
            None => " , unicast".into(),
        },
        None => String::new(),
    };
    let (protocol, fd) = (key.protocol, socket.as_fd().as_raw_fd());
    tracing::debug!(
        target: "Keepalived_vrrp",
        "VRRP sockpool: [ifindex({index:3}), family({family}), proto({protocol}), fd({fd},{fd}){how}]"
    );
}
