//! keepalived's command line: one table of options, read the way getopt_long does.
//!
//! The table gives the parser and the help text; what an option does is up to who asks for [`Settings`].

use std::path::PathBuf;

/// Whether an option has an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// None.
    No,
    /// Always: behind it, or the next word.
    Yes,
    /// Only attached to it.
    Maybe,
}

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the option of its name in the table")]
pub enum Id {
    File,
    Vrrp,
    Check,
    NoBfd,
    All,
    LogConsole,
    LogDetail,
    LogFacility,
    LogFile,
    FlushLogFile,
    NoSyslog,
    LogFormat,
    Umask,
    ReleaseVips,
    KeepVrrp,
    KeepIpvs,
    NoRespawn,
    NoFork,
    DumpConf,
    DumpConfig,
    Pid,
    VrrpPid,
    CheckersPid,
    BfdPid,
    AddressMonitoring,
    Snmp,
    SnmpSocket,
    Namespace,
    CoreDump,
    CoreDumpPattern,
    AllConfig,
    ConfigId,
    Signum,
    Perf,
    Debug,
    NoMemCheck,
    IgnoreSigint,
    Genhash,
    ConfigTest,
    Version,
    Help,
}

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// What it is about.
    pub id: Id,
    /// Its letter.
    pub short: Option<char>,
    /// Its name behind `--`.
    pub long: &'static str,
    /// Whether it has an argument.
    pub arg: Arg,
    /// The argument's name in the help text.
    pub metavar: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn opt(
    id: Id,
    short: Option<char>,
    long: &'static str,
    arg: Arg,
    metavar: &'static str,
    help: &'static str,
) -> Opt {
    Opt { id, short, long, arg, metavar, help }
}

use Arg::{Maybe, No, Yes};

/// Every option, in the order of the help text.
#[rustfmt::skip]
pub const OPTIONS: &[Opt] = &[
    opt(Id::File, Some('f'), "use-file", Yes, "FILE", "read FILE instead of /etc/keepalived/keepalived.conf"),
    opt(Id::ConfigTest, Some('t'), "config-test", Maybe, "LOG_FILE", "check the configuration and end; reports go to LOG_FILE"),
    opt(Id::DumpConfig, None, "dump-config", No, "", "print the effective configuration and end"),
    opt(Id::ConfigId, Some('i'), "config-id", Yes, "ID", "take lines that begin with @ID; by default the host's name"),
    opt(Id::AllConfig, Some('e'), "all-config", No, "", "a file to include that is missing is an error"),
    opt(Id::Vrrp, Some('P'), "vrrp", No, "", "VRRP only"),
    opt(Id::Check, Some('C'), "check", No, "", "checkers only"),
    opt(Id::NoBfd, Some('B'), "no_bfd", No, "", "no BFD"),
    opt(Id::All, None, "all", No, "", "everything, whether configured or not"),
    opt(Id::NoFork, Some('n'), "dont-fork", No, "", "stay in the foreground"),
    opt(Id::LogConsole, Some('l'), "log-console", No, "", "log to the console"),
    opt(Id::LogDetail, Some('D'), "log-detail", No, "", "log in detail"),
    opt(Id::LogFacility, Some('S'), "log-facility", Yes, "0-7|localN|user|daemon", "the facility of the system's log"),
    opt(Id::LogFile, Some('g'), "log-file", Maybe, "FILE", "log to FILE as well"),
    opt(Id::FlushLogFile, None, "flush-log-file", No, "", "write every line of the file at once"),
    opt(Id::NoSyslog, Some('G'), "no-syslog", No, "", "do not log to the system's log"),
    opt(Id::LogFormat, None, "log-format", Yes, "text|json", "the form of log lines"),
    opt(Id::Umask, Some('u'), "umask", Yes, "MASK", "the mode of files that are made"),
    opt(Id::ReleaseVips, Some('X'), "release-vips", No, "", "drop addresses when a signal ends being master"),
    opt(Id::KeepVrrp, Some('V'), "dont-release-vrrp", No, "", "leave addresses and routes behind at the end"),
    opt(Id::KeepIpvs, Some('I'), "dont-release-ipvs", No, "", "leave virtual servers behind at the end"),
    opt(Id::NoRespawn, Some('R'), "dont-respawn", No, "", "end when a part ends"),
    opt(Id::DumpConf, Some('d'), "dump-conf", No, "", "log the configuration at the start"),
    opt(Id::Pid, Some('p'), "pid", Yes, "FILE", "the file for the number of the process"),
    opt(Id::VrrpPid, Some('r'), "vrrp_pid", Yes, "FILE", "the same for VRRP"),
    opt(Id::CheckersPid, Some('c'), "checkers_pid", Yes, "FILE", "the same for the checkers"),
    opt(Id::BfdPid, Some('b'), "bfd_pid", Yes, "FILE", "the same for BFD"),
    opt(Id::AddressMonitoring, Some('a'), "address-monitoring", No, "", "log every address that comes or goes"),
    opt(Id::Namespace, Some('s'), "namespace", Yes, "NAME", "run in a network namespace"),
    opt(Id::Snmp, Some('x'), "snmp", No, "", "accepted; there is no SNMP"),
    opt(Id::SnmpSocket, Some('A'), "snmp-agent-socket", Yes, "FILE", "accepted; there is no SNMP"),
    opt(Id::CoreDump, Some('m'), "core-dump", No, "", "leave a core dump after a crash"),
    opt(Id::CoreDumpPattern, Some('M'), "core-dump-pattern", Maybe, "PATTERN", "accepted; the system's pattern stays"),
    opt(Id::Signum, None, "signum", Yes, "NAME", "print the number of the signal STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON"),
    opt(Id::Perf, None, "perf", Maybe, "WHEN", "accepted; profile with the system's tools"),
    opt(Id::Debug, None, "debug", Maybe, "WHAT", "log for debugging"),
    opt(Id::NoMemCheck, None, "no-mem-check", No, "", "accepted; there is nothing to check"),
    opt(Id::IgnoreSigint, None, "ignore-sigint", No, "", "an interrupt does not end it"),
    opt(Id::Genhash, Some('T'), "genhash", No, "", "compute digests of pages; must come first"),
    opt(Id::Version, Some('v'), "version", No, "", "print the version"),
    opt(Id::Help, Some('h'), "help", No, "", "print this"),
];

