//! Sends datagrams of many connections out of an interface, as fast as one processor can and never more than asked for, and
//! tells how long it took; or swallows what arrives at an interface, in its driver. For measuring what lies between. And tells how
//! long a command takes, where nothing else does: in the virtual machine.

use anyhow::{Context, Result, ensure};
use aya::EbpfLoader;
use aya::maps::Array;
use aya::programs::{Xdp, XdpMode};
use clap::{Args, Parser};
use rvs_benches::raw::{BATCH, Raw};
use rvs_core::frames::{Shape, udp};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

/// Most connections that take turns.
const MAX_FLOWS: u64 = 1 << 20;

#[derive(Parser)]
#[command(name = "sender", about = "Sends or swallows frames, for benchmarks")]
enum Command {
    /// Send datagrams; prints nanoseconds and packets.
    Send(Send),
    /// Drop all that arrives at an interface, or send it out of another, by XDP in the driver, until killed; prints `ready`
    /// first.
    Sink(Sink),
    /// Run a command, its output thrown away; prints the milliseconds that it took. Fails as the command does.
    Time(Time),
}

#[derive(Args)]
struct Time {
    /// The command.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[derive(Args)]
struct Send {
    /// The interface.
    #[arg(long)]
    dev: String,
    /// MAC address of the next hop.
    #[arg(long)]
    via: Mac,
    /// MAC address of the sender.
    #[arg(long)]
    mac: Mac,
    /// First source address.
    #[arg(long)]
    from: Ipv4Addr,
    /// Source addresses.
    #[arg(long, default_value_t = 1)]
    addresses: u32,
    /// First source port.
    #[arg(long, default_value_t = 1000)]
    sport: u16,
    /// Source ports.
    #[arg(long, default_value_t = 1)]
    ports: u16,
    /// Destination.
    #[arg(long)]
    to: Ipv4Addr,
    /// Destination port.
    #[arg(long)]
    port: u16,
    /// Bytes of each frame.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Packets.
    #[arg(long)]
    count: u64,
    /// End after so many seconds, whatever has been sent.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[derive(Args)]
struct Sink {
    /// The interface.
    dev: String,
    /// Send it out of this interface.
    #[arg(long)]
    to: Option<String>,
    /// The benches' program object.
    #[arg(long)]
    object: PathBuf,
}

/// A MAC address in the usual notation.
#[derive(Clone, Copy)]
struct Mac([u8; 6]);

impl std::str::FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| format!("`{text}` is not a MAC address, such as 02:00:00:00:01:01"))
    }
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Send(send) => send.run(),
        Command::Sink(sink) => sink.run(),
        Command::Time(time) => time.run(),
    }
}

impl Time {
    fn run(&self) -> Result<()> {
        let (program, args) = self.command.split_first().context("no command")?;
        let mut command = process::Command::new(program);
        let start = Instant::now();
        let status = command.args(args).stdout(process::Stdio::null()).status();
        let took = start.elapsed();
        let status = status.with_context(|| format!("starting `{program}`"))?;
        ensure!(status.success(), "`{program}` failed: {status}");
        println!("{:.3}", took.as_secs_f64() * 1e3);
        Ok(())
    }
}

impl Send {
    fn run(&self) -> Result<()> {
        let flows = u64::from(self.addresses) * u64::from(self.ports);
        ensure!((1..=MAX_FLOWS).contains(&flows), "1 to {MAX_FLOWS} connections, not {flows}");
        ensure!((60..=1500).contains(&self.size), "frames have 60 to 1500 bytes");
        ensure!(u32::from(self.sport) + u32::from(self.ports) <= 1 << 16, "there are no ports above 65535");
        let frames = self.frames();
        let socket = Raw::open(&self.dev)?;
        let mut next = frames.chunks_exact(self.size).cycle();
        let (mut sent, mut left) = (0, self.count);
        let start = Instant::now();
        let deadline = Duration::from_secs(self.seconds);
        while left > 0 && start.elapsed() < deadline {
            let batch = next.by_ref().take(BATCH.min(usize::try_from(left).unwrap_or(BATCH)));
            // The socket blocks, and frames of one size all fit; so a call sends them all or fails.
            let count = socket.send(batch).context("sending")? as u64;
            sent += count;
            left -= count;
        }
        println!("{} {sent}", start.elapsed().as_nanos());
        Ok(())
    }

    /// One frame of each connection, one behind the other.
    fn frames(&self) -> Vec<u8> {
        let shape = Shape { payload: vec![0; self.size - 42], ..Shape::default() };
        let from = u32::from(self.from);
        let mut all = Vec::new();
        for address in from..from.saturating_add(self.addresses) {
            for port in (self.sport..).take(usize::from(self.ports)) {
                let start = all.len();
                all.extend(udp((Ipv4Addr::from(address), port), (self.to, self.port), &shape));
                all[start..start + 6].copy_from_slice(&self.via.0);
                all[start + 6..start + 12].copy_from_slice(&self.mac.0);
            }
        }
        all
    }
}

impl Sink {
    fn run(&self) -> Result<()> {
        let mut loader = EbpfLoader::new();
        // The maps are not used here, and one of them is large.
        loader.map_max_entries("BARE_FLOWS", 64);
        let object = &self.object;
        let mut ebpf = loader.load_file(object).with_context(|| format!("loading {}", object.display()))?;
        let mut name = "base_xdp";
        if let Some(to) = &self.to {
            name = "wire_xdp";
            let index = nix::net::if_::if_nametoindex(to.as_str()).with_context(|| format!("no interface {to}"))?;
            Array::try_from(ebpf.map_mut("WIRE").context("the bench object has no wire")?)?.set(0, index, 0)?;
        }
        let program: &mut Xdp = ebpf.program_mut(name).context("the bench object lacks a program")?.try_into()?;
        program.load()?;
        program.attach(&self.dev, XdpMode::Driver).with_context(|| format!("attaching to {}", self.dev))?;
        println!("ready");
        std::io::stdout().flush()?;
        loop {
            std::thread::park();
        }
    }
}
