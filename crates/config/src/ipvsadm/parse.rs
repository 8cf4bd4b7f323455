//! From the words of a command line to what they ask for.
//!
//! Errors, their order and their status are the original's; nothing is asked of a data plane here.

use super::checks::{check_additions, check_command, check_list, check_tunnel};
use super::draft::Draft;
use super::popt::{Token, Tokens};
use super::table::{Class, Command, Id};
use super::{number, save};
use crate::names::Names;
use rvs_core::abi::{Forward, ServiceKey, flags};
use rvs_intent::{Daemon, DaemonRole, Dest, Edit, ServiceSettings, Timeouts};
use rvs_wire::{Addr, Be16, Family};
use std::ffi::OsString;
use std::fmt;

/// The longest timeout that can be asked for: 31 days, in seconds.
pub(super) const MAX_TIMEOUT: i64 = 31 * 24 * 3600;
/// The scheduler of services that name none.
const DEFAULT_SCHEDULER: &str = "wlc";
/// IP protocol number of UDP.
const UDP: u8 = 17;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A change of the table.
    Edit(Edit),
    /// `-L`.
    List(ListRequest),
    /// `-S`.
    Save {
        /// `-n`.
        numeric: bool,
        /// `--full`.
        full: bool,
    },
    /// `-R`.
    Restore,
    /// `-Z`, of one service or all.
    Zero(Option<ServiceKey>),
    /// `--start-daemon`.
    StartDaemon(Daemon),
    /// `--stop-daemon`.
    StopDaemon(DaemonRole),
    /// `--diff`.
    Diff {
        /// The file; `-`: standard input.
        file: OsString,
        /// `--json`.
        json: bool,
    },
    /// `--drain`.
    Drain {
        /// Whom.
        target: Target,
        /// The longest time to wait, in seconds; `None`: as long as it takes.
        limit: Option<u32>,
        /// `--json`.
        json: bool,
    },
    /// `--purge-dest`.
    Purge {
        /// Whom.
        target: Target,
        /// `--json`.
        json: bool,
    },
    /// `--dry-run` of the action.
    DryRun {
        /// Of [`Action::Edit`] or [`Action::Restore`].
        action: Box<Action>,
        /// `--json`.
        json: bool,
    },
    /// `-h`.
    Help,
    /// `-v`.
    Version,
}

/// A real server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The service.
    pub key: ServiceKey,
    /// The real server's address.
    pub addr: Addr,
    /// The family of `addr`.
    pub family: Family,
    /// Its port.
    pub port: Be16,
}

impl fmt::Display for Target {
    /// `-t 10.0.1.10:80 -r 10.0.2.11:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&save::target(self))
    }
}

/// What to list, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// What.
    pub shown: Shown,
    /// Which figures of services and servers.
    pub view: View,
    /// `-n`: no names of hosts and ports.
    pub numeric: bool,
    /// `--exact`: numbers in full.
    pub exact: bool,
    /// `--nosort`: in the order of the table.
    pub unsorted: bool,
    /// `--persistent-conn`; for connections it adds the columns of persistence engines.
    pub engine_columns: bool,
    /// `--json`.
    pub json: bool,
    /// `--watch`: seconds between one listing and the next.
    pub watch: Option<u32>,
}

/// What a listing is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// All services.
    #[default]
    Table,
    /// One service.
    Service(ServiceKey),
    /// `-c`.
    Connections,
    /// `--timeout`.
    Timeouts,
    /// `--daemon`.
    Daemons,
}

/// Which figures a listing has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Forwarding, weight and connections.
    #[default]
    Plain,
    /// `--stats`.
    Stats,
    /// `--rate`.
    Rate,
    /// `--thresholds`.
    Thresholds,
    /// `--persistent-conn`.
    PersistentConn,
    /// `--tun-info`.
    TunInfo,
}

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    /// The text, without the line's end.
    pub text: String,
    /// Exit status.
    pub status: i32,
}

impl UsageError {
    /// What is asked for makes no sense: status 2.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: 2 }
    }

    /// It cannot be read: status 255.
    pub(super) fn unreadable(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: 255 }
    }

    fn try_help() -> Self {
        Self::unreadable("Try `ipvsadm -h' or 'ipvsadm --help' for more information.")
    }
}

