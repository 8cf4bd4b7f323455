//! docs/packets.md is made from the reasons in the code. `RVS_UPDATE_DOCS=1 cargo test -p xtask --test packets_doc` renews it.
#![forbid(unsafe_code)]

use rvs_core::verdict::{Outcome, Reason};
use std::path::Path;

const HEAD: &str = "\
# How packets end

Every packet that a hook sees ends in exactly one reason, and each reason has a counter: `rvs stats` shows them, and
`rvs stats --json` gives them to scripts under the same labels. This page is made from the list in
`crates/core/src/verdict.rs`; a test compares them.
";

const SECTIONS: [(Outcome, &str); 4] = [
    (Outcome::Forwarded, "Sent on by the director"),
    (Outcome::Passed, "Left to the host's own stack, unchanged"),
    (Outcome::Dropped, "The packet ends here, without an answer"),
    (Outcome::Answered, "The packet ends here; its sender is told by an ICMP error from the virtual address"),
];

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (outcome, title) in SECTIONS {
        page += &format!("\n## {}\n\n{title}.\n\n| Number | Label | Meaning |\n|---|---|---|\n", outcome.label());
        for reason in Reason::ALL.iter().filter(|reason| reason.outcome() == outcome) {
            page += &format!("| {} | `{}` | {} |\n", *reason as u32, reason.label(), reason.describe().trim());
        }
    }
    page
}

#[test]
fn docs_packets_lists_every_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/packets.md");
    if std::env::var_os("RVS_UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let differing = written
        .lines()
        .zip(page().lines())
        .find(|(written, wanted)| written != wanted)
        .map(|(_, wanted)| wanted.to_owned());
    assert!(
        written == page(),
        "docs/packets.md is old, first at {differing:?}; renew it: RVS_UPDATE_DOCS=1 cargo test -p xtask --test packets_doc"
    );
}
