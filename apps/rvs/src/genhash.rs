//! `genhash`: the MD5 digest of a page, for `digest` in HTTP_GET and SSL_GET of keepalived.conf. Options, output and exit status
//! are those of keepalived's program; fetching and digesting are the same as in the checks.

use rvs_checker::genhash::hex;
use rvs_checker::{Http, HttpVersion, Page, Target, Tls, Url, request};
use rvs_prober::{Fetch, FetchError, fetch};
use std::ffi::OsString;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The command was understood; whatever came of it.
const GOOD: i32 = 0;
/// It was not, or the output cannot be written.
const USAGE: i32 = 1;
/// How long to wait when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(5);
/// So much of a page is shown with `-v`.
const SHOWN: usize = 1 << 20;

/// An option: its letter, its long name, the name of its argument if it has one, and what it does.
pub(crate) type Opt = (char, &'static str, Option<&'static str>, &'static str);

/// All options, in the order of the help.
pub(crate) const OPTIONS: [Opt; 11] = [
    ('S', "use-ssl", None, "Use SSL connection to remote server."),
    ('I', "use-sni", None, "Use SNI during SSL handshake (uses virtualhost setting; see -V)."),
    ('s', "server", Some("address"), "Use the specified remote server address."),
    ('p', "port", Some("port"), "Use the specified remote server port."),
    ('u', "url", Some("path"), "Use the specified remote server url."),
    ('V', "use-virtualhost", Some("host"), "Use the specified virtualhost in GET query."),
    ('v', "verbose", None, "Use verbose mode output."),
    ('h', "help", None, "Display this short inlined help screen."),
    ('m', "fwmark", Some("mark"), "Use the specified FW mark."),
    ('P', "protocol", Some("version"), "Use the specified HTTP protocol - '1.0', 1.0c', '1.1'."),
    ('t', "timeout", Some("seconds"), "Timeout in seconds"),
];

/// What is asked for.
#[derive(Debug)]
struct Asked {
    ssl: bool,
    sni: bool,
    server: Option<IpAddr>,
    port: Option<u16>,
    url: Option<String>,
    host: Option<String>,
    verbose: bool,
    mark: u32,
    version: HttpVersion,
    timeout: Duration,
}

/// Why the command line is not good; empty: no more than the help is to be said.
type Complaint = String;

/// `genhash`, called by this name; the exit status.
pub fn run(name: &str, args: &[OsString], out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    let asked = parse(args).and_then(|asked| Ok((address(&asked)?, asked)));
    let (address, asked) = match asked {
        Ok(asked) => asked,
        Err(complaint) => {
            let line = if complaint.is_empty() { String::new() } else { format!("{complaint}\n") };
            let _ = err.write_all(format!("{line}{}", help(name)).as_bytes());
            return USAGE;
        }
    };
    let (text, complaint) = answer(&asked, address);
    // What cannot be complained about is lost; what cannot be printed is an error.
    let _ = err.write_all(complaint.as_bytes());
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => USAGE,
        _ => GOOD,
    }
}

fn help(name: &str) -> String {
    let mut text = format!(
        "Usage: {name} COMMAND [OPTIONS]\nCommands:\n   -s server-address -p port -u url\n   \
         -S -s server-address -p port -u url\n   -h\n\nOptions:\nEither long or short options are allowed.\n"
    );
    for (letter, long, _, what) in OPTIONS {
        text += &format!("   {:<17} -{letter}       {what}\n", format!("--{long}"));
        if letter == 'P' {
            text += "                                1.0c means 1.0 with 'Connection: close'\n";
        }
    }
    text
}

fn address(asked: &Asked) -> Result<SocketAddr, Complaint> {
    match (asked.server, asked.port, &asked.url) {
        (Some(server), Some(port), Some(_)) => Ok(SocketAddr::new(server, port)),
        _ => Err(Complaint::new()),
    }
}

