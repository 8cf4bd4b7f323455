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
