//! One check at a time: pace, sentences and faults.

use crate::world::*;
use rvs_checker::*;
use rvs_machine::Machine;
use std::time::Duration;

fn http(paths: &[&str], fast_recovery: bool) -> Probe {
    let url = |path: &&str| Url { path: (*path).to_owned(), ..Url::default() };
    let urls = paths.iter().map(url).collect();
    Probe::Http(Http { urls, version: HttpVersion::Http10, virtualhost: None, fast_recovery, tls: None })
}

fn answer(code: u16) -> Server {
    Server::Says(vec![format!("HTTP/1.0 {code} X\r\n\r\nbody").into_bytes()])
}

fn accepts() -> Server {
    Server::Says(vec![])
}

#[test]
fn tcp_goes_down_after_its_retries_and_tries_on_in_rounds() {
    let mut quiet = params(Probe::Tcp);
    quiet.log_all_failures = false;
    let mut world = World::new(quiet, accepts());
    world.run_to(1000);
    world.expect(&[(1000, "TCP connection to [10.0.2.11]:tcp:80 success."), (1000, "UP first=true ")]);
    world.server = Server::Refuses;
    world.run_to(7000);
    let down = [
        (7000, "TCP_CHECK on service [10.0.2.11]:tcp:80 failed after 2 retries."),
        (7000, "DOWN first=false refused => TCP CHECK failed on service <="),
    ];
    world.expect(&down);
    // Down: a round of three, delay_loop, a round of three.
    world.run_to(20_000);
    world.expect(&[]);
    assert_eq!(world.begun, [1000, 5000, 6000, 7000, 11_000, 12_000, 13_000, 17_000, 18_000, 19_000]);
    world.server = accepts();
    world.run_to(23_000);
    let up = [
        (23_000, "TCP connection to [10.0.2.11]:tcp:80 success."),
        (23_000, "UP first=false => TCP CHECK succeed on service <="),
    ];
    world.expect(&up);
    assert!(world.closed.contains(&true) && world.check.is_up());
}

#[test]
fn tcp_times_out_where_packets_are_dropped() {
    let mut world = World::new(params(Probe::Tcp), accepts());
    world.run_to(1000);
    world.server = Server::Drops;
    world.lines();
    world.run_to(13_000);
    world.expect(&[
        (7000, "TCP connection to [10.0.2.11]:tcp:80 timeout."),
        (10_000, "TCP connection to [10.0.2.11]:tcp:80 timeout."),
        (13_000, "TCP connection to [10.0.2.11]:tcp:80 timeout."),
        (13_000, "TCP_CHECK on service [10.0.2.11]:tcp:80 failed after 2 retries."),
        (13_000, "DOWN first=false connect_timeout => TCP CHECK failed on service <="),
    ]);
}

#[test]
fn a_first_failure_counts_at_once_with_alpha() {
    let mut alpha = params(Probe::Tcp);
    (alpha.pace.alpha, alpha.log_all_failures) = (true, false);
    let mut world = World::new(alpha, Server::Refuses);
    world.run_to(1000);
    world.expect(&[
        (1000, "TCP_CHECK on service [10.0.2.11]:tcp:80 failed."),
        (1000, "DOWN first=true refused => TCP CHECK failed on service <="),
    ]);
}

#[test]
fn a_page_must_come_right_again_before_all_are_asked_for() {
    let mut world = World::new(params(http(&["/page", "/b"], false)), answer(200));
    world.run_to(5000);
    world.expect(&[(5000, "Remote Web server [10.0.2.11]:tcp:80 succeed on service."), (5000, "UP first=true ")]);
    world.run_to(9000);
    world.server = answer(404);
    world.run_to(15_000);
    let line = "HTTP status code error to server [10.0.2.11]:tcp:80.";
    world.expect(&[
        (13_000, line),
        (14_000, line),
        (15_000, line),
        (15_000, "HTTP_CHECK on service [10.0.2.11]:tcp:80 failed after 2 retries."),
        (15_000, "DOWN first=false status => CHECK failed on service : HTTP request failed <="),
    ]);
    world.run_to(28_000);
    world.expect(&[]);
    assert_eq!(world.begun[3..], [13_000, 14_000, 15_000, 19_000, 23_000, 27_000], "no retries while down");
    world.server = answer(200);
    world.run_to(39_000);
    world.expect(&[
        (31_000, "HTTP status code success to [10.0.2.11]:tcp:80 url(/b)"),
        (35_000, "HTTP status code success to [10.0.2.11]:tcp:80 url(/page)"),
        (39_000, "HTTP status code success to [10.0.2.11]:tcp:80 url(/b)"),
        (39_000, "Remote Web server [10.0.2.11]:tcp:80 succeed on service."),
        (39_000, "UP first=false => CHECK succeed on service <="),
    ]);
}

