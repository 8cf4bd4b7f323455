use super::*;
use crate::plan::{Facts, Plan};
use rvs_config::keepalived::{Environment, Memory, load};
use rvs_machine::Machine as _;
use rvs_vrrp::{Input, Interface, Router};
use std::path::Path;
use std::time::Duration;

const CONFIG: &str = "global_defs {\n router_id dr\n}\nvrrp_instance VI_1 {\n state MASTER\n interface eth0\n virtual_router_id \
                      51\n priority 100\n advert_int 1\n authentication {\n auth_type PASS\n auth_pass secret\n }\n \
                      virtual_ipaddress {\n 10.0.1.10/24\n 10.0.1.11/24\n }\n}\n";

/// A director that is master, five seconds after it began.
fn master() -> (Snapshot, Config) {
    let files = Memory::new([("/k.conf", CONFIG)]);
    let config = load(Path::new("/k.conf"), &files, &Environment::default()).config;
    let mut router = Router::new(Plan::of(&config, &Facts::default()).vrrp);
    let link = Interface {
        name: "eth0".into(),
        up: true,
        mac: Some([2, 0, 0, 0, 1, 1]),
        ipv4: Some([10, 0, 1, 1].into()),
        ipv6: None,
        router: false,
    };
    router.handle(Time::ZERO, Input::Interface(link));
    router.handle(Time::ZERO, Input::Start);
    let end = Time::ZERO + Duration::from_secs(5);
    while let Some(at) = router.deadline().filter(|at| *at <= end) {
        router.wake(at);
        while router.poll().is_some() {}
    }
    let snapshot = Snapshot {
        router,
        bfd: Vec::new(),
        interfaces: Vec::new(),
        now: end,
        wall: (1_735_689_645, 37_969),
        dropped: 0,
    };
    (snapshot, config)
}

/// The names of the members of a JSON object, in their order.
fn members(text: &str) -> Vec<&str> {
    let parts = text.split('"').skip(1).step_by(2).zip(text.split('"').skip(2).step_by(2));
    parts.filter(|(_, behind)| behind.starts_with(':')).map(|(name, _)| name).collect()
}

#[test]
fn the_json_has_the_recorded_members_in_their_order() {
    let (snapshot, config) = master();
    let text = json(&snapshot, &config, false);
    let recorded = include_str!("../../../../tests/golden/keepalived/dumps/keepalived.json");
    assert_eq!(members(&text), members(recorded.trim_end()));
    for part in [
        "\"vips\":[\"10.0.1.10\\/24 dev eth0 scope global set\",\"10.0.1.11\\/24 dev eth0 scope global set\"]",
        "\"state\":2,\"wantstate\":2,\"version\":2,\"smtp_alert\":false",
        "\"auth_type\":1,\"auth_data\":\"secret\"},\"stats\":{\"advert_rcvd\":0",
        "\"adver_int\":1,\"master_adver_int\":1,\"accept\":1",
    ] {
        assert!(text.contains(part) && recorded.contains(part) | part.contains("rcvd"), "{part}\n{text}");
    }
    assert!(json(&snapshot, &config, true).starts_with("{\"vrrp\":[{\"data\":{\"iname\":\"VI_1\""));
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
}

#[test]
fn the_statistics_have_the_recorded_lines() {
    let (snapshot, _) = master();
    let names = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim_end_matches(|char: char| char.is_ascii_digit()).to_owned()).collect()
    };
    let recorded = include_str!("../../../../tests/golden/keepalived/dumps/keepalived.stats");
    assert_eq!(names(&stats(&snapshot)), names(recorded));
}

#[test]
fn the_state_has_the_recorded_lines() {
    let (snapshot, config) = master();
    let text = data(&snapshot, &config);
    let recorded = include_str!("../../../../tests/golden/keepalived/dumps/keepalived.data");
    // What there is of the machine, and numbers of its sockets, differ; so does what is not there at all.
    let ends = "------< VRRP Sockpool >------";
    let ours = ["Default script uid:gid", "libnftnl version", "Last transition", "Read timeout", "Master down timer"];
    let other = |line: &&str| !ours.iter().any(|begin| line.trim_start().starts_with(begin)) && !line.contains("fd_in");
    let lines = |text: &'static str| text.lines().take_while(|line| *line != ends).filter(other).collect::<Vec<_>>();
    let found: Vec<&str> = text.lines().take_while(|line| *line != ends).filter(other).collect();
    assert_eq!(found, lines(recorded));
}

