//! Edits of destinations.
//!
//! The kernel's order is kept: a new destination goes to the head of the list, and a round-robin position goes on pointing at
//! the destination it pointed at.

use crate::apply::Refusal;
use crate::model::{Dest, Service, Table, TunnelKind, is_mark};
use crate::rules::{Rules, families_match};
use rvs_core::abi::{Forward, ServiceKey};
use rvs_wire::{Addr, Be16};

impl Table {
    fn service_mut(&mut self, key: &ServiceKey) -> Result<&mut Service, Refusal> {
        let at = self.position(key).ok_or(Refusal::NoService)?;
        Ok(&mut self.services[at])
    }

    pub(crate) fn add_dest(&mut self, key: &ServiceKey, dest: &Dest, rules: &Rules<'_>) -> Result<(), Refusal> {
        let service = self.service_mut(key)?;
        let mut dest = service.checked(dest, rules)?;
        if service.dest_position(dest.addr, dest.port).is_some() {
            return Err(Refusal::DestExists);
        }
        if !rules.is_unicast(dest.addr, dest.family) {
            return Err(Refusal::Invalid);
        }
        dest.last_weight = dest.weight;
        service.dests.insert(0, dest);
        if service.sched_state.pos >= 0 {
            service.sched_state.pos += 1;
        }
        service.destinations_changed();
        Ok(())
    }

    pub(crate) fn edit_dest(&mut self, key: &ServiceKey, dest: &Dest, rules: &Rules<'_>) -> Result<(), Refusal> {
        let service = self.service_mut(key)?;
        let mut dest = service.checked(dest, rules)?;
        let at = service.dest_position(dest.addr, dest.port).ok_or(Refusal::NoDest)?;
        dest.last_weight = if dest.weight == 0 { service.dests[at].last_weight } else { dest.weight };
        service.dests[at] = dest;
        service.destinations_changed();
        Ok(())
    }

    pub(crate) fn delete_dest(&mut self, key: &ServiceKey, addr: Addr, port: Be16) -> Result<(), Refusal> {
        let service = self.service_mut(key)?;
        let at = service.dest_position(addr, port).ok_or(Refusal::NoDest)?;
        service.dests.remove(at);
        // The position stays with its destination; if that is the one deleted, it moves to the one before.
        if i32::try_from(at).is_ok_and(|at| at <= service.sched_state.pos) {
            service.sched_state.pos -= 1;
        }
        service.destinations_changed();
        Ok(())
    }
}

impl Service {
    fn dest_position(&self, addr: Addr, port: Be16) -> Option<usize> {
        self.dests.iter().position(|dest| dest.addr == addr && dest.port == port)
    }

    /// The destination as it would stand in the list, if it may.
    fn checked(&self, dest: &Dest, rules: &Rules<'_>) -> Result<Dest, Refusal> {
        rules.capabilities.check_dest(dest)?;
        if !families_match(&self.key, dest) {
            return Err(Refusal::Invalid);
        }
        if dest.weight < 0 || dest.l_threshold > dest.u_threshold {
            return Err(Refusal::Range);
        }
        let tunnelled = dest.forward == Forward::Tunnel;
        if tunnelled && dest.tunnel.kind == TunnelKind::Gue && dest.tunnel.port == Be16::ZERO {
            return Err(Refusal::Invalid);
        }
        let port = match dest.forward {
            // These send the client's packet as it is: no port can be translated on the way.
            Forward::Route | Forward::Tunnel if !is_mark(&self.key) => self.key.port,
            _ => dest.port,
        };
        Ok(Dest { port, ..dest.clone() })
    }
}
