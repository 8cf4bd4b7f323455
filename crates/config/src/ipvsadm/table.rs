//! The option table: every command and option of ipvsadm, once, as data.
//!
//! The parser, the checks of what goes with what, the help text, the manual page and the completion all read this table and
//! nothing else; an option that is not here does not exist.

/// What an option is about; what the parser branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// An option that begins a command line.
    Command(Command),
    /// `-t`.
    Tcp,
    /// `-u`.
    Udp,
    /// `--sctp-service`.
    Sctp,
    /// `-f`.
    Mark,
    /// `-6`.
    Ipv6,
    /// `--sort`, which does nothing.
    Sort,
    /// `-g`.
    Gatewaying,
    /// `-i`.
    Ipip,
    /// `-m`.
    Masquerading,
    /// An option that is the only one of its class.
    Only(Class),
}

/// The commands, in the order of the columns of [`RULES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the option of its name")]
pub enum Command {
    AddService,
    EditService,
    DeleteService,
    Clear,
    AddServer,
    EditServer,
    DeleteServer,
    List,
    Zero,
    Save,
    Restore,
    Set,
    StartDaemon,
    StopDaemon,
    Diff,
    Drain,
    PurgeDest,
    Help,
    Version,
}

impl Command {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::Clear => "flush",
            Self::AddServer => "add-server",
            Self::EditServer => "edit-server",
            Self::DeleteServer => "delete-server",
            Self::List => "list",
            Self::Zero => "zero",
            Self::Save => "save",
            Self::Restore => "restore",
            Self::Set => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::Diff => "diff",
            Self::Drain => "drain",
            Self::PurgeDest => "purge-dest",
            Self::Help => "help",
            Self::Version => "version",
        }
    }
}

/// Options that exclude or need one another are of one class: `-t`, `-u` and `-f` are all a service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the option of its name, or the options that `RULES` names so")]
pub enum Class {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    Server,
    Forward,
    Weight,
    UThreshold,
    LThreshold,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    NoSort,
    SyncId,
    Exact,
    Ops,
    Engine,
    SchedFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    TunInfo,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    Json,
    DryRun,
    Full,
    Watch,
}

/// Whether an option has an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// None.
    No,
    /// Always.
    Yes,
    /// The next word, unless that begins with `-`.
    Maybe,
}

/// Part of the help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the headline of its name")]
pub enum Section {
    Commands,
    Service,
    Options,
    Daemon,
    /// Ours alone. Not in the help text, which is the original's.
    Additions,
    /// Not in the help text of the original.
    Hidden,
}

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// What it is.
    pub id: Id,
    /// Its letters; several are synonyms.
    pub short: &'static str,
    /// Its name behind `--`.
    pub long: &'static str,
    /// Whether it has an argument.
    pub arg: Arg,
    /// The argument's name in the help text.
    pub metavar: &'static str,
    /// Where the help text has it.
    pub section: Section,
    /// Its lines in the help text.
    pub help: &'static [&'static str],
}

impl Opt {
    /// Its class, if it is subject to [`RULES`].
    pub const fn class(&self) -> Option<Class> {
        match self.id {
            Id::Tcp | Id::Udp | Id::Sctp | Id::Mark => Some(Class::Service),
            Id::Gatewaying | Id::Ipip | Id::Masquerading => Some(Class::Forward),
            Id::Only(class) => Some(class),
            Id::Command(_) | Id::Ipv6 | Id::Sort => None,
        }
    }
}

const fn opt(
    id: Id,
    short: &'static str,
    long: &'static str,
    arg: Arg,
    metavar: &'static str,
    section: Section,
    help: &'static [&'static str],
) -> Opt {
    Opt { id, short, long, arg, metavar, section, help }
}

use Arg::{Maybe, No, Yes};
use Command as C;
use Id::{Command as Cmd, Only};
use Section::{Additions, Commands, Daemon, Hidden, Options, Service};

