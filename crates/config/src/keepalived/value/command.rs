//! Programs to run, and on whose behalf.

use crate::keepalived::field::{Args, Bad, Words};

/// A user and perhaps a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The user's name.
    pub user: String,
    /// The group's name; the user's own group if none.
    pub group: Option<String>,
}

impl Words for User {
    fn syntax() -> String {
        "USER [GROUP]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let user = args.need("a user")?.text.clone();
        Ok(Self { user, group: args.word().map(|word| word.text.clone()) })
    }

    fn words(&self) -> Vec<String> {
        std::iter::once(self.user.clone()).chain(self.group.clone()).collect()
    }
}

/// A program with its parameters, and on whose behalf it is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Command {
    /// The program and its parameters as written, in one word.
    pub line: String,
    /// On whose behalf; `script_user` if none.
    pub user: Option<User>,
}

impl Command {
    /// The program and its parameters: split at white space, except within quotes.
    pub fn argv(&self) -> Vec<String> {
        let (mut argv, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in self.line.chars() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, c) if c.is_whitespace() => argv.extend(word.take()),
                (_, c) => word.get_or_insert_default().push(c),
            }
        }
        argv.extend(word);
        argv
    }
}

impl Words for Command {
    fn syntax() -> String {
        "COMMAND [USER [GROUP]]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let word = args.need("a command")?;
        if word.text.trim().is_empty() {
            return Err(Bad::new(word.span, "the command is empty"));
        }
        let user = if args.is_empty() { None } else { Some(User::parse(args)?) };
        Ok(Self { line: word.text.clone(), user })
    }

    fn words(&self) -> Vec<String> {
        std::iter::once(self.line.clone()).chain(self.user.iter().flat_map(Words::words)).collect()
    }
}

/// A FIFO and on whose behalf it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fifo {
    /// Where it is.
    pub path: String,
    /// Whose it is.
    pub user: Option<User>,
}

impl Words for Fifo {
    fn syntax() -> String {
        "PATH [USER [GROUP]]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let path = args.need("a path")?.text.clone();
        let user = if args.is_empty() { None } else { Some(User::parse(args)?) };
        Ok(Self { path, user })
    }

    fn words(&self) -> Vec<String> {
        std::iter::once(self.path.clone()).chain(self.user.iter().flat_map(Words::words)).collect()
    }
}

/// `notify_deleted`: alone it only changes what is told, with a command it runs that as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deleted(pub Option<Command>);

impl Words for Deleted {
    fn syntax() -> String {
        format!("[{}]", Command::syntax())
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        if args.is_empty() { Ok(Self(None)) } else { Command::parse(args).map(|command| Self(Some(command))) }
    }

    fn words(&self) -> Vec<String> {
        self.0.iter().flat_map(Words::words).collect()
    }
}

/// The command line of a process to watch for: each word is one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process(pub Vec<String>);

impl Words for Process {
    fn syntax() -> String {
        "PROGRAM [PARAMETER …]".into()
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, Bad> {
        let first = args.need("a program")?.text.clone();
        let rest = std::iter::from_fn(|| args.word()).map(|word| word.text.clone());
        Ok(Self(std::iter::once(first).chain(rest).collect()))
    }

    fn words(&self) -> Vec<String> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_split_outside_quotes() {
        let command = Command { line: "/bin/x a 'b c' \"d\"e ''".into(), user: None };
        assert_eq!(command.argv(), ["/bin/x", "a", "b c", "de", ""]);
    }
}