/// Reads the words behind the program's name. No words list the table.
///
/// # Errors
/// The original's text and status.
pub fn parse(args: &[OsString], names: &dyn Names) -> Result<Action, UsageError> {
    if args.is_empty() {
        return Ok(Action::List(ListRequest::default()));
    }
    let mut tokens = Tokens::new(args);
    let mut words = Vec::new();
    let (command, value) = first_command(&mut tokens, &mut words)?;
    match command {
        Command::Help => return Ok(Action::Help),
        Command::Version => return Ok(Action::Version),
        _ => {}
    }
    let argument = Argument::of(command, value)?;
    let mut draft = Draft::default();
    while let Some(token) = tokens.next().map_err(|bad| UsageError::unreadable(format!("{}: {}", bad.word, bad.why)))? {
        match token {
            Token::Option(opt, _) if matches!(opt.id, Id::Command(_)) => {
                return Err(UsageError::refused(format!("invalid option `{}'", tokens.word())));
            }
            Token::Option(opt, value) => draft.take(opt, value.as_deref(), names)?,
            Token::Word(word) => words.push(word),
        }
    }
    let mut words = words.into_iter();
    let timeouts = if command == Command::Set { Some(timeouts(&mut words)?) } else { None };
    if let Some(word) = words.next() {
        return Err(UsageError::refused(format!("unexpected argument {word}")));
    }
    draft.finish_flags()?;
    check_command(command, draft.given)?;
    check_additions(command, draft.given)?;
    let (dry_run, json) = (draft.given.has(Class::DryRun), draft.given.has(Class::Json));
    let action = match timeouts {
        Some(timeouts) => Ok(Action::Edit(Edit::SetTimeouts(timeouts))),
        None => action(command, argument, draft),
    }?;
    Ok(if dry_run { Action::DryRun { action: Box::new(action), json } } else { action })
}

/// What belongs to the command itself.
struct Argument {
    role: DaemonRole,
    text: String,
    secs: Option<u32>,
}

impl Argument {
    fn of(command: Command, value: Option<String>) -> Result<Self, UsageError> {
        let mut argument = Self { role: DaemonRole::Master, text: String::new(), secs: None };
        match (command, value) {
            (Command::StartDaemon, Some(name)) => {
                argument.role = role(&name, "illegal start-daemon parameter specified")?;
            }
            (Command::StopDaemon, Some(name)) => argument.role = role(&name, "illegal start_daemon specified")?,
            (Command::Drain, Some(secs)) => argument.secs = Some(timeout(&secs, 0)?),
            (Command::Diff, Some(file)) => argument.text = file,
            _ => {}
        }
        Ok(argument)
    }
}

/// The option that says what to do; it must be the first. Words before it are kept.
fn first_command(tokens: &mut Tokens, words: &mut Vec<String>) -> Result<(Command, Option<String>), UsageError> {
    loop {
        match tokens.next() {
            Ok(Some(Token::Word(word))) => words.push(word),
            Ok(Some(Token::Option(opt, value))) => match opt.id {
                Id::Command(command) => return Ok((command, value)),
                _ => return Err(UsageError::try_help()),
            },
            Ok(None) | Err(_) => return Err(UsageError::try_help()),
        }
    }
}

fn role(name: &str, complaint: &str) -> Result<DaemonRole, UsageError> {
    DaemonRole::from_name(name).ok_or_else(|| UsageError::refused(complaint))
}

fn timeouts(words: &mut impl Iterator<Item = String>) -> Result<Timeouts, UsageError> {
    let mut next = || {
        let word = words.next().ok_or_else(|| UsageError::refused("--set option requires 3 timeout values"))?;
        timeout(&word, 0)
    };
    Ok(Timeouts { tcp: next()?, tcp_fin: next()?, udp: next()? })
}

/// A timeout of at least `least` seconds.
pub(super) fn timeout(text: &str, least: i64) -> Result<u32, UsageError> {
    // Nothing at all is 0, as in the original.
    let number = if text.is_empty() { "0" } else { text };
    number::whole(number, least..=MAX_TIMEOUT)
        .and_then(|secs| u32::try_from(secs).ok())
        .ok_or_else(|| UsageError::refused(format!("invalid timeout value `{text}' specified")))
}

