//! A strict reader of Prometheus' text format 0.0.4, as far as node_exporter's textfile collector takes it: for tests, here
//! and end to end. It knows nothing of how the text was made.

use std::collections::BTreeMap;

/// Samples by series: `name{label="value",…}`, labels sorted by name.
pub(crate) type Samples = BTreeMap<String, f64>;

/// Reads a whole text.
pub(crate) fn read(text: &str) -> Result<Samples, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut samples = Samples::new();
    let mut families: BTreeMap<String, &str> = BTreeMap::new();
    let (mut helped, mut open): (Option<String>, Option<(String, &str)>) = (None, None);
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| Err(format!("line {}: {what}: {line}", number + 1));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("help without a text") };
            if !is_name(name, true) || help.trim().is_empty() || families.contains_key(name) {
                return wrong("bad name, no help, or a family twice");
            }
            (helped, open) = (Some(name.to_owned()), None);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("type without a kind") };
            if helped.take().as_deref() != Some(name) || !["counter", "gauge"].contains(&kind) {
                return wrong("type not below its help, or unknown");
            }
            if (kind == "counter") != name.ends_with("_total") {
                return wrong("counters, and only they, end in _total");
            }
            families.insert(name.to_owned(), kind);
            open = Some((name.to_owned(), kind));
        } else {
            let Some((family, kind)) = &open else { return wrong("a sample outside of a family") };
            let (name, labels, value) = sample(line).map_err(|what| format!("line {}: {what}: {line}", number + 1))?;
            if name != *family || !value.is_finite() || (*kind == "counter" && value < 0.0) {
                return wrong("another family's sample, or a value that cannot be");
            }
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let series = if labels.is_empty() { name } else { format!("{name}{{{}}}", labels.join(",")) };
            if samples.insert(series, value).is_some() {
                return wrong("a series twice");
            }
        }
    }
    Ok(samples)
}

fn is_name(name: &str, colons: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Name, labels sorted by name, value. A time stamp is an error: the textfile collector refuses files with one.
fn sample(line: &str) -> Result<(String, BTreeMap<String, String>, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name, true) {
        return Err("bad name".into());
    }
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            if !is_name(label, false) || label.starts_with("__") {
                return Err("bad label".into());
            }
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err("a label twice".into());
            }
            match after.chars().next() {
                Some(',') => rest = &after[1..],
                Some('}') => {
                    rest = &after[1..];
                    break;
                }
                _ => return Err("labels without an end".into()),
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let plain = value.bytes().all(|byte| b"0123456789.eE+-".contains(&byte));
    let value = value.parse().map_err(|_| "not a number")?;
    if plain { Ok((name.to_owned(), labels, value)) } else { Err("not a plain number".into()) }
}

/// A value up to its closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                _ => return Err("an unknown escape".into()),
            },
            c => value.push(c),
        }
    }
    Err("a value without an end".into())
}
