//! The manual page, from the option table.

use super::table::{Arg, OPTIONS, Opt, Section, USAGE};

/// The page in the language of `man`.
pub fn man_page() -> String {
    let mut page = String::from(
        ".TH IPVSADM 8 \"\" \"RVS\" \"System Administration\"\n.SH NAME\nipvsadm \\- administer the virtual server of RVS\n\
         .SH SYNOPSIS\n",
    );
    for usage in USAGE {
        page += &format!(".B ipvsadm\n{}\n.br\n", escaped(usage));
    }
    page += ".SH DESCRIPTION\nSets up, maintains and shows the table of virtual services of the present network \
             namespace. The command line, the output and the exit status are those of ipvsadm 1.31 for Linux IPVS.\n";
    for (section, title) in [
        (Section::Commands, "COMMANDS"),
        (Section::Service, "VIRTUAL SERVICE"),
        (Section::Options, "OPTIONS"),
        (Section::Daemon, "DAEMON OPTIONS"),
        (Section::Additions, "ADDITIONS OF RVS"),
    ] {
        page += &format!(".SH {title}\n");
        for opt in OPTIONS.iter().filter(|opt| opt.section == section) {
            page += &entry(opt);
        }
    }
    page += ".SH EXIT STATUS\n0 on success; 1 when the service to be listed does not exist; 2 when the command line makes \
             no sense or the data plane cannot be used; 255 when an option cannot be read or the change is refused.\n\
             .SH SEE ALSO\n.BR ipvsadm-save (8),\n.BR ipvsadm-restore (8),\n.BR rvs (8)\n";
    page
}

fn entry(opt: &Opt) -> String {
    let argument = match (opt.arg, opt.metavar) {
        (Arg::Yes, "") => " {master|backup}".to_owned(),
        (_, "") => String::new(),
        (_, metavar) => format!(" {metavar}"),
    };
    let letters = opt.short.chars().map(|letter| format!("-{letter}"));
    let names: Vec<String> = letters.chain([format!("--{}", opt.long)]).collect();
    let text: Vec<&str> = opt.help.iter().map(|line| line.trim()).collect();
    format!(".TP\n.B {}\n{}\n", escaped(&format!("{}{argument}", names.join(", "))), escaped(&text.join(" ")))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_option_is_there() {
        let page = man_page();
        for opt in OPTIONS.iter().filter(|opt| opt.section != Section::Hidden) {
            assert!(page.contains(&escaped(&format!("--{}", opt.long))), "--{}", opt.long);
        }
        assert!(page.contains(".B \\-p, \\-\\-persistent [timeout]"));
    }
}
