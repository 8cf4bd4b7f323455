use super::*;
use rvs_config::keepalived::{Environment, Memory, load};
use rvs_vrrp::params::{HmacMode, Isolation, LegacyAuth, Protocol, Tracked, Transport, VmacKind};
use rvs_vrrp::{Centis, Event, Seconds, State};
use std::path::Path;

fn plan_of(text: &str, facts: &Facts) -> Plan {
    let files = Memory::new([("/k.conf", text)]);
    let loaded = load(Path::new("/k.conf"), &files, &Environment::default());
    assert!(loaded.found);
    Plan::of(&loaded.config, facts)
}

fn plan(text: &str) -> Plan {
    plan_of(text, &Facts::default())
}

fn one(lines: &str) -> rvs_vrrp::params::InstanceParams {
    let text = format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n 10.0.0.9/24\n }}\n{lines}\n}}\n"
    );
    plan(&text).vrrp.instances.into_iter().next().expect("an instance")
}

#[test]
fn an_instance_of_which_little_is_said_has_the_originals_defaults() {
    let params = one("");
    let mut expected = rvs_vrrp::params::InstanceParams::new("V", "eth0", rvs_vrrp::Vrid::new(7).expect("7"));
    expected.addresses = params.addresses.clone();
    assert_eq!(params, expected);
    assert_eq!(params.addresses.len(), 1);
    assert_eq!((params.addresses[0].prefix, &params.addresses[0].device), (24, &None));
}

#[test]
fn addresses_elsewhere_have_virtual_interfaces_as_the_original_names_them() {
    let text = "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n use_vmac\n use_vmac_addr\n virtual_ipaddress {\n \
                10.0.0.9/24\n 10.0.1.9/24 dev eth1\n 10.0.1.8/24 dev eth1\n }\n virtual_ipaddress_excluded {\n fd00::9/64 dev \
                eth2\n }\n}\nvrrp_instance B {\n interface eth0\n virtual_router_id 8\n virtual_ipaddress {\n 10.0.0.19/24\n \
                10.0.0.18/24 use_vmac\n 10.0.1.19/24 dev eth1 use_vmac\n 10.0.1.18/24 dev eth1\n }\n}\n";
    let plan = plan(text);
    let shown = |at: usize| {
        let params = &plan.vrrp.instances[at];
        let links: Vec<String> = params
            .vmacs()
            .map(|(base, vmac)| format!("{}@{base} {:?}", vmac.name, vmac.mac().map(|mac| mac[4])))
            .collect();
        let places = params.addresses.iter().chain(&params.excluded).map(|vip| vip.device.as_deref().unwrap_or("-"));
        (links, places.collect::<Vec<_>>().join(" "))
    };
    let (links, places) = shown(0);
    assert_eq!(links, ["vrrp.7@eth0 Some(1)", "vrrp1.7@eth1 Some(1)", "vrrp6.7@eth2 Some(2)"]);
    assert_eq!(places, "- vrrp1.7 vrrp1.7 vrrp6.7");
    let (links, places) = shown(1);
    assert_eq!(links, ["vrrp.8@eth0 Some(1)", "vrrp1.8@eth1 Some(1)"]);
    assert_eq!(places, "- vrrp.8 vrrp1.8 eth1");
}

#[test]
fn an_ipvlan_and_a_vrf_are_asked_for_as_configured() {
    let params = one("use_ipvlan ipv7 10.0.0.3 private\n vrf blue");
    let vmac = params.vmac.expect("an ipvlan");
    let address = "10.0.0.3".parse().expect("an address");
    assert_eq!((&*vmac.name, vmac.kind), ("ipv7", VmacKind::Ipvlan(Isolation::Private, Some(address))));
    assert_eq!((vmac.vrf.as_deref(), params.source), (Some("blue"), Some(address)));
}

