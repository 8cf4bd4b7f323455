//! The multi-call binary: `rvs`, `ipvsadm`, `ipvsadm-save`, `ipvsadm-restore`, `keepalived`, `genhash`.

use clap::Parser;
use rvs_app::cli::Cli;
use rvs_app::pause::{Pause, stdin_name};
use rvs_app::personality::Personality;
use rvs_app::world::World;
use rvs_app::{commands, genhash, ipvsadm, keepalived, scripts};
use rvs_config::names::SystemNames;
use std::ffi::OsString;
use std::io::{stderr, stdin, stdout};

fn main() {
    let (who, args) = Personality::of(std::env::args_os());
    std::process::exit(match who {
        Personality::Rvs => {
            let words = std::iter::once(OsString::from("rvs")).chain(args);
            commands::run(&Cli::parse_from(words), &mut stdout(), &mut stderr())
        }
        Personality::Ipvsadm => compatible(ipvsadm::run, &args),
        Personality::Save => compatible(scripts::save, &args),
        Personality::Restore => compatible(scripts::restore, &args),
        Personality::Genhash => {
            // The original's help names the program as it was called.
            let called = std::env::args().next().filter(|name| name.ends_with("genhash"));
            genhash::run(called.as_deref().unwrap_or("genhash"), &args, &mut stdout(), &mut stderr())
        }
        Personality::Keepalived => keepalived::run(&args, &mut stdout(), &mut stderr()),
    });
}

/// Runs one of the compatible tools in the real world.
fn compatible(tool: fn(&[OsString], &mut World<'_>) -> i32, args: &[OsString]) -> i32 {
    let mut pause = Pause::default();
    let world = &mut World {
        stdin: &mut stdin().lock(),
        stdin_name: stdin_name(),
        out: &mut stdout(),
        err: &mut stderr(),
        names: &SystemNames::default(),
        open: &mut commands::open,
        pause: &mut |time| pause.wait(time),
    };
    tool(args, world)
}
