//! What a reload would do.

use crate::support::{FILE, files};
use rvs_config::keepalived::{Config, Kind, diff};

fn config(text: &str) -> Config {
    let loaded = files([(FILE, text)]);
    assert!(loaded.good(), "{}", loaded.render());
    loaded.config
}

const OLD: &str = "global_defs {\n router_id a\n}\nvrrp_instance V1 {\n priority 100\n virtual_ipaddress {\n 10.0.0.1\n }\n}\nvrrp_instance \
                   V2 {\n}\nvirtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 10.1.0.1 80 {\n weight 1\n }\n real_server \
                   10.1.0.2 80 {\n }\n}\n";
const NEW: &str = "vrrp_instance V1 {\n# moved, and other addresses\n virtual_ipaddress {\n 10.0.0.1\n 10.0.0.2\n }\n priority \
                   100\n}\nglobal_defs {\n router_id b\n}\nvrrp_instance V3 {\n}\nvirtual_server 10.0.0.1 80 {\n protocol TCP\n \
                   real_server 10.1.0.1 80 {\n weight 5\n }\n real_server 10.1.0.3 80 {\n }\n}\n";

#[test]
fn changes_are_told_for_each_thing() {
    let changes = diff(&config(OLD), &config(NEW));
    let short: Vec<String> = changes
        .iter()
        .map(|change| format!("{} {} {}", change.kind.word(), change.keyword, change.name).replace("  ", " "))
        .collect();
    assert_eq!(
        short,
        [
            "changed ",
            "changed vrrp_instance V1",
            "removed vrrp_instance V2",
            "changed real_server 10.1.0.1 80 of 10.0.0.1 80 TCP",
            "removed real_server 10.1.0.2 80 of 10.0.0.1 80 TCP",
            "added vrrp_instance V3",
            "added real_server 10.1.0.3 80 of 10.0.0.1 80 TCP",
        ]
    );
    let text: String = changes.iter().map(|change| change.text()).collect();
    assert!(text.starts_with("~ global settings changed\n    - router_id a\n    + router_id b\n"), "{text}");
    assert!(
        text.contains("~ real_server 10.1.0.1 80 of 10.0.0.1 80 TCP changed\n    - weight 1\n    + weight 5\n"),
        "{text}"
    );
}

#[test]
fn what_only_moved_or_is_said_otherwise_is_no_change() {
    let one = config("vrrp_instance A {\n advert_int 1.0\n use_vmac\n}\nvrrp_instance B {\n}\n");
    let other = config("$N=A\n\nvrrp_instance B { }\nvrrp_instance ${N}\n{\n use_vmac # x\n advert_int 01\n}\n");
    assert_eq!(diff(&one, &other), []);
    assert_eq!(diff(&one, &one.clone()), []);
}

#[test]
fn everything_is_added_to_nothing() {
    let new = config(NEW);
    assert!(
        diff(&Config::default(), &new).iter().all(|change| change.kind == Kind::Added || change.keyword.is_empty())
    );
}
