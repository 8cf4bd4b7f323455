//! The help text, from the option table.

use super::table::{OPTIONS, Opt, Section, USAGE};

/// What `-v` prints; scripts parse it.
pub const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

/// What `-h` prints.
pub fn help() -> String {
    let mut text = format!("{VERSION}\nUsage:\n");
    for usage in USAGE {
        text += &format!("  ipvsadm {usage}\n");
    }
    text += "\nCommands:\nEither long or short options are allowed.\n";
    text += &section(Section::Commands, 28, |opt| {
        let letters: Vec<String> = opt.short.chars().map(|letter| format!("-{letter}")).collect();
        format!("{:<18}{}", joined(opt), letters.join("|"))
    });
    text += "\nvirtual-service:\n";
    text += &section(Section::Service, 36, |opt| {
        let letter = opt.short.chars().next().map_or(String::new(), |letter| format!("|-{letter}"));
        format!("{:<17} {}", format!("--{}{letter}", opt.long), opt.metavar)
    });
    text += "\nOptions:\n";
    text += &section(Section::Options, 36, |opt| {
        let letter = opt.short.chars().next().map_or(String::new(), |letter| format!("-{letter}"));
        format!("{:<14} {letter} {}", format!("--{}", opt.long), opt.metavar)
    });
    text += "Daemon Options:\n";
    text + &section(Section::Daemon, 36, joined)
}

fn joined(opt: &Opt) -> String {
    let separator = if opt.metavar.is_empty() { "" } else { " " };
    format!("--{}{separator}{}", opt.long, opt.metavar)
}

/// The options of a section: a left column of the given width, further lines of the right one below it.
fn section(section: Section, width: usize, left: impl Fn(&Opt) -> String) -> String {
    let mut text = String::new();
    for opt in OPTIONS.iter().filter(|opt| opt.section == section) {
        for (index, line) in opt.help.iter().enumerate() {
            let left = if index == 0 { left(opt) } else { String::new() };
            text += &format!("  {left:<width$}{line}\n");
        }
    }
    text
}
