//! Answers of every kind, right and wrong, and any bytes at all: no conversation panics, runs on for ever, keeps more than its
//! limit, or depends on how a stream was cut.

use super::agent::AgentTalk;
use super::dns::DnsTalk;
use super::echo::EchoTalk;
use super::grpc::GrpcTalk;
use super::mysql::MysqlTalk;
use super::page::{COURTESY_LIMIT, PATTERN_LIMIT, PageTalk};
use super::page2::Page2Talk;
use super::pgsql::PgsqlTalk;
use super::redis::RedisTalk;
use super::smtp::SmtpTalk;
use super::udp::UdpTalk;
use super::{Step, Talk};
use crate::verdict::{Advice, Finding, Met, Wish};
use crate::*;
use proptest::prelude::*;

/// How a conversation ends.
#[derive(Clone, PartialEq, Eq, Debug)]
enum End {
    /// It waits for more.
    Open,
    Good(Finding),
    Bad(Reason),
}

/// Says these pieces to it; then perhaps the end. Returns how it ended and what it said.
fn hold(talk: &mut dyn Talk, pieces: &[&[u8]], close: bool) -> (End, Vec<u8>) {
    let mut said = Vec::new();
    type Do = Box<dyn FnOnce(&mut dyn Talk) -> Step>;
    let mut steps: Vec<Do> = vec![Box::new(|talk| talk.open())];
    for piece in pieces {
        let piece = piece.to_vec();
        steps.push(Box::new(move |talk| talk.hear(&piece)));
    }
    if close {
        steps.push(Box::new(|talk| talk.ended()));
    }
    for step in steps {
        match step(talk) {
            Step::Wait => {}
            Step::Say(bytes) => said.extend(bytes),
            Step::Pass(bytes, finding) => {
                said.extend(bytes);
                return (End::Good(finding), said);
            }
            Step::Fail(reason) => return (End::Bad(reason), said),
        }
    }
    (End::Open, said)
}

fn good() -> End {
    End::Good(Finding::default())
}

fn page(url: Url) -> PageTalk {
    let compiled = url.pattern.as_ref().map(|pattern| pattern.compile().unwrap());
    PageTalk::new(b"GET".to_vec(), url, compiled, false)
}

fn met(met: &[Met]) -> End {
    End::Good(Finding { met: met.to_vec(), ..Finding::default() })
}

fn pattern(expression: &str, no_match: bool) -> Option<Pattern> {
    Some(Pattern { expression: expression.into(), no_match, ..Pattern::default() })
}

#[test]
fn pages_are_judged_by_status_digest_and_contents() {
    let plain = Url::default();
    let digest = Url { digest: Some(genhash::digest(b"hello")), ..Url::default() };
    let codes = Url { status: vec![(200, 204), (404, 404)], ..Url::default() };
    let regex = Url { pattern: pattern("h.llo", false), ..Url::default() };
    let no_regex = Url { pattern: pattern("h.llo", true), ..Url::default() };
    let all = Url { status: vec![(200, 200)], ..digest.clone() };
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n";
    let table: [(&Url, &[u8], End); 22] = [
        (&plain, b"HTTP/1.0 200 OK\r\n\r\nhello", met(&[Met::Status])),
        (&plain, b"HTTP/1.0 299 OK\n\nhello", met(&[Met::Status])),
        (&plain, b"HTTP/1.0 300 No\r\n\r\n", End::Bad(Reason::Status(300))),
        (&plain, b"garbage\r\n\r\nxx", End::Bad(Reason::Status(0))),
        (&plain, b"HTTP/1.0 2000 OK\r\n\r\n", End::Bad(Reason::Status(0))),
        (&plain, b"garbage without an end", End::Bad(Reason::Status(0))),
        (&plain, b"", End::Bad(Reason::ClosedEarly)),
        (&plain, b"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 204 Ok\r\n\r\n", met(&[Met::Status])),
        (&plain, b"HTTP/1.1 200 Ok\r\nContent-Length: 9\r\n\r\nhello", End::Bad(Reason::ClosedEarly)),
        (&digest, b"HTTP/1.1 200 Ok\r\ncontent-length:5\r\n\r\nhello!!", met(&[Met::Digest])),
        (&digest, b"HTTP/1.0 500 Oops\r\n\r\nhello", met(&[Met::Digest])),
        (&digest, b"HTTP/1.0 200 OK\r\n\r\nhullo", End::Bad(Reason::Digest(genhash::digest(b"hullo")))),
        (&digest, chunked, met(&[Met::Digest])),
        (&codes, b"HTTP/1.0 404 No\r\n\r\n", met(&[Met::Status])),
        (&codes, b"HTTP/1.0 205 No\r\n\r\n", End::Bad(Reason::Status(205))),
        (&regex, b"HTTP/1.0 200 OK\r\n\r\nsay hello", met(&[Met::Regex])),
        (&regex, b"HTTP/1.0 200 OK\r\n\r\nsay hi", End::Bad(Reason::NoMatch)),
        (&regex, chunked, met(&[Met::Regex])),
        (&no_regex, b"HTTP/1.0 200 OK\r\n\r\nhello", End::Bad(Reason::Match)),
        (&all, b"HTTP/1.0 200 OK\r\n\r\nhello", met(&[Met::Status, Met::Digest])),
        (&all, b"HTTP/1.0 201 OK\r\n\r\nhello", End::Bad(Reason::Status(201))),
        (
            &plain,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
            End::Bad(Reason::Malformed("a chunk without a size")),
        ),
    ];
    for (url, answer, expected) in table {
        assert_eq!(hold(&mut page(url.clone()), &[answer], true).0, expected, "{}", String::from_utf8_lossy(answer));
        let bytes: Vec<&[u8]> = answer.chunks(1).collect();
        assert_eq!(hold(&mut page(url.clone()), &bytes, true).0, expected, "byte by byte");
    }
}

