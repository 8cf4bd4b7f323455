//! What the options mean, in words of our own. Keyed by the long name of an option; what the table does not have is not
//! printed, what is not here is printed with its line of the help text.
//!
//! Only text: how it is laid out is the parent's business, the marks are those of [`crate::roff`].

/// What the program is.
pub(super) const DESCRIPTION: &[&str] = &[
    "`ipvsadm` sets up, changes and shows the virtual services of a layer-4 load balancer, the director. A virtual service \
     is an address that clients connect to; behind it stand real servers, to which a scheduler hands out the connections. \
     Packets are forwarded inside the kernel by eBPF programs; `ipvsadm` only edits their tables, and no process has to \
     stay for them to work.",
    "The first service that is added in a network namespace brings its director into being, attached to all Ethernet \
     interfaces of the namespace. Each network namespace has its own director; `ip netns exec` reaches that of another.",
    "Command lines, output and exit status are those of ipvsadm 1.31 for the Linux Virtual Server (IPVS). Options may be \
     bundled (`-Ln`), an argument may be attached (`-w3`, `--weight=3`) and options may stand \
     in any order.",
];

/// Above the commands.
pub(super) const COMMANDS: &[&str] = &["Exactly one of these:"];

/// Above the options that name a service.
pub(super) const SERVICE: &[&str] =
    &["A service is named by protocol, address and port, or by a firewall mark. An IPv6 address stands in brackets: \
     `[2001:db8::1]:80`. Port 0 or no port means all ports, which takes a persistent service."];

