//! A story out of a seed: who there is, what happens to them, and how it ends well.

use crate::net::{Net, Quality};
use crate::node::{Life, Node, own};
use crate::world::World;
use core::net::IpAddr;
use core::time::Duration;
use rvs_machine::Rng;
use rvs_vrrp::params::{
    Config, GroupParams, HmacMode, HmacParams, InstanceParams, LegacyAuth, Peer, Protocol, TrackParams, Tracked,
    Transport, VirtualAddress,
};
use rvs_vrrp::{Centis, Input, Priority, Seconds, State, Vrid, packet};
use std::collections::BTreeMap;

/// What is the same for all directors of a story.
#[derive(Clone, Debug)]
pub struct Story {
    /// How many directors there are.
    pub directors: u8,
    /// How many virtual routers each runs.
    pub routers: u8,
    /// They are in a sync group.
    pub grouped: bool,
    /// Adverts go to peers.
    pub unicast: bool,
    /// Some directors speak version 3, the others version 2.
    pub mixed: bool,
    /// All speak version 3.
    pub version3: bool,
    /// The second virtual router has IPv6 addresses (version 3 only).
    pub ipv6: bool,
    /// Nobody preempts.
    pub nopreempt: bool,
    /// One director owns the addresses.
    pub owner: bool,
    /// Two directors have the same priority.
    pub equal: bool,
    /// How adverts are authenticated: not, by password, by Authentication Header, by trailer.
    pub auth: u8,
    /// The interval: seconds for version 2, tenths for version 3.
    pub interval: u8,
}

impl Story {
    /// Draws the circumstances.
    fn draw(rng: &mut Rng) -> Self {
        let version3 = rng.percent(50);
        let grouped = rng.percent(35);
        Self {
            directors: 2 + rng.below(3) as u8,
            routers: if grouped { 2 } else { 1 + rng.below(2) as u8 },
            grouped,
            unicast: rng.percent(30),
            mixed: !grouped && rng.percent(20),
            version3,
            ipv6: version3 && rng.percent(50),
            nopreempt: rng.percent(30),
            owner: rng.percent(15),
            equal: rng.percent(25),
            auth: rng.below(4) as u8,
            interval: 1 + rng.below(if version3 { 10 } else { 2 }) as u8,
        }
    }

    fn is_version3(&self, host: u8) -> bool {
        if self.mixed { host.is_multiple_of(2) } else { self.version3 }
    }

    /// The longest interval between two adverts.
    fn slowest(&self) -> Duration {
        if self.version3 && !self.mixed {
            Duration::from_millis(u64::from(self.interval) * 100)
        } else {
            Duration::from_secs(u64::from(self.interval))
        }
    }

    /// The shortest.
    fn fastest(&self) -> Duration {
        if self.version3 || self.mixed { Duration::from_millis(u64::from(self.interval) * 100) } else { self.slowest() }
    }

    fn priority(&self, host: u8) -> Priority {
        let rank = match host {
            1 if self.owner => return Priority::OWNER,
            2 if self.equal => 1,
            host => host,
        };
        Priority::new(200 - 40 * (rank - 1)).unwrap_or(Priority::DEFAULT)
    }

    fn config(&self, host: u8) -> Config {
        let instances: Vec<_> = (1..=self.routers).map(|number| self.instance(host, number)).collect();
        let members = instances.iter().map(|params| params.name.clone()).collect();
        let group = GroupParams { name: "G".into(), members, track: Vec::new(), tracking_weight: true };
        Config { instances, groups: if self.grouped { vec![group] } else { Vec::new() }, ..Config::default() }
    }

    fn instance(&self, host: u8, number: u8) -> InstanceParams {
        let vrid = Vrid::new(number).expect("numbers begin with 1");
        let mut params = InstanceParams::new(&format!("VI_{number}"), "eth0", vrid);
        params.priority = self.priority(host);
        params.start_as_master = host == 1;
        params.nopreempt = self.nopreempt && !params.is_owner();
        params.ipv6 = self.ipv6 && number == 2 && self.is_version3(host);
        let key = *b"simulate";
        params.protocol = if self.is_version3(host) {
            let interval = Centis::new(u16::from(self.interval) * 10).expect("below 41 seconds");
            Protocol::V3 { interval, checksum_as_v2: false, old_unicast: Default::default() }
        } else {
            let auth = match self.auth {
                1 => LegacyAuth::Password(key),
                2 => LegacyAuth::Header(packet::AhKey(key)),
                _ => LegacyAuth::None,
            };
            Protocol::V2 { interval: Seconds::new(self.interval).expect("intervals begin with 1"), auth }
        };
        if self.auth == 3 {
            let keys = packet::HmacKey::new(1, vec![9; 32]).into_iter().collect();
            params.auth_hmac = Some(HmacParams { keys, active: 1, mode: HmacMode::Enforce, window: None });
        }
        let address: IpAddr = match params.ipv6 {
            true => IpAddr::V6([0xfe80, 0, 0, 0, 0, 0, 1, u16::from(number)].into()),
            false => IpAddr::V4([10, 0, 1, number].into()),
        };
        params.addresses = vec![VirtualAddress { address, prefix: 24, device: None, options: "".into() }];
        params.transport = self.transport(host, params.ipv6);
        params.track = vec![TrackParams { what: Tracked::File("load".into()), weight: 1, reverse: false }];
        params
    }

