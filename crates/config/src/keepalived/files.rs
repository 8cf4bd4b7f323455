//! The files that a configuration is read from: a trait, the disk, and a handful of files in memory for tests.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where files come from.
pub trait Files {
    /// The whole file, if it has at most `most` bytes.
    ///
    /// # Errors
    /// It cannot be read, or is larger.
    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>>;

    /// The names in a directory; empty if there is none such.
    fn list(&self, directory: &Path) -> Vec<String>;

    /// True if there is a file or directory.
    fn exists(&self, path: &Path) -> bool;

    /// The same name for the same file, to notice one that includes itself.
    fn identity(&self, path: &Path) -> PathBuf;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        // A device or a pipe might never end, or might wait for ever.
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {most} bytes")));
        }
        Ok(bytes)
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn identity(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }
}

/// Files in memory, by their full names.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// These files.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { files: files.into_iter().map(|(path, text)| (path.into(), text.into())).collect() }
    }
}

impl Files for Memory {
    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        match self.files.get(&self.identity(path)) {
            Some(bytes) if bytes.len() as u64 > most => Err(io::Error::from(io::ErrorKind::InvalidData)),
            Some(bytes) => Ok(bytes.clone()),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let directory = self.identity(directory);
        let name = |path: &PathBuf| {
            let inner = path.strip_prefix(&directory).ok()?;
            inner.components().next()?.as_os_str().to_str().map(str::to_owned)
        };
        let mut names: Vec<String> = self.files.keys().filter_map(name).collect();
        names.dedup();
        names
    }

    fn exists(&self, path: &Path) -> bool {
        let path = self.identity(path);
        self.files.keys().any(|file| file.starts_with(&path))
    }

    fn identity(&self, path: &Path) -> PathBuf {
        // `a/../b` is `b`: there are no links here.
        let mut clean = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => {
                    clean.pop();
                }
                std::path::Component::CurDir => {}
                part => clean.push(part),
            }
        }
        clean
    }
}
