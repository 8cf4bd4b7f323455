//! How all virtual servers stand, at one moment: plain data for status pages, dumps and metrics.

use super::Keeper;
use super::unit::{Unit, place_of};
use rvs_checker::{Admin, CheckParams, Facts, RealView, Registry};
use rvs_core::abi::{Counters, ServiceKey};
use rvs_intent::{Connection, ListedDest, ListedService};
use rvs_machine::Time;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Subject;

/// All virtual servers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// In the order of the configuration.
    pub services: Vec<ServiceBoard>,
    /// The table is as it should be, as far as is known.
    pub table_fits: bool,
    /// Transactions so far.
    pub commits: u64,
    /// How often a check was stuck and was begun anew.
    pub stuck: u64,
}

/// A virtual server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceBoard {
    /// Its name in the log.
    pub name: String,
    /// What it is called besides.
    pub kind: Option<String>,
    /// Its services in the table, with their counters: address and port or mark, protocol number, counters.
    pub members: Vec<(ServiceKey, Counters)>,
    /// Its live real servers suffice.
    pub quorum_up: bool,
    /// What they must weigh, and how much more or less that is.
    pub quorum: (u32, u32),
    /// What they weigh.
    pub live_weight: i64,
    /// Its sorry server, and whether that stands in.
    pub sorry: Option<(String, bool)>,
    /// Its checks rest.
    pub suspended: bool,
    /// Its real servers, in the order of the configuration.
    pub reals: Vec<RealBoard>,
}

/// A real server.
#[derive(Debug, Clone, PartialEq)]
pub struct RealBoard {
    /// Its name in the log.
    pub name: String,
    /// Its configured weight.
    pub base_weight: i64,
    /// How it stands.
    pub view: RealView,
    /// For how long it is ejected yet.
    pub ejected_for: Option<Duration>,
    /// Why an administrator has decided so.
    pub why: Option<String>,
    /// Its connections in all services: active and inactive.
    pub connections: (u32, u32),
    /// How many of the inactive ones carry nothing any more; looked for where an administrator has taken it out of service and
    /// none is active.
    pub over: Option<u32>,
    /// Its counters in all services.
    pub counters: Counters,
    /// Its checks.
    pub checks: Vec<CheckBoard>,
}

/// A check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckBoard {
    /// The keyword of its block.
    pub kind: &'static str,
    /// What it is made of.
    pub params: Arc<CheckParams>,
    /// It says up.
    pub up: bool,
    /// It has come to a verdict yet.
    pub has_run: bool,
    /// What has been seen of it.
    pub facts: Facts,
    /// How long ago its last run ended.
    pub age: Option<Duration>,
}

impl Keeper {
    /// How everything stands. Figures of the table are missing where the table does not answer.
    pub fn board(&mut self, now: Time, registry: Option<&Registry<Subject>>) -> Board {
        let listed = if self.units.is_empty() { None } else { self.table.listing().ok() };
        let listed = listed.map_or(Vec::new(), |listing| listing.services);
        let by_key: HashMap<ServiceKey, &ListedService> =
            listed.iter().map(|service| (service.service.key, service)).collect();
        let mut board = Board {
            services: self.units.iter().map(|unit| service(unit, &by_key, now, registry)).collect(),
            table_fits: !self.failing,
            commits: self.commits,
            stuck: registry.map_or(0, Registry::stuck),
        };
        self.count_those_away(&mut board);
        board
    }

    /// Connections are counted one by one where somebody waits for their end: those of a real server in maintenance, which is
    /// not in the table while they go on, and of a drained one those that are over.
    fn count_those_away(&mut self, board: &mut Board) {
        let mut away: HashMap<(ServiceKey, SocketAddr), (usize, usize)> = HashMap::new();
        for (at, unit) in self.units.iter().enumerate() {
            for (which, real) in board.services[at].reals.iter_mut().enumerate() {
                if real.view.admin == Admin::Ready {
                    continue;
                }
                let gone = real.view.admin == Admin::Maint && real.view.in_table.is_none();
                // With active ones nobody asks how many of the others are over; without any the answer is known.
                if !gone && (real.connections.0 > 0 || real.connections.1 == 0) {
                    real.over = (real.connections.1 == 0).then_some(0);
                    continue;
                }
                let Some(dest) = unit.server.dests.get(&real.view.address) else { continue };
                if gone {
                    real.connections = (0, 0);
                }
                real.over = Some(0);
                let places = unit.server.members.iter();
                away.extend(
                    places.map(|member| ((member.key, place_of(&unit.server.place(member, dest))), (at, which))),
                );
            }
        }
        if away.is_empty() {
            return;
        }
        let Some(plane) = self.table.plane_mut() else { return };
        // Without figures there are none on the page; the table itself says why when it is changed.
        let _ = plane.each_connection(&mut |conn| {
            let (addr, port) = conn.virt;
            let key = ServiceKey { addr, port, proto: conn.proto, family: conn.family.raw() };
            let place = SocketAddr::new(conn.dest.0.to_ip(conn.dest_family), conn.dest.1.host());
            if !conn.template
                && let Some((at, which)) = away.get(&(key, place))
            {
                count(&mut board.services[*at].reals[*which], conn);
            }
            ControlFlow::Continue(())
        });
    }
}

