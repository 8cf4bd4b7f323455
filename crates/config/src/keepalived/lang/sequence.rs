//! `~SEQ(…)` and `~LST(…)`: one line that stands for many.

use super::text::Text;

/// What a line begins with.
#[derive(Debug, PartialEq)]
pub(super) struct Sequence {
    /// Names that are set together.
    pub(super) names: Vec<String>,
    /// What they are set to, in turn.
    pub(super) values: Values,
    /// Bytes of the line that this takes.
    pub(super) taken: usize,
}

/// What a sequence runs through.
#[derive(Debug, PartialEq)]
pub(super) enum Values {
    /// From, step, to.
    Range { start: i64, step: i64, end: i64, hex: bool },
    /// One list of values for each turn.
    List(Vec<Vec<String>>),
}

impl Values {
    /// The values, as text.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = Vec<String>> + '_> {
        match self {
            Self::List(list) => Box::new(list.iter().cloned()),
            Self::Range { start, step, end, hex } => {
                let within = move |value: &i64| if *step > 0 { value <= end } else { value >= end };
                let next = move |value: &i64| value.checked_add(*step);
                let text = move |value: i64| match (*hex, value < 0) {
                    (false, _) => value.to_string(),
                    (true, false) => format!("{value:x}"),
                    (true, true) => format!("-{:x}", value.unsigned_abs()),
                };
                Box::new(std::iter::successors(Some(*start), next).take_while(within).map(move |v| vec![text(v)]))
            }
        }
    }
}

/// Reads the beginning of a line; nothing if it is an ordinary line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(line: &Text) -> Result<Option<Sequence>, String> {
    let text = line.as_str();
    let (hex, list, rest) = if let Some(rest) = text.strip_prefix("~SEQx(") {
        (true, false, rest)
    } else if let Some(rest) = text.strip_prefix("~SEQ(") {
        (false, false, rest)
    } else if let Some(rest) = text.strip_prefix("~LST(") {
        (false, true, rest)
    } else {
        return Ok(None);
    };
    let end = rest.find(')').ok_or("missing ')' of the sequence")?;
    let inner = &rest[..end];
    let taken = text.len() - rest.len() + end + 1;
    let (names, values) = if list { parse_list(inner)? } else { parse_range(inner, hex)? };
    if let Some(bad) = names.iter().find(|name| !is_name(name)) {
        return Err(format!("'{bad}' is no name of a parameter"));
    }
    Ok(Some(Sequence { names, values, taken }))
}

/// True for what may be the name of a parameter.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn parse_range(inner: &str, hex: bool) -> Result<(Vec<String>, Values), String> {
    let mut parts = inner.split(',').map(str::trim);
    let name = parts.next().unwrap_or_default().to_owned();
    let numbers: Vec<i64> = parts.map(number).collect::<Result<_, _>>()?;
    let (start, step, end) = match numbers.as_slice() {
        [end] => (if *end < 0 { -1 } else { 1 }, None, *end),
        [start, end] => (*start, None, *end),
        [start, step, end] => (*start, Some(*step), *end),
        _ => return Err("a sequence is (NAME, START, STEP, END)".into()),
    };
    let step = step.unwrap_or(if end < start { -1 } else { 1 });
    if step == 0 {
        return Err("a sequence with step 0 has no end".into());
    }
    Ok((vec![name], Values::Range { start, step, end, hex }))
}

fn number(text: &str) -> Result<i64, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    // `+5` and `--5` are no numbers here.
    match value {
        Ok(value) if value >= 0 && !digits.starts_with('+') => Ok(if negative { -value } else { value }),
        _ => Err(format!("invalid number '{text}' in the sequence")),
    }
}

fn parse_list(inner: &str) -> Result<(Vec<String>, Values), String> {
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('{') {
            Some(group) => {
                let end = group.find('}').ok_or("missing '}' in the list")?;
                (group[..end].split(',').map(|part| part.trim().to_owned()).collect(), &group[end + 1..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (vec![rest[..end].trim().to_owned()], &rest[end..])
            }
        };
        items.push(item);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return Err("values of a list are separated by ','".into()),
        };
    }
    if items.len() < 2 {
        return Err("a list is (NAME, VALUE, …)".into());
    }
    let names = items.remove(0);
    if let Some(bad) = items.iter().find(|item| item.len() != names.len()) {
        return Err(format!("{} values for {} names", bad.len(), names.len()));
    }
    Ok((names, Values::List(items)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::span::Place;

    fn run(line: &str) -> Result<Vec<String>, String> {
        let sequence = parse(&Text::new(line, Place::default()))?.ok_or("none")?;
        Ok(sequence.values.iter().map(|values| values.join("/")).collect())
    }

    #[test]
    fn ranges_and_lists() {
        for (line, expected) in [
            ("~SEQ(S, 0, 3) x", "0 1 2 3"),
            ("~SEQ(S,3)", "1 2 3"),
            ("~SEQ(S,-2)", "-1 -2"),
            ("~SEQ(S,168,2,172)", "168 170 172"),
            ("~SEQ(S,3,1)", "3 2 1"),
            ("~SEQ(S,1,-1,3)", ""),
            ("~SEQx(S, 0x90, 0x10, 0xc0)", "90 a0 b0 c0"),
            ("~SEQ(S,9223372036854775806,9223372036854775807)", "9223372036854775806 9223372036854775807"),
            ("~LST(IP, 1,2 , 3)", "1 2 3"),
            ("~LST({A, B}, {10,1},{20,4})", "10/1 20/4"),
        ] {
            assert_eq!(run(line).map(|values| values.join(" ")), Ok(expected.to_owned()), "{line}");
        }
        for line in ["~SEQ(", "~SEQ()", "~SEQ(S)", "~SEQ(S,1,0,2)", "~SEQ(S,x)", "~SEQ(1,2)", "~SEQ(S,--2)"] {
            assert!(run(line).is_err_and(|e| e != "none"), "{line}");
        }
        for line in ["~LST(A)", "~LST({A,B},1)", "~LST({A", "~LST({A,B},{1,2}{3,4})"] {
            assert!(run(line).is_err_and(|e| e != "none"), "{line}");
        }
        assert_eq!(run("SEQ(S,3)"), Err("none".into()));
    }
}
