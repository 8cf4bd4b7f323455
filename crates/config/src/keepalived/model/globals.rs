//! `global_defs`: what holds for the daemon as a whole.

use super::rows::*;

block! {
    /// What holds for the daemon as a whole. Several blocks are taken together.
    pub struct Globals "global_defs" {
        /// The name of this machine in mails. The host's name by default.
        router_id: Option<Text> = "router_id";
        /// Who gets mails.
        notification_email: Lines<Text> = "notification_email";
        /// Who sends them. `keepalived@` and the host's name by default.
        notification_email_from: Option<Text> = "notification_email_from";
        /// The mail server; port 25 by default.
        smtp_server: Option<Host> = "smtp_server";
        /// How long to wait for the mail server. 30 by default.
        smtp_connect_timeout: Option<Seconds<1, 1_000_000_000_000>> = "smtp_connect_timeout";
        /// The name to greet the mail server with. The host's name by default.
        smtp_helo_name: Option<Text> = "smtp_helo_name";
        /// Whether mails are sent where nothing else is said.
        smtp_alert: Option<Switch> = "smtp_alert";
        /// The same for VRRP.
        smtp_alert_vrrp: Option<Switch> = "smtp_alert_vrrp";
        /// The same for checkers.
        smtp_alert_checker: Option<Switch> = "smtp_alert_checker";
        /// No mails about faults.
        no_email_faults: bool = "no_email_faults";
        /// Mails about real servers only when they are added or removed.
        no_checker_emails: bool = "no_checker_emails";
        /// On whose behalf scripts run where nothing else is said. `keepalived_script` if there is such a user.
        script_user: Option<User> = "script_user";
        /// Refuse to run scripts as root that others could change.
        enable_script_security: bool = "enable_script_security";
        /// A program to run before anything else.
        startup_script: Option<Command> = "startup_script";
        /// How long it may take. 10 by default.
        startup_script_timeout: Option<Int<1, 1000>> = "startup_script_timeout";
        /// A program to run after everything else.
        shutdown_script: Option<Command> = "shutdown_script";
        /// How long it may take. 10 by default.
        shutdown_script_timeout: Option<Int<1, 1000>> = "shutdown_script_timeout";
        /// The version of VRRP where nothing else is said: 2 by default, always 3 for IPv6.
        vrrp_version: Option<Int<2, 3>> = "vrrp_version";
        /// Stick to the RFC in everything.
        vrrp_strict: Option<Switch> = "vrrp_strict";
        /// The multicast group of adverts over IPv4. 224.0.0.18 by default.
        vrrp_mcast_group4: Option<Ipv4Addr> = "vrrp_mcast_group4";
        /// The multicast group of adverts over IPv6. ff02::12 by default.
        vrrp_mcast_group6: Option<Ipv6Addr> = "vrrp_mcast_group6";
        /// After becoming master, when to send the second set of gratuitous ARP; 0 for none. 5 by default.
        vrrp_garp_master_delay: Option<GarpDelay> = "vrrp_garp_master_delay";
        /// How many gratuitous ARP are in a set. 5 by default.
        vrrp_garp_master_repeat: Option<GarpRepeat> = "vrrp_garp_master_repeat";
        /// How often a master repeats gratuitous ARP; 0 for never, the default.
        vrrp_garp_master_refresh: Option<GarpDelay> = "vrrp_garp_master_refresh";
        /// How many gratuitous ARP are in such a repetition. 1 by default.
        vrrp_garp_master_refresh_repeat: Option<GarpRepeat> = "vrrp_garp_master_refresh_repeat";
        /// The second set after an advert of lower priority. As vrrp_garp_master_delay by default.
        vrrp_garp_lower_prio_delay: Option<GarpDelay> = "vrrp_garp_lower_prio_delay";
        /// How many then. As vrrp_garp_master_repeat by default.
        vrrp_garp_lower_prio_repeat: Option<GarpRepeat> = "vrrp_garp_lower_prio_repeat";
        /// The pause between two gratuitous ARP on an interface. None by default.
        vrrp_garp_interval: Option<Pause> = "vrrp_garp_interval";
        /// The pause between two unsolicited neighbour advertisements on an interface. None by default.
        vrrp_gna_interval: Option<Pause> = "vrrp_gna_interval";
        /// One gratuitous ARP is enough.
        vrrp_min_garp: Option<Switch> = "vrrp_min_garp";
        /// Gratuitous ARP again and again on interfaces other than the instance's own.
        vrrp_garp_extra_if: Option<ExtraGarp> = "vrrp_garp_extra_if";
        /// How many advert intervals of silence make a master dead. 3 by default.
        vrrp_down_timer_adverts: Option<Int<1, 100>> = "vrrp_down_timer_adverts";
        /// A master does not answer adverts of lower priority.
        vrrp_lower_prio_no_advert: Option<Switch> = "vrrp_lower_prio_no_advert";
        /// A master answers an advert of higher priority before it steps back.
        vrrp_higher_prio_send_advert: Option<Switch> = "vrrp_higher_prio_send_advert";
        /// Do not compare the addresses in adverts of the same master again.
        vrrp_skip_check_adv_addr: Option<Switch> = "vrrp_skip_check_adv_addr";
        /// Accept unicast adverts from configured peers only.
        vrrp_check_unicast_src: Option<Switch> = "vrrp_check_unicast_src";
        /// Leave the pseudo header out of the checksum of version 3 over IPv4.
        v3_checksum_as_v2: Option<Switch> = "v3_checksum_as_v2" [newer "2.3.0"];
        /// An address owner ignores adverts of others.
        vrrp_owner_ignore_adverts: Option<Switch> = "vrrp_owner_ignore_adverts" [newer "2.3.2"];
        /// How long to wait after the start before instances begin.
        vrrp_startup_delay: Option<Pause> = "vrrp_startup_delay";
        /// How long after the machine has booted instances may begin.
        vrrp_delay_after_boot: Option<Pause> = "vrrp_delay_after_boot" [newer "2.3.0"];
        /// Log adverts for VRIDs that nobody here has.
        log_unknown_vrids: bool = "log_unknown_vrids";
        /// What the names of interfaces with virtual hardware addresses begin with. `vrrp` by default.
        vmac_prefix: Option<IfName> = "vmac_prefix";
        /// The same for those of addresses on other interfaces.
        vmac_addr_prefix: Option<IfName> = "vmac_addr_prefix";
        /// Gratuitous ARP on interfaces with virtual hardware addresses, how often.
        vrrp_vmac_garp_intvl: Option<ExtraGarp> = "vrrp_vmac_garp_intvl" [deprecated "use vrrp_garp_extra_if"];
        /// How large the receive buffers of adverts are.
        vrrp_rx_bufs_policy: Option<RxBuffers> = "vrrp_rx_bufs_policy";
        /// How many packets they hold. 3 by default.
        vrrp_rx_bufs_multiplier: Option<Int<1, 1_000_000>> = "vrrp_rx_bufs_multiplier";
        /// Tell of changes of priority as well.
        vrrp_notify_priority_changes: Option<Switch> = "vrrp_notify_priority_changes";
        /// After a reload, write all states to the FIFOs again.
        fifo_write_vrrp_states_on_reload: bool = "fifo_write_vrrp_states_on_reload";
        /// A FIFO that all changes are written to.
        notify_fifo: Option<Fifo> = "notify_fifo";
        /// The program that reads it.
        notify_fifo_script: Option<Command> = "notify_fifo_script";
        /// A FIFO that changes of VRRP are written to.
        vrrp_notify_fifo: Option<Fifo> = "vrrp_notify_fifo";
        /// The program that reads it.
        vrrp_notify_fifo_script: Option<Command> = "vrrp_notify_fifo_script";
        /// A FIFO that changes of real and virtual servers are written to.
        lvs_notify_fifo: Option<Fifo> = "lvs_notify_fifo";
        /// The program that reads it.
        lvs_notify_fifo_script: Option<Command> = "lvs_notify_fifo_script";
        /// The interface of static addresses that name none. eth0 by default.
        default_interface: Option<IfName> = "default_interface";
        /// Interfaces may come and go.
        dynamic_interfaces: Option<Dynamic> = "dynamic_interfaces";
        /// Do not report group memberships on the local network.
        disable_local_igmp: bool = "disable_local_igmp";
        /// The daemon that keeps the connections of two directors alike.
        lvs_sync_daemon: Option<SyncDaemon> = "lvs_sync_daemon";
        /// Time-outs of connections. What is not set stays as it is.
        lvs_timeouts: Option<LvsTimeouts> = "lvs_timeouts";
        /// Begin with an empty table.
        lvs_flush: bool = "lvs_flush";
        /// Remove everything at the end at once.
        lvs_flush_on_stop: Option<FlushOnStop> = "lvs_flush_on_stop" | "lvs_flush_onstop";
        /// Log every failed check.
        checker_log_all_failures: Option<Switch> = "checker_log_all_failures";
        /// Run notify scripts for real servers at the start as well.
        rs_init_notifies: bool = "rs_init_notifies";
        /// Put right what others change in the table of services.
        lvs_repair: Option<Switch> = "lvs_repair" [ours ""];
        /// How many checks may run at the same time. 1000 by default.
        checker_max_parallel: Option<Int<1, 1_000_000>> = "checker_max_parallel" [ours ""];
        /// Where figures for Prometheus are served; nowhere by default.
        metrics_listen: Option<Endpoint> = "metrics_listen" [ours ""];
        /// The mode of files that are made.
        umask: Option<Text> = "umask";
        /// Check the new configuration before a reload; where to write what is wrong.
        reload_check_config: Option<Strings> = "reload_check_config";
        /// A file with the time of the next reload.
        reload_time_file: Option<Text> = "reload_time_file";
        /// Reload at that time every day.
        reload_repeat: bool = "reload_repeat";
        /// A file that exists while the configuration is read.
        reload_file: Option<Strings> = "reload_file";
        /// What is an error about files to include: readable, match, wildcard_match, brace_match, each with + or -.
        include_check: Option<Strings> = "include_check";
        /// Begin random numbers here, so that they repeat.
        random_seed: Option<Int<0, 4_294_967_295>> = "random_seed";
        /// The names of instance and network namespace are part of the names of dumps.
        data_use_instance: Option<Switch> = "data_use_instance";
        /// The version of the dump in JSON.
        json_version: Option<JsonVersion> = "json_version";
        /// Where the state is dumped to.
        state_dump_file: Option<Text> = "state_dump_file" [newer "2.3.0"];
        /// Where statistics are dumped to.
        stats_dump_file: Option<Text> = "stats_dump_file" [newer "2.3.0"];
        /// Where JSON is dumped to.
        json_dump_file: Option<Text> = "json_dump_file" [newer "2.3.0"];
        /// Real-time priority of the thread of VRRP.
        vrrp_rt_priority: Option<Int<1, 99>> = "vrrp_rt_priority";
        /// CPUs for the thread of VRRP.
        vrrp_cpu_affinity: Option<Strings> = "vrrp_cpu_affinity";
        /// Niceness of the thread of VRRP.
        vrrp_priority: Option<Int<-20, 19>> = "vrrp_priority";
        /// Lock the memory of VRRP.
        vrrp_no_swap: bool = "vrrp_no_swap";
        /// CPU time in microseconds that a real-time VRRP thread may take at a stretch.
        vrrp_rlimit_rttime: Option<Int<2, 4_294_967_295>> = "vrrp_rlimit_rttime" | "vrrp_rlimit_rtime";
        /// CPUs for the checkers.
        checker_cpu_affinity: Option<Strings> = "checker_cpu_affinity";
        /// A name that sets this daemon's files apart from those of others.
        instance: Option<Name> = "instance";
        /// The network namespace to run in.
        net_namespace: Option<Name> = "net_namespace";
        /// The network namespace of the virtual servers; the default one if no name follows.
        net_namespace_ipvs: Option<Strings> = "net_namespace_ipvs";
        /// Put pid files into a directory.
        use_pid_dir: bool = "use_pid_dir";
        /// How long to wait for the end of everything. 5 by default.
        child_wait_time: Option<Int<0, 2_147_483_647>> = "child_wait_time";
        /// Poll links instead of listening to the kernel.
        linkbeat_use_polling: bool = "linkbeat_use_polling" [no_effect POLLING];
        ..rest: GlobalsWithoutEffect;
        ..firewall: Firewall;
    }
}

