//! genhash(1) and its completions, from its table of options.

use crate::genhash::OPTIONS;
use rvs_config::roff;

const DESCRIPTION: &[&str] = &[
    "`genhash` asks a web server for a page and prints the MD5 digest of its contents, as `digest` in HTTP_GET and SSL_GET of \
     keepalived.conf(5) has it. The request is the one of the checks. Certificates are not verified.",
    "Of contents in chunks (`Transfer-Encoding: chunked`) the digest is that of the bytes as they came, as with keepalived; the \
     checks accept that of the contents proper as well.",
];

/// The manual page.
pub(super) fn page() -> String {
    let mut page = roff::head_of(1, "User Commands", "genhash", "the digest of a web page, for health checks");
    page += &roff::section("SYNOPSIS");
    page += &roff::text(&["`genhash` [<options>] `-s` <address> `-p` <port> `-u` <path>"]);
    page += &roff::section("DESCRIPTION");
    page += &roff::text(DESCRIPTION);
    page += &roff::section("OPTIONS");
    for (letter, long, argument, what) in OPTIONS {
        let argument = argument.map(|name| format!(" <{name}>")).unwrap_or_default();
        page += &roff::entry(&format!("`-{letter}`{argument}, `--{long}`{argument}"), &[what]);
    }
    page += &roff::section("EXIT STATUS");
    page += &roff::entry(
        "0",
        &["The server was asked; what came of it, a digest or one line about what went wrong, is printed."],
    );
    page += &roff::entry("1", &["Wrong arguments."]);
    page += &roff::section("EXAMPLES");
    page += &roff::example(
        "genhash -s 10.0.2.11 -p 80 -u /index.html\ngenhash -S -I -V www.example.org -s 10.0.2.11 -p 443 -u /",
    );
    roff::finished(&(page + &roff::see_also(&["keepalived", "rvs"])))
}

/// For bash.
pub(super) fn bash() -> String {
    let words: Vec<String> = OPTIONS.iter().map(|(letter, long, ..)| format!("-{letter} --{long}")).collect();
    format!("complete -W '{}' genhash\n", words.join(" "))
}

/// For zsh.
pub(super) fn zsh() -> String {
    let mut script = "#compdef genhash\n_arguments".to_owned();
    for (letter, long, argument, what) in OPTIONS {
        let what = what.replace('\'', "").replace(':', "\\:");
        let argument = argument.map(|name| format!(":{name}:")).unwrap_or_default();
        for name in [format!("-{letter}"), format!("--{long}")] {
            script += &format!(" \\\n  '{name}[{what}]{argument}'");
        }
    }
    script + "\n"
}

/// For fish.
pub(super) fn fish() -> String {
    let line = |(letter, long, argument, what): &crate::genhash::Opt| {
        let what = what.replace('\'', "");
        format!("complete -c genhash -f -s {letter} -l {long}{} -d '{what}'\n", argument.map_or("", |_| " -x"))
    };
    OPTIONS.iter().map(line).collect()
}
