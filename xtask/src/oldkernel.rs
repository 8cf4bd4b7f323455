//! The oldest supported kernel, booted in QEMU with a file system made here, balancing real requests, and choosing servers and
//! changing packets as the core does: what an old verifier makes of a program is not always what was written.
//!
//! No disk, no network card: what happens in the virtual machine is in `guest/init`, and comes out on its serial console. The
//! last thing it says is its exit status.

use crate::initramfs::Initramfs;
use crate::run::{cargo, output, run, step};
use crate::workspace::Workspace;
use crate::{apt, build, suite, verifier};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Whether this machine can run the test at all: the kernel must be of the processor that we build for.
pub(crate) const SUPPORTED: bool = cfg!(target_arch = "x86_64");

/// Longest time that the virtual machine may take.
const LIMIT: Duration = Duration::from_secs(1100);
/// What the guest prints before its exit status.
const STATUS: &str = "rvs-guest-status:";
/// Package that depends on the distribution's kernel of this kind.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// Tests of the data plane that the guest runs parts of.
const TESTS: [&str; 2] = ["packets", "sequences"];
/// Loaded in the guest before its test runs.
const MODULES: [&str; 4] = ["veth", "bridge", "sch_ingress", "cls_bpf"];

/// A kernel to boot: `root`/boot/vmlinuz-`release` and `root`/lib/modules/`release`.
pub(crate) struct Kernel {
    root: PathBuf,
    release: String,
}

impl Kernel {
    /// The installed one, or the one that `setup` unpacked.
    pub(crate) fn find(ws: &Workspace) -> Option<Self> {
        [PathBuf::from("/"), ws.oldkernel().join("root")].into_iter().find_map(|root| {
            let mut releases: Vec<String> = fs::read_dir(root.join("boot"))
                .ok()?
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("vmlinuz-").map(str::to_owned))
                .filter(|release| {
                    release.contains("-cloud-") && root.join("lib/modules").join(release).join("modules.dep").exists()
                })
                .collect();
            releases.sort();
            Some(Self { release: releases.into_iter().next()?, root })
        })
    }

    /// The file to boot.
    pub(crate) fn image(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Its version.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Puts these modules, with those that they depend on, below `modules`, and into its list in the order to load them.
    pub(crate) fn put_modules(&self, root: &mut Initramfs, names: &[&str]) -> Result<()> {
        let mut list = Vec::new();
        for name in names {
            for file in self.modules(name)? {
                let path =
                    format!("modules/{}", file.file_name().context("a module without a name")?.to_string_lossy());
                if !list.contains(&path) {
                    root.file(&path, 0o644, fs::read(&file).with_context(|| format!("reading {}", file.display()))?);
                    list.push(path);
                }
            }
        }
        root.file("modules/order", 0o644, (list.join("\n") + "\n").into_bytes());
        Ok(())
    }

    /// The module's file and those it depends on, in the order to load them.
    fn modules(&self, name: &str) -> Result<Vec<PathBuf>> {
        let depends = output(Command::new("modprobe").arg("-d").arg(&self.root).args([
            "-S",
            &self.release,
            "--show-depends",
            name,
        ]))?;
        Ok(insmod_files(&depends).map(PathBuf::from).collect())
    }
}

/// The files in the output of `modprobe --show-depends`.
fn insmod_files(depends: &str) -> impl Iterator<Item = &str> {
    // Options follow, where this machine's configuration has some.
    depends.lines().filter_map(|line| line.strip_prefix("insmod ")?.split_whitespace().next())
}

/// Unpacks the distribution's kernel below `target`: nothing is installed, this machine will not boot it.
pub(crate) fn fetch(ws: &Workspace) -> Result<()> {
    let dir = ws.oldkernel();
    fs::create_dir_all(&dir)?;
    apt::update()?;
    let depends = output(Command::new("apt-cache").args(["depends", PACKAGE]))?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
        .with_context(|| format!("the distribution has no package {PACKAGE}"))?;
    run(apt::apt_get().current_dir(&dir).arg("download").arg(format!("linux-image-{package}")))?;
    let archive = fs::read_dir(&dir)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded nothing")?;
    let root = dir.join("root");
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&root))?;
    fs::remove_file(archive)?;
    run(Command::new("depmod").arg("-b").arg(&root).arg(package))
}

/// Builds what is tested and runs the test.
pub(crate) fn oldkernel(ws: &Workspace) -> Result<()> {
    build::dist(ws)?;
    boot(ws)
}

/// Runs the test with what is in `target/dist`.
pub(crate) fn boot(ws: &Workspace) -> Result<()> {
    let kernel = Kernel::find(ws).context("no kernel to boot; run `cargo xtask setup`")?;
    let verifier = verifier::binary(ws)?;
    let tests = tests(ws)?;
    let initrd = ws.oldkernel().join("initramfs.cpio");
    fs::create_dir_all(ws.oldkernel())?;
    fs::write(&initrd, file_system(ws, &kernel, &verifier, &tests)?.cpio())
        .with_context(|| format!("writing {}", initrd.display()))?;
    step(&format!("Linux {} in QEMU", kernel.release), || {
        let vmlinuz = kernel.image();
        // Emulated on purpose: the same everywhere, also where this machine is itself a virtual one.
        let machine = ["-accel", "tcg,thread=multi", "-smp", "2", "-m", "3G"];
        match watch(&mut qemu(&vmlinuz, &initrd, &machine), LIMIT, |line| println!("    | {line}"))? {
            0 => Ok(()),
            status => bail!("the test in the virtual machine failed with status {status}"),
        }
    })
}

