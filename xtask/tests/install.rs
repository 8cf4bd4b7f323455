//! `cargo xtask install` below a directory of its own, looked at with the distribution's tools: what is where, whether the
//! manual pages and the units are well formed. Takes what `cargo xtask dist` built.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An installation that goes with the test.
struct Installed(PathBuf);

impl Installed {
    fn new(name: &str, prefix: impl FnOnce(&Path) -> (PathBuf, Option<PathBuf>)) -> Self {
        let dir = std::env::temp_dir().join(format!("rvs-install-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let installed = Self(dir);
        let (prefix, destdir) = prefix(&installed.0);
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["install", "--no-build", "--prefix"]).arg(prefix);
        if let Some(destdir) = destdir {
            command.arg("--destdir").arg(destdir);
        }
        succeeded(&command.output().unwrap());
        installed
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    out + &err
}

const TOOLS: [&str; 6] = ["rvs", "ipvsadm", "ipvsadm-save", "ipvsadm-restore", "genhash", "keepalived"];

/// Where its manual page is.
fn page(tool: &str) -> String {
    let part = if tool == "genhash" { 1 } else { 8 };
    format!("share/man/man{part}/{tool}.{part}")
}

#[test]
fn a_packager_finds_everything_below_the_destdir() {
    let installed = Installed::new("destdir", |dir| ("/usr".into(), Some(dir.join("package"))));
    let usr = installed.0.join("package/usr");
    let mode =
        |path: &str| fs::metadata(usr.join(path)).unwrap_or_else(|_| panic!("{path}")).permissions().mode() & 0o777;
    let zsh = if Path::new("/etc/debian_version").exists() { "vendor-completions" } else { "site-functions" };
    for tool in TOOLS {
        assert_eq!(mode(&format!("sbin/{tool}")), 0o755);
        for file in [
            page(tool),
            format!("share/bash-completion/completions/{tool}"),
            format!("share/zsh/{zsh}/_{tool}"),
            format!("share/fish/vendor_completions.d/{tool}.fish"),
        ] {
            assert_eq!(mode(&file), 0o644, "{file}");
        }
    }
    assert_eq!(fs::read_link(usr.join("sbin/ipvsadm")).unwrap(), Path::new("rvs"));
    assert_eq!(fs::read(usr.join("lib/rvs/rvs.bpf.o")).unwrap()[..4], *b"\x7fELF");
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "docs/operating.md", "docs/performance/services.svg"] {
        assert_eq!(mode(&format!("share/doc/rvs/{file}")), 0o644);
    }
    // Where the files lie while they are packed is nobody's business afterwards.
    for unit in ["ipvsadm.service", "rvs-metrics.service"] {
        let text = fs::read_to_string(usr.join("lib/systemd/system").join(unit)).unwrap();
        assert!(text.contains("\nExecStart=/usr/sbin/rvs "), "{text}");
        assert!(!text.contains("sbindir") && !text.contains("package"), "{text}");
    }
    let version = Command::new(usr.join("sbin/ipvsadm")).arg("-v").output().unwrap();
    assert!(succeeded(&version).starts_with("ipvsadm v1.31 "));
}

#[test]
fn manual_pages_have_no_flaw() {
    let installed = Installed::new("man", |dir| (dir.to_path_buf(), None));
    for tool in TOOLS {
        let page = installed.0.join(page(tool));
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(&page);
        // Neither fonts nor the width of a terminal.
        man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100").env("GROFF_NO_SGR", "1").env("TERM", "dumb");
        let output = man.output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{tool}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            if (tool, heading) == ("genhash", "FILES") {
                continue;
            }
            assert!(text.lines().any(|line| line == heading), "{tool}: {heading}: {text}");
        }
        let lint = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).output().unwrap();
        assert_eq!(succeeded(&lint), "", "{tool}");
    }
}

#[test]
fn the_page_of_the_configuration_has_no_flaw() {
    let installed = Installed::new("man5", |dir| (dir.to_path_buf(), None));
    let page = installed.0.join("share/man/man5/keepalived.conf.5");
    let lint = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).output().unwrap();
    assert_eq!(succeeded(&lint), "");
}

#[test]
fn units_are_well_formed_and_confined() {
    let installed = Installed::new("units", |dir| (dir.to_path_buf(), None));
    let system = installed.0.join("lib/systemd/system");
    let analyze = |args: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(args).env("MANPATH", installed.0.join("share/man")).env("SYSTEMD_PAGER", "");
        // Ours first, then the distribution's, which they refer to.
        command.env("SYSTEMD_UNIT_PATH", format!("{}:", system.display())).current_dir(&system);
        succeeded(&command.output().unwrap())
    };
    for unit in ["ipvsadm.service", "keepalived.service", "rvs-metrics.service", "rvs-metrics.timer"] {
        let path = system.join(unit);
        assert_eq!(analyze(&["verify", path.to_str().unwrap()]), "", "{unit}");
    }
    for unit in ["ipvsadm.service", "rvs-metrics.service"] {
        // In tenths; without any confinement it is 96. Fails when the exposure is above the threshold.
        let text = analyze(&["security", "--offline=true", "--threshold=35", system.join(unit).to_str().unwrap()]);
        assert!(text.contains("Overall exposure level"), "{text}");
    }
}
