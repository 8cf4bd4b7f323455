//! Schedulers: which destination a new connection goes to. One file each, behind one trait.
//!
//! Each gives the kernel's answer, decision for decision: the list is walked newest destination first, ties go to the first
//! met, weight 0 and overloaded destinations are skipped. A scheduler is a pure function of the list, the counters it reads
//! through [`Candidates`] and its [`SchedState`]; where that state is kept, and under which lock, is not its business.

pub mod fo;
pub mod lc;
pub mod nq;
pub mod ovf;
pub mod rr;
pub mod sed;
pub mod wlc;
pub mod wrr;

use crate::abi::SchedState;

/// The schedulers there are, with the numbers that [`crate::abi::ServiceSlot::sched`] holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Round robin.
    Rr = 1,
    /// Weighted round robin.
    Wrr = 2,
    /// Least connection.
    Lc = 3,
    /// Weighted least connection, the default.
    Wlc = 4,
    /// Shortest expected delay.
    Sed = 5,
    /// Never queue.
    Nq = 6,
    /// Weighted failover.
    Fo = 7,
    /// Weighted overflow.
    Ovf = 8,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [Self::Rr, Self::Wrr, Self::Lc, Self::Wlc, Self::Sed, Self::Nq, Self::Fo, Self::Ovf];

    /// The name that ipvsadm and keepalived know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rr => "rr",
            Self::Wrr => "wrr",
            Self::Lc => "lc",
            Self::Wlc => "wlc",
            Self::Sed => "sed",
            Self::Nq => "nq",
            Self::Fo => "fo",
            Self::Ovf => "ovf",
        }
    }

    /// By name; the empty name is the default (`ipvsadm -s ''`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Wlc),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// From the number in a record.
    #[inline(always)]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            1 => Some(Self::Rr),
            2 => Some(Self::Wrr),
            3 => Some(Self::Lc),
            4 => Some(Self::Wlc),
            5 => Some(Self::Sed),
            6 => Some(Self::Nq),
            7 => Some(Self::Fo),
            8 => Some(Self::Ovf),
            _ => None,
        }
    }

    /// The state after the destinations or their weights changed (or the scheduler was attached, `state` being
    /// [`SchedState::START`]): what the kernel's schedulers do at each single add, edit and delete.
    ///
    /// `weights` are those of the new list, newest first; `pos` of `state` is already an index into the new list.
    pub fn changed(self, state: SchedState, weights: impl Iterator<Item = i32> + Clone) -> SchedState {
        match self {
            Self::Wrr => wrr::changed(state, weights),
            Self::Rr | Self::Lc | Self::Wlc | Self::Sed | Self::Nq | Self::Fo | Self::Ovf => state,
        }
    }
}

/// A scheduler: chooses from a list, moving its state on.
pub trait Scheduler {
    /// The index of the chosen destination, or `None` when no destination can take a connection (the state is then as before).
    fn pick<C: Candidates>(list: &C, state: &mut SchedState) -> Option<u32>;
}

/// Chooses by `kind`.
#[inline(always)]
pub fn pick<C: Candidates>(kind: Kind, list: &C, state: &mut SchedState) -> Option<u32> {
    match kind {
        Kind::Rr => rr::Rr::pick(list, state),
        Kind::Wrr => wrr::Wrr::pick(list, state),
        Kind::Lc => lc::Lc::pick(list, state),
        Kind::Wlc => wlc::Wlc::pick(list, state),
        Kind::Sed => sed::Sed::pick(list, state),
        Kind::Nq => nq::Nq::pick(list, state),
        Kind::Fo => fo::Fo::pick(list, state),
        Kind::Ovf => ovf::Ovf::pick(list, state),
    }
}

/// What a scheduler may know about the destinations of a service.
pub trait Candidates {
    /// Number of entries in the list.
    fn count(&self) -> u32;

    /// Shows `visitor` the entries from index `start` on, `steps` of them, wrapping around at the end of the list, until it
    /// breaks. Bounded by `steps` whatever happens. The visitor goes in and comes out by value, because the kernel's loop
    /// helper wants everything that a step touches in one place.
    fn walk<V: Visitor>(&self, start: u32, steps: u32, visitor: V) -> V;
}

/// What is done at each entry of a list.
pub trait Visitor: Copy {
    /// Looks at the entry at `index`.
    fn visit(&mut self, index: u32, candidate: Candidate) -> Walk;
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// To the next entry.
    Continue,
    /// No further.
    Break,
}

/// One destination as a scheduler sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidate {
    /// Weight; 0 quiesces.
    pub weight: i32,
    /// Upper threshold reached.
    pub overloaded: bool,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
}

impl Candidate {
    /// May it take a new connection?
    #[inline(always)]
    pub const fn usable(self) -> bool {
        self.weight > 0 && !self.overloaded
    }

    /// The kernel's load figure: active connections count 256 times an inactive one.
    #[inline(always)]
    pub const fn overhead(self) -> i64 {
        ((self.active as i64) << 8) + self.inactive as i64
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A list of candidates in memory, and the driver of recorded sequences.
    use super::*;
    use std::vec::Vec;

    #[derive(Clone, Debug, Default)]
    pub(crate) struct List(pub(crate) Vec<Candidate>);

    impl Candidates for List {
        fn count(&self) -> u32 {
            self.0.len() as u32
        }

        fn walk<V: Visitor>(&self, start: u32, steps: u32, mut visitor: V) -> V {
            for step in 0..steps {
                let index = (start + step) % self.count();
                if visitor.visit(index, self.0[index as usize]) == Walk::Break {
                    break;
                }
            }
            visitor
        }
    }

    /// Servers 1, 2, 3 … with `weights`, added one by one to an existing service, then `n` connections: who gets them.
    /// `open`: connections stay active; otherwise each is closed (inactive) before the next.
    pub(crate) fn sequence(kind: Kind, weights: &[i32], open: bool, n: usize) -> Vec<usize> {
        let mut list = List::default();
        let mut state = kind.changed(SchedState::START, core::iter::empty());
        for &weight in weights {
            list.0.insert(0, Candidate { weight, ..Candidate::default() });
            state = kind.changed(state, list.0.iter().map(|c| c.weight));
        }
        (0..n)
            .map(|_| {
                let index = pick(kind, &list, &mut state).unwrap() as usize;
                let chosen = &mut list.0[index];
                *(if open { &mut chosen.active } else { &mut chosen.inactive }) += 1;
                weights.len() - index
            })
            .collect()
    }
}