/// Counts a connection of a real server that is out of service.
fn count(real: &mut RealBoard, conn: &Connection) {
    if conn.is_over() {
        real.over = real.over.map(|over| over + 1);
    }
    // What is in the table has been counted there.
    if real.view.in_table.is_none() {
        let connections = &mut real.connections;
        if conn.state == "ESTABLISHED" { connections.0 += 1 } else { connections.1 += 1 }
    }
}

fn service(
    unit: &Unit,
    by_key: &HashMap<ServiceKey, &ListedService>,
    now: Time,
    registry: Option<&Registry<Subject>>,
) -> ServiceBoard {
    let params = &unit.server.params;
    let members = unit.server.members.iter();
    let figures: HashMap<(ServiceKey, SocketAddr), &ListedDest> = members
        .clone()
        .filter_map(|member| by_key.get(&member.key))
        .flat_map(|listed| listed.dests.iter().map(|dest| ((listed.service.key, place_of(&dest.dest)), dest)))
        .collect();
    let views: HashMap<SocketAddr, RealView> = unit.service.reals().map(|view| (view.address, view)).collect();
    let stands_in = params.sorry.as_ref().is_some_and(|sorry| {
        unit.service.table().get(&rvs_checker::Dest::Sorry(sorry.address)).is_some_and(|weight| *weight > 0)
    });
    let reals = params.reals.iter().filter_map(|real| {
        let view = views.get(&real.address)?.clone();
        Some(one(unit, real, view, &figures, now, registry))
    });
    ServiceBoard {
        name: unit.name.to_string(),
        kind: unit.server.kind.clone(),
        members: members
            .map(|member| (member.key, by_key.get(&member.key).map_or(Counters::default(), |listed| listed.counters)))
            .collect(),
        quorum_up: unit.service.has_quorum(),
        quorum: (params.quorum, params.hysteresis),
        live_weight: unit.service.live_weight(),
        sorry: params.sorry.as_ref().map(|sorry| (sorry.name.clone(), stands_in)),
        suspended: unit.suspended,
        reals: reals.collect(),
    }
}

fn one(
    unit: &Unit,
    real: &rvs_checker::RealParams,
    view: RealView,
    figures: &HashMap<(ServiceKey, SocketAddr), &ListedDest>,
    now: Time,
    registry: Option<&Registry<Subject>>,
) -> RealBoard {
    let (mut connections, mut counters) = ((0, 0), Counters::default());
    if let Some(dest) = unit.server.dests.get(&real.address) {
        for member in &unit.server.members {
            let place = place_of(&unit.server.place(member, dest));
            if let Some(listed) = figures.get(&(member.key, place)) {
                connections = (connections.0 + listed.active, connections.1 + listed.inactive);
                counters = rvs_intent::observed::plus(&counters, &listed.counters);
            }
        }
    }
    let checks = unit.server.checks.get(&real.address).into_iter().flatten().enumerate().map(|(at, params)| {
        let who = unit.subject(real.address, at);
        let check = registry.and_then(|registry| registry.check(registry.of(&who)?));
        let seen = registry.and_then(|registry| registry.facts(&who, now));
        CheckBoard {
            kind: params.probe.keyword(),
            params: Arc::clone(params),
            up: check.is_some_and(rvs_checker::Check::is_up),
            has_run: check.is_some_and(rvs_checker::Check::has_run),
            facts: seen.as_ref().map_or_else(Facts::default, |(facts, _)| (*facts).clone()),
            age: seen.and_then(|(_, age)| age),
        }
    });
    RealBoard {
        name: real.name.clone(),
        base_weight: real.weight,
        ejected_for: view.ejected_until.map(|until| until.since(now)),
        why: unit.reasons.get(&real.address).filter(|why| !why.is_empty()).cloned(),
        connections,
        over: None,
        counters,
        checks: checks.collect(),
        view,
    }
}
