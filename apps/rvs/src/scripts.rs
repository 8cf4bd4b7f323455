//! The personalities `ipvsadm-save` and `ipvsadm-restore`, shell scripts in the original.

use crate::ipvsadm;
use crate::world::World;
use std::ffi::OsString;

const SAVE_USAGE: &str = "\
Usage: ipvsadm-save [-n]

Prints the table as rules that ipvsadm-restore reads.

  -n, --numeric  addresses and ports as numbers
  -h, --help     this text
";

const RESTORE_USAGE: &str = "\
Usage: ipvsadm-restore < FILE

Puts the rules of FILE in the place of the table, in one step: when a rule is refused, the table stays as it was.

  -h, --help     this text
";

/// `ipvsadm-save`; the exit status.
pub fn save(args: &[OsString], world: &mut World<'_>) -> i32 {
    match words(args).as_slice() {
        [] => ipvsadm::saved(world, false),
        ["-n" | "--numeric"] => ipvsadm::saved(world, true),
        ["-h" | "--help"] => world.print(SAVE_USAGE),
        [word, ..] => world.fail(2, &format!("ipvsadm-save: unexpected argument `{word}'\n{SAVE_USAGE}")),
    }
}

/// `ipvsadm-restore`; the exit status.
pub fn restore(args: &[OsString], world: &mut World<'_>) -> i32 {
    match words(args).as_slice() {
        [] => ipvsadm::restore(world, true),
        ["-h" | "--help"] => world.print(RESTORE_USAGE),
        [word, ..] => world.fail(2, &format!("ipvsadm-restore: unexpected argument `{word}'\n{RESTORE_USAGE}")),
    }
}

/// A word that is not text is none of the options either.
fn words(args: &[OsString]) -> Vec<&str> {
    args.iter().map(|arg| arg.to_str().unwrap_or("?")).collect()
}
