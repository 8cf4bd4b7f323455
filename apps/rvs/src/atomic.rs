//! Files that are replaced in one step: a reader sees the old one or the new one, and so does who comes after a crash.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Puts what `print` writes in the place of the file at `path`. A new file gets `mode`, an old one keeps its own; a link is
/// followed. When anything fails the old file is as it was.
pub(crate) fn replace<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    print: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mode = fs::metadata(&path).map_or(mode, |old| old.permissions().mode() & 0o7777);
    let temporary = temporary(&path);
    // What a process with our number left behind.
    let _ = fs::remove_file(&temporary);
    let done = fill(&temporary, mode, print).and_then(|()| Ok(fs::rename(&temporary, &path)?));
    if done.is_err() {
        // The error that stopped us is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    done
}

fn fill<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    print: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = BufWriter::new(file);
    print(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file.sync_all()?)
}

/// A name beside the file that nobody who looks for files of its kind takes for one.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("rvs-atomic-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write(text: &'static str) -> impl FnOnce(&mut dyn Write) -> io::Result<()> {
        move |out| out.write_all(text.as_bytes())
    }

    #[test]
    fn a_new_file_has_the_mode_and_an_old_one_keeps_its_own() {
        let dir = Scratch::new("mode");
        let path = dir.0.join("file");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        replace(&path, 0o640, write("one")).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("one", 0o640));
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        replace(&path, 0o640, write("two")).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode()), ("two", 0o604));
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let dir = Scratch::new("failure");
        let path = dir.0.join("file");
        fs::write(&path, "old").unwrap();
        let failed = replace(&path, 0o600, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = Scratch::new("link");
        let (path, link) = (dir.0.join("file"), dir.0.join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, 0o600, write("new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