/// The options of a command line, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    given: Vec<(Id, Option<String>)>,
}

impl Settings {
    /// True if an option was given.
    pub fn has(&self, id: Id) -> bool {
        self.given.iter().any(|(given, _)| *given == id)
    }

    /// The argument of an option; that of the last one if there were several.
    pub fn argument(&self, id: Id) -> Option<&str> {
        self.given.iter().rev().find(|(given, _)| *given == id)?.1.as_deref()
    }

    /// The file to read.
    pub fn file(&self) -> PathBuf {
        PathBuf::from(self.argument(Id::File).unwrap_or("/etc/keepalived/keepalived.conf"))
    }

    /// What the configuration may ask of the system, as changed by the options.
    pub fn environment(&self) -> super::Environment {
        let mut env = super::Environment::system();
        if let Some(id) = self.argument(Id::ConfigId) {
            env.config_id = id.to_owned();
        }
        env.all_files = self.has(Id::AllConfig);
        env
    }
}

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// There is no such option.
    Unknown(String),
    /// The beginning of several options.
    Ambiguous(String, Vec<&'static str>),
    /// It needs an argument.
    Missing(String),
    /// It has no argument.
    Unexpected(String),
    /// A word that is no option.
    Stray(String),
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(option) => write!(f, "Unknown option {option}"),
            Self::Ambiguous(option, names) => write!(f, "Option {option} is ambiguous: --{}", names.join(", --")),
            Self::Missing(option) => write!(f, "Missing parameter for option {option}"),
            Self::Unexpected(option) => write!(f, "Option {option} takes no parameter"),
            Self::Stray(word) => write!(f, "Unexpected argument '{word}'"),
        }
    }
}

impl std::error::Error for UsageError {}

/// Reads a command line without the program's name.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Settings, UsageError> {
    let mut settings = Settings::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            if long.is_empty() {
                if let Some(stray) = words.next() {
                    return Err(UsageError::Stray(stray.to_owned()));
                }
                break;
            }
            settings.given.push(long_option(long, &mut words)?);
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            short_options(letters, &mut words, &mut settings)?;
        } else {
            return Err(UsageError::Stray(word.to_owned()));
        }
    }
    Ok(settings)
}

type Given = (Id, Option<String>);

