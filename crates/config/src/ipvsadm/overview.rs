//! All options in one table, for the documentation; made from the option table, so that it can't be wrong.

use super::table::{Arg, Command, Id, OPTIONS, Opt, RULED, RULES, Section};

/// The table, in Markdown.
pub fn option_overview() -> String {
    let mut text = String::from("| Option | Argument | Goes with | 1.31 | RVS |\n|---|---|---|---|---|\n");
    for opt in OPTIONS.iter().filter(|opt| !is_second_letter(opt)) {
        let original = if opt.section == Section::Additions { "" } else { "✓" };
        text += &format!("| {} | {} | {} | {original} | ✓ |\n", names(opt), argument(opt), goes_with(opt));
    }
    text
}

/// A letter that the help text keeps apart from the option that it stands for.
fn is_second_letter(opt: &Opt) -> bool {
    OPTIONS.iter().any(|other| other.long == opt.long && !std::ptr::eq(other, opt)) && opt.help.is_empty()
}

fn names(opt: &Opt) -> String {
    let letters: Vec<String> = OPTIONS
        .iter()
        .filter(|other| other.long == opt.long)
        .flat_map(|other| other.short.chars())
        .map(|letter| format!("`-{letter}` "))
        .collect();
    format!("{}`--{}`", letters.concat(), opt.long)
}

fn argument(opt: &Opt) -> String {
    match (opt.arg, opt.metavar) {
        (Arg::Yes, "") => "`master\\|backup`".to_owned(),
        (_, "") => String::new(),
        (_, metavar) => format!("`{metavar}`"),
    }
}

/// The commands that the option goes with; those that need it in bold.
fn goes_with(opt: &Opt) -> String {
    if let Id::Command(_) = opt.id {
        return "*(command)*".to_owned();
    }
    let Some(class) = opt.class() else {
        return if opt.id == Id::Ipv6 { "`-f`, behind it".to_owned() } else { "everything".to_owned() };
    };
    let letters = RULES.iter().find(|(known, ..)| *known == class).map_or("", |(.., letters)| letters);
    let allowed = RULED.iter().zip(letters.bytes()).filter(|(_, letter)| *letter != b'x');
    let commands = allowed.map(|(command, letter)| {
        let name = command_option(*command);
        if letter == b'+' { format!("**`{name}`**") } else { format!("`{name}`") }
    });
    commands.collect::<Vec<_>>().join(" ")
}

fn command_option(command: Command) -> String {
    let opt = OPTIONS.iter().find(|opt| opt.id == Id::Command(command));
    opt.map_or(String::new(), |opt| match opt.short.chars().next() {
        Some(letter) => format!("-{letter}"),
        None => format!("--{}", opt.long),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_the_rules() {
        for (column, command) in RULED.into_iter().enumerate() {
            assert_eq!(command as usize, column);
        }
        assert!(RULES.iter().all(|(.., letters)| letters.len() == RULED.len()));
    }

    #[test]
    fn the_documentation_has_every_option() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compat.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let table = option_overview();
        assert!(page.contains(&table), "docs/compat.md must contain:\n{table}");
    }
}
