//! The list of synchronisation daemons.

use rvs_intent::Daemon;

/// One line for each.
pub fn daemons(daemons: &[Daemon]) -> String {
    daemons.iter().map(line).collect()
}

fn line(daemon: &Daemon) -> String {
    let Daemon { role, interface, syncid, maxlen, group, port, ttl } = daemon;
    let maxlen = maxlen.map_or(String::new(), |maxlen| format!(", maxlen={maxlen}"));
    format!(
        "{} sync daemon (mcast={interface}, syncid={syncid}{maxlen}, group={group}, port={port}, ttl={ttl})\n",
        role.name()
    )
}