#[test]
fn fast_recovery_asks_for_all_pages_at_once() {
    let mut world = World::new(params(http(&["/garb"], true)), answer(500));
    world.run_to(1000);
    world.expect(&[
        (1000, "HTTP status code error to server [10.0.2.11]:tcp:80."),
        (1000, "HTTP_CHECK on service [10.0.2.11]:tcp:80 failed after 2 retries."),
        (1000, "DOWN first=true status => CHECK failed on service : HTTP request failed <="),
    ]);
    world.server = answer(200);
    world.run_to(5000);
    world.expect(&[
        (5000, "HTTP status code success to [10.0.2.11]:tcp:80 url(/garb)"),
        (5000, "HTTP status code success to [10.0.2.11]:tcp:80 url(/garb)"),
        (5000, "Remote Web server [10.0.2.11]:tcp:80 succeed on service."),
        (5000, "UP first=false => CHECK succeed on service <="),
    ]);
}

#[test]
fn a_web_server_that_is_down_with_alpha_is_not_spoken_of() {
    let mut alpha = params(http(&["/c"], false));
    alpha.pace.alpha = true;
    let mut world = World::new(alpha, answer(500));
    world.run_to(9000);
    world.expect(&[
        (1000, "HTTP status code error to server [10.0.2.11]:tcp:80."),
        (1000, "DOWN first=true status => CHECK failed on service : HTTP request failed <="),
    ]);
    let mut again = World::new(params(http(&["/c"], false)), Server::Silent);
    again.run_to(3000);
    assert_eq!(again.lines()[0], (3000, "Timeout WEB read server [10.0.2.11]:tcp:80.".to_owned()));
}

#[test]
fn smtp_tries_again_from_the_first_run_on_and_says_one_line() {
    let smtp = Probe::Smtp(Smtp { helo: "me.example".into(), hosts: vec![] });
    let bad = Server::Says(vec![b"554 no\r\n".to_vec(), b"".to_vec()]);
    let mut world = World::new(params(smtp), Server::Says(vec![b"220 hi\r\n".to_vec(), b"550 no\r\n".to_vec()]));
    world.run_to(12_000);
    let line = "SMTP_CHECK Bad HELO response from server [10.0.2.11]:80";
    world.expect(&[
        (1000, line),
        (2000, line),
        (3000, line),
        (3000, "DOWN first=true helo => CHECK failed on service : Bad HELO response from server [10.0.2.11]:80 <="),
    ]);
    assert_eq!(world.begun, [1000, 2000, 3000, 7000, 8000, 9000]);
    let good = vec![b"220 hi\r\n".to_vec(), b"250 ok\r\n".to_vec(), b"221 bye\r\n".to_vec()];
    world.server = Server::Says(good);
    world.run_to(13_000);
    world.expect(&[
        (13_000, "Remote SMTP server [10.0.2.11]:tcp:80 succeed on service."),
        (13_000, "UP first=false => CHECK succeed on service <="),
    ]);
    assert!(world.heard.ends_with(b"HELO me.example\r\nQUIT\r\n"));
    world.server = Server::Refuses;
    world.run_to(17_000);
    world.server = Server::Drops;
    world.run_to(20_000);
    world.server = bad;
    world.run_to(21_000);
    world.expect(&[
        (17_000, "SMTP_CHECK Could not connect to server [10.0.2.11]:80"),
        (20_000, "SMTP_CHECK Connection timeout to server [10.0.2.11]:80"),
    ]);
}

