//! Pages to ask for: parameters and the request. The answer is read in `talk::page`.

use crate::params::Http;
use crate::pattern::Pattern;
use crate::talk::h2;
use core::net::SocketAddr;

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
    /// HTTP/2: agreed on in the handshake of TLS, without TLS taken for granted.
    Http2,
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

/// The request for a page: the virtual host of the page, of the check, or the target's address and port. For HTTP/2 with all
/// that goes before it.
pub fn request(url: &Url, http: &Http, target: SocketAddr) -> Vec<u8> {
    let host = url.virtualhost.as_ref().or(http.virtualhost.as_ref());
    let host = host.map_or_else(|| target.to_string(), Clone::clone);
    let path = if url.path.is_empty() { "/" } else { &url.path };
    // A line break in a name would begin another header.
    let clean = |text: &str| text.replace(['\r', '\n'], "");
    let (version, close) = match http.version {
        HttpVersion::Http10 => ("1.0", ""),
        HttpVersion::Http10Close => ("1.0", "Connection: close\r\n"),
        HttpVersion::Http11 => ("1.1", "Connection: close\r\n"),
        HttpVersion::Http2 => return h2::get(&clean(path), &clean(&host), http.tls.is_some()),
    };
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
}
