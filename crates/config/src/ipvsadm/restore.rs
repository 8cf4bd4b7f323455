//! Saved rules, read back: all lines are checked before one takes effect.
//!
//! Unlike the original's, lines that are empty or begin with `#` are skipped, and an error names its line.

use super::parse::{Action, UsageError, parse};
use crate::names::Names;
use rvs_intent::{Daemon, DaemonRole, Edit};
use std::ffi::OsString;

/// A rule and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its line, from 1.
    pub line: usize,
    /// What it asks for.
    pub edit: Edit,
}

/// What is asked of a synchronisation daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonOrder {
    /// `--start-daemon`.
    Start(Daemon),
    /// `--stop-daemon`.
    Stop(DaemonRole),
}

/// What saved rules ask for. Rules are carried out in order, and so are orders to daemons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Changes of the table.
    pub rules: Vec<Rule>,
    /// Orders to daemons, with their lines.
    pub daemons: Vec<(usize, DaemonOrder)>,
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The line, from 1.
    pub line: usize,
    /// Why, with the exit status that the line alone would have had.
    pub error: UsageError,
}

/// Reads rules, one a line, each as the words of an ipvsadm command line (the program's name may stand first).
///
/// # Errors
/// The first line that cannot be read or is not a change of the table.
pub fn read_script(text: &str, names: &dyn Names) -> Result<Script, ScriptError> {
    let mut script = Script::default();
    for (index, text) in text.lines().enumerate() {
        let mut words = text.split_whitespace().peekable();
        words.next_if(|word| word.rsplit('/').next() == Some("ipvsadm"));
        if words.peek().is_none_or(|word| word.starts_with('#')) {
            continue;
        }
        let args: Vec<OsString> = words.map(OsString::from).collect();
        let line = index + 1;
        match parse(&args, names) {
            Ok(Action::Edit(edit)) => script.rules.push(Rule { line, edit }),
            Ok(Action::StartDaemon(daemon)) => script.daemons.push((line, DaemonOrder::Start(daemon))),
            Ok(Action::StopDaemon(role)) => script.daemons.push((line, DaemonOrder::Stop(role))),
            Ok(_) => {
                let error = UsageError::refused("only rules that change the table can be restored");
                return Err(ScriptError { line, error });
            }
            Err(error) => return Err(ScriptError { line, error }),
        }
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::FixedNames;

    fn read(text: &str) -> Result<Script, ScriptError> {
        read_script(text, &FixedNames::default())
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_and_lines_counted() {
        let script = read("# saved\n\nipvsadm -C\n/sbin/ipvsadm -A -t 10.0.1.10:80\n-D -t 10.0.1.10:80\n").unwrap();
        assert_eq!(script.rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn daemons_are_apart() {
        let script = read("--set 900 120 300\n--start-daemon backup --syncid 3\n--stop-daemon master\n").unwrap();
        let daemon = Daemon { syncid: 3, ..Daemon::new(DaemonRole::Backup) };
        assert_eq!(script.rules.len(), 1);
        assert_eq!(script.daemons, [(2, DaemonOrder::Start(daemon)), (3, DaemonOrder::Stop(DaemonRole::Master))]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = read("-C\n-A -t \"10.0.1.10:80\"\n").unwrap_err();
        assert_eq!((error.line, error.error.status), (2, 2));
        for bad in ["-L", "-R", "-S", "-h", "-Z", "-C --dry-run", "--diff x", "--drain -t 10.0.1.10:80 -r 10.0.2.11"] {
            assert_eq!(read(bad).unwrap_err().line, 1, "{bad}");
        }
    }
}