#[test]
fn every_setting_reaches_the_protocol() {
    let params = one(
        "state MASTER\n priority 120\n advert_int 2\n authentication {\n auth_type PASS\n auth_pass geheim\n }\n mcast_src_ip \
         10.0.0.1\n mcast_dst_ip 224.0.0.99\n garp_master_delay 1\n garp_master_repeat 2\n garp_master_refresh 3\n \
         garp_master_refresh_repeat 4\n garp_lower_prio_delay 6\n garp_lower_prio_repeat 7\n down_timer_adverts 4\n \
         lower_prio_no_advert\n higher_prio_send_advert\n skip_check_adv_addr\n promote_secondaries\n dont_track_primary\n \
         track_src_ip\n notify_deleted\n notify_priority_changes\n use_vmac vip0\n vmac_xmit_base",
    );
    assert!(params.start_as_master && params.priority.get() == 120);
    let auth = LegacyAuth::Password(*b"geheim\0\0");
    assert_eq!(params.protocol, Protocol::V2 { interval: Seconds::new(2).expect("2"), auth });
    assert_eq!(params.source, Some("10.0.0.1".parse().expect("an address")));
    assert_eq!(params.transport, Transport::Multicast { group: "224.0.0.99".parse().expect("an address") });
    let garp = &params.garp;
    assert_eq!((garp.master_delay.as_secs(), garp.master_repeat, garp.refresh.as_secs()), (1, 2, 3));
    assert_eq!((garp.refresh_repeat, garp.lower_prio_delay.as_secs(), garp.lower_prio_repeat), (4, 6, 7));
    assert_eq!(params.down_timer_adverts, 4);
    assert!(params.lower_prio_no_advert && params.higher_prio_send_advert && params.skip_check_adv_addr);
    assert!(params.promote_secondaries && params.dont_track_primary && params.track_source);
    assert!(params.notify_deleted && params.notify_priority_changes);
    let vmac = params.vmac.expect("a macvlan");
    assert_eq!((&*vmac.name, vmac.mac(), vmac.transmit_on_base), ("vip0", Some([0, 0, 0x5e, 0, 1, 7]), true));
}

#[test]
fn version_3_counts_in_hundredths_and_unicast_has_peers() {
    let params = one(
        "version 3\n advert_int 0.25\n nopreempt\n timer_expired_backup 90\n unicast_src_ip 10.0.0.1\n unicast_peer {\n \
         10.0.0.2 min_ttl 3 max_ttl 9\n }\n unicast_ttl 5\n check_unicast_src",
    );
    let interval = Centis::new(25).expect("25");
    assert!(matches!(params.protocol, Protocol::V3 { interval: it, checksum_as_v2: false, .. } if it == interval));
    assert_eq!(params.timer_expired_backup.map(|priority| priority.get()), Some(90));
    let Transport::Unicast { peers, hop_limit, check_source, .. } = params.transport else { panic!("no peers") };
    assert_eq!((peers.len(), peers[0].min_ttl, peers[0].max_ttl, hop_limit, check_source), (1, 3, 9, 5, true));
    let v6 = plan(
        "vrrp_instance V {\n interface eth0\n virtual_router_id 7\n preempt_delay 2.5\n virtual_ipaddress {\n fe80::7\n }\n}\n",
    );
    let params = &v6.vrrp.instances[0];
    assert!(params.ipv6 && matches!(params.protocol, Protocol::V3 { .. }));
    assert_eq!(params.addresses[0].prefix, 128);
    assert_eq!(params.preempt_delay.as_millis(), 2500);
}

#[test]
fn globals_hold_where_nothing_else_is_said() {
    let text = |globals: &str| {
        format!(
            "global_defs {{\n{globals}\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n \
             10.0.0.9\n }}\n}}\n"
        )
    };
    let plan = plan(&text(
        "vrrp_version 3\n vrrp_garp_master_delay 9\n vrrp_mcast_group4 224.1.1.1\n vrrp_lower_prio_no_advert\n \
         vrrp_garp_interval 0.5\n vrrp_startup_delay 2\n vrrp_rt_priority 40\n log_unknown_vrids",
    ));
    let params = &plan.vrrp.instances[0];
    assert!(matches!(params.protocol, Protocol::V3 { .. }) && params.lower_prio_no_advert);
    assert_eq!((params.garp.master_delay.as_secs(), params.garp.lower_prio_delay.as_secs()), (9, 9));
    assert_eq!(params.transport, Transport::Multicast { group: "224.1.1.1".parse().expect("an address") });
    assert_eq!((plan.vrrp.default_pace.arp.as_millis(), plan.vrrp.startup_delay.as_secs()), (500, 2));
    assert!(plan.vrrp.log_unknown_vrids);
    assert_eq!(plan.options.promptness.real_time, Some(40));
    let least = self::plan(&text("vrrp_min_garp"));
    let garp = &least.vrrp.instances[0].garp;
    assert_eq!((garp.master_delay.as_secs(), garp.master_repeat, garp.lower_prio_repeat), (0, 1, 1));
}

