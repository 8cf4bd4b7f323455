//! What ours can do and the original cannot.

use crate::figures::connection;
use crate::world::Host;
use rvs_intent::Capabilities;
use serde_json::{Value, json};

/// A table with two services, three servers and connections on them.
fn host() -> Host {
    let host = Host::new(Capabilities::ALL_IPVS);
    for line in [
        "-A -t 10.0.1.10:80 -s wrr -p 60",
        "-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 3 -x 100 -y 50",
        "-a -t 10.0.1.10:80 -r 10.0.2.12:80 -m",
        "-A -f 7 -6 -s rr",
        "-a -f 7 -6 -r 10.0.2.13 -i --tun-type gue --tun-port 6080 --tun-csum",
        "--set 900 120 300",
    ] {
        assert_eq!(host.line(line).err, "", "{line}");
    }
    host.connections(connections(
        &host,
        "\
TCP 14:59  ESTABLISHED 10.0.1.100:40000   10.0.1.10:80       10.0.2.11:80
TCP 01:59  TIME_WAIT   10.0.1.100:40001   10.0.1.10:80       10.0.2.11:80
TCP 00:59  ASSURED     10.0.1.100:0       10.0.1.10:80       10.0.2.11:80
",
    ));
    host
}

fn connections(host: &Host, lines: &str) -> Vec<rvs_intent::Connection> {
    lines.lines().map(|line| connection(line, host.names()).expect("a line of a connection")).collect()
}

fn json(host: &Host, line: &str) -> Value {
    let ours = host.line(line);
    assert_eq!(ours.err, "", "{line}");
    serde_json::from_str(&ours.out).unwrap_or_else(|error| panic!("{line}: {error}: {}", ours.out))
}

