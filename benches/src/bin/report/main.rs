//! Writes the measured sections of docs/performance.md, and their plots, from the documents of the suite's parts. Nothing is
//! measured here.

mod control;
mod guest;
mod packets;
mod section;
mod throughput;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use section::Section;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents that are not given leave their sections as they are.
#[derive(Parser)]
#[command(name = "report", about = "Writes the measured sections of docs/performance.md and their plots")]
struct Options {
    /// What `packets --json` has printed.
    #[arg(long)]
    packets: Option<PathBuf>,
    /// What `bench --json` has printed.
    #[arg(long)]
    throughput: Option<PathBuf>,
    /// What `cargo xtask bench guest --json` has printed.
    #[arg(long)]
    guest: Option<PathBuf>,
    /// What `control --json` has printed.
    #[arg(long)]
    control: Option<PathBuf>,
    /// The folder of the documents.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

/// A part: its name, its document, what makes a section of that.
type Part<'a> = (&'static str, &'a Option<PathBuf>, fn(&Value) -> Result<Section>);

fn main() -> Result<()> {
    let options = Options::parse();
    let parts: [Part; 4] = [
        ("packets", &options.packets, packets::section),
        ("throughput", &options.throughput, throughput::section),
        ("guest", &options.guest, guest::section),
        ("control", &options.control, control::section),
    ];
    ensure!(parts.iter().any(|(_, document, _)| document.is_some()), "no document is given; see --help");
    let path = options.docs.join("performance.md");
    let mut page = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut plots = Vec::new();
    for (part, document, section) in parts {
        let Some(document) = document else { continue };
        let section = section(&read(document)?).with_context(|| format!("in {}", document.display()))?;
        page = section::replace(&page, part, &section.text)
            .with_context(|| format!("{} lacks the marks of {part}: {:?}", path.display(), section::marks(part)))?;
        plots.extend(section.plots);
    }
    // Only now: a bad document changes nothing.
    let folder = options.docs.join("performance");
    fs::create_dir_all(&folder)?;
    for (name, svg) in plots {
        let path = folder.join(name);
        fs::write(&path, svg).with_context(|| format!("writing {}", path.display()))?;
    }
    fs::write(&path, page).with_context(|| format!("writing {}", path.display()))
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON document", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_every_part_and_every_plot_it_shows() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let page = fs::read_to_string(docs.join("performance.md")).unwrap();
        for part in ["packets", "throughput", "guest", "control"] {
            assert!(section::replace(&page, part, "").is_some(), "{part}");
        }
        let plots: Vec<_> = page.split("](performance/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(plots.len() >= 9, "{plots:?}");
        for plot in plots {
            assert!(docs.join("performance").join(plot).exists(), "{plot}");
        }
    }
}