#[test]
fn weights_are_those_of_the_list_else_those_of_the_block() {
    let plan = plan(
        "vrrp_script s {\n script /bin/true\n weight -20\n rise 2\n fall 3\n init_fail\n interval 0.5\n}\nvrrp_script unused {\n \
         script /bin/true\n}\ntrack_file f {\n file /tmp/f\n init_file 5\n}\ntrack_process p {\n process sleep 9\n quorum 2\n \
         param_match initial\n fork_delay 1\n}\nbfd_instance b {\n neighbor_ip 10.0.0.3\n min_tx 50\n max_hops 2\n}\n\
         vrrp_instance V {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.9\n }\n track_script {\n s\n \
         }\n track_file {\n f weight 3\n }\n track_process {\n p\n }\n track_interface {\n eth1 weight 5 reverse\n }\n \
         track_bfd {\n b\n }\n}\nvrrp_sync_group G {\n group {\n V\n nobody\n }\n track_interface {\n eth2\n }\n}\n",
    );
    let track = &plan.vrrp.instances[0].track;
    let find = |what: Tracked| track.iter().find(|item| item.what == what).map(|item| (item.weight, item.reverse));
    assert_eq!(find(Tracked::Script("s".into())), Some((-20, false)));
    assert_eq!(find(Tracked::File("f".into())), Some((3, false)));
    assert_eq!(find(Tracked::Process("p".into())), Some((1, false)));
    assert_eq!(find(Tracked::Interface("eth1".into())), Some((5, true)));
    assert_eq!(find(Tracked::Bfd("b".into())), Some((0, false)));
    let script = &plan.vrrp.scripts[0];
    assert_eq!((script.rise, script.fall, script.init_fail), (2, 3, true));
    assert_eq!(plan.scripts.keys().collect::<Vec<_>>(), ["s"], "what nobody tracks is not run");
    let (command, interval, timeout) = &plan.scripts["s"];
    assert_eq!((command.words.join(" "), interval.as_millis(), timeout.as_millis()), ("/bin/true".into(), 500, 500));
    assert_eq!(plan.files["f"].first, Some((5, false)));
    assert_eq!((plan.vrrp.processes[0].quorum, plan.processes["p"].fork_delay.as_secs()), (2, 1));
    assert_eq!((plan.bfd[0].min_tx.as_millis(), plan.bfd[0].max_hops, plan.bfd[0].multiplier), (50, 2, 5));
    let group = &plan.vrrp.groups[0];
    assert_eq!(group.members.iter().map(|name| &**name).collect::<Vec<_>>(), ["V"]);
    assert_eq!(group.track[0].what, Tracked::Interface("eth2".into()));
    let mut plan = plan;
    plan.forget_script("s");
    assert!(plan.scripts.is_empty() && plan.vrrp.instances[0].track.len() == 4);
}

#[test]
fn keys_are_text_digits_or_files() {
    let facts = Facts { keys: [(PathBuf::from("/key"), vec![7; 32])].into(), ..Facts::default() };
    let text = "vrrp_instance V {\n interface eth0\n version 3\n virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.9\n }\n \
                auth_hmac {\n key 1 file:/key\n key 2 hex:000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f\n \
                active_key 2\n mode permissive\n time_window 9\n }\n}\n";
    let with_key = plan_of(text, &facts);
    let auth = with_key.vrrp.instances[0].auth_hmac.as_ref().expect("keys");
    assert_eq!((auth.keys.len(), auth.active, auth.mode, auth.window), (2, 2, HmacMode::Permissive, Some(9)));
    let without = plan(text);
    assert_eq!(without.vrrp.instances[0].auth_hmac.as_ref().map(|auth| auth.keys.len()), Some(1));
    assert!(without.remarks.iter().any(|line| line.contains("key 1 cannot be used")), "{:?}", without.remarks);
    assert_eq!(hmac_key("hex:0aFF", &facts), Some(vec![10, 255]));
    assert_eq!(hmac_key("hex:0é", &facts), None);
}

