//! Rounds of cases: every round presents each case once, so that what disturbs the machine for a while disturbs all alike.

use crate::cases::{Case, Load, MILLION, Packet, Place};
use crate::figures::{Spread, median};
use crate::lab::{Lab, Lane, Size};
use crate::scene::Scene;
use anyhow::{Context, Result, ensure};

/// New connections per round and case: small enough that no round fills the table.
const NEW: u32 = 1 << 13;
/// The same for each scheduler, of which there are many.
const SCHEDULED: u32 = 1 << 10;
/// Packets of one run at XDP at most, so that it ends before a next hop does.
const CHUNK: u32 = 1 << 18;
/// The first client that takes part in new connections only.
const FRESH: u32 = 1 << 24;

/// How much is measured. On an emulated processor that counts instructions nothing is noisy, and everything slow.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Rounds of all cases; medians count.
    pub rounds: usize,
    /// Packets per round and case.
    pub repeat: u32,
    /// Packets per round where each needs a run of its own.
    pub singles: u32,
}

/// What a case cost.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The case.
    pub case: Case,
    /// By round: nanoseconds per packet with the restoring of the frame, and of the restoring alone.
    pub samples: Vec<(u32, u32)>,
    /// To the floor of the same round.
    pub ratio: Spread,
}

impl Cost {
    /// The median of nanoseconds per packet, restoring not counted.
    pub fn net(&self) -> u32 {
        median(self.samples.iter().map(|(ns, base)| ns.saturating_sub(*base)).collect())
    }
}

/// The restoring alone, by lane.
#[derive(Clone, Copy, Default)]
struct Bases {
    xdp: u32,
    grown: u32,
    tc: u32,
    single: u32,
}

impl Bases {
    fn measure(lab: &mut Lab, amount: &Amount, singles: bool) -> Result<Self> {
        let single: Result<Vec<_>> =
            (0..if singles { amount.singles } else { 0 }).map(|_| lab.baseline(Lane::Tc, 1)).collect();
        Ok(Self {
            xdp: lab.baseline(Lane::Xdp, amount.repeat)?,
            grown: lab.baseline(Lane::XdpGrown, amount.repeat)?,
            tc: lab.baseline(Lane::Tc, amount.repeat)?,
            single: median(single?),
        })
    }

    fn of(&self, case: &Case) -> u32 {
        match case.place {
            _ if case.is_single() => self.single,
            Place::Xdp if case.is_tunnel() => self.grown,
            Place::Xdp => self.xdp,
            Place::Tc => self.tc,
        }
    }
}

/// Measures the cases, each scene in a laboratory of its own. `told` hears what is being done.
pub fn run(cases: Vec<Case>, amount: &Amount, mut told: impl FnMut(&str)) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    let mut rest = cases;
    while let Some(first) = rest.first() {
        let scene = first.scene;
        let (now, later) = rest.into_iter().partition(|case| case.scene == scene);
        costs.extend(run_scene(now, amount, &mut told).with_context(|| format!("scene {scene:?}"))?);
        rest = later;
    }
    Ok(costs)
}

/// Sizes of the director's programs.
pub fn sizes() -> Result<Vec<Size>> {
    let lab = Lab::new(Scene::Services(1))?;
    Place::ALL.map(|place| lab.size(place)).into_iter().collect()
}

fn run_scene(cases: Vec<Case>, amount: &Amount, told: &mut impl FnMut(&str)) -> Result<Vec<Cost>> {
    let Some(first) = cases.first() else { return Ok(Vec::new()) };
    let mut lab = Lab::new(first.scene)?;
    let mut samples = vec![Vec::new(); cases.len()];
    let mut fresh = FRESH;
    let singles = cases.iter().any(Case::is_single);
    for round in 1..=amount.rounds {
        let bases = Bases::measure(&mut lab, amount, singles)?;
        for (case, samples) in cases.iter().zip(&mut samples) {
            told(&format!("round {round} of {}: {}", amount.rounds, case.name));
            let ns = measure(&mut lab, case, &mut fresh, amount);
            samples.push((ns.with_context(|| format!("case {}\n{}", case.name, lab.reasons()))?, bases.of(case)));
        }
    }
    let floor = |case: &Case| {
        let name = case.floor();
        cases.iter().zip(&samples).find(|(other, _)| other.name == name).map(|(_, samples)| samples.as_slice())
    };
    let ratios: Vec<_> =
        cases.iter().zip(&samples).map(|(case, own)| Spread::of_ratios(own, floor(case).unwrap_or_default())).collect();
    let figures = samples.into_iter().zip(ratios);
    Ok(cases.into_iter().zip(figures).map(|(case, (samples, ratio))| Cost { case, samples, ratio }).collect())
}

