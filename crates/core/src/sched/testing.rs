//! A list of candidates in memory, and the drivers of recorded sequences.

use super::*;
use crate::abi::{BLOCK_ENTRIES, NO_PLACE};
use core::cell::RefCell;
use core::net::Ipv4Addr;
use rvs_wire::{Addr, Be16};
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// A request that is like every other.
pub(crate) const REQUEST: Request<'static> = Request { key: &KEY, flags: 0 };
static KEY: FlowKey = FlowKey {
    src: Addr::UNSPECIFIED,
    dst: Addr::UNSPECIFIED,
    sport: Be16::ZERO,
    dport: Be16::ZERO,
    proto: 6,
    family: 2,
    pad: 0,
};

/// Addresses that lblc and lblcr can remember.
const ROOM: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) candidates: Vec<Candidate>,
    /// The identity of each.
    pub(crate) ids: Vec<u64>,
    pub(crate) table: Vec<u16>,
    /// What is drawn, last first.
    pub(crate) random: RefCell<Vec<u32>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) version: u32,
    /// Steps taken.
    pub(crate) steps: Cell<u32>,
    pub(crate) now: Cell<u64>,
    pub(crate) hold: u64,
    /// The configuration is not settled, and nobody is found.
    pub(crate) hidden: Cell<bool>,
    pub(crate) localities: Vec<Locality>,
    pub(crate) replicas: Vec<Replicas>,
    pub(crate) known: RefCell<BTreeMap<[u32; 4], usize>>,
}

impl List {
    pub(crate) fn of(candidates: Vec<Candidate>) -> Self {
        Self {
            ids: (0..candidates.len() as u64).map(|n| 1 << 32 | n).collect(),
            candidates,
            table: Vec::new(),
            random: RefCell::default(),
            blocks: Vec::new(),
            version: 1,
            steps: Cell::new(0),
            now: Cell::new(0),
            hold: 1000,
            hidden: Cell::new(false),
            localities: vec![Locality::default(); ROOM],
            replicas: vec![Replicas::default(); ROOM],
            known: RefCell::default(),
        }
    }

    /// With blocks for everything, whatever its length.
    pub(crate) fn with_blocks(mut self) -> Self {
        self.blocks = vec![Block::default(); self.candidates.len().div_ceil(BLOCK_ENTRIES as usize)];
        self
    }

    /// Changes counts as packets do.
    pub(crate) fn change(&mut self, index: usize, candidate: Candidate) {
        self.candidates[index] = candidate;
        if let Some(block) = self.blocks.get(index / BLOCK_ENTRIES as usize)
            && block.used.get() != 0
        {
            self.add(&block.changes);
        }
    }
}

impl Candidates for List {
    fn count(&self) -> u32 {
        self.candidates.len() as u32
    }

    fn candidate(&self, index: u32) -> Option<Candidate> {
        self.candidates.get(index as usize).copied()
    }

    fn repeat<S: Step>(&self, steps: u32, over: &S::Over, mut state: S) -> S {
        for number in 0..steps {
            self.steps.set(self.steps.get() + 1);
            if state.step(self, over, number) == Walk::Break {
                break;
            }
        }
        state
    }

    fn place(&self, place: u32) -> Option<u32> {
        let index = self.table[place as usize];
        (index != NO_PLACE).then_some(index as u32)
    }

    fn random(&self) -> u32 {
        self.random.borrow_mut().pop().unwrap_or(0)
    }

    fn first(&self) -> u32 {
        96
    }

