//! keepalived(8): what there is from the option table, what it means from the prose here.

use super::options::{Arg, OPTIONS, Opt};
use crate::roff;

/// keepalived(8) in the language of `man`.
pub fn daemon_page() -> String {
    let mut page = roff::head("keepalived", "virtual addresses and health checks, as a daemon");
    page += &roff::section("SYNOPSIS");
    page += &roff::text(&["`keepalived` [<option> ...]"]);
    page += &roff::section("DESCRIPTION");
    page += &roff::text(DESCRIPTION);
    page += &roff::section("OPTIONS");
    for opt in OPTIONS {
        page += &roff::entry(&term(opt), &[&sentence(opt.help)]);
    }
    for (title, entries) in [("SIGNALS", SIGNALS), ("FILES", FILES), ("EXIT STATUS", STATUS)] {
        page += &roff::section(title);
        for (what, meaning) in entries {
            page += &roff::entry(what, &[meaning]);
        }
    }
    page += &roff::section("EXAMPLES");
    for (what, line) in EXAMPLES {
        page += &roff::text(&[what]);
        page += &roff::example(line);
    }
    page += &roff::section("DIFFERENCES FROM THE ORIGINAL");
    page += &roff::text(DIFFERENCES);
    roff::finished(&(page + &roff::see_also(&["ipvsadm", "rvs"])))
}

/// `-f, --use-file=FILE`.
fn term(opt: &Opt) -> String {
    let short = opt.short.map(|letter| format!("`-{letter}`"));
    let metavar = opt.metavar.to_lowercase();
    let long = match opt.arg {
        Arg::No => format!("`--{}`", opt.long),
        Arg::Yes => format!("`--{}`=<{metavar}>", opt.long),
        Arg::Maybe => format!("`--{}`[=<{metavar}>]", opt.long),
    };
    short.into_iter().chain([long]).collect::<Vec<_>>().join(", ")
}

/// The line of the help text as a sentence.
fn sentence(help: &str) -> String {
    let mut letters = help.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

const DESCRIPTION: &[&str] = &[
    "`keepalived` keeps virtual addresses alive by VRRP (RFC 3768, RFC 9568): of several directors one holds them, and another \
     takes over when it fails. It speaks with routers and with the original keepalived, whose configuration it reads; \
     keepalived.conf(5) has every keyword.",
    "Long options may be cut short as long as they stay unambiguous. An argument that may be left out has to be attached to \
     its option.",
    "It needs the capabilities `CAP_NET_ADMIN` and `CAP_NET_RAW`, and for real-time priority `CAP_SYS_NICE`.",
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "`SIGHUP`",
        "Reads the configuration again and does what differs. With errors in it everything goes on as before.",
    ),
    ("`SIGTERM`, `SIGINT`", "Ends: other directors are told, and what it holds is removed."),
    ("`SIGUSR1`", "Writes configuration and state to /tmp/keepalived.data."),
    ("`SIGUSR2`", "Writes counters to /tmp/keepalived.stats."),
    ("`SIGRTMIN+2`", "Writes both as JSON to /tmp/keepalived.json. `--signum` tells the number of each of these."),
    ("`SIGRTMAX-1`", "Sets all counters to zero."),
];

const FILES: &[(&str, &str)] = &[
    ("/etc/keepalived/keepalived.conf", "The configuration."),
    ("/run/keepalived.pid, /run/keepalived_vrrp.pid, /run/keepalived_bfd.pid", "The number of the process."),
    ("/run/keepalived.sock", "Where `rvs vrrp` asks."),
    ("/tmp/keepalived.data, /tmp/keepalived.stats, /tmp/keepalived.json", "What signals ask for."),
];

const STATUS: &[(&str, &str)] = &[
    ("0", "Success; with `--config-test`, nothing to report."),
    ("1", "The command line makes no sense, or the daemon could not be started or runs already."),
    ("2", "It could not go on, or did not end in time."),
    ("5", "With `--config-test` and `--dump-config`: there is something to report of the configuration."),
    ("6", "There is no configuration."),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("Check a configuration:", "keepalived -t -f new.conf"),
    ("In the foreground, with all that happens:", "keepalived -n -l -D"),
    ("Counters of the one that runs:", "kill -$(keepalived --signum=STATS) $(cat /run/keepalived.pid)"),
];

const DIFFERENCES: &[&str] = &[
    "This is the keepalived of RVS: one process, whose timers of VRRP and BFD have a thread of their own. There are no SNMP and \
     no D-Bus; `rvs vrrp --json` and `metrics_listen` tell how it stands. docs/compat-keepalived.md lists everything else.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_there_with_its_letter() {
        let page = daemon_page();
        for opt in OPTIONS {
            let term = roff::paragraph(&term(opt));
            assert!(page.contains(&format!(".TP\n{term}\n")), "--{}", opt.long);
        }
        assert!(page.contains(&roff::paragraph("`-f`, `--use-file`=<file>")));
        assert!(page.contains(&roff::paragraph("`-t`, `--config-test`[=<log_file>]")));
    }
}
