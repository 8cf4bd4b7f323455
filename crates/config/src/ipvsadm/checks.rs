//! What may stand together on a command line: the rules of the option table, applied.

use super::parse::UsageError;
use super::table::{Class, Command, RULES, Row, TUNNEL_RULES};
use rvs_intent::TunnelKind;

/// The classes of options that were given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given(u64);

impl Given {
    /// Notes one more option.
    ///
    /// # Errors
    /// No class may be given twice.
    pub(super) fn add(&mut self, class: Class) -> Result<(), UsageError> {
        if self.has(class) {
            let name = RULES.iter().find(|(known, ..)| *known == class).map_or("", |(_, name, _)| name);
            return Err(UsageError::refused(format!("multiple '{name}' options specified")));
        }
        self.0 |= 1 << class as u32;
        Ok(())
    }

    pub(super) fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u32) != 0
    }

    pub(super) fn any(self, classes: &[Class]) -> bool {
        classes.iter().any(|class| self.has(*class))
    }
}

/// Checks the options against their command.
pub(super) fn check_command(command: Command, given: Given) -> Result<(), UsageError> {
    check(RULES, command as usize, given, &format!("'{}' command", command.name()))
}

/// Checks the tunnel options against the tunnel's type.
pub(super) fn check_tunnel(kind: TunnelKind, given: Given) -> Result<(), UsageError> {
    check(TUNNEL_RULES, kind as usize, given, &format!("'{}' tunnel type", super::tunnel::name(kind)))
}

fn check(rules: &[Row], column: usize, given: Given, of: &str) -> Result<(), UsageError> {
    let mut only: Option<&str> = None;
    for (class, name, letters) in rules {
        let problem = match (letters.as_bytes().get(column), given.has(*class)) {
            (Some(b'+'), false) => format!("You need to supply the '{name}' option for the {of}"),
            (Some(b'x'), true) => format!("Illegal '{name}' option with the {of}"),
            (Some(b'1'), true) => match only.replace(name) {
                Some(first) => format!("The option '{name}' conflicts with the '{first}' option in the {of}"),
                None => continue,
            },
            _ => continue,
        };
        return Err(UsageError::refused(problem));
    }
    Ok(())
}

/// A change prints nothing, so JSON of it is only to be had of a dry run.
pub(super) fn check_additions(command: Command, given: Given) -> Result<(), UsageError> {
    let silent = !matches!(command, Command::List | Command::Diff | Command::Drain | Command::PurgeDest);
    if silent && given.has(Class::Json) && !given.has(Class::DryRun) {
        let name = command.name();
        let text = format!("The 'json' option needs the 'dry-run' option in the '{name}' command");
        return Err(UsageError::refused(text));
    }
    Ok(())
}

/// What the rules of the table cannot say: of the views, a list of connections has one, a list of timeouts none.
pub(super) fn check_list(given: Given) -> Result<(), UsageError> {
    let special = given.any(&[Class::Connection, Class::Timeout, Class::Daemon]);
    let figures = given.any(&[Class::Stats, Class::Rate, Class::Thresholds]);
    let plain = given.any(&[Class::Timeout, Class::Daemon]);
    if special && figures || plain && given.has(Class::PersistentConn) {
        return Err(UsageError::refused("options conflicts in the list command"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::table::RULED;
    use super::*;

    /// The least that a command needs.
    fn needed(command: Command) -> Given {
        let mut given = Given::default();
        for (class, _, letters) in RULES {
            if letters.as_bytes()[command as usize] == b'+' {
                given.add(*class).unwrap();
            }
        }
        given
    }

    #[test]
    fn the_columns_are_the_commands_in_order() {
        for (column, command) in RULED.into_iter().enumerate() {
            assert_eq!(command as usize, column);
            assert!(check_command(command, needed(command)).is_ok());
        }
    }

    #[test]
    fn each_option_with_each_command_is_as_its_letter_says() {
        for command in RULED {
            for (class, name, letters) in RULES {
                let mut given = needed(command);
                let letter = letters.as_bytes()[command as usize];
                if letter != b'+' {
                    given.add(*class).unwrap();
                }
                let expected = match letter {
                    b'x' => Err(format!("Illegal '{name}' option with the '{}' command", command.name())),
                    _ => Ok(()),
                };
                assert_eq!(check_command(command, given).map_err(|error| error.text), expected);
            }
        }
    }

    #[test]
    fn what_is_needed_is_asked_for_in_order() {
        let text = |command| check_command(command, Given::default()).unwrap_err().text;
        assert_eq!(
            text(Command::AddService),
            "You need to supply the 'service-address' option for the 'add-service' command"
        );
        assert_eq!(
            text(Command::DeleteServer),
            "You need to supply the 'service-address' option for the 'delete-server' command"
        );
    }

    #[test]
    fn of_the_things_to_list_only_one() {
        let mut given = Given::default();
        given.add(Class::Timeout).unwrap();
        given.add(Class::Connection).unwrap();
        assert_eq!(
            check_command(Command::List, given).unwrap_err().text,
            "The option 'timeout' conflicts with the 'connection' option in the 'list' command"
        );
    }

    #[test]
    fn nothing_is_given_twice() {
        let mut given = Given::default();
        given.add(Class::Forward).unwrap();
        assert_eq!(given.add(Class::Forward).unwrap_err().text, "multiple 'forwarding-method' options specified");
    }
}