/// Every option, in the order of the help text.
#[rustfmt::skip]
pub const OPTIONS: &[Opt] = &[
    opt(Cmd(C::AddService), "A", "add-service", No, "", Commands, &["add virtual service with options"]),
    opt(Cmd(C::EditService), "E", "edit-service", No, "", Commands, &["edit virtual service with options"]),
    opt(Cmd(C::DeleteService), "D", "delete-service", No, "", Commands, &["delete virtual service"]),
    opt(Cmd(C::Clear), "C", "clear", No, "", Commands, &["clear the whole table"]),
    opt(Cmd(C::Restore), "R", "restore", No, "", Commands, &["restore rules from stdin"]),
    opt(Cmd(C::Save), "S", "save", No, "", Commands, &["save rules to stdout"]),
    opt(Cmd(C::AddServer), "a", "add-server", No, "", Commands, &["add real server with options"]),
    opt(Cmd(C::EditServer), "e", "edit-server", No, "", Commands, &["edit real server with options"]),
    opt(Cmd(C::DeleteServer), "d", "delete-server", No, "", Commands, &["delete real server"]),
    opt(Cmd(C::List), "Ll", "list", No, "", Commands, &["list the table"]),
    opt(Cmd(C::Zero), "Z", "zero", No, "", Commands, &["zero counters in a service or all services"]),
    opt(Cmd(C::Set), "", "set", No, "tcp tcpfin udp", Commands, &["set connection timeout values"]),
    opt(Cmd(C::StartDaemon), "", "start-daemon", Yes, "", Commands, &["start connection sync daemon"]),
    opt(Cmd(C::StopDaemon), "", "stop-daemon", Yes, "", Commands, &["stop connection sync daemon"]),
    opt(Cmd(C::Help), "h", "help", No, "", Commands, &["display this help message"]),
    opt(Cmd(C::Version), "v", "version", No, "", Hidden, &["display the version"]),

    opt(Id::Tcp, "t", "tcp-service", Yes, "service-address", Service, &["service-address is host[:port]"]),
    opt(Id::Udp, "u", "udp-service", Yes, "service-address", Service, &["service-address is host[:port]"]),
    opt(Id::Sctp, "", "sctp-service", Yes, "service-address", Service, &["service-address is host[:port]"]),
    opt(Id::Mark, "f", "fwmark-service", Yes, "fwmark", Service, &["fwmark is an integer greater than zero"]),

    opt(Id::Ipv6, "6", "ipv6", No, "", Options, &["fwmark entry uses IPv6"]),
    opt(Only(Class::Scheduler), "s", "scheduler", Yes, "scheduler", Options,
        &["one of rr|wrr|lc|wlc|lblc|lblcr|dh|sh|sed|nq|fo|ovf|mh,", "the default scheduler is wlc."]),
    opt(Only(Class::Engine), "", "pe", Yes, "engine", Options,
        &["alternate persistence engine may be sip,", "not set by default."]),
    opt(Only(Class::Persistent), "p", "persistent", Maybe, "[timeout]", Options, &["persistent service"]),
    opt(Only(Class::Netmask), "M", "netmask", Yes, "netmask", Options, &["persistent granularity mask"]),
    opt(Only(Class::Server), "r", "real-server", Yes, "server-address", Options,
        &["server-address is host (and port)"]),
    opt(Id::Gatewaying, "g", "gatewaying", No, "", Options, &["gatewaying (direct routing) (default)"]),
    opt(Id::Ipip, "i", "ipip", No, "", Options, &["ipip encapsulation (tunneling)"]),
    opt(Id::Masquerading, "m", "masquerading", No, "", Options, &["masquerading (NAT)"]),
    opt(Only(Class::TunType), "", "tun-type", Yes, "type", Options,
        &["one of ipip|gue|gre,", "the default tunnel type is ipip."]),
    opt(Only(Class::TunPort), "", "tun-port", Yes, "port", Options, &["tunnel destination port"]),
    opt(Only(Class::TunNocsum), "", "tun-nocsum", No, "", Options, &["tunnel encapsulation without checksum"]),
    opt(Only(Class::TunCsum), "", "tun-csum", No, "", Options, &["tunnel encapsulation with checksum"]),
    opt(Only(Class::TunRemcsum), "", "tun-remcsum", No, "", Options,
        &["tunnel encapsulation with remote checksum"]),
    opt(Only(Class::Weight), "w", "weight", Yes, "weight", Options, &["capacity of real server"]),
    opt(Only(Class::UThreshold), "x", "u-threshold", Yes, "uthreshold", Options,
        &["upper threshold of connections"]),
    opt(Only(Class::LThreshold), "y", "l-threshold", Yes, "lthreshold", Options,
        &["lower threshold of connections"]),
    opt(Only(Class::Connection), "c", "connection", No, "", Options, &["output of current IPVS connections"]),
    opt(Only(Class::Timeout), "", "timeout", No, "", Options, &["output of timeout (tcp tcpfin udp)"]),
    opt(Only(Class::Daemon), "", "daemon", No, "", Options, &["output of daemon information"]),
    opt(Only(Class::Stats), "", "stats", No, "", Options, &["output of statistics information"]),
    opt(Only(Class::Rate), "", "rate", No, "", Options, &["output of rate information"]),
    opt(Only(Class::Exact), "", "exact", No, "", Options, &["expand numbers (display exact values)"]),
    opt(Only(Class::Thresholds), "", "thresholds", No, "", Options, &["output of thresholds information"]),
    opt(Only(Class::PersistentConn), "", "persistent-conn", No, "", Options,
        &["output of persistent connection info"]),
    opt(Only(Class::TunInfo), "", "tun-info", No, "", Options, &["output of tunnel information"]),
    opt(Only(Class::NoSort), "", "nosort", No, "", Options,
        &["disable sorting output of service/server entries"]),
    opt(Id::Sort, "", "sort", No, "", Options, &["does nothing, for backwards compatibility"]),
    opt(Only(Class::Ops), "o", "ops", No, "", Options, &["one-packet scheduling"]),
    opt(Only(Class::Numeric), "n", "numeric", No, "", Options, &["numeric output of addresses and ports"]),
    opt(Only(Class::SchedFlags), "b", "sched-flags", Yes, "flags", Options,
        &["scheduler flags (comma-separated)"]),

    opt(Only(Class::SyncId), "", "syncid", Yes, "sid", Daemon, &["syncid for connection sync (default=255)"]),
    opt(Only(Class::SyncMaxlen), "", "sync-maxlen", Yes, "length", Daemon,
        &["Max sync message length (default=1472)"]),
    opt(Only(Class::McastInterface), "", "mcast-interface", Yes, "interface", Daemon,
        &["multicast interface for connection sync"]),
    opt(Only(Class::McastGroup), "", "mcast-group", Yes, "address", Daemon,
        &["IPv4/IPv6 group (default=224.0.0.81)"]),
    opt(Only(Class::McastPort), "", "mcast-port", Yes, "port", Daemon, &["UDP port (default=8848)"]),
    opt(Only(Class::McastTtl), "", "mcast-ttl", Yes, "ttl", Daemon, &["Multicast TTL (default=1)"]),
    opt(Cmd(C::Diff), "", "diff", Yes, "file", Additions,
        &["show what restoring the rules of a file (- for stdin) would change;", "status 0: nothing, 1: something"]),
    opt(Cmd(C::Drain), "", "drain", Maybe, "[seconds]", Additions,
        &["set a real server's weight to 0 and wait until its connections are over;", "status 0: all over, 1: some left"]),
    opt(Cmd(C::PurgeDest), "", "purge-dest", No, "", Additions,
        &["end the connections of a real server now"]),
    opt(Only(Class::Json), "", "json", No, "", Additions, &["print JSON"]),
    opt(Only(Class::DryRun), "", "dry-run", No, "", Additions, &["only show what would change"]),
    opt(Only(Class::Full), "", "full", No, "", Additions,
        &["save thresholds, timeouts and daemons as well"]),
    opt(Only(Class::Watch), "", "watch", Maybe, "[seconds]", Additions,
        &["list again and again, every two seconds unless told otherwise"]),

    // A letter of the original that its help text keeps to itself.
    opt(Only(Class::Exact), "X", "exact", No, "", Hidden, &[]),
];