fn long_option<'a>(text: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<Given, UsageError> {
    let (name, attached) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let shown = || format!("--{name}");
    let exact = OPTIONS.iter().find(|opt| opt.long == name);
    let near: Vec<&Opt> = OPTIONS.iter().filter(|opt| opt.long.starts_with(name)).collect();
    let opt = match (exact, near.as_slice()) {
        (Some(opt), _) => opt,
        (None, [opt]) => *opt,
        (None, []) => return Err(UsageError::Unknown(shown())),
        (None, several) => {
            return Err(UsageError::Ambiguous(shown(), several.iter().map(|opt| opt.long).collect()));
        }
    };
    let argument = match (opt.arg, attached) {
        (Arg::No, Some(_)) => return Err(UsageError::Unexpected(shown())),
        (Arg::No, None) | (Arg::Maybe, None) => None,
        (Arg::Yes, Some("")) => return Err(UsageError::Missing(shown())),
        (Arg::Yes | Arg::Maybe, Some(value)) => Some(value.to_owned()),
        (Arg::Yes, None) => Some(words.next().ok_or_else(|| UsageError::Missing(shown()))?.to_owned()),
    };
    Ok((opt.id, argument))
}

fn short_options<'a>(
    letters: &str,
    words: &mut impl Iterator<Item = &'a str>,
    settings: &mut Settings,
) -> Result<(), UsageError> {
    for (at, letter) in letters.char_indices() {
        let shown = || format!("-{letter}");
        let opt = OPTIONS.iter().find(|opt| opt.short == Some(letter));
        let opt = opt.ok_or_else(|| UsageError::Unknown(shown()))?;
        let rest = letters.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
        let argument = match (opt.arg, rest) {
            (Arg::No, _) => {
                settings.given.push((opt.id, None));
                continue;
            }
            (Arg::Yes, None) => Some(words.next().ok_or_else(|| UsageError::Missing(shown()))?.to_owned()),
            (Arg::Yes | Arg::Maybe, rest) => rest.map(str::to_owned),
        };
        settings.given.push((opt.id, argument));
        break;
    }
    Ok(())
}

/// The help text.
pub fn help() -> String {
    let mut text = String::from("Usage: keepalived [OPTION...]\n");
    for opt in OPTIONS {
        let short = opt.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
        let argument = match opt.arg {
            Arg::No => String::new(),
            Arg::Yes => format!("={}", opt.metavar),
            Arg::Maybe => format!("[={}]", opt.metavar),
        };
        text += &format!("  {short}{:<28} {}\n", format!("--{}{argument}", opt.long), opt.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Settings, String> {
        parse(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn options_as_getopt_long_reads_them() {
        for line in ["-t -f x", "-tfx", "--config-test --use-file=x", "--config-t --use x"] {
            // An attached argument of -t is a log file, as in the original.
            let settings = read(line).expect("a good line");
            assert!(settings.has(Id::ConfigTest), "{line}");
        }
        let settings = read("-nlDf a.conf -i main --use-f=b.conf -S 3").expect("a good line");
        assert_eq!(settings.file(), PathBuf::from("b.conf"));
        assert!(settings.has(Id::NoFork) && settings.has(Id::LogConsole) && settings.has(Id::LogDetail));
        assert_eq!(settings.argument(Id::ConfigId), Some("main"));
        assert_eq!(read("-tlog").map(|s| s.argument(Id::ConfigTest).map(str::to_owned)), Ok(Some("log".into())));
        assert_eq!(
            read("--config-test=log").map(|s| s.argument(Id::ConfigTest).map(str::to_owned)),
            Ok(Some("log".into()))
        );
        assert!(read("--vrrp").expect("exact").has(Id::Vrrp));
    }

    #[test]
    fn wrong_lines_are_told_in_the_originals_words() {
        for (line, text) in [
            ("--nosuch", "Unknown option --nosuch"),
            ("--signum=", "Missing parameter for option --signum"),
            ("-f", "Missing parameter for option -f"),
            ("-ny", "Unknown option -y"),
            ("--dump-c", "Option --dump-c is ambiguous: --dump-config, --dump-conf"),
            ("--help=x", "Option --help takes no parameter"),
            ("extra", "Unexpected argument 'extra'"),
            ("-t -- extra", "Unexpected argument 'extra'"),
        ] {
            assert_eq!(read(line), Err(text.into()), "{line}");
        }
    }

    #[test]
    fn letters_and_names_are_unique_and_in_the_help_text() {
        let text = help();
        for (index, opt) in OPTIONS.iter().enumerate() {
            assert!(text.contains(&format!("--{}", opt.long)));
            for other in &OPTIONS[index + 1..] {
                assert!(opt.long != other.long && (opt.short != other.short || opt.short.is_none()), "{}", opt.long);
                assert!(opt.id != other.id, "{}", opt.long);
            }
        }
    }

    proptest! {
        #[test]
        fn any_words(words in proptest::collection::vec("[-=a-zé]{0,8}", 0..6)) {
            let _ = parse(words.iter().map(String::as_str));
        }
    }
}