#[test]
fn a_digest_of_chunks_as_they_came_is_taken_as_well() {
    let wire = b"5\r\nhello\r\n0\r\n\r\n";
    let url = Url { digest: Some(genhash::digest(wire)), ..Url::default() };
    let answer = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), wire].concat();
    assert_eq!(hold(&mut page(url), &[&answer], true).0, met(&[Met::Digest]));
}

#[test]
fn huge_pages_end() {
    let block = vec![b'x'; 64 << 10];
    let feed = |url: Url, head: &[u8]| {
        let mut talk = page(url);
        talk.open();
        talk.hear(head);
        (1_u64..).find_map(|count| match talk.hear(&block) {
            Step::Wait => None,
            step => Some((step, count * block.len() as u64)),
        })
    };
    let (step, read) = feed(Url::default(), b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
    assert!(matches!(step, Step::Pass(..)) && read <= COURTESY_LIMIT + block.len() as u64);
    let url = Url { pattern: pattern("y", false), ..Url::default() };
    let (step, read) = feed(url, b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
    assert!(step == Step::Fail(Reason::TooLong) && read <= PATTERN_LIMIT + block.len() as u64);
    assert_eq!(feed(Url::default(), b"HTTP/1.0 200 OK\r\nX: ").unwrap().0, Step::Fail(Reason::TooLong));
    let trailer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    assert_eq!(feed(Url::default(), trailer).unwrap().0, Step::Fail(Reason::TooLong));
}

#[test]
fn a_mail_server_greets_and_says_goodbye() {
    let table: [(&[&[u8]], bool, End, &str); 8] = [
        (&[b"220 hi\r\n", b"250 ok\r\n", b"221 bye\r\n"], false, good(), "HELO me\r\nQUIT\r\n"),
        (&[b"220-a\r\n220 b\r\n", b"250-c\n", b"250 d\n", b"221 e\n"], false, good(), "HELO me\r\nQUIT\r\n"),
        (&[b"220 hi\r\n", b"250 ok\r\n"], true, good(), "HELO me\r\nQUIT\r\n"),
        (&[b"554 no\r\n"], false, End::Bad(Reason::Greeting), ""),
        (&[b"220 hi\r\n", b"550 no\r\n"], false, End::Bad(Reason::Helo), "HELO me\r\n"),
        (&[b"220 hi\r\n", b"250 ok\r\n", b"500 no\r\n"], false, End::Bad(Reason::Quit), "HELO me\r\nQUIT\r\n"),
        (&[b"220 hi\r\n"], true, End::Bad(Reason::Helo), "HELO me\r\n"),
        (&[&[b'2'; 9000]], false, End::Bad(Reason::TooLong), ""),
    ];
    for (pieces, close, end, said) in table {
        assert_eq!(hold(&mut SmtpTalk::new("me"), pieces, close), (end, said.as_bytes().to_vec()));
    }
}

#[test]
fn a_name_server_answers_the_question() {
    let dns = Dns { kind: DnsType::A, name: "www.example.org".into() };
    let question = b"\x03www\x07example\x03org\x00\x00\x01\x00\x01";
    let asked = [b"\xa0\x1e\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".as_slice(), question].concat();
    let answer = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = asked.clone();
        (bytes[2], bytes[3]) = (0x81, 0x80);
        change(&mut bytes);
        let (end, said) = hold(&mut DnsTalk::new(&dns, 0xa01e), &[&bytes], false);
        assert_eq!(said, asked, "as recorded");
        end
    };
    assert_eq!(answer(&|_| {}), good());
    assert_eq!(answer(&|bytes| bytes[13] = b'W'), good());
    assert_eq!(answer(&|bytes| bytes[3] |= 3), End::Bad(Reason::Rcode(3)));
    assert_eq!(answer(&|bytes| bytes[0] ^= 1), End::Open, "another number: the answer may still come");
    assert_eq!(answer(&|bytes| bytes[2] &= 0x7f), End::Open);
    assert_eq!(answer(&|bytes| bytes[13] = b'v'), End::Open);
    assert_eq!(answer(&|bytes| bytes.truncate(5)), End::Open);
    assert_eq!(answer(&|bytes| bytes.truncate(14)), End::Open);
    assert_eq!(answer(&|bytes| bytes[5] = 9), End::Open);
    let root = hold(&mut DnsTalk::new(&Dns::default(), 1), &[], false).1;
    assert_eq!(root[12..], [0, 0, 6, 0, 1]);
    for (name, askable) in [("", true), (".", true), ("a.b.", true), ("a..b", false), (&"x".repeat(64), false)] {
        assert_eq!(is_askable(name), askable, "{name}");
    }
}

#[test]
fn a_datagram_may_need_an_answer_that_fits() {
    let reply = UdpReply { pattern: vec![(0xab, 0xff), (0x0d, 0x0f)], min: 2, max: 4 };
    let strict = Udp { payload: vec![1, 2], reply: Some(reply) };
    let hear = |udp: &Udp, bytes: &[u8]| hold(&mut UdpTalk::new(udp), &[bytes], false).0;
    assert_eq!(hear(&strict, &[0xab, 0xcd]), good());
    assert_eq!(hear(&strict, &[0xab, 0x1d, 9, 9]), good());
    for wrong in [&[0xab, 0xcc][..], &[0xab], &[], &[0xab, 0xcd, 1, 2, 3], &[0xaa, 0xcd]] {
        assert_eq!(hear(&strict, wrong), End::Bad(Reason::Mismatch));
    }
    assert_eq!(UdpTalk::new(&strict).silent(), Step::Fail(Reason::ReadTimeout));
    let lax = Udp { payload: vec![], reply: None };
    assert_eq!(UdpTalk::new(&lax).silent(), Step::good());
    assert_eq!(hear(&lax, &[1]), good());
}

#[test]
fn echo_replies_are_known_by_number_and_contents() {
    for (v6, request, reply) in [(false, 8, 0), (true, 128, 129)] {
        let said = hold(&mut EchoTalk::new(v6, 77), &[], false).1;
        assert_eq!(said[0], request);
        let answer = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = said.clone();
            // A socket for pings has an identifier of its own.
            (bytes[0], bytes[4], bytes[5]) = (reply, 9, 9);
            change(&mut bytes);
            hold(&mut EchoTalk::new(v6, 77), &[&bytes], false).0
        };
        assert_eq!(answer(&|_| {}), good());
        assert_eq!(answer(&|bytes| bytes[0] = request), End::Open);
        assert_eq!(answer(&|bytes| bytes[7] ^= 1), End::Open);
        assert_eq!(answer(&|bytes| bytes.truncate(3)), End::Open);
    }
    let said = hold(&mut EchoTalk::new(false, 77), &[], false).1;
    let sum: u32 = said.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "RFC 1071");
}

