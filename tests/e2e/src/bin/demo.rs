//! The demo: a site of three web servers behind one address, balanced by masquerading, by direct routing and through
//! tunnels, in network namespaces of its own. Leaves nothing behind unless asked to.

use anyhow::{Result, bail, ensure};
use clap::Parser;
use lab::wait::{eventually, secs};
use lab::{Lab, Method, Netns, Topology, director, http, remove_named, topology::VIP};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdout};
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::Instant;

/// How the namespaces of a demo that is kept are named: `rvs-demo-cl`, `rvs-demo-dr` …
const KEPT: &str = "rvs-demo";
/// Requests by each method; the real servers take turns, the newest first.
const REQUESTS: usize = 12;
/// Where the site is.
const SITE: SocketAddrV4 = SocketAddrV4::new(VIP, http::PORT);

/// Shows RVS at work: client, router, director and three real web servers as network namespaces, balanced by NAT, by direct
/// routing (DR) and through tunnels (TUN).
#[derive(Parser)]
#[command(name = "demo")]
struct Options {
    /// Leave the last one (TUN) standing, and tell how to enter it.
    #[arg(long, conflicts_with = "clean")]
    keep: bool,
    /// Remove what --keep has left.
    #[arg(long)]
    clean: bool,
    /// Print one JSON document instead of the story.
    #[arg(long)]
    json: bool,
}

/// What one method came to.
struct Round {
    method: Method,
    commands: Vec<String>,
    answers: Vec<String>,
    listing: String,
    stats: String,
    seconds: f64,
}

impl Round {
    fn good(&self) -> bool {
        self.answers.iter().enumerate().all(|(n, answer)| *answer == format!("rs{}", 3 - n % 3))
    }

    fn tally(&self) -> BTreeMap<&str, usize> {
        let mut tally = BTreeMap::from([("rs1", 0), ("rs2", 0), ("rs3", 0)]);
        for answer in &self.answers {
            *tally.entry(answer.as_str()).or_default() += 1;
        }
        tally
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "method": self.method.name(), "good": self.good(), "seconds": self.seconds, "commands": self.commands,
            "answers": self.answers, "tally": self.tally(), "listing": self.listing, "stats": self.stats,
        })
    }
}

/// Tells the story, unless JSON was asked for.
struct Teller {
    quiet: bool,
    colour: bool,
}

impl Teller {
    fn step(&self, text: &str) {
        self.say(&if self.colour { format!("\x1b[1;36m▸ {text}\x1b[0m") } else { format!("> {text}") });
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }

