//! `/tmp/keepalived.stats`.

use crate::world::Snapshot;
use rvs_vrrp::Instance;
use std::fmt::Write as _;

/// The counters of all instances.
pub fn stats(snapshot: &Snapshot) -> String {
    snapshot.router.instances().iter().map(one).collect()
}

fn part(text: &mut String, title: &str, lines: &[(&str, u64)]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {title}:");
    for (name, value) in lines {
        let _ = writeln!(text, "    {name}: {value}");
    }
}

fn one(instance: &Instance) -> String {
    let stats = instance.stats();
    let mut text = format!("VRRP Instance: {}\n", instance.name());
    part(&mut text, "Advertisements", &[("Received", stats.advert_rcvd), ("Sent", stats.advert_sent)]);
    let _ = writeln!(text, "  Became master: {}", stats.become_master);
    let _ = writeln!(text, "  Released master: {}", stats.release_master);
    part(
        &mut text,
        "Packet Errors",
        &[
            ("Length", stats.packet_len_err),
            ("TTL", stats.ip_ttl_err),
            ("Invalid Type", stats.invalid_type_rcvd),
            ("Advertisement Interval", stats.advert_interval_err),
            ("Address List", stats.addr_list_err),
        ],
    );
    part(
        &mut text,
        "Authentication Errors",
        &[
            ("Invalid Type", stats.invalid_authtype),
            ("Type Mismatch", stats.authtype_mismatch),
            ("Failure", stats.auth_failure),
        ],
    );
    if instance.params().auth_hmac.is_some() {
        part(
            &mut text,
            "Authentication Extension Errors",
            &[
                ("Missing", stats.auth_ext_missing),
                ("Malformed", stats.auth_ext_malformed),
                ("Unknown Key", stats.auth_ext_unknown_key),
                ("Invalid HMAC", stats.auth_ext_invalid_hmac),
                ("Stale", stats.auth_ext_stale),
                ("Replay", stats.auth_ext_replay),
            ],
        );
    }
    part(&mut text, "Priority Zero", &[("Received", stats.pri_zero_rcvd), ("Sent", stats.pri_zero_sent)]);
    text
}
