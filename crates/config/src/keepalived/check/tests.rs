//! The checks, by small configurations; what was recorded as a whole is in the tests beside the crate.

use crate::keepalived::{Environment, Loaded, Memory, load};
use std::path::Path;

fn read(text: &str) -> Loaded {
    let env =
        Environment { interfaces: Some(["lo", "eth0", "eth1"].map(str::to_owned).into()), ..Environment::default() };
    load(Path::new("/k"), &Memory::new([("/k", text)]), &env)
}

/// An instance that is right but for these lines.
fn instance(lines: &str) -> Loaded {
    read(&format!(
        "vrrp_instance V1 {{\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {{\n10.0.1.10\n}}\n{lines}\n}}\n"
    ))
}

/// A virtual server that is right but for these lines, with a real server that has others.
fn server(lines: &str, real: &str) -> Loaded {
    read(&format!(
        "virtual_server 10.0.1.10 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n{lines}\nreal_server 10.0.2.1 80 {{\n{real}\n}}\n}}\n"
    ))
}

fn told(loaded: &Loaded) -> String {
    loaded.reports.iter().map(|report| report.text.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn right_ones_are_right() {
    assert_eq!(told(&instance("")), "");
    assert_eq!(told(&server("", "")), "");
}

#[test]
fn instances_by_themselves() {
    for (lines, expected) in [
        ("priority 255\nnopreempt", "(V1) nopreempt is incompatible with priority 255. resetting nopreempt"),
        ("preempt_delay 2000", "number '2000' outside range [0.000000, 1000.000000]"),
        (
            "state MASTER\npreempt_delay 5",
            "(V1) Warning - preempt delay will not work with initial state MASTER - clearing",
        ),
        ("state MASTER\nstrict_mode", "(V1) State MASTER must match being address owner"),
        ("strict_mode\npreempt_delay 5", "(V1) preempt_delay is incompatible with strict mode - resetting"),
        (
            "strict_mode\nauthentication {\nauth_type PASS\nauth_pass x\n}",
            "(V1) Strict mode does not support authentication. Ignoring.",
        ),
        ("strict_mode maybe", "Invalid value 'maybe' specified"),
        (
            "state MASTER\nauthentication {\nauth_type AH\nauth_pass x\n}",
            "(V1) Initial state master is incompatible with AH authentication - clearing",
        ),
        (
            "mcast_src_ip fd00::1",
            "Configuration error: VRRP instance[V1] and src address[fd00::1] MUST be of the same family !!! Skipping...",
        ),
        (
            "unicast_peer {\nfd00::1\n}",
            "Configuration error: VRRP instance[V1] and unicast peer address[fd00::1] MUST be of the same family !!! Skipping...",
        ),
        ("unicast_peer {\n10.0.1.2 min_ttl 300\n}", "number '300' outside range [0, 255]"),
        ("unicast_peer {\n10.0.1.2 min_ttl 9 max_ttl 8\n}", "(V1) min_ttl of peer 10.0.1.2 is greater than max_ttl"),
        (
            "mcast_dst_ip 10.0.0.1",
            "(V1) mcast_dst_ip [10.0.0.1] is not a multicast address of the instance's family. Skipping",
        ),
        (
            "native_ipv6",
            "'native_ipv6' is deprecated: the addresses say it; (V1) Cannot specify native_ipv6 with IPv4 addresses",
        ),
        ("debug 9", "number '9' outside range [0, 4]; 'debug' has no effect: the level of logging is the daemon's"),
        ("track_interface {\neth1 weight 300\n}", "number '300' outside range [-253, 253]"),
        ("track_interface {\neth1\neth1\n}", "(V1) duplicate track_interface eth1 - ignoring"),
        ("track_interface {\neth0\n}", "(V1) Ignoring track_interface eth0 since own interface"),
        ("track_file {\nf\n}", "(V1) track file f not found, ignoring..."),
        ("track_process {\nf\n}", "(V1) track process f not found, ignoring..."),
        ("track_bfd {\nf\n}", "(V1) track bfd f not found, ignoring..."),
        ("advert_int 0.4", "(V1) VRRPv2 advertisement interval 0.400000s must be an integer. rounding"),
        (
            "version 3\nadvert_int 0.015",
            "(V1) VRRPv3 advertisement interval must be a multiple of 0.01 seconds. rounding",
        ),
        (
            "virtual_routes {\n10.8.0.0/16 via 10.0.1.254\n}",
            "Warning - cannot track route 10.8.0.0/16 with no interface specified, not tracking",
        ),
        ("virtual_routes {\nblackhole 10.8.0.0/16 no_track\n10.8.0.0/16 via 10.0.1.254 no_track\n}", ""),
        ("virtual_routes {\ndev eth0\n}", "the route has no destination"),
        ("virtual_routes {\n10.8.0.0/16 dev eth0 foo\n}", "Unknown route option foo"),
        ("virtual_routes {\n10.8.0.0/16 via x dev eth0\n}", "invalid route via address x"),
        ("virtual_routes {\n10.8.0.0/16 dev eth7\n}", "WARNING - interface eth7 for VROUTE nexthop doesn't exist"),
        (
            "virtual_rules {\nfrom 10.0.0.0/8 table 5\n}",
            "Rule has no preference specified. This is probably not what you want.",
        ),
        ("virtual_rules {\nfrom 10.0.0.0/8 pref 5\n}", "Unknown rule option pref"),
        ("virtual_ipaddress {\n10.0.1.11 foo\n}", "Unknown configuration entry 'foo' for ip address - ignoring"),
        ("virtual_ipaddress {\n10.0.1.11 scope x\n}", "Invalid scope 'x' specified for 10.0.1.11 - ignoring"),
        ("auth_hmac {\nkey 1 short\n}", "the key has 5 bytes, it must have 32 to 64"),
        ("interface abcdefghijklmnop", "'abcdefghijklmnop' is too long for an interface, the limit is 15"),
        ("priority", "missing parameter: a number"),
        ("priority 5 6", "'6' is not expected here - ignoring"),
        ("priority 5 {\n}", "'priority' has no block: Unexpected '{' - ignoring"),
        ("track_script", "Missing '{' after 'track_script'"),
    ] {
        assert_eq!(told(&instance(lines)), expected, "{lines}");
    }
}

#[test]
fn instances_among_one_another() {
    let two = |a: &str, b: &str, rest: &str| {
        let one = |name: &str, lines: &str| {
            format!(
                "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {{\n10.0.1.1\n}}\n{lines}\n}}\n"
            )
        };
        told(&read(&format!("{}{}{rest}", one("A", a), one("B", b))))
    };
    let clash = "A and B both use VRID 5 with IPv4 on interface eth0";
    for (a, b, rest, expected) in [
        ("", "", "", clash),
        ("", "interface eth1", "", ""),
        ("", "mcast_dst_ip 224.0.0.19", "", ""),
        ("unicast_peer {\n10.0.1.2\n}", "unicast_peer {\n10.0.1.3\n}", "", ""),
        ("unicast_peer {\n10.0.1.2\n}", "unicast_peer {\n10.0.1.2\n}", "", clash),
        ("", "interface eth1", "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\n", ""),
        ("", "interface eth1", "vrrp_sync_group G {\n}\n", "Sync group G has no virtual router(s). removing"),
        (
            "",
            "interface eth1",
            "vrrp_sync_group G {\ngroup {\nA\nB\nB\n}\n}\n",
            "Virtual router B cannot exist in more than one sync group; ignoring G",
        ),
    ] {
        assert_eq!(two(a, b, rest), expected, "{a}/{b}/{rest}");
    }
}

#[test]
fn what_is_tracked() {
    for (text, expected) in [
        ("track_file f {\n}", "No file set for track_file f - ignoring"),
        ("track_process p {\n}", "track process 'p' process name not specified"),
        ("bfd_instance b {\n}", "Configuration error: BFD instance b has no neighbor address set, disabling instance"),
        (
            "bfd_instance b {\nneighbor_ip 10.0.0.1\nsource_ip fd00::1\n}",
            "BFD instance b source IP address and neighbor address not of same family",
        ),
        (
            "bfd_instance b {\nneighbor_ip 10.0.0.1\n}\nbfd_instance b {\nneighbor_ip 10.0.0.2\n}",
            "BFD b already specified",
        ),
        ("vrrp_script s {\nscript /a\n}\nvrrp_script s {\nscript /b\n}", "Script s already defined"),
        ("vrrp_script s {\nscript /a\nweight 300\n}", "number '300' outside range [-253, 253]"),
        ("garp_group {\n}", "garp group does not have any delay set - removing"),
        (
            "linkbeat_interfaces {\nnope\n}",
            "'linkbeat_interfaces' has no effect: the kernel tells of changes of links by itself; unknown interface nope \
             specified for linkbeat interface",
        ),
        ("interface_up_down_delays {\nnope 5\n}", "unknown interface nope specified for up/down delay"),
        ("interface_up_down_delays {\neth0 500\n}", "number '500' outside range [0.000000, 255.000000]"),
        ("global_defs {\nvrrp_mcast_group4 1.2.3.4\n}", "vrrp_mcast_group4 [1.2.3.4] is not multicast. Skipping"),
        ("global_defs {\nlvs_timeouts\n}", "at least one time-out must be given"),
        (
            "global_defs {\nnotify_fifo /a\nlvs_notify_fifo /a\n}",
            "lvs_notify_fifo /a is used twice: events would be mixed up",
        ),
        ("virtual_server_group G {\n10.0.0.9-5 80\n}", "Invalid virtual server group IP address 10.0.0.9-5"),
        ("virtual_server_group G {\nfwmark 0\n}", "number '0' outside range [1, 4294967295]"),
    ] {
        assert_eq!(told(&read(text)), expected, "{text}");
    }
}

#[test]
fn virtual_servers() {
    for (lines, real, expected) in [
        ("alpha maybe", "", "Invalid value 'maybe' specified"),
        ("ops", "", "Virtual server [10.0.1.10]:tcp:80: one packet scheduling requires UDP - resetting"),
        ("lb_kind TUN type gue", "", "a tunnel of type gue needs a port"),
        ("quorum 0", "", "number '0' outside range [1, 2147483647]"),
        ("", "BFD_CHECK {\n}", "No name has been specified for BFD_CHECKER - skipping"),
        ("", "FILE_CHECK {\ntrack_file nope\n}", "track_file nope not found"),
        ("", "DNS_CHECK {\ntype FOO\n}", "unknown value 'FOO'"),
        ("", "UDP_CHECK {\npayload zz\n}", "'z' is no hexadecimal digit"),
        (
            "",
            "TCP_CHECK {\nbindto fd00::1\n}",
            "bindto address fd00::1 does not match address family of connect_ip - skipping",
        ),
        ("", "TCP_CHECK {\nbindto fd00::1\nconnect_ip fd00::2\n}", ""),
        (
            "",
            "HTTP_GET {\nurl {\n}\n}",
            "HTTP/SSL_GET checker url has no path - ignoring; HTTP/SSL_GET checker has no urls specified - ignoring",
        ),
        ("", "HTTP_GET {\nurl {\npath /\nregex_options nope\n}\n}", "unknown regex option 'nope'"),
        ("", "nb_get_retry x", "invalid number 'x'"),
        ("lb_kind DR", "AGENT_CHECK {\nsend hello\napplies_to weight\n}\nslow_start 30", ""),
    ] {
        assert_eq!(told(&server(lines, real)), expected, "{lines}/{real}");
    }
    let defaults = read("virtual_server 10.0.1.10 80 {\nreal_server 10.0.2.1 80 {\n}\n}\n");
    assert_eq!(
        told(&defaults),
        "Virtual server [10.0.1.10]:none:80: no protocol set - defaulting to UDP; Virtual server [10.0.1.10]:udp:80: no scheduler \
         set, setting default 'wlc'; Virtual server [10.0.1.10]:udp:80: no forwarding method set, setting default NAT"
    );
    let marked = read("virtual_server fwmark 4 {\nlb_kind DR\nlb_algo rr\nreal_server 10.0.2.1 80 {\n}\n}\n");
    assert_eq!(
        told(&marked),
        "WARNING - fwmark virtual server FWM 4, real server [10.0.2.1]:none:80 has port specified - clearing"
    );
    assert_eq!(marked.config.servers[0].real_servers[0].endpoint.port, None);
}
