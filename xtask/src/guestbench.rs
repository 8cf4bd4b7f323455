//! What a packet costs beside the kernel's IPVS: both in the same virtual machine, over the same wires, counted in instructions.
//!
//! The machine has one emulated processor whose clock goes by instructions (`guest/bench` says what happens in it). What it
//! prints is turned here into instructions per packet without the sender's, and into ratios.

use crate::apt;
use crate::initramfs::Initramfs;
use crate::oldkernel::{self, Kernel};
use crate::run::{cargo, output, run, step};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest time that the virtual machine may take: it counts a few tens of billions of instructions.
const LIMIT: Duration = Duration::from_secs(3600);
/// What a measurement's line begins with.
const MARK: &str = "rvs-bench: ";
/// Loaded in the guest.
const MODULES: [&str; 8] = ["veth", "dummy", "sch_ingress", "cls_bpf", "nf_tables", "ip_vs", "ip_vs_rr", "ipip"];
/// The administration tool of the original and what it needs: unpacked for the guest, never installed here.
const PACKAGES: [&str; 4] = ["ipvsadm", "libpopt0", "libnl-3-200", "libnl-genl-3-200"];

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    /// Engine, method, connections, state: separated by slashes.
    name: String,
    /// Instructions of all packets, those of the sender included.
    instructions: u64,
    sent: u64,
    /// Packets that left the director.
    out: u64,
}

impl Line {
    /// From the guest's console.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(MARK)?.splitn(4, ' ');
        let mut number = || words.next()?.parse().ok();
        let (instructions, sent, out) = (number()?, number()?, number()?);
        Some(Self { name: words.next()?.to_owned(), instructions, sent, out })
    }

    fn each(&self) -> f64 {
        self.instructions as f64 / self.sent.max(1) as f64
    }
}

/// Unpacks the original's tool below `target`.
pub(crate) fn fetch(ws: &Workspace) -> Result<()> {
    let dir = ws.oldkernel().join("ipvsadm.debs");
    fs::create_dir_all(&dir)?;
    apt::update()?;
    run(apt::apt_get().current_dir(&dir).arg("download").args(PACKAGES))?;
    for entry in fs::read_dir(&dir)?.flatten() {
        run(Command::new("dpkg-deb").arg("--extract").arg(entry.path()).arg(root(ws)))?;
    }
    fs::remove_dir_all(dir)?;
    ensure!(is_here(ws), "the packages {} hold no ipvsadm", PACKAGES.join(", "));
    Ok(())
}

/// Whether the original's tool is there.
pub(crate) fn is_here(ws: &Workspace) -> bool {
    program(ws).exists()
}

fn root(ws: &Workspace) -> PathBuf {
    ws.oldkernel().join("ipvsadm")
}

fn program(ws: &Workspace) -> PathBuf {
    root(ws).join("sbin/ipvsadm")
}

/// Boots the machine with what is in `target/dist`; a table, or JSON.
pub(crate) fn measure(ws: &Workspace, json: bool) -> Result<String> {
    let kernel = kernel(ws)?;
    let mut root = file_system(ws, &kernel, include_bytes!("../guest/bench"))?;
    root.command("sbin/nft")?;
    root.file("lib/bench.o", 0o644, fs::read(ws.object().with_file_name("bench.o"))?);
    let mut lines = Vec::new();
    step(&format!("Linux {} in QEMU, counting instructions (ten minutes or so)", kernel.release()), || {
        boot(ws, &kernel, "bench", &root, |line| match Line::parse(line) {
            Some(line) if line.name == "warming up" => {}
            Some(line) => {
                eprintln!("    | {:<28} {:>8.0}", line.name, line.each());
                lines.push(line);
            }
            None => eprintln!("    | {line}"),
        })
    })?;
    let rows = rows(&lines)?;
    Ok(if json { to_json(kernel.release(), &rows) } else { table(kernel.release(), &rows) })
}

/// The kernel that has IPVS.
pub(crate) fn kernel(ws: &Workspace) -> Result<Kernel> {
    if !oldkernel::SUPPORTED {
        bail!("the virtual machine is for x86-64 only");
    }
    Kernel::find(ws).context("no kernel to boot; run `cargo xtask setup`")
}

/// Boots a machine of one processor whose clock goes by instructions; `told` hears what it prints.
pub(crate) fn boot(
    ws: &Workspace,
    kernel: &Kernel,
    name: &str,
    root: &Initramfs,
    told: impl FnMut(&str),
) -> Result<()> {
    let initrd = ws.oldkernel().join(format!("{name}.cpio"));
    fs::create_dir_all(ws.oldkernel())?;
    fs::write(&initrd, root.cpio()).with_context(|| format!("writing {}", initrd.display()))?;
    let machine = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1", "-m", "2G"];
    match oldkernel::watch(&mut oldkernel::qemu(&kernel.image(), &initrd, &machine), LIMIT, told)? {
        0 => Ok(()),
        status => bail!("the virtual machine failed with status {status}"),
    }
}

