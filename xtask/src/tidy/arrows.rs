//! The arrows between crates: a crate may use those of layers below its own, never of its own layer or above.

use super::{Findings, Source};

/// Which crates of ours each may use. Tests and applications see everything.
const ARROWS: [(&str, &[&str]); 13] = [
    ("rvs-wire", &[]),
    ("rvs-machine", &[]),
    ("rvs-vrrp", &["rvs-wire", "rvs-machine"]),
    ("rvs-bfd", &["rvs-machine"]),
    ("rvs-checker", &["rvs-wire", "rvs-machine"]),
    ("rvs-core", &["rvs-wire"]),
    ("rvs-ebpf", &["rvs-wire", "rvs-core"]),
    ("rvs-intent", &["rvs-wire", "rvs-core"]),
    ("rvs-config", &["rvs-wire", "rvs-core", "rvs-intent"]),
    ("rvs-dataplane", &["rvs-wire", "rvs-core", "rvs-intent"]),
    ("rvs-host", &["rvs-wire", "rvs-machine"]),
    ("rvs-prober", &["rvs-machine", "rvs-checker", "rvs-host"]),
    (
        "rvs-daemon",
        &[
            "rvs-wire",
            "rvs-machine",
            "rvs-vrrp",
            "rvs-bfd",
            "rvs-checker",
            "rvs-core",
            "rvs-intent",
            "rvs-config",
            "rvs-dataplane",
            "rvs-host",
            "rvs-prober",
        ],
    ),
];

/// Packages that stand above all arrows, by the folder they lie in.
const TOPS: [&str; 4] = ["apps/", "tests/", "benches/", "xtask/"];

pub(super) fn check(files: &[Source], findings: &mut Findings) {
    for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml") && file.path != "Cargo.toml") {
        match file.text.parse::<toml::Table>() {
            Ok(manifest) => findings.errors.extend(manifest_errors(&file.path, &manifest)),
            Err(error) => findings.errors.push(format!("{}: {error}", file.path)),
        }
    }
}

fn manifest_errors(path: &str, manifest: &toml::Table) -> Vec<String> {
    if TOPS.iter().any(|top| path.starts_with(top)) {
        return Vec::new();
    }
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(krate, _)| *krate == name) else {
        return vec![format!("{path}: `{name}` has no place among the arrows (xtask/src/tidy/arrows.rs)")];
    };
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    dependencies
        .into_iter()
        .flat_map(|table| table.keys())
        .filter(|dependency| dependency.starts_with("rvs-") && !allowed.contains(&dependency.as_str()))
        .map(|dependency| format!("{path}: `{name}` must not use `{dependency}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(path: &str, text: &str) -> Vec<String> {
        manifest_errors(path, &text.parse().unwrap())
    }

    #[test]
    fn arrows_point_downwards_only() {
        let core = "[package]\nname = \"rvs-core\"\n[dependencies]\nrvs-wire = {}\nzerocopy = \"1\"\n";
        assert_eq!(errors("crates/core/Cargo.toml", core), Vec::<String>::new());
        let upwards = format!("{core}rvs-intent = {{}}\n");
        assert_eq!(
            errors("crates/core/Cargo.toml", &upwards),
            ["crates/core/Cargo.toml: `rvs-core` must not use `rvs-intent`"]
        );
        assert_eq!(errors("crates/new/Cargo.toml", "[package]\nname = \"rvs-new\"\n").len(), 1);
        assert_eq!(
            errors("apps/rvs/Cargo.toml", "[package]\nname = \"rvs\"\n[dependencies]\nrvs-config = {}\n").len(),
            0
        );
    }
}