/// Options, by long name.
pub(super) const OPTIONS: &[(&str, &[&str])] = &[
    ("add-service", &["Adds a virtual service. Without `-s` its scheduler is `wlc`."]),
    (
        "edit-service",
        &[
            "Changes scheduler, flags and persistence of a service. What is not given is reset to its default. Connections \
           and real servers stay.",
        ],
    ),
    ("delete-service", &["Deletes a virtual service with its real servers."]),
    ("clear", &["Deletes all virtual services. The director itself stays; `rvs teardown` removes it."]),
    (
        "restore",
        &[
            "Reads rules from standard input, as `-S` prints them, and adds them to the table: all of them, or none when \
           one cannot be read or is refused. `ipvsadm-restore`(8) replaces the table instead.",
        ],
    ),
    ("save", &["Prints the table as rules that `-R` reads. Thresholds and timeouts are not part of the format."]),
    ("add-server", &["Adds a real server to a service."]),
    (
        "edit-server",
        &[
            "Changes weight, forwarding method and thresholds of a real server. What is not given is reset to its default. \
           Connections stay.",
        ],
    ),
    (
        "delete-server",
        &[
            "Deletes a real server from a service. No new connections go to it. Packets of the ones it has are dropped; it \
           takes them up again if it is added within two minutes. To let them end, give it the weight 0 first and wait.",
        ],
    ),
    ("list", &["Lists the table, or one service of it, or with `-c` the connections. `-l` is the same."]),
    ("zero", &["Sets the counters of a service, or of all, to zero."]),
    (
        "set",
        &[
            "Sets the timeouts in seconds of established TCP connections, of TCP connections after a FIN, and of UDP. 0 \
           leaves a timeout as it is. They hold for packets that come afterwards.",
        ],
    ),
    ("start-daemon", &["Begins to send connections to other directors (`master`) or to receive theirs (`backup`)."]),
    ("stop-daemon", &["Ends what `--start-daemon` began."]),
    ("help", &["Prints a summary. Needs no privileges."]),
    ("version", &["Prints the version that is compatible to. Needs no privileges."]),
    ("tcp-service", &["A TCP service at this address and port."]),
    ("udp-service", &["A UDP service at this address and port."]),
    ("sctp-service", &["An SCTP service at this address and port."]),
    (
        "fwmark-service",
        &[
            "All packets with this firewall mark, whatever their address, protocol and port; so several ports can be one \
           service. The mark is a number from 1 to 4294967295.",
        ],
    ),
    ("ipv6", &["A service by mark is for IPv6. Services by address need no such option."]),
    ("scheduler", &["How connections are handed out, see `SCHEDULERS`."]),
    (
        "pe",
        &[
            "How clients of a persistent service are told apart instead of by their address: `sip`, by the Call-ID of SIP \
           over UDP.",
        ],
    ),
    (
        "persistent",
        &[
            "A client keeps its real server: further connections from it go to the same one until it has had none for this \
           many seconds (360 when no number is given). An argument is taken only if the next word does not begin with \
           `-`.",
        ],
    ),
    (
        "netmask",
        &[
            "Clients that are equal under this mask share a real server. For IPv4 an address (`255.255.255.0`), for IPv6 a \
           prefix length from 1 to 128.",
        ],
    ),
    (
        "real-server",
        &["A real server: its address and, with `-m`, its port. Without a port it is that of the service."],
    ),
    (
        "gatewaying",
        &[
            "Direct routing, the default: packets go to the real server's link-layer address unchanged. The real server is \
           on a common segment, owns the virtual address on a device that does not answer ARP for it, and answers the \
           client by itself.",
        ],
    ),
    (
        "ipip",
        &[
            "Tunnelling: packets go to the real server inside other packets. It unpacks them, owns the virtual address, and \
           answers the client by itself.",
        ],
    ),
    (
        "masquerading",
        &[
            "Network address translation: destination address and port of the client's packets and source of the answers \
           are rewritten. Answers have to come back through the director.",
        ],
    ),
    ("tun-type", &["How packets are wrapped by `-i`: `ipip` (the default), `gue` or `gre`."]),
    ("tun-port", &["UDP port at which the real server unpacks; with `gue` only, where it is needed."]),
    ("tun-nocsum", &["No checksum in the outer header, the default; with `gue` and `gre`."]),
    ("tun-csum", &["A checksum in the outer header; with `gue` and `gre`."]),
    ("tun-remcsum", &["The receiver computes the inner checksum; with `gue`."]),
    (
        "weight",
        &[
            "What share of the connections a real server gets, relative to the others: 1 unless given. With weight 0 it gets \
           no new connections and keeps those it has.",
        ],
    ),
    (
        "u-threshold",
        &["A real server with this many connections gets no more until it has fewer than the lower threshold. 0, the \
           default: no limit."],
    ),
    ("l-threshold", &["See `-x`. 0, the default: three quarters of the upper threshold."]),
    ("connection", &["Lists connections and persistence templates with state and time left."]),
    ("timeout", &["Lists the timeouts that `--set` changes."]),
    ("daemon", &["Lists what `--start-daemon` began."]),
    (
        "stats",
        &[
            "Lists connections, packets and bytes since the service was added or zeroed. Of answers that do not pass the \
           director nothing is counted. Long numbers are cut to thousands (`K`), millions (`M`) and so on.",
        ],
    ),
    ("rate", &["Lists connections, packets and bytes a second, averaged over some seconds."]),
    ("exact", &["Long numbers in full."]),
    ("thresholds", &["Lists the thresholds of real servers."]),
    ("persistent-conn", &["Lists the number of persistence templates; with `-c`, what a persistence engine went by."]),
    ("tun-info", &["Lists how packets to a real server are wrapped."]),
    ("nosort", &["Lists in the order of the table: services as they were added, real servers newest first."]),
    ("sort", &["Nothing: listings are sorted. For scripts from a time when they were not."]),
    (
        "ops",
        &[
            "Every packet is scheduled by itself, and no connection is kept; for UDP services such as DNS, where each packet \
           is a request of its own.",
        ],
    ),
    (
        "numeric",
        &["Addresses and ports as numbers. Without it names are looked up, which takes as long as the resolver takes."],
    ),
    (
        "sched-flags",
        &["Flags of the scheduler, separated by commas: `sh-fallback` and `sh-port`, `mh-fallback` and `mh-port`, or \
           `flag-1`, `flag-2` and `flag-3` for any scheduler."],
    ),
    ("syncid", &["Only directors with the same number from 0 to 255 understand each other."]),
    ("sync-maxlen", &["The longest message in bytes."]),
    ("mcast-interface", &["The interface that messages leave or arrive by."]),
    ("mcast-group", &["The multicast group, of IPv4 or IPv6."]),
    ("mcast-port", &["The UDP port."]),
    ("mcast-ttl", &["The time to live of messages, or the hop limit."]),
];

