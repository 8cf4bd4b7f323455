//! The personality `keepalived`: checks and prints configurations, and runs as the daemon.
//!
//! What an option means is decided here, in one place: `mode` says what a command line asks for, and each mode is a function.

use rvs_config::keepalived::options::{Id, Settings, help, parse};
use rvs_config::keepalived::{Disk, Loaded, load};
use rvs_daemon::COMPATIBLE;
use std::ffi::OsString;
use std::io::Write;

/// Nothing to report.
const GOOD: i32 = 0;
/// The command line makes no sense, or something cannot be written.
const USAGE: i32 = 1;
/// There is something to report of the configuration.
const REPORTED: i32 = 5;

/// What a command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Help,
    Version,
    Signum,
    Test,
    Dump,
    Genhash,
    Daemon,
}

fn mode(settings: &Settings) -> Mode {
    let modes = [
        (Id::Help, Mode::Help),
        (Id::Version, Mode::Version),
        (Id::Signum, Mode::Signum),
        (Id::DumpConfig, Mode::Dump),
        (Id::ConfigTest, Mode::Test),
        (Id::Genhash, Mode::Genhash),
    ];
    modes.into_iter().find(|(id, _)| settings.has(*id)).map_or(Mode::Daemon, |(_, mode)| mode)
}

/// `keepalived`; the exit status.
pub fn run(args: &[OsString], out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    if args.first().is_some_and(|first| first == "-T" || first == "--genhash") {
        return crate::genhash::run("keepalived --genhash", &args[1..], out, err);
    }
    // A word that is not text is none of the options either, and no file that can be named.
    let words = args.iter().map(|arg| arg.to_str().unwrap_or("?"));
    let settings = match parse(words) {
        Ok(settings) => settings,
        Err(error) => return say(err, &format!("{error}\n"), USAGE),
    };
    match mode(&settings) {
        Mode::Help => say(err, &help(), GOOD),
        Mode::Version => {
            let text = format!("Keepalived v{COMPATIBLE} (RVS {})\n", env!("CARGO_PKG_VERSION"));
            say(err, &text, GOOD)
        }
        Mode::Signum => signum(settings.argument(Id::Signum).unwrap_or_default(), out, err),
        Mode::Test => test(&settings, err),
        Mode::Dump => dump(&settings, out, err),
        Mode::Genhash => {
            let warned = say(err, "Warning -- `-T` not used as first option, previous options ignored\n", GOOD);
            let after = args.iter().position(|arg| arg == "-T" || arg == "--genhash").map_or(args.len(), |at| at + 1);
            warned.max(crate::genhash::run("keepalived --genhash", &args[after..], out, err))
        }
        Mode::Daemon => {
            let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
            rvs_daemon::run::run(&settings, &words, err)
        }
    }
}

fn say(to: &mut dyn Write, text: &str, status: i32) -> i32 {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => USAGE,
        _ => status,
    }
}

/// The numbers of signals by what they are for; those of real time as the C library counts them.
fn signum(name: &str, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let number = match name {
        "STOP" => 15,
        "RELOAD" => 1,
        "DATA" => 10,
        "STATS" => 12,
        "STATS_CLEAR" => 63,
        "JSON" => 36,
        other => return say(err, &format!("Unknown sigfunc {other}\n"), USAGE),
    };
    say(out, &format!("{number}\n"), GOOD)
}

fn read(settings: &Settings) -> Loaded {
    load(&settings.file(), &Disk, &settings.environment())
}

fn verdict(loaded: &Loaded) -> i32 {
    if loaded.good() { GOOD } else { REPORTED }
}

fn test(settings: &Settings, err: &mut dyn Write) -> i32 {
    let loaded = read(settings);
    let text = loaded.render();
    match settings.argument(Id::ConfigTest) {
        None => say(err, &text, verdict(&loaded)),
        Some(file) => match std::fs::write(file, text) {
            Ok(()) => verdict(&loaded),
            Err(error) => say(err, &format!("cannot write {file}: {error}\n"), USAGE),
        },
    }
}

fn dump(settings: &Settings, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let loaded = read(settings);
    let told = say(err, &loaded.render(), verdict(&loaded));
    if !loaded.found {
        return told;
    }
    match say(out, &loaded.config.print(), GOOD) {
        GOOD => told,
        failed => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &[&str]) -> (i32, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args: Vec<OsString> = line.iter().map(OsString::from).collect();
        let status = run(&args, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status, text(out), text(err))
    }

    /// A file that goes away with the test.
    struct File(std::path::PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rvs-{name}-{}", std::process::id()));
            std::fs::write(&path, text).expect("writing a file");
            Self(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().expect("text")
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_test_ends_with_the_verdict() {
        let good = File::new("good", "vrrp_script a {\n script /bin/true\n}\n");
        assert_eq!(call(&["-t", "-f", good.path()]), (GOOD, String::new(), String::new()));
        let bad = File::new("bad", "vrrp_scrip a {\n}\n");
        let (status, out, err) = call(&["--config-t", "--use-file", bad.path()]);
        assert_eq!((status, out.as_str()), (REPORTED, ""));
        assert!(err.contains("Line 1) Unknown keyword 'vrrp_scrip'\n"), "{err}");
        assert!(err.contains("did you mean `vrrp_script`?"), "{err}");
        let log = File::new("log", "");
        assert_eq!(call(&["-f", bad.path(), &format!("-t{}", log.path())]).0, REPORTED);
        assert_eq!(std::fs::read_to_string(&log.0).expect("a log"), err);
        let (status, _, err) = call(&["-t", "-f", "/nonexistent"]);
        assert_eq!(status, REPORTED);
        assert!(err.starts_with("Config files missing '/nonexistent'.\n"), "{err}");
    }

    #[test]
    fn the_dump_reads_back_as_itself() {
        let file = File::new("dump", "$A=5\nvrrp_script a { script \"/bin/x ${A}\" }\n");
        let (status, out, _) = call(&["--dump-config", "-f", file.path()]);
        assert_eq!((status, out.as_str()), (GOOD, "vrrp_script a {\n    script \"/bin/x 5\"\n}\n"));
        let again = File::new("again", &out);
        assert_eq!(call(&["--dump-config", "-f", again.path()]).1, out);
    }

    #[test]
    fn recorded_command_lines() {
        for (line, status, out, err) in [
            ("--signum=STOP", 0, "15\n", ""),
            ("--signum=RELOAD", 0, "1\n", ""),
            ("--signum=DATA", 0, "10\n", ""),
            ("--signum=STATS", 0, "12\n", ""),
            ("--signum=STATS_CLEAR", 0, "63\n", ""),
            ("--signum=JSON", 0, "36\n", ""),
            ("--signum=TDATA", 1, "", "Unknown sigfunc TDATA\n"),
            ("--signum=nonesuch", 1, "", "Unknown sigfunc nonesuch\n"),
            ("--signum=", 1, "", "Missing parameter for option --signum\n"),
            ("--nosuch", 1, "", "Unknown option --nosuch\n"),
        ] {
            assert_eq!(call(&[line]), (status, out.to_owned(), err.to_owned()), "{line}");
        }
        assert!(call(&["-v"]).2.starts_with("Keepalived v2.2.7 ("));
        assert!(call(&["--help"]).2.starts_with("Usage: keepalived [OPTION...]\n"));
        assert_eq!(call(&["-T"]).0, USAGE);
        let (status, _, err) = call(&["-n", "-f", "/nonexistent"]);
        assert_eq!((status, err.as_str()), (6, "keepalived: Unable to find configuration file /nonexistent\n"));
    }
}