/// Compiles [`TESTS`] and finds the programs.
fn tests(ws: &Workspace) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut cargo = cargo(ws);
    // Of the whole workspace, as the suite makes them: for one package alone they would be compiled anew.
    cargo.args(["test", "--no-run", "--message-format", "json"]).args(suite::ALL);
    cargo.args(TESTS.iter().flat_map(|name| ["--test", name]));
    let told = step("tests for the old kernel: compile", || output(&mut cargo))?;
    TESTS
        .iter()
        .map(|name| {
            let program = told.lines().find_map(|line| executable(line, name));
            Ok((*name, program.with_context(|| format!("cargo made no test `{name}`"))?))
        })
        .collect()
}

/// The program that a line of cargo's JSON tells of, if it is that of the test `name`.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let told: serde_json::Value = serde_json::from_str(line).ok()?;
    (told["target"]["name"] == name && told["target"]["kind"][0] == "test").then_some(())?;
    told["executable"].as_str().map(PathBuf::from)
}

/// The virtual machine's file system.
fn file_system(
    ws: &Workspace,
    kernel: &Kernel,
    verifier: &Path,
    tests: &[(&'static str, PathBuf)],
) -> Result<Initramfs> {
    let mut root = Initramfs::default();
    for dir in ["proc", "sys", "dev", "run", "tmp", "var"] {
        root.dir(dir);
    }
    root.link("var/run", "../run");
    root.file("init", 0o755, include_bytes!("../guest/init").to_vec());
    root.command("bin/busybox")?;
    root.command("sbin/ip")?;
    root.program("sbin/verifier", verifier)?;
    for (name, program) in tests {
        root.program(&format!("lib/tests/{name}"), program)?;
    }
    root.file("lib/rvs.o", 0o644, fs::read(ws.object())?);
    root.program("sbin/rvs", &ws.sbin().join("rvs"))?;
    root.link("sbin/ipvsadm", "rvs");
    kernel.put_modules(&mut root, &MODULES)?;
    Ok(root)
}

/// A machine with a processor, memory and a serial console on our standard output, and nothing else.
pub(crate) fn qemu(vmlinuz: &Path, initrd: &Path, machine: &[&str]) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-nodefaults", "-no-user-config", "-cpu", "max"])
        .args(machine)
        .args(["-display", "none", "-no-reboot", "-serial", "stdio", "-kernel"])
        .arg(vmlinuz)
        .arg("-initrd")
        .arg(initrd)
        .args([
            "-append",
            "console=ttyS0 quiet loglevel=4 panic=-1 tsc=reliable no_timer_check mitigations=off random.trust_cpu=on",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    qemu
}

/// Starts it and hands over what it prints until it has told its status; ends the machine in any case.
pub(crate) fn watch(machine: &mut Command, limit: Duration, told: impl FnMut(&str)) -> Result<u32> {
    let mut machine = machine.spawn().context("starting qemu-system-x86_64")?;
    let console = machine.stdout.take().context("the machine has no console")?;
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let status = listen(&lines, limit, told);
    // It may have ended by itself; an error then says only that.
    let _ = machine.kill();
    machine.wait().context("waiting for qemu")?;
    drop(lines);
    let _ = reader.join();
    status
}

/// Hands lines over until the one with the status, or until the time is up.
fn listen(lines: &mpsc::Receiver<String>, limit: Duration, mut told: impl FnMut(&str)) -> Result<u32> {
    let deadline = Instant::now() + limit;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => match line.strip_prefix(STATUS) {
                Some(status) => return status.trim().parse().with_context(|| format!("the guest's last line: {line}")),
                None => told(&line),
            },
            Err(RecvTimeoutError::Timeout) => bail!("the virtual machine did not finish within {} s", limit.as_secs()),
            Err(RecvTimeoutError::Disconnected) => bail!("the virtual machine ended without telling its status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_found_in_what_cargo_tells() {
        let line =
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"packets"},"executable":"/x/packets-1"}"#;
        assert_eq!(executable(line, "packets"), Some("/x/packets-1".into()));
        assert_eq!(executable(line, "sequences"), None);
        assert_eq!(executable(r#"{"target":{"kind":["test"],"name":"packets"},"executable":null}"#, "packets"), None);
        assert_eq!(executable("Compiling", "packets"), None);
    }

    #[test]
    fn module_files_are_taken_in_order() {
        let text = "insmod /lib/modules/6.1/llc.ko \ninsmod /lib/modules/6.1/bridge.ko option=0\nbuiltin x\n";
        assert_eq!(insmod_files(text).collect::<Vec<_>>(), ["/lib/modules/6.1/llc.ko", "/lib/modules/6.1/bridge.ko"]);
    }

    #[test]
    fn the_guest_tells_its_status_or_has_failed() {
        let limit = Duration::from_millis(50);
        let (sender, lines) = mpsc::channel();
        sender.send("hello".into()).unwrap();
        sender.send(format!("{STATUS} 3")).unwrap();
        let mut told = Vec::new();
        assert_eq!(listen(&lines, limit, |line| told.push(line.to_owned())).unwrap(), 3);
        assert_eq!(told, ["hello"]);
        assert!(listen(&lines, limit, |_| ()).unwrap_err().to_string().contains("did not finish"));
        drop(sender);
        assert!(listen(&lines, limit, |_| ()).unwrap_err().to_string().contains("ended without"));
    }
}
