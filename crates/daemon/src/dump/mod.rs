//! What the daemon tells of itself: the original's dumps in its words, a document for `rvs vrrp`, figures for Prometheus.
//!
//! Everything here is made of a snapshot; nothing is asked of the system.

mod check;
mod check_data;
mod check_metrics;
mod data;
mod globals;
mod json;
mod metrics;
mod stats;
mod status;

pub use check::{check_status, check_table};
pub use check_data::check_data;
pub use check_metrics::check_metrics;
pub use data::data;
pub use json::json;
pub use metrics::metrics;
pub use stats::stats;
pub use status::{status, table};

use crate::world::Snapshot;
use rvs_config::keepalived::Config;
use rvs_config::keepalived::model::vrrp::Instance as Block;
use rvs_config::keepalived::value::AddressEntry;
use rvs_host::clock::Calendar;
use rvs_machine::Time;
use rvs_vrrp::Instance;

/// The block that an instance was made of.
fn block<'a>(config: &'a Config, instance: &Instance) -> Option<&'a Block> {
    config.instances.iter().find(|block| block.name.0 == **instance.name())
}

/// A moment of the machines' clock by the clock of the day: seconds and microseconds since 1970.
fn moment(snapshot: &Snapshot, at: Time) -> (u64, u32) {
    let micros = |duration: std::time::Duration| i128::try_from(duration.as_micros()).unwrap_or(i128::MAX);
    let now = i128::from(snapshot.wall.0) * 1_000_000 + i128::from(snapshot.wall.1);
    let at = now - micros(snapshot.now.since(at)) + micros(at.since(snapshot.now));
    let at = u64::try_from(at).unwrap_or(0);
    (at / 1_000_000, u32::try_from(at % 1_000_000).unwrap_or(0))
}

/// `1735689645.037969 (Wed Jan  1 00:00:45.037969 2025)`, in UTC.
fn moment_text(snapshot: &Snapshot, at: Time) -> String {
    let (seconds, micros) = moment(snapshot, at);
    let calendar = Calendar::at(seconds);
    let Calendar { year, day, hour, minute, second, .. } = calendar;
    let (weekday, month) = (calendar.weekday_name(), calendar.month_name());
    format!("{seconds}.{micros:06} ({weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02}.{micros:06} {year})")
}

/// `10.0.1.10/24 dev eth0 scope global set`, as the original writes an address.
fn address_text(entry: &AddressEntry, device: &str, set: bool) -> String {
    let mut text = format!("{}/{}", entry.net.address, entry.net.prefix_or_host());
    if let Some(peer) = entry.peer {
        text += &format!(" peer {}", peer.text());
    }
    text += &format!(" dev {}", entry.dev.as_deref().unwrap_or(device));
    text += &format!(" scope {}", entry.scope.as_deref().unwrap_or("global"));
    if let Some(label) = &entry.label {
        text += &format!(" label {label}");
    }
    if set { text + " set" } else { text }
}

/// The words of a command, each in quotes, as the original writes them.
fn in_quotes(line: &str) -> String {
    let words = rvs_host::script::split(line).unwrap_or_else(|_| vec![line.to_owned()]);
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
