//! Running a script to its end: as whom, for how long, and how it ended. No shell is involved unless the script is one.

use super::security::RunAs;
use crate::sys::{Become, become_in_child};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getegid, geteuid};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a script that took too long has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Program and arguments; not empty. A program of the form `</path` runs nothing: it succeeds when the file can be opened.
    pub words: Vec<String>,
    /// As whom.
    pub by: RunAs,
    /// With which supplementary groups.
    pub groups: Vec<u32>,
    /// Variables set on top of the daemon's own environment.
    pub variables: Vec<(String, String)>,
}

impl Script {
    /// A script of these words, run by this user without supplementary groups.
    pub const fn new(words: Vec<String>, by: RunAs) -> Self {
        Self { words, by, groups: Vec::new(), variables: Vec::new() }
    }

    /// The same with more arguments at the end.
    pub fn with<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.words.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Its first word, for the log.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The file that is to be opened instead of running anything.
    fn file(&self) -> Option<&str> {
        self.name().strip_prefix('<').map(str::trim_start).filter(|path| path.starts_with('/'))
    }

    fn command(&self) -> Option<Command> {
        let (program, arguments) = self.words.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).kill_on_drop(true);
        let same = self.by.uid == geteuid().as_raw() && self.by.gid == getegid().as_raw() && self.groups.is_empty();
        if !same {
            let who = Become { uid: self.by.uid, gid: self.by.gid, groups: self.groups.clone() };
            become_in_child(&mut command, who);
        }
        Some(command)
    }
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// It took too long and was ended.
    TimedOut,
    /// It could not be started.
    NotStarted(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signalled(signal) => {
                let name = Signal::try_from(*signal).map_or("unknown", Signal::as_str);
                write!(f, "exited due to signal {signal} ({name})")
            }
            Self::TimedOut => f.write_str("timed out"),
            Self::NotStarted(reason) => write!(f, "could not be started: {reason}"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signalled(signal.unwrap_or(0)),
        }
    }
}

/// A process and all that it started in its group; ended when this is dropped before its end was seen.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    pub(crate) fn start(script: &Script) -> Result<Self, Ended> {
        let not = |reason: String| Ended::NotStarted(reason);
        let mut command = script.command().ok_or_else(|| not("there is no command".into()))?;
        let child = command.spawn().map_err(|error| not(error.to_string()))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, id })
    }

    pub(crate) async fn wait(&mut self) -> Ended {
        let ended = match self.child.wait().await {
            Ok(status) => status.into(),
            Err(error) => Ended::NotStarted(error.to_string()),
        };
        self.id = None; // Its number may be somebody else's from here on.
        ended
    }

    /// SIGTERM to all of them, SIGKILL when that is not enough; returns when it is over.
    pub(crate) async fn end(&mut self) {
        self.signal(Signal::SIGTERM);
        if timeout(GRACE, self.wait()).await.is_err() {
            self.signal(Signal::SIGKILL);
            self.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // It may have ended just now: then there is nobody to signal.
            let _ = killpg(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Runs a script to its end, at most so long. Dropped before that, it takes the script with it.
pub async fn run(script: &Script, longest: Option<Duration>) -> Ended {
    let over = async {
        match longest {
            Some(longest) => tokio::time::sleep(longest).await,
            None => std::future::pending().await,
        }
    };
    run_until(script, over).await
}

/// Runs a script to its end, at most until `over` ends: then it is ended in order, which counts as [`Ended::TimedOut`]. Dropped
/// before that, it takes the script with it.
pub async fn run_until(script: &Script, over: impl Future<Output = ()>) -> Ended {
    if let Some(path) = script.file() {
        return Ended::Exited(i32::from(std::fs::File::open(path).is_err()));
    }
    let mut group = match Group::start(script) {
        Ok(group) => group,
        Err(ended) => return ended,
    };
    tokio::select! {
        biased;
        ended = group.wait() => return ended,
        () = over => {}
    }
    group.end().await;
    Ended::TimedOut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DEADLINE, eventually, is_root};

    fn me() -> RunAs {
        RunAs { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }

    fn shell(text: &str) -> Script {
        Script::new(["/bin/sh", "-c", text, "sh"].map(String::from).to_vec(), me())
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        crate::testing::runtime().block_on(future)
    }

    #[test]
    fn status_signal_and_failure_to_start() {
        assert_eq!(block(run(&shell("exit 7"), None)), Ended::Exited(7));
        assert_eq!(block(run(&shell("kill -9 $$"), Some(DEADLINE))), Ended::Signalled(9));
        assert!(matches!(block(run(&Script::new(vec!["/no/such".into()], me()), None)), Ended::NotStarted(_)));
        assert!(matches!(block(run(&Script::new(vec![], me()), None)), Ended::NotStarted(_)));
        assert_eq!(Ended::Signalled(9).to_string(), "exited due to signal 9 (SIGKILL)");
    }

    #[test]
    fn arguments_and_variables_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let mut script =
            shell("printf '%s|' \"$@\" \"$OUT_TAG\" > \"$OUT\"").with(["INSTANCE", "VI 1", "MASTER", "100"]);
        script.variables = vec![("OUT".into(), out.display().to_string()), ("OUT_TAG".into(), "tag".into())];
        assert_eq!(block(run(&script, Some(DEADLINE))), Ended::Exited(0));
        assert_eq!(std::fs::read_to_string(out).unwrap(), "INSTANCE|VI 1|MASTER|100|tag|");
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let mut script = shell("trap '' TERM; sleep 1000 & echo $! > \"$PID\"; wait; sleep 1000");
        script.variables = vec![("PID".into(), pid.display().to_string())];
        assert_eq!(block(run(&script, Some(Duration::from_millis(300)))), Ended::TimedOut);
        let child: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        eventually("the child's end", || nix::sys::signal::kill(Pid::from_raw(child), None).is_err());
    }

    #[test]
    fn a_dropped_run_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let mut script = shell("echo $$ > \"$PID\"; exec sleep 1000");
        script.variables = vec![("PID".into(), pid.display().to_string())];
        let mut id = 0;
        block(async {
            let task = tokio::spawn(async move { run(&script, None).await });
            let read = || std::fs::read_to_string(&pid).ok().and_then(|text| text.trim().parse().ok());
            while id == 0 {
                id = read().unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            task.abort();
            let _ = task.await;
            // Reaped by the runtime, which must get its turn.
            while nix::sys::signal::kill(Pid::from_raw(id), None).is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }

    #[test]
    fn another_user_has_none_of_ours() {
        if !is_root() {
            return;
        }
        let mut script = shell("test \"$(id -u):$(id -g):$(id -G)\" = \"65534:65533:65533 7\"");
        script.by = RunAs { uid: 65534, gid: 65533 };
        script.groups = vec![7];
        assert_eq!(block(run(&script, Some(DEADLINE))), Ended::Exited(0));
        script.groups.clear();
        script.words[2] = "test \"$(id -G)\" = 65533".into();
        assert_eq!(block(run(&script, Some(DEADLINE))), Ended::Exited(0));
    }

    #[test]
    fn a_file_that_can_be_opened_is_a_success() {
        let script = |path: &str| Script::new(vec![path.into()], me());
        assert_eq!(block(run(&script("</dev/null"), None)), Ended::Exited(0));
        assert_eq!(block(run(&script("< /no/such"), None)), Ended::Exited(1));
    }
}
