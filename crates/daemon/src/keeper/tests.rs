use super::*;
use crate::plan::Balance;
use rvs_checker::{Admin, Reason};
use rvs_config::keepalived::{Environment, Memory, load};
use rvs_dataplane::kernel::probes::Probe;
use rvs_dataplane::model::Model;
use rvs_dataplane::{Dataplane, Error};
use rvs_intent::{Connection, Listing, Openings, Refusal};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// A table in memory that counts what is done to it.
#[derive(Default)]
struct Sim {
    model: Model,
    revision: u32,
    updates: Vec<usize>,
    broken: bool,
    /// What became of new connections to each destination.
    openings: BTreeMap<SocketAddr, Openings>,
    probes: BTreeMap<u16, Probe>,
    renewed: usize,
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Sim>>);

impl Dataplane for Shared {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        let mut sim = self.0.borrow_mut();
        if sim.broken {
            return Err(UpdateError::Failed(Error::State("broken".into())));
        }
        sim.model.update(edits)?;
        sim.revision += 1;
        sim.updates.push(edits.len());
        Ok(())
    }
    fn revision(&mut self) -> Result<Option<u32>, Error> {
        Ok(Some(self.0.borrow().revision))
    }
    fn listing(&mut self) -> Result<Listing, Error> {
        let mut sim = self.0.borrow_mut();
        let mut listing = sim.model.listing()?;
        for dest in listing.services.iter_mut().flat_map(|service| &mut service.dests) {
            dest.openings = sim.openings.get(&place_of(&dest.dest)).copied().unwrap_or_default();
        }
        Ok(listing)
    }
    fn set_probe(&mut self, number: u16, probe: &Probe) -> Result<u32, Error> {
        let mut sim = self.0.borrow_mut();
        if sim.broken {
            return Err(Error::State("broken".into()));
        }
        sim.probes.insert(number, *probe);
        Ok(0x5256_0000 | u32::from(number))
    }
    fn remove_probe(&mut self, number: u16) -> Result<(), Error> {
        self.0.borrow_mut().probes.remove(&number);
        Ok(())
    }
    fn renew_probes(&mut self) -> Result<(), Error> {
        self.0.borrow_mut().renewed += 1;
        Ok(())
    }
    fn probes(&mut self) -> Result<Vec<(u16, Probe)>, Error> {
        Ok(self.0.borrow().probes.iter().map(|(number, probe)| (*number, *probe)).collect())
    }
    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        self.0.borrow_mut().model.connections()
    }
    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError> {
        self.0.borrow_mut().model.zero(service)
    }
}

/// Checks that are only asked for.
#[derive(Default)]
struct Asked {
    checks: BTreeMap<Subject, Arc<CheckParams>>,
    resting: BTreeSet<Subject>,
    adopted: BTreeMap<Subject, bool>,
    files: Vec<(usize, i64)>,
    sessions: Vec<bool>,
    calls: usize,
}

impl Checks for Asked {
    fn subscribe(&mut self, who: Subject, params: Arc<CheckParams>) {
        self.calls += 1;
        self.checks.insert(who, params);
    }
    fn unsubscribe(&mut self, who: &Subject) {
        self.calls += 1;
        self.checks.remove(who);
    }
    fn suspend(&mut self, who: &Subject, rests: bool) {
        let _ = if rests { self.resting.insert(who.clone()) } else { self.resting.remove(who) };
    }
    fn adopt(&mut self, who: &Subject, up: bool, _: Advice) {
        self.adopted.insert(who.clone(), up);
    }
    fn file(&mut self, who: &Subject, value: i64) {
        self.files.push((who.check, value));
    }
    fn session(&mut self, _: &Subject, up: bool) {
        self.sessions.push(up);
    }
}

struct World {
    table: Shared,
    keeper: Keeper,
    asked: Asked,
    words: Vec<Word>,
}

const VS: &str = "[10.0.1.10]:tcp:80";