    fn indented(&self, text: &str) {
        text.lines().for_each(|line| self.say(&format!("    {line}")));
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool> {
    if !lab::is_root() {
        bail!("needs root, for network namespaces: run it with sudo");
    }
    let tell = Teller { quiet: options.json, colour: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };
    if options.clean {
        tell.say(&format!("removed {} namespaces", remove_named(KEPT)));
        return Ok(true);
    }
    if options.keep && Netns::named(format!("{KEPT}-dr")).path().exists() {
        bail!("one is standing already; remove it first: cargo xtask demo --clean");
    }
    let begin = Instant::now();
    let mut rounds = Vec::new();
    for method in Method::ALL {
        let keep = options.keep && method == Method::Tun;
        let topology = Topology::of(method).http();
        let topology = if keep { topology.named(KEPT) } else { topology };
        tell.step(&format!("{}: {}", method.name(), describe(method)));
        let lab = Lab::topology(topology)?;
        rounds.push(round(&lab, &tell)?);
        if keep {
            how_to_enter(&lab, &tell)?;
            lab.keep();
        }
    }
    let good = rounds.iter().all(Round::good);
    if options.json {
        let rounds: Vec<_> = rounds.iter().map(Round::json).collect();
        println!("{:#}", json!({ "good": good, "seconds": begin.elapsed().as_secs_f64(), "rounds": rounds }));
    } else {
        summary(&rounds, &tell, begin.elapsed().as_secs_f64());
    }
    Ok(good)
}

fn describe(method: Method) -> &'static str {
    match method {
        Method::Nat => "the director rewrites destination addresses; answers come back through it",
        Method::Dr => "the director only changes MAC addresses; servers hold the address and answer past it",
        Method::Tun => "the director wraps packets in IP; servers unwrap them and answer past it",
    }
}

/// Sets up the service and asks it.
fn round(lab: &Lab, tell: &Teller) -> Result<Round> {
    let begin = Instant::now();
    let method = lab.method();
    let commands = commands(lab);
    tell.step("configure the director, as ever:");
    for command in &commands {
        tell.indented(&format!("# ipvsadm {command}"));
        lab.ipvsadm(command)?;
    }
    tell.step(&format!("send {REQUESTS} requests from the client: curl http://{SITE}/"));
    let answers: Vec<String> = (0..REQUESTS).map(|_| lab.web(SITE)).collect::<Result<_>>()?;
    tell.indented(&format!("answered by {}", answers.join(" ")));
    tell.step("ask the director what it did: ipvsadm -Ln, ipvsadm -Ln --stats");
    let listing = lab.ipvsadm("-Ln")?;
    tell.indented(&listing);
    // As with IPVS, figures are renewed every two seconds.
    let stats = eventually(secs(4), || {
        let stats = lab.ipvsadm("-Ln --stats")?;
        let conns = stats.lines().find(|line| line.starts_with("TCP")).and_then(|line| line.split_whitespace().nth(2));
        ensure!(conns == Some(&REQUESTS.to_string()), "the director does not count {REQUESTS} connections:\n{stats}");
        Ok(stats)
    })?;
    tell.indented(&stats);
    tell.say("");
    Ok(Round { method, commands, answers, listing, stats, seconds: begin.elapsed().as_secs_f64() })
}

fn commands(lab: &Lab) -> Vec<String> {
    let service = format!("-A -t {SITE} -s rr");
    let server = |n| format!("-a -t {SITE} -r {}:{} {}", lab::topology::server(n), http::PORT, lab.method().flag());
    std::iter::once(service).chain(lab.numbers().map(server)).collect()
}

fn summary(rounds: &[Round], tell: &Teller, seconds: f64) {
    tell.step(&format!("who answered, of {REQUESTS} requests by each method:"));
    tell.say("    ┌────────┬─────┬─────┬─────┬─────────────────────────┬───────┐");
    tell.say("    │ method │ rs1 │ rs2 │ rs3 │ in this order           │       │");
    tell.say("    ├────────┼─────┼─────┼─────┼─────────────────────────┼───────┤");
    for round in rounds {
        let counts: String = round.tally().values().map(|count| format!(" {count:>3} │")).collect();
        let order: Vec<&str> = round.answers.iter().map(|answer| answer.trim_start_matches("rs")).collect();
        let verdict = if round.good() { "right" } else { "WRONG" };
        tell.say(&format!("    │ {:<6} │{counts} {:<23} │ {verdict} │", round.method.name(), order.join(" ")));
    }
    tell.say("    └────────┴─────┴─────┴─────┴─────────────────────────┴───────┘");
    tell.say(&format!("    {seconds:.1} s in all"));
}

fn how_to_enter(lab: &Lab, tell: &Teller) -> Result<()> {
    let ipvsadm = director::tool("ipvsadm")?;
    tell.step("it is left standing; try it:");
    tell.indented(&format!("ip netns exec {} curl http://{SITE}/", lab.client().name()));
    tell.indented(&format!("ip netns exec {} {} -Lnc", lab.director().name(), ipvsadm.display()));
    tell.indented(&format!("ip netns exec {} bash        # -rt, -rs1, -rs2, -rs3, -sw as well", lab.director().name()));
    tell.indented("cargo xtask demo --clean       # removes it");
    Ok(())
}
