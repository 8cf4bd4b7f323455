//! Which processes a tracked name means, decided from what is known of a process.

/// How many bytes of a process's own name the kernel keeps.
const COMM: usize = 15;

/// How the arguments of a process are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Arguments {
    /// Not at all.
    #[default]
    Any,
    /// They are these and no others.
    Exact(Vec<String>),
    /// `param_match initial`: they begin with these.
    Initial(Vec<String>),
    /// `param_match partial`: likewise, and of the last only the beginning counts.
    Partial(Vec<String>),
}

/// The processes meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessPattern {
    /// The program: its own name, or with `full` the first word of its command line.
    pub program: String,
    /// `full_command`; taken for granted where the program's name is longer than the kernel keeps, or arguments are compared.
    pub full: bool,
    /// The arguments.
    pub arguments: Arguments,
}

/// What is known of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessFacts {
    /// Its own name, at most 15 bytes.
    pub comm: Vec<u8>,
    /// Its command line: words that end in NUL bytes; empty for threads of the kernel.
    pub command: Vec<u8>,
}

impl ProcessPattern {
    /// Whether the command line has to be looked at.
    pub fn needs_command(&self) -> bool {
        self.full || self.program.len() > COMM || self.arguments != Arguments::Any
    }

    /// Whether this process is meant.
    pub fn fits(&self, facts: &ProcessFacts) -> bool {
        let mut words = facts.command.strip_suffix(&[0]).unwrap_or(&facts.command).split(|byte| *byte == 0);
        let first = words.next().unwrap_or_default();
        let program = self.program.as_bytes();
        let named = if self.full || self.program.len() > COMM { first == program } else { facts.comm == program };
        named && self.arguments.fit(&words.collect::<Vec<_>>())
    }
}

impl Arguments {
    fn fit(&self, words: &[&[u8]]) -> bool {
        let same =
            |wanted: &[String]| wanted.iter().map(String::as_bytes).zip(words).all(|(wanted, word)| wanted == *word);
        match self {
            Self::Any => true,
            Self::Exact(wanted) => wanted.len() == words.len() && same(wanted),
            Self::Initial(wanted) => wanted.len() <= words.len() && same(wanted),
            Self::Partial(wanted) => match wanted.split_last() {
                None => true,
                Some((last, others)) => {
                    same(others) && words.get(others.len()).is_some_and(|word| word.starts_with(last.as_bytes()))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(comm: &str, words: &[&str]) -> ProcessFacts {
        let command = words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
        ProcessFacts { comm: comm.into(), command }
    }

    fn pattern(program: &str, full: bool, arguments: Arguments) -> ProcessPattern {
        ProcessPattern { program: program.into(), full, arguments }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn programs_by_their_own_name_or_by_their_command() {
        let nginx = facts("nginx", &["/usr/sbin/nginx", "-g", "daemon off;"]);
        assert!(pattern("nginx", false, Arguments::Any).fits(&nginx));
        assert!(!pattern("nginx", true, Arguments::Any).fits(&nginx));
        assert!(pattern("/usr/sbin/nginx", true, Arguments::Any).fits(&nginx));
        assert!(!pattern("ngin", false, Arguments::Any).fits(&nginx));
        let long = facts("a-very-long-pro", &["a-very-long-program-name"]);
        assert!(pattern("a-very-long-program-name", false, Arguments::Any).fits(&long));
        assert!(pattern("kthreadd", false, Arguments::Any).fits(&facts("kthreadd", &[])));
    }

    #[test]
    fn arguments_exact_initial_and_partial() {
        let process = facts("p", &["p", "--one", "two", "three"]);
        for (arguments, fits) in [
            (Arguments::Exact(words(&["--one", "two", "three"])), true),
            (Arguments::Exact(words(&["--one", "two"])), false),
            (Arguments::Exact(vec![]), false),
            (Arguments::Initial(words(&["--one", "two"])), true),
            (Arguments::Initial(words(&["--one", "tw"])), false),
            (Arguments::Initial(words(&["--one", "two", "three", "four"])), false),
            (Arguments::Partial(words(&["--one", "tw"])), true),
            (Arguments::Partial(words(&["--on", "two"])), false),
            (Arguments::Partial(words(&["--one", "two", "three", "f"])), false),
        ] {
            assert_eq!(pattern("p", false, arguments.clone()).fits(&process), fits, "{arguments:?}");
        }
        assert!(pattern("p", false, Arguments::Exact(vec![])).fits(&facts("p", &["p"])));
        assert!(
            pattern("p", false, Arguments::Any).fits(&process) && !pattern("p", false, Arguments::Any).needs_command()
        );
    }
}
