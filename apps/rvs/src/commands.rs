//! What the commands of `rvs` do.

use crate::cli::{Cli, Command, Config, Decap};
use crate::{check, complete, documents, explain, glance, mark, metrics, proc, report, sysctl, trace, unit};
use rvs_dataplane::kernel::{Director, decap, watch};
use rvs_dataplane::limits::Limits;
use rvs_dataplane::model::Model;
use rvs_dataplane::{Dataplane, Error};
use serde_json::json;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use crate::pause::Pause;
use crate::world::{Access, World};
use rvs_config::names::SystemNames;

/// Exit status when the kernel or the privileges do not suffice: as ipvsadm's.
const NO_DATAPLANE: i32 = 2;

/// The data plane of the present network namespace.
///
/// # Errors
/// Those of [`Director::open`].
pub fn open(access: Access) -> Result<Box<dyn Dataplane>, Error> {
    Ok(match access {
        Access::Create => Box::new(Director::open()?),
        Access::Existing => match Director::existing()? {
            Some(director) => Box::new(director),
            None => Box::new(Model::default()),
        },
    })
}

/// Runs a command of `rvs`; the exit status.
pub fn run(cli: &Cli, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    if let (Command::Unit { step, root }, false) = (&cli.command, cli.json) {
        let (stdin, names) = (&mut io::empty(), &SystemNames::default());
        let mut pause = Pause::default();
        let pause = &mut |time| pause.wait(time);
        return unit::run(*step, root, &mut World { stdin, stdin_name: None, out, err, names, open: &mut open, pause });
    }
    if let Command::Config(Config::Diff { old, new }) = &cli.command {
        let compared = crate::config::compare(old, new, cli.json);
        let told = err.write_all(compared.err.as_bytes());
        let printed = out.write_all(compared.out.as_bytes()).and_then(|()| out.flush());
        return if told.and(printed).is_ok() { compared.status } else { 1 };
    }
    if let Some((state, decision)) = decision(&cli.command) {
        return match check::decide(state, decision, cli.json, out) {
            Ok(status) => status,
            Err(error) => {
                // As below.
                let _ = writeln!(err, "rvs: {error}");
                1
            }
        };
    }
    let (status, text) = match execute(cli, out, err) {
        Ok(text) => match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => (1, format!("cannot write the output: {error}")),
            _ => return 0,
        },
        Err(error @ (Error::Permission(_) | Error::Unsupported(_))) => (NO_DATAPLANE, error.to_string()),
        Err(error) => (1, error.to_string()),
    };
    // A standard error that cannot be written leaves nobody to tell.
    let _ = writeln!(err, "rvs: {text}");
    status
}

/// What an administrator decides.
fn decision(command: &Command) -> Option<(&'static str, &check::Decision)> {
    match command {
        Command::Drain(decision) => Some(("drain", decision)),
        Command::Maint(decision) => Some(("maint", decision)),
        Command::Ready(decision) => Some(("ready", decision)),
        _ => None,
    }
}

/// How the virtual routers stand.
fn vrrp(socket: Option<&Path>, as_json: bool) -> Result<String, Error> {
    let status = rvs_daemon::run::fetch(socket).map_err(|error| Error::State(error.to_string()))?;
    Ok(if as_json { report::json(&status) } else { rvs_daemon::dump::table(&status) })
}

/// Commands whose output has a format of its own.
fn has_own_format(command: &Command) -> bool {
    matches!(
        command,
        Command::Proc { .. }
            | Command::Metrics(_)
            | Command::Generate { .. }
            | Command::Complete { .. }
            | Command::Unit { .. }
            | Command::Config(Config::Man)
    )
}

fn execute(cli: &Cli, out: &mut dyn Write, err: &mut dyn Write) -> Result<String, Error> {
    if cli.json && has_own_format(&cli.command) {
        return Err(Error::State("the output of this command has a format of its own: leave --json away".to_owned()));
    }
    let done = |text: String, value: serde_json::Value| if cli.json { report::json(&value) } else { text };
    Ok(match &cli.command {
        Command::Status(options) => {
            glance::run(*options, cli.json, out)?;
            String::new()
        }
        Command::Vrrp { socket } => vrrp(socket.as_deref(), cli.json)?,
        Command::Check(socket) => check::show(socket, cli.json)?,
        Command::Stats => {
            let reasons = match Director::existing()? {
                Some(director) => director.reasons()?,
                None => Vec::new(),
            };
            report::reasons(&reasons, cli.json)
        }
        Command::Generate { what, tool } => documents::document(*what, *tool),
        Command::Complete { words } => complete::answer(words, &mut || open(Access::Existing)),
        Command::Proc { file } => {
            proc::print(*file, open(Access::Existing)?.as_mut(), out)?;
            String::new()
        }
        Command::Metrics(options) => {
            metrics::run(options, out)?;
            String::new()
        }
        Command::Explain(packet) => explain::run(*packet, cli.json)?,
        Command::Trace(options) => {
            trace::run(options, cli.json, out, err)?;
            String::new()
        }
        Command::Limits => report::limits(&Limits::from_env()?, cli.json),
        Command::Attach { dev, mode } => {
            Director::open()?.attach(dev, *mode)?;
            done(String::new(), json!({ "attached": dev, "mode": mode }))
        }
        Command::Detach { dev } => {
            let mut director = Director::existing()?.ok_or_else(no_director)?;
            director.detach(dev)?;
            done(String::new(), json!({ "detached": dev }))
        }
        Command::Decap(Decap::Attach { dev, gue_port }) => {
            decap::attach(dev, *gue_port)?;
            done(String::new(), json!({ "attached": dev }))
        }
        Command::Decap(Decap::Detach { dev }) => {
            decap::detach(dev)?;
            done(String::new(), json!({ "detached": dev }))
        }
        Command::Mark(command) => mark::run(command, cli.json)?,
        Command::Sysctl(command) => sysctl::run(command, cli.json)?,
        Command::Watch => {
            watch::run(|round| announce(out, cli.json, round))?;
            String::new()
        }
        Command::Teardown => {
            let removed = Director::teardown()?;
            let text = if removed { "removed\n" } else { "there was no director in this network namespace\n" };
            done(text.to_owned(), json!({ "removed": removed }))
        }
        // Taken care of before.
        Command::Unit { .. } | Command::Drain(_) | Command::Maint(_) | Command::Ready(_) => String::new(),
        Command::Config(Config::Man) => rvs_config::keepalived::man_page(),
        Command::Config(Config::Diff { .. }) => String::new(),
        Command::Ipvsadm(_)
        | Command::IpvsadmSave(_)
        | Command::IpvsadmRestore(_)
        | Command::Keepalived(_)
        | Command::Genhash(_) => {
            return Err(Error::State("the tool's name must be the first argument: rvs ipvsadm …".to_owned()));
        }
    })
}

fn no_director() -> Error {
    Error::State("there is no director in this network namespace; `ipvsadm -A` makes one".to_owned())
}

/// Tells that all present interfaces are covered; whoever started the watch may wait for the first line.
fn announce(out: &mut dyn Write, json: bool, round: u64) -> ControlFlow<()> {
    let text = if json { report::json_line(&json!({ "covered": round })) } else { format!("covered {round}\n") };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ControlFlow::Continue(()),
        // Nobody listens any more, but the interfaces still want covering.
        Err(_) => ControlFlow::Continue(()),
    }
}