/// Reads the command line as getopt does: letters together, arguments attached or not, long names as short as they are unique.
fn parse(args: &[OsString]) -> Result<Asked, Complaint> {
    let mut asked = Asked {
        ssl: false,
        sni: false,
        server: None,
        port: None,
        url: None,
        host: None,
        verbose: false,
        mark: 0,
        version: HttpVersion::Http10,
        timeout: TIMEOUT,
    };
    let mut words = args.iter().map(|word| word.to_string_lossy().into_owned());
    let mut others = Vec::new();
    while let Some(word) = words.next() {
        if word == "--" {
            others.extend(words.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (long, value) = long.split_once('=').map_or((long, None), |(long, value)| (long, Some(value)));
            let (letter, takes) = by_name(long).ok_or_else(|| format!("Unknown option {word}"))?;
            let value = match (takes, value) {
                (true, None) => words.next().ok_or_else(Complaint::new)?,
                (true, Some(value)) => value.to_owned(),
                (false, None) => String::new(),
                (false, Some(_)) => return Err(format!("Unknown option {word}")),
            };
            set(&mut asked, letter, value)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut rest = letters.chars();
            while let Some(letter) = rest.next() {
                let known = OPTIONS.iter().find(|option| option.0 == letter);
                let (.., takes, _) = known.ok_or_else(|| format!("Unknown option -{letter}"))?;
                let mut value = String::new();
                if takes.is_some() {
                    value = rest.by_ref().collect();
                    if value.is_empty() {
                        value = words.next().ok_or_else(Complaint::new)?;
                    }
                }
                set(&mut asked, letter, value)?;
            }
        } else {
            others.push(word);
        }
    }
    if others.is_empty() { Ok(asked) } else { Err(format!("Unexpected argument(s): {}", others.join(" "))) }
}

/// The option of a long name or of the beginning of one: its letter, and whether it takes an argument.
fn by_name(name: &str) -> Option<(char, bool)> {
    let found = |option: &Opt| (option.0, option.2.is_some());
    if let Some(exact) = OPTIONS.iter().find(|option| option.1 == name) {
        return Some(found(exact));
    }
    let mut fitting = OPTIONS.iter().filter(|option| option.1.starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(found(only)),
        _ => None,
    }
}

fn set(asked: &mut Asked, letter: char, value: String) -> Result<(), Complaint> {
    match letter {
        'S' => asked.ssl = true,
        'I' => asked.sni = true,
        'v' => asked.verbose = true,
        's' => asked.server = Some(value.parse().map_err(|_| format!("server should be an IP, not {value}"))?),
        'p' => {
            let port = value.parse().ok().filter(|&port| port != 0);
            asked.port = Some(port.ok_or_else(|| format!("invalid port number '{value}'"))?);
        }
        'u' => asked.url = Some(value),
        'V' => asked.host = Some(value),
        'm' => asked.mark = value.parse().map_err(|_| format!("invalid fwmark '{value}'"))?,
        'P' => {
            asked.version = match value.as_str() {
                "1.0" => HttpVersion::Http10,
                "1.0c" | "1.0C" => HttpVersion::Http10Close,
                "1.1" => HttpVersion::Http11,
                _ => return Err(format!("invalid HTTP protocol version '{value}'")),
            };
        }
        't' => {
            let seconds: u32 = value.parse().map_err(|_| format!("invalid timeout '{value}'"))?;
            asked.timeout = Duration::from_secs(seconds.into());
        }
        _ => return Err(Complaint::new()),
    }
    Ok(())
}

/// What is printed, and what is complained about.
fn answer(asked: &Asked, address: SocketAddr) -> (String, String) {
    let path = asked.url.clone().unwrap_or_default();
    // The address goes with its port into the request, as in checks; a virtual host as it is.
    let sni = asked.host.clone().filter(|_| asked.sni);
    let tls = asked.ssl.then_some(Tls { sni, verify: false, compliant: false });
    let url = Url { path: path.clone(), ..Url::default() };
    let virtualhost = asked.host.clone();
    let http = Http { urls: Vec::new(), version: asked.version, virtualhost, fast_recovery: false, tls: tls.clone() };
    let what = Fetch {
        target: Target { mark: asked.mark, ..Target::new(address) },
        tls,
        request: request(&url, &http, address),
        timeout: asked.timeout,
        keep: if asked.verbose { SHOWN } else { 0 },
    };
    let begun = Instant::now();
    let (mut text, complaint) = match fetch(&what) {
        Ok(fetched) => {
            let (text, mut complaint) = shown(&fetched.page, asked.verbose);
            if !fetched.complete && complaint.is_empty() {
                complaint = "warning: the connection ended before the page did\n".to_owned();
            }
            (text, complaint)
        }
        Err(error) => (format!("{}\n", failure(&error, asked.timeout)), String::new()),
    };
    if asked.verbose {
        text += &format!("\nGlobal response time for [{path}] = {} usecs\n", begun.elapsed().as_micros());
    }
    (text, complaint)
}

/// The original's words for what went wrong.
fn failure(error: &FetchError, timeout: Duration) -> &'static str {
    match error {
        FetchError::Refused(_) => "Connection failed",
        // Without any time the connection still comes about, and then there is none left to say anything.
        FetchError::ConnectTimeout | FetchError::ReadTimeout { .. } if timeout.is_zero() => "Timeout WEB write",
        FetchError::ConnectTimeout => "Timeout connecting",
        FetchError::Tls(_) => "SSL handshake/communication error connecting to",
        FetchError::ReadTimeout { begun: false } => "Timeout WEB read",
        FetchError::ReadTimeout { begun: true } => "Timeout HTTP read",
        FetchError::Broken => "Read error with",
    }
}

