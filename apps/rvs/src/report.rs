//! What the commands of `rvs` print: tables for people, JSON for scripts.

use rvs_core::verdict::Reason;
use rvs_dataplane::limits::{self, Limits};
use serde::Serialize;
use serde_json::{Value, json};

/// JSON for people's eyes as well: indented, with a line's end.
pub fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// JSON on one line.
pub fn json_line(value: &Value) -> String {
    format!("{value}\n")
}

/// Plain data as JSON.
pub(crate) fn to_value(value: impl Serialize) -> Value {
    // Plain data with string keys always becomes JSON.
    serde_json::to_value(value).unwrap_or_default()
}

/// `rvs stats`. Without a director nothing was counted.
pub fn reasons(counted: &[(Reason, u64)], as_json: bool) -> String {
    let packets =
        |reason: Reason| counted.iter().find(|(known, _)| *known == reason).map_or(0, |(_, packets)| *packets);
    if as_json {
        let one = |reason: &Reason| {
            json!({
                "reason": reason.label(),
                "outcome": reason.outcome().label(),
                "packets": packets(*reason),
                "description": reason.describe().trim(),
            })
        };
        return json(&json!({ "reasons": Reason::ALL.iter().map(one).collect::<Vec<_>>() }));
    }
    let mut text = String::from("Reason            Outcome       Packets  Meaning\n");
    for reason in Reason::ALL {
        let (label, outcome) = (reason.label(), reason.outcome().label());
        text += &format!("{label:<17} {outcome:<9} {:>11}  {}\n", packets(*reason), reason.describe().trim());
    }
    text
}

/// `rvs limits`: what a director made now would have.
pub fn limits(now: &Limits, as_json: bool) -> String {
    let rows: [(&str, u64, u64, Option<&str>); 8] = [
        ("connections", now.conns.into(), limits::CONN_CAPACITY.into(), Some(limits::CONN_CAPACITY_VAR)),
        ("services", now.services.into(), limits::MAX_SERVICES.into(), Some(limits::MAX_SERVICES_VAR)),
        ("destinations", now.dests.into(), limits::MAX_DESTS.into(), Some(limits::MAX_DESTS_VAR)),
        ("list entries", now.lists().into(), (limits::MAX_DESTS * limits::LIST_FACTOR).into(), None),
        ("scheduler table rows", now.tables().into(), Limits::default().tables().into(), None),
        ("lblc and lblcr addresses", now.addresses().into(), Limits::default().addresses().into(), None),
        ("bytes per connection", limits::BYTES_PER_CONNECTION.into(), limits::BYTES_PER_CONNECTION.into(), None),
        ("seconds to wait for a lock", limits::LOCK_SECS, limits::LOCK_SECS, None),
    ];
    if as_json {
        let one = |(name, now, default, var): (&str, u64, u64, Option<&str>)| json!({ "name": name, "value": now, "default": default, "variable": var });
        return json(&json!({ "limits": rows.map(one) }));
    }
    let mut text = String::from("Limit                           Value    Default  Changed by\n");
    for (name, now, default, var) in rows {
        text += &format!("{name:<26} {now:>10} {default:>10}  {}\n", var.unwrap_or("-"));
    }
    text + "These are the limits of a director that is made now; `rvs status` shows those of the one there is.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_there_counted_or_not() {
        let value: Value = serde_json::from_str(&reasons(&[(Reason::Dr, 7)], true)).unwrap();
        let listed = value["reasons"].as_array().unwrap();
        assert_eq!(listed.len(), Reason::ALL.len());
        let dr = listed.iter().find(|entry| entry["reason"] == "dr").unwrap();
        assert_eq!((&dr["packets"], &dr["outcome"]), (&json!(7), &json!("forwarded")));
        assert_eq!(reasons(&[], false).lines().count(), Reason::ALL.len() + 1);
    }

    #[test]
    fn every_limit_says_how_to_change_it() {
        let text = limits(&Limits { conns: 2048, ..Limits::default() }, false);
        assert!(text.contains("connections                      2048    1048576  RVS_CONN_CAPACITY"), "{text}");
    }
}
