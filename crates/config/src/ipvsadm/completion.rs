//! Completion for bash, from the option table.

use super::table::OPTIONS;
use std::collections::BTreeSet;

/// A script for bash-completion's directory.
pub fn bash_completion() -> String {
    let words: BTreeSet<String> = OPTIONS
        .iter()
        .flat_map(|opt| opt.short.chars().map(|l| format!("-{l}")).chain([format!("--{}", opt.long)]))
        .collect();
    let words: Vec<String> = words.into_iter().collect();
    format!(
        r#"# bash completion for ipvsadm
_rvs_ipvsadm() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words
    case $previous in
        -s|--scheduler) words='{schedulers}' ;;
        --tun-type) words='ipip gue gre' ;;
        --start-daemon|--stop-daemon) words='master backup' ;;
        --pe) words='sip' ;;
        *) words='{words}' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F _rvs_ipvsadm ipvsadm
"#,
        schedulers = rvs_core::sched::Kind::ALL.map(rvs_core::sched::Kind::name).join(" "),
        words = words.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_offered() {
        let script = bash_completion();
        for opt in OPTIONS {
            assert!(script.contains(&format!(" --{}", opt.long)) || script.contains(&format!("'--{}", opt.long)));
        }
        assert!(script.contains("rr wrr lc wlc"));
    }
}