#[test]
fn what_cannot_run_is_said_and_left_out() {
    let plan = plan(
        "vrrp_instance A {\n virtual_router_id 1\n virtual_ipaddress {\n 10.0.0.9\n }\n}\nvrrp_instance B {\n interface eth0\n \
         virtual_ipaddress {\n 10.0.0.9\n }\n}\nvrrp_instance C {\n interface eth0\n version 3\n virtual_router_id 3\n}\n\
         virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 10.0.0.2 80 {\n }\n}\n",
    );
    assert!(plan.vrrp.instances.is_empty());
    for text in ["(A) has no interface", "(B) has no virtual_router_id", "(C) cannot run"] {
        assert!(plan.remarks.iter().any(|line| line.starts_with(text)), "{text}: {:?}", plan.remarks);
    }
}

#[test]
fn those_who_are_told_are_told_what_they_asked_for() {
    let plan = plan(
        "global_defs {\n smtp_alert\n notify_fifo /run/f\n notify_fifo_script /bin/cat\n}\nvrrp_instance V {\n interface eth0\n \
         virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.9\n }\n notify /bin/any\n notify_master \"/bin/m 'a b'\" root\n \
         notify_master_rx_lower_pri /bin/l\n smtp_alert off\n}\nvrrp_sync_group G {\n group {\n V\n }\n notify_stop /bin/s\n}\n",
    );
    let recipient = plan.notifies.recipient(false, "V").expect("a recipient");
    let special = |event| recipient.special(event).map(|command| command.words.join("|"));
    assert_eq!(special(Event::Entered(State::Master)), Some("/bin/m|a b".into()));
    assert_eq!(special(Event::Entered(State::Backup)), None);
    assert_eq!(special(Event::MasterRxLowerPri), Some("/bin/l".into()));
    assert!(recipient.general(Event::Stop).is_some() && recipient.general(Event::MasterRxLowerPri).is_none());
    assert!(!recipient.mail && plan.notifies.recipient(true, "G").is_some_and(|group| group.mail));
    assert_eq!(plan.notifies.fifos.0.len(), 1);
    assert!(plan.notifies.has_scripts());
    assert_eq!(plan.commands().count(), 5);
}

#[test]
fn addresses_routes_and_rules_are_what_ip_would_make_of_them() {
    let plan = plan(
        "static_ipaddress {\n 192.0.2.1/24 brd + label eth0:1 scope link\n}\nstatic_routes {\n 198.51.100.0/24 via 10.0.0.1 dev \
         eth0 metric 5 table web mtu lock 1400 src 10.0.0.9\n blackhole 203.0.113.0/24\n}\nstatic_rules {\n from 10.0.0.0/8 table \
         web priority 99 fwmark 0x10/0xff dport 80-90\n}\n",
    );
    let statics = &plan.catalogue.statics;
    let entry = address(&statics.addresses[0].1, 4).expect("an address");
    assert_eq!((entry.key.index, entry.key.prefix, entry.scope), (4, 24, 253));
    assert_eq!((entry.label.as_deref(), entry.broadcast), (Some("eth0:1"), rvs_host::net::Broadcast::Ones));
    assert_eq!(statics.addresses[0].1.dev.as_deref(), Some("eth0"), "the default interface");
    let tables = Tables::parse("77 web # ours\n\nnonsense\n");
    let index = |name: &str| (name == "eth0").then_some(4);
    let lines: Vec<_> =
        statics.routes.iter().map(|name| route(&plan.catalogue.routes[name], &tables, &index)).collect();
    let first = lines[0].as_ref().expect("a route");
    assert_eq!((first.key.table, first.key.metric, first.hops[0].index), (77, 5, Some(4)));
    assert_eq!((first.metrics.as_slice(), first.locked.len()), (&[(rvs_host::net::Metric::Mtu, 1400)][..], 1));
    assert_eq!(lines[1].as_ref().expect("a route").kind, rvs_host::net::RouteKind::Blackhole);
    assert!(route(&plan.catalogue.routes[&statics.routes[0]], &tables, &|_| None).is_err());
    assert!(route(&plan.catalogue.routes[&statics.routes[0]], &Tables::default(), &index).is_err());
    let line = rule(&plan.catalogue.rules[&statics.rules[0]], &tables).expect("a rule");
    assert_eq!((line.priority, line.mark, line.destination_ports), (99, Some((16, 255)), Some((80, 90))));
    assert!(plan.catalogue.has_routes());
    let mut plan = plan;
    plan.restrict(Parts { vrrp: false, bfd: false, check: false });
    assert!(!plan.catalogue.has_routes() && plan.catalogue.statics.addresses.is_empty());
}