#[test]
fn a_table_as_json() {
    let host = host();
    let document = json(&host, "-L --json");
    assert_eq!((&document["version"], &document["kind"]), (&json!(1), &json!("services")));
    let [http, mark] = document["services"].as_array().expect("services").as_slice() else { panic!("{document}") };
    assert_eq!(mark["mark"], json!(7));
    assert_eq!(
        (&mark["protocol"], &mark["family"], &mark["persistent"]),
        (&json!("fwmark"), &json!("ipv6"), &Value::Null)
    );
    assert_eq!(mark["destinations"][0]["tunnel"], json!({ "type": "gue", "port": 6080, "checksum": "own" }));
    assert_eq!((&http["protocol"], &http["address"], &http["port"]), (&json!("tcp"), &json!("10.0.1.10"), &json!(80)));
    assert_eq!(http["persistent"], json!({ "timeout_seconds": 60, "netmask": null }));
    let first = &http["destinations"][0];
    assert_eq!(
        (&first["address"], &first["weight"], &first["forwarding"], &first["tunnel"]),
        (&json!("10.0.2.11"), &json!(3), &json!("masq"), &Value::Null)
    );
    assert_eq!(first["thresholds"], json!({ "upper": 100, "lower": 50 }));
    assert_eq!((&first["active"], &first["inactive"], &first["persistent"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(http["stats"]["in_bytes"], json!(0));
    // Which columns were asked for makes no difference.
    for view in ["--stats", "--rate", "--thresholds", "--persistent-conn", "-n", "--exact", "--tun-info"] {
        assert_eq!(json(&host, &format!("-L {view} --json")), document, "{view}");
    }
    assert_eq!(json(&host, "-L -t 10.0.1.10:80 --json")["services"], json!([http]));
    let missing = host.line("-L -t 10.0.1.10:81 --json");
    assert_eq!((missing.out.as_str(), missing.err.as_str(), missing.status), ("", "No such service\n", 1));
}

#[test]
fn the_other_listings_as_json() {
    let host = host();
    let connections = json(&host, "-Lc --json");
    let first = &connections["connections"][0];
    assert_eq!(
        (&first["protocol"], &first["state"], &first["expires_seconds"], &first["template"]),
        (&json!("tcp"), &json!("ESTABLISHED"), &json!(899), &json!(false))
    );
    assert_eq!(first["client"], json!({ "address": "10.0.1.100", "port": 40000 }));
    assert_eq!(first["destination"], json!({ "address": "10.0.2.11", "port": 80 }));
    assert_eq!(connections["connections"][2]["template"], json!(true));
    assert_eq!(json(&host, "-L --timeout --json")["timeouts"], json!({ "tcp": 900, "tcp_fin": 120, "udp": 300 }));
    assert_eq!(json(&host, "-L --daemon --json")["daemons"], json!([]));
    // A daemon cannot run beside the tunnel to another family.
    assert_eq!(host.line("-D -f 7 -6").err, "");
    assert_eq!(host.line("--start-daemon master --syncid 3").err, "");
    let daemon = &json(&host, "-L --daemon --json")["daemons"][0];
    assert_eq!(
        (&daemon["role"], &daemon["syncid"], &daemon["group"]),
        (&json!("master"), &json!(3), &json!("224.0.0.81"))
    );
}

#[test]
fn a_dry_run_shows_changes_and_connections_and_makes_none() {
    let host = host();
    let before = host.table();
    for (line, shown) in [
        (
            "-D -t 10.0.1.10:80 --dry-run",
            "\
- -a -t 10.0.1.10:80 -r 10.0.2.12:80 -m -w 1
- -a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 3 -x 100 -y 50  # 1 active, 1 inactive
- -A -t 10.0.1.10:80 -s wrr -p 60
0 added, 0 changed, 3 removed; 2 live connections would lose their server
",
        ),
        (
            "-e -t 10.0.1.10:80 -r 10.0.2.11 -m -w 0 --dry-run",
            "\
- -a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 3 -x 100 -y 50  # 1 active, 1 inactive
+ -a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 0
0 added, 1 changed, 0 removed; 0 live connections would lose their server
",
        ),
        (
            "--set 0 0 10 --dry-run",
            "\
- --set 900 120 300
+ --set 900 120 10
0 added, 1 changed, 0 removed; 0 live connections would lose their server
",
        ),
        ("--dry-run -A -t 10.0.1.10:81", ""),
    ] {
        let ours = host.line(line);
        if shown.is_empty() {
            // The command comes first, as ever.
            assert_eq!(ours.status, 255, "{line}");
        } else {
            assert_eq!((ours.out.as_str(), ours.err.as_str(), ours.status), (shown, "", 0), "{line}");
        }
        assert_eq!(host.table(), before, "{line}");
    }
    let refused = host.line("-A -t 10.0.1.10:80 --dry-run");
    assert_eq!((refused.err.as_str(), refused.status), ("Service already exists\n", 255));
    let rules = host.ipvsadm(&["-R", "--dry-run", "--json"], "-C\n-A -t 10.0.1.10:80 -s wrr -p 60\n");
    let document: Value = serde_json::from_str(&rules.out).expect("JSON");
    assert_eq!(document["connections_losing_server"], json!(2));
    let removed = document["changes"].as_array().expect("changes").iter().filter(|change| change["change"] == "remove");
    assert_eq!(removed.count(), 4);
    assert_eq!(host.table(), before);
    let needless = host.line("-C --json");
    assert_eq!((needless.err.contains("needs the 'dry-run' option"), needless.status), (true, 2));
}

#[test]
fn saved_rules_are_compared_with_the_table() {
    let host = host();
    let saved = host.line("-S --full").out;
    let same = host.ipvsadm(&["--diff", "-"], &saved);
    assert_eq!(
        (same.out.as_str(), same.status),
        ("0 added, 0 changed, 0 removed; 0 live connections would lose their server\n", 0)
    );
    let other = saved.replace("-w 3", "-w 4") + "-A -u 10.0.1.10:53 -s rr\n";
    let differs = host.ipvsadm(&["--diff", "-"], &other);
    assert_eq!(differs.status, 1);
    assert!(differs.out.contains("+ -A -u 10.0.1.10:53 -s rr\n1 added, 1 changed, 0 removed"), "{}", differs.out);
    let missing = host.line("--diff /nonexistent/rules");
    assert_eq!((missing.status, missing.err.starts_with("/nonexistent/rules: ")), (2, true), "{}", missing.err);
    let nonsense = host.ipvsadm(&["--diff", "-"], "-A -t nowhere:80\n");
    assert_eq!(
        (nonsense.err.as_str(), nonsense.status),
        ("line 1: illegal virtual server address[:port] specified; cannot compare\n", 2)
    );
}

#[test]
fn a_bad_line_is_named_with_its_file() {
    let mut host = host();
    let before = host.table();
    host.stdin_name = Some("/etc/ipvsadm.rules".to_owned());
    let refused = host.ipvsadm(&["-R"], "-A -t 10.0.1.10:81\n-A -t 10.0.1.10:80\n");
    assert_eq!(
        (refused.err.as_str(), refused.status),
        ("/etc/ipvsadm.rules: line 2: Service already exists; nothing was restored\n", 255)
    );
    let unreadable = host.restore("-A -t 10.0.1.10:81\n\n-A -t 10.0.1.10:82 -w\n");
    assert_eq!(
        (unreadable.err.as_str(), unreadable.status),
        ("/etc/ipvsadm.rules: line 3: -w: missing argument; nothing was restored\n", 255)
    );
    // A daemon that was started on the way is stopped again.
    assert_eq!(host.line("-D -f 7 -6").err, "");
    let daemon = host.ipvsadm(&["-R"], "--start-daemon master\n-A -t 10.0.1.10:80\n");
    assert!(daemon.err.contains("line 2: Service already exists"), "{}", daemon.err);
    assert_eq!(host.line("-L --daemon").out, "");
    assert_eq!(host.table().services[0], before.services[0]);
}

#[test]
fn a_full_save_has_what_the_original_loses() {
    let host = host();
    assert_eq!(
        host.line("-S --full -n").out,
        "\
--set 900 120 300
-A -t 10.0.1.10:80 -s wrr -p 60
-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 3 -x 100 -y 50
-a -t 10.0.1.10:80 -r 10.0.2.12:80 -m -w 1
-A -f 7 -6 -s rr
-a -f 7 -6 -r 10.0.2.13:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
"
    );
    assert!(!host.line("-S -n").out.contains("-x"));
}

#[test]
fn a_drain_waits_for_connections_and_says_what_is_left() {
    const DRAIN: &str = "--drain=2 -t 10.0.1.10:80 -r 10.0.2.11";
    let host = host();
    // Half a second each.
    host.patience(100);
    let left = host.line(DRAIN);
    assert_eq!(
        (left.out.as_str(), left.err.as_str(), left.status),
        (
            "-t 10.0.1.10:80 -r 10.0.2.11:80: not drained after 2 s; 1 active and 1 inactive connections; its weight is 0 \
             now, and was 3; 1 persistence templates still lead clients to it\n",
            "",
            1
        )
    );
    let table = host.table();
    let dest = table.services[0].dests.iter().find(|dest| dest.weight == 0).expect("a weight of 0");
    assert_eq!((dest.u_threshold, dest.l_threshold), (100, 50), "the rest of it stays");

    host.patience(3);
    let interrupted = host.line("--drain -t 10.0.1.10:80 -r 10.0.2.11");
    assert_eq!(interrupted.status, 130);
    assert!(interrupted.out.contains("interrupted after 1 s; 1 active"), "{}", interrupted.out);
    assert!(interrupted.out.contains("its weight was 0 before"), "{}", interrupted.out);

    // A connection that is over counts no more.
    host.connections(connections(&host, "TCP 01:59  TIME_WAIT   10.0.1.100:40001   10.0.1.10:80       10.0.2.11:80"));
    let drained = json(&host, "--drain 60 -t 10.0.1.10:80 -r 10.0.2.11 --json");
    assert_eq!((&drained["end"], &drained["over"], &drained["active"]), (&json!("drained"), &json!(1), &json!(0)));
    // One that is half closed may carry more.
    host.connections(connections(&host, "TCP 01:59  FIN_WAIT    10.0.1.100:40001   10.0.1.10:80       10.0.2.11:80"));
    assert_eq!(host.line("--drain=0 -t 10.0.1.10:80 -r 10.0.2.11").status, 1);

    for (line, text, status) in [
        ("--drain -t 10.0.1.10:80 -r 10.0.2.99", "No such destination\n", 255),
        ("--drain -t 10.0.1.10:81 -r 10.0.2.11", "Service not defined\n", 255),
        ("--drain=x -t 10.0.1.10:80 -r 10.0.2.11", "invalid timeout value `x' specified\n", 2),
        ("--drain -t 10.0.1.10:80", "You need to supply the 'real-server' option for the 'drain' command\n", 2),
    ] {
        let ours = host.line(line);
        assert_eq!((ours.err.as_str(), ours.status), (text, status), "{line}");
    }
}

#[test]
fn a_purge_ends_the_connections_of_one_server() {
    let host = host();
    let ended = host.line("--purge-dest -t 10.0.1.10:80 -r 10.0.2.11");
    assert_eq!((ended.out.as_str(), ended.status), ("-t 10.0.1.10:80 -r 10.0.2.11:80: 3 connections ended\n", 0));
    assert_eq!(host.line("-Lnc").out.lines().count(), 2);
    assert_eq!(json(&host, "--purge-dest -t 10.0.1.10:80 -r 10.0.2.11 --json")["ended"], json!(0));
    assert_eq!(host.line("--purge-dest -t 10.0.1.10:80 -r 10.0.2.99").err, "No such destination\n");
}

#[test]
fn watching_lists_again_and_again() {
    let host = host();
    let once = host.line("-Ln").out;
    host.patience(2);
    assert_eq!(host.line("-Ln --watch=5").out, [once.as_str(); 3].join("\n"));
    host.patience(1);
    let documents = host.line("-L --watch --json").out;
    assert_eq!(documents.lines().count(), 2);
    assert!(documents.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert_eq!(host.line("-L --watch=0").status, 2);
    assert_eq!(host.line("-Ln --watch -t 10.0.1.10:99").status, 1);
}
