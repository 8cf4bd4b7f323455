//! A director in a network namespace of its own, and the programs that present packets to it.

use crate::cases::Place;
use crate::scene::{Method, SERVER, Scene};
use anyhow::{Context, Result, ensure};
use aya::maps::{Array, HashMap, ProgramArray};
use aya::programs::{ProgramFd, ProgramInfo, TestRun, TestRunOptions};
use aya::{Ebpf, Pod};
use nix::sched::{CloneFlags, sched_setaffinity, unshare};
use rvs_core::abi::TRIAL;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::{Director, Hook, Mode};
use rvs_dataplane::limits::Limits;
use std::net::Ipv4Addr;
use std::process::Command;

/// Codes of packets that were sent on: `XDP_TX`, `XDP_REDIRECT`.
const SENT_XDP: &[u32] = &[3, 4];
/// `XDP_PASS`.
const PASSED_XDP: &[u32] = &[2];
/// `TC_ACT_REDIRECT`.
const SENT_TC: &[u32] = &[7];
/// `TC_ACT_OK`, and `TCX_NEXT`, which is `TC_ACT_UNSPEC`.
const PASSED_TC: &[u32] = &[0, u32::MAX];

/// Twice the connections of the largest cases, so that none of them ends for want of room.
const LIMITS: Limits = Limits { conns: 1 << 22, services: 1 << 14, dests: 1 << 15 };

/// The program object of the benches, unless `RVS_BENCH_OBJECT` names another.
const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bpf/bench.o");

/// What a restored frame is followed by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// XDP.
    Xdp,
    /// XDP, with room made in front.
    XdpGrown,
    /// TC.
    Tc,
}

impl Lane {
    const fn place(self) -> Place {
        match self {
            Self::Xdp | Self::XdpGrown => Place::Xdp,
            Self::Tc => Place::Tc,
        }
    }
}

/// What a frame is restored to; the layout of the bench object's record.
#[repr(C)]
#[derive(Clone, Copy)]
struct Template {
    head: [u8; 76],
    len: u32,
    flow_mask: u32,
    flow_base: u32,
    kind: u32,
}

#[expect(unsafe_code, reason = "the trait asserts what the compiler cannot see")]
// SAFETY: integers only, no padding, any bytes are a value.
unsafe impl Pod for Template {}

/// How large a program is; none: the kernel does not tell.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Where it sees packets.
    pub place: Place,
    /// Instructions on all the paths that the verifier walked through.
    pub verified: Option<u32>,
    /// Instructions of bytecode.
    pub instructions: Option<u32>,
    /// Bytes of machine code made of them.
    pub machine_code: Option<u32>,
}

/// The laboratory.
pub struct Lab {
    director: Director,
    bench: Ebpf,
    ifindex: u32,
    /// Flows that the floor knows.
    floor_flows: u32,
    /// Connections made so far, by the frame that their packets are made of.
    begun: Vec<(Vec<u8>, u32)>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The namespace ends with its last thread, and what is pinned for it with the next command of any tool; this is sooner.
        let _ = Director::teardown();
    }
}