block! {
    /// Settings of the original that have nothing to act on here.
    pub struct GlobalsWithoutEffect "" {
        /// Use ipsets in a network namespace on old kernels.
        namespace_with_ipsets: bool = "namespace_with_ipsets" [no_effect NO_IPSETS];
        /// Names of ipsets.
        vrrp_ipsets: Option<Strings> = "vrrp_ipsets" [no_effect NO_IPSETS];
        /// Where a copy of the configuration is kept while it is read.
        tmp_config_directory: Option<Text> = "tmp_config_directory" [no_effect "the configuration is read once, by one process"];
        /// Where copies for debugging are kept.
        config_save_dir: Option<Text> = "config_save_dir" [no_effect "use `rvs config diff` and `keepalived --dump-config`"];
        /// Name the processes.
        process_names: bool = "process_names" [no_effect ONE_PROCESS];
        /// The name of the parent.
        process_name: Option<Text> = "process_name" [no_effect ONE_PROCESS];
        /// The name of the process of VRRP.
        vrrp_process_name: Option<Text> = "vrrp_process_name" [no_effect ONE_PROCESS];
        /// The name of the process of the checkers.
        checker_process_name: Option<Text> = "checker_process_name" | "lvs_process_name" [no_effect ONE_PROCESS];
        /// The name of the process of BFD.
        bfd_process_name: Option<Text> = "bfd_process_name" [no_effect ONE_PROCESS];
        /// Paths of scripts with their symbolic links.
        use_symlink_paths: Option<Switch> = "use_symlink_paths" [no_effect "scripts are run by the path that is written"];
        /// The greatest real-time priority to reach after late timers.
        max_auto_priority: Option<Strings> = "max_auto_priority" [no_effect RAISED];
        /// How late a timer must be for that, in microseconds.
        min_auto_priority_delay: Option<Int<1, 10_000_000>> = "min_auto_priority_delay" [no_effect RAISED];
        /// Niceness of the process of the checkers.
        checker_priority: Option<Int<-20, 19>> = "checker_priority" [no_effect ONE_PROCESS];
        /// Niceness of the process of BFD.
        bfd_priority: Option<Int<-20, 19>> = "bfd_priority" [no_effect ONE_PROCESS];
        /// Lock the memory of the checkers.
        checker_no_swap: bool = "checker_no_swap" [no_effect ONE_PROCESS];
        /// Lock the memory of BFD.
        bfd_no_swap: bool = "bfd_no_swap" [no_effect ONE_PROCESS];
        /// Real-time priority of the checkers.
        checker_rt_priority: Option<Int<1, 99>> = "checker_rt_priority" [no_effect ONE_PROCESS];
        /// Real-time priority of BFD.
        bfd_rt_priority: Option<Int<1, 99>> = "bfd_rt_priority" [no_effect ONE_PROCESS];
        /// CPUs for BFD.
        bfd_cpu_affinity: Option<Strings> = "bfd_cpu_affinity" [no_effect ONE_PROCESS];
        /// CPU time of real-time checkers.
        checker_rlimit_rttime: Option<Int<2, 4_294_967_295>> = "checker_rlimit_rttime" | "checker_rlimit_rtime" [no_effect ONE_PROCESS];
        /// CPU time of real-time BFD.
        bfd_rlimit_rttime: Option<Int<2, 4_294_967_295>> = "bfd_rlimit_rttime" | "bfd_rlimit_rtime" [no_effect ONE_PROCESS];
        /// Supplementary groups of scripts.
        set_supplementary_groups: bool = "set_supplementary_groups" [no_effect "scripts always get the groups of their user"] [newer "2.3.0"];
        /// The socket of the SNMP agent.
        snmp_socket: Option<Text> = "snmp_socket" [no_effect NO_SNMP];
        /// Send SNMP traps.
        enable_traps: bool = "enable_traps" [no_effect NO_SNMP];
        /// VRRP by SNMP.
        enable_snmp_vrrp: bool = "enable_snmp_vrrp" | "enable_snmp_keepalived" [no_effect NO_SNMP];
        /// Checkers by SNMP.
        enable_snmp_checker: bool = "enable_snmp_checker" [no_effect NO_SNMP];
        /// The MIBs of the RFCs by SNMP.
        enable_snmp_rfc: bool = "enable_snmp_rfc" [no_effect NO_SNMP];
        /// The MIB of RFC 2787 by SNMP.
        enable_snmp_rfcv2: bool = "enable_snmp_rfcv2" [no_effect NO_SNMP];
        /// The MIB of RFC 6527 by SNMP.
        enable_snmp_rfcv3: bool = "enable_snmp_rfcv3" [no_effect NO_SNMP];
        /// How often statistics of virtual servers are read for SNMP.
        snmp_vs_stats_update_interval: Option<Pause> = "snmp_vs_stats_update_interval" [no_effect NO_SNMP] [newer "2.3.0"];
        /// How often statistics of real servers are read for SNMP.
        snmp_rs_stats_update_interval: Option<Pause> = "snmp_rs_stats_update_interval" [no_effect NO_SNMP] [newer "2.3.0"];
        /// Offer the D-Bus interface.
        enable_dbus: bool = "enable_dbus" [no_effect NO_DBUS];
        /// The name on the D-Bus.
        dbus_service_name: Option<Text> = "dbus_service_name" [no_effect NO_DBUS];
        /// Leave interfaces out of the names of objects on the D-Bus.
        dbus_no_interface_name: bool = "dbus_no_interface_name" [no_effect NO_DBUS] [newer "2.2.8"];
        /// Buffer of commands of VRRP to the kernel.
        vrrp_netlink_cmd_rcv_bufs: Option<Bytes> = "vrrp_netlink_cmd_rcv_bufs" [no_effect BUFFERS];
        /// The same beyond the system's limit.
        vrrp_netlink_cmd_rcv_bufs_force: Option<Switch> = "vrrp_netlink_cmd_rcv_bufs_force" [no_effect BUFFERS];
        /// Buffer of the kernel's news for VRRP.
        vrrp_netlink_monitor_rcv_bufs: Option<Bytes> = "vrrp_netlink_monitor_rcv_bufs" [no_effect BUFFERS];
        /// The same beyond the system's limit.
        vrrp_netlink_monitor_rcv_bufs_force: Option<Switch> = "vrrp_netlink_monitor_rcv_bufs_force" [no_effect BUFFERS];
        /// Buffer of commands of the checkers to the kernel.
        lvs_netlink_cmd_rcv_bufs: Option<Bytes> = "lvs_netlink_cmd_rcv_bufs" [no_effect BUFFERS];
        /// The same beyond the system's limit.
        lvs_netlink_cmd_rcv_bufs_force: Option<Switch> = "lvs_netlink_cmd_rcv_bufs_force" [no_effect BUFFERS];
        /// Buffer of the kernel's news for the checkers.
        lvs_netlink_monitor_rcv_bufs: Option<Bytes> = "lvs_netlink_monitor_rcv_bufs" [no_effect BUFFERS];
        /// The same beyond the system's limit.
        lvs_netlink_monitor_rcv_bufs_force: Option<Switch> = "lvs_netlink_monitor_rcv_bufs_force" [no_effect BUFFERS];
        /// Buffer of news about processes.
        process_monitor_rcv_bufs: Option<Bytes> = "process_monitor_rcv_bufs" [no_effect BUFFERS];
        /// The same beyond the system's limit.
        process_monitor_rcv_bufs_force: Option<Switch> = "process_monitor_rcv_bufs_force" [no_effect BUFFERS];
        /// Where iproute2 keeps the names of tables as the system came.
        iproute_usr_dir: Option<Text> = "iproute_usr_dir" [newer "2.2.8"] [no_effect "names of tables are looked for where iproute2 keeps them"];
        /// Where iproute2 keeps the names of tables as the administrator changed them.
        iproute_etc_dir: Option<Text> = "iproute_etc_dir" [newer "2.2.8"] [no_effect "names of tables are looked for where iproute2 keeps them"];
    }
}

