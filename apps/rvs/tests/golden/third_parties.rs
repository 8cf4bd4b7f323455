//! How others drive ipvsadm: distributions' scripts, Kubernetes, health checkers. Each as a sequence of calls with what they expect.

use crate::world::Host;
use rvs_intent::Capabilities;

fn host() -> Host {
    Host::new(Capabilities::ALL_IPVS)
}

/// Runs lines that must succeed and print nothing.
fn silently(host: &Host, lines: &[&str]) {
    for line in lines {
        let ours = host.line(line);
        assert_eq!((ours.out.as_str(), ours.err.as_str(), ours.status), ("", "", 0), "{line}");
    }
}

/// The init scripts and wrappers of distributions: `ipvsadm-save -n > FILE`, `ipvsadm-restore < FILE`, with comments in the file.
#[test]
fn saving_and_restoring_by_the_scripts_of_distributions() {
    let host = host();
    silently(&host, &["-A -t 10.0.1.10:80 -s rr", "-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 2"]);
    let saved = host.save(&["-n"]);
    assert_eq!(saved.out, host.line("-Sn").out);
    assert_eq!(host.save(&["--numeric"]).out, saved.out);
    assert_eq!(host.save(&[]).out, host.line("-S").out);
    // Stop: clear. Start: the file, which an administrator may have written into.
    silently(&host, &["-C"]);
    let file = format!("# /etc/ipvsadm.rules\n#\n\n{}", saved.out);
    let restored = host.restore(&file);
    assert_eq!((restored.out.as_str(), restored.err.as_str(), restored.status), ("", "", 0));
    assert_eq!(host.line("-Sn").out, saved.out);
    // Reload restores over what is there.
    assert_eq!(host.restore(&file).status, 0);
    assert_eq!(host.line("-Sn").out, saved.out);
    // Lines with the program's name, as some scripts keep them.
    let lines: String = saved.out.lines().map(|line| format!("/sbin/ipvsadm {line}\n")).collect();
    assert_eq!(host.restore(&lines).status, 0);
    assert_eq!(host.line("-Sn").out, saved.out);
    // An empty file clears the table.
    assert_eq!(host.restore("").status, 0);
    assert_eq!(host.line("-Sn").out, "");
    assert_eq!(host.save(&["--nonsense"]).status, 2);
}

/// What a kube-proxy in IPVS mode leaves, as its administrators look at and change it: NAT to pods, `rr`, session affinity.
#[test]
fn services_as_kubernetes_makes_them() {
    let host = host();
    silently(
        &host,
        &[
            "-A -t 10.96.0.1:443 -s rr",
            "-a -t 10.96.0.1:443 -r 192.168.1.2:6443 -m",
            "-A -t 10.96.0.10:53 -s rr",
            "-a -t 10.96.0.10:53 -r 10.244.0.2:53 -m",
            "-a -t 10.96.0.10:53 -r 10.244.0.3:53 -m",
            "-A -u 10.96.0.10:53 -s rr",
            "-a -u 10.96.0.10:53 -r 10.244.0.2:53 -m",
            "-A -t 10.101.5.5:80 -s rr -p 10800",
            "-a -t 10.101.5.5:80 -r 10.244.1.7:8080 -m -w 1",
        ],
    );
    assert_eq!(
        host.line("-L -n").out,
        "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.1:443 rr
  -> 192.168.1.2:6443             Masq    1      0          0         
TCP  10.96.0.10:53 rr
  -> 10.244.0.2:53                Masq    1      0          0         
  -> 10.244.0.3:53                Masq    1      0          0         
TCP  10.101.5.5:80 rr persistent 10800
  -> 10.244.1.7:8080              Masq    1      0          0         
UDP  10.96.0.10:53 rr
  -> 10.244.0.2:53                Masq    1      0          0         
"
    );
    // Graceful termination: weight 0 first, deleted when there are no connections.
    silently(
        &host,
        &[
            "--edit-server --tcp-service 10.96.0.10:53 --real-server 10.244.0.3:53 --masquerading --weight 0",
            "--delete-server --tcp-service 10.96.0.10:53 --real-server 10.244.0.3:53",
        ],
    );
    // Cleaning up as `kube-proxy --cleanup` and `kubeadm reset` tell people to.
    silently(&host, &["--clear"]);
    assert_eq!(host.line("-Sn").out, "");
}

/// A health checker outside that calls the tool: idempotence by trying and looking at status and text.
#[test]
fn a_health_checker_that_calls_the_tool() {
    let host = host();
    silently(&host, &["-A -t 10.0.1.10:80 -s wlc -p 50", "-a -t 10.0.1.10:80 -r 10.0.2.11:80 -g -w 100"]);
    let again = host.line("-A -t 10.0.1.10:80 -s wlc -p 50");
    assert_eq!((again.err.as_str(), again.status), ("Service already exists\n", 255));
    let again = host.line("-a -t 10.0.1.10:80 -r 10.0.2.11:80 -g -w 100");
    assert_eq!((again.err.as_str(), again.status), ("Destination already exists\n", 255));
    // Down: by weight or by deletion. Up again.
    silently(
        &host,
        &[
            "-e -t 10.0.1.10:80 -r 10.0.2.11:80 -g -w 0",
            "-e -t 10.0.1.10:80 -r 10.0.2.11:80 -g -w 100",
            "-d -t 10.0.1.10:80 -r 10.0.2.11:80",
        ],
    );
    let gone = host.line("-d -t 10.0.1.10:80 -r 10.0.2.11:80");
    assert_eq!((gone.err.as_str(), gone.status), ("No such destination\n", 255));
    // The sorry server takes its place.
    silently(&host, &["-a -t 10.0.1.10:80 -r 127.0.0.1:80 -g -w 1", "-Z -t 10.0.1.10:80", "-D -t 10.0.1.10:80"]);
    assert_eq!(host.line("-L -n -t 10.0.1.10:80").status, 1);
}

/// `grep`, `awk` and friends on the plain listing: no blank lines, no colours, and columns where they were.
#[test]
fn listings_are_taken_apart_by_columns() {
    let host = host();
    silently(&host, &["-A -t 10.0.1.10:80 -s rr", "-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 7"]);
    let listing = host.line("-ln").out;
    assert!(listing.lines().all(|line| !line.is_empty() && line.is_ascii() && !line.contains('\x1b')));
    let row = listing.lines().find(|line| line.starts_with("  -> 10.0.2.11:80")).expect("the server");
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns, ["->", "10.0.2.11:80", "Masq", "7", "0", "0"]);
    assert_eq!(listing.lines().filter(|line| line.starts_with("TCP")).count(), 1);
}
