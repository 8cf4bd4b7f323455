//! `rvs config`: what a configuration would do, without doing it.

use crate::report;
use rvs_config::keepalived::{Change, Disk, Environment, Loaded, diff, load};
use serde_json::{Value, json};
use std::path::Path;

/// What came of comparing two files.
pub struct Compared {
    /// For standard output.
    pub out: String,
    /// What was found in the files.
    pub err: String,
    /// 0; 1 if a file cannot be read; 5 if a reload would find something to report.
    pub status: i32,
}

/// `rvs config diff OLD NEW`.
pub fn compare(old: &Path, new: &Path, as_json: bool) -> Compared {
    let env = Environment::system();
    let (before, after) = (load(old, &Disk, &env), load(new, &Disk, &env));
    let err = before.render() + &after.render();
    if !before.found || !after.found {
        return Compared { out: String::new(), err, status: 1 };
    }
    let changes = diff(&before.config, &after.config);
    let out = if as_json { report::json(&value(&changes, &after)) } else { text(&changes) };
    Compared { out, err, status: if after.good() { 0 } else { 5 } }
}

fn text(changes: &[Change]) -> String {
    match changes {
        [] => "A reload would change nothing.\n".to_owned(),
        changes => changes.iter().map(Change::text).collect(),
    }
}

fn value(changes: &[Change], new: &Loaded) -> Value {
    let change = |change: &Change| {
        let settings: Vec<Value> = change
            .settings
            .iter()
            .map(|setting| json!({ "keyword": setting.keyword, "old": setting.old, "new": setting.new }))
            .collect();
        json!({
            "kind": change.kind.word(),
            "block": if change.keyword.is_empty() { "global_defs" } else { change.keyword },
            "name": change.name,
            "settings": settings,
        })
    };
    let changes: Vec<Value> = changes.iter().map(change).collect();
    json!({ "good": new.good(), "changes": changes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_are_compared_for_people_and_for_scripts() {
        let directory = std::env::temp_dir().join(format!("rvs-config-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let (old, new) = (directory.join("old"), directory.join("new"));
        std::fs::write(&old, "vrrp_script a {\n script /a\n}\n").expect("writing");
        std::fs::write(&new, "vrrp_script a {\n script /b\n}\nnonsense\n").expect("writing");
        let (same, changed) = (compare(&old, &old, false), compare(&old, &new, false));
        let json = compare(&old, &new, true);
        let missing = compare(&old, &directory.join("none"), false);
        std::fs::remove_dir_all(&directory).expect("removing");
        assert_eq!((same.status, same.out.as_str(), same.err.as_str()), (0, "A reload would change nothing.\n", ""));
        assert_eq!(changed.status, 5);
        assert_eq!(changed.out, "~ vrrp_script a changed\n    - script /a\n    + script /b\n");
        assert!(changed.err.contains("Unknown keyword 'nonsense'"));
        let value: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(
            value["changes"][0]["settings"][0],
            json!({ "keyword": "script", "old": "script /a", "new": "script /b" })
        );
        assert_eq!(value["good"], false);
        assert_eq!(missing.status, 1);
    }
}
