//! Whether a script may be run: judged from facts about the files on the way to it, without looking at any file.
//!
//! A script that runs as root must not be what somebody else can change: neither the file nor any folder on the way to it may
//! belong to another user, or be writable for a group other than root's, or for all (folders that only let the owner of a file
//! remove it, with the sticky bit, excepted).

use std::fmt;

const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;
const STICKY: u32 = 0o1000;

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunAs {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What stands on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link; what it points to is on the way as well.
    Link,
    /// Something else: a device, a socket.
    Other,
}

/// One part of the way to a script, from `/` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its whole path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub uid: u32,
    /// Which group's it is.
    pub gid: u32,
    /// Its permissions, with the three high bits.
    pub mode: u32,
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// It is not there.
    NotFound {
        /// The part that is missing.
        path: String,
    },
    /// It is no file, or a part of the way no folder.
    WrongType {
        /// That part.
        path: String,
    },
    /// Who runs it may not execute it.
    NotExecutable {
        /// The file.
        path: String,
        /// Who.
        by: RunAs,
    },
    /// Somebody besides root can change it.
    Unsafe {
        /// The file or folder that can be changed.
        path: String,
    },
}

impl Complaint {
    /// Whether the script is not run: all but unsafe ones never are, these only where security is not enforced.
    pub const fn forbids(&self, security: bool) -> bool {
        !matches!(self, Self::Unsafe { .. }) || security
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path } => write!(f, "script file '{path}' not found"),
            Self::WrongType { path } => write!(f, "wrong file type found in script path '{path}'"),
            Self::NotExecutable { path, by } => {
                write!(f, "script '{path}' is not executable for uid:gid {}:{}", by.uid, by.gid)
            }
            Self::Unsafe { path } => {
                write!(f, "unsafe permissions found for script: users other than root can change '{path}'")
            }
        }
    }
}

/// Judges the way to a script; the last step is the file itself.
pub fn judge(way: &[Step], by: RunAs) -> Result<(), Complaint> {
    let Some((file, folders)) = way.split_last() else {
        return Err(Complaint::NotFound { path: String::new() });
    };
    if let Some(step) = folders.iter().find(|step| !matches!(step.kind, Kind::Folder | Kind::Link)) {
        return Err(Complaint::WrongType { path: step.path.clone() });
    }
    if file.kind != Kind::File {
        return Err(Complaint::WrongType { path: file.path.clone() });
    }
    if !executable(file, by) {
        return Err(Complaint::NotExecutable { path: file.path.clone(), by });
    }
    if needs_protection(file, by)
        && let Some(step) = way.iter().find(|step| changeable(step))
    {
        return Err(Complaint::Unsafe { path: step.path.clone() });
    }
    Ok(())
}

const fn executable(file: &Step, by: RunAs) -> bool {
    if by.uid == 0 {
        file.mode & 0o111 != 0
    } else if by.uid == file.uid {
        file.mode & 0o100 != 0
    } else if by.gid == file.gid {
        file.mode & 0o010 != 0
    } else {
        file.mode & 0o001 != 0
    }
}

/// Whether the script gets root's rights, as user or as group, from its runner or from its own bits.
const fn needs_protection(file: &Step, by: RunAs) -> bool {
    by.uid == 0
        || by.gid == 0
        || (file.uid == 0 && file.mode & SETUID != 0 && file.mode & 0o100 != 0)
        || (file.gid == 0 && file.mode & SETGID != 0 && file.mode & 0o010 != 0)
}

