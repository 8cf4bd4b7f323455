//! An initial RAM file system, made of files of this machine: the `newc` format of cpio, and what programs need to run.

use crate::run::{output, which};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is at a path.
enum Node {
    Dir,
    File { mode: u32, data: Vec<u8> },
    Link(String),
}

/// A file system under construction. Paths are absolute, without the leading slash.
#[derive(Default)]
pub(crate) struct Initramfs {
    nodes: BTreeMap<String, Node>,
}

impl Initramfs {
    /// Adds a directory and those above it.
    pub(crate) fn dir(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.dir(parent);
        }
        if !path.is_empty() {
            self.nodes.entry(path.to_owned()).or_insert(Node::Dir);
        }
    }

    /// Adds a file and the directories above it.
    pub(crate) fn file(&mut self, path: &str, mode: u32, data: Vec<u8>) {
        self.put(path, Node::File { mode, data });
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.put(path, Node::Link(to.to_owned()));
    }

    /// Adds an executable file of this machine at `path`, with all shared libraries that it names, where it looks for them.
    pub(crate) fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        self.file(path, 0o755, fs::read(from).with_context(|| format!("reading {}", from.display()))?);
        // ldd fails on a static program; that means: no libraries.
        for library in libraries(&output(Command::new("ldd").arg(from)).unwrap_or_default()) {
            self.file(library, 0o755, fs::read(library).with_context(|| format!("reading {library}"))?);
        }
        Ok(())
    }

    /// Adds a program of this machine, found in `PATH` by the last part of `path`, at `path`.
    pub(crate) fn command(&mut self, path: &str) -> Result<()> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let from = which(name).with_context(|| format!("`{name}` is missing; run `cargo xtask setup`"))?;
        self.program(path, &from)
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.dir(parent);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// The archive.
    pub(crate) fn cpio(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            let (mode, data): (u32, &[u8]) = match node {
                Node::Dir => (0o040_755, &[]),
                Node::File { mode, data } => (0o100_000 | mode, data),
                Node::Link(to) => (0o120_777, to.as_bytes()),
            };
            entry(&mut out, number, path, mode, data);
        }
        entry(&mut out, 0, "TRAILER!!!", 0, &[]);
        out
    }
}

/// One entry: a header of hexadecimal numbers, the name, the data; the last two filled up to a multiple of four bytes.
fn entry(out: &mut Vec<u8>, number: usize, name: &str, mode: u32, data: &[u8]) {
    let fields = [number + 1, mode as usize, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The absolute paths in the output of ldd.
fn libraries(ldd: &str) -> impl Iterator<Item = &str> {
    ldd.split_whitespace().filter(|word| word.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_has_parents_first_and_ends_with_the_trailer() {
        let mut fs = Initramfs::default();
        fs.file("/a/b/c", 0o644, b"xyz".to_vec());
        fs.link("a/l", "b/c");
        let cpio = fs.cpio();
        assert_eq!(cpio.len() % 4, 0);
        let text = String::from_utf8_lossy(&cpio);
        let at = |name: &str| text.find(name).unwrap();
        assert!(at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/c\0") && at("a/l\0") < at("TRAILER!!!\0"));
        assert!(text.starts_with("07070100000001000041ed"));
    }

    #[test]
    fn libraries_are_the_paths_that_ldd_prints() {
        let ldd =
            "\tlinux-vdso.so.1 (0x7f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        assert_eq!(libraries(ldd).collect::<Vec<_>>(), ["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
