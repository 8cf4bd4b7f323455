//! Completion of ipvsadm's command lines: what may stand next, from the option table and the live table.
//!
//! One function serves every shell; the shells' own scripts ([`mod@script`]) only ask it (`rvs complete`) and show the answer.
//! It never fails: of a line that makes no sense, or where no table can be read, there is nothing to offer.

mod script;

pub use script::{Shell, script};

use super::show::{self, Style};
use super::table::{Arg, Class, Command, Id, OPTIONS, Opt, RULES, Section};
use rvs_core::abi::ServiceKey;
use rvs_core::sched::Kind;
use rvs_intent::{ListedService, Listing};
use std::collections::BTreeSet;

/// Something that may stand next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// A word, and what it is about.
    Word(String, String),
    /// A file's name, which the shell knows better.
    File,
}

impl Candidate {
    /// A word that explains itself.
    pub fn word(word: impl Into<String>) -> Self {
        Self::Word(word.into(), String::new())
    }
}

/// What is asked of the running system, only if it is wanted.
pub trait Live {
    /// The table; `None` when it cannot be read.
    fn table(&mut self) -> Option<Listing>;

    /// Names of the network interfaces.
    fn interfaces(&mut self) -> Vec<String>;

    /// Names of network namespaces.
    fn namespaces(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What has been said on the line before the word that is being typed.
#[derive(Default)]
struct Said {
    command: Option<Command>,
    seen: Vec<&'static Opt>,
    /// Arguments of options that had one.
    values: Vec<(Id, String)>,
    /// The option whose argument comes next.
    open: Option<&'static Opt>,
}

impl Said {
    fn word(&mut self, word: &str) {
        if let Some(opt) = self.open.take() {
            let skipped = opt.arg == Arg::Maybe && word.starts_with('-');
            if !skipped {
                self.values.push((opt.id, word.to_owned()));
                return;
            }
        }
        if let Some(name) = word.strip_prefix("--") {
            let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
            if let Some(opt) = OPTIONS.iter().find(|opt| opt.long == name) {
                self.option(opt, value.unwrap_or_default());
            }
        } else if let Some(letters) = word.strip_prefix('-') {
            for (at, letter) in letters.char_indices() {
                let Some(opt) = OPTIONS.iter().find(|opt| opt.short.contains(letter)) else { return };
                let rest = &letters[at + letter.len_utf8()..];
                self.option(opt, if opt.arg == Arg::No { "" } else { rest });
                if opt.arg != Arg::No {
                    return;
                }
            }
        }
    }

    fn option(&mut self, opt: &'static Opt, value: &str) {
        self.seen.push(opt);
        if let Id::Command(command) = opt.id {
            self.command.get_or_insert(command);
        }
        match (opt.arg, value) {
            (Arg::No, _) => {}
            (_, "") => self.open = Some(opt),
            (_, value) => self.values.push((opt.id, value.to_owned())),
        }
    }

    fn value(&self, wanted: impl Fn(Id) -> bool) -> Option<&str> {
        self.values.iter().rev().find(|(id, _)| wanted(*id)).map(|(_, value)| value.as_str())
    }

    /// Whether a listed service is the one named on the line.
    fn is_named(&self, key: &ServiceKey) -> bool {
        self.values.iter().any(|(id, value)| is_of(*id, key) && *value == show::service_name(key))
    }

    /// Whether an option may follow.
    fn allows(&self, opt: &Opt) -> bool {
        if opt.section == Section::Hidden && !matches!(opt.id, Id::Command(_)) {
            return false;
        }
        let Some(command) = self.command else { return matches!(opt.id, Id::Command(_)) };
        if matches!(opt.id, Id::Command(_)) || self.seen.iter().any(|seen| seen.id == opt.id) {
            return false;
        }
        let Some(class) = opt.class() else { return true };
        let taken = self.seen.iter().any(|seen| seen.class() == Some(class));
        let rule = RULES.iter().find(|(known, ..)| *known == class).and_then(|(.., letters)| {
            let letter = letters.as_bytes().get(command as usize)?;
            Some(*letter != b'x')
        });
        !taken && rule.unwrap_or(true)
    }
}

fn is_of(id: Id, key: &ServiceKey) -> bool {
    match id {
        Id::Tcp => key.proto == 6,
        Id::Udp => key.proto == 17,
        Id::Sctp => key.proto == 132,
        Id::Mark => show::mark(key).is_some(),
        _ => false,
    }
}

/// What may stand in the place of the last of `words`, the words behind the program's name; the last may be empty or begun.
pub fn complete(words: &[String], live: &mut dyn Live) -> Vec<Candidate> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let mut said = Said::default();
    before.iter().for_each(|word| said.word(word));
    let mut candidates = Vec::new();
    if let Some(opt) = said.open {
        candidates = values(opt, &said, live);
    }
    if said.open.is_none_or(|opt| opt.arg == Arg::Maybe) {
        candidates.extend(match current.split_once('=') {
            Some((name, _)) if name.starts_with("--") => attached(name, &said, live),
            _ => options(&said),
        });
    }
    candidates.retain(|candidate| match candidate {
        Candidate::Word(word, _) => word.starts_with(current.as_str()),
        Candidate::File => true,
    });
    candidates
}

fn options(said: &Said) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for opt in OPTIONS.iter().filter(|opt| said.allows(opt)) {
        let about = opt.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let letters = opt.short.chars().map(|letter| format!("-{letter}"));
        for word in letters.chain([format!("--{}", opt.long)]) {
            candidates.push(Candidate::Word(word, about.clone()));
        }
    }
    candidates
}

