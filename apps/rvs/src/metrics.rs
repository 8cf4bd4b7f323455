//! `rvs metrics`: the figures of the director for Prometheus, to standard output or to a file of node_exporter's textfile
//! collector.

use crate::atomic;
use crate::stream::{stream, unwritten};
use rvs_config::metrics::{self, Figures};
use rvs_dataplane::kernel::{Director, Status};
use rvs_dataplane::model::Model;
use rvs_dataplane::{Dataplane, Error};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Directories that node_exporter is usually told to read, the first that exists is taken: Debian's, and the usual ones
/// elsewhere.
const DIRECTORIES: [&str; 3] =
    ["/var/lib/prometheus/node-exporter", "/var/lib/node_exporter/textfile_collector", "/var/lib/node_exporter"];
/// The name of the file there.
const NAME: &str = "rvs.prom";
/// node_exporter runs as another user.
const MODE: u32 = 0o644;

/// What is written where.
#[derive(clap::Args, Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Replace this file, whose name ends in .prom, in one step, instead of printing; without a name, rvs.prom in the
    /// directory of node_exporter's textfile collector.
    #[arg(long, value_name = "FILE", num_args = 0..=1, value_hint = clap::ValueHint::FilePath)]
    textfile: Option<Option<PathBuf>>,
}

/// Writes the figures of the director of this network namespace.
///
/// # Errors
/// The tables cannot be read, or the figures not written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), Error> {
    let path = match &options.textfile {
        None => None,
        Some(path) => Some(textfile(path.as_deref(), &DIRECTORIES)?),
    };
    let figures = figures()?;
    match path {
        None => stream(out, |out| metrics::write(&figures, out).map_err(unwritten)),
        Some(path) => atomic::replace(&path, MODE, |out| metrics::write(&figures, out))
            .map_err(|source: io::Error| Error::Io { context: format!("cannot write {}", path.display()), source }),
    }
}

/// The file to replace.
fn textfile(given: Option<&Path>, directories: &[&str]) -> Result<PathBuf, Error> {
    let Some(path) = given else {
        let found = directories.iter().map(Path::new).find(|directory| directory.is_dir());
        return found.map(|directory| directory.join(NAME)).ok_or_else(|| {
            let places = directories.join(", ");
            Error::State(format!("there is none of {places}: give the file's name, `rvs metrics --textfile FILE`"))
        });
    };
    if path.extension().is_none_or(|extension| extension != "prom") {
        return Err(Error::State(format!(
            "{}: the name must end in .prom, or node_exporter does not read the file",
            path.display()
        )));
    }
    Ok(path.to_path_buf())
}

fn figures() -> Result<Figures, Error> {
    let Some(mut director) = Director::existing()? else {
        let mut nothing = Model::default();
        return Ok(Figures { listing: nothing.listing()?, totals: nothing.totals()?, director: None });
    };
    let described = describe(director.status()?, &director)?;
    Ok(Figures { totals: director.totals()?, listing: director.listing()?, director: Some(described) })
}

fn describe(status: Status, director: &Director) -> Result<metrics::Director, Error> {
    let fill = &status.fill;
    let dests = fill.dests + fill.remembered_dests;
    let tables = vec![
        ("connections", fill.connections.into(), fill.connection_capacity.into()),
        ("services", fill.services.into(), fill.service_capacity.into()),
        ("destinations", dests.into(), fill.dest_capacity.into()),
    ];
    Ok(metrics::Director {
        reasons: director.reasons()?,
        tables,
        remembered: fill.remembered_dests.into(),
        memory: fill.memory,
        connection_bytes: fill.bytes_per_connection.into(),
        ticking: status.ticking,
        changes: status.generation.saturating_sub(1).into(),
        abi: status.abi,
        kernel: status.features.kernel,
        interfaces: status.interfaces.into_iter().map(|interface| (interface.name, interface.mode)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_node_exporter_would_not_read_is_refused() {
        for name in ["/tmp/rvs", "/tmp/rvs.prom.txt", "rvs.PROM", ".prom"] {
            let error = textfile(Some(Path::new(name)), &[]).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains("must end in .prom"), "{error}");
        }
        assert_eq!(textfile(Some(Path::new("a/b.prom")), &[]).unwrap(), Path::new("a/b.prom"));
    }

    #[test]
    fn without_a_name_the_first_directory_that_exists_is_taken() {
        assert_eq!(textfile(None, &["/no/such/directory", "/tmp"]).unwrap(), Path::new("/tmp/rvs.prom"));
        let error = textfile(None, &["/no/such/directory"]).unwrap_err().to_string();
        assert!(error.contains("/no/such/directory") && error.contains("--textfile FILE"), "{error}");
    }
}
