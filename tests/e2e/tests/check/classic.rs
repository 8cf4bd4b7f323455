//! The classic walk-through, its text as tutorials give it: two directors (master and backup, direct routing, round robin,
//! persistence), two nginx behind them, a client that asks all the while. What both directors log and list is held against
//! what the original logged and listed through the same story.

use crate::recording::{Recording, Teller, compare};
use anyhow::{Context as _, Result, ensure};
use lab::classic::{self, Classic, VIP, Visit, Visitor};
use lab::director::tool;
use lab::eventually;
use lab::http::Http;
use lab::pair::{Daemon, Side};
use lab::wait::secs;
use std::thread;
use std::time::{Duration, Instant};

/// The page that all real servers give, as in the recording.
const PAGE: &str = "the page";
/// What a busy machine may add to what timers say.
const SLACK: Duration = secs(20);
/// What it takes at most to load the programs, of four directors at once.
const LOAD: Duration = secs(90);
/// A change is noticed with the next check; a death after three more, three seconds apart.
const DELAY_LOOP: Duration = secs(6);
const RETRIES: Duration = secs(9);
/// A page has to come right twice.
const BACK: Duration = secs(12);
/// Three adverts that did not come, and the skew.
const MASTER_DOWN: Duration = secs(16);

const TCP: &str = "        TCP_CHECK {
            connect_timeout 10
            nb_get_retry 3
            delay_before_retry 3
            connect_port 80
        }";

fn http(digest: &str) -> String {
    format!(
        "        HTTP_GET {{
            url {{
                path /index.html
                status_code 200
                digest {digest}
            }}
            connect_timeout 10
            nb_get_retry 3
            delay_before_retry 3
        }}"
    )
}

/// The configuration, word for word but for the server that asks for patience.
fn config(side: Side, check: &str) -> String {
    let (state, priority) = match side {
        Side::A => ("MASTER", 100),
        Side::B => ("BACKUP", 50),
    };
    let real =
        |number: u8| format!("    real_server 192.168.179.{number} 80 {{\n        weight 100\n{check}\n    }}\n");
    format!(
        "vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 5
    authentication {{
        auth_type PASS
        auth_pass 1111
    }}
    virtual_ipaddress {{
        192.168.179.199
    }}
}}
virtual_server 192.168.179.199 80 {{
    delay_loop 6
    lb_algo rr
    lb_kind DR
    persistence_timeout 60
    protocol TCP
    sorry_server 127.0.0.1 80
{}{}}}
",
        real(99),
        real(104)
    )
}

const RS1: &str = "192.168.179.99:80";
const RS2: &str = "192.168.179.104:80";
const SORRY: &str = "127.0.0.1:80";

/// The story as it goes.
struct Story<'a> {
    net: &'a Classic,
    visitor: Visitor,
    teller: Teller,
    daemons: [Option<Daemon>; 2],
    /// Since when something is changing.
    event: Instant,
}

const fn index(side: Side) -> usize {
    match side {
        Side::A => 0,
        Side::B => 1,
    }
}

impl<'a> Story<'a> {
    fn begin(net: &'a Classic) -> Self {
        let visitor = net.visitor();
        Self { net, visitor, teller: Teller::default(), daemons: [None, None], event: Instant::now() }
    }

    /// Something happens; what is logged from now on belongs to it.
    fn event(&mut self, name: &str) {
        self.teller.begin(name);
        self.event = Instant::now();
    }

    fn start(&mut self, side: Side, check: &str) -> Result<()> {
        self.daemons[index(side)] = Some(self.net.keepalived(side, &config(side, check))?);
        Ok(())
    }

    fn stop(&mut self, side: Side) -> Result<()> {
        let daemon = self.daemons[index(side)].take().context("it does not run")?;
        let log = self.net.dir().join(format!("{}.log", side.name()));
        ensure!(daemon.stop()? == 0, "keepalived ended badly");
        self.teller.log(side, &std::fs::read_to_string(log)?, true);
        Ok(())
    }