    fn transport(&self, host: u8, ipv6: bool) -> Transport {
        let group =
            if ipv6 { IpAddr::V6([0xff02, 0, 0, 0, 0, 0, 0, 0x12].into()) } else { IpAddr::V4([224, 0, 0, 18].into()) };
        if !self.unicast {
            return Transport::Multicast { group };
        }
        let others = (1..=self.directors).filter(|other| *other != host);
        let address = |host| if ipv6 { IpAddr::V6(own(host).1) } else { IpAddr::V4(own(host).0) };
        let peers = others.map(|other| Peer { address: address(other), min_ttl: 0, max_ttl: 255 }).collect();
        Transport::Unicast { peers, hop_limit: 255, check_source: true, old_group: group }
    }
}

/// Tells the story of a seed. `Err`: what did not hold, and when.
pub fn tell(seed: u64) -> Result<World, String> {
    let mut rng = Rng::new(seed);
    let story = Story::draw(&mut rng);
    let mut world = open(&story, rng);
    let told = chapters(&story, &mut world);
    told.map_err(|what| format!("seed {seed} at {:?}, step {}: {what}\n  {story:?}", world.now, world.steps))?;
    Ok(world)
}

/// Tells of a backup that sleeps, with its process or its whole host, while its master lives: nobody may notice.
pub fn tell_of_a_sleeper(seed: u64) -> Result<World, String> {
    let mut rng = Rng::new(seed);
    let story = Story::draw(&mut rng);
    let mut world = open(&story, rng);
    let told = sleeper(&story, &mut world);
    told.map_err(|what| format!("seed {seed} at {:?}, step {}: {what}\n  {story:?}", world.now, world.steps))?;
    Ok(world)
}

fn sleeper(story: &Story, world: &mut World) -> Result<(), String> {
    for at in 0..world.nodes.len() {
        world.disturb(at, Node::start);
    }
    world.run_until(world.now + world.settling * 2)?;
    let is_backup = |node: &Node| node.router.instances().iter().all(|instance| instance.state() == State::Backup);
    let Some(at) = world.nodes.iter().position(is_backup) else { return Ok(()) };
    let before = changes(world);
    for _ in 0..4 {
        let life = if world.rng.percent(50) { Life::Stopped } else { Life::Frozen };
        sleep(world, at, life);
        let nap = Duration::from_micros(world.rng.below(story.slowest().as_micros() as u64 * 40));
        world.run_until(world.now + nap)?;
        world.disturb(at, Node::go_on);
        let day = Duration::from_micros(world.rng.below(story.slowest().as_micros() as u64 * 8));
        world.run_until(world.now + day)?;
        if changes(world) != before {
            return Err(format!("after a nap of {nap:?} ({life:?}) somebody changed: {}", world.portrait()));
        }
    }
    Ok(())
}

/// How often each virtual router of each director has changed.
fn changes(world: &World) -> Vec<BTreeMap<String, u64>> {
    world.nodes.iter().map(|node| node.changes.clone()).collect()
}

fn open(story: &Story, mut rng: Rng) -> World {
    // Delays below an interval: a packet is never older than the next one.
    let delay = rng.below(story.fastest().as_micros() as u64 / 4);
    let quality = Quality { cut: false, loss: 0, twice: rng.below(20), delay };
    let nodes = (1..=story.directors).map(|host| Node::new(host, story.config(host))).collect();
    // Who had given up its master waits for its full time, after one look back if it was woken late; then a sync group may
    // have to wait for its slowest member, and the loser of two masters must hear the winner.
    let settling = story.slowest() * 12 + Duration::from_micros(delay) * 4;
    World::new(rng, Net::new(quality), nodes, settling)
}

