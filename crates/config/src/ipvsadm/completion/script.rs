//! The scripts that shells load: they hand the words to `rvs complete` and show what comes back.
//!
//! The answer has one candidate a line, a tab, and what it is about; the line `:files` asks for names of files.

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// The completion of `tool` for a shell.
pub fn script(shell: Shell, tool: &str) -> String {
    let text = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    text.replace("@tool@", tool).replace("@function@", &tool.replace('-', "_"))
}

// bash takes `:` and `=` for the ends of words; the line is split at blanks here instead, and what bash will keep of the word
// is cut off the answers.
const BASH: &str = r#"# bash completion for @tool@
_rvs_complete_@function@() {
    local line=${COMP_LINE:0:COMP_POINT} words current kept answer
    read -r -a words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    kept=
    if [[ $current == *[:=]* && $COMP_WORDBREAKS == *[:=]* ]]; then
        kept=${current%"${current##*[:=]}"}
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r answer _; do
        if [[ $answer == :files ]]; then
            compopt -o default 2>/dev/null
        elif [[ -n $answer ]]; then
            COMPREPLY+=("${answer#"$kept"}")
        fi
    done < <(PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin rvs complete -- @tool@ "${words[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _rvs_complete_@function@ @tool@
"#;

const ZSH: &str = r#"#compdef @tool@
_rvs_complete_@function@() {
    local -a lines candidates displays
    local line word about
    lines=("${(@f)$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin rvs complete -- @tool@ "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        word=${line%%$'\t'*} about=${line#*$'\t'}
        if [[ $word == :files ]]; then
            _files
        elif [[ -n $word ]]; then
            candidates+=("$word")
            if [[ -n $about ]]; then displays+=("$word  -- $about"); else displays+=("$word"); fi
        fi
    done
    (( $#candidates )) && compadd -l -d displays -a candidates
}
if [[ $funcstack[1] == _@tool@ ]]; then
    _rvs_complete_@function@ "$@"
else
    compdef _rvs_complete_@function@ @tool@
fi
"#;

const FISH: &str = r#"# fish completion for @tool@
function __rvs_complete_@function@
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    test -n "$current"; or set current ''
    set -l answers (env PATH=(string join : $PATH /usr/local/sbin /usr/sbin /sbin) rvs complete -- @tool@ $before[2..-1] $current 2>/dev/null)
    for answer in $answers
        if test "$answer" = ':files'
            __fish_complete_path "$current"
        else
            echo $answer
        end
    end
end
complete -c @tool@ -f -a '(__rvs_complete_@function@)'
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_left_open() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = script(shell, "ipvsadm-save");
            assert!(!text.contains("@tool@") && !text.contains("@function@"), "{text}");
            assert!(text.contains("rvs complete -- ipvsadm-save"), "{text}");
        }
    }
}