#[test]
fn a_moment_is_told_by_the_clock_of_the_day() {
    let (snapshot, _) = master();
    assert_eq!(moment_text(&snapshot, snapshot.now), "1735689645.037969 (Wed Jan  1 00:00:45.037969 2025)");
    let before = Time::ZERO + Duration::from_millis(4500);
    assert_eq!(moment(&snapshot, before), (1_735_689_644, 537_969));
    assert_eq!(moment(&snapshot, snapshot.now + Duration::from_secs(1)), (1_735_689_646, 37_969));
}

/// The configuration that the dump of the checkers was recorded of.
fn recorded_servers() -> (crate::keeper::Board, Config) {
    let real = |last: u8, n: u8| {
        format!(
            "real_server 10.0.2.{last} 80 {{\n weight 1\n notify_up /tmp/up.sh\n notify_down \"/tmp/down.sh rs{n}\"\n TCP_CHECK \
             {{\n connect_timeout 2\n retry 2\n delay_before_retry 1\n }}\n}}\n"
        )
    };
    let reals: String = [(11, 1), (12, 2), (13, 3)].into_iter().map(|(last, n)| real(last, n)).collect();
    let text =
        format!("virtual_server 10.0.1.10 80 {{\n delay_loop 3\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{reals}}}\n");
    let files = Memory::new([("/k.conf", text.as_str())]);
    let config = load(Path::new("/k.conf"), &files, &Environment::default()).config;
    let open: crate::keeper::Open = Box::new(|| Ok(Box::<rvs_dataplane::model::Model>::default()));
    let mut keeper = crate::keeper::Keeper::new(open);
    let plan = Plan::of(&config, &Facts::default()).balance;
    keeper.start(Time::ZERO, plan, crate::keeper::State::default(), &mut Nobody);
    keeper.flush();
    let mut board = keeper.board(Time::ZERO, None);
    // As after their first runs.
    for check in board.services.iter_mut().flat_map(|it| &mut it.reals).flat_map(|it| &mut it.checks) {
        (check.up, check.has_run) = (true, true);
    }
    (board, config)
}

/// Does no checks.
struct Nobody;

impl crate::keeper::Checks for Nobody {
    fn subscribe(&mut self, _: crate::keeper::Subject, _: std::sync::Arc<rvs_checker::CheckParams>) {}
    fn unsubscribe(&mut self, _: &crate::keeper::Subject) {}
    fn suspend(&mut self, _: &crate::keeper::Subject, _: bool) {}
    fn adopt(&mut self, _: &crate::keeper::Subject, _: bool, _: rvs_checker::Advice) {}
    fn file(&mut self, _: &crate::keeper::Subject, _: i64) {}
    fn session(&mut self, _: &crate::keeper::Subject, _: bool) {}
}

#[test]
fn the_virtual_servers_have_the_recorded_lines() {
    let (board, config) = recorded_servers();
    let recorded = include_str!("../../../../tests/golden/keepalived/dumps/keepalived_check.data");
    let from = recorded.find("------< LVS Topology").expect("the part");
    // Who runs a script is not known here; the weight before the last change is not kept.
    let lines = recorded[from..].lines().filter(|line| !line.contains("previous effective_weight"));
    let expected: Vec<&str> = lines.map(|line| line.split(", uid:gid").next().unwrap_or(line)).collect();
    assert_eq!(check_data(&board, &config).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn figures_of_virtual_servers_are_a_page_that_prometheus_reads() {
    let (board, _) = recorded_servers();
    let page = check_metrics(&board);
    for line in [
        "keepalived_lvs_vip_conn{addr=\"10.0.1.10:80\",proto=\"TCP\"} 0",
        "keepalived_lvs_rs_conn{addr=\"10.0.2.12:80\",proto=\"TCP\",vip=\"10.0.1.10:80\"} 0",
        "rvs_virtual_server_quorum_up{service=\"[10.0.1.10]:tcp:80\"} 1",
        "rvs_real_server_weight_in_table{service=\"[10.0.1.10]:tcp:80\",real=\"[10.0.2.11]:tcp:80\"} 1",
        "rvs_check_up{service=\"[10.0.1.10]:tcp:80\",real=\"[10.0.2.13]:tcp:80\",check=\"0\",kind=\"TCP_CHECK\"} 1",
        "rvs_check_duration_seconds_bucket{kind=\"TCP_CHECK\",le=\"+Inf\"} 0",
        "rvs_check_duration_seconds_sum{kind=\"TCP_CHECK\"} 0",
        "rvs_check_stuck_total 0",
    ] {
        assert!(page.lines().any(|known| known == line), "{line} is not in\n{page}");
    }
    let (mut families, mut series) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for line in page.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(family) => assert!(families.insert(family), "{family} is there twice"),
            None if line.starts_with('#') => {}
            None => assert!(series.insert(line.rsplit_once(' ').map(|(series, _)| series)), "{line} is there twice"),
        }
    }
}

