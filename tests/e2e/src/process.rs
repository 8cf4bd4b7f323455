//! Commands in a namespace: run to their end within a time limit, or left running and ended when dropped.

use crate::cleanup::{enrol_process, forget_process, kill_process};
use crate::netns::Netns;
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A command that has not yet started.
pub struct NsCommand {
    command: Command,
    /// The namespace to be entered before the start; none when the command enters it itself.
    enter: Option<Netns>,
    stdin: Option<Vec<u8>>,
    limit: Duration,
}

/// What a command that has ended left.
#[derive(Debug)]
pub struct Outcome {
    /// The command line.
    pub line: String,
    /// Exit status; 128 plus the signal's number when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Its standard output, if it succeeded.
    pub fn ok(self) -> Result<String> {
        ensure!(self.status == 0, "{self}");
        Ok(self.stdout)
    }

    fn new(line: String, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { line, status: status_number(output.status), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}` ended with status {}", self.line, self.status)?;
        write!(f, "stdout: {}\nstderr: {}", self.stdout.trim_end(), self.stderr.trim_end())
    }
}

fn status_number(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

impl NsCommand {
    pub(crate) fn entered(ns: &Netns, program: &OsStr) -> Self {
        Self::of(Command::new(program), Some(ns.clone()))
    }

    pub(crate) fn by_ip_netns_exec(ns: &Netns, program: &OsStr) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", ns.name()]).arg(program);
        Self::of(command, None)
    }

    fn of(mut command: Command, enter: Option<Netns>) -> Self {
        // Sorting, decimal points and messages of the tools do not depend on who runs the laboratory. The group of its own
        // keeps a terminal's Ctrl-C from them: the laboratory ends them itself, in order.
        command.env("LC_ALL", "C").process_group(0);
        Self { command, enter, stdin: None, limit: Duration::from_secs(60) }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments separated by blanks.
    pub fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_whitespace());
        self
    }

    /// Gives it a standard input.
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs it as the user and the group of this number, in no other group.
    pub fn user(mut self, id: u32) -> Self {
        self.command.uid(id).gid(id);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the time after which it is killed and the run counts as failed; a minute when not set.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn line(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    fn start(&mut self) -> Result<Child> {
        let line = self.line();
        let command = &mut self.command;
        // The child inherits the namespace of the thread that starts it.
        let child = match &self.enter {
            Some(ns) => ns.enter(|| command.spawn())?,
            None => command.spawn(),
        };
        child.with_context(|| format!("cannot run `{line}`"))
    }

    /// Starts it and takes hold of it; its output is kept in memory until it ends.
    pub fn begin(mut self) -> Result<Started> {
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.start()?;
        let pid = i32::try_from(child.id())?;
        enrol_process(pid);
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), self.stdin.take()) {
            // The command may end without having read everything.
            thread::spawn(move || drop(pipe.write_all(&text)));
        }
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let output = child.wait_with_output();
            forget_process(pid);
            let _ = sender.send(output);
        });
        Ok(Started { line: self.line(), pid, limit: self.limit, receiver })
    }

    /// Runs it to its end. An error means that it could not be run or took too long; a bad exit status is no error here.
    pub fn run(self) -> Result<Outcome> {
        self.begin()?.wait()
    }

    /// Runs it to its end and returns its standard output; a bad exit status is an error.
    pub fn ok(self) -> Result<String> {
        self.run()?.ok()
    }

    /// Starts it as a service that writes its output to the file `log` and is killed when dropped.
    pub fn serve(mut self, log: &Path) -> Result<Running> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        self.command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = self.start()?;
        enrol_process(i32::try_from(child.id())?);
        Ok(Running { child: Some(child) })
    }
}

/// A command on its way to its end.
pub struct Started {
    line: String,
    pid: i32,
    limit: Duration,
    receiver: mpsc::Receiver<std::io::Result<Output>>,
}

impl Started {
    /// Kills it at once (SIGKILL), if it still runs.
    pub fn kill(&self) {
        kill_process(self.pid);
    }

    /// Waits for its end.
    pub fn wait(self) -> Result<Outcome> {
        match self.receiver.recv_timeout(self.limit) {
            Ok(output) => Ok(Outcome::new(self.line, &output?)),
            Err(_) => {
                self.kill();
                bail!("`{}` took longer than {:?}", self.line, self.limit)
            }
        }
    }
}

/// A service that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Sends a signal and waits for its end; tells its exit status.
    pub fn stop(mut self, signal: Signal) -> Result<i32> {
        let mut child = self.child.take().context("already stopped")?;
        let pid = i32::try_from(child.id())?;
        kill(Pid::from_raw(pid), signal)?;
        let status = child.wait();
        forget_process(pid);
        Ok(status_number(status?))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Lets it run on for ever.
    pub fn detach(mut self) {
        if let Some(child) = self.child.take() {
            forget_process(i32::try_from(child.id()).unwrap_or_default());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
            forget_process(i32::try_from(child.id()).unwrap_or_default());
        }
    }
}
