//! `/etc/default/ipvsadm`: what Debian's ipvsadm does when the machine starts, in the variables of its start script.
//!
//! The file is read as the shell would read assignments of plain words; what only a shell could evaluate is refused, because
//! taking it for something else would be worse.

/// What to do at start and stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Restore rules, and save them: `AUTO="true"`.
    pub auto: bool,
    /// Sides of the connection synchronisation, `master` and `backup`: `DAEMON`.
    pub daemons: Vec<&'static str>,
    /// Its interface: `IFACE`.
    pub interface: String,
    /// Its number: `SYNCID`.
    pub sync_id: String,
}

impl Boot {
    /// Where there is no such file: rules are restored and saved.
    pub fn without_file() -> Self {
        Self { auto: true, ..Self::empty() }
    }

    /// What an empty file says.
    fn empty() -> Self {
        Self { auto: false, daemons: Vec::new(), interface: "eth0".into(), sync_id: "0".into() }
    }
}

/// A line that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct BootError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
}

/// Reads the file. Other variables and lines that assign nothing are skipped.
///
/// # Errors
/// A value of ours that is not a plain word, and a `DAEMON` that there is not.
pub fn parse(text: &str) -> Result<Boot, BootError> {
    let mut boot = Boot::empty();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let assignment = line.trim_start().trim_start_matches("export ");
        let Some((name, rest)) = assignment.split_once('=') else { continue };
        if !["AUTO", "DAEMON", "IFACE", "SYNCID"].contains(&name) {
            continue;
        }
        let value = word(rest).ok_or_else(|| BootError {
            line: line_number,
            text: format!("{name} must be a plain word, in quotes or not"),
        })?;
        match name {
            "AUTO" => boot.auto = value == "true",
            "DAEMON" => boot.daemons = daemons(&value).map_err(|text| BootError { line: line_number, text })?,
            "IFACE" => boot.interface = value,
            _ => boot.sync_id = value,
        }
    }
    Ok(boot)
}

fn daemons(value: &str) -> Result<Vec<&'static str>, String> {
    match value {
        "" | "none" => Ok(Vec::new()),
        "master" => Ok(vec!["master"]),
        "backup" => Ok(vec!["backup"]),
        "both" => Ok(vec!["master", "backup"]),
        other => Err(format!("DAEMON is `{other}', but must be none, master, backup or both")),
    }
}

/// The value of an assignment: one word with its quotes taken off; a comment may follow.
fn word(rest: &str) -> Option<String> {
    let (value, after) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest[1..].split_once(quote)?,
        _ => match rest.find(char::is_whitespace) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        },
    };
    let after_is_empty = after.is_empty() || after.starts_with(char::is_whitespace);
    let comment = after.trim_start();
    let plain = |c: char| !c.is_control() && !"$`\\;&|<>(){}*?'\"".contains(c);
    let fits = after_is_empty && (comment.is_empty() || comment.starts_with('#')) && value.chars().all(plain);
    fits.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_debian_installs() {
        let text = "# ipvsadm\n\n# if you want to start ipvsadm on boot set this to true\nAUTO=\"false\"\n\n\
                    DAEMON=\"none\"\n\nIFACE=\"eth0\"\t\n\n# SYNCID=\"0\"\n";
        assert_eq!(parse(text), Ok(Boot { auto: false, ..Boot::without_file() }));
    }

    #[test]
    fn all_variables_in_all_quotes() {
        let boot = parse("AUTO=true # at last\n  DAEMON='both'\nexport IFACE=bond0.7\nSYNCID=\"12\"\nOTHER=$(date)\n")
            .unwrap();
        let both = vec!["master", "backup"];
        assert_eq!(boot, Boot { auto: true, daemons: both, interface: "bond0.7".into(), sync_id: "12".into() });
        assert!(!parse("AUTO=\"TRUE\"").unwrap().auto, "as for the script, only `true' is");
        assert_eq!(parse("DAEMON=\n").unwrap().daemons, [""; 0]);
    }

    #[test]
    fn what_only_a_shell_could_evaluate_is_refused() {
        for line in ["AUTO=$X", "IFACE=`hostname`", "SYNCID=\"1", "AUTO=true;reboot", "IFACE=\"a\"b", "AUTO=true false"]
        {
            assert_eq!(parse(&format!("\n{line}\n")).unwrap_err().line, 2, "{line}");
        }
        let error = parse("DAEMON=slave").unwrap_err().to_string();
        assert_eq!(error, "line 1: DAEMON is `slave', but must be none, master, backup or both");
    }
}
