//! The language: files, conditions, definitions, sequences, places.

use crate::support::{FILE, files, read, told};
use rvs_config::keepalived::{Environment, Limits, Memory, load, parse};
use std::path::Path;

/// The addresses of the first instance, which tells how lines were expanded.
fn addresses(body: &str) -> String {
    let text = format!("vrrp_instance V {{\nvirtual_ipaddress {{\n{body}\n}}\n}}\n");
    let loaded = files([(FILE, text.as_str())]);
    let instance = loaded.config.instances.first().expect("an instance");
    instance.addresses.values().map(|entry| entry.net.text()).collect::<Vec<_>>().join(" ")
}

#[test]
fn parameters_sequences_and_lists() {
    for (body, expected) in [
        ("~SEQ(S, 0, 3) 10.0.${S}.1", "10.0.0.1 10.0.1.1 10.0.2.1 10.0.3.1"),
        ("~SEQx(S, 0x90, 0x10, 0xb0) fe80::20:${S}:1", "fe80::20:90:1 fe80::20:a0:1 fe80::20:b0:1"),
        ("~LST(A, 1, 2) ~LST(B, 5,6) 192.169.${A}.${B}", "192.169.1.5 192.169.1.6 192.169.2.5 192.169.2.6"),
        (
            "~LST({A, B}, {10,1},{20,4}) ~SEQ(C,168,2,170) 192.${C}.${A}.${B}",
            "192.168.10.1 192.170.10.1 192.168.20.4 192.170.20.4",
        ),
        ("$B=10.2.${S}\n$S=0\n${B}.100/32\n$S=10\n${B}.100/32", "10.2.0.100/32 10.2.10.100/32"),
        ("@dr 10.0.0.1\n@^dr 10.0.0.2\n@other 10.0.0.3\n@^other 10.0.0.4", "10.0.0.1 10.0.0.4"),
        ("$ID=@dr\n$ID 10.0.0.1\n$ID=@other\n$ID 10.0.0.2", "10.0.0.1"),
        ("$A= \\\n10.0.0.1 \\\n10.0.0.2\n$A", "10.0.0.1 10.0.0.2"),
        ("$I= \\\n10.0.0.${N}\n$O= \\\n$N=1 \\\n$I \\\n$N=2 \\\n$I\n$O", "10.0.0.1 10.0.0.2"),
        ("10.0.0.1 \\\n  dev eth0\n10.0.0.2 # dev eth1\n! x\n", "10.0.0.1 10.0.0.2"),
        ("10.0.0.${_RANDOM 7 7}", "10.0.0.7"),
        ("~SEQ(N,1,3)\n10.0.0.9", "10.0.0.9"),
    ] {
        assert_eq!(addresses(body), expected, "{body}");
    }
}

#[test]
fn predefined_parameters() {
    let text = "global_defs {\nrouter_id ${_INSTANCE}-${_ENV SITE}-${_HASH}${_BANG}-${_PWD}-${NONE}-${_ENV NONE}\n}\n";
    let loaded = files([(FILE, text)]);
    assert_eq!(loaded.config.globals.router_id.as_deref(), Some("dr-north-#!-/tmp-${NONE}-"));
    let text = "global_defs {\nrandom_seed 5\nrouter_id ${_RANDOM}\n}\n";
    let once = files([(FILE, text)]).config.globals.router_id;
    assert!(once.is_some());
    assert_eq!(once, files([(FILE, text)]).config.globals.router_id);
}

