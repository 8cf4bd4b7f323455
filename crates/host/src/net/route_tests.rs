//! Tests of [`super`], against the kernel and `ip`.

use super::*;
use crate::testing::{in_namespace, ip, ip_json};

fn prefix(text: &str) -> Prefix {
    let (ip, length) = text.split_once('/').unwrap();
    Prefix { ip: ip.parse().unwrap(), length: length.parse().unwrap() }
}

fn ready() -> (Rtnl, u32, u32) {
    ip("link add v0 type veth peer name v1");
    ip("addr add 10.0.0.1/24 dev v0");
    ip("addr add 10.1.0.1/24 dev v1");
    ip("addr add fd00::1/64 dev v0 nodad");
    ip("link set v0 up");
    ip("link set v1 up");
    let mut rtnl = Rtnl::open().unwrap();
    let index = |rtnl: &mut Rtnl, name| rtnl.interface_named(name).unwrap().unwrap().index;
    let (v0, v1) = (index(&mut rtnl, "v0"), index(&mut rtnl, "v1"));
    (rtnl, v0, v1)
}

#[test]
fn a_route_with_everything() {
    in_namespace(|| {
        let (mut rtnl, v0, _) = ready();
        let mut route = Route::new(prefix("192.0.2.7/24"));
        route.key.metric = 77;
        route.key.table = 1000;
        route.source = Some("10.0.0.1".parse().unwrap());
        route.hops = vec![Hop { via: Some("10.0.0.254".parse().unwrap()), index: Some(v0), ..Hop::default() }];
        route.metrics = vec![(Metric::Mtu, 1400), (Metric::AdvMss, 1300), (Metric::InitCwnd, 20)];
        route.locked = vec![Metric::Mtu];
        rtnl.add_route(&route).unwrap();
        rtnl.add_route(&route).unwrap();
        let shown = &ip_json("route show table 1000")[0];
        assert_eq!(shown["dst"], "192.0.2.0/24");
        assert_eq!(shown["gateway"], "10.0.0.254");
        assert_eq!(shown["metric"], 77);
        assert_eq!(shown["prefsrc"], "10.0.0.1");
        assert_eq!(shown["protocol"], "keepalived");
        let metrics = &shown["metrics"][0];
        assert_eq!((&metrics["advmss"], &metrics["initcwnd"]), (&1300.into(), &20.into()));
        assert!(crate::testing::ip_output("route show table 1000").contains("mtu lock 1400"));
        assert!(rtnl.routes().unwrap().contains(&route.key.normal()));
        assert!(rtnl.remove_route(&route.key).unwrap());
        assert!(!rtnl.remove_route(&route.key).unwrap());
    });
}

#[test]
fn several_ways_and_none() {
    in_namespace(|| {
        let (mut rtnl, v0, v1) = ready();
        let mut many = Route::new(prefix("198.51.100.0/24"));
        many.hops = vec![
            Hop { via: Some("10.0.0.2".parse().unwrap()), index: Some(v0), weight: 3, ..Hop::default() },
            Hop { via: Some("10.1.0.2".parse().unwrap()), index: Some(v1), weight: 1, ..Hop::default() },
        ];
        rtnl.add_route(&many).unwrap();
        let shown = &ip_json("route show 198.51.100.0/24")[0];
        let weights: Vec<_> = shown["nexthops"].as_array().unwrap().iter().map(|hop| hop["weight"].clone()).collect();
        assert_eq!(weights, [3, 1]);
        let mut hole = Route::new(prefix("203.0.113.0/24"));
        hole.kind = RouteKind::Blackhole;
        rtnl.add_route(&hole).unwrap();
        assert_eq!(ip_json("route show 203.0.113.0/24")[0]["type"], "blackhole");
        let mut direct = Route::new(prefix("10.5.0.0/16"));
        direct.hops = vec![Hop { index: Some(v0), ..Hop::default() }];
        rtnl.add_route(&direct).unwrap();
        assert_eq!(ip_json("route show 10.5.0.0/16")[0]["scope"], "link");
        for key in [many.key, hole.key, direct.key] {
            assert!(rtnl.remove_route(&key).unwrap(), "{key}");
        }
    });
}

#[test]
fn routes_of_ipv6_and_across_families() {
    in_namespace(|| {
        let (mut rtnl, v0, _) = ready();
        let mut route = Route::new(Prefix::all(true));
        route.hops = vec![Hop { via: Some("fd00::fe".parse().unwrap()), index: Some(v0), ..Hop::default() }];
        route.preference = Some(1);
        rtnl.add_route(&route).unwrap();
        let shown = ip_json("-6 route show default");
        assert_eq!(
            (&shown[0]["gateway"], &shown[0]["metric"], &shown[0]["pref"]),
            (&"fd00::fe".into(), &1024.into(), &"high".into())
        );
        assert!(rtnl.routes().unwrap().contains(&route.key.normal()));
        assert!(rtnl.remove_route(&route.key).unwrap());
        let mut across = Route::new(prefix("192.0.2.0/24"));
        across.hops =
            vec![Hop { via: Some("fd00::fe".parse().unwrap()), index: Some(v0), onlink: true, ..Hop::default() }];
        rtnl.add_route(&across).unwrap();
        assert_eq!(ip_json("route show 192.0.2.0/24")[0]["via"]["host"], "fd00::fe");
        assert!(rtnl.remove_route(&across.key).unwrap());
    });
}

#[test]
fn prefixes_lose_their_host_part() {
    assert_eq!(prefix("10.1.2.3/16").masked(), prefix("10.1.0.0/16"));
    assert_eq!(prefix("10.1.2.3/0").masked(), prefix("0.0.0.0/0"));
    assert_eq!(prefix("10.1.2.3/32").masked(), prefix("10.1.2.3/32"));
    assert_eq!(prefix("fd00:1::1/32").masked(), prefix("fd00:1::/32"));
    assert_eq!(prefix("fd00::1/0").masked(), prefix("::/0"));
}
