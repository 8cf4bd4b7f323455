//! A line of `virtual_rules` and `static_rules`: what `ip rule add` takes.

use super::net::Net;
use super::number::integer;
use super::route::network;
use crate::keepalived::field::{Args, Bad, Words};

/// Options of one word that are kept as they are written.
const NAMED: [(&str, &str); 17] = [
    ("fwmark", "fwmark"),
    ("iif", "iif"),
    ("dev", "iif"),
    ("oif", "oif"),
    ("tos", "tos"),
    ("dsfield", "tos"),
    ("realms", "realms"),
    ("goto", "goto"),
    ("uidrange", "uidrange"),
    ("protocol", "protocol"),
    ("ip_proto", "ip_proto"),
    ("ipproto", "ip_proto"),
    ("sport", "sport"),
    ("dport", "dport"),
    ("tun_id", "tun_id"),
    ("suppress_prefixlength", "suppress_prefixlength"),
    ("suppress_ifgroup", "suppress_ifgroup"),
];

/// A rule of policy routing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// True if it is for what does not match.
    pub not: bool,
    /// The source network.
    pub from: Option<Net>,
    /// The destination network.
    pub to: Option<Net>,
    /// The table to look into, by name or number.
    pub table: Option<String>,
    /// Its place among rules; lower comes first.
    pub preference: Option<u32>,
    /// The table of the interface's master.
    pub l3mdev: bool,
    /// Instead of a table: `blackhole`, `unreachable`, `prohibit`, `nop`.
    pub action: Option<String>,
    /// True if it was said to be for IPv6.
    pub inet6: bool,
    /// Other options of one word: name and word.
    pub named: Vec<(String, String)>,
    /// Its disappearance does not matter.
    pub no_track: bool,
    /// The group of instances that its disappearance matters to; for static rules.
    pub track_group: Option<String>,
}

impl Rule {
    /// The interfaces that it names.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.named.iter().filter(|(name, _)| name == "iif" || name == "oif").map(|(_, value)| value.as_str())
    }
}

impl Words for Rule {
    fn syntax() -> String {
        "[not] [from NETWORK] [to NETWORK] [table TABLE|goto NUMBER|blackhole|…] [preference NUMBER] [fwmark MARK[/MASK]] \
         [iif INTERFACE] [oif INTERFACE] [tos NUMBER] [uidrange A-B] [ip_proto P] [sport A-B] [dport A-B] \
         [… as `ip rule add`] [no_track] [track_group NAME]"
            .into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let mut rule = Self::default();
        while let Some(word) = args.word() {
            match word.text.as_str() {
                "not" => rule.not = true,
                "from" => rule.from = Some(network(args, rule.inet6)?),
                "to" => rule.to = Some(network(args, rule.inet6)?),
                "table" | "lookup" => rule.table = Some(args.need("a table")?.text.clone()),
                "preference" | "order" | "priority" => {
                    let word = args.need("a number")?;
                    let value = integer(&word.text, 0, i64::from(u32::MAX));
                    let value = value.map_err(|text| Bad::new(word.span, text))?;
                    rule.preference = u32::try_from(value).ok();
                }
                "l3mdev" => rule.l3mdev = true,
                "inet6" => rule.inet6 = true,
                "inet" => rule.inet6 = false,
                "no_track" => rule.no_track = true,
                "track_group" => rule.track_group = Some(args.need("a group")?.text.clone()),
                action @ ("blackhole" | "unreachable" | "prohibit" | "nop") => rule.action = Some(action.to_owned()),
                text => match NAMED.iter().find(|(name, _)| *name == text) {
                    Some((_, name)) => rule.named.push(((*name).to_owned(), args.need(name)?.text.clone())),
                    None => return Err(Bad::new(word.span, format!("Unknown rule option {text}"))),
                },
            }
        }
        if rule == Self::default() {
            return Err(Bad::new(args.span(), "the rule is empty"));
        }
        Ok(rule)
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.not.then(|| "not".to_owned()));
        words.extend(self.inet6.then(|| "inet6".to_owned()));
        let mut pair = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        pair("from", self.from.map(|net| net.text()));
        pair("to", self.to.map(|net| net.text()));
        for (name, value) in &self.named {
            pair(name, Some(value.clone()));
        }
        pair("table", self.table.clone());
        pair("preference", self.preference.map(|value| value.to_string()));
        pair("track_group", self.track_group.clone());
        words.extend(self.action.clone());
        words.extend(self.l3mdev.then(|| "l3mdev".to_owned()));
        words.extend(self.no_track.then(|| "no_track".to_owned()));
        words
    }
}