/// The names of all members, each once, objects within others behind theirs.
fn names_of(value: &serde_json::Value, names: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => object.iter().for_each(|(name, inner)| {
            names.insert(name.clone());
            names_of(inner, names);
        }),
        serde_json::Value::Array(all) => all.iter().for_each(|inner| names_of(inner, names)),
        _ => {}
    }
}

#[test]
fn the_document_of_checks_has_the_members_that_are_described() {
    let (mut board, _) = recorded_servers();
    board.services[0].sorry = Some(("[10.0.2.99]:tcp:80".into(), false));
    let document = serde_json::to_value(check_status(&board)).expect("a document");
    assert_eq!((&document["version"], &document["kind"]), (&1.into(), &"check".into()));
    let real = &document["virtual_servers"][0]["real_servers"][1];
    assert_eq!((&real["address"], &real["health"]), (&"10.0.2.12:80".into(), &"up".into()));
    let mut names = std::collections::BTreeSet::new();
    names_of(&document, &mut names);
    let text = include_str!("../../../../docs/json.md");
    let text = &text[text.find("## `check`").expect("the section")..];
    let general = ["version", "kind"];
    for name in names.iter().filter(|name| !general.contains(&name.as_str())) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not described");
    }
    // While the version stands, none of these goes or is called otherwise.
    assert_eq!(names.len(), 49, "{names:?}");
}

#[test]
fn the_table_for_people_says_what_is_apart() {
    let (mut board, _) = recorded_servers();
    let real = &mut board.services[0].reals[1];
    (real.view.alive, real.view.in_table) = (false, None);
    (real.view.admin, real.view.effective_admin) = (rvs_checker::Admin::Maint, rvs_checker::Admin::Maint);
    (real.why, real.connections) = (Some("disk".into()), (3, 1));
    let text = check_table(&board);
    let line = text.lines().find(|line| line.contains("10.0.2.12")).expect("a line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..8], ["[10.0.2.12]:tcp:80", "down", "maint", "(disk)", "1", "-", "3", "1"]);
    assert!(text.starts_with("[10.0.1.10]:tcp:80: quorum up (3 of 1)\n"), "{text}");
}

#[test]
fn the_state_tells_of_groups_peers_statics_and_what_is_tracked() {
    let text = "static_routes {\n 198.51.100.0/24 dev eth0\n}\ntrack_file f {\n file /n\n weight 2\n}\nvrrp_sync_group G {\n group \
                {\n A\n }\n notify /bin/true\n}\nvrrp_instance A {\n interface eth0\n virtual_router_id 8\n version 3\n \
                unicast_src_ip 10.9.9.1\n unicast_peer {\n 10.9.9.2 min_ttl 254\n }\n track_file {\n f\n }\n virtual_ipaddress \
                {\n 10.9.9.20/24\n }\n virtual_routes {\n 203.0.113.0/24 dev eth0\n }\n}\n";
    let files = Memory::new([("/k.conf", text)]);
    let config = load(Path::new("/k.conf"), &files, &Environment::default()).config;
    let mut snapshot = master().0;
    snapshot.router = Router::new(Plan::of(&config, &Facts::default()).vrrp);
    let text = data(&snapshot, &config);
    for part in [
        "------< Static Routes >------\n     198.51.100.0/24 dev eth0\n",
        "   VRRP Version = 3\n   Sync group = G\n",
        "   Flags:\n     Using unicast\n",
        "   Unicast Peer :\n     10.9.9.2 min_ttl 254 max_ttl 255\n   Unicast checksum compatibility = no\n",
        "   Virtual Routes :\n     203.0.113.0/24 dev eth0\n",
        "   Tracked files :\n     f weight 2\n",
        " VRRP Sync Group = G, ",
        "   Num member fault 0, num member init 1\n   VRRP member instances :\n     A\n",
        "   Generic state transition script = '/bin/true'\n",
        "------< VRRP Track Files >------\n VRRP Track File = f\n   File = /n\n   Weight = 2\n   Tracking VRRP instances :\n     \
         A, weight 2\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
