//! The same files through the original's own check, where it is installed.

use crate::support::environment;
use rvs_config::keepalived::{Disk, Environment, load};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ORIGINAL: &str = "/usr/sbin/keepalived";
const SAMPLES: &str = "/usr/share/doc/keepalived/samples";

/// The original's verdict; nothing if it did not come to one.
fn verdict(file: &Path) -> Option<bool> {
    let mut child = Command::new(ORIGINAL)
        .args(["-t", "-f"])
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starting the original");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match child.try_wait().expect("waiting for the original") {
            Some(status) => return status.code().map(|code| code == 0),
            None if Instant::now() > end => {
                child.kill().expect("ending the original");
                child.wait().expect("waiting for the original");
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn installed() -> bool {
    let there = Path::new(ORIGINAL).exists();
    if !there {
        eprintln!("skipped: there is no {ORIGINAL}; `cargo xtask setup` installs it");
    }
    there
}

#[test]
fn all_samples_get_the_verdict_of_the_original() {
    if !installed() {
        return;
    }
    let mut samples: Vec<PathBuf> = std::fs::read_dir(SAMPLES)
        .expect("the package has samples")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("keepalived.conf")))
        .collect();
    samples.sort();
    assert!(samples.len() >= 20, "{samples:?}");
    let env = Environment::system();
    for sample in samples {
        let ours = load(&sample, &Disk, &env);
        assert_eq!(Some(ours.good()), verdict(&sample), "{}:\n{}", sample.display(), ours.render());
        let printed = ours.config.print();
        let files = rvs_config::keepalived::Memory::new([("/again", printed.as_str())]);
        let again = load(Path::new("/again"), &files, &env);
        assert_eq!(again.config, ours.config, "{}:\n{printed}", sample.display());
    }
}

/// The configurations that the original ran with when its packets, logs and timing were recorded.
const RUN: &[&str] = &[
    "global_defs {\n router_id dr\n}\nvrrp_instance VI_1 {\n state MASTER\n interface DEV\n virtual_router_id 51\n priority 100\n \
     advert_int 1\n authentication {\n auth_type PASS\n auth_pass secret\n }\n virtual_ipaddress {\n 10.0.1.10/24\n 10.0.1.11/24\n \
     }\n}\n",
    "vrrp_instance VI_1 {\n state BACKUP\n interface DEV\n virtual_router_id 51\n priority 100\n advert_int 1\n virtual_ipaddress \
     {\n 10.0.1.10/24\n }\n unicast_src_ip 10.0.1.1\n unicast_peer {\n 10.0.1.2\n }\n}\n",
    "vrrp_sync_group G {\n group {\n V4\n V6\n }\n}\nvrrp_instance V4 {\n state BACKUP\n version 3\n interface DEV\n \
     virtual_router_id 61\n priority 150\n advert_int 0.5\n virtual_ipaddress {\n 10.0.1.10/24\n }\n}\nvrrp_instance V6 {\n state \
     BACKUP\n interface DEV\n virtual_router_id 62\n priority 150\n advert_int 0.5\n virtual_ipaddress {\n fe80::62\n \
     fd00:1::10/64\n }\n}\n",
    "virtual_server 10.0.1.10 80 {\n delay_loop 3\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.0.2.11 80 {\n weight \
     1\n TCP_CHECK {\n connect_timeout 2\n retry 2\n delay_before_retry 1\n }\n }\n}\n",
    "virtual_server 10.0.1.10 80 {\n delay_loop 3\n lb_algo rr\n lb_kind NAT\n protocol TCP\n quorum 3\n hysteresis 1\n \
     sorry_server 10.0.2.1 80\n sorry_server_inhibit\n alpha\n omega\n real_server 10.0.2.11 80 {\n weight 1\n \
     inhibit_on_failure\n HTTP_GET {\n url {\n path /page\n status_code 200\n }\n connect_timeout 2\n retry 2\n \
     delay_before_retry 1\n }\n }\n real_server 10.0.2.12 80 {\n weight 2\n PING_CHECK {\n retry 1\n }\n }\n real_server \
     10.0.2.13 80 {\n weight 1\n SMTP_CHECK {\n connect_timeout 2\n retry 1\n delay_before_retry 1\n }\n }\n}\n",
    "virtual_server fwmark 7 {\n delay_loop 3\n lb_algo wlc\n lb_kind DR\n persistence_timeout 120\n persistence_granularity \
     255.255.255.0\n real_server 10.0.2.11 0 {\n weight 1\n }\n}\nvirtual_server 10.0.1.10 53 {\n delay_loop 3\n lb_algo rr\n \
     lb_kind NAT\n protocol UDP\n ops\n real_server 10.0.2.11 53 {\n weight 1\n UDP_CHECK {\n connect_timeout 2\n payload 00\n \
     require_reply\n }\n }\n}\nvirtual_server fd00:1::10 80 {\n delay_loop 3\n lb_algo sh\n lb_kind TUN\n protocol TCP\n sh-port\n \
     real_server fd00:2::11 80 {\n weight 3\n uthreshold 100\n lthreshold 50\n }\n}\nvirtual_server_group WEB {\n 10.0.1.20 80\n \
     10.0.1.21-23 8080\n fwmark 9\n}\nvirtual_server group WEB {\n delay_loop 3\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
     real_server 10.0.2.12 80 {\n weight 1\n }\n}\n",
    "global_defs {\n lvs_sync_daemon DEV VI id 9 maxlen 1400 port 8849 ttl 2 group 224.0.0.82\n}\nvrrp_instance VI {\n state \
     BACKUP\n interface DEV\n virtual_router_id 9\n priority 50\n virtual_ipaddress {\n 10.0.1.99\n }\n}\n",
    "vrrp_instance V {\n interface DEV\n virtual_router_id 1\n virtual_ipaddress { 10.0.1.10 }\n}\n",
    "$V= \\\nvrrp_instance V${N} { \\\n interface DEV \\\n virtual_router_id ${N} \\\n virtual_ipaddress { \\\n 10.0.1.${N} \\\n } \
     \\\n}\n~SEQ(N,1,3) $V\n",
    "vrrp_instance V {\n interface DEV\n virtual_router_id 1\n virtual_ipaddress {\n ~LST({A,B},{5,6},{7,8}) 10.0.${A}.${B}\n }\n}\n",
];

#[test]
fn what_the_original_ran_with_is_good_here_and_there() {
    let env = Environment { interfaces: None, ..environment() };
    // Any interface but the loopback, which the original refuses; nothing is done to it.
    let here = Environment::system().interfaces.unwrap_or_default();
    let dev = here.iter().find(|name| *name != "lo").map_or("eth0", |name| name);
    for (index, text) in RUN.iter().enumerate() {
        let text = &text.replace("DEV", dev);
        let files = rvs_config::keepalived::Memory::new([("/k.conf", text.as_str())]);
        let ours = load(Path::new("/k.conf"), &files, &env);
        assert!(ours.good(), "{text}\n{}", ours.render());
        if Path::new(ORIGINAL).exists() && (here.contains(dev) || !text.contains(dev)) {
            let path = std::env::temp_dir().join(format!("rvs-keepalived-{}-{index}.conf", std::process::id()));
            std::fs::write(&path, text).expect("writing a configuration");
            let theirs = verdict(&path);
            std::fs::remove_file(&path).expect("removing a configuration");
            assert_eq!(theirs, Some(true), "{text}");
        }
    }
}