#[test]
fn agents_say_weight_state_and_health() {
    let finding = |advice, wish| End::Good(Finding { advice, wish, met: vec![] });
    let percent = |number| Some(Advice::Percent(number));
    let table: [(&[u8], AgentScope, End); 16] = [
        (b"75%\n", AgentScope::Both, finding(percent(75), None)),
        (b"  up 50%\r\n", AgentScope::Both, finding(percent(50), None)),
        (b"drain\n", AgentScope::Both, finding(None, Some(Wish::Drain))),
        (b"maint\n", AgentScope::Both, finding(None, Some(Wish::Maint))),
        (b"ready,up,100%\n", AgentScope::Both, finding(percent(100), Some(Wish::Ready))),
        (b"UP maxconn:30 # fine\n", AgentScope::Both, finding(None, None)),
        (b"0%\n", AgentScope::Both, finding(percent(0), None)),
        (b"9999999%\n", AgentScope::Both, End::Bad(Reason::Malformed("a word that no agent says"))),
        (b"down # broken\n", AgentScope::Both, End::Bad(Reason::NotServing("down # broken".into()))),
        (b"stopped\n", AgentScope::Both, End::Bad(Reason::NotServing("stopped".into()))),
        (b"fail 50%\n", AgentScope::Weight, finding(percent(50), None)),
        (b"up drain 50%\n", AgentScope::Health, finding(None, Some(Wish::Drain))),
        (b"hello\n", AgentScope::Both, End::Bad(Reason::Malformed("a word that no agent says"))),
        (b"-5%\n", AgentScope::Both, End::Bad(Reason::Malformed("a word that no agent says"))),
        (b"\n", AgentScope::Both, End::Bad(Reason::Malformed("an agent's line without words"))),
        (b"", AgentScope::Both, End::Bad(Reason::ClosedEarly)),
    ];
    for (line, scope, expected) in table {
        let agent = Agent { send: Some("hi\n".into()), scope };
        assert_eq!(hold(&mut AgentTalk::new(&agent), &[line], true), (expected, b"hi\n".to_vec()));
    }
    // Without an end of the line the end of the connection will do.
    assert_eq!(hold(&mut AgentTalk::new(&Agent::default()), &[b"up"], true).0, good());
    assert_eq!(hold(&mut AgentTalk::new(&Agent::default()), &[b"up"], false).0, End::Open);
}

