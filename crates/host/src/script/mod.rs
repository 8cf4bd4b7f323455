//! Scripts: what may be run, running it, and running it again.

mod facts;
mod run;
pub mod security;
mod track;
mod words;

pub use facts::{DEFAULT_USER, UserError, check, default_user, run_as, supplementary_groups};
pub(crate) use run::Group;
pub use run::{Ended, Script, run, run_until};
pub use track::{ScriptTracker, Tell, TrackedScript};
pub use words::{WordsError, split};