    /// Waits until a director lists these real servers, and the text is as it should be.
    fn lists(&self, side: Side, wanted: &[&str], limit: Duration) -> Result<()> {
        eventually(limit, || {
            let listing = self.net.listing(side)?;
            let table = lab::director::parse_table(&listing)?;
            let dests: Vec<&str> =
                table.iter().flat_map(|service| &service.dests).map(|dest| dest.at.as_str()).collect();
            ensure!(dests == wanted, "{side:?} lists {dests:?}, not {wanted:?}; it says\n{}", self.log(side));
            let lines: Vec<String> =
                listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            ensure!(lines.iter().any(|line| *line == format!("TCP {VIP}:80 rr persistent 60")), "{listing}");
            for at in wanted.iter().filter(|at| **at != SORRY) {
                ensure!(lines.iter().any(|line| line.starts_with(&format!("-> {at} Route 100 "))), "{listing}");
            }
            Ok(())
        })
    }

    fn both_list(&self, wanted: &[&str], limit: Duration) -> Result<Duration> {
        self.lists(Side::A, wanted, limit)?;
        self.lists(Side::B, wanted, limit)?;
        Ok(self.event.elapsed())
    }

    fn leads(&self, side: Side, limit: Duration) -> Result<Duration> {
        eventually(limit, || {
            for other in Side::BOTH {
                ensure!(self.net.has(other)? == (other == side), "{other:?} has the address or has it not");
            }
            Ok(())
        })?;
        Ok(self.event.elapsed())
    }

    fn log(&self, side: Side) -> String {
        self.daemons[index(side)].as_ref().map(Daemon::log).unwrap_or_default()
    }

    /// All has settled: requests are answered one after the other, with this.
    fn settled(&mut self, page: &str) -> Result<()> {
        let from = Instant::now();
        eventually(SLACK, || {
            let visits = self.visitor.between(from, Instant::now());
            ensure!(visits.len() >= 8, "too few requests");
            for visit in visits.iter().rev().take(8) {
                let answer = visit.answer.as_deref().unwrap_or_else(|error| error);
                ensure!(answer.ends_with(page), "client {} got {answer}, not {page}", visit.client);
            }
            Ok(())
        })?;
        for side in Side::BOTH {
            if let Some(daemon) = &self.daemons[index(side)] {
                self.teller.log(side, &daemon.log(), false);
            }
            self.teller.lists(side, &self.net.listing(side)?);
        }
        Ok(())
    }

    /// Requests that began between two instants and were not answered with the page.
    fn misses(&self, from: Instant, to: Instant) -> Vec<String> {
        let visits = self.visitor.between(from, to);
        let bad = visits.into_iter().filter(|visit| !visit.answer.as_ref().is_ok_and(|a| a.ends_with(PAGE)));
        bad.map(|visit| format!("client {}: {:?}", visit.client, visit.answer)).collect()
    }
}

/// The web servers of the real servers.
type Webs = [Option<Http>; 2];

