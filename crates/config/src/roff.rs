//! Manual pages in the language of `man`, from paragraphs of plain text.
//!
//! Paragraphs have two marks: `` `bold` `` for what is typed as it stands and `<italic>` for what stands for something else.
//! Everything else is text; nothing in it is taken for a request.

/// The day on which the pages were last gone through.
const DATE: &str = "2026-11-21";

/// The head of a page.
pub fn head(name: &str, what: &str) -> String {
    head_of(8, "System Administration", name, what)
}

/// The head of a page of another section of the manual.
pub fn head_of(number: u8, manual: &str, name: &str, what: &str) -> String {
    format!(
        ".TH {} {number} \"{DATE}\" \"RVS {}\" \"{manual}\"\n.SH NAME\n{} \\- {}\n",
        escaped(&name.to_uppercase()),
        env!("CARGO_PKG_VERSION"),
        escaped(name),
        paragraph(what)
    )
}

/// A section's headline.
pub fn section(title: &str) -> String {
    format!(".SH {}\n", escaped(title))
}

/// A headline within a section.
pub fn subsection(title: &str) -> String {
    format!(".SS {}\n", escaped(title))
}

/// Text, paragraph by paragraph.
pub fn text(paragraphs: &[&str]) -> String {
    paragraphs.iter().map(|one| format!(".PP\n{}\n", paragraph(one))).collect()
}

/// An entry: a term and, indented, what it means.
pub fn entry(term: &str, meaning: &[&str]) -> String {
    let mut page = format!(".TP\n{}\n", paragraph(term));
    for (index, one) in meaning.iter().enumerate() {
        page += &format!("{}{}\n", if index == 0 { "" } else { ".sp\n" }, paragraph(one));
    }
    page
}

/// Lines that are printed as they stand.
pub fn example(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("{}\n", guarded(escaped(line)))).collect();
    format!(".PP\n.RS 4\n.nf\n{lines}.fi\n.RE\n")
}

/// Other pages.
pub fn see_also(pages: &[&str]) -> String {
    let pages: Vec<String> = pages.iter().map(|page| format!("\\fB{}\\fR(8)", escaped(page))).collect();
    format!(".SH \"SEE ALSO\"\n{}\n", pages.join(",\n"))
}

/// A page as it is printed: a headline begins a paragraph by itself.
pub fn finished(page: &str) -> String {
    let mut text = String::new();
    let mut after_headline = false;
    for line in page.lines() {
        if !(after_headline && line == ".PP") {
            text += line;
            text.push('\n');
        }
        after_headline = line.starts_with(".SH ") || line.starts_with(".SS ");
    }
    text
}

/// One paragraph, its marks turned into fonts.
pub fn paragraph(text: &str) -> String {
    let mut page = String::new();
    let mut bold = false;
    for c in text.chars() {
        match c {
            '`' => {
                page += if bold { "\\fR" } else { "\\fB" };
                bold = !bold;
            }
            '<' if !bold => page += "\\fI",
            '>' if !bold => page += "\\fR",
            c => escape_into(c, &mut page),
        }
    }
    guarded(page)
}

/// Text without marks.
pub fn escaped(text: &str) -> String {
    let mut page = String::new();
    text.chars().for_each(|c| escape_into(c, &mut page));
    page
}

fn escape_into(c: char, page: &mut String) {
    match c {
        '\\' => *page += "\\e",
        '-' => *page += "\\-",
        '~' => *page += "\\(ti",
        '^' => *page += "\\(ha",
        '\'' => *page += "\\(aq",
        c => page.push(c),
    }
}

/// A line that begins with a dot would be a request.
fn guarded(line: String) -> String {
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_headline_begins_a_paragraph() {
        let page = section("NAME") + &text(&["One.", "Two."]);
        assert_eq!(finished(&page), ".SH NAME\nOne.\n.PP\nTwo.\n");
    }

    #[test]
    fn marks_become_fonts_and_nothing_becomes_a_request() {
        assert_eq!(paragraph("Use `-w` <weight>."), "Use \\fB\\-w\\fR \\fIweight\\fR.");
        assert_eq!(paragraph(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(paragraph("'a\\b"), "\\(aqa\\eb");
        assert_eq!(paragraph("`a <b> c`"), "\\fBa <b> c\\fR");
    }
}
