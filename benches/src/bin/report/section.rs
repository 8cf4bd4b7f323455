//! A section of the page: text and plots, and the place where it goes. Pure.

use serde_json::Value;
use std::fmt::Write as _;

/// What one part of the suite has to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Section {
    /// Markdown.
    pub(crate) text: String,
    /// Names of files in the folder `performance`, and what they hold.
    pub(crate) plots: Vec<(String, String)>,
}

impl Section {
    /// Adds a plot: with the shape that was expected, where there was one.
    pub(crate) fn plot(&mut self, file: &str, title: &str, expected: Option<&str>, svg: String) {
        let says = match expected {
            Some(expected) => format!("**{title}.** Expected: {expected}. Measured:\n\n"),
            None => String::new(),
        };
        let _ = write!(self.text, "\n{says}![{title}](performance/{file})\n");
        self.plots.push((file.to_owned(), svg));
    }
}

/// Where and how busy it was, in one line; nothing where the document does not tell.
pub(crate) fn conditions(document: &Value) -> String {
    let conditions = &document["conditions"];
    let (Some(kernel), Some(processors)) = (conditions["kernel"].as_str(), conditions["processors"].as_u64()) else {
        return String::new();
    };
    let name = conditions["processor"].as_str().unwrap_or("processor of no name");
    let load = conditions["load"].as_f64().map_or_else(String::new, |load| format!(", load {load:.1} when it began"));
    format!("Linux {kernel}, {processors} processors ({name}){load}. ")
}

/// Puts `text` between the marks of this part, if the page has them.
pub(crate) fn replace(page: &str, part: &str, text: &str) -> Option<String> {
    let (begin, end) = marks(part);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}{end}{after}"))
}

/// What is between these lines is written here.
pub(crate) fn marks(part: &str) -> (String, String) {
    (format!("<!-- measured {part}: begin -->"), format!("<!-- measured {part}: end -->"))
}

/// A number of a document for a table; nothing for none.
pub(crate) fn cell(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(String::new, |value| format!("{value:.digits$}"))
}

/// A median of a document with least and greatest.
pub(crate) fn spread(value: &Value, digits: usize) -> String {
    let at = |name: &str| cell(&value[name], digits);
    if value.is_null() { String::new() } else { format!("{} ({} to {})", at("median"), at("min"), at("max")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_measured_goes_between_the_marks_of_its_part() {
        let page = |text: &str| {
            let ((a, b), (c, d)) = (marks("guest"), marks("control"));
            format!("a\n{a}\n{text}{b}\nm\n{c}\nkept\n{d}\nz\n")
        };
        assert_eq!(replace(&page("old\n"), "guest", "new\n").unwrap(), page("new\n"));
        assert!(replace("a", "guest", "new").is_none());
    }

    #[test]
    fn cells_are_empty_where_nothing_was_measured() {
        assert_eq!(spread(&json!({ "min": 1.0, "median": 2.0, "max": 3.25 }), 1), "2.0 (1.0 to 3.2)");
        assert_eq!((spread(&Value::Null, 1), cell(&Value::Null, 1)), (String::new(), String::new()));
    }

    #[test]
    fn conditions_are_told_where_they_are_known() {
        let told = json!({ "conditions": { "kernel": "6.1", "processors": 2, "processor": "A Chip", "load": 0.25 } });
        assert_eq!(conditions(&told), "Linux 6.1, 2 processors (A Chip), load 0.2 when it began. ");
        assert_eq!(conditions(&json!({})), "");
    }
}