/// What both benchmarks in the machine need: the first process, our tools, the original's ipvsadm, the sender, modules.
pub(crate) fn file_system(ws: &Workspace, kernel: &Kernel, init: &[u8]) -> Result<Initramfs> {
    step("sender: compile", || {
        run(cargo(ws).args(["build", "--quiet", "--release", "--package", "rvs-benches", "--bin", "sender"]))
    })?;
    let mut root = Initramfs::default();
    for dir in ["proc", "sys", "dev", "run", "tmp", "var"] {
        root.dir(dir);
    }
    root.link("var/run", "../run");
    root.file("init", 0o755, init.to_vec());
    root.command("bin/busybox")?;
    root.command("sbin/ip")?;
    root.program("sbin/sender", &ws.target.join("release/sender"))?;
    root.program("sbin/rvs", &ws.sbin().join("rvs"))?;
    root.link("sbin/ipvsadm", "rvs");
    root.file("sbin/ipvsadm.kernel", 0o755, fs::read(program(ws)).context("run `cargo xtask setup`")?);
    let unpacked = self::root(ws);
    let libraries = output(Command::new("find").arg(&unpacked).args(["-name", "lib*.so.*"]))?;
    for library in libraries.lines() {
        let path = library.strip_prefix(&format!("{}/", unpacked.display())).context("not below the folder")?;
        root.file(path.trim_start_matches("usr/"), 0o755, fs::read(library)?);
    }
    kernel.put_modules(&mut root, &MODULES)?;
    Ok(root)
}

/// A measurement beside the others.
#[derive(Debug)]
struct Row {
    name: String,
    /// Instructions per packet, the sender's taken off.
    net: f64,
    /// The share of packets that left the director.
    out: f64,
    /// To plain forwarding on the same way; to IPVS in the same case.
    to_plain: Option<f64>,
    to_ipvs: Option<f64>,
}

fn rows(lines: &[Line]) -> Result<Vec<Row>> {
    let base = |name: &str| {
        let found = lines.iter().find(|line| line.name == name);
        found.map(Line::each).with_context(|| format!("the guest has not measured `{name}`"))
    };
    let (plain, xdp) = (base("base")?, base("base xdp")?);
    let net = |line: &Line| line.each() - if line.name.starts_with("xdp/") { xdp } else { plain };
    let of = |name: &str| lines.iter().find(|line| line.name == name).map(net);
    let cases = lines.iter().filter(|line| line.name.contains('/'));
    Ok(cases
        .map(|line| {
            let (engine, case) = line.name.split_once('/').unwrap_or_default();
            let method = if case.starts_with("reply/") { "reply" } else { "-" };
            let to_plain = of(&format!("plain/{method}/1/known")).map(|plain| net(line) / plain);
            let to_ipvs = of(&format!("ipvs/{case}")).filter(|_| engine != "plain").map(|ipvs| net(line) / ipvs);
            let out = line.out as f64 / line.sent.max(1) as f64;
            Row { name: line.name.clone(), net: net(line), out, to_plain, to_ipvs }
        })
        .collect())
}

fn table(release: &str, rows: &[Row]) -> String {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let mut text = format!("{:<28} {:>12} {:>9} {:>8}\n", "engine/method/flows", "instructions", "to plain", "to IPVS");
    for row in rows {
        let (plain, ipvs) = (ratio(row.to_plain), ratio(row.to_ipvs));
        let _ = write!(text, "{:<28} {:>12.0} {plain:>9} {ipvs:>8}", row.name, row.net);
        text += &if row.out < 0.999 { format!("  only {:.1} % left\n", 100.0 * row.out) } else { "\n".to_owned() };
    }
    text + &format!("per packet, without the sender's; Linux {release}, emulated, mitigations off\n")
}

/// Names hold nothing that needs escaping.
fn to_json(release: &str, rows: &[Row]) -> String {
    let number = |ratio: Option<f64>| ratio.map_or_else(|| "null".to_owned(), |ratio| format!("{ratio:.4}"));
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let (plain, ipvs) = (number(row.to_plain), number(row.to_ipvs));
            format!(
                r#"    {{"case":"{}","instructions":{:.1},"out":{:.4},"to_plain":{plain},"to_ipvs":{ipvs}}}"#,
                row.name, row.net, row.out
            )
        })
        .collect();
    format!("{{\n  \"kernel\": \"{release}\",\n  \"cases\": [\n{}\n  ]\n}}\n", rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_senders_part_is_taken_off() {
        let text = "rvs-bench: 5000 10 0 base\nrvs-bench: 6000 10 0 base xdp\nhello\n\
            rvs-bench: 7000 10 10 plain/-/1/known\nrvs-bench: 9000 10 10 ipvs/DR/1/known\n\
            rvs-bench: 7000 10 9 xdp/DR/1/known\n";
        let lines: Vec<_> = text.lines().filter_map(Line::parse).collect();
        let rows = rows(&lines).unwrap();
        let figures: Vec<_> = rows.iter().map(|row| (row.net, row.to_plain, row.to_ipvs, row.out)).collect();
        assert_eq!(
            figures,
            [(200.0, Some(1.0), None, 1.0), (400.0, Some(2.0), Some(1.0), 1.0), (100.0, Some(0.5), Some(0.25), 0.9)]
        );
        assert!(table("6.1", &rows).contains("only 90.0 % left"));
        assert!(super::rows(&lines[1..]).is_err());
    }
}