#[test]
fn includes_are_relative_to_the_file_that_has_them() {
    let loaded = files([
        (FILE, "include conf.d/*.conf\ninclude {x,conf.d/a}.txt\n"),
        ("/tmp/conf.d/1.conf", "vrrp_script a {\nscript /a\n}\ninclude sub/b.inc\n"),
        ("/tmp/conf.d/2.conf", "vrrp_script c {\nscript /c\n}\n"),
        ("/tmp/conf.d/a.txt", "vrrp_script d {\nscript /d\n}\n"),
        ("/tmp/conf.d/sub/b.inc", "vrrp_script b {\nscript /b\nnonsense\n}\n"),
    ]);
    let names: Vec<&str> = loaded.config.scripts.iter().map(|script| &*script.name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(told(&loaded), ["(/tmp/conf.d/sub/b.inc: Line 3) Unknown keyword 'nonsense'"]);
}

#[test]
fn a_missing_file_is_an_error_only_where_it_is_asked_for() {
    for (text, good) in [
        ("include nothing", true),
        ("include no/*.conf", true),
        ("includer nothing", true),
        ("includem nothing", false),
        ("includem no/*.conf", true),
        ("includew no/*.conf", false),
        ("includeb {k,nothing}.conf", false),
        ("includea nothing", false),
        ("global_defs {\ninclude_check\n}\ninclude nothing", false),
        ("global_defs {\ninclude_check +match -readable\n}\ninclude nothing", false),
        ("global_defs {\ninclude_check wildcard_match\n}\ninclude nothing", true),
    ] {
        let loaded = files([(FILE, text), ("/tmp/other.conf", "")]);
        assert_eq!(loaded.good(), good, "{text}: {:?}", told(&loaded));
    }
    let strict = Environment { all_files: true, ..Environment::default() };
    assert!(!load(Path::new(FILE), &Memory::new([(FILE, "include nothing")]), &strict).good());
    let missing = load(Path::new("/none"), &Memory::default(), &strict);
    assert!(!missing.found && !missing.good());
}

#[test]
fn include_loops_end() {
    let loaded = files([(FILE, "include b\n"), ("/tmp/b", "include ./k.conf\ninclude ../tmp/b\ninclude /tmp/*\n")]);
    assert!(told(&loaded).iter().all(|text| text.contains("includes itself")), "{:?}", told(&loaded));
    assert_eq!(told(&loaded).len(), 4);
    let chain: Vec<(String, String)> =
        (0..100).map(|n| (format!("/tmp/f{n}"), format!("include f{}\n", n + 1))).collect();
    let loaded = parse(
        Path::new("/tmp/f0"),
        &Memory::new(chain.iter().map(|(path, text)| (path.as_str(), text.as_str()))),
        &Environment::default(),
        Limits::default(),
    );
    assert_eq!(told(&loaded).len(), 1);
    assert!(told(&loaded)[0].contains("too many files"));
}

#[test]
fn what_grows_without_end_is_cut() {
    for text in [
        "$A=$A\n$A\n",
        "$A=x $A\n$A\n",
        "$A=$B $B\n$B=$A $A\n$A\n",
        "$A=x\n$B=$A $A $A $A\n$C=$B $B $B $B\n$D=$C $C $C $C\n$E=$D $D $D $D\n$F=$E $E $E $E\n$G=$F $F $F $F\n$H=$G $G $G $G\n$I=$H $H \
         $H $H\n$J=$I $I $I $I\n$K=$J $J $J $J\n$K\n",
        "~SEQ(A,1,9223372036854775807) vrrp_script\n",
        "~SEQ(A,1,100000) ~SEQ(B,1,100000) ~SEQ(C,1,100000) x\n",
        "$A= \\\n$A \\\n$A\n$A\n",
    ] {
        let limits = Limits { lines: 10_000, expanded_bytes: 4 << 20, ..Limits::default() };
        let loaded = parse(Path::new(FILE), &Memory::new([(FILE, text)]), &Environment::default(), limits);
        assert!(!loaded.good(), "{text}");
    }
}

#[test]
fn words_keep_their_places_through_definitions() {
    let text = "$PRI=999\n$V= \\\nvrrp_instance V { \\\n  interface eth0 \\\n  priority ${PRI} \\\n  prioritty 5 \\\n}\n\n$V\n";
    let loaded = read(text);
    let shown = loaded.render();
    // The line that is wrong is shown; the line that used it is named, first as the original does.
    assert!(
        shown.contains("(/tmp/k.conf: Line 9) number '999' outside range [1, 255]\n --> /tmp/k.conf:1:6: error"),
        "{shown}"
    );
    assert!(shown.contains("1 | $PRI=999\n  |      ^^^\n  = used at /tmp/k.conf:9"), "{shown}");
    assert!(shown.contains("6 |   prioritty 5 \\\n  |   ^^^^^^^^^\n"), "{shown}");
    assert!(shown.contains("help: did you mean `priority`?"), "{shown}");
}

#[test]
fn all_errors_are_told_at_once_with_what_was_meant() {
    let loaded = read(
        "global_def {\n}\nvrrp_instance V {\n interfaces eth0\n virtual_router_id 300\n lb_algo rr\n}\nvirtual_server 1.2.3.4 80 {\n \
         lb_algo round\n protocl TCP\n real_server 10.0.0.1 80 {\n  TCP_CHEK {\n  }\n }\n}\n",
    );
    let shown = loaded.render();
    for expected in [
        "Unknown keyword 'global_def'",
        "did you mean `global_defs`?",
        "did you mean `interface`?",
        "number '300' outside range [1, 255]",
        "it belongs into `virtual_server`",
        "one of rr|wrr|",
        "did you mean `protocol`?",
        "did you mean `TCP_CHECK`?",
        "(V) Unknown interface!",
    ] {
        assert!(shown.contains(expected), "`{expected}` in\n{shown}");
    }
}

/// The names of all keywords of the original, up to 2.4.
const ORIGINAL: &str = include_str!("keywords.txt");

#[test]
fn every_keyword_of_the_original_is_known() {
    let known = rvs_config::keepalived::words();
    let names: Vec<&str> = ORIGINAL.split_whitespace().collect();
    assert!(names.len() >= 343, "{}", names.len());
    let unknown: Vec<&&str> = names.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn what_has_no_effect_says_so_and_is_good() {
    let loaded = read("global_defs {\n enable_snmp_vrrp\n vrrp_ipsets a b\n process_names\n}\n");
    assert!(loaded.good());
    let shown = told(&loaded);
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown.iter().all(|text| text.contains("has no effect: ")), "{shown:?}");
}
