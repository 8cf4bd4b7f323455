use super::*;
use rvs_checker::{Http, HttpVersion, Misc, Pace, Probe, Target};
use rvs_config::keepalived::{Environment, Memory, load};
use rvs_core::abi::{Forward, flags};
use rvs_intent::{Tunnel, TunnelKind};
use rvs_wire::{Addr, Be16, Family};
use std::path::Path;
use std::time::Duration;

fn balance(text: &str) -> (Balance, Vec<String>) {
    let files = Memory::new([("/k.conf", text)]);
    let loaded = load(Path::new("/k.conf"), &files, &Environment::default());
    assert!(loaded.found);
    let mut remarks = Vec::new();
    let balance = Balance::of(&loaded.config, &mut remarks);
    (balance, remarks)
}

fn one(text: &str) -> Server {
    let (mut balance, remarks) = balance(text);
    assert_eq!(remarks, Vec::<String>::new(), "{text}");
    balance.servers.remove(0)
}

fn service(lines: &str, real: &str) -> Server {
    one(&format!(
        "virtual_server 10.0.1.10 80 {{\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n{lines}\n real_server 10.0.2.11 80 \
         {{\n{real}\n}}\n}}\n"
    ))
}

fn check(real: &str) -> Arc<CheckParams> {
    let server = service("", real);
    server.checks.into_values().next().expect("a real server").remove(0)
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn a_virtual_server_of_which_little_is_said_has_the_originals_defaults() {
    let server = service("", "TCP_CHECK {\n}");
    let params = &server.params;
    assert_eq!((params.name.as_str(), params.quorum, params.hysteresis), ("[10.0.1.10]:tcp:80", 1, 0));
    assert!(!params.omega && !params.smtp_alert && params.sorry.is_none() && params.outlier.is_none());
    let real = &params.reals[0];
    assert_eq!((real.name.as_str(), real.weight, real.inhibit_on_failure), ("[10.0.2.11]:tcp:80", 1, false));
    assert_eq!(real.checks, [false]);
    let [member] = &server.members[..] else { panic!("one service") };
    assert_eq!((member.sched.as_str(), member.flags, member.persist_secs), ("rr", 0, 0));
    assert_eq!((member.key.proto, member.key.port.host(), member.key.family), (6, 80, Family::V4.raw()));
    let dest = &server.dests[&at("10.0.2.11:80")];
    assert_eq!((dest.forward, dest.weight, dest.u_threshold, dest.l_threshold), (Forward::Masq, 1, 0, 0));
    let check = &server.checks[&at("10.0.2.11:80")][0];
    assert_eq!(check.target, Target::new(at("10.0.2.11:80")));
    assert_eq!(check.pace, Pace::of(&Probe::Tcp, Duration::from_secs(60)));
}

#[test]
fn every_setting_of_a_service_reaches_the_table() {
    let server =
        service("persistence_timeout 50\n persistence_granularity 255.255.255.0\n sh-port\n sh-fallback\n flag-3", "");
    let member = &server.members[0];
    let all = flags::PERSISTENT | flags::SCHED_1 | flags::SCHED_2 | flags::SCHED_3;
    assert_eq!((member.flags, member.persist_secs), (all, 50));
    assert_eq!(member.netmask, Addr::from(std::net::Ipv4Addr::new(255, 255, 255, 0)));
    let sip = one(
        "virtual_server fd00:1::10 53 {\n lvs_sched mh\n lvs_method DR\n protocol UDP\n ops\n persistence_engine sip\n \
         persistence_granularity 64\n real_server fd00:2::11 53 {\n}\n}\n",
    );
    let member = &sip.members[0];
    assert_eq!((member.engine.as_deref(), member.persist_secs), (Some("sip"), 360));
    assert_eq!(member.flags, flags::PERSISTENT | flags::ONE_PACKET);
    let mask: std::net::Ipv6Addr = "ffff:ffff:ffff:ffff::".parse().expect("a mask");
    assert_eq!((member.netmask, member.key.proto), (Addr::from(mask), 17));
    assert_eq!(sip.dests.values().next().expect("one").forward, Forward::Route);
}

#[test]
fn tunnels_and_thresholds_reach_the_destinations() {
    for (method, kind, port, checksum) in [
        ("TUN", TunnelKind::Ipip, 0, 0),
        ("TUN type gue port 6080 remcsum", TunnelKind::Gue, 6080, 2),
        ("TUN type gre csum", TunnelKind::Gre, 0, 1),
    ] {
        let server = service("", &format!("lvs_method {method}\n uthreshold 100\n lthreshold 50\n weight 7"));
        let dest = &server.dests[&at("10.0.2.11:80")];
        let tunnel = Tunnel { kind, port: Be16::new(port), flags: checksum };
        assert_eq!((dest.forward, dest.tunnel), (Forward::Tunnel, tunnel), "{method}");
        assert_eq!((dest.u_threshold, dest.l_threshold, dest.weight), (100, 50, 7));
    }
}

#[test]
fn a_group_is_all_its_addresses_ranges_networks_and_marks() {
    let server = one(
        "virtual_server_group WEB {\n 10.0.1.20 80\n 10.0.1.21-23 8080\n 10.0.3.0/30 81\n fwmark 9\n}\nvirtual_server group \
         WEB {\n lvs_sched rr\n lvs_method DR\n protocol TCP\n real_server 10.0.2.12 80 {\n}\n}\n",
    );
    assert_eq!(server.params.name, "[WEB]:0");
    let places: Vec<(String, u16)> = server
        .members
        .iter()
        .map(|member| match member.key.proto {
            0 => ("mark".to_owned(), 0),
            _ => (member.key.addr.to_ip(Family::V4).to_string(), member.key.port.host()),
        })
        .collect();
    let expected = [
        ("10.0.1.20", 80),
        ("10.0.1.21", 8080),
        ("10.0.1.22", 8080),
        ("10.0.1.23", 8080),
        ("10.0.3.0", 81),
        ("10.0.3.1", 81),
        ("10.0.3.2", 81),
        ("10.0.3.3", 81),
        ("mark", 0),
    ];
    assert_eq!(places, expected.map(|(address, port)| (address.to_owned(), port)));
    // Packets that are routed keep the port they came for.
    let dest = &server.dests[&at("10.0.2.12:80")];
    assert_eq!(server.place(&server.members[1], dest).port.host(), 8080);
    assert_eq!(server.place(&server.members[8], dest).port.host(), 80);
}

#[test]
fn marks_have_the_family_of_their_real_servers() {
    let server = one("virtual_server fwmark 7 {\n lvs_sched rr\n lvs_method DR\n real_server fd00:2::11 {\n}\n}\n");
    assert_eq!((server.params.name.as_str(), server.members[0].key.family), ("FWM 7", Family::V6.raw()));
    assert_eq!(server.params.reals[0].name, "[fd00:2::11]:none:0");
}

#[test]
fn too_great_a_group_is_cut_and_said() {
    let text = "virtual_server_group G {\n 10.0.0.0/8 80\n}\nvirtual_server group G {\n lvs_sched rr\n lvs_method NAT\n \
                protocol TCP\n real_server 10.0.2.12 80 {\n}\n}\n";
    let (balance, remarks) = balance(text);
    assert_eq!(balance.servers[0].members.len(), MOST_MEMBERS);
    assert!(remarks[0].contains("more than 4096"), "{remarks:?}");
}

#[test]
fn each_level_of_pace_has_the_one_above_as_default() {
    let server = service(
        "delay_loop 7\n retry 4\n alpha\n warmup 2\n delay_before_retry 5",
        "retry 3\n TCP_CHECK {\n connect_timeout 2\n}\n TCP_CHECK {\n retry 9\n delay_loop 1\n}\n DNS_CHECK {\n}",
    );
    let checks = &server.checks[&at("10.0.2.11:80")];
    let seconds = Duration::from_secs;
    let first = Pace {
        alpha: true,
        connect_timeout: seconds(2),
        retry: 3,
        delay_before_retry: seconds(5),
        warmup: seconds(2),
        delay_loop: seconds(7),
    };
    assert_eq!(checks[0].pace, first);
    assert_eq!(checks[1].pace, Pace { retry: 9, delay_loop: seconds(1), connect_timeout: seconds(5), ..first });
    assert_eq!(server.params.reals[0].checks, [true, true, true]);
}

#[test]
fn every_setting_of_a_connection_reaches_the_check() {
    let check = check(
        "TCP_CHECK {\n connect_ip 10.0.9.9\n connect_port 25\n bindto 10.0.9.1\n bind_port 99\n bind_if eth7\n fwmark 5\n \
         log_all_failures\n}",
    );
    let expected = Target {
        address: at("10.0.9.9:25"),
        bind_address: Some(at("10.0.9.1:0").ip()),
        bind_port: Some(99),
        bind_interface: Some("eth7".into()),
        mark: 5,
        via_vip: None,
    };
    assert!(check.log_all_failures);
    assert_eq!(check.target, expected);
    // The mark of such a check is RVS's own.
    let via = self::check("TCP_CHECK {\n check_via_vip\n}");
    assert_eq!((via.target.mark, via.target.via_vip), (0, Some(at("10.0.1.10:80"))));
}

#[test]
fn pages_are_asked_for_as_configured() {
    let check = check(
        "SSL_GET {\n url {\n path /a\n status_code 200 301-303\n digest 66e0f3b644d9431376bafdb0da3de6ca\n}\n url {\n path /b\n \
         virtualhost b.example\n regex \"^ok\"\n regex_no_match\n regex_options caseless\n regex_min_offset 2\n}\n \
         http_protocol 1.1\n virtualhost www.example\n enable_sni\n tls_verify\n fast_recovery\n}",
    );
    let Probe::Http(Http { urls, version, virtualhost, fast_recovery, tls: Some(tls) }) = &check.probe else {
        panic!("{check:?}")
    };
    assert_eq!((*version, virtualhost.as_deref(), *fast_recovery), (HttpVersion::Http11, Some("www.example"), true));
    assert_eq!((tls.sni.as_deref(), tls.verify), (Some("www.example"), true));
    assert_eq!((urls[0].path.as_str(), &urls[0].status[..]), ("/a", &[(200, 200), (301, 303)][..]));
    assert_eq!(urls[0].digest.map(|digest| digest[..2].to_vec()), Some(vec![0x66, 0xe0]));
    let pattern = urls[1].pattern.as_ref().expect("an expression");
    assert!(pattern.no_match && pattern.caseless && pattern.min_offset == 2);
    assert_eq!(urls[1].virtualhost.as_deref(), Some("b.example"));
}

#[test]
fn programs_files_and_sessions() {
    let text = "track_file F {\n file /tmp/f\n weight 3\n}\nbfd_instance B {\n neighbor_ip 10.0.0.2\n}\nvirtual_server \
                10.0.1.10 80 {\n delay_loop 4\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n real_server 10.0.2.11 80 {\n \
                MISC_CHECK {\n misc_path \"/bin/x 'a b'\"\n misc_dynamic\n}\n FILE_CHECK {\n track_file F\n}\n FILE_CHECK {\n \
                track_file F\n weight 2 reverse\n alpha\n}\n BFD_CHECK {\n name B\n}\n}\n}\n";
    let server = one(text);
    let probes: Vec<&Probe> = server.checks[&at("10.0.2.11:80")].iter().map(|check| &check.probe).collect();
    let words = ["/bin/x", "a b"].map(str::to_owned).to_vec();
    let misc = Misc { command: words, user: None, timeout: Duration::from_secs(4), dynamic: true };
    assert_eq!(probes[0], &Probe::Misc(misc));
    let file = |weight| Probe::File(rvs_checker::File { name: "F".into(), weight });
    assert_eq!(
        (probes[1], probes[2], probes[3]),
        (&Probe::Bfd(rvs_checker::Bfd { name: "B".into() }), &file(3), &file(-2),)
    );
    assert_eq!(server.params.reals[0].checks, [false, false, false, true]);
}

#[test]
fn what_cannot_be_is_left_out_and_said() {
    let text = "virtual_server 10.0.1.10 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n persistence_engine nosuch\n \
                real_server 10.0.2.11 80 {\n lthreshold 9\n uthreshold 5\n HTTP_GET {\n url {\n path /\n regex \"(\"\n}\n}\n \
                TCP_CHECK {\n}\n}\n}\nvirtual_server 10.0.1.10 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n \
                real_server 10.0.2.12 80 {\n}\n}\n";
    let (balance, remarks) = balance(text);
    let [server] = &balance.servers[..] else { panic!("one is left") };
    assert_eq!(server.checks[&at("10.0.2.11:80")].len(), 1);
    assert_eq!(server.dests[&at("10.0.2.11:80")].l_threshold, 0);
    assert_eq!(server.members[0].engine, None);
    let texts = ["no persistence engine nosuch", "lthreshold 9", "regular expression", "is there twice"];
    assert_eq!(remarks.len(), texts.len(), "{remarks:?}");
    for (remark, text) in remarks.iter().zip(texts) {
        assert!(remark.contains(text), "{remark}");
    }
}

#[test]
fn scripts_sorry_server_and_suspension() {
    let server = service(
        "quorum_up \"/bin/up 1\"\n sorry_server 10.0.2.13\n sorry_server_inhibit\n sorry_server_lvs_method DR\n ha_suspend\n \
         quorum 1\n omega\n slow_start 10\n outlier_ejection {\n consecutive_failures 3\n}",
        "notify_down /bin/down\n inhibit_on_failure",
    );
    let sorry = server.params.sorry.as_ref().expect("a sorry server");
    assert_eq!((sorry.name.as_str(), sorry.address, sorry.inhibit), ("[10.0.2.13]:tcp:80", at("10.0.2.13:80"), true));
    assert_eq!(server.sorry.as_ref().map(|dest| dest.forward), Some(Forward::Route));
    assert_eq!(server.tells.quorum_up.as_ref().map(|command| command.words.len()), Some(2));
    assert!(server.tells.quorum_down.is_none());
    assert_eq!(server.tells.commands().count(), 2);
    assert_eq!(server.suspend_without.len(), 1);
    let real = &server.params.reals[0];
    assert!(real.inhibit_on_failure && server.params.omega && real.slow_start == Duration::from_secs(10));
    let outlier = server.params.outlier.expect("ejection");
    assert_eq!((outlier.consecutive_failures, outlier.max_ejection_percent), (3, 10));
}