#[test]
fn redis_says_pong_and_its_role() {
    let plain = Redis::default();
    let auth = Redis { username: Some("u".into()), password: Some("p".into()), role: None };
    let master = Redis { role: Some("master".into()), ..Redis::default() };
    let ping = "*1\r\n$4\r\nPING\r\n";
    let role = format!("{ping}*1\r\n$4\r\nROLE\r\n");
    let login = format!("*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n{ping}");
    let table: [(&Redis, &[&[u8]], End, &str); 9] = [
        (&plain, &[b"+PO", b"NG\r\n"], good(), ping),
        (&plain, &[b"-NOAUTH wanted\r\n"], End::Bad(Reason::Denied("NOAUTH wanted".into())), ping),
        (&plain, &[b"-LOADING\r\n"], End::Bad(Reason::NotServing("LOADING".into())), ping),
        (&plain, &[b"HTTP/1.1 400\r\n"], End::Bad(Reason::Malformed("not an answer of Redis")), ping),
        (&plain, &[b"+PONG"], End::Open, ping),
        (&auth, &[b"+OK\r\n", b"+PONG\r\n"], good(), &login),
        (&master, &[b"+PONG\r\n", b"*3\r\n$6\r\nmaster\r\n:1\r\n"], good(), &role),
        (&master, &[b"+PONG\r\n", b"*5\r\n$5\r\nslave\r\n"], End::Bad(Reason::Role("slave".into())), &role),
        (&master, &[b"+PONG\r\n", b"*3\r\n$999\r\n"], End::Bad(Reason::Malformed("a role of a wrong length")), &role),
    ];
    for (redis, pieces, end, said) in table {
        assert_eq!(hold(&mut RedisTalk::new(redis), pieces, false), (end, said.as_bytes().to_vec()));
    }
}

