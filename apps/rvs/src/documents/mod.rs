//! `rvs generate`: the manual pages and the completions of all tools.
//!
//! Those of ipvsadm and keepalived are made by `rvs-config` from their option tables; rvs(8) is made here, from clap's
//! description of the command line and the prose beside it; genhash(1) from its table of options.

mod genhash;
mod prose;
mod rvs;

use crate::cli::{Document, Tool};
use rvs_config::ipvsadm::completion::{Shell, script};
use rvs_config::ipvsadm::{man_page, restore_page, save_page};
use rvs_config::keepalived::daemon_page;

/// The text of a document.
pub fn document(what: Document, tool: Tool) -> String {
    match (what, tool) {
        (Document::Man, Tool::Ipvsadm) => man_page(),
        (Document::Man, Tool::IpvsadmSave) => save_page(),
        (Document::Man, Tool::IpvsadmRestore) => restore_page(),
        (Document::Man, Tool::Keepalived) => daemon_page(),
        (Document::Man, Tool::Rvs) => rvs::page(),
        (Document::Man, Tool::Genhash) => genhash::page(),
        (Document::BashCompletion, Tool::Genhash) => genhash::bash(),
        (Document::ZshCompletion, Tool::Genhash) => genhash::zsh(),
        (Document::FishCompletion, Tool::Genhash) => genhash::fish(),
        (Document::BashCompletion, tool) => script(Shell::Bash, tool.name()),
        (Document::ZshCompletion, tool) => script(Shell::Zsh, tool.name()),
        (Document::FishCompletion, tool) => script(Shell::Fish, tool.name()),
    }
}