fn balance(text: &str) -> Balance {
    let files = Memory::new([("/k.conf", text)]);
    let loaded = load(Path::new("/k.conf"), &files, &Environment::default());
    let mut remarks = Vec::new();
    let balance = Balance::of(&loaded.config, &mut remarks);
    assert_eq!(remarks, Vec::<String>::new());
    balance
}

fn real(last: u8, more: &str) -> String {
    format!("real_server 10.0.2.{last} 80 {{\n TCP_CHECK {{\n}}\n{more}\n}}\n")
}

fn conf(lines: &str, reals: &str) -> String {
    format!("virtual_server 10.0.1.10 80 {{\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n{lines}\n{reals}\n}}\n")
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

fn who(last: u8) -> Subject {
    Subject { service: VS.into(), real: SocketAddr::from(([10, 0, 2, last], 80)), check: 0 }
}

impl World {
    fn new(table: &Shared) -> Self {
        let plane = table.clone();
        let open: Open = Box::new(move || Ok(Box::new(plane.clone())));
        Self { table: table.clone(), keeper: Keeper::new(open), asked: Asked::default(), words: Vec::new() }
    }

    fn start(text: &str) -> Self {
        Self::start_with(&Shared::default(), text, State::default())
    }

    fn start_with(table: &Shared, text: &str, state: State) -> Self {
        let mut world = Self::new(table);
        world.keeper.start(at(1), balance(text), state, &mut world.asked);
        world.flush();
        world
    }

    fn flush(&mut self) {
        let words = self.keeper.flush();
        self.words.extend(words);
    }

    fn down(&mut self, last: u8) {
        let verdict = Verdict::Down { first: false, reason: Reason::Refused(111), mail: "mail".into() };
        self.keeper.told(at(2), Told::Verdict(who(last), verdict));
        self.flush();
    }

    fn up(&mut self, last: u8) {
        self.keeper.told(at(3), Told::Verdict(who(last), Verdict::Up { first: false, mail: Some("mail".into()) }));
        self.flush();
    }

    fn reload(&mut self, text: &str) {
        self.keeper.reload(at(4), balance(text), &mut self.asked);
        self.flush();
    }

    fn look(&mut self) {
        self.keeper.look();
        self.flush();
    }

    /// New connections to a real server came to this.
    fn seen(&mut self, last: u8, openings: Openings) {
        self.table.0.borrow_mut().openings.insert(who(last).real, openings);
        self.keeper.observe(at(2));
        self.flush();
    }

    fn decide(&mut self, real: &str, state: Admin) -> Result<Decided, String> {
        let why = "because".to_owned();
        let decision = Decision { service: "10.0.1.10:80".into(), real: real.into(), state, why };
        let decided = self.keeper.decide(at(5), &decision);
        self.flush();
        decided
    }

    /// The destinations of the table, each with its weight.
    fn dests(&self) -> Vec<String> {
        let sim = self.table.0.borrow();
        let services = sim.model.table().services.iter();
        let mut dests: Vec<String> = services
            .flat_map(|service| service.dests.iter())
            .map(|dest| format!("{} {}", place_of(dest), dest.weight))
            .collect();
        dests.sort();
        dests
    }

    fn services(&self) -> usize {
        self.table.0.borrow().model.table().services.len()
    }

    fn updates(&self) -> usize {
        self.table.0.borrow().updates.len()
    }

    fn logs(&mut self) -> Vec<String> {
        let words = std::mem::take(&mut self.words).into_iter();
        let text = |word| match word {
            Word::Log(text) | Word::Warn(text) => Some(text),
            Word::Tell(_) => None,
        };
        words.filter_map(text).collect()
    }

    fn board_text(&mut self) -> String {
        format!("{:?}", self.keeper.board(at(9), None))
    }
}

fn two() -> String {
    conf("sorry_server 10.0.2.13 80", &(real(11, "") + &real(12, "")))
}

#[test]
fn servers_leave_and_return_and_the_sorry_server_steps_in_as_recorded() {
    let mut world = World::start(&two());
    assert_eq!(world.dests(), ["10.0.2.11:80 1", "10.0.2.12:80 1"]);
    assert_eq!(
        world.logs(),
        [
            "Gained quorum 1+0=1 <= 2 for VS [10.0.1.10]:tcp:80",
            "Activating healthchecker for service [10.0.2.11]:tcp:80 for VS [10.0.1.10]:tcp:80",
            "Activating healthchecker for service [10.0.2.12]:tcp:80 for VS [10.0.1.10]:tcp:80",
            "Activating BFD healthchecker",
            "Startup complete",
        ]
    );
    world.down(11);
    assert_eq!(world.dests(), ["10.0.2.12:80 1"]);
    world.down(12);
    assert_eq!(world.dests(), ["10.0.2.13:80 1"]);
    assert_eq!(
        world.logs(),
        [
            "Removing service [10.0.2.11]:tcp:80 from VS [10.0.1.10]:tcp:80",
            "Removing service [10.0.2.12]:tcp:80 from VS [10.0.1.10]:tcp:80",
            "Lost quorum 1-0=1 > 0 for VS [10.0.1.10]:tcp:80",
            "Adding sorry server [10.0.2.13]:tcp:80 to VS [10.0.1.10]:tcp:80",
            "Removing alive servers from the pool for VS [10.0.1.10]:tcp:80",
        ]
    );
    world.up(11);
    assert_eq!(world.dests(), ["10.0.2.11:80 1"]);
    // One transaction for each event.
    assert_eq!(world.updates(), 4);
    let state = world.keeper.stop(at(6), false, &mut world.asked);
    world.flush();
    assert_eq!((world.services(), state), (0, State::default()));
    assert!(world.logs().contains(&"Shutting down service [10.0.2.12]:tcp:80 from VS [10.0.1.10]:tcp:80".to_owned()));
    assert!(world.asked.checks.is_empty());
}

#[test]
fn a_group_changes_on_all_its_members_at_once() {
    let group = "virtual_server_group WEB {\n 10.0.1.20 80\n 10.0.1.21-23 8080\n fwmark 9\n}\n";
    let text = conf("", &(real(11, "") + &real(12, ""))).replace("10.0.1.10 80", "group WEB");
    let mut world = World::start(&format!("{group}{text}"));
    assert_eq!((world.services(), world.dests().len()), (5, 10));
    let mut gone = who(11);
    gone.service = "[WEB]:0".into();
    let verdict = Verdict::Down { first: false, reason: Reason::Refused(111), mail: String::new() };
    world.keeper.told(at(2), Told::Verdict(gone, verdict));
    world.flush();
    assert_eq!((world.dests().len(), world.updates()), (5, 2));
    assert_eq!(world.logs().last().map(String::as_str), Some("Removing service [10.0.2.11]:tcp:80 from VS [WEB]:0"));
}

#[test]
fn scripts_fifos_and_mails_are_told_behind_the_commit() {
    let text =
        conf("quorum_down \"/bin/q 1\"\n smtp_alert\n", &real(11, "notify_down \"/bin/down x\"\n notify_up /bin/up"));
    let mut world = World::start(&text);
    world.words.clear();
    world.down(11);
    let told: Vec<&Word> = world.words.iter().filter(|word| matches!(word, Word::Tell(_))).collect();
    let text = format!("{told:?}");
    for part in [
        "\"/bin/down\", \"x\"",
        "\"real server [10.0.2.11]:tcp:80 of [10.0.1.10]:tcp:80\"",
        "RS [10.0.2.11]:tcp:80 [10.0.1.10]:tcp:80 DOWN",
        "\"/bin/q\", \"1\"",
        "VS [10.0.1.10]:tcp:80 DOWN",
        "Realserver [10.0.2.11]:tcp:80 of virtual server [10.0.1.10]:tcp:80 - DOWN",
        "Virtualserver [10.0.1.10]:tcp:80 - DOWN",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_reload_touches_only_what_has_changed_and_is_one_transaction() {
    let other = "virtual_server 10.0.1.11 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n real_server 10.0.2.11 80 {\n \
                 TCP_CHECK {\n}\n}\n}\n";
    let mut world = World::start(&(two() + other));
    world.down(11);
    let (updates, calls) = (world.updates(), world.asked.calls);
    world.reload(&(two() + other));
    assert_eq!((world.updates(), world.asked.calls), (updates, calls), "nothing has changed");
    world.logs();
    let changed = conf("sorry_server 10.0.2.13 80", &(real(11, "weight 5") + &real(14, ""))).replace("rr", "wrr");
    world.reload(&(changed + other));
    // What was down stays down; what is gone is gone; what is new is there.
    assert_eq!(world.dests(), ["10.0.2.11:80 1", "10.0.2.14:80 1"]);
    assert_eq!((world.updates(), world.asked.calls), (updates + 1, calls + 2));
    assert_eq!(
        world.logs(),
        [
            "service [10.0.2.12]:tcp:80 no longer exist",
            "Removing service [10.0.2.12]:tcp:80 from VS [10.0.1.10]:tcp:80",
            "Changing weight from 1 to 5 for inactive service [10.0.2.11]:tcp:80 of VS [10.0.1.10]:tcp:80",
            "Reload complete",
            "Activating healthchecker for service [10.0.2.14]:tcp:80 for VS [10.0.1.10]:tcp:80",
        ]
    );
    world.reload(other);
    assert_eq!((world.services(), world.asked.checks.len()), (1, 1));
}

#[test]
fn what_others_change_is_put_right_and_what_is_theirs_stays() {
    let table = Shared::default();
    let foreign = balance(&conf("", &real(99, "")).replace("10.0.1.10", "10.0.1.99"));
    let member = foreign.servers[0].members[0].clone();
    table.clone().update(&[Edit::AddService(member)]).unwrap();
    let mut world = World::start_with(&table, &two(), State::default());
    assert_eq!(world.services(), 2);
    world.look();
    world.logs();
    world.look();
    assert_eq!((world.logs(), world.updates()), (Vec::new(), 2), "nothing to do");
    table.clone().update(&[Edit::Flush]).unwrap();
    world.look();
    assert_eq!((world.services(), world.dests().len()), (1, 2));
    assert!(world.logs()[0].starts_with("Somebody else has changed the table"));
    // Also when a verdict comes before the look.
    table.clone().update(&[Edit::Flush]).unwrap();
    world.down(11);
    assert_eq!(world.dests(), ["10.0.2.12:80 1"]);
    // Unless that is not wanted.
    world.reload(&format!("global_defs {{\n lvs_repair off\n}}\n{}", two()));
    world.look();
    table.clone().update(&[Edit::Flush]).unwrap();
    world.look();
    assert_eq!(world.services(), 0);
}

#[test]
fn the_next_daemon_goes_on_where_the_last_one_stopped() {
    let table = Shared::default();
    let mut first = World::start_with(&table, &two(), State::default());
    first.down(11);
    first.decide("10.0.2.12", Admin::Drain).unwrap();
    let state = first.keeper.state(true);
    let updates = first.updates();
    let mut second = World::start_with(&table, &two(), state.clone());
    assert_eq!((second.updates(), second.dests()), (updates, first.dests()), "nothing is rebuilt");
    assert_eq!(second.asked.adopted, [(who(11), false), (who(12), true)].into());
    assert!(!second.logs().iter().any(|line| line.contains("quorum")), "nothing is told again");
    assert!(second.board_text().contains("admin: Drain"));
    // A virtual server that is configured no longer goes.
    let third = World::start_with(&table, "", state);
    assert_eq!(third.services(), 0);
}

#[test]
fn an_administrative_state_survives_reload_and_restart_and_is_apart_from_health() {
    let mut world = World::start(&two());
    assert_eq!(world.decide("10.0.2.11:80", Admin::Maint).map(|decided| decided.service), Ok(VS.to_owned()));
    assert_eq!(world.dests(), ["10.0.2.12:80 1"]);
    let text = "Setting service [10.0.2.11]:tcp:80 of VS [10.0.1.10]:tcp:80 to maint: because";
    assert!(world.logs().contains(&text.to_owned()));
    world.reload(&conf("", &(real(11, "weight 3") + &real(12, ""))));
    assert_eq!(world.dests(), ["10.0.2.12:80 1"]);
    let state = world.keeper.stop(at(6), false, &mut world.asked);
    world.flush();
    let mut again = World::start_with(&world.table, &two(), state);
    assert_eq!(again.dests(), ["10.0.2.12:80 1"]);
    let board = again.keeper.board(at(9), None);
    let real = &board.services[0].reals[0];
    assert_eq!((real.view.alive, real.view.admin, real.why.as_deref()), (true, Admin::Maint, Some("because")));
    again.decide("[10.0.2.11]:tcp:80", Admin::Ready).unwrap();
    assert_eq!(again.dests().len(), 2);
    assert!(again.decide("10.0.2.99", Admin::Ready).unwrap_err().contains("has no real server `10.0.2.99`"));
    let decision = Decision { service: "x".into(), real: "y".into(), state: Admin::Ready, why: String::new() };
    assert!(again.keeper.decide(at(9), &decision).unwrap_err().contains("there is no virtual server `x`"));
}

#[test]
fn what_the_table_refuses_hurts_nobody_else() {
    let bad = "real_server 224.0.0.1 80 {\n}\n";
    let mut world = World::start(&conf("", &(real(11, "") + bad)));
    assert_eq!(world.dests(), ["10.0.2.11:80 1"]);
    let refusal = Refusal::Invalid;
    let text = format!("The table refuses the real server 224.0.0.1:80 of the service tcp 10.0.1.10:80: {refusal}");
    assert!(world.logs().contains(&text));
    world.down(11);
    assert_eq!(world.dests(), Vec::<String>::new());
}

#[test]
fn a_table_that_fails_is_tried_again() {
    let mut world = World::start(&two());
    world.table.0.borrow_mut().broken = true;
    world.down(11);
    world.look();
    let warned = world.logs().iter().filter(|line| line.contains("cannot be changed")).count();
    assert_eq!((warned, world.dests().len()), (1, 2));
    world.table.0.borrow_mut().broken = false;
    world.look();
    assert_eq!(world.dests(), ["10.0.2.12:80 1"]);
    assert!(world.logs().contains(&"The table is as it should be again".to_owned()));
}

#[test]
fn checks_rest_while_the_address_is_elsewhere() {
    let mut world = World::start(&conf("ha_suspend", &real(11, "")));
    let here: BTreeSet<IpAddr> = ["10.0.1.10".parse().unwrap()].into();
    world.logs();
    world.keeper.addresses(&mut world.asked, BTreeSet::new());
    assert_eq!(world.asked.resting.len(), 1);
    world.keeper.addresses(&mut world.asked, here);
    world.flush();
    assert!(world.asked.resting.is_empty());
    assert_eq!(
        world.logs(),
        [
            "Suspending healthchecker for service [10.0.2.11]:tcp:80 for VS [10.0.1.10]:tcp:80",
            "Activating healthchecker for service [10.0.2.11]:tcp:80 for VS [10.0.1.10]:tcp:80",
        ]
    );
}

#[test]
fn files_and_sessions_reach_those_who_follow_them_also_after_a_reload() {
    let follow = "track_file F {\n file /tmp/f\n}\nbfd_instance B {\n neighbor_ip 10.0.0.2\n}\n".to_owned()
        + &conf("", &real(11, "FILE_CHECK {\n track_file F\n}\n BFD_CHECK {\n name B\n}"));
    let mut world = World::start(&two());
    world.keeper.file(&mut world.asked, "F", 7);
    world.keeper.session(&mut world.asked, "B", true);
    assert!(world.asked.files.is_empty());
    world.reload(&follow);
    assert_eq!((&world.asked.files[..], &world.asked.sessions[..]), (&[(2, 7)][..], &[true][..]));
    world.keeper.file(&mut world.asked, "F", 8);
    assert_eq!(world.asked.files.last(), Some(&(2, 8)));
}

#[test]
fn an_outlier_seen_by_the_packet_path_leaves_for_a_while() {
    let text = conf("outlier_ejection {\n consecutive_failures 2\n}", &(real(11, "") + &real(12, "")));
    let mut world = World::start(&text);
    // What it did before we looked is over.
    world.seen(11, Openings { answered: 5, refused: 9, unanswered: 9 });
    world.seen(11, Openings { answered: 5, refused: 9, unanswered: 10 });
    // Whoever accepts some has not failed many in a row.
    world.seen(11, Openings { answered: 6, refused: 12, unanswered: 10 });
    assert_eq!(world.dests(), ["10.0.2.11:80 1", "10.0.2.12:80 1"]);
    world.seen(11, Openings { answered: 6, refused: 13, unanswered: 10 });
    world.seen(11, Openings { answered: 6, refused: 13, unanswered: 11 });
    assert_eq!(world.dests(), ["10.0.2.11:80 0", "10.0.2.12:80 1"]);
    let back = world.keeper.deadline().expect("it comes back");
    world.keeper.wake(back);
    world.flush();
    assert_eq!(world.dests(), ["10.0.2.11:80 1", "10.0.2.12:80 1"]);
}

#[test]
fn a_sorry_server_in_the_place_of_a_real_server_is_there_once() {
    let mut world =
        World::start(&conf("sorry_server 10.0.2.12 80\n sorry_server_inhibit", &(real(11, "") + &real(12, ""))));
    assert_eq!(world.dests(), ["10.0.2.11:80 1", "10.0.2.12:80 1"]);
    world.down(12);
    assert_eq!(world.dests(), ["10.0.2.11:80 1", "10.0.2.12:80 0"]);
    world.down(11);
    assert_eq!(world.dests(), ["10.0.2.12:80 1"]);
}

#[test]
fn ten_thousand_real_servers_are_reloaded_within_a_second() {
    let conf_of = |weight: u32| -> String {
        let service = |at: u32| {
            let reals: String = (0..100)
                .map(|last| {
                    let weight = if at == 0 && last == 0 { weight } else { 1 };
                    format!("real_server 10.{}.{}.1 80 {{\n weight {weight}\n TCP_CHECK {{\n}}\n}}\n", at + 1, last)
                })
                .collect();
            conf("", &reals).replace("10.0.1.10", &format!("10.200.0.{}", at + 1))
        };
        (0..100).map(service).collect()
    };
    let mut world = World::start(&conf_of(1));
    assert_eq!(world.dests().len(), 10_000);
    let next = balance(&conf_of(5));
    let began = std::time::Instant::now();
    world.keeper.reload(at(4), next, &mut world.asked);
    world.flush();
    let took = began.elapsed();
    assert_eq!(world.updates(), 2);
    assert!(world.dests().contains(&"10.1.0.1:80 5".to_owned()));
    // Not a benchmark: a machine that is busy must not fail this, a cost that grows with the square would.
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// How long this thread has had a processor.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// How much of a processor a virtual server of so many real servers takes to begin, to lose and regain all of them, and to be
/// reloaded; without the table, which is a model here.
fn cost(reals: u32) -> Duration {
    let of = |weight: u32| {
        let real = |at: u32| {
            let address = std::net::Ipv4Addr::from(0x0a01_0000 + at);
            let weight = if at == 0 { weight } else { 1 };
            format!("real_server {address} 80 {{\n weight {weight}\n TCP_CHECK {{\n}}\n}}\n")
        };
        balance(&conf("sorry_server 10.0.2.99 80\n", &(0..reals).map(real).collect::<String>()))
    };
    let (first, second) = (of(1), of(5));
    let subjects: Vec<SocketAddr> = first.servers[0].params.reals.iter().map(|real| real.address).collect();
    let mut world = World::new(&Shared::default());
    let mut took = Duration::ZERO;
    let mut began = processor_time();
    world.keeper.start(at(1), first, State::default(), &mut world.asked);
    took += processor_time() - began;
    world.flush();
    for up in [false, true] {
        began = processor_time();
        for real in &subjects {
            let verdict = if up {
                Verdict::Up { first: false, mail: None }
            } else {
                Verdict::Down { first: false, reason: Reason::Refused(111), mail: String::new() }
            };
            world.keeper.told(at(2), Told::Verdict(Subject { service: VS.into(), real: *real, check: 0 }, verdict));
            assert_eq!(world.keeper.deadline(), None);
        }
        took += processor_time() - began;
        world.flush();
    }
    began = processor_time();
    world.keeper.reload(at(4), second, &mut world.asked);
    took += processor_time() - began;
    world.flush();
    assert_eq!(world.dests().len(), reals as usize);
    took
}

#[test]
fn the_cost_of_a_virtual_server_does_not_grow_with_the_square_of_its_real_servers() {
    let (few, many) = (cost(1500), cost(9000));
    // Six times as many; with the square it would be thirty-six times as long. Memory that is new may cost more.
    assert!(many < few * 18 + Duration::from_millis(300), "1500: {few:?}, 9000: {many:?}");
}

#[test]
fn checks_by_the_virtual_service_have_marks_of_their_own() {
    let text = |method: &str, reals: &str| conf("", reals).replace("lvs_method NAT", &format!("lvs_method {method}"));
    let via = |last: u8| format!("real_server 10.0.2.{last} 80 {{\n TCP_CHECK {{\n check_via_vip\n}}\n}}\n");
    let (one, two) = (via(11), via(12));
    let mut world = World::start(&text("DR", &(one.clone() + &two + &real(13, ""))));
    let marks = |world: &World| -> Vec<u32> { world.asked.checks.values().map(|params| params.target.mark).collect() };
    assert_eq!(marks(&world), [0x5256_0000, 0x5256_0001, 0]);
    let probe = |world: &World, number: u16| world.table.0.borrow().probes.get(&number).copied();
    let (service, real) = ("10.0.1.10:80".parse().unwrap(), who(11).real);
    assert_eq!(probe(&world, 0), Some(Probe { real, service, tunnel: None }));
    world.keeper.hold_probes(at(3), &mut world.asked);
    assert_eq!(world.table.0.borrow().renewed, 1);

    // Unchanged, gone, and by another way.
    let calls = world.asked.calls;
    world.reload(&text("DR", &(one.clone() + &two + &self::real(13, ""))));
    assert_eq!(world.asked.calls, calls);
    world.reload(&text("DR", &two));
    assert_eq!((probe(&world, 0), marks(&world)), (None, vec![0x5256_0001]));
    world.reload(&text("TUN", &two));
    let tunnel = probe(&world, 1).or(probe(&world, 2)).and_then(|probe| probe.tunnel);
    assert_eq!(tunnel, Some(rvs_intent::Tunnel::default()));
    // By masquerading, a real server sees its own address, as by any check.
    world.reload(&text("NAT", &two));
    assert_eq!(marks(&world), [0]);
    assert!(world.table.0.borrow().probes.is_empty());

    // A table that cannot be had is waited for.
    world.reload(&text("NAT", &real_line()));
    world.table.0.borrow_mut().broken = true;
    world.reload(&text("DR", &one));
    assert!(world.asked.checks.is_empty());
    world.table.0.borrow_mut().broken = false;
    world.keeper.hold_probes(at(9), &mut world.asked);
    assert_eq!(world.asked.checks.len(), 1);
    world.keeper.stop(at(10), false, &mut world.asked);
    assert!(world.table.0.borrow().probes.is_empty());
}

fn real_line() -> String {
    "real_server 10.0.2.14 80 {\n}\n".to_owned()
}

#[test]
fn who_keeps_nothing_never_asks_for_a_table() {
    let open: Open = Box::new(|| panic!("nobody needs it"));
    let mut keeper = Keeper::new(open);
    let mut checks = Asked::default();
    keeper.start(Time::ZERO, Balance::default(), State::default(), &mut checks);
    keeper.flush();
    keeper.reload(Time::ZERO, Balance::default(), &mut checks);
    keeper.flush();
    keeper.look();
    keeper.observe(Time::ZERO);
    keeper.hold_probes(Time::ZERO, &mut checks);
    keeper.board(Time::ZERO, None);
    keeper.stop(Time::ZERO, false, &mut checks);
}