/// A packet of MySQL.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(number);
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn mysql_greets_and_logs_in() {
    let plain = Mysql::default();
    let user = Mysql { username: Some("check".into()), password: None };
    let greeting = packet(0, b"\x0a8.0.36\0\x01\0\0\0saltsalt\0\xff\xff");
    let denied = packet(2, b"\xff\x15\x04#28000Access denied");
    let hear = |mysql: &Mysql, pieces: &[&[u8]]| hold(&mut MysqlTalk::new(mysql), pieces, false);
    assert_eq!(hear(&plain, &[&greeting]).0, good());
    assert_eq!(hear(&plain, &[&greeting[..9]]).0, End::Open);
    let (end, said) = hear(&user, &[&greeting, &packet(2, b"\0\0\0")]);
    assert_eq!(end, good());
    assert!(said[3] == 1 && said[36..].starts_with(b"check\0\0mysql_native_password\0"));
    assert!(said.ends_with(&[1, 0, 0, 0, 1]), "COM_QUIT");
    assert_eq!(usize::from(said[0]), said.len() - 4 - 5);
    assert_eq!(hear(&user, &[&greeting, &packet(2, b"\xfecaching\0"), &packet(4, b"\0")]).0, good());
    assert_eq!(hear(&user, &[&greeting, &denied]).0, End::Bad(Reason::Denied("1045 Access denied".into())));
    let full = packet(0, b"\xff\x10\x04Too many connections");
    assert_eq!(hear(&plain, &[&full]).0, End::Bad(Reason::NotServing("1040 Too many connections".into())));
    for wrong in
        [packet(0, b"\x09old"), packet(0, b""), packet(0, b"\x0ashort\0"), b"HTTP/1.0".to_vec(), packet(0, b"\xff")]
    {
        assert!(matches!(hear(&plain, &[&wrong]).0, End::Bad(Reason::Malformed(_))), "{wrong:?}");
    }
}

#[test]
fn mysql_is_shown_a_proof_of_the_password() {
    let mysql = Mysql { username: Some("me".into()), password: Some("secret".into()) };
    let greeting = |way: &[u8]| {
        let first = b"\x0a8.0.36\0\x01\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\0\xff\xff\x21\x02\0\xff\xff\x15";
        let second = b"\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\0";
        packet(0, &[first, &[0; 10][..], second, way, b"\0"].concat())
    };
    let native = b"\xb3\x2b\xb3\xa5\x83\xe1\x34\x0c\x0a\x11\x08\xd5\x8b\x1b\xe4\x97\x81\xad\x8c\x2f";
    let sha2 = b"\x74\x6e\xbe\x20\x5d\x56\xa0\x70\x7a\xcb\x3e\x79\x6e\x83\x4e\x0d\xd7\xb1\xd6\x17\x43\xb2\x6b\xd5\x20\x2c\x7a\x62\x32\x30\xc7\xc9";
    let hear = |pieces: &[&[u8]]| hold(&mut MysqlTalk::new(&mysql), pieces, false);
    let ends_with = |said: &[u8], parts: &[&[u8]]| assert!(said.ends_with(&parts.concat()), "{said:02x?}");
    ends_with(&hear(&[&greeting(b"mysql_native_password")]).1, &[b"me\0\x14", native, b"mysql_native_password\0"]);
    ends_with(&hear(&[&greeting(b"caching_sha2_password")]).1, &[b"me\0\x20", sha2, b"caching_sha2_password\0"]);
    // Where something else is offered, it is tried the old way; then the server may ask for another.
    let salt: Vec<u8> = (1..=20).chain([0]).collect();
    let other = [b"\xfecaching_sha2_password\0", &salt[..]].concat();
    let (end, said) = hear(&[&greeting(b"ed25519"), &packet(2, &other)]);
    assert_eq!(end, End::Open);
    ends_with(&said, &[b"\x20\0\0\x03", sha2]);
    let fast = [&greeting(b"caching_sha2_password")[..], &packet(2, b"\x01\x03"), &packet(3, b"\0\0\0")];
    assert_eq!(hear(&fast).0, good());
    for refused in [packet(2, b"\x01\x04"), packet(2, b"\xfeclient_ed25519\0salt")] {
        let end = hear(&[&greeting(b"caching_sha2_password"), &refused]).0;
        assert!(matches!(end, End::Bad(Reason::Denied(_))), "{end:?}");
    }
    let short = packet(0, b"\x0a8.0.36\0\x01\0\0\0saltsalt\0\xff\xff");
    assert!(matches!(hear(&[&short]).0, End::Bad(Reason::Malformed(_))));
}