/// `--name=value`, whole words.
fn attached(name: &str, said: &Said, live: &mut dyn Live) -> Vec<Candidate> {
    let Some(opt) = OPTIONS.iter().find(|opt| Some(opt.long) == name.strip_prefix("--")) else { return Vec::new() };
    let whole = |candidate| match candidate {
        Candidate::Word(word, about) => Some(Candidate::Word(format!("{name}={word}"), about)),
        Candidate::File => None,
    };
    values(opt, said, live).into_iter().filter_map(whole).collect()
}

fn values(opt: &Opt, said: &Said, live: &mut dyn Live) -> Vec<Candidate> {
    let plain = |words: &[&str]| words.iter().copied().map(Candidate::word).collect();
    match opt.id {
        // A new service is not among those that there are.
        Id::Tcp | Id::Udp | Id::Sctp | Id::Mark if said.command == Some(Command::AddService) => Vec::new(),
        Id::Tcp | Id::Udp | Id::Sctp | Id::Mark => services(opt.id, live),
        Id::Command(Command::StartDaemon | Command::StopDaemon) => plain(&["master", "backup"]),
        Id::Only(Class::Scheduler) => Kind::ALL.into_iter().map(|kind| Candidate::word(kind.name())).collect(),
        Id::Only(Class::Server) => servers(said, live),
        Id::Only(Class::Engine) => plain(&["sip"]),
        Id::Only(Class::TunType) => plain(&["ipip", "gue", "gre"]),
        Id::Only(Class::SchedFlags) => plain(match said.value(|id| id == Id::Only(Class::Scheduler)) {
            Some("sh") => &["sh-fallback", "sh-port"],
            Some("mh") => &["mh-fallback", "mh-port"],
            _ => &["flag-1", "flag-2", "flag-3"],
        }),
        Id::Only(Class::McastInterface) => live.interfaces().into_iter().map(Candidate::word).collect(),
        _ if opt.metavar.eq_ignore_ascii_case("file") => vec![Candidate::File],
        _ => Vec::new(),
    }
}

/// The services that an option can name.
fn services(id: Id, live: &mut dyn Live) -> Vec<Candidate> {
    let listing = live.table().unwrap_or_default();
    let services = listing.services.iter().filter(|listed| is_of(id, &listed.service.key));
    services.map(|listed| Candidate::Word(show::service_name(&listed.service.key), summary(listed))).collect()
}

fn summary(listed: &ListedService) -> String {
    format!("{}, real servers: {}", listed.service.sched.name(), listed.dests.len())
}

/// The real servers of the service on the line; when one is to be added, those of the other services.
fn servers(said: &Said, live: &mut dyn Live) -> Vec<Candidate> {
    let listing = live.table().unwrap_or_default();
    let adding = said.command == Some(Command::AddServer);
    let names = |listed: &ListedService| -> Vec<String> {
        let style = Style { names: None };
        let name = |dest: &rvs_intent::Dest| style.endpoint(dest.addr, dest.family, dest.port, 0);
        listed.dests.iter().map(|listed| name(&listed.dest)).collect()
    };
    let (own, others): (Vec<_>, Vec<_>) =
        listing.services.iter().partition(|listed| said.is_named(&listed.service.key));
    let own: BTreeSet<String> = own.into_iter().flat_map(names).collect();
    let others: BTreeSet<String> = others.into_iter().flat_map(names).collect();
    let wanted: Vec<String> =
        if adding { others.difference(&own).cloned().collect() } else { own.into_iter().collect() };
    wanted.into_iter().map(Candidate::word).collect()
}

#[cfg(test)]
mod tests;
