//! `rvs complete`: what may stand next on a command line of any of our tools, for the shells' completion.
//!
//! The words of ipvsadm are understood by `rvs-config`; those of `rvs` are in clap's description of its command line. Nothing
//! here fails: where there is nothing to offer, nothing is printed.

use crate::cli::Cli;
use clap::builder::PossibleValue;
use clap::{Arg, Command, CommandFactory, ValueHint};
use rvs_config::ipvsadm::completion::{Candidate, Live, complete};
use rvs_config::ipvsadm::show::service_name;
use rvs_config::keepalived::completion as keepalived;
use rvs_dataplane::{Dataplane, Error};
use rvs_intent::Listing;

/// Brings the data plane to look at.
pub type Look<'a> = dyn FnMut() -> Result<Box<dyn Dataplane>, Error> + 'a;

/// Tools that `rvs` calls by its first argument.
const OTHERS: [&str; 4] = ["ipvsadm", "ipvsadm-save", "ipvsadm-restore", "keepalived"];

/// The system as far as completion looks at it.
struct System<'a> {
    look: &'a mut Look<'a>,
}

impl Live for System<'_> {
    fn table(&mut self) -> Option<Listing> {
        (self.look)().ok()?.listing().ok()
    }

    fn interfaces(&mut self) -> Vec<String> {
        // Not below /sys, which shows the network namespace that it was mounted in.
        let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
        let names = table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn namespaces(&mut self) -> Vec<String> {
        // Where `ip netns` keeps them.
        let entries = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// The candidates for the last of `words`, the first of which is the tool: one a line, a tab, what it is about.
pub fn answer<'a>(words: &[String], look: &'a mut Look<'a>) -> String {
    let Some((tool, rest)) = words.split_first() else { return String::new() };
    let live = &mut System { look };
    let other = rest.first().map(String::as_str).filter(|word| OTHERS.contains(word) && rest.len() > 1);
    let candidates = match (tool.rsplit('/').next().unwrap_or_default(), other) {
        ("rvs", Some(other)) => of_tool(other, &rest[1..], live),
        ("rvs", None) => of_rvs(rest, live),
        (tool, _) => of_tool(tool, rest, live),
    };
    candidates.into_iter().map(line).collect()
}

fn line(candidate: Candidate) -> String {
    match candidate {
        Candidate::File => ":files\n".to_owned(),
        // A tab or a line's end would be taken for another candidate.
        Candidate::Word(word, about) => format!("{word}\t{}\n", about.replace(['\t', '\n'], " ")),
    }
}

fn of_tool(tool: &str, words: &[String], live: &mut dyn Live) -> Vec<Candidate> {
    let options: &[(&str, &str)] = match tool {
        "ipvsadm" => return complete(words, live),
        "keepalived" => return keepalived::complete(words, live),
        "ipvsadm-save" => &[
            ("-n", "addresses and ports as numbers"),
            ("--numeric", "addresses and ports as numbers"),
            ("-h", "help"),
            ("--help", "help"),
        ],
        "ipvsadm-restore" => &[("-h", "help"), ("--help", "help")],
        _ => &[],
    };
    let all = options.iter().map(|(word, about)| Candidate::Word((*word).to_owned(), (*about).to_owned()));
    beginning_with(words.last().map_or("", String::as_str), all.collect())
}

fn beginning_with(current: &str, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| match candidate {
        Candidate::Word(word, _) => word.starts_with(current),
        Candidate::File => true,
    });
    candidates
}

fn of_rvs(words: &[String], live: &mut dyn Live) -> Vec<Candidate> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    let (mut open, mut positional): (Option<&Arg>, usize) = (None, 0);
    for word in before {
        if open.take().is_some() {
            continue;
        }
        if let Some(name) = word.strip_prefix("--") {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name));
            open = arg.filter(|arg| arg.get_action().takes_values() && !is_optional(arg));
        } else if let Some(next) = command.find_subcommand(word) {
            (command, positional) = (next, 0);
        } else {
            positional += 1;
        }
    }
    let candidates = match (open, current.split_once('=')) {
        (Some(arg), _) => values(arg, live),
        (None, Some((name, _))) if name.starts_with("--") => {
            let arg = command.get_arguments().find(|arg| arg.get_long() == name.strip_prefix("--"));
            let whole = |candidate| match candidate {
                Candidate::Word(word, about) => Some(Candidate::Word(format!("{name}={word}"), about)),
                Candidate::File => None,
            };
            arg.map(|arg| values(arg, live)).unwrap_or_default().into_iter().filter_map(whole).collect()
        }
        (None, _) if current.starts_with('-') => options(command),
        (None, _) => {
            let mut candidates: Vec<Candidate> =
                command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(subcommand).collect();
            candidates
                .extend(command.get_positionals().nth(positional).map(|arg| values(arg, live)).unwrap_or_default());
            candidates
        }
    };
    beginning_with(current, candidates)
}

