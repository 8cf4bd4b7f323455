//! Who the binary is: by the name it is called by, or by its first argument (`rvs ipvsadm …`).

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A personality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personality {
    /// `rvs`.
    Rvs,
    /// `ipvsadm`.
    Ipvsadm,
    /// `ipvsadm-save`.
    Save,
    /// `ipvsadm-restore`.
    Restore,
    /// `keepalived`.
    Keepalived,
    /// `genhash`.
    Genhash,
}

impl Personality {
    /// The personality, and the arguments that are left to it.
    pub fn of(mut args: impl Iterator<Item = OsString>) -> (Self, Vec<OsString>) {
        let name = args.next().unwrap_or_default();
        let rest: Vec<OsString> = args.collect();
        if let Some(known) = Path::new(&name).file_name().and_then(Self::from_name) {
            return (known, rest);
        }
        match rest.split_first().and_then(|(first, rest)| Some((Self::from_name(first)?, rest))) {
            Some((known, rest)) => (known, rest.to_vec()),
            None => (Self::Rvs, rest),
        }
    }

    fn from_name(name: &OsStr) -> Option<Self> {
        match name.to_str()? {
            "ipvsadm" => Some(Self::Ipvsadm),
            "ipvsadm-save" => Some(Self::Save),
            "ipvsadm-restore" => Some(Self::Restore),
            "keepalived" => Some(Self::Keepalived),
            "genhash" => Some(Self::Genhash),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_or_by_first_argument() {
        for (line, who, left) in [
            ("/usr/sbin/ipvsadm -Ln", Personality::Ipvsadm, 1),
            ("ipvsadm-save", Personality::Save, 0),
            ("rvs ipvsadm -L -n", Personality::Ipvsadm, 2),
            ("./rvs ipvsadm-restore", Personality::Restore, 0),
            ("rvs keepalived -t", Personality::Keepalived, 1),
            ("/usr/sbin/keepalived", Personality::Keepalived, 0),
            ("rvs genhash -s 10.0.0.1", Personality::Genhash, 2),
            ("/usr/bin/genhash -h", Personality::Genhash, 1),
            ("rvs status --json", Personality::Rvs, 2),
            ("rvs", Personality::Rvs, 0),
            ("ipvsadm rvs", Personality::Ipvsadm, 1),
        ] {
            let (found, rest) = Personality::of(line.split(' ').map(OsString::from));
            assert_eq!((found, rest.len()), (who, left), "{line}");
        }
    }
}
