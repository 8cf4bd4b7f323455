//! Pages to ask for: parameters, the request, and expressions about contents. The answer is read in `talk::page`.

use crate::params::Http;
use core::net::SocketAddr;
use regex::bytes::{Regex, RegexBuilder};

/// The version of HTTP, and with it the headers of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum HttpVersion {
    /// HTTP/1.0.
    #[default]
    Http10,
    /// HTTP/1.0 with `Connection: close`.
    Http10Close,
    /// HTTP/1.1 with `Connection: close`.
    Http11,
}

/// A page, and what is expected of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Url {
    /// Its path.
    pub path: String,
    /// The MD5 digest of its contents.
    pub digest: Option<[u8; 16]>,
    /// The status codes that are right, as ranges with both ends. If there are none and nothing else is expected: 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// Its virtual host.
    pub virtualhost: Option<String>,
    /// An expression about its contents.
    pub pattern: Option<Pattern>,
}

/// A regular expression about contents, of the syntax of the crate `regex`: no look-around and no back references, so that
/// no contents can make it slow.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pattern {
    /// The expression.
    pub expression: String,
    /// It must not match.
    pub no_match: bool,
    /// At which byte to begin to look.
    pub min_offset: usize,
    /// At which byte a match must have begun at the latest; `None`: anywhere.
    pub max_offset: Option<usize>,
    /// Capital and small letters are the same.
    pub caseless: bool,
    /// `^` and `$` match at lines.
    pub multiline: bool,
    /// `.` matches the end of a line as well.
    pub dotall: bool,
    /// White space and comments in the expression do not count.
    pub extended: bool,
    /// As little as possible matches, and with `?` as much as possible.
    pub ungreedy: bool,
    /// A match must begin at `min_offset`.
    pub anchored: bool,
    /// A match must end with the contents.
    pub end_anchored: bool,
    /// The contents are UTF-8.
    pub utf: bool,
}

impl Pattern {
    /// Bytes that a compiled expression may take.
    const SIZE: usize = 1 << 20;

    /// Sets an option by the word that keepalived.conf has for it; `Err` for one that has no meaning here.
    pub fn set_option(&mut self, word: &str) -> Result<(), String> {
        match word {
            "caseless" => self.caseless = true,
            "multiline" => self.multiline = true,
            "dotall" => self.dotall = true,
            "extended" => self.extended = true,
            "ungreedy" => self.ungreedy = true,
            "anchored" => self.anchored = true,
            "endanchored" => self.end_anchored = true,
            "utf" | "ucp" => self.utf = true,
            // About groups, limits and speed, none of which shows in whether something matches.
            "no_auto_capture" | "no_auto_possess" | "no_dotstar_anchor" | "no_start_optimize" | "no_utf_check"
            | "dupnames" | "never_backslash_c" | "use_offset_limit" => {}
            _ => return Err(format!("option {word} of regular expressions is not supported")),
        }
        Ok(())
    }

    /// Compiles it; `Err`: what is wrong with it, for people.
    pub fn compile(&self) -> Result<Regex, String> {
        let (begin, end) = (if self.anchored { r"\A" } else { "" }, if self.end_anchored { r"\z" } else { "" });
        // The line break keeps a comment at the end of an extended expression from eating the bracket.
        let line = if self.extended { "\n" } else { "" };
        RegexBuilder::new(&format!("{begin}(?:{}{line}){end}", self.expression))
            .case_insensitive(self.caseless)
            .multi_line(self.multiline)
            .dot_matches_new_line(self.dotall)
            .ignore_whitespace(self.extended)
            .swap_greed(self.ungreedy)
            .unicode(self.utf)
            .size_limit(Self::SIZE)
            .dfa_size_limit(Self::SIZE)
            .build()
            .map_err(|error| format!("regular expression `{}`: {error}", self.expression))
    }

    /// Whether contents are as expected.
    pub fn holds(&self, compiled: &Regex, contents: &[u8]) -> bool {
        let begin = self.min_offset.min(contents.len());
        // `\A` means the first byte looked at, as it does where matching begins at an offset.
        let found = if self.anchored {
            compiled.find(&contents[begin..]).map(|found| found.start() + begin)
        } else {
            compiled.find_at(contents, begin).map(|found| found.start())
        };
        let fits = found.is_some_and(|start| self.max_offset.is_none_or(|max| start <= max));
        fits != self.no_match
    }
}