impl Story<'_> {
    /// Both directors start; returns when the master leads, and since when all is quiet.
    fn directors_start(&mut self, check: &str) -> Result<(Duration, Instant)> {
        self.event("start of both");
        self.start(Side::A, check)?;
        self.start(Side::B, check)?;
        self.both_list(&[RS1, RS2], LOAD)?;
        let leads = self.leads(Side::A, MASTER_DOWN + SLACK)?;
        self.settled(PAGE)?;
        let quiet = Instant::now();
        let before = self.visitor.between(quiet - secs(1), quiet);
        for server in ["rs1", "rs2"] {
            let served = before.iter().any(|visit| visit.answer.as_ref().is_ok_and(|a| a.starts_with(server)));
            ensure!(served, "persistence leaves clients on both: {before:?}");
        }
        Ok((leads, quiet))
    }

    /// A real server dies and comes back.
    fn one_dies(&mut self, quiet: Instant, webs: &mut Webs) -> Result<(Duration, Duration)> {
        self.event("rs1's web server is killed");
        let missed = self.misses(quiet, self.event);
        ensure!(missed.is_empty(), "requests failed in quiet times: {missed:?}");
        self.net.kill_web(1)?;
        let gone = self.both_list(&[RS2], DELAY_LOOP + RETRIES + SLACK)?;
        self.settled(PAGE)?;
        // Who was on the other server has noticed nothing.
        let undisturbed = |visit: &Visit| visit.answer.as_ref().is_ok_and(|answer| answer.starts_with("rs2"));
        let before = self.visitor.between(quiet, self.event);
        let others: Vec<u8> = before.iter().filter(|visit| undisturbed(visit)).map(|visit| visit.client).collect();
        let visits = self.visitor.between(self.event, Instant::now());
        for visit in visits.iter().filter(|visit| others.contains(&visit.client)) {
            ensure!(undisturbed(visit), "client {} was on the living server and got {:?}", visit.client, visit.answer);
        }
        self.event("rs1's web server is started");
        webs[0] = Some(self.net.start_web(1)?);
        let back = self.both_list(&[RS1, RS2], BACK + SLACK)?;
        self.settled(PAGE)?;
        let missed = self.misses(self.event, Instant::now());
        ensure!(missed.is_empty(), "requests failed when a server came back: {missed:?}");
        Ok((gone, back))
    }

    /// Both die and come back.
    fn both_die(&mut self, webs: &mut Webs) -> Result<Duration> {
        self.event("both are killed");
        self.net.kill_web(1)?;
        self.net.kill_web(2)?;
        let sorry = self.both_list(&[SORRY], DELAY_LOOP + RETRIES + SLACK)?;
        self.settled("sorry")?;
        self.event("both are started");
        *webs = [Some(self.net.start_web(1)?), Some(self.net.start_web(2)?)];
        self.both_list(&[RS1, RS2], BACK + SLACK)?;
        self.settled(PAGE)?;
        Ok(sorry)
    }

    /// The master stops and comes back.
    fn the_master_stops(&mut self, check: &str) -> Result<Duration> {
        self.event("the master stops");
        self.stop(Side::A)?;
        let taken_over = self.leads(Side::B, SLACK)?;
        ensure!(self.net.table(Side::A)?.is_empty(), "the old master's table is empty");
        self.lists(Side::B, &[RS1, RS2], SLACK)?;
        self.settled(PAGE)?;
        self.event("the master starts");
        self.start(Side::A, check)?;
        self.leads(Side::A, MASTER_DOWN + SLACK)?;
        self.both_list(&[RS1, RS2], LOAD)?;
        // Announced a second time.
        eventually(SLACK, || {
            let told = self.log(Side::A).matches("Sending/queueing gratuitous ARPs").count();
            ensure!(told == 2, "announced {told} times");
            Ok(())
        })?;
        self.settled(PAGE)?;
        let missed = self.misses(self.event, Instant::now());
        ensure!(missed.len() < 10, "the return of the master disturbs: {missed:?}");
        Ok(taken_over)
    }
}

/// The whole story; how long things took goes to standard error.
fn walk(recorded: &str, check: impl FnOnce(&Classic) -> Result<String>) -> Result<()> {
    let Some(net) = classic::start(PAGE)? else { return Ok(()) };
    let mut webs: Webs = [Some(net.start_web(1)?), Some(net.start_web(2)?)];
    let check = check(&net)?;
    let mut story = Story::begin(&net);
    let (leads, quiet) = story.directors_start(&check)?;
    let (gone, back) = story.one_dies(quiet, &mut webs)?;
    let sorry = story.both_die(&mut webs)?;
    let taken_over = story.the_master_stops(&check)?;
    story.event("both stop");
    story.stop(Side::B)?;
    story.stop(Side::A)?;
    ensure!(net.table(Side::A)?.is_empty() && net.table(Side::B)?.is_empty(), "nothing is left");
    eprintln!(
        "{recorded}: leads after {leads:.1?}, a dead server is gone after {gone:.1?}, back after {back:.1?}; sorry server after \
         {sorry:.1?}; the backup has taken over after {taken_over:.1?}"
    );
    compare(&Recording::read("k1_walk", recorded)?, &story.teller)
}

fn with_http(net: &Classic) -> Result<String> {
    let genhash = net.side(Side::A).command(tool("genhash")?);
    let digest = genhash.args("-s 192.168.179.99 -p 80 -u /index.html").ok()?;
    Ok(http(digest.trim()))
}

/// Both at once: they wait most of the time.
#[test]
fn two_directors_do_as_the_original_with_either_check() -> Result<()> {
    thread::scope(|scope| {
        let tcp = scope.spawn(|| walk("TCP_CHECK", |_| Ok(TCP.to_owned())));
        walk("HTTP_GET with status and digest", with_http)?;
        tcp.join().unwrap()
    })
}
