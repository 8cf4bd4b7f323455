//! A keepalived that keeps virtual servers in a laboratory's director.

use crate::LIMIT;
use anyhow::{Context as _, Result, ensure};
use lab::Lab;
use lab::director::tool;
use lab::eventually;
use lab::http::Http;
use lab::netns::Netns;
use lab::process::{Outcome, Running};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// It runs until it is stopped, or dropped.
pub(crate) struct Keeper<'a> {
    lab: &'a Lab,
    running: Option<Running>,
    log: PathBuf,
}

/// A virtual server on the laboratory's address with these lines, and its web servers, checked by TCP every second.
pub(crate) fn config(lines: &str, reals: &[&str]) -> String {
    let check = "TCP_CHECK {\n connect_timeout 2\n retry 1\n delay_before_retry 1\n }";
    let real = |real: &&str| format!("real_server {real} 80 {{\n {check}\n}}\n");
    let reals: String = reals.iter().map(real).collect();
    format!(
        "virtual_server {} 80 {{\ndelay_loop 1\nprotocol TCP\nlvs_method NAT\n{lines}\n{reals}}}\n",
        lab::topology::VIP
    )
}

impl<'a> Keeper<'a> {
    /// Starts it with this configuration and more options; `run` tells runs of one test apart.
    pub(crate) fn start(lab: &'a Lab, run: &str, config: &str, options: &str) -> Result<Self> {
        Self::start_in(lab, &lab.director(), run, config, options)
    }

    /// Starts it and does not wait for it.
    pub(crate) fn launch(lab: &'a Lab, ns: &Netns, run: &str, config: &str, options: &str) -> Result<Self> {
        let log = lab.dir().join(format!("{run}.log"));
        fs::write(lab.dir().join("keepalived.conf"), config)?;
        let dir = lab.dir().display();
        let args = format!("-n -l -D -G -C -f {dir}/keepalived.conf -p {dir}/k.pid -c {dir}/c.pid {options}");
        let running = ns.command(tool("keepalived")?).args(&args).serve(&log)?;
        Ok(Self { lab, running: Some(running), log })
    }

    /// Starts it in this namespace and waits until its checks have begun.
    pub(crate) fn start_in(lab: &'a Lab, ns: &Netns, run: &str, config: &str, options: &str) -> Result<Self> {
        let keeper = Self::launch(lab, ns, run, config, options)?;
        eventually(LIMIT, || {
            keeper.said("Keepalived_healthcheckers: Startup complete").or_else(|_| keeper.said("Activating BFD"))
        })?;
        Ok(keeper)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails unless it has logged this.
    pub(crate) fn said(&self, text: &str) -> Result<()> {
        ensure!(self.log().contains(text), "`{text}` is not in the log:\n{}", self.log());
        Ok(())
    }

    /// Fails unless it has logged these texts in this order.
    pub(crate) fn said_in_order(&self, texts: &[&str]) -> Result<()> {
        let log = self.log();
        let mut rest = log.as_str();
        for text in texts {
            let at = rest.find(text).with_context(|| format!("`{text}` is not there, or too early, in\n{log}"))?;
            rest = &rest[at + text.len()..];
        }
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<Pid> {
        let pid = self.running.as_ref().and_then(Running::pid).context("it does not run")?;
        Ok(Pid::from_raw(i32::try_from(pid)?))
    }

    /// Lets it read another configuration.
    pub(crate) fn reload(&self, config: &str) -> Result<()> {
        fs::write(self.lab.dir().join("keepalived.conf"), config)?;
        Ok(kill(self.pid()?, Signal::SIGHUP)?)
    }

    /// Asks it to end; its exit status.
    pub(crate) fn stop(mut self) -> Result<i32> {
        self.running.take().context("it does not run")?.stop(Signal::SIGTERM)
    }

    /// Kills it without warning.
    pub(crate) fn crash(self) -> Result<()> {
        Ok(kill(self.pid()?, Signal::SIGKILL)?)
    }

    /// The destinations of a virtual server, each with its weight, in order of their addresses.
    pub(crate) fn dests(&self, at: &str) -> Result<Vec<String>> {
        let table = self.lab.table()?;
        let ours = table.iter().find(|service| service.at == at);
        let dests = ours.map(|service| &service.dests[..]).unwrap_or_default();
        let mut dests: Vec<String> = dests.iter().map(|dest| format!("{} {}", dest.at, dest.weight)).collect();
        dests.sort();
        Ok(dests)
    }

    /// Waits until these are the destinations of port 80.
    pub(crate) fn has(&self, wanted: &[&str]) -> Result<()> {
        self.has_at(&format!("{}:80", lab::topology::VIP), wanted)
    }

    /// Waits until these are the destinations of a virtual server, as it is listed.
    pub(crate) fn has_at(&self, at: &str, wanted: &[&str]) -> Result<()> {
        eventually(LIMIT, || {
            let dests = self.dests(at)?;
            ensure!(dests == wanted, "{at} has {dests:?}, not {wanted:?}\n{}", self.log());
            Ok(())
        })
    }

    /// What `rvs` says to these arguments about this daemon.
    pub(crate) fn rvs(&self, args: &str) -> Result<String> {
        self.try_rvs(args)?.ok()
    }

    /// The same, whatever comes of it.
    pub(crate) fn try_rvs(&self, args: &str) -> Result<Outcome> {
        let socket = self.lab.dir().join("k.sock");
        self.lab.tool("rvs")?.args(args).arg("--socket").arg(socket).run()
    }
}

/// An executable shell script in the laboratory's directory; its path.
pub(crate) fn script(lab: &Lab, name: &str, text: &str) -> Result<String> {
    let path = lab.dir().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

/// Kills the web server of real server `n`.
pub(crate) fn kill_web(lab: &Lab, n: u8) -> Result<()> {
    let pid = fs::read_to_string(lab.dir().join(format!("rs{n}/pid")))?;
    Ok(kill(Pid::from_raw(pid.trim().parse()?), Signal::SIGKILL)?)
}

/// Starts it again.
pub(crate) fn start_web(lab: &Lab, n: u8) -> Result<Http> {
    let http = Http::start(&lab.server(n), &format!("rs{n}"), lab.dir())?;
    http.ready()?;
    Ok(http)
}