fn changeable(step: &Step) -> bool {
    let guarded = step.kind == Kind::Link || (step.kind == Kind::Folder && step.mode & STICKY != 0);
    let written = (step.gid != 0 && step.mode & 0o020 != 0) || step.mode & 0o002 != 0;
    step.uid != 0 || (!guarded && written)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: RunAs = RunAs { uid: 0, gid: 0 };
    const USER: RunAs = RunAs { uid: 101, gid: 101 };

    fn step(path: &str, kind: Kind, uid: u32, gid: u32, mode: u32) -> Step {
        Step { path: path.into(), kind, uid, gid, mode }
    }

    fn way(folder: (u32, u32, u32), file: (u32, u32, u32)) -> Vec<Step> {
        vec![
            step("/", Kind::Folder, 0, 0, 0o755),
            step("/d", Kind::Folder, folder.0, folder.1, folder.2),
            step("/d/s", Kind::File, file.0, file.1, file.2),
        ]
    }

    #[test]
    fn what_only_root_can_change_is_fine_for_root() {
        for (folder, file) in [
            ((0, 0, 0o755), (0, 0, 0o755)),
            ((0, 0, 0o775), (0, 0, 0o770)),
            ((0, 5, 0o755), (0, 5, 0o755)),
            ((0, 0, 0o1777), (0, 0, 0o700)),
        ] {
            assert_eq!(judge(&way(folder, file), ROOT), Ok(()), "{folder:?} {file:?}");
        }
    }

    #[test]
    fn what_others_can_change_is_not() {
        for (folder, file, path) in [
            ((1000, 0, 0o755), (0, 0, 0o755), "/d"),
            ((0, 0, 0o777), (0, 0, 0o755), "/d"),
            ((0, 5, 0o775), (0, 0, 0o755), "/d"),
            ((0, 0, 0o755), (1000, 0, 0o755), "/d/s"),
            ((0, 0, 0o755), (0, 5, 0o775), "/d/s"),
            ((0, 0, 0o755), (0, 0, 0o757), "/d/s"),
            ((0, 0, 0o755), (0, 0, 0o1757), "/d/s"),
        ] {
            assert_eq!(judge(&way(folder, file), ROOT), Err(Complaint::Unsafe { path: path.into() }));
            assert_eq!(
                judge(&way(folder, file), RunAs { uid: 7, gid: 0 }),
                Err(Complaint::Unsafe { path: path.into() })
            );
        }
    }

    #[test]
    fn a_user_without_roots_rights_may_run_anything_that_gives_none() {
        assert_eq!(judge(&way((1000, 0, 0o777), (1000, 0, 0o777)), USER), Ok(()));
        assert_eq!(judge(&way((1000, 0, 0o777), (0, 0, 0o4755)), USER), Err(Complaint::Unsafe { path: "/d".into() }));
    }

    #[test]
    fn permission_to_execute_is_the_kernels() {
        let not = Err(Complaint::NotExecutable { path: "/d/s".into(), by: USER });
        for (file, result) in [
            ((101, 0, 0o700), Ok(())),
            ((101, 0, 0o077), not.clone()),
            ((0, 101, 0o710), Ok(())),
            ((0, 101, 0o701), not.clone()),
            ((0, 0, 0o701), Ok(())),
            ((0, 0, 0o770), not),
        ] {
            assert_eq!(judge(&way((0, 0, 0o755), file), USER), result, "{file:?}");
        }
        assert!(matches!(judge(&way((0, 0, 0o755), (0, 0, 0o644)), ROOT), Err(Complaint::NotExecutable { .. })));
    }

    #[test]
    fn the_way_is_folders_and_its_end_a_file() {
        let mut odd = way((0, 0, 0o755), (0, 0, 0o755));
        odd[1].kind = Kind::Other;
        assert_eq!(judge(&odd, ROOT), Err(Complaint::WrongType { path: "/d".into() }));
        odd[1].kind = Kind::Link;
        assert_eq!(judge(&odd, ROOT), Ok(()));
        odd[2].kind = Kind::Folder;
        assert_eq!(judge(&odd, ROOT), Err(Complaint::WrongType { path: "/d/s".into() }));
        assert!(judge(&[], ROOT).is_err());
    }

    #[test]
    fn only_unsafe_scripts_run_without_security() {
        assert!(!Complaint::Unsafe { path: "/d".into() }.forbids(false));
        assert!(Complaint::Unsafe { path: "/d".into() }.forbids(true));
        assert!(Complaint::NotFound { path: "/d".into() }.forbids(false));
    }
}
