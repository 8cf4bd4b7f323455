//! One family of samples: its name, type and help, then its samples, as the text format wants them.

use std::fmt::Display;
use std::io::{self, Write};

/// What kind of number a family has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Only grows, or begins anew.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Name, kind and help of a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// Labels: names and values.
pub(super) type Labels<'a> = [(&'static str, &'a str)];

pub(super) const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

pub(super) const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

impl Family {
    /// The lines above the samples.
    pub(super) fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        writeln!(out, "# HELP {} {}\n# TYPE {} {kind}", self.name, self.help, self.name)
    }

    /// A sample.
    pub(super) fn sample(&self, labels: &Labels<'_>, value: impl Display, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.name.as_bytes())?;
        for (index, (name, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(out, "{before}{name}=\"{}\"", escaped(value))?;
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(out, "{end} {value}")
    }

    /// A family of one sample.
    pub(super) fn single(&self, value: impl Display, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        self.sample(&[], value, out)
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut out = Vec::new();
        gauge("a", "").sample(&[("x", "q\"b\\n\nl")], 1, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a{x=\"q\\\"b\\\\n\\nl\"} 1\n");
    }
}
