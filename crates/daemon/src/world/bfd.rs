//! The sockets of BFD: a listener per family and port that is in use, a sender per session.

use rvs_bfd::{Name, Params, Speaker};
use rvs_host::socket::Packet;
use rvs_host::socket::bfd::{BfdListener, BfdSender, MULTIHOP_PORT, PORT};
use rvs_machine::Rng;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

/// The sockets.
#[derive(Debug)]
pub(super) struct BfdPorts {
    rng: Rng,
    /// By family (`true`: IPv6) and whether it is the port of sessions over several hops.
    listeners: BTreeMap<(bool, bool), BfdListener>,
    senders: BTreeMap<Name, (Params, BfdSender)>,
}

impl BfdPorts {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), listeners: BTreeMap::new(), senders: BTreeMap::new() }
    }

    /// Opens what the sessions need and closes the rest.
    pub(super) fn refresh(&mut self, speaker: &Speaker) {
        let all: Vec<&Params> = speaker.sessions().iter().map(|session| session.params()).collect();
        let place = |params: &Params| (params.neighbour.is_ipv6(), params.multihop);
        self.listeners.retain(|key, _| all.iter().any(|params| place(params) == *key));
        self.senders.retain(|_, (known, _)| all.contains(&&*known));
        for params in all {
            let (ipv6, multihop) = place(params);
            if let Entry::Vacant(place) = self.listeners.entry((ipv6, multihop)) {
                match BfdListener::open(ipv6, if multihop { MULTIHOP_PORT } else { PORT }) {
                    Ok(listener) => drop(place.insert(listener)),
                    Err(error) => warn(params, &error),
                }
            }
            if !self.senders.contains_key(&params.name) {
                match BfdSender::open(params.source, ipv6, params.hop_limit, &mut self.rng) {
                    Ok(sender) => drop(self.senders.insert(params.name.clone(), (params.clone(), sender))),
                    Err(error) => warn(params, &error),
                }
            }
        }
    }

    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<BorrowedFd<'a>>) {
        fds.extend(self.listeners.values().map(|listener| listener.as_fd()));
    }

    /// Hands over what has arrived; `true`: there may be more.
    pub(super) fn drain(&self, mut each: impl FnMut(bool, Packet)) -> bool {
        let mut more = false;
        for ((_, multihop), listener) in &self.listeners {
            match listener.drain(|packet| each(*multihop, packet)) {
                Ok(drained) => more |= drained.more,
                Err(errno) => tracing::debug!(target: "Keepalived_bfd", "receiving: {}", errno.desc()),
            }
        }
        more
    }

    /// Sends a control packet. What cannot be sent is like what gets lost: the other end notices.
    pub(super) fn send(&self, speaker: &Speaker, name: &Name, bytes: &[u8]) {
        let session = speaker.sessions().iter().find(|session| session.params().name == *name);
        let (Some(session), Some((_, sender))) = (session, self.senders.get(name)) else { return };
        let port = if session.params().multihop { MULTIHOP_PORT } else { PORT };
        if let Err(error) = sender.send(bytes, SocketAddr::new(session.params().neighbour, port)) {
            tracing::debug!(target: "Keepalived_bfd", "({name}) {error}");
        }
    }
}

fn warn(params: &Params, error: &std::io::Error) {
    tracing::warn!(target: "Keepalived_bfd", "({}) cannot open a socket: {error}", params.name);
}
