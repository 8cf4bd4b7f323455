//! Completion of keepalived's command lines, from its option table.

use super::options::{Arg, Id, OPTIONS, Opt};
use crate::ipvsadm::completion::{Candidate, Live};

/// What may stand in the place of the last of `words`, the words behind the program's name; the last may be empty or begun.
pub fn complete(words: &[String], live: &mut dyn Live) -> Vec<Candidate> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    if let Some(opt) = before.last().and_then(|word| waiting(word)) {
        return beginning_with(current, values(opt, live));
    }
    if let Some((name, _)) = current.split_once('=')
        && let Some(name) = name.strip_prefix("--")
    {
        let Some(opt) = OPTIONS.iter().find(|opt| opt.long == name && opt.arg != Arg::No) else { return Vec::new() };
        let whole = |candidate| match candidate {
            Candidate::Word(word, about) => Some(Candidate::Word(format!("--{name}={word}"), about)),
            // The shell completes files in words of their own only.
            Candidate::File => None,
        };
        return beginning_with(current, values(opt, live).into_iter().filter_map(whole).collect());
    }
    let given = |opt: &&Opt| !before.iter().any(|word| means(word, opt));
    let mut candidates = Vec::new();
    for opt in OPTIONS.iter().filter(given) {
        let letter = opt.short.map(|letter| format!("-{letter}"));
        let sign = if opt.arg == Arg::Yes { "=" } else { "" };
        for word in letter.into_iter().chain([format!("--{}{sign}", opt.long)]) {
            candidates.push(Candidate::Word(word, opt.help.to_owned()));
        }
    }
    beginning_with(current, candidates)
}

/// The option that a word leaves waiting for its argument.
fn waiting(word: &str) -> Option<&'static Opt> {
    if let Some(name) = word.strip_prefix("--") {
        return OPTIONS.iter().find(|opt| opt.long == name && opt.arg == Arg::Yes);
    }
    let letters = word.strip_prefix('-')?;
    for (at, letter) in letters.char_indices() {
        let opt = OPTIONS.iter().find(|opt| opt.short == Some(letter))?;
        if opt.arg != Arg::No {
            return (opt.arg == Arg::Yes && at + letter.len_utf8() == letters.len()).then_some(opt);
        }
    }
    None
}

/// Whether a word gives this option.
fn means(word: &str, opt: &Opt) -> bool {
    match word.strip_prefix("--") {
        Some(name) => name.split('=').next() == Some(opt.long),
        None => opt.short.is_some_and(|letter| {
            let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
            letters.find(|one| {
                OPTIONS.iter().any(|known| known.short == Some(*one) && (*one == letter || known.arg != Arg::No))
            }) == Some(letter)
        }),
    }
}

fn values(opt: &Opt, live: &mut dyn Live) -> Vec<Candidate> {
    let plain = |words: &[&str]| words.iter().copied().map(Candidate::word).collect();
    match opt.id {
        Id::Signum => plain(&["STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON"]),
        Id::LogFormat => plain(&["text", "json"]),
        Id::LogFacility => {
            let local = (0..8).map(|number| Candidate::word(format!("local{number}")));
            ["daemon", "user"].map(Candidate::word).into_iter().chain(local).collect()
        }
        Id::Namespace => live.namespaces().into_iter().map(Candidate::word).collect(),
        _ if opt.metavar.ends_with("FILE") => vec![Candidate::File],
        _ => Vec::new(),
    }
}

fn beginning_with(current: &str, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.retain(|candidate| match candidate {
        Candidate::Word(word, _) => word.starts_with(current),
        Candidate::File => true,
    });
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Live for Fixed {
        fn table(&mut self) -> Option<rvs_intent::Listing> {
            None
        }

        fn interfaces(&mut self) -> Vec<String> {
            Vec::new()
        }

        fn namespaces(&mut self) -> Vec<String> {
            vec!["blue".into(), "green".into()]
        }
    }

    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let word = |candidate| match candidate {
            Candidate::Word(word, _) => word,
            Candidate::File => "FILE".to_owned(),
        };
        complete(&words, &mut Fixed).into_iter().map(word).collect()
    }

    #[test]
    fn every_option_is_offered_once() {
        let all = offered("");
        for opt in OPTIONS {
            let is_it = |word: &&String| word.trim_start_matches('-').trim_end_matches('=') == opt.long;
            assert_eq!(all.iter().filter(is_it).count(), 1, "--{}", opt.long);
        }
        assert!(!offered("-nlD --").contains(&"--log-detail".to_owned()));
        assert!(!offered("--dont-fork -").contains(&"-n".to_owned()));
        assert!(offered("-fn -").contains(&"-n".to_owned()), "that was a file's name");
    }

    #[test]
    fn arguments_are_what_they_can_be() {
        assert_eq!(offered("-f "), ["FILE"]);
        assert_eq!(offered("-nf "), ["FILE"]);
        assert_eq!(offered("--signum=STAT"), ["--signum=STATS", "--signum=STATS_CLEAR"]);
        assert_eq!(offered("--signum R"), ["RELOAD"]);
        assert_eq!(offered("-s b"), ["blue"]);
        assert_eq!(offered("--log-f"), ["--log-facility=", "--log-file", "--log-format="]);
        assert_eq!(offered("--log-format=j"), ["--log-format=json"]);
        for nonsense in ["--no-such=", "-", "--", "x y", "-\u{e4} -", "--vrrp="] {
            offered(nonsense);
        }
        assert_eq!(complete(&[], &mut Fixed), []);
    }
}
