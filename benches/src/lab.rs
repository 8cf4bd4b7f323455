//! A director in a network namespace of its own, and the programs that present packets to it.

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, HashMap, ProgramArray};
use aya::programs::{ProgramFd, ProgramInfo, TestRun, TestRunOptions};
use aya::{Ebpf, Pod};
use nix::sched::{CloneFlags, sched_setaffinity, unshare};
use rvs_core::abi::{Forward, ServiceKey, TRIAL};
use rvs_core::sched::Kind;
use rvs_dataplane::Dataplane;
use rvs_dataplane::kernel::{Director, Hook, Mode};
use rvs_dataplane::limits::Limits;
use rvs_intent::{Dest, Edit, ServiceSettings, Timeouts, Tunnel};
use rvs_wire::{Be16, Family};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// The virtual address.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
/// The virtual address in IPv6.
pub(crate) const VIP6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);

/// Codes of packets that were sent on: `XDP_TX`, `XDP_REDIRECT`.
const SENT_XDP: &[u32] = &[3, 4];
/// `TC_ACT_REDIRECT`.
const SENT_TC: &[u32] = &[7];

const LIMITS: Limits = Limits { conns: 1 << 21, services: 128, dests: 1 << 14 };

/// Numbers of servers that schedulers are measured with.
pub(crate) const SERVERS: [u16; 4] = [3, 10, 100, 1000];

/// The port of the service with this scheduler and the `size`-th number of servers.
pub(crate) const fn scheduled_port(kind: Kind, size: usize) -> u16 {
    1000 + 10 * kind as u16 + size as u16
}

/// Forwarding methods.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Masquerading.
    Nat,
    /// Direct routing.
    Dr,
    /// Tunnelling.
    Tun,
}

impl Method {
    const ALL: [Self; 3] = [Self::Nat, Self::Dr, Self::Tun];

    /// The port of its service.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Nat => 80,
            Self::Dr => 81,
            Self::Tun => 82,
        }
    }

    /// Its name in tables.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Nat => "NAT",
            Self::Dr => "DR",
            Self::Tun => "TUN",
        }
    }

    const fn forward(self) -> Forward {
        match self {
            Self::Nat => Forward::Masq,
            Self::Dr => Forward::Route,
            Self::Tun => Forward::Tunnel,
        }
    }
}

/// Where packets are presented.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// XDP.
    Xdp,
    /// XDP, with room made in front: only as a baseline.
    XdpGrown,
    /// TC.
    Tc,
}

/// What a frame is restored to; the layout of the bench object's record.
#[repr(C)]
#[derive(Clone, Copy)]
struct Template {
    head: [u8; 76],
    len: u32,
    flow_mask: u32,
    flow_base: u32,
    v6: u32,
}

#[expect(unsafe_code, reason = "the trait asserts what the compiler cannot see")]
// SAFETY: integers only, no padding, any bytes are a value.
unsafe impl Pod for Template {}

/// The laboratory.
pub(crate) struct Lab {
    director: Director,
    bench: Ebpf,
    ifindex: u32,
}

