//! What a reload would do.

use super::Config;
use super::field::{Block, Out};
use std::collections::BTreeMap;

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It goes on with other settings.
    Changed,
}

impl Kind {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }
}

/// What happens to one instance, service, script or the like.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The keyword of its block, or of the setting itself.
    pub keyword: &'static str,
    /// What stands behind the keyword: the name of the instance and so on; empty for what there is but once.
    pub name: String,
    /// What happens to it.
    pub kind: Kind,
    /// The settings that differ; empty when the whole is added or removed.
    pub settings: Vec<Setting>,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its keyword.
    pub keyword: &'static str,
    /// How it was written, if it was there.
    pub old: Option<String>,
    /// How it is written, if it is there.
    pub new: Option<String>,
}

/// What there is of one kind: the words behind the keyword, and the settings.
type Things = BTreeMap<(usize, Vec<String>), Vec<(&'static str, String)>>;

/// What a reload that replaces `old` by `new` would do. Nothing for what is equal, wherever it stands in the files.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let (before, after) = (things(old), things(new));
    let mut changes = Vec::new();
    for (key, settings) in &before {
        let change = |kind, settings| Change {
            keyword: KEYWORDS.get(key.0).copied().unwrap_or_default(),
            name: key.1.join(" "),
            kind,
            settings,
        };
        match after.get(key) {
            None => changes.push(change(Kind::Removed, Vec::new())),
            Some(other) if settings != other => {
                let settings = compare(settings, other);
                if !settings.is_empty() {
                    changes.push(change(Kind::Changed, settings));
                }
            }
            Some(_) => {}
        }
    }
    for key in after.keys().filter(|key| !before.contains_key(*key)) {
        let keyword = KEYWORDS.get(key.0).copied().unwrap_or_default();
        changes.push(Change { keyword, name: key.1.join(" "), kind: Kind::Added, settings: Vec::new() });
    }
    changes
}

/// The things that changes are told of, in the order in which they are told.
const KEYWORDS: [&str; 10] = [
    "",
    "track_file",
    "track_process",
    "vrrp_script",
    "bfd_instance",
    "vrrp_sync_group",
    "vrrp_instance",
    "virtual_server_group",
    "virtual_server",
    "real_server",
];

fn things(config: &Config) -> Things {
    let mut things = Things::new();
    let mut put = |index: usize, head: Vec<String>, settings: Vec<(&'static str, String)>| {
        things.entry((index, head)).or_default().extend(settings);
    };
    let mut rest = settings(&config.globals);
    config.each(&mut |keyword, write| {
        // Blocks that are things of their own are told apart.
        if !KEYWORDS.contains(&keyword) && keyword != "global_defs" {
            rest.push((keyword, printed(write)));
        }
    });
    put(0, Vec::new(), rest);
    config.track_files.iter().for_each(|block| put(1, block.head(), settings(block)));
    config.track_processes.iter().for_each(|block| put(2, block.head(), settings(block)));
    config.scripts.iter().for_each(|block| put(3, block.head(), settings(block)));
    config.bfds.iter().for_each(|block| put(4, block.head(), settings(block)));
    config.sync_groups.iter().for_each(|block| put(5, block.head(), settings(block)));
    config.instances.iter().for_each(|block| put(6, block.head(), settings(block)));
    for group in &config.server_groups {
        let mut out = Out::default();
        super::field::Value::write(group, "virtual_server_group", &mut out);
        put(7, vec![group.name.0.clone()], vec![("virtual_server_group", out.into_text())]);
    }
    for server in &config.servers {
        // Services differ by protocol as well.
        let protocol = server.protocol.map_or("", |protocol| protocol.word());
        let head: Vec<String> = server.head().into_iter().chain([protocol.to_owned()]).collect();
        let own = settings(server).into_iter().filter(|(keyword, _)| *keyword != "real_server").collect();
        put(8, head.clone(), own);
        for real in &server.real_servers {
            let head = real.head().into_iter().chain(["of".to_owned()]).chain(head.clone()).collect();
            put(9, head, settings(real));
        }
    }
    things
}

fn printed(write: &dyn Fn(&mut Out)) -> String {
    let mut out = Out::default();
    write(&mut out);
    out.into_text().trim_end().to_owned()
}

fn settings(block: &impl Block) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    block.each(&mut |keyword, write| settings.push((keyword, printed(write))));
    settings
}

fn compare(old: &[(&'static str, String)], new: &[(&'static str, String)]) -> Vec<Setting> {
    let find = |list: &[(&'static str, String)], keyword| {
        list.iter().find(|(name, _)| *name == keyword).map(|(_, text)| text.clone())
    };
    let mut keywords: Vec<&'static str> = old.iter().chain(new).map(|(keyword, _)| *keyword).collect();
    let mut seen = std::collections::BTreeSet::new();
    keywords.retain(|keyword| seen.insert(*keyword));
    let settings =
        keywords.into_iter().map(|keyword| Setting { keyword, old: find(old, keyword), new: find(new, keyword) });
    settings.filter(|setting| setting.old != setting.new).collect()
}

impl Change {
    /// For people.
    pub fn text(&self) -> String {
        let title = format!("{} {}", self.keyword, self.name);
        let title = match title.trim() {
            "" => "global settings",
            title => title,
        };
        let mut text = format!("{} {title} {}\n", self.kind.sign(), self.kind.word());
        for setting in &self.settings {
            for (sign, side) in [('-', &setting.old), ('+', &setting.new)] {
                for line in side.iter().flat_map(|text| text.lines()) {
                    text += &format!("    {sign} {line}\n");
                }
            }
        }
        text
    }
}
