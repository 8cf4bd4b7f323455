//! A virtual server across a restart or an upgrade of the daemon: what it knew is taken over, and nothing is told again.

use super::real::{CheckState, Real};
use super::{Admin, Dest, Service, ServiceParams, Touched};
use crate::verdict::{Advice, Wish};
use core::net::SocketAddr;
use rvs_machine::Time;
use std::collections::BTreeMap;

/// What a virtual server knows that its parameters do not say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServiceState {
    /// Its live real servers sufficed.
    pub quorum_up: bool,
    /// What it had put into the table.
    pub table: BTreeMap<Dest, i64>,
    /// Its real servers.
    pub reals: BTreeMap<SocketAddr, RealState>,
}

/// What is known of a real server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RealState {
    /// What an administrator has decided.
    pub admin: Admin,
    /// Each check: whether it says up, its advice, and what its agent wants.
    pub checks: Vec<(bool, Advice, Wish)>,
}

impl Service {
    /// What is to be kept until the next daemon.
    pub fn state(&self) -> ServiceState {
        let real = |real: &Real| {
            let checks = real.checks.iter().map(|check| (check.up, check.advice, check.wish)).collect();
            (real.params.address, RealState { admin: real.admin, checks })
        };
        ServiceState {
            quorum_up: self.quorum_up,
            table: self.table.clone(),
            reals: self.reals.iter().map(real).collect(),
        }
    }

    /// A virtual server that goes on where an earlier daemon has left it, in place of [`Service::new`] and
    /// [`super::ServiceInput::Start`]. Parameters may have changed in between: what follows from that comes out of
    /// [`rvs_machine::Machine::poll`]. Absences and slow starts are over.
    pub fn resume(params: ServiceParams, state: ServiceState, now: Time) -> Self {
        let mut service = Self::new(params, now);
        for real in &mut service.reals {
            let Some(known) = state.reals.get(&real.params.address) else { continue };
            real.admin = known.admin;
            // Checks are told apart by their places; another number of them is another set.
            if known.checks.len() == real.checks.len() {
                let check = |&(up, advice, wish): &(bool, Advice, Wish)| CheckState { up, advice, wish };
                real.checks = known.checks.iter().map(check).collect();
                real.alive = real.checks.iter().all(|check| check.up);
            }
        }
        service.reindex();
        service.running = true;
        service.quorum_up = state.quorum_up;
        service.sorry_on = !state.quorum_up && service.params.sorry.is_some();
        service.table = state.table;
        service.touched = Touched::All;
        service.update_quorum();
        service.finish();
        service
    }
}
