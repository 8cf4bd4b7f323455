//! The manual pages of ipvsadm, ipvsadm-save and ipvsadm-restore: what there is from the option table, what it means from
//! [`prose`].
//!
//! An option without prose of its own gets its line of the help text: no option is missing from the page.

mod prose;
mod scripts;

pub use scripts::{restore_page, save_page};

use super::table::{Arg, Command, Id, OPTIONS, Opt, RULES, Section, USAGE};
use crate::roff;
use prose::{EXAMPLES, FILES, SCHEDULERS, STATUS};
use rvs_core::sched::Kind;

/// ipvsadm(8).
pub fn man_page() -> String {
    let mut page = roff::head("ipvsadm", "administer virtual services");
    page += &roff::section("SYNOPSIS");
    let usage = |usage: &&str| format!("\\fBipvsadm\\fR {}\n", roff::escaped(usage));
    page += &USAGE.iter().map(usage).collect::<Vec<_>>().join(".br\n");
    page += &roff::section("DESCRIPTION");
    page += &roff::text(prose::DESCRIPTION);
    for (section, options) in sections() {
        page += &roff::section(title(section));
        page += &roff::text(introduction(section));
        for opt in options {
            page += &entry(opt);
        }
    }
    page += &schedulers();
    page += &roff::section("FILES");
    for (file, meaning) in FILES {
        page += &roff::entry(file, meaning);
    }
    page += &roff::section("EXIT STATUS");
    for (status, meaning) in STATUS {
        page += &roff::entry(status, &[meaning]);
    }
    page += &roff::section("EXAMPLES");
    for (what, lines) in EXAMPLES {
        page += &roff::text(&[what]);
        page += &roff::example(lines);
    }
    page += &roff::section("DIFFERENCES FROM IPVS");
    page += &roff::text(prose::DIFFERENCES);
    roff::finished(&(page + &roff::see_also(&["ipvsadm-save", "ipvsadm-restore", "rvs"])))
}

/// The options by section, in the order of the table.
fn sections() -> Vec<(Section, Vec<&'static Opt>)> {
    let mut sections: Vec<(Section, Vec<&Opt>)> = Vec::new();
    for opt in OPTIONS {
        // What the original's help text keeps to itself is in the manual all the same, unless it is another's synonym.
        let section = match (opt.section, opt.id) {
            (Section::Hidden, Id::Command(_)) => Section::Commands,
            (Section::Hidden, _) if OPTIONS.iter().any(|o| o.section != Section::Hidden && o.long == opt.long) => {
                continue;
            }
            (Section::Hidden, _) => Section::Options,
            (section, _) => section,
        };
        match sections.iter_mut().find(|(known, _)| *known == section) {
            Some((_, options)) => options.push(opt),
            None => sections.push((section, vec![opt])),
        }
    }
    sections
}

fn title(section: Section) -> &'static str {
    match section {
        Section::Commands => "COMMANDS",
        Section::Service => "VIRTUAL SERVICE",
        Section::Options => "OPTIONS",
        Section::Daemon => "OPTIONS OF CONNECTION SYNCHRONISATION",
        _ => "ADDITIONS OF RVS",
    }
}

fn introduction(section: Section) -> &'static [&'static str] {
    match section {
        Section::Commands => prose::COMMANDS,
        Section::Service => prose::SERVICE,
        _ => &[],
    }
}

/// All letters and the name of an option, with its argument: `-w, --weight weight`.
fn term(opt: &Opt) -> String {
    let synonyms = OPTIONS.iter().filter(|other| other.long == opt.long).flat_map(|other| other.short.chars());
    let letters = synonyms.map(|letter| format!("`-{letter}`"));
    let names: Vec<String> = letters.chain([format!("`--{}`", opt.long)]).collect();
    let argument = match (opt.arg, opt.metavar) {
        (Arg::Yes, "") => " `master`|`backup`".to_owned(),
        (_, "") => String::new(),
        (_, metavar) => format!(" <{metavar}>"),
    };
    names.join(", ") + &argument
}

fn entry(opt: &Opt) -> String {
    let help = opt.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let own = prose::OPTIONS.iter().find(|(long, _)| *long == opt.long).map(|(_, prose)| *prose);
    let mut meaning: Vec<&str> = own.unwrap_or(&[]).to_vec();
    if meaning.is_empty() {
        meaning.push(&help);
    }
    let with = commands_of(opt);
    let with = (!with.is_empty()).then(|| format!("With {}.", with.join(", ")));
    meaning.extend(with.as_deref());
    roff::entry(&term(opt), &meaning)
}

/// The commands that an option goes with, unless it is one itself.
fn commands_of(opt: &Opt) -> Vec<String> {
    let Some(letters) = opt.class().and_then(|class| RULES.iter().find(|(known, ..)| *known == class)) else {
        return Vec::new();
    };
    let allowed = |command: Command| letters.2.as_bytes().get(command as usize) != Some(&b'x');
    let name = |opt: &Opt| match opt.short.chars().next() {
        Some(letter) => format!("`-{letter}`"),
        None => format!("`--{}`", opt.long),
    };
    OPTIONS
        .iter()
        .filter_map(|candidate| match candidate.id {
            Id::Command(command) if (command as usize) < letters.2.len() && allowed(command) => Some(name(candidate)),
            _ => None,
        })
        .collect()
}

fn schedulers() -> String {
    let mut page = roff::section("SCHEDULERS");
    page += &roff::text(prose::SCHEDULING);
    for kind in Kind::ALL {
        let own = SCHEDULERS.iter().find(|(name, _)| *name == kind.name());
        page += &roff::entry(&format!("`{}`", kind.name()), &[own.map_or("A scheduler.", |(_, text)| text)]);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_there_with_every_letter() {
        let page = man_page();
        for opt in OPTIONS {
            assert!(page.contains(&roff::paragraph(&format!("`--{}`", opt.long))), "--{}", opt.long);
            for letter in opt.short.chars() {
                assert!(page.contains(&roff::paragraph(&format!("`-{letter}`"))), "-{letter}");
            }
        }
        assert!(page.contains(&roff::paragraph("`-p`, `--persistent` <[timeout]>")));
        assert!(page.contains(&roff::paragraph("`-X`, `--exact`")));
    }

    #[test]
    fn every_scheduler_is_there_and_explained() {
        let page = man_page();
        for kind in Kind::ALL {
            assert!(page.contains(&format!("\\fB{}\\fR\n", kind.name())), "{}", kind.name());
            assert!(SCHEDULERS.iter().any(|(name, _)| *name == kind.name()), "{}", kind.name());
        }
    }

    #[test]
    fn prose_is_about_options_that_there_are() {
        for (long, paragraphs) in prose::OPTIONS {
            assert!(OPTIONS.iter().any(|opt| opt.long == *long), "--{long}");
            assert!(!paragraphs.is_empty(), "--{long}");
        }
    }

    #[test]
    fn an_option_says_what_it_goes_with() {
        let weight = OPTIONS.iter().find(|opt| opt.long == "weight").unwrap();
        assert_eq!(commands_of(weight), ["`-a`", "`-e`"]);
    }
}
