use super::*;
use crate::names::FixedNames;
use rvs_intent::{Capabilities, Edit, NoInterfaces, Rules, Table};

struct Fixed(Listing);

impl Live for Fixed {
    fn table(&mut self) -> Option<Listing> {
        Some(self.0.clone())
    }

    fn interfaces(&mut self) -> Vec<String> {
        vec!["eth0".into(), "eth1".into()]
    }
}

fn fixed() -> Fixed {
    let mut table = Table::default();
    let text = "-A -t 10.0.1.10:80\n-a -t 10.0.1.10:80 -r 10.0.2.11:8080 -m\n-a -t 10.0.1.10:80 -r 10.0.2.12:80 -m\n\
                -A -t [fd00::1]:443 -s rr\n-A -u 10.0.1.10:53\n-a -u 10.0.1.10:53 -r 10.0.2.13:53 -m\n-A -f 7\n";
    let rules = super::super::read_script(text, &FixedNames::default()).unwrap();
    let edits: Vec<Edit> = rules.rules.into_iter().map(|rule| rule.edit).collect();
    let rules = Rules { capabilities: Capabilities::ALL_IPVS, net: &NoInterfaces };
    table.apply_all(&edits, &rules).unwrap();
    let dest = |dest: &rvs_intent::Dest| rvs_intent::ListedDest {
        dest: dest.clone(),
        active: 0,
        inactive: 0,
        persist: 0,
        counters: Default::default(),
        rates: Default::default(),
        openings: Default::default(),
    };
    let service = |service: &rvs_intent::Service| ListedService {
        service: service.clone(),
        counters: Default::default(),
        rates: Default::default(),
        dests: service.dests.iter().map(dest).collect(),
    };
    Fixed(Listing { services: table.services.iter().map(service).collect(), ..Listing::default() })
}

/// The candidates for a line; the last word is the one being typed.
fn offered(line: &str) -> Vec<String> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let word = |candidate| match candidate {
        Candidate::Word(word, _) => word,
        Candidate::File => "FILE".to_owned(),
    };
    complete(&words, &mut fixed()).into_iter().map(word).collect()
}

#[test]
fn a_line_begins_with_a_command() {
    let all = offered("");
    for opt in OPTIONS.iter().filter(|opt| matches!(opt.id, Id::Command(_))) {
        assert!(all.contains(&format!("--{}", opt.long)), "--{}", opt.long);
    }
    assert!(!all.contains(&"-t".to_owned()) && all.contains(&"-L".to_owned()));
    assert_eq!(offered("--add"), ["--add-service", "--add-server"]);
}

#[test]
fn options_are_those_that_go_with_the_command() {
    let after_add = offered("-A -t 10.0.1.10:81 -");
    assert!(
        after_add.contains(&"--scheduler".to_owned()) && !after_add.contains(&"--weight".to_owned()),
        "{after_add:?}"
    );
    assert!(!after_add.contains(&"-u".to_owned()), "one service is enough: {after_add:?}");
    assert!(offered("-a -t x -r y -m -").contains(&"-w".to_owned()));
    assert!(!offered("-a -t x -r y -m -").contains(&"-g".to_owned()), "one method is enough");
    assert!(offered("-L -").contains(&"--stats".to_owned()));
    assert!(!offered("-C -").iter().any(|word| word == "--scheduler" || word == "--weight" || word == "-r"));
}

#[test]
fn every_option_is_offered_somewhere() {
    let commands = OPTIONS.iter().filter(|opt| matches!(opt.id, Id::Command(_))).map(|opt| format!("--{} ", opt.long));
    let lines: Vec<String> = commands.chain([String::new()]).collect();
    let offered: BTreeSet<String> = lines
        .iter()
        .flat_map(|line| {
            let argument = if line.contains("daemon") { "master " } else { "" };
            offered(&format!("{line}{argument}-"))
        })
        .collect();
    for opt in OPTIONS.iter().filter(|opt| opt.section != Section::Hidden) {
        assert!(offered.contains(&format!("--{}", opt.long)), "--{}", opt.long);
    }
}

#[test]
fn services_are_the_live_ones_of_the_protocol() {
    assert_eq!(offered("-D -t "), ["10.0.1.10:80", "[fd00::1]:443"]);
    assert_eq!(offered("-L --tcp-service=10"), ["--tcp-service=10.0.1.10:80"]);
    assert_eq!(offered("-Z -u "), ["10.0.1.10:53"]);
    assert_eq!(offered("-E -f "), ["7"]);
    assert_eq!(offered("-A -t "), [""; 0]);
}

#[test]
fn servers_are_those_of_the_service() {
    assert_eq!(offered("-d -t 10.0.1.10:80 -r "), ["10.0.2.11:8080", "10.0.2.12:80"]);
    assert_eq!(offered("-et 10.0.1.10:80 -r 10.0.2.12"), ["10.0.2.12:80"]);
    assert_eq!(offered("-a -u 10.0.1.10:53 -r "), ["10.0.2.11:8080", "10.0.2.12:80"], "those of others");
    assert_eq!(offered("-d -t 10.9.9.9:80 -r "), [""; 0]);
}

#[test]
fn values_of_a_fixed_set() {
    assert_eq!(offered("-A -t x:1 -s w"), ["wrr", "wlc"]);
    assert_eq!(offered("-A -t x:1 -s sh -b "), ["sh-fallback", "sh-port"]);
    assert_eq!(offered("--start-daemon "), ["master", "backup"]);
    assert_eq!(offered("--start-daemon master --mcast-interface e"), ["eth0", "eth1"]);
    assert_eq!(offered("-a -t x:1 -r y -i --tun-type g"), ["gue", "gre"]);
    assert_eq!(offered("-a -t x:1 -r y -w "), [""; 0]);
}

#[test]
fn nonsense_offers_nothing_and_does_no_harm() {
    for line in ["-", "--", "--=", "-\u{e4}\u{f6} -", "--no-such=", "-t", "a b c d -t", "-p -p -p -"] {
        offered(line);
    }
    assert_eq!(complete(&[], &mut fixed()), []);
}