#[test]
fn all_mail_servers_of_a_check_must_answer() {
    let hosts = ["10.0.2.21:25", "10.0.2.22:25"].map(|address| Target::new(address.parse().unwrap()));
    let smtp = Probe::Smtp(Smtp { helo: "me".into(), hosts: hosts.to_vec() });
    let good = vec![b"220 hi\r\n".to_vec(), b"250 ok\r\n".to_vec(), b"221 bye\r\n".to_vec()];
    let mut world = World::new(params(smtp), Server::Says(good));
    world.run_to(1000);
    assert_eq!(world.begun, [1000, 1000]);
    assert_eq!(world.lines().len(), 2, "one success of both");
    world.server = Server::Refuses;
    world.run_to(7000);
    let lines = world.lines();
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|(_, line)| line.contains("server [10.0.2.21]:25")), "{lines:?}");
}

#[test]
fn name_servers_and_datagrams_count_at_once_at_first() {
    let mut world = World::new(params(Probe::Dns(Dns::default())), Server::Silent);
    world.run_to(3000);
    world.expect(&[
        (3000, "DNS_CHECK ([10.0.2.11]:tcp:80) read timeout from socket"),
        (3000, "DOWN first=true read_timeout => DNS_CHECK: failed on service <="),
    ]);
    let mut world = World::new(params(Probe::Dns(Dns::default())), Server::Silent);
    world.check.adopt(true, Advice::Add(0));
    world.server = Server::Refuses;
    world.run_to(3000);
    let line = "DNS_CHECK ([10.0.2.11]:tcp:80) failed to read socket; errno 111 (Connection refused)";
    world.expect(&[
        (1000, line),
        (2000, line),
        (3000, &format!("{line} after 2 retries")),
        (3000, "DOWN first=false refused => DNS_CHECK: failed on service <="),
    ]);

    let udp = Udp { payload: vec![1, 2], reply: Some(UdpReply { min: 2, ..UdpReply::default() }) };
    let mut world = World::new(params(Probe::Udp(udp.clone())), Server::Says(vec![b"x".to_vec()]));
    world.run_to(1000);
    world.expect(&[
        (1000, "UDP check to [10.0.2.11]:tcp:80 reply data mismatch."),
        (1000, "UDP_CHECK on service [10.0.2.11]:tcp:80 failed."),
        (1000, "DOWN first=true mismatch => UDP CHECK failed on service <="),
    ]);
    world.server = Server::Says(vec![b"xy".to_vec()]);
    world.run_to(5000);
    world.server = Server::Refuses;
    world.run_to(11_000);
    let line = "UDP connection to [10.0.2.11]:tcp:80 failed.";
    world.expect(&[
        (5000, "UDP connection to [10.0.2.11]:tcp:80 success."),
        (5000, "UP first=false => UDP CHECK succeed on service <="),
        (9000, line),
        (10_000, line),
        (11_000, line),
        (11_000, "UDP_CHECK on service [10.0.2.11]:tcp:80 failed after 2 retries."),
        (11_000, "DOWN first=false refused => UDP CHECK failed on service <="),
    ]);
    let mut world = World::new(params(Probe::Udp(Udp { reply: None, ..udp })), Server::Silent);
    world.run_to(3000);
    assert_eq!(world.lines()[0].1, "UDP connection to [10.0.2.11]:tcp:80 success.", "no error is enough");
}

#[test]
fn pings_time_out() {
    let mut world = World::new(params(Probe::Ping), Server::Silent);
    world.check.adopt(true, Advice::Add(0));
    world.run_to(9000);
    let line = "ICMP connection to address [10.0.2.11]:tcp:80 timeout.";
    world.expect(&[
        (3000, line),
        (6000, line),
        (9000, line),
        (9000, "ICMP CHECK on service [10.0.2.11]:tcp:80 of [10.0.1.10]:tcp:80 failed after 2 retries."),
        (9000, "DOWN first=false read_timeout => ICMP CHECK failed on service <="),
    ]);
}

fn misc(dynamic: bool) -> Probe {
    let command = vec!["/tmp/misc.sh".to_owned(), "x".to_owned()];
    Probe::Misc(Misc { command, user: None, timeout: Duration::from_secs(2), dynamic })
}