/// Whether the value of an option may be left out, so that the next word need not be it.
fn is_optional(arg: &Arg) -> bool {
    arg.get_num_args().is_some_and(|range| range.min_values() == 0)
}

fn subcommand(command: &Command) -> Candidate {
    Candidate::Word(command.get_name().to_owned(), command.get_about().map(ToString::to_string).unwrap_or_default())
}

fn options(command: &Command) -> Vec<Candidate> {
    let one = |arg: &Arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.get_long().map(|long| Candidate::Word(format!("--{long}"), about))
    };
    command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(one).collect()
}

/// What an argument can be, by its possible values, its hint or its name.
fn values(arg: &Arg, live: &mut dyn Live) -> Vec<Candidate> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() && arg.get_action().takes_values() {
        let one = |value: &PossibleValue| {
            Candidate::Word(value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
        };
        return possible.iter().filter(|value| !value.is_hide_set()).map(one).collect();
    }
    match (arg.get_id().as_str(), arg.get_value_hint()) {
        ("dev", _) => live.interfaces().into_iter().map(Candidate::word).collect(),
        ("mode", _) => ["auto", "tc", "xdp", "xdp-generic"].map(Candidate::word).into(),
        ("service", _) => {
            let listing = live.table().unwrap_or_default();
            let name = |listed: &rvs_intent::ListedService| Candidate::word(service_name(&listed.service.key));
            listing.services.iter().map(name).collect()
        }
        (_, ValueHint::FilePath | ValueHint::AnyPath) => vec![Candidate::File],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_dataplane::model::Model;

    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let look = &mut || Ok(Box::new(Model::default()) as Box<dyn Dataplane>);
        let text = answer(&words, look);
        text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_command_of_rvs_is_offered_but_the_hidden() {
        let all = offered("rvs ");
        for command in Cli::command().get_subcommands() {
            assert_eq!(all.contains(&command.get_name().to_owned()), !command.is_hide_set(), "{}", command.get_name());
        }
        assert_eq!(offered("rvs stat"), ["status", "stats"]);
    }

    #[test]
    fn options_and_values_of_rvs() {
        assert_eq!(offered("rvs attach eth0 --mode x"), ["xdp", "xdp-generic"]);
        assert_eq!(offered("rvs attach eth0 --mode=t"), ["--mode=tc"]);
        assert!(offered("rvs attach eth0 --").contains(&"--json".to_owned()));
        assert_eq!(offered("rvs decap "), ["attach", "detach", "help"]);
        assert!(offered("rvs attach ").contains(&"lo".to_owned()));
        assert_eq!(offered("rvs proc ip_vs_stats"), ["ip_vs_stats", "ip_vs_stats_percpu"]);
    }

    #[test]
    fn the_other_tools_by_any_name() {
        assert_eq!(offered("ipvsadm --add-ser"), ["--add-service", "--add-server"]);
        assert_eq!(offered("rvs ipvsadm --add-ser"), ["--add-service", "--add-server"]);
        assert_eq!(offered("/sbin/ipvsadm-save --n"), ["--numeric"]);
        assert_eq!(offered("ipvsadm-restore -"), ["-h", "--help"]);
        assert_eq!(offered("keepalived --dump-conf"), ["--dump-config", "--dump-conf"]);
        assert_eq!(offered("rvs keepalived --signum=J"), ["--signum=JSON"]);
        assert_eq!(offered("rm -"), [""; 0]);
        assert_eq!(offered("rvs ipvsadm"), ["ipvsadm", "ipvsadm-save", "ipvsadm-restore"]);
        assert_eq!(offered("rvs keep"), ["keepalived"]);
    }
}
