//! The command line of `rvs` itself.

use crate::mark::Mark;
use crate::{check, explain, glance, metrics, proc, trace, unit};
use clap::{Parser, Subcommand};
use rvs_dataplane::kernel::Mode;

/// A layer-4 load balancer in the kernel, administered with ipvsadm.
#[derive(Parser, Debug)]
#[command(name = "rvs", version, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// What this director does, what is attached where, how full the tables are, and what to look at.
    Status(glance::Options),
    /// The virtual routers of the running keepalived: state, priority, master, addresses.
    Vrrp {
        /// The socket of the daemon: its pid file's path, ending in `.sock` [default: /run/keepalived.sock]
        #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
        socket: Option<std::path::PathBuf>,
    },
    /// The virtual servers of the running keepalived: health, weight, checks and administrative state of each real server.
    Check(check::Socket),
    /// Let a real server of the running keepalived get no new connections; those there are go on.
    Drain(check::Decision),
    /// Take a real server of the running keepalived out of the table; its connections are treated as if it were deleted.
    Maint(check::Decision),
    /// Let health alone decide again about a real server of the running keepalived.
    Ready(check::Decision),
    /// Packets by the reason why they ended as they did.
    Stats,
    /// Where a packet would go now, and each step that leads there. Changes nothing.
    Explain(explain::Packet),
    /// Live packets with what became of them, until stopped.
    Trace(trace::Options),
    /// Every limit, and how to change it.
    Limits,
    /// Print a file that IPVS has below /proc/net, byte for byte in its format.
    Proc {
        /// Which.
        #[arg(value_enum)]
        file: proc::File,
    },
    /// Figures for Prometheus: node_exporter's ipvs series, and our own.
    Metrics(metrics::Options),
    /// Serve an interface.
    Attach {
        /// The interface.
        dev: String,
        /// Which hook: auto, tc, xdp or xdp-generic.
        #[arg(long, default_value_t)]
        mode: Mode,
    },
    /// Leave an interface alone.
    Detach {
        /// The interface.
        dev: String,
    },
    /// Rules that give packets a firewall mark.
    #[command(subcommand)]
    Mark(Mark),
    /// On a real server: take tunnels apart.
    #[command(subcommand)]
    Decap(Decap),
    /// Show and change settings: the sysctls of net.ipv4.vs.
    Sysctl(Sysctl),
    /// Attach to interfaces as they come up, until stopped.
    Watch,
    /// Look into keepalived's configuration without acting on it.
    #[command(subcommand)]
    Config(Config),
    /// Print a document that is made from the tables of options: a manual page, or the completion for a shell.
    Generate {
        /// Which.
        #[arg(value_enum)]
        what: Document,
        /// Of which tool.
        #[arg(value_enum, default_value_t = Tool::Ipvsadm)]
        tool: Tool,
    },
    /// Do what ipvsadm.service does: restore and save the rules of this machine.
    Unit {
        /// What to do.
        #[command(subcommand)]
        step: unit::Step,
        /// The directory that the files are below.
        #[arg(long, global = true, default_value = "/", hide = true, value_hint = clap::ValueHint::DirPath)]
        root: std::path::PathBuf,
    },
    /// Print what may stand next on a command line; for the completion of shells.
    #[command(hide = true)]
    Complete {
        /// The words of the line, the tool first, the last one being typed.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Remove the director of this network namespace, with its table and connections.
    Teardown,
    /// Administer virtual services; see `rvs ipvsadm --help`.
    #[command(disable_help_flag = true)]
    Ipvsadm(Forwarded),
    /// Print the table as rules.
    #[command(name = "ipvsadm-save", disable_help_flag = true)]
    IpvsadmSave(Forwarded),
    /// Replace the table by rules from standard input.
    #[command(name = "ipvsadm-restore", disable_help_flag = true)]
    IpvsadmRestore(Forwarded),
    /// Run as keepalived, or check its configuration; see `rvs keepalived --help`.
    #[command(disable_help_flag = true)]
    Keepalived(Forwarded),
    /// Print the MD5 digest of a web page, for health checks; see `rvs genhash --help`.
    #[command(disable_help_flag = true)]
    Genhash(Forwarded),
}

/// Documents made from the tables of options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Document {
    /// The manual page, as troff.
    Man,
    /// Completion for bash.
    BashCompletion,
    /// Completion for zsh.
    ZshCompletion,
    /// Completion for fish.
    FishCompletion,
}

/// The tools that documents are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
#[expect(missing_docs, reason = "each is the tool of its name")]
pub enum Tool {
    Ipvsadm,
    IpvsadmSave,
    IpvsadmRestore,
    Keepalived,
    Rvs,
    Genhash,
}

impl Tool {
    /// The name it is called by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipvsadm => "ipvsadm",
            Self::IpvsadmSave => "ipvsadm-save",
            Self::IpvsadmRestore => "ipvsadm-restore",
            Self::Keepalived => "keepalived",
            Self::Rvs => "rvs",
            Self::Genhash => "genhash",
        }
    }
}

/// Looking into configurations.
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Tell what a reload would do that replaces one file by another.
    Diff {
        /// The file that is in force.
        old: std::path::PathBuf,
        /// The file that would be.
        new: std::path::PathBuf,
    },
    /// Print the manual page keepalived.conf(5), as troff.
    Man,
}

/// Decapsulation on a real server.
#[derive(Subcommand, Debug)]
pub enum Decap {
    /// Begin on a device: IP in IP, GRE and GUE, of both families.
    Attach {
        /// The device.
        dev: String,
        /// UDP port that GUE comes to, the same for all devices [default: 6080]
        #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        gue_port: Option<u16>,
    },
    /// End on a device.
    Detach {
        /// The device.
        dev: String,
    },
}

/// Settings to show and to change.
#[derive(clap::Args, Debug)]
pub struct Sysctl {
    /// Settings, with or without `net.ipv4.vs.`; with a value, they are changed, all or none.
    #[arg(value_name = "NAME[=VALUE]", required_unless_present = "all", allow_negative_numbers = true)]
    pub settings: Vec<String>,
    /// Show all.
    #[arg(short, long)]
    pub all: bool,
    /// Show values without names.
    #[arg(short = 'n', long)]
    pub values: bool,
    /// Take no argument without a value.
    #[arg(short, long)]
    pub write: bool,
}

/// A personality of its own: it reads its arguments itself, and is chosen before this command line is looked at. Here only for
/// the help text.
#[derive(clap::Args, Debug)]
pub struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<std::ffi::OsString>,
}
