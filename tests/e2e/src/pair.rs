//! Two directors and a client on one segment, for VRRP: who holds the virtual address, and whether it answers.
//!
//! ```text
//!   a 10.0.1.1 ──┐
//!                ├── sw ── cl 10.0.1.100
//!   b 10.0.1.2 ──┘
//! ```

use crate::cleanup::{self, PREFIX, enrol_dir, enrol_namespace, ip_batch, is_root, kill_process};
use crate::director::tool;
use crate::netns::Netns;
use crate::process::Running;
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Which of the two directors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// 10.0.1.1
    A,
    /// 10.0.1.2
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The last byte of its addresses.
    pub const fn number(self) -> u8 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }
}

/// Whose keepalived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The one under test.
    Ours,
    /// The distribution's.
    Original,
}

/// The segment. Dropping it removes everything.
#[derive(Debug)]
pub struct Pair {
    prefix: String,
    dir: PathBuf,
}

/// A keepalived that runs; killed when dropped, with what it started.
#[derive(Debug)]
pub struct Daemon {
    ns: Netns,
    running: Option<Running>,
    log: PathBuf,
}

/// Builds a segment for a test. Without root's rights this says so on standard error, past the test harness, and there is none.
pub fn start() -> Result<Option<Pair>> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if !is_root() {
        let test = std::thread::current().name().unwrap_or("test").to_owned();
        writeln!(std::io::stderr(), "SKIPPED {test}: needs root, for network namespaces")?;
        return Ok(None);
    }
    cleanup::prepare();
    let prefix = format!("{PREFIX}{}-v{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let pair = Pair { dir: std::env::temp_dir().join(&prefix), prefix };
    pair.build().with_context(|| format!("cannot build the segment {}", pair.prefix))?;
    Ok(Some(pair))
}

const ROLES: [&str; 4] = ["a", "b", "cl", "sw"];

impl Pair {
    fn build(&self) -> Result<()> {
        enrol_dir(&self.dir);
        fs::create_dir_all(&self.dir)?;
        let names: Vec<String> = ROLES.iter().map(|role| self.role(role).name().to_owned()).collect();
        names.iter().for_each(|name| enrol_namespace(name));
        ip_batch(&["-batch", "-"], &names.iter().map(|name| format!("netns add {name}\n")).collect::<String>())?;
        // Neighbours are there at once: nobody looks for duplicates in a fresh segment.
        for name in &names {
            Netns::named(name.as_str()).sysctl("ipv6/conf/default/accept_dad", "0")?;
            Netns::named(name.as_str()).sysctl("ipv6/conf/all/accept_dad", "0")?;
        }
        let mut lines = "link set lo up\nlink add br0 type bridge mcast_snooping 0\nlink set br0 up\n".to_owned();
        for (role, number) in [("a", 1), ("b", 2), ("cl", 100)] {
            let name = self.role(role).name().to_owned();
            lines += &format!(
                "link add p{role} type veth peer name eth0 address 02:00:00:00:01:{number:02x} netns {name}\n\
                 link set p{role} master br0 up\n"
            );
        }
        self.role("sw").ip_batch(&lines)?;
        for (role, number) in [("a", 1), ("b", 2), ("cl", 100)] {
            self.role(role).ip_batch(&format!(
                "link set lo up\nlink set eth0 up\naddr add 10.0.1.{number}/24 dev eth0\naddr add fd00:1::{number}/64 dev \
                 eth0 nodad\n"
            ))?;
        }
        Ok(())
    }

    fn role(&self, role: &str) -> Netns {
        Netns::named(format!("{}-{role}", self.prefix))
    }

    /// A director.
    pub fn side(&self, side: Side) -> Netns {
        self.role(side.name())
    }

    /// The client.
    pub fn client(&self) -> Netns {
        self.role("cl")
    }

    /// The switch: its bridge is `br0`, its ports `pa`, `pb` and `pcl`.
    pub fn switch(&self) -> Netns {
        self.role("sw")
    }

    /// A folder for files of the test.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a keepalived with this configuration.
    pub fn keepalived(&self, side: Side, whose: Whose, config: &str) -> Result<Daemon> {
        let program = match whose {
            Whose::Ours => tool("keepalived")?,
            Whose::Original => PathBuf::from("/usr/sbin/keepalived"),
        };
        Daemon::start(self.side(side), &self.dir, side.name(), &program, config)
    }

    /// Whether a director has an address.
    pub fn has(&self, side: Side, ip: &str) -> Result<bool> {
        let listed = self.side(side).command("ip").args("-o addr show").ok()?;
        Ok(listed.lines().any(|line| line.contains(&format!(" {ip}/"))))
    }

    /// Fails unless this director, and only this, has the address.
    pub fn only(&self, side: Side, ip: &str) -> Result<()> {
        for other in Side::BOTH {
            let has = self.has(other, ip)?;
            ensure!(has == (other == side), "{other:?} {} {ip}", if has { "has" } else { "has not" });
        }
        Ok(())
    }

    /// Fails unless the client gets an answer from the address.
    pub fn answers(&self, ip: &str) -> Result<()> {
        self.client().command("ping").args(&format!("-n -c 1 -W 1 {ip}")).ok().map(drop)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        cleanup::remove(&ROLES.iter().map(|role| self.role(role).name().to_owned()).collect(), &self.dir);
    }
}

impl Daemon {
    /// Starts it in a namespace; its files in `dir` begin with `name`.
    pub(crate) fn start(ns: Netns, dir: &Path, name: &str, program: &Path, config: &str) -> Result<Self> {
        let (path, log) = (dir.join(format!("{name}.conf")), dir.join(format!("{name}.log")));
        fs::write(&path, config)?;
        let pid = |which: &str| format!("{}/{name}.{which}", dir.display());
        let command = ns.command(program).args(&format!("-n -l -D -G -f {}", path.display()));
        let files = format!("-p {} -r {} -c {} -b {}", pid("pid"), pid("vrrp"), pid("check"), pid("bfd"));
        let running = command.args(&files).serve(&log)?;
        Ok(Self { ns, running: Some(running), log })
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails unless it has logged this.
    pub fn said(&self, text: &str) -> Result<()> {
        ensure!(self.log().contains(text), "`{text}` is not in the log:\n{}", self.log());
        Ok(())
    }

    /// How many lines of its log have this.
    pub fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Its process id.
    pub fn pid(&self) -> Result<i32> {
        let running = self.running.as_ref().and_then(Running::pid).context("it does not run")?;
        Ok(i32::try_from(running)?)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid()?), signal)?)
    }

    /// Sends it a signal by its number, for those of real time.
    pub fn signal_number(&self, number: i32) -> Result<()> {
        let pid = self.pid()?.to_string();
        self.ns.command("kill").args(&format!("-{number} {pid}")).ok().map(drop)
    }

    /// Asks it to end and waits for that; its exit status.
    pub fn stop(mut self) -> Result<i32> {
        self.running.take().context("it does not run")?.stop(Signal::SIGTERM)
    }

    /// Kills it with all that it started, without warning.
    pub fn crash(mut self) -> Result<()> {
        self.kill_all()?;
        drop(self.running.take());
        Ok(())
    }

    fn kill_all(&self) -> Result<()> {
        // Its children first would tell it; it first lets them end by themselves, in order.
        for pid in self.ns.processes()? {
            kill_process(pid);
        }
        Ok(())
    }

    /// Fails if it has ended.
    pub fn alive(&mut self) -> Result<()> {
        match self.running.as_mut().map(Running::alive) {
            Some(true) => Ok(()),
            _ => bail!("it has ended:\n{}", self.log()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = self.kill_all();
        }
    }
}
