//! Services by firewall mark: marks of our own rules, of iptables and of nft; what the detour for the latter changes on the
//! host, and that all of it goes again.

use crate::at;
use crate::bulk::noise;
use anyhow::{Result, ensure};
use lab::topology::VIP;
use lab::{Family, Lab, Method, Topology, echo, start};
use std::net::SocketAddr;

/// Two services by the same mark, one of each family, with two servers each, whose ports are those that clients ask for.
fn services(lab: &Lab, options: &str) -> Result<()> {
    let mut lines = String::new();
    for (family, flag) in [(Family::V4, ""), (Family::V6, "-6")] {
        lines += &format!("-A -f 10 {flag} -s rr {options}\n");
        for n in lab.numbers() {
            let server = SocketAddr::new(family.server(n), 0);
            lines += &format!("-a -f 10 {flag} -r {server} {}\n", lab.method().flag());
        }
    }
    lab.restore(&lines).map(drop)
}

/// Both ports are one service, with TCP, and with UDP in fragments.
fn joined(lab: &Lab) -> Result<()> {
    let data = noise(1_000_000);
    for family in Family::ALL {
        let (one, other) = (at(family, echo::PORT), at(family, echo::OTHER_PORT));
        let names =
            [lab.greet(one)?.bye()?, lab.greet(other)?.bye()?, lab.greet(other)?.bye()?, lab.greet(one)?.bye()?];
        assert_eq!(names, ["rs2", "rs1", "rs2", "rs1"], "{family:?}");
        assert_eq!(lab.greet(other)?.echo(&data)?, "rs2");
        assert_eq!(lab.ask_with(one, &data[..8_000])?, "rs1");
        // What has no mark is the host's own.
        ensure!(lab.greet(at(family, 99)).is_err(), "somebody answers without a mark");
    }
    Ok(())
}

fn own_rules(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).servers(2))? else { return Ok(()) };
    services(&lab, "")?;
    for family in Family::ALL {
        for proto in ["tcp", "udp"] {
            lab.rvs(&format!("mark add --proto {proto} --dst {} --dports 7,7007 --set 10", family.vip()))?;
        }
    }
    joined(&lab)?;
    assert_eq!(lab.rvs("mark list")?.lines().count(), 4);
    lab.rvs("mark del --all")?;
    for family in Family::ALL {
        ensure!(lab.greet(at(family, echo::PORT)).is_err(), "the rules are gone, and still somebody answers");
    }
    Ok(())
}

#[test]
fn nat_follows_marks_of_our_own_rules() -> Result<()> {
    own_rules(Method::Nat)
}

#[test]
fn dr_follows_marks_of_our_own_rules() -> Result<()> {
    own_rules(Method::Dr)
}

#[test]
fn tun_follows_marks_of_our_own_rules() -> Result<()> {
    own_rules(Method::Tun)
}

/// `iptables` and `ip6tables` with this action on the rules that people have.
fn iptables(lab: &Lab, action: &str) -> Result<()> {
    for (program, family) in [("iptables", Family::V4), ("ip6tables", Family::V6)] {
        for proto in ["tcp", "udp"] {
            let what = format!("-d {} -p {proto} -m multiport --dports 7,7007 -j MARK --set-mark 10", family.vip());
            lab.director().command(program).args(&format!("-w -t mangle {action} PREROUTING {what}")).ok()?;
        }
    }
    Ok(())
}

#[test]
fn marks_of_iptables_are_followed() -> Result<()> {
    for method in [Method::Nat, Method::Dr] {
        let Some(lab) = start(Topology::of(method).servers(2))? else { return Ok(()) };
        iptables(&lab, "-A")?;
        services(&lab, "")?;
        joined(&lab)?;
        iptables(&lab, "-D")?;
        ensure!(lab.greet(at(Family::V4, echo::PORT)).is_err(), "the rules are gone, and still somebody answers");
    }
    Ok(())
}