/// A page and its digest.
fn shown(page: &Page, verbose: bool) -> (String, String) {
    // Of contents in chunks the digest is of what came over the wire.
    let (decoded, raw) = page.digests();
    let sum = raw.unwrap_or(decoded);
    let has_head = page.head().ends_with(b"\r\n\r\n") || page.head().ends_with(b"\n\n");
    let mut text = String::new();
    if verbose {
        text += "-----------------------[    HTTP Header Buffer    ]-----------------------\n";
        if has_head {
            text += &dump(page.head());
            text += "-----------------------[ HTTP Header Ascii Buffer ]-----------------------\n";
            text += &String::from_utf8_lossy(page.head());
            text.push('\n');
        }
        if !page.contents().is_empty() {
            text += "-----------------------[        HTML Buffer        ]-----------------------\n";
            text += &dump(page.contents());
        }
        text += "\n-----------------------[    HTML hash resulting    ]-----------------------\n";
        text += &dump(if has_head { &sum } else { &NOTHING });
        text += "-----------------------[ HTML hash final resulting ]-----------------------\n";
    }
    if !has_head {
        return (text, "no data received from remote webserver\n".to_owned());
    }
    text += &format!("{}\n", hex(&sum));
    (text, String::new())
}

/// The digest of nothing.
const NOTHING: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