#[test]
fn postgresql_asks_to_log_in() {
    let plain = Pgsql { username: "postgres".into(), database: Some("db".into()), ssl_request: false };
    let first = Pgsql { ssl_request: true, ..plain.clone() };
    let hear = |pgsql: &Pgsql, pieces: &[&[u8]]| hold(&mut PgsqlTalk::new(pgsql), pieces, false);
    let startup = b"\0\0\0\x23\0\x03\0\0user\0postgres\0database\0db\0\0";
    let terminate = b"X\0\0\0\x04";
    let ask = b"R\0\0\0\x08\0\0\0\0";
    assert_eq!(hear(&plain, &[&ask[..3], &ask[3..]]), (good(), [&startup[..], terminate].concat()));
    let (end, said) = hear(&first, &[b"N", ask]);
    assert_eq!((end, said), (good(), [b"\0\0\0\x08\x04\xd2\x16\x2f", &startup[..], terminate].concat()));
    assert_eq!(hear(&first, &[b"S"]).0, good());
    let error = |fields: &[u8]| [b"E", &(fields.len() as u32 + 4).to_be_bytes()[..], fields].concat();
    let starting = error(b"SFATAL\0C57P03\0Mthe database system is starting up\0\0");
    let text = "57P03 the database system is starting up".to_owned();
    assert_eq!(hear(&plain, &[&starting]).0, End::Bad(Reason::NotServing(text)));
    let denied = error(b"C28000\0Mno entry\0\0");
    assert_eq!(hear(&plain, &[&denied]).0, End::Bad(Reason::Denied("28000 no entry".into())));
    for wrong in [&b"HTTP/1.0 400"[..], b"R\xff\xff\xff\xff", b"R\0\0\0\x01", b"Z\0\0\0\x05I"] {
        assert!(matches!(hear(&plain, &[wrong]).0, End::Bad(Reason::Malformed(_))), "{wrong:?}");
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, body: &[u8]) -> Vec<u8> {
    [&[0, (body.len() >> 8) as u8, body.len() as u8, kind, flags, 0, 0, 0, stream], body].concat()
}

#[test]
fn grpc_services_say_whether_they_serve() {
    let grpc = Grpc { service: "shop".into(), ..Grpc::default() };
    let hear = |frames: &[Vec<u8>]| {
        let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        hold(&mut GrpcTalk::new(&grpc, "a:1"), &pieces, false)
    };
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 1]);
    let headers = frame(1, 4, 1, &[0x88]);
    let answer = |status: u8| frame(0, 0, 1, &[0, 0, 0, 0, 2, 8, status]);
    let (end, said) = hear(&[settings.clone(), frame(6, 0, 0, &[7; 8]), headers.clone(), answer(1)]);
    assert_eq!(end, good());
    assert!(said.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    let text = String::from_utf8_lossy(&said).into_owned();
    assert!(text.contains("/grpc.health.v1.Health/Check") && text.contains("\u{6}\n\u{4}shop"), "{text:?}");
    assert!(said.windows(17).any(|bytes| bytes == frame(6, 1, 0, &[7; 8])), "the ping is answered");
    assert_eq!(said[said.len() - 17 + 3], 7, "GOAWAY at the end");
    let not_serving = |text: &str| End::Bad(Reason::NotServing(text.into()));
    assert_eq!(hear(&[settings.clone(), answer(2)]).0, not_serving("NOT_SERVING"));
    assert_eq!(hear(&[settings.clone(), answer(3)]).0, not_serving("SERVICE_UNKNOWN"));
    let empty = frame(0, 0, 1, &[0; 5]);
    assert_eq!(hear(&[settings.clone(), empty]).0, not_serving("UNKNOWN"), "0 is not sent");
    assert_eq!(hear(&[settings.clone(), frame(1, 5, 1, &[0x88])]).0, not_serving("the call was refused"));
    assert_eq!(hear(&[settings.clone(), frame(3, 0, 1, &[0; 4])]).0, not_serving("the server breaks the call off"));
    assert_eq!(hear(&[settings.clone(), frame(7, 0, 0, &[0; 8])]).0, not_serving("the server ends the connection"));
    let padded = frame(0, 8, 1, &[2, 0, 0, 0, 0, 2, 8, 1, 0, 0]);
    assert_eq!(hear(&[settings.clone(), padded]).0, good());
    assert_eq!(hear(&[settings.clone(), headers.clone()]).0, End::Open);
    for wrong in [
        vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()],
        vec![headers],
        vec![settings.clone(), frame(0, 8, 1, &[9, 0])],
        vec![settings.clone(), frame(0, 0, 1, &[1, 0, 0, 0, 0])],
        vec![settings.clone(), frame(0, 0, 1, &[0, 0, 0, 0, 1, 8])],
        vec![settings.clone(), frame(5, 0, 1, &[0; 8])],
    ] {
        assert!(matches!(hear(&wrong).0, End::Bad(Reason::Malformed(_))), "{wrong:?}");
    }
    let many: Vec<_> = std::iter::repeat_n(settings, 99).collect();
    assert_eq!(hear(&many).0, End::Bad(Reason::TooLong));
}