fn measure(lab: &mut Lab, case: &Case, fresh: &mut u32, amount: &Amount) -> Result<u32> {
    let frame = case.measured();
    // The first packet makes the connection, the second finds it; both at TC, which also learns the next hop.
    if !matches!(case.packet, Packet::Floor | Packet::Bare(_) | Packet::Foreign | Packet::Unknown) {
        lab.run(Place::Tc, &case.request(true), 1, None, true)?;
        lab.run(Place::Tc, &case.request(false), 1, None, true)?;
    }
    let flows = match case.load {
        Load::One => None,
        Load::Many(flows) => Some((flows - 1, 0)),
        Load::New => {
            let count = if matches!(case.packet, Packet::Scheduled(..)) { SCHEDULED } else { NEW };
            let base = *fresh;
            *fresh = base.checked_add(count).context("no fresh clients left")?;
            Some((count - 1, base))
        }
    };
    match (case.packet, case.load) {
        (Packet::Floor, Load::Many(count)) => {
            lab.floor(case.place, &frame, count, flows)?;
            return lab.floor(case.place, &frame, amount.repeat.max(count), flows);
        }
        (Packet::Floor, _) => return lab.floor(case.place, &frame, amount.repeat, flows),
        (Packet::Bare(method), _) => return lab.bare(method, &frame, amount.repeat),
        (_, Load::New) => {
            let count = flows.map_or(1, |(mask, _)| mask + 1);
            let ns = present(lab, case, &frame, (count, amount.singles), flows)?;
            lab.sweep().context("ending the connections of a round")?;
            return Ok(ns);
        }
        (_, Load::Many(count)) => begin(lab, case, count, flows)?,
        (_, Load::One) => {}
    }
    if case.packet == Packet::Reply {
        // Learns the clients as next hops.
        lab.run(Place::Tc, &frame, learning(flows), flows, true)?;
    }
    if let Load::Many(count) = case.load {
        // Warms the caches, as far as they reach.
        present(lab, case, &frame, (count, 1), flows)?;
        return present(lab, case, &frame, (amount.repeat.max(count), amount.singles), flows);
    }
    present(lab, case, &frame, (amount.repeat, amount.singles), flows)
}

/// Packets after which TC has seen every client's address: there are 64 of them at most.
fn learning(flows: Option<(u32, u32)>) -> u32 {
    flows.map_or(1, |(mask, _)| mask.min(4096))
}

/// Makes `count` connections of the case's kind, unless they are there already. They may begin with any segment here, and so
/// are established from the first on.
fn begin(lab: &mut Lab, case: &Case, count: u32, flows: Option<(u32, u32)>) -> Result<()> {
    ensure!(count <= MILLION, "the table is made for a million");
    let frame = case.request(false);
    if !lab.begun(&frame, count) {
        return Ok(());
    }
    // At TC, which needs no next hop that is still good at the end of a million; but each of its tunnelled packets would
    // need a run of its own.
    let place = if case.is_tunnel() { Place::Xdp } else { Place::Tc };
    let made = Case { place, packet: case.packet, ..case.clone() };
    present(lab, &made, &frame, (count, 1), flows).map(drop)
}

/// Runs a case's packets.
fn present(
    lab: &mut Lab,
    case: &Case,
    frame: &[u8],
    (repeat, singles): (u32, u32),
    flows: Option<(u32, u32)>,
) -> Result<u32> {
    let sent = case.is_sent();
    if case.place == Place::Xdp && sent {
        let runs = repeat.div_ceil(CHUNK);
        let chunk = repeat.div_ceil(runs);
        let mut total = 0;
        for _ in 0..runs {
            total += u64::from(chunked(lab, case, frame, chunk, flows)?);
        }
        return Ok((total / u64::from(runs)) as u32);
    }
    if !case.is_single() {
        return lab.run(case.place, frame, repeat, flows, sent);
    }
    let runs: Result<Vec<_>> = (0..singles).map(|_| lab.run(case.place, frame, 1, flows, sent)).collect();
    runs.map(median)
}

/// One run at XDP of packets that leave. A next hop holds for a second: when it ends under way, TC learns it anew and the run
/// is done again.
fn chunked(lab: &mut Lab, case: &Case, frame: &[u8], repeat: u32, flows: Option<(u32, u32)>) -> Result<u32> {
    for _ in 0..8 {
        if let Ok(ns) = lab.run(case.place, frame, repeat, flows, true) {
            return Ok(ns);
        }
        lab.run(Place::Tc, frame, if case.is_tunnel() { 1 } else { learning(flows) }, flows, true)?;
    }
    lab.run(case.place, frame, repeat, flows, true)
}
