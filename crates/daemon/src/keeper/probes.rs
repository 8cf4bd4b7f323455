//! Checks that go by a virtual service (`check_via_vip`): each has a number and a mark in the table, which says to whom packets
//! with that mark go. It decides nothing about checks; it only knows which numbers are whose.

use super::Subject;
use super::table::Table;
use rvs_checker::Target;
use rvs_core::abi::Forward;
use rvs_dataplane::Error;
use rvs_dataplane::kernel::probes::{MAX, Probe};
use rvs_intent::Dest;
use std::collections::{HashMap, HashSet};

/// The numbers of our checks.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// Each with its number, its mark, and how many checks have it.
    ours: HashMap<Probe, (u16, u32, usize)>,
    whose: HashMap<Subject, Probe>,
    /// Numbers in use, those of others among them.
    taken: HashSet<u16>,
    /// What somebody has left, or has as well.
    there: HashMap<Probe, u16>,
    looked: bool,
    /// Where a free number may be.
    next: u16,
    /// Checks that wait for the table.
    waiting: Vec<Subject>,
}

/// How a check of this real server goes by the virtual service; `None`: straight.
pub(super) fn way(target: &Target, dest: &Dest) -> Option<Probe> {
    let tunnel = match dest.forward {
        Forward::Route => None,
        Forward::Tunnel => Some(dest.tunnel),
        // The real server sees its own address, as by a check that goes straight.
        Forward::Masq | Forward::Local => return None,
    };
    Some(Probe { real: target.address, service: target.via_vip?, tunnel })
}

impl Probes {
    /// The mark for a check.
    pub(super) fn take(&mut self, who: &Subject, probe: Probe, table: &mut Table) -> Result<u32, Error> {
        if let Some((_, mark, users)) = self.ours.get_mut(&probe) {
            *users += 1;
            let mark = *mark;
            self.whose.insert(who.clone(), probe);
            return Ok(mark);
        }
        if !self.looked {
            let there = table.probes()?;
            self.taken = there.iter().map(|(number, _)| *number).collect();
            self.there = there.into_iter().map(|(number, probe)| (probe, number)).collect();
            self.looked = true;
        }
        // What an earlier daemon has left is as good as ours.
        let known = self.there.get(&probe).copied();
        let number = known
            .or_else(|| self.free())
            .ok_or_else(|| Error::State(format!("at most {MAX} checks can go by virtual services")))?;
        let mark = table.set_probe(number, &probe)?;
        self.taken.insert(number);
        self.ours.insert(probe, (number, mark, 1));
        self.whose.insert(who.clone(), probe);
        Ok(mark)
    }

    fn free(&mut self) -> Option<u16> {
        let from = self.next;
        let number = (0..=u16::MAX).map(|by| from.wrapping_add(by)).find(|number| !self.taken.contains(number))?;
        self.next = number.wrapping_add(1);
        Some(number)
    }

    /// Gives back what a check has.
    pub(super) fn give_back(&mut self, who: &Subject, table: &mut Table) {
        self.waiting.retain(|waiting| waiting != who);
        let Some(probe) = self.whose.remove(who) else { return };
        let Some((number, _, users)) = self.ours.get_mut(&probe) else { return };
        *users -= 1;
        if *users > 0 {
            return;
        }
        let number = *number;
        self.ours.remove(&probe);
        self.there.remove(&probe);
        self.taken.remove(&number);
        // One that stays ends with its lease.
        let _ = table.remove_probe(number);
    }

    /// Lets a check wait until the table can be had.
    pub(super) fn wait(&mut self, who: Subject) {
        self.waiting.push(who);
    }

    /// Who waits; nobody waits any more.
    pub(super) fn waiting(&mut self) -> Vec<Subject> {
        std::mem::take(&mut self.waiting)
    }

    /// Holds what we have for another while.
    pub(super) fn renew(&mut self, table: &mut Table) -> Result<(), Error> {
        if self.ours.is_empty() { Ok(()) } else { table.renew_probes() }
    }
}
