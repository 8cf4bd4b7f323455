//! Looking up what [`super::security`] judges: the files on the way to a script, and users and groups by name.

use super::security::{Complaint, Kind, RunAs, Step, judge};
use nix::unistd::{Group, User};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// Where bare names are looked for, as `confstr(_CS_PATH)` and `/usr/sbin` have it.
const SEARCH: [&str; 4] = ["/bin", "/usr/bin", "/sbin", "/usr/sbin"];
/// The user that scripts run as when nothing is said and there is one of this name.
pub const DEFAULT_USER: &str = "keepalived_script";

/// Why a user cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("unable to resolve script username '{0}'")]
    NoUser(String),
    /// There is no such group.
    #[error("unable to resolve script group name '{0}'")]
    NoGroup(String),
}

/// The user and group of these names. Without a group it is the user's own.
pub fn run_as(user: &str, group: Option<&str>) -> Result<RunAs, UserError> {
    let found = User::from_name(user).ok().flatten();
    let found = found.ok_or_else(|| UserError::NoUser(user.to_owned()))?;
    let gid = match group {
        None => found.gid,
        Some(group) => {
            let found = Group::from_name(group).ok().flatten();
            found.ok_or_else(|| UserError::NoGroup(group.to_owned()))?.gid
        }
    };
    Ok(RunAs { uid: found.uid.as_raw(), gid: gid.as_raw() })
}

/// Whom scripts run as when nothing is said: [`DEFAULT_USER`], else root. `false`: there is no such user.
pub fn default_user() -> (RunAs, bool) {
    run_as(DEFAULT_USER, None).map_or((RunAs { uid: 0, gid: 0 }, false), |by| (by, true))
}

/// The supplementary groups of a user (`set_supplementary_groups`); none when it has no name.
pub fn supplementary_groups(by: RunAs) -> Vec<u32> {
    let name = User::from_uid(by.uid.into()).ok().flatten().and_then(|user| CString::new(user.name).ok());
    let groups = name.and_then(|name| nix::unistd::getgrouplist(&name, by.gid.into()).ok());
    groups.unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw).collect()
}

/// Finds a script and judges it: the path by which it was named, and, where links lead elsewhere, the real one. Gives the path to
/// run.
pub fn check(name: &str, by: RunAs) -> Result<PathBuf, Complaint> {
    let missing = || Complaint::NotFound { path: name.to_owned() };
    let path = if name.contains('/') {
        std::path::absolute(name).map_err(|_| missing())?
    } else {
        SEARCH.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file()).ok_or_else(missing)?
    };
    let real = fs::canonicalize(&path).map_err(|_| missing())?;
    let real_way = way(&real)?;
    judge(&real_way, by)?;
    if real != path {
        // The links must be as safe as what they lead to; the file at the end is the same.
        let mut named = way(&path)?;
        named.pop();
        named.extend(real_way.last().cloned());
        judge(&named, by)?;
    }
    Ok(path)
}

fn way(path: &Path) -> Result<Vec<Step>, Complaint> {
    let mut so_far = PathBuf::new();
    let mut steps = Vec::new();
    for component in path.components() {
        so_far.push(component);
        if component == Component::ParentDir {
            continue; // Where it leads to is on the real path.
        }
        let shown = so_far.display().to_string();
        let facts = fs::symlink_metadata(&so_far).map_err(|_| Complaint::NotFound { path: shown.clone() })?;
        let kind = match facts.file_type() {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_file() => Kind::File,
            kind if kind.is_fifo() || kind.is_socket() => Kind::Other,
            _ => Kind::Other,
        };
        steps.push(Step { path: shown, kind, uid: facts.uid(), gid: facts.gid(), mode: facts.mode() & 0o7777 });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::is_root;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    const ROOT: RunAs = RunAs { uid: 0, gid: 0 };

    #[test]
    fn real_files_are_judged_along_their_way() {
        if !is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap(); // 0700, below a sticky folder.
        let script = folder.path().join("s.sh");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let name = script.to_str().unwrap();
        assert!(matches!(check(name, ROOT), Err(Complaint::NotExecutable { .. })));
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(check(name, ROOT).unwrap(), script);
        let link = folder.path().join("link");
        symlink(&script, &link).unwrap();
        assert_eq!(check(link.to_str().unwrap(), ROOT).unwrap(), link);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o757)).unwrap();
        let complaint = check(name, ROOT).unwrap_err();
        assert_eq!(complaint, Complaint::Unsafe { path: name.into() });
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        chown(folder.path(), Some(65534), None).unwrap();
        assert!(matches!(check(link.to_str().unwrap(), ROOT), Err(Complaint::Unsafe { .. })));
        assert!(matches!(check("/no/such", ROOT), Err(Complaint::NotFound { .. })));
        assert!(matches!(check(folder.path().to_str().unwrap(), ROOT), Err(Complaint::WrongType { .. })));
    }

    #[test]
    fn bare_names_are_looked_for_and_users_resolved() {
        assert!(check("true", RunAs { uid: 65534, gid: 65534 }).unwrap().ends_with("true"));
        assert!(check("no-such-program-anywhere", ROOT).is_err());
        assert_eq!(run_as("root", Some("root")), Ok(ROOT));
        assert_eq!(run_as("nosuchuser", None), Err(UserError::NoUser("nosuchuser".into())));
        assert_eq!(run_as("root", Some("nosuchgroup")), Err(UserError::NoGroup("nosuchgroup".into())));
        assert!(supplementary_groups(ROOT).contains(&0));
    }
}
