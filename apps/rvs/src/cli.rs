//! The command line of `rvs` itself.

use crate::mark::Mark;
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
    /// What is attached where, what the kernel offers, how full the tables are.
    Status,
    /// Packets by the reason why they ended as they did.
    Stats,
    /// Every limit, and how to change it.
    Limits,
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
    /// Attach to interfaces as they come up, until stopped.
    Watch,
    /// Print a document that is made from the option table: ipvsadm's manual page or its completion for bash.
    Generate {
        /// Which.
        #[arg(value_enum)]
        what: Document,
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
}

/// Documents made from the option table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Document {
    /// ipvsadm(8), as troff.
    Man,
    /// Completion of ipvsadm's options for bash.
    BashCompletion,
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

/// A personality of its own: it reads its arguments itself, and is chosen before this command line is looked at. Here only for
/// the help text.
#[derive(clap::Args, Debug)]
pub struct Forwarded {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    args: Vec<std::ffi::OsString>,
}
