//! Completion in bash, zsh and fish: the shells themselves, scripted, beside a director with services. What is expected is
//! the same in all three.

use anyhow::{Context as _, Result, ensure};
use lab::director::tool;
use lab::{Lab, Topology, start};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Lines as they are typed, up to the cursor, and what must be offered. `!` before a word: it must not be.
const CASES: &[(&str, &[&str])] = &[
    ("ipvsadm --add", &["--add-service", "--add-server"]),
    ("ipvsadm -D -t ", &["10.0.1.10:80", "10.0.1.10:443", "!10.0.1.10:53"]),
    ("ipvsadm -D -t 10.0.1.10:4", &["10.0.1.10:443", "!10.0.1.10:80"]),
    ("ipvsadm -d -t 10.0.1.10:80 -r 10.0.2.1", &["10.0.2.11:80", "10.0.2.12:8080"]),
    ("ipvsadm -A -t x:1 -s w", &["wrr", "wlc", "!rr"]),
    ("ipvsadm -a -t 10.0.1.10:80 -r x --we", &["--weight"]),
    ("ipvsadm-save --n", &["--numeric"]),
    ("rvs atta", &["attach"]),
    ("keepalived --log-f", &["--log-facility=", "--log-file", "--log-format="]),
    ("keepalived --signum STAT", &["STATS", "STATS_CLEAR", "!RELOAD"]),
    ("rvs attach eth", &["eth0", "eth1"]),
    ("rvs attach eth0 --mode xd", &["xdp", "xdp-generic"]),
    ("rvs proc ip_vs_stats", &["ip_vs_stats", "ip_vs_stats_percpu"]),
    ("rvs ipvsadm -Z -u ", &["10.0.1.10:53", "!10.0.1.10:80"]),
];

/// A director with services, and a directory with all completions for a shell: `complete` runs a shell on a line and returns
/// what it offers.
fn check(
    kind: &str,
    name: impl Fn(&str) -> String,
    offered: impl Fn(&Lab, &Path, &str) -> Result<String>,
) -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    lab.restore(
        "-A -t 10.0.1.10:80\n-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m\n-a -t 10.0.1.10:80 -r 10.0.2.12:8080 -m\n\
         -A -t 10.0.1.10:443\n-A -u 10.0.1.10:53\n",
    )?;
    let dir = lab.dir().join(kind);
    fs::create_dir_all(&dir)?;
    for of in ["rvs", "ipvsadm", "ipvsadm-save", "ipvsadm-restore", "keepalived"] {
        fs::write(dir.join(name(of)), lab.rvs(&format!("generate {kind}-completion {of}"))?)?;
    }
    for (line, expected) in CASES {
        let text = offered(&lab, &dir, line)?;
        // What bash cuts off because it keeps it is part of the word.
        let current = line.rsplit(' ').next().unwrap_or_default();
        let kept = current.rfind([':', '=']).map_or("", |at| &current[..=at]);
        let words: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.split(['\t', ' ']).next())
            .filter(|word| !word.is_empty())
            .map(|word| if kind == "bash" { format!("{kept}{word}") } else { word.to_owned() })
            .collect();
        for word in *expected {
            let (word, wanted) = word.strip_prefix('!').map_or((*word, true), |word| (word, false));
            ensure!(words.contains(word) == wanted, "{kind}: `{line}`: {word} in {words:?} from {text:?}");
        }
    }
    Ok(())
}

/// The search path with the tools under test in front.
fn path() -> Result<String> {
    let dir = tool("rvs")?.parent().context("a tool lies in a directory")?.display().to_string();
    Ok(format!("{dir}:{}", std::env::var("PATH").unwrap_or_default()))
}

#[test]
fn bash() -> Result<()> {
    check("bash", str::to_owned, |lab, dir, line| {
        let tool = line.split(' ').next().unwrap_or_default();
        let script = format!(
            "source {dir}/{tool}; COMP_LINE=$1; COMP_POINT=${{#1}}; COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'\n\
             read -r _ _ _ function _ < <(complete -p {tool} | sed 's/.*-F/x x x/'); $function {tool} '' ''\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            dir = dir.display()
        );
        let shell = lab.director().command("bash").args("--norc -c").arg(script).arg("bash").arg(line);
        shell.env("PATH", &path()?).ok()
    })
}

#[test]
fn fish() -> Result<()> {
    check(
        "fish",
        |tool| format!("{tool}.fish"),
        |lab, dir, line| {
            let tool = line.split(' ').next().unwrap_or_default();
            let script = format!("source {}/{tool}.fish; complete -C {line:?}", dir.display());
            let shell = lab.director().command("fish").args("--no-config -c").arg(script).env("PATH", &path()?);
            shell.env("HOME", &dir.to_string_lossy()).ok()
        },
    )
}

/// A zsh with a terminal, in which a tab is pressed; in the place of showing what is offered, it prints it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "
PS1= PROMPT= RPROMPT=
fpath=($1 \$fpath)
autoload -Uz compinit && compinit -u -D
setopt rcquotes
null-line () { builtin print -r -- @begin }
compprefuncs=( null-line )
end-line () { builtin print -r -- @end; exit }
comppostfuncs=( end-line )
zstyle ':completion:*' insert-tab false
compadd () {
    if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd \"\$@\"; return \$?; fi
    typeset -a found
    builtin compadd -A found \"\$@\"
    (( \$#found )) && builtin print -rl -- \$found
    builtin compadd \"\$@\"
}
bindkey '^I' complete-word
builtin print -r -- @ready
"
typeset text= chunk=
while zpty -r shell chunk; do text+=$chunk; [[ $text == *$'\n'@ready* || $text == @ready* ]] && break; done
zpty -n -w shell "$2"$'\t'
text=
while zpty -r shell chunk; do text+=$chunk; [[ $text == *@end* ]] && break; done
zpty -d shell
text=${text#*@begin}
print -r -- ${${text%%@end*}//$'\r'/}
"#;

#[test]
fn zsh() -> Result<()> {
    check(
        "zsh",
        |tool| format!("_{tool}"),
        |lab, dir, line| {
            let shell = lab.director().command("zsh").args("-f -c").arg(ZSH).arg("zsh").arg(dir).arg(line);
            shell.env("PATH", &path()?).env("TERM", "dumb").env("HOME", &dir.to_string_lossy()).ok()
        },
    )
}