#[test]
fn pages_come_over_http_2_as_well() {
    let http = crate::Http {
        urls: Vec::new(),
        version: crate::HttpVersion::Http2,
        virtualhost: Some("www.example.org".into()),
        fast_recovery: false,
        tls: None,
    };
    let url = Url { path: "/x".into(), digest: Some(crate::genhash::digest(b"hello")), ..Url::default() };
    let request = crate::request(&url, &http, ([10, 0, 0, 1], 80).into());
    assert!(request.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    let text = String::from_utf8_lossy(&request).into_owned();
    for part in
        [":method\u{3}GET", ":scheme\u{4}http\0", ":path\u{2}/x", ":authority\u{f}www.example.org", "KeepAliveClient"]
    {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
    let hear = |url: &Url, frames: &[Vec<u8>], close: bool| {
        let page = PageTalk::new(request.clone(), url.clone(), None, false);
        let pieces: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        hold(&mut Page2Talk::new(page), &pieces, close)
    };
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 1]);
    let (head, hello) = (frame(1, 4, 1, &[0x88]), frame(0, 1, 1, b"hello"));
    let (end, said) =
        hear(&url, &[settings.clone(), frame(8, 0, 0, &[0, 0, 1, 0]), head.clone(), hello.clone()], false);
    assert_eq!(end, met(&[Met::Digest]));
    assert_eq!(said[said.len() - 17 + 3], 7, "GOAWAY at the end");
    // In pieces, after an interim answer, padded, with trailers.
    let frames = [
        settings.clone(),
        frame(1, 4, 1, b"\x08\x03103"),
        head.clone(),
        frame(0, 8, 1, b"\x02hel\0\0"),
        frame(0, 0, 1, b"lo"),
        frame(1, 5, 1, &[0x40, 1, b'a', 1, b'b']),
    ];
    let bytes: Vec<Vec<u8>> = frames.concat().chunks(7).map(<[u8]>::to_vec).collect();
    assert_eq!(hear(&url, &bytes, false).0, met(&[Met::Digest]));
    let plain = Url::default();
    assert_eq!(hear(&plain, &[settings.clone(), frame(1, 5, 1, &[0x89])], false).0, met(&[Met::Status]));
    assert_eq!(hear(&plain, &[settings.clone(), frame(1, 5, 1, &[0x8d])], false).0, End::Bad(Reason::Status(404)));
    assert_eq!(hear(&plain, &[settings.clone(), frame(1, 5, 1, &[0x90])], false).0, End::Bad(Reason::Status(0)));
    let cut = [settings.clone(), head.clone(), frame(0, 0, 1, b"hel")];
    for end in
        [frame(3, 0, 1, &[0; 4]), frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0]), frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 2])]
    {
        let frames = [&cut[..], &[end]].concat();
        assert_eq!(hear(&url, &frames, false).0, End::Bad(Reason::ClosedEarly));
    }
    let goes = [&cut[..2], &[frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), hello.clone()]].concat();
    assert_eq!(hear(&url, &goes, false).0, met(&[Met::Digest]), "it ends after ours");
    assert!(matches!(hear(&url, &cut, true).0, End::Bad(_)), "the connection ends");
    for wrong in [vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], vec![head], vec![settings.clone(), hello]] {
        assert!(matches!(hear(&url, &wrong, false).0, End::Bad(Reason::Malformed(_))), "{wrong:?}");
    }
    let many: Vec<_> = std::iter::repeat_n(settings, 999).collect();
    assert_eq!(hear(&url, &many, false).0, End::Bad(Reason::TooLong));
}