/// The ways to call ipvsadm, as the help text begins.
pub const USAGE: &[&str] = &[
    "-A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe persistence_engine] [-b sched-flags]",
    "-D virtual-service",
    "-C",
    "-R",
    "-S [-n]",
    "-a|e virtual-service -r server-address [options]",
    "-d virtual-service -r server-address",
    "-L|l [virtual-service] [options]",
    "-Z [virtual-service]",
    "--set tcp tcpfin udp",
    "--start-daemon {master|backup} [daemon-options]",
    "--stop-daemon {master|backup}",
    "-h",
];

/// What a class of options is to a command or tunnel type.
pub type Row = (Class, &'static str, &'static str);

/// The commands that have letters in [`RULES`], in its order.
pub const RULED: [Command; 17] = [
    Command::AddService,
    Command::EditService,
    Command::DeleteService,
    Command::Clear,
    Command::AddServer,
    Command::EditServer,
    Command::DeleteServer,
    Command::List,
    Command::Zero,
    Command::Save,
    Command::Restore,
    Command::Set,
    Command::StartDaemon,
    Command::StopDaemon,
    Command::Diff,
    Command::Drain,
    Command::PurgeDest,
];

/// What goes with which command: class, its name in messages, and one letter for each command, in the order of [`Command`]:
/// `x` illegal, `.` allowed, `+` needed, `1` allowed, but only one such class at a time. Rows are checked from the top.
#[rustfmt::skip]
pub const RULES: &[Row] = &[
    //                                             AEDCaedLZSRsSSdDP
    (Class::Numeric,        "numeric",            "xxxxxxx.x.xxxxxxx"),
    (Class::Connection,     "connection",         "xxxxxxx1xxxxxxxxx"),
    (Class::Service,        "service-address",    "+++x+++1.xxxxxx++"),
    (Class::Scheduler,      "scheduler",          "..xxxxxxxxxxxxxxx"),
    (Class::Persistent,     "persistent",         "..xxxxxxxxxxxxxxx"),
    (Class::Netmask,        "netmask",            "..xxxxxxxxxxxxxxx"),
    (Class::Server,         "real-server",        "xxxx+++xxxxxxxx++"),
    (Class::Forward,        "forwarding-method",  "xxxx..xxxxxxxxxxx"),
    (Class::Weight,         "weight",             "xxxx..xxxxxxxxxxx"),
    (Class::UThreshold,     "u-threshold",        "xxxx..xxxxxxxxxxx"),
    (Class::LThreshold,     "l-threshold",        "xxxx..xxxxxxxxxxx"),
    (Class::McastInterface, "mcast-interface",    "xxxxxxxxxxxx.xxxx"),
    (Class::Timeout,        "timeout",            "xxxxxxx1xxxxxxxxx"),
    (Class::Daemon,         "daemon",             "xxxxxxx1xxxxxxxxx"),
    (Class::Stats,          "stats",              "xxxxxxx.xxxxxxxxx"),
    (Class::Rate,           "rate",               "xxxxxxx.xxxxxxxxx"),
    (Class::Thresholds,     "thresholds",         "xxxxxxx.xxxxxxxxx"),
    (Class::PersistentConn, "persistent-conn",    "xxxxxxx.xxxxxxxxx"),
    (Class::NoSort,         "nosort",             "xxxxxxx.xxxxxxxxx"),
    (Class::SyncId,         "syncid",             "xxxxxxxxxxxx..xxx"),
    (Class::Exact,          "exact",              "xxxxxxx.xxxxxxxxx"),
    (Class::Ops,            "ops",                "..xxxxxxxxxxxxxxx"),
    (Class::Engine,         "pe",                 "..xxxxxxxxxxxxxxx"),
    (Class::SchedFlags,     "sched-flags",        "..xxxxxxxxxxxxxxx"),
    (Class::McastGroup,     "mcast-group",        "xxxxxxxxxxxx.xxxx"),
    (Class::McastPort,      "mcast-port",         "xxxxxxxxxxxx.xxxx"),
    (Class::McastTtl,       "mcast-ttl",          "xxxxxxxxxxxx.xxxx"),
    (Class::SyncMaxlen,     "sync-maxlen",        "xxxxxxxxxxxx.xxxx"),
    (Class::TunInfo,        "tun-info",           "xxxxxxx.xxxxxxxxx"),
    (Class::TunType,        "tun-type",           "xxxx..xxxxxxxxxxx"),
    (Class::TunPort,        "tun-port",           "xxxx..xxxxxxxxxxx"),
    (Class::TunNocsum,      "tun-nocsum",         "xxxx..xxxxxxxxxxx"),
    (Class::TunCsum,        "tun-csum",           "xxxx..xxxxxxxxxxx"),
    (Class::TunRemcsum,     "tun-remcsum",        "xxxx..xxxxxxxxxxx"),
    (Class::Json,           "json",               "........xx..xx..."),
    (Class::DryRun,         "dry-run",            ".......xxx..xxxxx"),
    (Class::Full,           "full",               "xxxxxxxxx.xxxxxxx"),
    (Class::Watch,          "watch",              "xxxxxxx.xxxxxxxxx"),
];