impl Lab {
    /// Moves this thread into a new network namespace and onto one CPU, and makes a director there.
    pub fn new(scene: Scene) -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "this needs root");
        unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
        let mut cpu = nix::sched::CpuSet::new();
        cpu.set(0)?;
        sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpu)?;
        for line in [
            "link add v0 address 02:00:00:00:01:01 type veth peer name v1",
            "link set lo up",
            "addr add 10.0.2.1/24 dev v0",
            "addr add 10.0.1.1/24 dev v0",
            "addr add fd00:1::1/64 dev v0 nodad",
            "addr add fd00:2::1/64 dev v0 nodad",
            "link set v0 up",
            "link set v1 up",
            // Clients of tables with many connections.
            "route add 10.0.0.0/16 via 10.0.2.11 dev v0",
            "neigh add 10.0.2.11 lladdr 02:00:00:00:09:09 dev v0 nud permanent",
            "neigh add 10.0.1.100 lladdr 02:00:00:00:09:09 dev v0 nud permanent",
            "neigh add fd00:1::64 lladdr 02:00:00:00:09:09 dev v0 nud permanent",
            "neigh add fd00:2::b lladdr 02:00:00:00:09:09 dev v0 nud permanent",
        ] {
            let status = Command::new("ip").args(line.split(' ')).status()?;
            ensure!(status.success(), "ip {line}");
        }
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
        let mut director = Director::open_with(&LIMITS)?;
        director.update(&scene.edits()).map_err(|error| anyhow::anyhow!("{error}"))?;
        director.attach("v0", Mode::Xdp)?;
        director.change_settings(|settings| {
            settings.sloppy_tcp = 1;
            Ok::<_, rvs_dataplane::Error>(())
        })?;
        let object = std::env::var("RVS_BENCH_OBJECT").unwrap_or_else(|_| OBJECT.into());
        let mut bench =
            Ebpf::load_file(&object).with_context(|| format!("loading {object}; run `cargo xtask build`"))?;
        for (name, program) in bench.programs_mut() {
            match program {
                aya::programs::Program::Xdp(program) => program.load(),
                aya::programs::Program::SchedClassifier(program) => program.load(),
                _ => continue,
            }
            .with_context(|| format!("loading {name}"))?;
        }
        let ifindex = nix::net::if_::if_nametoindex("v0")?;
        Ok(Self { director, bench, ifindex, floor_flows: 0, begun: Vec::new() })
    }

    /// Nanoseconds of restoring a packet and doing nothing with it.
    pub(crate) fn baseline(&mut self, lane: Lane, repeat: u32) -> Result<u32> {
        let name = match lane {
            Lane::Xdp => "base_xdp",
            Lane::XdpGrown => "base_grow_xdp",
            Lane::Tc => "base_tc",
        };
        let fd = self.program(name)?;
        let shape = rvs_core::frames::Shape { payload: vec![0; 42], ..Default::default() };
        let frame = rvs_core::frames::tcp((SERVER, 1), (SERVER, 9), 0, &shape);
        self.present(lane.place(), (fd, if lane == Lane::Tc { &[2] } else { &[1] }), &frame, repeat, None)
    }

    fn program(&self, name: &str) -> Result<ProgramFd> {
        Ok(match self.bench.program(name).with_context(|| format!("the bench object has no {name}"))? {
            aya::programs::Program::Xdp(program) => program.fd()?.try_clone()?,
            aya::programs::Program::SchedClassifier(program) => program.fd()?.try_clone()?,
            _ => anyhow::bail!("{name} is of an unexpected type"),
        })
    }

    /// Where the bare balancer and the floor send a flow.
    fn target(&self, method: Method) -> [u8; 40] {
        let mut target = [0; 40];
        target[..4].copy_from_slice(&SERVER.octets());
        target[4..8].copy_from_slice(&Ipv4Addr::new(10, 0, 2, 1).octets());
        target[8..10].copy_from_slice(&method.port().to_be_bytes());
        target[10..12].copy_from_slice(&(method.forward() as u16).to_ne_bytes());
        target[24..28].copy_from_slice(&self.ifindex.to_ne_bytes());
        target
    }

    /// Tells the bare balancer and the floor about flows.
    fn enter(&mut self, keys: impl Iterator<Item = [u8; 16]>, method: Method) -> Result<()> {
        let target = self.target(method);
        let mut flows: HashMap<_, [u8; 16], [u8; 40]> =
            HashMap::try_from(self.bench.map_mut("BARE_FLOWS").context("no bare flows")?)?;
        for key in keys {
            flows.insert(key, target, 0)?;
        }
        Ok(())
    }

    /// Nanoseconds of a packet through the bare balancer at XDP, restoring included.
    pub(crate) fn bare(&mut self, method: Method, frame: &[u8], repeat: u32) -> Result<u32> {
        let frame = first_flow(frame);
        self.enter(std::iter::once(flow_key(&frame)), method)?;
        let fd = self.program("bare_xdp")?;
        self.present(Place::Xdp, (fd, SENT_XDP), &frame, repeat, None)
    }

    /// Nanoseconds of a packet through the floor, restoring included.
    pub(crate) fn floor(&mut self, place: Place, frame: &[u8], repeat: u32, flows: Option<(u32, u32)>) -> Result<u32> {
        if is_ipv6(frame) {
            return self.floor_ipv6(place, frame, repeat);
        }
        let frame = first_flow(frame);
        let key = flow_key(&frame);
        match flows {
            None => self.enter(std::iter::once(key), Method::Dr)?,
            Some((mask, _)) if mask >= self.floor_flows => {
                let flow = |flow: u32| {
                    let mut key = key;
                    key[2..4].copy_from_slice(&((flow >> 14) as u16).to_be_bytes());
                    key[8..10].copy_from_slice(&(1024 + (flow & 0x3fff) as u16).to_be_bytes());
                    key
                };
                self.enter((self.floor_flows..=mask).map(flow), Method::Dr)?;
                self.floor_flows = mask + 1;
            }
            Some(_) => {}
        }
        let (name, codes) = if place == Place::Tc { ("floor_tc", SENT_TC) } else { ("floor_xdp", SENT_XDP) };
        let fd = self.program(name)?;
        self.present(place, (fd, codes), &frame, repeat, flows)
    }

    /// The same for IPv6, with one flow.
    fn floor_ipv6(&mut self, place: Place, frame: &[u8], repeat: u32) -> Result<u32> {
        let target = self.target(Method::Dr);
        let map = self.bench.map_mut("FLOOR6_FLOWS").context("no flows of IPv6")?;
        HashMap::<_, [u8; 40], [u8; 40]>::try_from(map)?.insert(flow_key6(frame), target, 0)?;
        let (name, codes) = if place == Place::Tc { ("floor6_tc", SENT_TC) } else { ("floor6_xdp", SENT_XDP) };
        let fd = self.program(name)?;
        self.present(place, (fd, codes), frame, repeat, None)
    }

    /// Nanoseconds of a packet through the director, restoring included. `flows`: mask and first of the clients that take
    /// turns. `sent`: it must leave the director, else be left to the host.
    pub(crate) fn run(
        &mut self,
        place: Place,
        frame: &[u8],
        repeat: u32,
        flows: Option<(u32, u32)>,
        sent: bool,
    ) -> Result<u32> {
        let (hook, codes) = match (place, sent) {
            (Place::Tc, true) => (Hook::Tc, SENT_TC),
            (Place::Tc, false) => (Hook::Tc, PASSED_TC),
            (Place::Xdp, true) => (Hook::Xdp, SENT_XDP),
            (Place::Xdp, false) => (Hook::Xdp, PASSED_XDP),
        };
        let fd = ProgramInfo::from_pin(self.director.program_pin(hook))?.fd()?;
        self.present(place, (fd, codes), frame, repeat, flows)
    }

    /// Notes that `count` connections are made of this frame; false if they have been before.
    pub(crate) fn begun(&mut self, frame: &[u8], count: u32) -> bool {
        match self.begun.iter_mut().find(|(made, _)| made == frame) {
            Some((_, made)) if *made >= count => return false,
            Some((_, made)) => *made = count,
            None => self.begun.push((frame.to_vec(), count)),
        }
        true
    }

    fn present(
        &mut self,
        place: Place,
        (next, codes): (ProgramFd, &[u32]),
        frame: &[u8],
        repeat: u32,
        flows: Option<(u32, u32)>,
    ) -> Result<u32> {
        let (map, entry) = if place == Place::Tc { ("TC_NEXT", "restore_tc") } else { ("XDP_NEXT", "restore_xdp") };
        let mut jump = ProgramArray::try_from(self.bench.map_mut(map).context("no jump table")?)?;
        jump.set(0, &next, 0)?;
        let mut frame = frame.to_vec();
        if place == Place::Tc {
            // Test runs at TC come in through the loopback device, whose address is all zeroes.
            frame[..6].fill(0);
        }
        let mut head = [0; 76];
        head[..74].copy_from_slice(&frame[..74]);
        let (flow_mask, flow_base) = flows.unwrap_or((0, 0));
        // Clients' ports are above 1023, servers' below.
        let v6 = is_ipv6(&frame);
        let port = if v6 { 54 } else { 34 };
        let answer = u16::from_be_bytes([frame[port], frame[port + 1]]) < 1024;
        let kind = v6 as u32 + 2 * answer as u32;
        let template = Template { head, len: frame.len() as u32, flow_mask, flow_base, kind };
        Array::try_from(self.bench.map_mut("TEMPLATE").context("no template")?)?.set(0, template, 0)?;
        // The kernel's `xdp_md`: the frame, and the interface that it came in through.
        let context: Vec<u8> =
            [0, frame.len() as u32, 0, self.ifindex, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        // At TC the kernel's `__sk_buff`, where only the priority is told: that of a trial.
        let told: Vec<u8> = [0, 0, 0, 0, 0, 0, 0, 0, TRIAL].into_iter().flat_map(u32::to_ne_bytes).collect();
        let ctx_in = Some(if place == Place::Tc { &told[..] } else { &context[..] });
        let options = TestRunOptions { data_in: Some(&frame), ctx_in, repeat, ..TestRunOptions::default() };
        let run = match self.bench.program(entry).context("the bench object lacks a program")? {
            aya::programs::Program::Xdp(program) => program.test_run(options)?,
            aya::programs::Program::SchedClassifier(program) => program.test_run(options)?,
            _ => anyhow::bail!("{entry} is of an unexpected type"),
        };
        ensure!(
            codes.contains(&run.return_value),
            "{entry}: the packet ended with code {} instead of {codes:?}",
            run.return_value
        );
        Ok(run.duration.as_nanos() as u32)
    }

    /// What the kernel says of the director's program at a place.
    pub(crate) fn size(&self, place: Place) -> Result<Size> {
        let hook = if place == Place::Tc { Hook::Tc } else { Hook::Xdp };
        let info = ProgramInfo::from_pin(self.director.program_pin(hook))?;
        Ok(Size {
            place,
            verified: info.verified_instruction_count(),
            // Eight bytes each.
            instructions: info.size_translated().map(|bytes| bytes / 8),
            machine_code: Some(info.size_jitted()).filter(|bytes| *bytes > 0),
        })
    }

    /// How packets ended so far, for errors.
    pub(crate) fn reasons(&self) -> String {
        let reasons = self.director.reasons().unwrap_or_default();
        let some = reasons.iter().filter(|(_, n)| *n > 0).map(|(reason, n)| format!("{} {n}", reason.label()));
        some.collect::<Vec<_>>().join(", ")
    }

    /// Expires what is due.
    pub(crate) fn sweep(&mut self) -> Result<()> {
        self.director.sweep()?;
        Ok(())
    }
}

/// The bare balancer's key of a frame of IPv4.
fn flow_key(frame: &[u8]) -> [u8; 16] {
    let mut key = [0; 16];
    key[..12].copy_from_slice(&frame[26..38]);
    key[12] = frame[23];
    key
}

/// The floor's key of a frame of IPv6.
fn flow_key6(frame: &[u8]) -> [u8; 40] {
    let mut key = [0; 40];
    key[..36].copy_from_slice(&frame[22..58]);
    key[36] = frame[20];
    key
}

fn is_ipv6(frame: &[u8]) -> bool {
    frame[12..14] == [0x86, 0xdd]
}

/// The same frame of the first of many flows, to one port: a million of them fill the map to its last entry.
fn first_flow(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[28..30].fill(0);
    frame[34..36].copy_from_slice(&1024u16.to_be_bytes());
    frame[36..38].copy_from_slice(&Method::Nat.port().to_be_bytes());
    frame
}
