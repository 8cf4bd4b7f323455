//! Bringing the programs and maps into the kernel, once for a network namespace.

use super::home::{ANCHOR, Home};
use super::maps::{self, Maps};
use super::sys::{self, AttachType};
use super::{attach, failed, features};
use crate::Error;
use crate::limits::Limits;
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfError, EbpfLoader};
use rvs_core::abi;
use rvs_core::conn::table::{SECRETS, secrets};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The programs and maps, as the build made them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("RVS_BPF_OBJECT"));

/// A number that changes with the object.
pub(crate) const OBJECT_HASH: &str = env!("RVS_BPF_OBJECT_HASH");

/// Fact: the object that a directory's programs come from.
pub(crate) const OBJECT_FACT: &str = "object";

/// Names of the director's programs, and of their pins.
pub(crate) mod programs {
    /// At TC ingress.
    pub(crate) const TC: &str = "rvs_tc";
    /// At XDP.
    pub(crate) const XDP: &str = "rvs_xdp";
    /// Run by the tools.
    pub(crate) const CTL: &str = "rvs_ctl";
    /// In the namespace's socket look-up.
    pub(crate) const ANCHOR: &str = "rvs_anchor";
    /// At TC ingress of a real server.
    pub(crate) const DECAP: &str = "rvs_decap";
    /// Egress of the detour of marked packets.
    pub(crate) const MARK: &str = "rvs_mark";
    /// At TC egress, while needed.
    pub(crate) const OUT: &str = "rvs_out";
}

/// Commands of the program `rvs_ctl`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Command {
    /// Start the timers; those that run go on.
    Start = 0,
    /// Visit every connection.
    Sweep = 1,
    /// Make a round through what lblc and lblcr remember.
    Forget = 2,
    /// End the connections of a destination, whose number goes with it.
    Purge = 3,
    /// Work out the defences anew.
    Defend = 4,
}

/// The timeouts that IPVS begins with, seconds.
const TIMEOUTS: abi::Timeouts =
    abi::Timeouts { generation: 1, tcp: [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120], udp: 300, pad: [0; 3] };

/// Fact: the secret of the connection hash. The directory is for root alone.
const SEED_FACT: &str = "seed";

/// A loader without the kernel's own types: nothing in the object is relocated by them, and they take tens of megabytes.
fn loader() -> EbpfLoader<'static> {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    loader
}

/// Loads a director's programs and maps and pins them in `home`.
pub(crate) fn director(home: &Home, limits: &Limits) -> Result<(), Error> {
    features::require()?;
    let seed = random()?;
    let constants = Constants::new(limits.conns, limits.buckets(), seed);
    let mut loader = loader();
    constants.fill_in(&mut loader);
    for (name, entries) in sizes(limits) {
        loader.map_max_entries(name, entries);
    }
    let mut ebpf = loader.load(OBJECT).map_err(refused)?;
    for name in maps::NAMES {
        let map = ebpf.map(name).ok_or_else(|| missing("map", name))?;
        map.pin(home.path(name)).map_err(|error| failed(format!("pinning the map {name}"), io::Error::other(error)))?;
    }
    for name in [programs::TC, programs::XDP, programs::CTL, programs::MARK, programs::OUT] {
        with_program(&mut ebpf, name, |fd| home.pin(name, fd))?;
    }
    anchor(home, &mut ebpf)?;
    Maps::open(home)?.begin(limits.conns, limits.buckets(), TIMEOUTS)?;
    home.note(SEED_FACT, &seed.to_string())?;
    home.note(OBJECT_FACT, OBJECT_HASH)?;
    control(home, Command::Start)
}

/// Replaces the programs of a director, and those in its links, by this object's: a newer tool on the tables of an older one
/// of the same ABI. Connections go on, and no packet is left without a program. The lock must be held.
pub(crate) fn upgrade(home: &Home) -> Result<(), Error> {
    let control_record = Maps::open(home)?.control()?;
    let constants = Constants::new(control_record.conn_capacity, control_record.buckets, seed(home)?);
    let mut loader = loader();
    constants.fill_in(&mut loader);
    for name in maps::NAMES {
        loader.map_pin_path(name, home.path(name));
    }
    let mut ebpf = loader.load(OBJECT).map_err(refused)?;
    let pins = home.pins()?;
    for (name, links) in [
        (programs::TC, "tc-"),
        (programs::XDP, "xdp-"),
        (programs::MARK, attach::EGRESS),
        (programs::OUT, "out-"),
        (programs::CTL, "none-"),
    ] {
        with_program(&mut ebpf, name, |program| {
            for pin in pins.iter().filter(|pin| pin.starts_with(links)) {
                let updated = sys::link_update(home.need(pin)?.as_fd(), program);
                updated.map_err(|error| failed(format!("replacing the program of `{pin}`"), error))?;
            }
            home.replace(name, program)
        })?;
    }
    attach::replace_filters(home)?;
    home.note(OBJECT_FACT, OBJECT_HASH)?;
    control(home, Command::Start)
}

/// The secret of the connection hash.
pub(crate) fn seed(home: &Home) -> Result<u64, Error> {
    let damaged = || Error::State("the tables in the kernel lack their seed; `rvs teardown` removes them".into());
    home.fact(SEED_FACT).and_then(|seed| seed.parse().ok()).ok_or_else(damaged)
}

/// What the programs know from the start.
struct Constants {
    conns: u32,
    bucket_mask: u32,
    seed: u64,
    secrets: [u64; SECRETS],
}

