//! `cargo xtask install`: everything that belongs to RVS, where a distribution wants it; also for packagers, below a
//! directory of theirs (`--destdir`).
//!
//! One list of files: what `cargo xtask dist` lays out in target/dist is the same tree.

use crate::build;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Names that the one binary is called by, itself first.
pub(crate) const TOOLS: [&str; 6] = ["rvs", "ipvsadm", "ipvsadm-save", "ipvsadm-restore", "genhash", "keepalived"];
/// Units, below packaging/systemd.
const UNITS: [&str; 4] = ["ipvsadm.service", "keepalived.service", "rvs-metrics.service", "rvs-metrics.timer"];
/// Documents, below the project's root.
const DOCS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];
/// What the units have in the place of the directory of programs.
const SBIN_MARK: &str = "@sbindir@";

/// Where things go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// The prefix as installed programs see it, absolute.
    prefix: PathBuf,
    /// What stands before it while installing; empty for the machine itself.
    destdir: PathBuf,
}

impl Target {
    /// A tree at `dir` that is used where it lies.
    pub(crate) fn tree(dir: PathBuf) -> Self {
        Self { prefix: dir, destdir: PathBuf::new() }
    }

    /// Reads `--prefix DIR`, `--destdir DIR`, each also with `=`, and `--no-build`; the target, and whether to build.
    pub(crate) fn parse(args: &[String]) -> Result<(Self, bool)> {
        let (mut target, mut build) = (Self::tree("/usr/local".into()), true);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
            let place = match name {
                "--prefix" => &mut target.prefix,
                "--destdir" => &mut target.destdir,
                "--no-build" if value.is_none() => {
                    build = false;
                    continue;
                }
                _ => bail!("install: unknown argument `{arg}`; see `cargo xtask help`"),
            };
            let value = value.or_else(|| args.next().map(String::as_str)).filter(|value| !value.is_empty());
            *place = PathBuf::from(value.with_context(|| format!("install: {name} needs a directory"))?);
        }
        let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        ensure!(
            target.prefix.is_absolute() && target.prefix.components().all(is_plain),
            "install: --prefix {}: must be an absolute path without `..`",
            target.prefix.display()
        );
        Ok((target, build))
    }

    /// Where a file goes that is named relative to the prefix.
    fn at(&self, file: impl AsRef<Path>) -> PathBuf {
        if self.destdir.as_os_str().is_empty() {
            return self.prefix.join(file);
        }
        self.destdir.join(self.prefix.strip_prefix("/").unwrap_or(&self.prefix)).join(file)
    }

    /// Debian's zsh looks for what packages bring in a directory of its own.
    fn zsh(&self) -> &'static str {
        let debian = self.prefix == Path::new("/usr") && Path::new("/etc/debian_version").exists();
        if debian { "share/zsh/vendor-completions" } else { "share/zsh/site-functions" }
    }
}

/// `cargo xtask install`.
pub(crate) fn install(ws: &Workspace, args: &[String]) -> Result<()> {
    let (target, build) = Target::parse(args)?;
    if build {
        build::dist(ws)?;
    }
    let binary = ws.sbin().join("rvs");
    ensure!(binary.exists(), "there is no {}: run `cargo xtask dist`", ws.show(&binary));
    let files = lay_out(ws, &binary, &target)?;
    for file in DOCS {
        text(&target.at("share/doc/rvs").join(file), &fs::read_to_string(ws.root.join(file))?)?;
    }
    pages(&ws.root.join("docs"), &target.at("share/doc/rvs/docs"))?;
    println!("{files} files and the documentation below {}", target.at("").display());
    Ok(())
}

/// Copies the pages of a directory, and of those in it (the plots).
fn pages(from: &Path, to: &Path) -> Result<()> {
    for page in fs::read_dir(from)? {
        let page = page?.path();
        let target = to.join(page.file_name().context("a page has a name")?);
        if page.is_dir() {
            pages(&page, &target)?;
        } else {
            text(&target, &fs::read_to_string(&page)?)?;
        }
    }
    Ok(())
}

/// Puts programs, object, units, manual pages and completions in their places; how many files.
pub(crate) fn lay_out(ws: &Workspace, binary: &Path, target: &Target) -> Result<usize> {
    let sbin = target.at("sbin");
    let mut files = TOOLS.len() + 1;
    build::replace(binary, &sbin.join(TOOLS[0]))?;
    fs::set_permissions(sbin.join(TOOLS[0]), Permissions::from_mode(0o755))?;
    for name in &TOOLS[1..] {
        build::link(TOOLS[0], &sbin.join(name))?;
    }
    // The binary has it inside; this copy is for who wants to look at it.
    let object = target.at("lib/rvs/rvs.bpf.o");
    build::replace(&ws.object(), &object)?;
    fs::set_permissions(&object, Permissions::from_mode(0o644))?;
    let seen = target.prefix.join("sbin");
    for unit in UNITS {
        let source = ws.root.join("packaging/systemd").join(unit);
        let body = fs::read_to_string(&source).with_context(|| format!("reading {}", ws.show(&source)))?;
        text(&target.at("lib/systemd/system").join(unit), &body.replace(SBIN_MARK, &seen.to_string_lossy()))?;
        files += 1;
    }
    for tool in TOOLS {
        for (document, file) in [
            // What anybody may call is in the first part of the manual.
            (
                "man",
                if tool == "genhash" { "share/man/man1/genhash.1".into() } else { format!("share/man/man8/{tool}.8") },
            ),
            ("bash-completion", format!("share/bash-completion/completions/{tool}")),
            ("zsh-completion", format!("{}/_{tool}", target.zsh())),
            ("fish-completion", format!("share/fish/vendor_completions.d/{tool}.fish")),
        ] {
            text(&target.at(file), &made(binary, &["generate", document, tool])?)?;
            files += 1;
        }
    }
    text(&target.at("share/man/man5/keepalived.conf.5"), &made(binary, &["config", "man"])?)?;
    Ok(files + 1)
}

/// A document that the binary makes.
fn made(binary: &Path, args: &[&str]) -> Result<String> {
    let made = Command::new(binary).args(args).output().context("making documents")?;
    let complaint = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "rvs {}: {complaint}", args.join(" "));
    String::from_utf8(made.stdout).context("a document is text")
}

/// Writes a file that everybody may read.
fn text(path: &Path, body: &str) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    fs::create_dir_all(path.parent().context("a file lies in a directory")?).with_context(writing)?;
    fs::write(path, body).with_context(writing)?;
    fs::set_permissions(path, Permissions::from_mode(0o644)).with_context(writing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Target, bool)> {
        Target::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn prefix_and_destdir_are_kept_apart() {
        let (target, build) = parsed("--prefix=/usr --destdir /tmp/x --no-build").unwrap();
        assert_eq!((target.at("sbin/rvs"), build), (PathBuf::from("/tmp/x/usr/sbin/rvs"), false));
        let (target, build) = parsed("").unwrap();
        assert_eq!((target.at("sbin/rvs"), build), (PathBuf::from("/usr/local/sbin/rvs"), true));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--prefix usr", "--prefix", "--prefix=/usr/..", "--destdir=", "--dest /x", "--no-build=1", "/usr"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
