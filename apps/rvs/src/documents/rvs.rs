//! rvs(8), from the description of the command line: a command or option that there is, is on the page.

use super::prose;
use crate::cli::Cli;
use clap::{Arg, Command, CommandFactory};
use rvs_config::roff;

/// The page.
pub(super) fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = roff::head("rvs", "the Linux Virtual Server on eBPF");
    page += &roff::section("SYNOPSIS");
    page += &roff::text(&["`rvs` [`--json`] <command> [<argument> ...]"]);
    page += &roff::section("DESCRIPTION");
    page += &roff::text(prose::DESCRIPTION);
    page += &roff::section("OPTIONS");
    root.get_arguments().filter(|arg| !arg.is_hide_set()).for_each(|arg| page += &argument(arg));
    page += &roff::section("COMMANDS");
    for command in root.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        page += &described(command, command.get_name());
    }
    page += &roff::section("ENVIRONMENT");
    for (variable, meaning) in prose::ENVIRONMENT {
        page += &roff::entry(variable, &[meaning]);
    }
    page += &roff::section("FILES");
    for (file, meaning) in prose::FILES {
        page += &roff::entry(file, &[meaning]);
    }
    page += &roff::section("EXIT STATUS");
    for (status, meaning) in prose::STATUS {
        page += &roff::entry(status, &[meaning]);
    }
    page += &roff::section("EXAMPLES");
    for (what, lines) in prose::EXAMPLES {
        page += &roff::text(&[what]);
        page += &roff::example(lines);
    }
    roff::finished(&(page + &roff::see_also(&["ipvsadm", "ipvsadm-save", "ipvsadm-restore"])))
}

/// A command with its arguments; of a command of commands, each of those.
fn described(command: &Command, name: &str) -> String {
    let below: Vec<&Command> =
        command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()).collect();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = String::new();
    if below.is_empty() {
        let own = |arg: &&Arg| !arg.is_hide_set() && !arg.is_global_set() && arg.get_id() != "help";
        let args: Vec<&Arg> = command.get_arguments().filter(own).collect();
        let usage: Vec<String> = args.iter().map(|arg| usage(arg)).collect();
        page += &roff::subsection(&format!("rvs {name}"));
        page += &roff::text(&[&format!("`rvs {name}` {}", usage.join(" "))]);
        page += &roff::text(&[&sentence(&about)]);
        page += &roff::text(prose::COMMANDS.iter().find(|(known, _)| *known == name).map_or(&[], |(_, text)| *text));
        args.iter().for_each(|arg| page += &argument(arg));
    }
    below.iter().for_each(|sub| page += &described(sub, &format!("{name} {}", sub.get_name())));
    page
}

/// An argument in a synopsis.
fn usage(arg: &Arg) -> String {
    let term = term(arg);
    if arg.is_required_set() { term } else { format!("[{term}]") }
}

fn term(arg: &Arg) -> String {
    let value = arg.get_action().takes_values().then(|| {
        let names = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
        let name = if names.is_empty() { arg.get_id().to_string() } else { names };
        let name = format!("<{}>", name.to_lowercase());
        let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
        if optional && !arg.is_positional() { format!("[{name}]") } else { name }
    });
    let long = arg.get_long().map(|long| format!("`--{long}`"));
    let short = arg.get_short().map(|short| format!("`-{short}`"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    [names.join(", "), value.unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn argument(arg: &Arg) -> String {
    let mut meaning = vec![sentence(&arg.get_help().map(ToString::to_string).unwrap_or_default())];
    let possible = arg.get_possible_values();
    if arg.get_action().takes_values() && !possible.is_empty() {
        let one = |value: &clap::builder::PossibleValue| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        };
        meaning.push(format!("One of {}.", possible.iter().map(one).collect::<Vec<_>>().join(", ")));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        meaning.push(format!("Unless given: {}.", defaults.join(", ")));
    }
    roff::entry(&term(arg), &[&meaning.join(" ")])
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_there() {
        fn check(command: &Command, name: &str, page: &str) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
                check(sub, &format!("{name} {}", sub.get_name()), page);
            }
            if command.get_subcommands().next().is_none() {
                assert!(page.contains(&roff::subsection(name)), "{name}");
            }
            for long in command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long) {
                assert!(page.contains(&roff::paragraph(&format!("`--{long}`"))), "{name} --{long}");
            }
        }
        let mut root = Cli::command();
        root.build();
        check(&root, "rvs", &page());
    }

    #[test]
    fn prose_is_about_commands_that_there_are() {
        let page = page();
        for (name, _) in prose::COMMANDS {
            assert!(page.contains(&roff::subsection(&format!("rvs {name}"))), "{name}");
        }
    }
}