impl Lab {
    /// Moves into a new network namespace on one CPU, and makes a director there.
    pub(crate) fn new() -> Result<Self> {
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
            "neigh add 10.0.2.11 lladdr 02:00:00:00:09:09 dev v0 nud permanent",
            "neigh add fd00:2::b lladdr 02:00:00:00:09:09 dev v0 nud permanent",
        ] {
            let status = Command::new("ip").args(line.split(' ')).status()?;
            ensure!(status.success(), "ip {line}");
        }
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")?;
        let mut director = Director::open_with(&LIMITS)?;
        director.update(&edits()).map_err(|error| anyhow::anyhow!("{error}"))?;
        director.attach("v0", Mode::Xdp)?;
        director.change_settings(|settings| {
            settings.sloppy_tcp = 1;
            Ok::<_, rvs_dataplane::Error>(())
        })?;
        let object = std::env::var("RVS_BENCH_OBJECT").unwrap_or_else(|_| "target/bpf/bench.o".into());
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
        Ok(Self { director, bench, ifindex })
    }

    /// Nanoseconds of restoring a packet and doing nothing with it.
    pub(crate) fn baseline(&mut self, place: Place, repeat: u32) -> Result<u32> {
        let name = match place {
            Place::Xdp => "base_xdp",
            Place::XdpGrown => "base_grow_xdp",
            Place::Tc => "base_tc",
        };
        let fd = match self.bench.program(name).context("the bench object lacks a program")? {
            aya::programs::Program::Xdp(program) => program.fd()?.try_clone()?,
            aya::programs::Program::SchedClassifier(program) => program.fd()?.try_clone()?,
            _ => anyhow::bail!("{name} is of an unexpected type"),
        };
        let shape = rvs_core::frames::Shape { payload: vec![0; 30], ..Default::default() };
        let frame = rvs_core::frames::tcp((VIP, 1), (VIP, 9), 0, &shape);
        self.present(place, (fd, if place == Place::Tc { &[2] } else { &[1] }), &frame, repeat, None)
    }

    /// Nanoseconds of a packet through the bare balancer at XDP, restoring included.
    pub(crate) fn bare(&mut self, method: Method, frame: &[u8], repeat: u32) -> Result<u32> {
        let mut flows: HashMap<_, [u8; 16], [u8; 40]> =
            HashMap::try_from(self.bench.map_mut("BARE_FLOWS").context("no bare flows")?)?;
        let mut key = [0; 16];
        key[..12].copy_from_slice(&frame[26..38]);
        key[12] = 6;
        let mut target = [0; 40];
        target[..4].copy_from_slice(&Ipv4Addr::new(10, 0, 2, 11).octets());
        target[4..8].copy_from_slice(&Ipv4Addr::new(10, 0, 2, 1).octets());
        target[8..10].copy_from_slice(&method.port().to_be_bytes());
        target[10..12].copy_from_slice(&(method.forward() as u16).to_ne_bytes());
        target[24..28].copy_from_slice(&1u32.to_ne_bytes());
        flows.insert(key, target, 0)?;
        let fd = match self.bench.program("bare_xdp").context("the bench object lacks a program")? {
            aya::programs::Program::Xdp(program) => program.fd()?.try_clone()?,
            _ => anyhow::bail!("bare_xdp is of an unexpected type"),
        };
        self.present(Place::Xdp, (fd, SENT_XDP), frame, repeat, None)
    }

    /// Nanoseconds of a packet through the director, restoring included. `flows`: mask and first of the clients that take
    /// turns.
    pub(crate) fn run(&mut self, place: Place, frame: &[u8], repeat: u32, flows: Option<(u32, u32)>) -> Result<u32> {
        let hook = if place == Place::Tc { Hook::Tc } else { Hook::Xdp };
        let fd = ProgramInfo::from_pin(self.director.program_pin(hook))?.fd()?;
        self.present(place, (fd, if place == Place::Tc { SENT_TC } else { SENT_XDP }), frame, repeat, flows)
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
        let v6 = (frame[12..14] == [0x86, 0xdd]) as u32;
        let template = Template { head, len: frame.len() as u32, flow_mask, flow_base, v6 };
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

    /// How packets ended so far, for errors.
    pub(crate) fn reasons(&self) -> String {
        let reasons = self.director.reasons().unwrap_or_default();
        let some = reasons.iter().filter(|(_, n)| *n > 0).map(|(reason, n)| format!("{} {n}", reason.label()));
        some.collect::<Vec<_>>().join(", ")
    }

    /// Ends all connections: their timeouts are short, the sweeper does the rest.
    pub(crate) fn forget(&mut self) -> Result<()> {
        self.director.sweep()?;
        Ok(())
    }
}

fn edits() -> Vec<Edit> {
    let mut edits = vec![Edit::SetTimeouts(Timeouts::default())];
    for method in Method::ALL {
        let key = key(method.port());
        edits.push(service(key, "rr"));
        edits.push(Edit::AddDest(key, dest(method.port(), method.forward(), 1)));
        let key = ServiceKey { addr: VIP6.into(), family: Family::V6.raw(), ..key };
        edits.push(service(key, "rr"));
        let addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0xb).into();
        edits.push(Edit::AddDest(key, Dest { addr, family: Family::V6, ..dest(method.port(), method.forward(), 1) }));
    }
    for kind in Kind::ALL {
        for (size, servers) in SERVERS.into_iter().enumerate() {
            let key = key(scheduled_port(kind, size));
            edits.push(service(key, kind.name()));
            // One address, so that there is one next hop; weights of 1 to 7, or so much more that ovf's never flow over.
            let unit = if kind == Kind::Ovf { 100_000 } else { 1 };
            let weight = |n| unit * (1 + i32::from(n) % 7);
            edits.extend((1..=servers).map(|n| Edit::AddDest(key, dest(n, Forward::Masq, weight(n)))));
        }
    }
    edits
}

fn key(port: u16) -> ServiceKey {
    ServiceKey { addr: VIP.into(), port: Be16::new(port), proto: 6, family: Family::V4.raw() }
}

fn service(key: ServiceKey, sched: &str) -> Edit {
    Edit::AddService(ServiceSettings {
        key,
        sched: sched.into(),
        flags: 0,
        persist_secs: 0,
        netmask: Ipv4Addr::BROADCAST.into(),
        engine: None,
    })
}

fn dest(port: u16, forward: Forward, weight: i32) -> Dest {
    Dest {
        addr: Ipv4Addr::new(10, 0, 2, 11).into(),
        family: Family::V4,
        port: Be16::new(port),
        forward,
        weight,
        last_weight: weight,
        u_threshold: 0,
        l_threshold: 0,
        tunnel: Tunnel::default(),
    }
}