    fn block(&self, index: u32) -> Option<&Block> {
        self.blocks.get((index / BLOCK_ENTRIES) as usize)
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn add(&self, counter: &Cell<u32>) {
        counter.set(counter.get() + 1);
    }

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn server(&self, index: u32) -> Option<Remembered> {
        self.ids.get(index as usize).copied()
    }

    fn index_of(&self, server: Remembered) -> Option<u32> {
        let index = self.ids.iter().position(|id| *id == server)?;
        (!self.hidden.get()).then_some(index as u32)
    }

    fn settled(&self) -> bool {
        !self.hidden.get()
    }

    fn locality(&self, request: &Request<'_>) -> Option<&Locality> {
        self.known.borrow().get(&request.key.dst.words()).map(|at| &self.localities[*at])
    }

    fn add_locality(&self, request: &Request<'_>, server: Remembered) {
        let mut known = self.known.borrow_mut();
        let at = known.len();
        known.insert(request.key.dst.words(), at);
        self.localities[at].server.set(server);
    }

    fn replicas(&self, request: &Request<'_>) -> Option<&Replicas> {
        self.known.borrow().get(&request.key.dst.words()).map(|at| &self.replicas[*at])
    }

    fn add_replicas(&self, request: &Request<'_>, server: Remembered) {
        let mut known = self.known.borrow_mut();
        let at = known.len();
        known.insert(request.key.dst.words(), at);
        self.replicas[at].servers[0].set(server);
        self.replicas[at].len.set(1);
    }

    fn replica_hold(&self) -> u64 {
        self.hold
    }

    fn lock(&self, replicas: &Replicas) {
        assert_eq!(replicas.lock.val.replace(1), 0);
    }

    fn unlock(&self, replicas: &Replicas) {
        assert_eq!(replicas.lock.val.replace(0), 1);
    }
}

/// Servers 1, 2, 3 … (10.0.2.11 and so on, port 80) with `weights`, added one by one to an existing service, and the state.
fn filled(kind: Kind, weights: &[i32]) -> (List, SchedState) {
    let mut list = List::of(Vec::new());
    let mut state = kind.changed(SchedState::START, core::iter::empty());
    for &weight in weights {
        list.candidates.insert(0, Candidate { weight, ..Candidate::default() });
        state = kind.changed(state, list.candidates.iter().map(|c| c.weight));
    }
    let last = weights.len();
    let claimants: Vec<_> = (0..last)
        .map(|index| {
            let addr = Ipv4Addr::new(10, 0, 2, 10 + (last - index) as u8).into();
            let weight = weights[last - 1 - index];
            (weight, mh::Claimant { addr, port: Be16::new(80), last_weight: weight })
        })
        .collect();
    list.ids = (0..last as u64).map(|n| 1 << 32 | n).collect();
    list.table = vec![NO_PLACE; kind.table_len()];
    kind.fill_table(claimants.into_iter(), &mut vec![mh::Claim::default(); last], &mut list.table);
    (list, state)
}

/// `n` connections from one client: who gets them. `open`: connections stay active; otherwise each is closed (inactive)
/// before the next.
pub(crate) fn sequence(kind: Kind, weights: &[i32], open: bool, n: usize) -> Vec<usize> {
    let (mut list, mut state) = filled(kind, weights);
    (0..n)
        .map(|_| {
            let index = pick(kind, &list, &REQUEST, &mut state).unwrap() as usize;
            let chosen = &mut list.candidates[index];
            *(if open { &mut chosen.active } else { &mut chosen.inactive }) += 1;
            weights.len() - index
        })
        .collect()
}

/// One closed connection each of 24 clients, 10.0.1.101 to 10.0.1.124, with ports from `first_port` on.
pub(crate) fn sequence_by_client(kind: Kind, flags: u16, weights: &[i32]) -> Vec<Option<usize>> {
    let keys = (0..24).map(|n| FlowKey {
        src: Ipv4Addr::new(10, 0, 1, 101 + n as u8).into(),
        sport: Be16::new(20000 + n),
        ..KEY
    });
    by(kind, flags, weights, keys)
}

/// One closed connection each to 24 addresses, 10.0.3.1 to 10.0.3.24.
pub(crate) fn sequence_by_destination(kind: Kind, weights: &[i32]) -> Vec<Option<usize>> {
    by(kind, 0, weights, (0..24).map(|n| FlowKey { dst: Ipv4Addr::new(10, 0, 3, 1 + n).into(), ..KEY }))
}

fn by(kind: Kind, flags: u16, weights: &[i32], keys: impl Iterator<Item = FlowKey>) -> Vec<Option<usize>> {
    let (mut list, mut state) = filled(kind, weights);
    keys.map(|key| {
        let index = pick(kind, &list, &Request { key: &key, flags }, &mut state)? as usize;
        list.candidates[index].inactive += 1;
        Some(weights.len() - index)
    })
    .collect()
}