/// One of each, by number.
fn any_talk(kind: usize) -> Box<dyn Talk> {
    let url = Url { pattern: pattern("x+y", false), ..Url::default() };
    match kind {
        0 => Box::new(page(Url::default())),
        1 => Box::new(page(url)),
        2 => Box::new(SmtpTalk::new("me")),
        3 => Box::new(AgentTalk::new(&Agent::default())),
        4 => Box::new(RedisTalk::new(&Redis { role: Some("master".into()), ..Redis::default() })),
        5 => Box::new(MysqlTalk::new(&Mysql { username: Some("u".into()), password: Some("p".into()) })),
        6 => Box::new(PgsqlTalk::new(&Pgsql { ssl_request: true, ..Pgsql::default() })),
        7 => Box::new(GrpcTalk::new(&Grpc::default(), "a")),
        8 => Box::new(Page2Talk::new(page(Url { pattern: pattern("x+y", false), ..Url::default() }))),
        9 => Box::new(DnsTalk::new(&Dns::default(), 0)),
        10 => Box::new(UdpTalk::new(&Udp { reply: Some(UdpReply::default()), ..Udp::default() })),
        _ => Box::new(EchoTalk::new(kind.is_multiple_of(2), 0)),
    }
}

/// Bytes that look like answers more often than chance would have it.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&'static [u8]> = vec![
        b"HTTP/1.1 200 OK\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\n",
        b"\r\n",
        b"5\r\n",
        b"0\r\n\r\n",
        b"220 hi\r\n",
        b"250-x\r\n",
        b"250 ok\r\n",
        b"221 bye\r\n",
        b"75% up\n",
        b"drain",
        b"+PONG\r\n",
        b"*3\r\n",
        b"$6\r\n",
        b"master\r\n",
        b"-ERR\r\n",
        b"\x4a\0\0\0\x0a8.0\0",
        b"\x07\0\0\x02\0\0\0\x02\0\0\0",
        b"N",
        b"R\0\0\0\x08\0\0\0\0",
        b"E\0\0\0\x0cC28000\0\0",
        b"\0\0\0\x04\0\0\0\0\0",
        b"\0\0\x07\0\x01\0\0\0\x01\0\0\0\0\x02\x08\x01",
        b"\0\0\x85\0",
    ];
    let part = prop_oneof![
        proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_end_alike(kind in 0_usize..9, bytes in bytes(), cuts in proptest::collection::vec(1_usize..30, 1..9)) {
        let whole = hold(&mut *any_talk(kind), &[&bytes], true);
        let mut rest = bytes.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        let cut = hold(&mut *any_talk(kind), &pieces, true);
        // A protocol in turns hears only the first piece before it answers: whole streams are for those that never answer.
        if matches!(kind, 0 | 1 | 3) {
            prop_assert_eq!(whole, cut);
        }
    }

    #[test]
    fn any_datagram_is_harmless(kind in 9_usize..13, bytes in bytes()) {
        let mut talk = any_talk(kind);
        talk.open();
        let step = talk.hear(&bytes);
        prop_assert!(!matches!(step, Step::Say(_)));
    }

    #[test]
    fn nothing_is_read_for_ever(kind in 0_usize..9, bytes in bytes()) {
        let block = [bytes, vec![b'x'; 4096]].concat();
        let mut talk = any_talk(kind);
        talk.open();
        // The greatest limit is that of contents that an expression is about.
        let ended = (0..2000).any(|_| matches!(talk.hear(&block), Step::Pass(..) | Step::Fail(_)));
        prop_assert!(ended);
    }
}
