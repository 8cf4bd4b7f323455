//! ipvsadm's language: command lines, listings, the save format.
//!
//! [`table`] is the option table, [`mod@parse`] makes an [`Action`] of a command line, [`mod@list`] and [`mod@save`] print a listing,
//! [`restore`] reads a saved file, [`mod@json`] is the same for programs. What is printed equals ipvsadm 1.31 byte for byte; `tests/golden` holds the recordings.

mod changes;
mod checks;
pub mod completion;
mod connections;
mod daemons;
mod draft;
mod endpoint;
mod help;
pub mod json;
mod largenum;
pub mod list;
mod man;
pub mod messages;
mod number;
mod overview;
pub mod parse;
mod popt;
pub mod restore;
pub mod save;
pub mod show;
mod sort;
pub mod table;
mod tunnel;

pub use changes::{changes, explained};
pub use connections::connections;
pub use daemons::daemons;
pub use help::{VERSION, help};
pub use list::list;
pub use man::{man_page, restore_page, save_page};
pub use overview::option_overview;
pub use parse::{Action, ListRequest, Shown, Target, UsageError, View, parse};
pub use restore::{Script, ScriptError, read_script};
pub use save::{save, save_full};