block! {
    /// Firewalls that the original steers.
    pub struct Firewall "" {
        /// The table of nftables to use. `keepalived` by default.
        nftables: Option<Strings> = "nftables";
        /// The priority of its chains.
        nftables_priority: Option<Int<-2_147_483_648, 2_147_483_647>> = "nftables_priority";
        /// Count packets there.
        nftables_counters: bool = "nftables_counters";
        /// Use the indices of interfaces there.
        nftables_ifindex: bool = "nftables_ifindex" [no_effect BY_NAME];
        /// The table of nftables that marks packets for groups of virtual servers.
        nftables_ipvs: Option<Strings> = "nftables_ipvs" [no_effect NO_MARKS];
        /// The priority of its chains.
        nftables_ipvs_priority: Option<Int<-2_147_483_648, 2_147_483_647>> = "nftables_ipvs_priority" [no_effect NO_MARKS];
        /// The first mark to use.
        nftables_ipvs_start_fwmark: Option<Int<1, 4_294_967_295>> = "nftables_ipvs_start_fwmark" [no_effect NO_MARKS];
        /// The chains of iptables to use.
        vrrp_iptables: Option<Strings> = "vrrp_iptables" [no_effect ONLY_NFTABLES];
    }
}

pub(super) const POLLING: &str = "the kernel tells of changes of links by itself";
const NO_IPSETS: &str = "RVS does not use ipsets";
const ONE_PROCESS: &str = "RVS runs as one process";
const RAISED: &str = "timers of VRRP have a thread of their own, with real-time priority where the system allows it";
const NO_SNMP: &str = "RVS has no SNMP agent; use the Prometheus endpoint or `--json`";
const NO_DBUS: &str = "RVS is not on the D-Bus; use `rvs` with `--json`";
const BUFFERS: &str = "RVS reads everything again when the kernel has lost news";
const BY_NAME: &str = "RVS tells interfaces apart by their names";
const ONLY_NFTABLES: &str = "RVS drops packets by nf_tables, which iptables lives beside";
const NO_MARKS: &str = "groups of virtual servers need no marks in RVS";