impl Constants {
    fn new(conns: u32, buckets: u32, seed: u64) -> Self {
        Self { conns, bucket_mask: buckets.wrapping_sub(1), seed, secrets: secrets(seed) }
    }

    fn fill_in<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        loader
            .override_global("CONN_CAPACITY", &self.conns, true)
            .override_global("BUCKET_MASK", &self.bucket_mask, true)
            .override_global("HASH_SEED", &self.seed, true)
            .override_global("HASH_SECRETS", &self.secrets, true);
    }
}

/// Loads the program of a real server, which takes GUE at `gue_port`, and pins it in `home`. It needs none of the maps; they
/// are made small, and go.
pub(crate) fn decap(home: &Home, gue_port: u16) -> Result<(), Error> {
    features::require()?;
    let mut loader = loader();
    loader.override_global("GUE_PORT", &gue_port, true);
    for (name, _) in sizes(&Limits::default()) {
        loader.map_max_entries(name, 1);
    }
    let mut ebpf = loader.load(OBJECT).map_err(refused)?;
    with_program(&mut ebpf, programs::DECAP, |fd| home.pin(programs::DECAP, fd))?;
    anchor(home, &mut ebpf)?;
    home.note(GUE_PORT_FACT, &gue_port.to_string())?;
    home.note(OBJECT_FACT, OBJECT_HASH)
}

/// The fact that remembers the port of a real server's GUE.
pub(crate) const GUE_PORT_FACT: &str = "gue-port";

/// Runs `rvs_ctl`.
pub(crate) fn control(home: &Home, command: Command) -> Result<(), Error> {
    control_number(home, command, 0)
}

/// Runs `rvs_ctl` with a number.
pub(crate) fn control_number(home: &Home, command: Command, number: u32) -> Result<(), Error> {
    /// What it returns when all went well.
    const XDP_PASS: u32 = 2;
    let mut packet = [0u8; 64];
    packet[0] = command as u8;
    packet[4..8].copy_from_slice(&number.to_ne_bytes());
    let program = home.need(programs::CTL)?;
    let run = sys::test_run(program.as_fd(), &packet, 1, sys::Told::Nothing)
        .map_err(|error| failed("running rvs_ctl", error))?;
    if run.code == XDP_PASS {
        return Ok(());
    }
    Err(Error::State(format!("the kernel could not carry out {command:?}: rvs_ctl returned {}", run.code)))
}

/// How many entries the maps get.
fn sizes(limits: &Limits) -> Vec<(&'static str, u32)> {
    let (services, dests) = (limits.services, limits.dests);
    vec![
        ("SERVICE_INDEX", services),
        ("SERVICES", services),
        ("SCHED", services),
        ("STATS_SERVICE", services),
        ("BASE_SERVICE", services),
        ("RATE_SERVICE", services),
        ("LISTS", limits.lists()),
        ("TABLES", limits.tables()),
        ("BLOCKS", limits.lists().div_ceil(abi::BLOCK_ENTRIES)),
        ("LBLC", limits.addresses()),
        ("LBLCR", limits.addresses()),
        ("DESTS", dests),
        ("STATS_DEST", dests),
        ("BASE_DEST", dests),
        ("RATE_DEST", dests),
        ("CONNS", limits.conns),
        ("FREE", limits.conns),
        ("EMBRYOS", abi::embryos(limits.conns)),
        ("BUCKETS", limits.buckets()),
        ("TALKS", limits.talks()),
        ("ENGINE_DATA", limits.talks()),
    ]
}

/// Loads a program and does something with it.
fn with_program(
    ebpf: &mut Ebpf,
    name: &str,
    then: impl FnOnce(BorrowedFd<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing("program", name))?;
    let loaded = match program {
        Program::SchedClassifier(program) => program.load(),
        Program::Xdp(program) => program.load(),
        Program::SkLookup(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    loaded.map_err(|error| refused(error.into()))?;
    then(program.fd().map_err(|error| refused(error.into()))?.as_fd())
}

/// Binds the directory to the network namespace.
fn anchor(home: &Home, ebpf: &mut Ebpf) -> Result<(), Error> {
    let namespace = File::open("/proc/thread-self/ns/net").map_err(|error| failed("opening the namespace", error))?;
    with_program(ebpf, programs::ANCHOR, |program| {
        let link = sys::link_create(program, namespace.as_raw_fd() as u32, AttachType::SkLookup, 0);
        home.pin(ANCHOR, link.map_err(|error| failed("attaching the anchor to the network namespace", error))?)
    })
}

fn missing(what: &str, name: &str) -> Error {
    Error::State(format!("the embedded object has no {what} `{name}`; build it again with `cargo xtask build`"))
}

fn random() -> Result<u64, Error> {
    let mut bytes = [0u8; 8];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| failed("reading /dev/urandom", error))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// An error of the loader in our terms.
fn refused(error: EbpfError) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut system = None;
    while let Some(at) = cause {
        system = at.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error).or(system);
        cause = at.source();
    }
    match system {
        Some(libc::EPERM | libc::EACCES) if !features::privileged() => {
            Error::Permission("loading eBPF programs takes root (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN)".into())
        }
        Some(libc::ENOMEM) => failed("creating the tables", io::Error::from_raw_os_error(libc::ENOMEM)),
        _ => {
            let text = chain(&error);
            // A verifier's log is long; its end says what was wrong.
            let lines: Vec<&str> = text.lines().collect();
            Error::State(format!(
                "the kernel refused to load the programs: {}",
                lines[lines.len().saturating_sub(12)..].join("\n")
            ))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(at) = cause {
        let more = at.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = at.source();
    }
    text
}