/// The request for a page: the virtual host of the page, of the check, or the target's address and port.
pub fn request(url: &Url, http: &Http, target: SocketAddr) -> Vec<u8> {
    let (version, close) = match http.version {
        HttpVersion::Http10 => ("1.0", ""),
        HttpVersion::Http10Close => ("1.0", "Connection: close\r\n"),
        HttpVersion::Http11 => ("1.1", "Connection: close\r\n"),
    };
    let host = url.virtualhost.as_ref().or(http.virtualhost.as_ref());
    let host = host.map_or_else(|| target.to_string(), Clone::clone);
    let path = if url.path.is_empty() { "/" } else { &url.path };
    // A line break in a name would begin another header.
    let clean = |text: &str| text.replace(['\r', '\n'], "");
    format!(
        "GET {} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {}\r\n\r\n",
        clean(path),
        clean(&host)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(version: HttpVersion, virtualhost: Option<&str>) -> Http {
        let virtualhost = virtualhost.map(str::to_owned);
        Http { urls: Vec::new(), version, virtualhost, fast_recovery: false, tls: None }
    }

    #[test]
    fn requests_are_the_recorded_ones() {
        let target: SocketAddr = "10.0.2.11:8082".parse().unwrap();
        let url = Url { path: "/dig".into(), ..Url::default() };
        let text = |http: &Http, url: &Url| String::from_utf8(request(url, http, target)).unwrap();
        assert_eq!(
            text(&http(HttpVersion::Http10, None), &url),
            "GET /dig HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 10.0.2.11:8082\r\n\r\n"
        );
        assert_eq!(
            text(&http(HttpVersion::Http10Close, Some("foo")), &url),
            "GET /dig HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: foo\r\n\r\n"
        );
        let own = Url { virtualhost: Some("bar".into()), ..url };
        assert_eq!(
            text(&http(HttpVersion::Http11, Some("foo")), &own),
            "GET /dig HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: bar\r\n\r\n"
        );
        let sly = Url { path: "/a\r\nX: y".into(), ..own };
        assert!(text(&http(HttpVersion::Http10, None), &sly).starts_with("GET /aX: y HTTP/1.0\r\n"));
    }

    #[test]
    fn patterns_keep_to_their_offsets_and_options() {
        type Row<'a> = (&'a str, &'a [&'a str], usize, Option<usize>, bool);
        let table: [Row; 12] = [
            ("hello", &[], 0, None, true),
            ("HELLO", &[], 0, None, false),
            ("HELLO", &["caseless"], 0, None, true),
            ("hello", &[], 1, None, false),
            ("world", &[], 0, Some(5), false),
            ("world", &[], 0, Some(6), true),
            ("world", &["anchored"], 6, None, true),
            ("world", &["anchored"], 0, None, false),
            ("hello", &["endanchored"], 0, None, false),
            ("world # comment", &["extended", "endanchored"], 0, None, true),
            ("hello", &[], 999, None, false),
            ("", &[], 999, None, true),
        ];
        for (expression, options, min_offset, max_offset, expected) in table {
            let mut pattern = Pattern { expression: expression.into(), min_offset, max_offset, ..Pattern::default() };
            options.iter().for_each(|option| pattern.set_option(option).unwrap());
            let compiled = pattern.compile().unwrap();
            assert_eq!(pattern.holds(&compiled, b"hello world"), expected, "{pattern:?}");
            pattern.no_match = true;
            assert_eq!(pattern.holds(&compiled, b"hello world"), !expected, "{pattern:?}");
        }
    }

    #[test]
    fn what_cannot_be_compiled_is_said_so() {
        for expression in ["(", r"(a)\1", "(?=a)", "((a{500}){500}){500}"] {
            let pattern = Pattern { expression: expression.into(), ..Pattern::default() };
            assert!(pattern.compile().unwrap_err().contains("regular expression"), "{expression}");
        }
        assert!(Pattern::default().set_option("alt_bsux").is_err());
    }
}