/// What goes with which tunnel type: the letters stand for ipip, gue, gre.
pub const TUNNEL_RULES: &[Row] = &[
    (Class::TunType, "tun-type", "..."),
    (Class::TunPort, "tun-port", "x+x"),
    (Class::TunNocsum, "tun-nocsum", "x11"),
    (Class::TunCsum, "tun-csum", "x11"),
    (Class::TunRemcsum, "tun-remcsum", "x1x"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn letters_and_names_are_unique() {
        let letters: Vec<char> = OPTIONS.iter().flat_map(|opt| opt.short.chars()).collect();
        assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), letters.len());
        let shown: Vec<_> = OPTIONS.iter().filter(|opt| opt.section != Section::Hidden).map(|opt| opt.long).collect();
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), shown.len());
    }

    #[test]
    fn every_class_has_its_rule_for_every_command() {
        for opt in OPTIONS {
            let rows = RULES.iter().filter(|(class, ..)| Some(*class) == opt.class()).count();
            assert_eq!(rows, usize::from(opt.class().is_some()), "--{}", opt.long);
        }
        assert!(RULES.iter().all(|(.., letters)| letters.len() == Command::PurgeDest as usize + 1));
        assert!(TUNNEL_RULES.iter().all(|(.., letters)| letters.len() == 3));
    }
}