#[test]
fn programs_keep_step_with_their_beginnings() {
    let about = "Misc check for [[10.0.2.11]:tcp:80 VS [10.0.1.10]:tcp:80] by [/tmp/misc.sh]";
    let mut world = World::new(params(misc(false)), Server::Ends(Ended::Status(0)));
    world.run_to(1000);
    world.expect(&[
        (1000, &format!("{about} succeeded.")),
        (1000, "UP first=true => MISC CHECK succeeded on service <="),
    ]);
    world.server = Server::Hangs;
    world.run_to(11_000);
    world.expect(&[
        (7000, "stop"),
        (7000, &format!("{about} timed out, will do 2 retries.")),
        (9000, "stop"),
        (9000, &format!("{about} timed out on retry 1/2.")),
        (11_000, "stop"),
        (11_000, &format!("{about} timed out after 2 retries.")),
        (11_000, "DOWN first=false script_timeout => MISC CHECK failed on service <="),
    ]);
    assert_eq!(world.begun, [1000, 5000, 7000, 9000], "retries without a pause, it having passed");
    world.run_to(13_000);
    assert_eq!(world.begun.last(), Some(&13_000), "delay_loop from the beginning of the last");
    for (ended, why) in [(Ended::Signal(9), "due to signal 9"), (Ended::Status(7), "exited with status 7")] {
        let mut world = World::new(params(misc(false)), Server::Ends(ended.clone()));
        world.run_to(1000);
        assert_eq!(world.lines()[0].1, format!("{about} failed after 2 retries ({why})."));
        let mut single = params(misc(false));
        single.pace.retry = 0;
        let mut world = World::new(single, Server::Ends(ended));
        world.run_to(1000);
        assert_eq!(world.lines()[0].1, format!("{about} failed with retry disabled ({why})."));
    }
}

#[test]
fn dynamic_programs_set_the_weight() {
    let mut world = World::new(params(misc(true)), Server::Ends(Ended::Status(0)));
    world.run_to(1000);
    assert_eq!(world.lines().len(), 2, "no advice to begin with");
    for (status, advice) in
        [(2, Advice::Weight(0)), (50, Advice::Weight(48)), (255, Advice::Weight(253)), (0, Advice::Add(0))]
    {
        world.server = Server::Ends(Ended::Status(status));
        world.run_to(world.begun.last().unwrap() + 8000);
        let lines = world.lines();
        assert_eq!(lines.len(), 1, "once, though it ran twice");
        assert_eq!(lines[0].1, format!("{:?}", Verdict::Advice(advice)));
    }
}

#[test]
fn files_and_sessions_speak_for_themselves() {
    let file = |weight| World::new(params(Probe::File(File { name: "f".into(), weight })), Server::Silent);
    let mut world = file(3);
    world.check.handle(ms(10), Input::File(-2));
    world.run_to(20);
    assert_eq!(world.lines()[0].1, format!("{:?}", Verdict::Advice(Advice::Add(-6))));
    let mut world = file(0);
    world.check.handle(ms(10), Input::File(1));
    world.run_to(20);
    assert!(!world.check.is_up());
    world.check.handle(ms(30), Input::File(0));
    world.run_to(40);
    assert!(world.check.is_up() && world.check.deadline().is_none());

    let mut world = World::new(params(Probe::Bfd(Bfd { name: "b".into() })), Server::Silent);
    world.check.handle(ms(10), Input::Session(false));
    world.check.handle(ms(20), Input::Session(true));
    world.run_to(20);
    let lines: Vec<String> = world.lines().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines[0], "BFD_CHECK on service [10.0.2.11]:tcp:80 failed (session not up).");
    assert_eq!(lines[2], "BFD_CHECK on service [10.0.2.11]:tcp:80 succeeded.");
}

