//! The personalities `ipvsadm-save` and `ipvsadm-restore`, shell scripts in the original.

use crate::ipvsadm;
use crate::world::World;
use std::ffi::OsString;

const SAVE_USAGE: &str = "\
Usage: ipvsadm-save [-n] [--full]

Prints the table as rules that ipvsadm-restore reads.

  -n, --numeric  addresses and ports as numbers
      --full     thresholds, timeouts and daemons as well
  -h, --help     this text
";

const RESTORE_USAGE: &str = "\
Usage: ipvsadm-restore [--dry-run [--json]] < FILE

Puts the rules of FILE in the place of the table, in one step: when a rule is refused, the table stays as it was.

      --dry-run  only show what would change
      --json     show it as JSON
  -h, --help     this text
";

/// `ipvsadm-save`; the exit status.
pub fn save(args: &[OsString], world: &mut World<'_>) -> i32 {
    let (mut numeric, mut full) = (false, false);
    for word in words(args) {
        match word {
            "-n" | "--numeric" => numeric = true,
            "--full" => full = true,
            "-h" | "--help" => return world.print(SAVE_USAGE),
            word => return world.fail(2, &format!("ipvsadm-save: unexpected argument `{word}'\n{SAVE_USAGE}")),
        }
    }
    ipvsadm::saved(world, numeric, full)
}

/// `ipvsadm-restore`; the exit status.
pub fn restore(args: &[OsString], world: &mut World<'_>) -> i32 {
    let (mut dry_run, mut json) = (false, false);
    for word in words(args) {
        match word {
            "--dry-run" => dry_run = true,
            "--json" => json = true,
            "-h" | "--help" => return world.print(RESTORE_USAGE),
            word => return world.fail(2, &format!("ipvsadm-restore: unexpected argument `{word}'\n{RESTORE_USAGE}")),
        }
    }
    match (dry_run, json) {
        (true, json) => ipvsadm::rehearse_restore(world, true, json),
        (false, true) => world.fail(2, "ipvsadm-restore: --json needs --dry-run"),
        (false, false) => ipvsadm::restore(world, true),
    }
}

/// A word that is not text is none of the options either.
fn words(args: &[OsString]) -> Vec<&str> {
    args.iter().map(|arg| arg.to_str().unwrap_or("?")).collect()
}