/// The story: everybody comes, things happen with quiet times between them, and all is well in the end.
fn chapters(story: &Story, world: &mut World) -> Result<(), String> {
    for at in 0..world.nodes.len() {
        world.disturb(at, Node::start);
        let pause = world.rng.below(story.slowest().as_micros() as u64 * 4);
        world.run_until(world.now + Duration::from_micros(pause))?;
    }
    let events = 2 + world.rng.below(7);
    for _ in 0..events {
        happen(story, world);
        let interval = story.slowest();
        // Sometimes the next thing happens at once, sometimes after everything has settled.
        let pause =
            if world.rng.percent(30) { world.settling + interval * 3 } else { interval * world.rng.below(8) as u32 };
        let part = Duration::from_micros(world.rng.below(interval.as_micros() as u64));
        world.run_until(world.now + pause + part)?;
    }
    heal(world);
    world.run_until(world.now + world.settling)?;
    quiet(story, world)
}

/// Something happens to somebody.
fn happen(story: &Story, world: &mut World) {
    let count = world.nodes.len() as u64;
    let at = world.rng.below(count) as usize;
    let other = world.rng.below(count) as usize;
    match world.rng.below(15) {
        0 => world.disturb(at, |node, _| {
            node.end(Life::Killed);
            Vec::new()
        }),
        1 => world.disturb(at, |node, _| {
            node.end(Life::Off);
            Vec::new()
        }),
        2 | 3 => wake_or(world, at, Node::start),
        4 => sleep(world, at, Life::Stopped),
        5 => sleep(world, at, Life::Frozen),
        6 => wake_or(world, at, |_, _| Vec::new()),
        7 => world.disturb(at, |node, now| {
            let up = !node.link_up;
            node.set_link(now, up)
        }),
        8 => {
            // One way only.
            world.disturbed = world.now;
            world.net.set(at, other, Quality { cut: true, ..Quality::default() });
        }
        9 => {
            let loss = world.rng.below(90);
            world.disturbed = world.now;
            let quality = Quality { loss, twice: 10, delay: world.net.quality(at, other).delay * 2, cut: false };
            world.net.set(at, other, quality);
            world.net.set(other, at, quality);
        }
        10 => {
            world.disturbed = world.now;
            world.net.heal();
        }
        11 | 12 => {
            let value = world.rng.below(120) as i64 - 60;
            world.disturb(at, |node, now| node.input(now, Input::File("load".into(), value)));
        }
        13 => {
            let sent = world.nodes[at].reload(world.now);
            if !sent.is_empty() {
                world.nodes[at].complaint = Some("a reload of the same configuration sends adverts".to_owned());
            }
        }
        _ => {
            // The clock on the wall is put forward or back. Adverts with trailers carry it: there only forward, as a sender
            // that begins anew with an earlier clock is by design not believed until the clock has caught up.
            let (seconds, back) = (world.rng.below(7200), world.rng.percent(50) && story.auth != 3);
            world.disturb(at, |node, now| {
                let step = seconds * 1_000_000_000;
                node.utc = if back { node.utc - step } else { node.utc + step };
                node.input(now, Input::WallClock(node.utc))
            });
        }
    }
}

/// Stops a director that runs.
fn sleep(world: &mut World, at: usize, life: Life) {
    world.disturb(at, |node, _| {
        if node.life == Life::Awake {
            node.life = life;
        }
        Vec::new()
    });
}

/// Lets a sleeper go on; to a dead one, does something else.
fn wake_or(world: &mut World, at: usize, dead: impl FnOnce(&mut Node, rvs_machine::Time) -> Vec<rvs_vrrp::Datagram>) {
    world.disturb(at, |node, now| match node.life {
        Life::Stopped | Life::Frozen => node.go_on(now),
        Life::Killed | Life::Off => dead(node, now),
        Life::Awake => Vec::new(),
    });
}

/// Everything is repaired; most of the dead come back.
fn heal(world: &mut World) {
    world.net.heal();
    world.disturbed = world.now;
    for at in 0..world.nodes.len() {
        let revive = world.rng.percent(80);
        world.disturb(at, |node, now| {
            let mut sent = match node.life {
                Life::Stopped | Life::Frozen => node.go_on(now),
                Life::Killed | Life::Off if revive => node.start(now),
                _ => Vec::new(),
            };
            if !node.link_up {
                sent.extend(node.set_link(now, true));
            }
            sent
        });
    }
}

/// Nobody changes any more.
fn quiet(story: &Story, world: &mut World) -> Result<(), String> {
    let before = changes(world);
    world.run_until(world.now + story.slowest() * 20)?;
    if changes(world) == before { Ok(()) } else { Err(format!("somebody flaps: {}", world.portrait())) }
}
