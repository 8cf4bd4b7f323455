//! What is said about pages, for each thing that can be expected of one.

use crate::world::*;
use rvs_checker::*;

fn check(url: Url) -> Probe {
    let url = Url { path: "/p".into(), ..url };
    Probe::Http(Http {
        urls: vec![url],
        version: HttpVersion::Http11,
        virtualhost: None,
        fast_recovery: true,
        tls: None,
    })
}

fn says(body: &str) -> Server {
    Server::Says(vec![format!("HTTP/1.0 200 OK\r\n\r\n{body}").into_bytes()])
}

#[test]
fn each_expectation_has_its_lines() {
    let pattern = |no_match| Some(Pattern { expression: "h.llo".into(), no_match, ..Pattern::default() });
    let table = [
        (
            Url { digest: Some(genhash::digest(b"hello")), ..Url::default() },
            "hello",
            "x",
            "MD5 digest error to",
            "MD5 digest",
        ),
        (
            Url { digest: Some(genhash::digest(b"hello")), status: vec![(200, 200)], ..Url::default() },
            "hello",
            "x",
            "MD5 digest error to",
            "MD5 digest",
        ),
        (
            Url { pattern: pattern(false), status: vec![(200, 200)], ..Url::default() },
            "hello",
            "x",
            "Regex match failed",
            "Regex match",
        ),
        (Url { pattern: pattern(false), ..Url::default() }, "hello", "x", "Regex match failed", "Regex match"),
        (Url { pattern: pattern(true), ..Url::default() }, "x", "hello", "Regex no match failed", "Regex match"),
        (Url { status: vec![(200, 200)], ..Url::default() }, "x", "", "", "HTTP status code"),
    ];
    for (url, right, wrong, bad, good) in table {
        let mut world = World::new(params(check(url)), if bad.is_empty() { Server::Refuses } else { says(wrong) });
        world.run_to(1000);
        let bad = if bad.is_empty() { "Connection failed" } else { bad };
        assert_eq!(world.lines()[0].1, format!("{bad} server [10.0.2.11]:tcp:80."));
        world.server = says(right);
        world.run_to(5000);
        let line = format!("{good} success to [10.0.2.11]:tcp:80 url(/p)");
        let lines: Vec<String> = world.lines().into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines[..3], [line.clone(), line, "Remote Web server [10.0.2.11]:tcp:80 succeed on service.".into()]);
    }
}

#[test]
fn pages_may_come_over_tls() {
    let mut over = params(check(Url::default()));
    let Probe::Http(http) = &mut over.probe else { unreachable!("it is one") };
    http.tls = Some(Tls { sni: Some("www".into()), verify: true, compliant: true });
    assert_eq!(over.probe.keyword(), "SSL_GET");
    let mut world = World::new(over.clone(), Server::BadTls("certificate has expired"));
    world.run_to(1000);
    let line = "SSL handshake/communication error connecting to server (certificate has expired) [10.0.2.11]:tcp:80.";
    assert_eq!(world.lines()[0].1, line);
    // The page is complete, but its farewell is waited for.
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".to_vec();
    let mut world = World::new(over, Server::Says(vec![whole]));
    world.run_to(1000);
    assert!(world.check.is_up() && world.check.has_run());
}
