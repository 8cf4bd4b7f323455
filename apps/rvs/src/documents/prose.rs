//! What rvs(8) says beyond the summaries of the command line. Only text, with the marks of `rvs_config::roff`; keyed by the
//! command, what has no entry has its summary alone.

/// What the program is.
pub(super) const DESCRIPTION: &[&str] = &[
    "`rvs` looks after the director of the present network namespace: the eBPF programs and tables that balance virtual \
     services inside the kernel. The services themselves are administered with `ipvsadm`(8), which is the same binary under \
     another name; `rvs ipvsadm`, `rvs ipvsadm-save`, `rvs ipvsadm-restore`, `rvs keepalived` and `rvs genhash` call it where the names \
     are not there.",
    "No process has to run for packets to be forwarded. Any command may be killed at any moment; it leaves the old state or \
     the new one.",
];

/// Commands, by name.
pub(super) const COMMANDS: &[(&str, &[&str])] = &[
    (
        "status",
        &[
            "Services, connections and averaged rates, packets by outcome, the busiest services, interfaces, tables, and a line \
           that begins with `Warning:` for whatever needs a look. With `--json` and `--watch` each page is a line.",
        ],
    ),
    (
        "attach",
        &[
            "All Ethernet interfaces are served anyway; this is for choosing how, or for one that was detached. The choice is \
           remembered by the interface's name.",
        ],
    ),
    ("detach", &["Remembered by the interface's name, until `rvs attach`."]),
    (
        "decap attach",
        &["For real servers without the module `ipip`. The virtual address is on `lo`, as for direct routing."],
    ),
    (
        "watch",
        &["Only where interfaces come and go and no other command is called: every command covers new interfaces."],
    ),
    (
        "proc",
        &[
            "For programs that read `/proc/net/ip_vs` and its neighbours. The totals are those of all services since the \
           director exists or `ipvsadm -Z` was called.",
        ],
    ),
    (
        "metrics",
        &[
            "The series are listed in metrics.md of the documentation. `rvs-metrics.timer` writes the file every 15 seconds. \
           Where there is no director, `rvs_director` is 0.",
        ],
    ),
    (
        "unit start",
        &[
            "Reads `/etc/sysconfig/ipvsadm` if it exists, else `/etc/ipvsadm.rules`, and puts the rules in the place of the \
           table in one step. `/etc/default/ipvsadm` may forbid it (`AUTO`) and ask for connection synchronisation \
           (`DAEMON`, `IFACE`, `SYNCID`); see `ipvsadm`(8).",
        ],
    ),
    (
        "unit stop",
        &[
            "Saves the rules where `unit start` looks for them, unless the file says the same already, and clears the table. A \
           table that cannot be saved is not cleared.",
        ],
    ),
    ("unit reload", &["Connections stay where their services and real servers stay."]),
    ("generate", &["The completions ask `rvs` for services, real servers and options at the moment they are wanted."]),
    (
        "teardown",
        &["Its programs are detached, its table and connections are gone. `ipvsadm -C` only clears the table."],
    ),
];

/// Environment.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[(
    "`RVS_CONN_CAPACITY`, `RVS_MAX_SERVICES`, `RVS_MAX_DESTS`",
    "How much the tables hold, taken from the environment of the command that brings a director into being. `rvs limits` \
         prints them.",
)];

/// Files.
pub(super) const FILES: &[(&str, &str)] = &[
    ("/var/lib/prometheus/node-exporter/rvs.prom", "What `rvs metrics --textfile` replaces on Debian."),
    ("/etc/ipvsadm.rules, /etc/sysconfig/ipvsadm, /etc/default/ipvsadm", "See `ipvsadm`(8)."),
    ("/var/lib/prometheus/node-exporter/rvs.prom", "What `rvs metrics --textfile` replaces on Debian."),
    ("/etc/ipvsadm.rules, /etc/sysconfig/ipvsadm, /etc/default/ipvsadm", "See `ipvsadm`(8)."),
    ("/run/rvs", "A BPF file system with the directors of all network namespaces, and locks."),
];

/// Exit status.
pub(super) const STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "Not done; the reason is on standard error."),
    ("2", "Wrong arguments, missing privileges, or a kernel that is too old."),
];

/// Examples.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    ("What is attached where, and how full the tables are:", "rvs status"),
    ("Why packets end as they do, for a script:", "rvs stats --json"),
    ("For a program that reads /proc/net/ip_vs_stats:", "rvs proc ip_vs_stats"),
    ("For a program that reads /proc/net/ip_vs_stats:", "rvs proc ip_vs_stats"),
    ("Native XDP in front of TC on a physical interface:", "rvs attach eth0 --mode xdp"),
];