#[test]
fn every_fault_has_its_name() {
    let head = b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nabc".to_vec();
    let garbage = vec![b"\xff\x00garbage".to_vec()];
    let huge = vec![vec![b'x'; 1 << 20]];
    let redis = || Probe::Redis(Redis::default());
    let table: [(Probe, Server, &str, bool); 14] = [
        (http(&["/"], false), Server::Refuses, "refused", false),
        (http(&["/"], false), Server::Drops, "connect_timeout", false),
        (http(&["/"], false), Server::Silent, "read_timeout", false),
        (http(&["/"], false), Server::Drips, "read_timeout", false),
        (http(&["/"], false), Server::Resets(vec![head.clone()]), "reset", false),
        (http(&["/"], false), Server::Says(vec![head]), "closed_early", true),
        (http(&["/"], false), Server::Says(huge.clone()), "too_long", false),
        (http(&["/"], false), Server::BadTls("certificate has expired"), "tls", false),
        (redis(), Server::Says(garbage.clone()), "closed_early", true),
        (redis(), Server::Says(huge.clone()), "too_long", false),
        (Probe::Mysql(Mysql::default()), Server::Says(vec![]), "closed_early", true),
        (Probe::Pgsql(Pgsql::default()), Server::Says(garbage), "malformed", false),
        (Probe::Grpc(Grpc::default()), Server::Says(huge), "malformed", false),
        (Probe::Agent(Agent { send: Some("x".into()), ..Agent::default() }), Server::Drips, "read_timeout", false),
    ];
    for (probe, server, name, properly) in table {
        let mut world = World::new(params(probe.clone()), server.clone());
        world.run_to(30_000);
        let reason = world.check.facts().reason.as_ref().map(Reason::name);
        assert_eq!(reason, Some(name), "{probe:?} {server:?}");
        assert!(!world.check.is_up());
        assert_eq!(world.closed.first(), Some(&properly), "{probe:?} {server:?}");
        assert!(world.check.facts().runs >= 1 && world.check.facts().runs == world.check.facts().failures);
    }
}

#[test]
fn a_dripping_server_ends_with_the_run() {
    let mut world = World::new(params(http(&["/"], false)), Server::Drips);
    world.run_to(17_000);
    assert_eq!(world.check.facts().last_run, Some(ms(17_000)), "eight times two seconds from the first");
    assert_eq!(world.check.facts().took, Duration::from_secs(16));
    assert_eq!(world.check.facts().histogram.last(), Some(&1));
}

#[test]
fn events_of_earlier_attempts_are_ignored() {
    let mut world = World::new(params(Probe::Tcp), Server::Drops);
    world.run_to(3000);
    assert!(!world.check.is_up());
    world.lines();
    world.check.handle(ms(3500), Input::Net(1, Net::Connected));
    world.run_to(7500);
    assert_eq!(world.begun, [1000, 7000], "another one is going on");
    world.check.handle(ms(7500), Input::Net(1, Net::Connected));
    world.run_to(8900);
    world.expect(&[]);
    assert!(!world.check.is_up());
}

#[test]
fn a_check_rests_and_resumes() {
    let mut world = World::new(params(Probe::Tcp), Server::Drops);
    world.run_to(1500);
    world.check.handle(ms(1500), Input::Suspend(true));
    world.run_to(60_000);
    assert_eq!((world.begun.as_slice(), world.closed.as_slice()), (&[1000][..], &[false][..]));
    assert!(world.check.is_suspended() && world.check.deadline().is_none());
    world.check.handle(ms(60_000), Input::Suspend(false));
    world.server = accepts();
    world.run_to(61_000);
    assert_eq!(world.begun, [1000, 61_000]);
    assert!(world.check.has_run() && world.check.is_up());
}

#[test]
fn nonsense_is_refused() {
    let regex = Url { pattern: Some(Pattern { expression: "(".into(), ..Pattern::default() }), ..Url::default() };
    let mut bad = params(http(&[], false));
    assert!(Check::new(bad.clone(), 0, ms(0)).unwrap_err().contains("no url"));
    if let Probe::Http(http) = &mut bad.probe {
        http.urls.push(regex);
    }
    assert!(Check::new(bad, 0, ms(0)).unwrap_err().contains("regular expression"));
    let name = params(Probe::Dns(Dns { name: "a..b".into(), ..Dns::default() }));
    assert!(Check::new(name, 0, ms(0)).unwrap_err().contains("a..b"));
}

#[test]
fn the_first_run_is_put_off_by_chance() {
    let mut late = params(Probe::Tcp);
    late.pace.warmup = Duration::from_secs(3);
    let due = |seed| Check::new(late.clone(), seed, ms(0)).unwrap().deadline().unwrap();
    let dues: Vec<_> = (0..50).map(due).collect();
    assert!(dues.iter().all(|due| (ms(1000)..ms(4000)).contains(due)));
    assert!(dues.iter().min().unwrap().nanos() + 1_000_000_000 < dues.iter().max().unwrap().nanos());
}