/// Rules of nft that mark what is for the virtual addresses.
fn nft(lab: &Lab) -> Result<()> {
    let (v4, v6) = (VIP, Family::V6.vip());
    let rules = format!(
        "table inet marks {{
            chain incoming {{
                type filter hook prerouting priority mangle;
                ip daddr {v4} tcp dport {{ 7, 7007 }} meta mark set 10
                ip daddr {v4} udp dport {{ 7, 7007 }} meta mark set 10
                ip6 daddr {v6} tcp dport {{ 7, 7007 }} meta mark set 10
                ip6 daddr {v6} udp dport {{ 7, 7007 }} meta mark set 10
            }}
        }}\n"
    );
    lab.director().command("nft").args("-f -").stdin(rules).ok().map(drop)
}

#[test]
fn marks_of_nft_are_followed() -> Result<()> {
    for method in [Method::Nat, Method::Tun] {
        let Some(lab) = start(Topology::of(method).servers(2))? else { return Ok(()) };
        services(&lab, "")?;
        nft(&lab)?;
        joined(&lab)?;
    }
    Ok(())
}

/// A shop's two ports: whoever filled the basket on one of them pays on the other at the same server.
#[test]
fn a_persistent_mark_keeps_clients_across_ports() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2).clients(2))? else { return Ok(()) };
    services(&lab, "-p 60")?;
    nft(&lab)?;
    for family in Family::ALL {
        for (client, server) in [(0, "rs2"), (1, "rs1"), (0, "rs2")] {
            for port in [echo::PORT, echo::OTHER_PORT, echo::PORT] {
                let from = SocketAddr::new(family.client_number(client), 0);
                let greeted = lab.greet_from(from, at(family, port))?;
                assert_eq!(greeted.name, server, "{family:?}, client {client}, port {port}");
            }
        }
    }
    // Templates carry the mark where others have the virtual address.
    let listing = lab.connections()?;
    assert!(listing.iter().any(|c| c.source == "10.0.1.100:0" && c.virt == "0.0.0.10:0"), "{listing:#?}");
    Ok(())
}

/// The host's rules of routing.
fn rules(lab: &Lab) -> Result<String> {
    let ip = |args: &str| lab.director().command("ip").args(args).ok();
    Ok([ip("-4 rule")?, ip("-6 rule")?].concat())
}

/// The same, with the routes.
fn routing(lab: &Lab) -> Result<String> {
    let ip = |args: &str| lab.director().command("ip").args(args).ok();
    Ok([rules(lab)?, ip("-4 route show table all")?, ip("-6 route show table all")?].join("\n"))
}

/// The same, with interfaces, programs on them, and settings.
fn host(lab: &Lab) -> Result<String> {
    let links = lab.director().command("ip").args("-details link").ok()?;
    let settings = lab.director().command("sysctl").args("-a -r ^net\\.ipv[46]\\.(conf|ip_forward)").ok()?;
    Ok([routing(lab)?, links, settings].join("\n"))
}

#[test]
fn the_detour_goes_with_its_service_and_leaves_nothing() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    // Rules of the host's own keep their places.
    lab.director().ip_batch(
        "rule add fwmark 77 table 100 priority 50\nroute add unreachable 10.9.0.0/16 table 100\nrule add from 10.8.0.0/16 table 100\n",
    )?;
    let (before, untouched) = (routing(&lab)?, host(&lab)?);
    services(&lab, "")?;
    nft(&lab)?;
    let with = rules(&lab)?;
    assert!(with.contains("fwmark 0xa"), "{with}");
    assert!(routing(&lab)?.contains("default dev rvsmark0 table 21078"));
    assert_eq!(lab.greet(at(Family::V4, echo::PORT))?.bye()?, "rs2");
    // Another mark, and one less.
    lab.ipvsadm("-A -f 11 -s rr")?;
    assert!(rules(&lab)?.contains("fwmark 0xb"));
    lab.ipvsadm("-D -f 11")?;
    assert_eq!(rules(&lab)?, with);
    lab.ipvsadm("-D -f 10")?;
    assert_eq!(lab.greet(at(Family::V6, echo::PORT))?.bye()?, "rs2");
    lab.ipvsadm("-D -f 10 -6")?;
    assert_eq!(routing(&lab)?, before);
    // And once more, taken away with everything else.
    services(&lab, "")?;
    assert_eq!(rules(&lab)?, with);
    lab.rvs("teardown")?;
    assert_eq!(host(&lab)?, untouched);
    Ok(())
}
