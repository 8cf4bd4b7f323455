//! Writing the files that signals ask for (`/tmp/keepalived.data` and the like).
//!
//! They lie where everybody may write, so what is found at their path is never opened: a new file is written beside it and takes
//! its place. Readers see the old text or the new one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How many names beside the path are tried.
const TRIES: u32 = 16;

/// Writes `text` to `path`, for its owner only: passwords may be in it.
pub fn write_dump(path: &Path, text: &str) -> io::Result<()> {
    let (mut file, beside) = create_beside(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside); // Ours, and of no use.
    }
    written
}

fn create_beside(path: &Path) -> io::Result<(fs::File, PathBuf)> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file's name is missing"))?;
    let mut result = Err(io::ErrorKind::AlreadyExists.into());
    for number in 0..TRIES {
        let mut new = std::ffi::OsString::from(".");
        new.push(name);
        new.push(format!(".{}.{number}", std::process::id()));
        let beside = path.with_file_name(new);
        result = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map(|file| (file, beside));
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            _ => break,
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_put_in_its_place_is_replaced_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, precious) = (folder.path().join("keepalived.data"), folder.path().join("precious"));
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, &path).unwrap();
        write_dump(&path, "one").unwrap();
        write_dump(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(write_dump(folder.path(), "x").is_err(), "a folder is not replaced");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn names_put_in_the_way_do_not_stop_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        symlink("/no/such", folder.path().join(format!(".d.{}.0", std::process::id()))).unwrap();
        write_dump(&path, "text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
