//! keepalived's language: `keepalived.conf` to a typed configuration, with all that is wrong with it, and back.
//!
//! [`load`] reads a file with what it includes. The rows of the keyword table in [`model`] are the types, the parser, the
//! printer, the comparison and the documents at once. Nothing here changes the system; what a configuration may ask of it is in
//! [`Environment`], its files come from [`Files`].

pub mod check;
pub mod completion;
mod diff;
mod docs;
pub mod env;
pub mod field;
pub mod files;
mod glob;
pub mod keyword;
pub mod lang;
mod man;
pub mod model;
pub mod options;
mod report;
pub mod span;
pub mod value;

pub use diff::{Change, Kind, diff};
pub use docs::{compatibility, man_page, words};
pub use env::Environment;
pub use files::{Disk, Files, Memory};
pub use lang::Limits;
pub use man::daemon_page;
pub use model::Config;
pub use report::{Level, Report, Reports, Sources};

use field::Block as _;
use std::path::Path;

/// What came of reading a configuration.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The configuration, as far as it was understood, with what had to be put right put right.
    pub config: Config,
    /// Everything that was found.
    pub reports: Reports,
    /// The files, to show where.
    pub sources: Sources,
    /// False if there was nothing to read.
    pub found: bool,
}

impl Loaded {
    /// True if nothing spoils the verdict.
    pub fn good(&self) -> bool {
        self.reports.good()
    }

    /// All findings for people.
    pub fn render(&self) -> String {
        self.reports.render(&self.sources)
    }
}

/// Reads and checks a configuration.
pub fn load(path: &Path, files: &dyn Files, env: &Environment) -> Loaded {
    load_within(path, files, env, Limits::default())
}

/// The same with other limits.
pub fn load_within(path: &Path, files: &dyn Files, env: &Environment, limits: Limits) -> Loaded {
    let mut loaded = parse(path, files, env, limits);
    if loaded.found {
        check::check(&mut loaded.config, env, &mut loaded.reports);
    }
    loaded
}

/// Reads a configuration without asking what goes with what.
pub fn parse(path: &Path, files: &dyn Files, env: &Environment, limits: Limits) -> Loaded {
    let Loaded { mut config, mut reports, mut sources, .. } = Loaded::default();
    let mut apply = |statement: &lang::Statement, reports: &mut Reports| config.read_one(statement, reports);
    let found = lang::Reader::new(files, env, limits, (&mut sources, &mut reports), &mut apply).run(path);
    Loaded { config, reports, sources, found }
}
