//! Other parameters for a virtual server that runs: what is the same stays untouched, health and administrative states
//! with it.

use super::real::{CheckState, Real};
use super::{RealParams, Service, ServiceParams};
use crate::verdict::{Advice, Wish};
use std::collections::{HashMap, HashSet};

impl Service {
    pub(super) fn reload(&mut self, params: ServiceParams) {
        self.leave(&params);
        self.touched = super::Touched::All;
        let old = core::mem::take(&mut self.reals);
        let mut old: HashMap<_, _> = old.into_iter().map(|real| (real.params.address, real)).collect();
        let mut changes = Vec::new();
        for wanted in &params.reals {
            match old.remove(&wanted.address) {
                Some(mut real) => {
                    changes.push((self.reals.len(), real.weight()));
                    renew(&mut real, wanted);
                    self.reals.push(real);
                }
                None => self.reals.push(Real::new(wanted.clone())),
            }
        }
        if self.sorry_on && self.params.sorry != params.sorry {
            // The old one goes in this very transaction; whether there is a new one decides what is said.
            if let (Some(sorry), None) = (&self.params.sorry, &params.sorry) {
                let (sorry, name) = (&sorry.name, &self.params.name);
                self.log(format!("Removing sorry server {sorry} from VS {name}"));
            }
            self.sorry_on = false;
        }
        self.params = params;
        self.reindex();
        changes.into_iter().for_each(|(at, before)| self.weight_changed(at, before));
        self.limit_quorum();
        // Whose failing check is gone.
        for at in 0..self.reals.len() {
            if !self.reals[at].alive && self.reals[at].checks.iter().all(|check| check.up) {
                self.rise(at);
            }
        }
        self.update_quorum();
        if self.running && !self.quorum_up {
            self.sorry(true);
        }
    }

    /// Real servers that are no longer wanted.
    fn leave(&mut self, params: &ServiceParams) {
        let wanted: HashSet<_> = params.reals.iter().map(|wanted| wanted.address).collect();
        for at in 0..self.reals.len() {
            let RealParams { address, name, .. } = &self.reals[at].params;
            if wanted.contains(address) {
                continue;
            }
            let texts = [
                format!("service {name} no longer exist"),
                format!("Removing service {name} from VS {}", self.params.name),
            ];
            texts.into_iter().for_each(|text| self.log(text));
            if self.reals[at].alive {
                self.tell(at, false);
            }
        }
    }
}

/// Checks are told apart by their places; a place that is new counts as its real server does, until it has spoken.
fn renew(real: &mut Real, wanted: &RealParams) {
    let up = real.alive;
    let fresh = || CheckState { up, advice: Advice::default(), wish: Wish::default() };
    real.checks.resize_with(wanted.checks.len(), fresh);
    real.params = wanted.clone();
}