fn action(command: Command, argument: Argument, draft: Draft) -> Result<Action, UsageError> {
    let (key, json) = (draft.key(), draft.given.has(Class::Json));
    let Dest { addr, family, port, .. } = draft.server();
    let target = Target { key, addr, family, port };
    Ok(match command {
        Command::AddService => Action::Edit(Edit::AddService(settings(draft)?)),
        Command::EditService => Action::Edit(Edit::EditService(settings(draft)?)),
        Command::DeleteService => Action::Edit(Edit::DeleteService(key)),
        Command::Clear => Action::Edit(Edit::Flush),
        Command::AddServer => Action::Edit(Edit::AddDest(key, server(draft)?)),
        Command::EditServer => Action::Edit(Edit::EditDest(key, server(draft)?)),
        Command::DeleteServer => {
            let server = draft.server();
            Action::Edit(Edit::DeleteDest(key, server.addr, server.port))
        }
        Command::List => Action::List(list_request(&draft)?),
        Command::Zero => Action::Zero(draft.given.has(Class::Service).then_some(key)),
        Command::Save => Action::Save { numeric: draft.given.has(Class::Numeric), full: draft.given.has(Class::Full) },
        Command::Restore => Action::Restore,
        Command::StartDaemon => Action::StartDaemon(Daemon { role: argument.role, ..draft.daemon }),
        Command::StopDaemon => Action::StopDaemon(argument.role),
        Command::Diff => Action::Diff { file: argument.text.into(), json },
        Command::Drain => Action::Drain { target, limit: argument.secs, json },
        Command::PurgeDest => Action::Purge { target, json },
        Command::Set | Command::Help | Command::Version => return Err(UsageError::try_help()),
    })
}

fn settings(draft: Draft) -> Result<ServiceSettings, UsageError> {
    let (by_mark, key) = (draft.mark != 0, draft.key());
    if !by_mark && key.port == Be16::ZERO && draft.flags & flags::PERSISTENT == 0 {
        return Err(UsageError::refused("Zero port specified for non-persistent service"));
    }
    if draft.flags & flags::ONE_PACKET != 0 && !by_mark && key.proto != UDP {
        return Err(UsageError::refused("One-Packet Scheduling is only for UDP virtual services"));
    }
    Ok(ServiceSettings {
        key,
        sched: if draft.sched.is_empty() { DEFAULT_SCHEDULER.to_owned() } else { draft.sched },
        flags: draft.flags,
        persist_secs: draft.persist_secs,
        netmask: draft.netmask,
        engine: draft.engine,
    })
}

fn server(draft: Draft) -> Result<Dest, UsageError> {
    let (key, given) = (draft.key(), draft.given);
    let mut server = draft.server();
    let tunnelled = server.forward == Forward::Tunnel;
    if draft.mark == 0 && matches!(server.forward, Forward::Tunnel | Forward::Route) {
        server.port = key.port;
    }
    if server.family.raw() != key.family && !tunnelled {
        return Err(UsageError::refused("Different address family is allowed only for tunneling servers"));
    }
    let tunnel = [Class::TunType, Class::TunPort, Class::TunNocsum, Class::TunCsum, Class::TunRemcsum, Class::TunInfo];
    if given.any(&tunnel) && !tunnelled {
        return Err(UsageError::refused("Tunnel options conflict with forward method"));
    }
    check_tunnel(server.tunnel.kind, given)?;
    Ok(server)
}

fn list_request(draft: &Draft) -> Result<ListRequest, UsageError> {
    let given = draft.given;
    check_list(given)?;
    let first = |choices: &[(Class, View)]| choices.iter().find(|(class, _)| given.has(*class)).map(|(_, view)| *view);
    let shown = if given.has(Class::Connection) {
        Shown::Connections
    } else if given.has(Class::Service) {
        Shown::Service(draft.key())
    } else if given.has(Class::Timeout) {
        Shown::Timeouts
    } else if given.has(Class::Daemon) {
        Shown::Daemons
    } else {
        Shown::Table
    };
    let view = first(&[
        (Class::Stats, View::Stats),
        (Class::Rate, View::Rate),
        (Class::Thresholds, View::Thresholds),
        (Class::PersistentConn, View::PersistentConn),
        (Class::TunInfo, View::TunInfo),
    ]);
    Ok(ListRequest {
        shown,
        view: view.unwrap_or_default(),
        numeric: given.has(Class::Numeric),
        exact: given.has(Class::Exact),
        unsorted: given.has(Class::NoSort),
        engine_columns: given.has(Class::PersistentConn),
        json: given.has(Class::Json),
        watch: draft.watch,
    })
}