/// Above the schedulers.
pub(super) const SCHEDULING: &[&str] = &[
    "Each makes the choices of the IPVS scheduler of its name, in the same order. Real servers with weight 0 and those above \
     their threshold are passed over. When no real server is left, the client is told by an ICMP error.",
];

/// Schedulers, by name.
pub(super) const SCHEDULERS: &[(&str, &str)] = &[
    ("rr", "Round robin: one real server after the other."),
    ("wrr", "Weighted round robin: one after the other, more often the larger the weight."),
    ("lc", "Least connection: the real server with the fewest connections."),
    ("wlc", "Weighted least connection, the default: the fewest connections for its weight."),
    ("sed", "Shortest expected delay: the fewest active connections for its weight, the new one counted in."),
    ("nq", "Never queue: a real server without active connections if there is one, else as `sed`."),
    ("fo", "Weighted failover: the real server with the largest weight gets all connections."),
    (
        "ovf",
        "Weighted overflow: the real server with the largest weight until it has as many active connections as its weight \
         says, then the next.",
    ),
    ("lblc", "Locality-based least connection: one real server for each destination address, for caches."),
    ("lblcr", "The same with a set of real servers for each destination address."),
    ("dh", "Destination hashing: by the hash of the destination address."),
    ("sh", "Source hashing: by the hash of the client's address."),
    ("mh", "Maglev hashing: by a consistent hash of the client's address; few clients move when real servers change."),
    ("twos", "Power of two choices: the better of two real servers chosen at random."),
];

/// Files; the first three are those of saved rules.
pub(super) const FILES: &[(&str, &[&str])] = &[
    (
        "/etc/ipvsadm.rules",
        &["Rules that `ipvsadm.service` restores when it starts and saves when it stops, on Debian and its relatives."],
    ),
    ("/etc/sysconfig/ipvsadm", &["The same, on Red Hat and its relatives. If it exists it comes first."]),
    (
        "/etc/default/ipvsadm",
        &[
            "What `ipvsadm.service` does, in Debian's variables: with `AUTO=\"true\"` it restores and saves rules; `DAEMON` \
           (`none`, `master`, `backup` or `both`), `IFACE` and `SYNCID` are for connection synchronisation. Without the \
           file, rules are restored and saved.",
        ],
    ),
    ("/run/rvs", &["The directors' tables: a BPF file system of our own, and locks."]),
    ("/etc/services", &["Names of ports."]),
];

/// Exit status.
pub(super) const STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "The service to be listed does not exist, or the table cannot be read."),
    ("2", "The command line makes no sense, privileges are missing, or the kernel is too old."),
    ("255", "An argument cannot be read, or the change is refused. Nothing was changed."),
];

/// Examples.
pub(super) const EXAMPLES: &[(&str, &str)] = &[
    (
        "Two web servers behind one address by network address translation, the second with twice the share:",
        "ipvsadm -A -t 192.0.2.1:80 -s wlc\n\
         ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.11:8080 -m\n\
         ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.12:8080 -m -w 2",
    ),
    (
        "Clients of one network keep their real server for ten minutes:",
        "ipvsadm -E -t 192.0.2.1:80 -p 600 -M 255.255.255.0",
    ),
    (
        "Take a real server out for maintenance: no new connections, then wait until it has none left:",
        "ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.11:8080 -m -w 0\n\
         ipvsadm -Ln -t 192.0.2.1:80\n\
         ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.11:8080",
    ),
    ("What goes on:", "ipvsadm -Ln --rate\nipvsadm -Lnc"),
    ("Keep the table over a reboot:", "systemctl enable --now ipvsadm.service"),
];

/// What is not as the original.
pub(super) const DIFFERENCES: &[&str] = &[
    "A wrong command line is refused before anything is touched, and needs no privileges to be refused.",
    "`-R` and `ipvsadm-restore` apply all rules or none, and name the line of an error.",
    "Commands that only look or delete do not bring a director into being; where there is none they see an empty table.",
    "`--nosort` lists services in the order in which they were added.",
    "`size=` in the first line of a listing is always 4096; `rvs status` shows how many connections there can be.",
    "What this version cannot balance is refused with a text that says so, and never accepted and ignored.",
];