/// Bytes as numbers and letters, sixteen a line.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        text += &format!("{:04}  ", number * 16);
        for at in 0..16 {
            text += &line.get(at).map_or_else(|| "   ".to_owned(), |byte| format!("{byte:02x} "));
            if at == 7 {
                text += "- ";
            }
        }
        text += "  ";
        let letters = line.iter().map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' });
        text += &format!("{:<16}\n", letters.collect::<String>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rvs_checker::genhash::digest;
    use std::io::Read;
    use std::net::TcpListener;

    fn call(args: &[&str]) -> (i32, String, String) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = run("genhash", &args, &mut out, &mut err);
        (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    /// A server that says this to one client, and what it was asked.
    fn server(answer: &'static [u8]) -> (String, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 2000];
            let count = stream.read(&mut buffer).unwrap();
            stream.write_all(answer).unwrap();
            buffer[..count].to_vec()
        });
        (port, thread)
    }

    fn ask(answer: &'static [u8], more: &[&str]) -> (i32, String, String, String) {
        let (port, thread) = server(answer);
        let args = [&["-s", "127.0.0.1", "-p", &port, "-u", "/x"], more].concat();
        let (status, out, err) = call(&args);
        let asked = String::from_utf8(thread.join().unwrap()).unwrap();
        (status, out, err, asked.replace(&port, "PORT"))
    }

    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nX: 012345678\r\n\r\n0123456789abcdef";

    #[test]
    fn a_page_has_the_digest_that_the_original_prints() {
        let (status, out, err, asked) = ask(PAGE, &[]);
        assert_eq!((status, out.as_str(), err.as_str()), (0, "4032af8d61035123906e58e067140cc5\n", ""));
        assert_eq!(asked, "GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.1:PORT\r\n\r\n");
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let (_, out, _, asked) = ask(chunked, &["-P", "1.1", "--use-virtualhost=foo"]);
        assert_eq!(out, "79e9489e3bd3f0cb0158215341de046d\n");
        assert_eq!(asked, "GET /x HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: foo\r\n\r\n");
    }

    #[test]
    fn the_verbose_page_is_the_recorded_one() {
        let (status, out, err, _) = ask(PAGE, &["-v"]);
        assert_eq!((status, err.as_str()), (0, ""));
        let (page, time) = out.split_once("\nGlobal response time for [/x] = ").unwrap();
        assert!(time.ends_with(" usecs\n"), "{time}");
        let recorded = "-----------------------[    HTTP Header Buffer    ]-----------------------\n\
            0000  48 54 54 50 2f 31 2e 31 - 20 32 30 30 20 4f 4b 0d   HTTP/1.1 200 OK.\n\
            0016  0a 58 3a 20 30 31 32 33 - 34 35 36 37 38 0d 0a 0d   .X: 012345678...\n\
            0032  0a                      -                           .               \n\
            -----------------------[ HTTP Header Ascii Buffer ]-----------------------\n\
            HTTP/1.1 200 OK\r\nX: 012345678\r\n\r\n\n\
            -----------------------[        HTML Buffer        ]-----------------------\n\
            0000  30 31 32 33 34 35 36 37 - 38 39 61 62 63 64 65 66   0123456789abcdef\n\n\
            -----------------------[    HTML hash resulting    ]-----------------------\n\
            0000  40 32 af 8d 61 03 51 23 - 90 6e 58 e0 67 14 0c c5   @2..a.Q#.nX.g...\n\
            -----------------------[ HTML hash final resulting ]-----------------------\n\
            4032af8d61035123906e58e067140cc5\n";
        assert_eq!(page, recorded);
    }

    #[test]
    fn what_goes_wrong_is_said_in_the_recorded_words() {
        let (status, out, err, _) = ask(b"hello", &[]);
        assert_eq!((status, out.as_str(), err.as_str()), (0, "", "no data received from remote webserver\n"));
        assert_eq!(ask(b"", &[]).1, "Read error with\n");
        let (_, out, err, _) = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel", &[]);
        assert_eq!(out, "46356afe55fa3cea9cbe73ad442cad47\n");
        assert_eq!(err, "warning: the connection ended before the page did\n");
        let (port, thread) = server(b"hello");
        let out = call(&["-S", "-s", "127.0.0.1", "-p", &port, "-u", "/"]).1;
        assert_eq!(out, "SSL handshake/communication error connecting to\n");
        thread.join().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        assert_eq!(
            call(&["--serv", "127.0.0.1", "--por", &free, "--url=/"]),
            (0, "Connection failed\n".into(), String::new())
        );
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = mute.local_addr().unwrap().port().to_string();
        assert_eq!(call(&["-s", "127.0.0.1", "-p", &port, "-u", "/", "-t", "1"]).1, "Timeout WEB read\n");
        assert_eq!(call(&["-s", "127.0.0.1", "-p", &port, "-u", "/", "-t", "0"]).1, "Timeout WEB write\n");
    }

    #[test]
    fn command_lines_that_make_no_sense_are_answered_with_the_help() {
        let help = help("genhash");
        assert!(help.starts_with("Usage: genhash COMMAND [OPTIONS]\nCommands:\n   -s server-address -p port -u url\n"));
        assert_eq!(help.lines().count(), 20);
        assert!(help.contains("\n   --use-virtualhost -V       Use the specified virtualhost in GET query.\n"));
        for (line, complaint) in [
            ("", ""),
            ("-h", ""),
            ("--help", ""),
            ("-s", ""),
            ("-s 10.0.0.1 -u /", ""),
            ("-s foo -p 80 -u /", "server should be an IP, not foo\n"),
            ("-s 10.0.0.1 -p 99999", "invalid port number '99999'\n"),
            ("-p 0", "invalid port number '0'\n"),
            ("-P 1.2", "invalid HTTP protocol version '1.2'\n"),
            ("-t -1", "invalid timeout '-1'\n"),
            ("-m x", "invalid fwmark 'x'\n"),
            ("-x", "Unknown option -x\n"),
            ("-Sx", "Unknown option -x\n"),
            ("--nope", "Unknown option --nope\n"),
            ("--use-s", "Unknown option --use-s\n"),
            ("-s 10.0.0.1 -p 1 -u / extra more", "Unexpected argument(s): extra more\n"),
        ] {
            let args: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(call(&args), (1, String::new(), format!("{complaint}{help}")), "{line}");
        }
        assert_eq!(digest(b""), NOTHING);
    }
}
