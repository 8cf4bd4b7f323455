//! docs/settings.md is made from the settings in the code. `RVS_UPDATE_DOCS=1 cargo test -p xtask --test settings_doc` renews it.
#![forbid(unsafe_code)]

use rvs_config::sysctl::show;
use rvs_core::settings::{ALL, Rule, Settings};
use std::path::Path;

const HEAD: &str = "\
# Settings

`rvs sysctl` shows and changes the sysctls of `net.ipv4.vs`: the same names, defaults and values as the kernel's, for the
network namespace that it is called in. They are kept with the tables in the kernel; `rvs teardown` forgets them.

```text
rvs sysctl -a                                     all of them
rvs sysctl drop_entry net.ipv4.vs.sloppy_tcp      some, with or without the prefix
rvs sysctl drop_entry=1 sync_threshold='3 50'     changes, all of them or, when one is wrong, none
rvs sysctl drop_entry --json                      for scripts; -n prints values without names
```

The status is 1 after an unknown name or a wrong value, as that of sysctl(8). Packets obey a change from the moment on that the
command returns.

**Memory.** Where IPVS looks at the machine's free memory, RVS looks at its free connection records, because they are what an
attack uses up: the automatic levels of `drop_entry`, `drop_packet` and `secure_tcp` are in force while fewer than `amemthresh`
records are free. It is looked at once a second. As in the kernel, an automatic defence reads 1 while it waits and 2 while it is
on.

**What has no effect** begins with \"None\" below: it is kept and checked, so that scripts work, but there is nothing here that it
could change. The `sync_` settings are read by the synchronisation daemon, `backup_only` by whoever starts it.

This table is made from `crates/core/src/settings.rs`; a test compares them.

| Name | Default | Values | Effect |
|---|---|---|---|
";

const TAIL: &str = "
`debug_level` is missing, as it is in kernels without `CONFIG_IP_VS_DEBUG`: `rvs stats` says what happens to
packets. So are settings of kernels newer than 6.18 (`conn_lfactor`, `svc_lfactor`, `conn_max`): the tables here have a fixed
size, which `rvs limits` shows.

## Timeouts

`ipvsadm --set TCP TCPFIN UDP` sets three timeouts, in seconds; a connection takes over a new one with its next packet. The rest
are the kernel's: for TCP, SYN_SENT, SYNACK, TIME_WAIT and LISTEN 120, SYN_RECV and CLOSE_WAIT 60, LAST_ACK 30, CLOSE 10; for
SCTP, ESTABLISHED 900, INIT1 and REJECTED 4, others 61.
";

fn values(rule: Rule) -> String {
    match rule {
        Rule::Any => "number".to_owned(),
        Rule::Range(low, i32::MAX) => format!("{low} and more"),
        Rule::Range(low, high) => format!("{low} to {high}"),
        Rule::Defence => "0, 1 (or 2), 3".to_owned(),
        Rule::PowerOfTwo => "power of two".to_owned(),
        Rule::Pair => "two numbers, the first below the second".to_owned(),
        Rule::Cpus => "list of CPUs".to_owned(),
        Rule::Ports => "list of at most eight ports".to_owned(),
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for setting in ALL {
        let default = match setting.name {
            "sync_qlen_max" => "memory".to_owned(),
            "est_cpulist" => "all".to_owned(),
            _ => show(&Settings::DEFAULT, setting, false).replace('\t', " "),
        };
        page += &format!("| `{}` | {default} | {} | {} |\n", setting.name, values(setting.rule), setting.effect.trim());
    }
    page + TAIL
}

#[test]
fn docs_settings_lists_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    if std::env::var_os("RVS_UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page(),
        "docs/settings.md is old; renew it: RVS_UPDATE_DOCS=1 cargo test -p xtask --test settings_doc"
    );
}
