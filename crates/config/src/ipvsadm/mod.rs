//! ipvsadm's language: command lines, listings, the save format.
//!
//! [`table`] is the option table, [`mod@parse`] makes an [`Action`] of a command line, [`mod@list`] and [`mod@save`] print a listing,
//! [`restore`] reads a saved file. What is printed equals ipvsadm 1.31 byte for byte; `tests/golden` holds the recordings.

mod checks;
pub mod completion;
mod connections;
mod draft;
mod endpoint;
mod help;
mod largenum;
pub mod list;
mod man;
pub mod messages;
mod number;
pub mod parse;
mod popt;
pub mod restore;
pub mod save;
pub mod show;
mod sort;
pub mod table;
mod tunnel;

pub use connections::connections;
pub use help::{VERSION, help};
pub use list::list;
pub use man::{man_page, restore_page, save_page};
pub use parse::{Action, DaemonRole, ListRequest, Shown, UsageError, View, parse};
pub use restore::{ScriptError, read_script};
pub use save::save;
