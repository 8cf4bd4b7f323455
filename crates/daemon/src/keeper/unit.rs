//! A virtual server that is kept: its plan, its health, and what follows for the table.

use super::fit::Wanted;
use crate::plan::balance::Server;
use rvs_checker::{Dest as Place, Edit as Change, Service, activation};
use rvs_core::abi::ServiceKey;
use rvs_intent::{Dest, Edit, ServiceSettings};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who asks for a check: a virtual server, a real server, and which of its checks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The virtual server's name.
    pub service: Arc<str>,
    /// The real server.
    pub real: SocketAddr,
    /// Which of its checks, from 0.
    pub check: usize,
}

/// What the table refuses, so that the rest can be had: a whole service, or one of its destinations.
#[derive(Debug, Default)]
pub(super) struct Refused(HashSet<(ServiceKey, Option<SocketAddr>)>);

impl Refused {
    pub(super) fn add(&mut self, key: ServiceKey, place: Option<SocketAddr>) -> bool {
        self.0.insert((key, place))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, key: ServiceKey, place: Option<SocketAddr>) -> bool {
        !self.0.is_empty() && self.0.contains(&(key, place))
    }
}

/// Where a destination is, as an address and a port.
pub(super) fn place_of(dest: &Dest) -> SocketAddr {
    SocketAddr::new(dest.addr.to_ip(dest.family), dest.port.host())
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: Arc<str>,
    pub(super) server: Server,
    pub(super) service: Service,
    /// Its checks rest.
    pub(super) suspended: bool,
    /// The sorry server has the place of a real server in some service.
    shared: bool,
    /// Why administrators did what they did, while it holds.
    pub(super) reasons: std::collections::BTreeMap<SocketAddr, String>,
    /// Where each real server is in the parameters.
    order: HashMap<SocketAddr, usize>,
}

impl Unit {
    pub(super) fn new(server: Server, service: Service) -> Self {
        let shared = shared(&server);
        let name = server.params.name.as_str().into();
        let order = order(&server);
        Self { name, server, service, suspended: false, shared, reasons: Default::default(), order }
    }

    pub(super) fn replace(&mut self, server: Server) {
        self.shared = shared(&server);
        self.order = order(&server);
        self.server = server;
    }

    /// Who asks for its checks.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> + '_ {
        self.server.checks.iter().flat_map(|(real, checks)| (0..checks.len()).map(|check| self.subject(*real, check)))
    }

    pub(super) fn subject(&self, real: SocketAddr, check: usize) -> Subject {
        Subject { service: Arc::clone(&self.name), real, check }
    }

    /// A real server's name in the log.
    pub(super) fn real_name(&self, real: SocketAddr) -> &str {
        let known = self.order.get(&real).and_then(|at| self.server.params.reals.get(*at));
        known.map_or("?", |params| params.name.as_str())
    }

    /// The lines for checks that begin to work, or rest: one for each check of each real server, in the order of the file.
    pub(super) fn activations(&self, active: bool) -> impl Iterator<Item = String> + '_ {
        self.server.params.reals.iter().flat_map(move |real| {
            let line = activation(active, &real.name, &self.name);
            std::iter::repeat_n(line, real.checks.len())
        })
    }

    fn template(&self, at: Place) -> Option<&Dest> {
        match at {
            Place::Real(real) => self.server.dests.get(&real),
            Place::Sorry(_) => self.server.sorry.as_ref(),
        }
    }

    fn dest(&self, member: &ServiceSettings, at: Place, weight: i64) -> Option<Dest> {
        let mut dest = self.server.place(member, self.template(at)?);
        dest.weight = i32::try_from(weight).unwrap_or(i32::MAX);
        dest.last_weight = dest.weight;
        Some(dest)
    }

    /// What the table is to hold.
    pub(super) fn wanted(&self, refused: &Refused) -> Vec<Wanted> {
        let members = self.server.members.iter().filter(|member| !refused.has(member.key, None));
        members.map(|member| Wanted { settings: member.clone(), dests: self.dests(member, refused) }).collect()
    }

    fn dests(&self, member: &ServiceSettings, refused: &Refused) -> Vec<Dest> {
        let table = self.service.table();
        // In the order of the file, since the table has an order; the sorry server last.
        let reals = self.server.params.reals.iter().map(|real| Place::Real(real.address));
        let sorry = self.server.params.sorry.iter().map(|sorry| Place::Sorry(sorry.address));
        let mut dests: Vec<Dest> = Vec::with_capacity(table.len());
        let mut places: HashMap<SocketAddr, usize> = HashMap::new();
        for at in reals.chain(sorry) {
            let Some(dest) = table.get(&at).and_then(|weight| self.dest(member, at, *weight)) else { continue };
            if refused.has(member.key, Some(place_of(&dest))) {
                continue;
            }
            if self.shared {
                let at = *places.entry(place_of(&dest)).or_insert(dests.len());
                if let Some(twin) = dests.get_mut(at) {
                    // Whoever is to have packets has the place.
                    if twin.weight < dest.weight {
                        *twin = dest;
                    }
                    continue;
                }
            }
            dests.push(dest);
        }
        dests
    }

    /// The edits of the table for these changes; `None`: it takes a look at the table.
    pub(super) fn edits(&self, changes: &[Change], refused: &Refused) -> Option<Vec<Edit>> {
        if self.shared || !refused.is_empty() {
            return None;
        }
        let mut edits = Vec::with_capacity(changes.len() * self.server.members.len());
        for member in &self.server.members {
            for change in changes {
                edits.push(match *change {
                    Change::Add(at, weight) => Edit::AddDest(member.key, self.dest(member, at, weight)?),
                    Change::SetWeight(at, weight) => Edit::EditDest(member.key, self.dest(member, at, weight)?),
                    Change::Remove(at) => {
                        let dest = self.dest(member, at, 0)?;
                        Edit::DeleteDest(member.key, dest.addr, dest.port)
                    }
                });
            }
        }
        Some(edits)
    }
}

fn shared(server: &Server) -> bool {
    let Some(sorry) = &server.sorry else { return false };
    server.members.iter().any(|member| {
        let place = place_of(&server.place(member, sorry));
        server.dests.values().any(|dest| place_of(&server.place(member, dest)) == place)
    })
}

fn order(server: &Server) -> HashMap<SocketAddr, usize> {
    server.params.reals.iter().enumerate().map(|(at, real)| (real.address, at)).collect()
}
