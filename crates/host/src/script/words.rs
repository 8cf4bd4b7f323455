//! A script's line as words: white space parts them, quotes of both kinds keep white space, a backslash keeps the next byte
//! outside single quotes. Nothing is expanded: no shell is asked.

/// The most words of a line.
const MOST: usize = 256;

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A quote that is not closed.
    #[error("a quote is not closed")]
    OpenQuote,
    /// Nothing there.
    #[error("there is no command")]
    Empty,
    /// Too many words.
    #[error("there are more than 256 words")]
    TooMany,
}

/// Splits a line.
pub fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), char) if char == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, char) if char.is_ascii_whitespace() => words.extend(word.take()),
            (_, char) => word.get_or_insert_default().push(char),
        }
    }
    if quote.is_some() {
        return Err(WordsError::OpenQuote);
    }
    words.extend(word);
    match words.len() {
        0 => Err(WordsError::Empty),
        1..=MOST => Ok(words),
        _ => Err(WordsError::TooMany),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_and_backslashes() {
        assert_eq!(split("/a/b  c\td").unwrap(), ["/a/b", "c", "d"]);
        assert_eq!(split(r#""/a b" 'c "d"' e\ f"g"h "" "#).unwrap(), ["/a b", "c \"d\"", "e fgh", ""]);
        assert_eq!(split(r#"x '\n' "\"" \\"#).unwrap(), ["x", r"\n", "\"", "\\"]);
        assert_eq!(split("a 'b"), Err(WordsError::OpenQuote));
        assert_eq!(split(" \t "), Err(WordsError::Empty));
        assert_eq!(split(&"a ".repeat(257)), Err(WordsError::TooMany));
    }
}
