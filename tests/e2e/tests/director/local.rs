//! The director as a host among others: real servers on it, a sorry server on its loopback, and clients on it.

use crate::at;
use crate::bulk::noise;
use anyhow::{Context as _, Result};
use lab::client::{ask_again, greet, heard, udp};
use lab::echo::Echo;
use lab::wait::secs;
use lab::{Family, Lab, Topology, echo, eventually, start};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// A virtual port that nobody listens on.
const CLOSED: u16 = 4000;

fn with_local_server() -> Result<Option<(Lab, Echo)>> {
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(None) };
    let addresses =
        |family: Family| [family.vip(), family.director_front(), family.director_back(), family.localhost()];
    let addresses: Vec<IpAddr> = Family::ALL.into_iter().flat_map(addresses).collect();
    let echo = Echo::start(&lab.director(), "dr", &addresses)?;
    Ok(Some((lab, echo)))
}

/// A service on TCP and UDP with one real server.
fn service(lab: &Lab, at: SocketAddr, server: SocketAddr) -> Result<()> {
    for proto in ["-t", "-u"] {
        lab.restore(&format!("-A {proto} {at} -s rr\n-a {proto} {at} -r {server} -m\n"))?;
    }
    Ok(())
}

/// A client of the network gets the director's own server.
fn answers(lab: &Lab, service: SocketAddr) -> Result<()> {
    assert_eq!(lab.greet(service)?.echo(&noise(1_000_000))?, "dr");
    Ok(())
}

#[test]
fn a_real_server_on_the_director_serves_on_the_same_port() -> Result<()> {
    let Some((lab, _echo)) = with_local_server()? else { return Ok(()) };
    for family in Family::ALL {
        let virtual_one = at(family, echo::PORT);
        for server in [family.vip(), family.director_front(), family.director_back()] {
            lab.ipvsadm("-C")?;
            service(&lab, virtual_one, SocketAddr::new(server, echo::PORT))?;
            answers(&lab, virtual_one).with_context(|| format!("by {server}"))?;
        }
        lab.ipvsadm("-C")?;
        service(&lab, virtual_one, virtual_one)?;
        assert_eq!(lab.ask(virtual_one)?, "dr");
        assert_eq!(lab.ask_with(virtual_one, &noise(8_000))?, "dr");
    }
    Ok(())
}

#[test]
fn a_real_server_on_the_director_serves_on_another_port() -> Result<()> {
    let Some((lab, _echo)) = with_local_server()? else { return Ok(()) };
    for family in Family::ALL {
        for port in [echo::PORT, echo::OTHER_PORT] {
            lab.ipvsadm("-C")?;
            service(&lab, at(family, CLOSED), SocketAddr::new(family.director_back(), port))?;
            answers(&lab, at(family, CLOSED)).with_context(|| format!("{family:?}, port {port}"))?;
            // Datagrams, too, small ones and such as travel in pieces; the client's socket takes answers from the virtual address
            // only.
            assert_eq!(lab.ask(at(family, CLOSED))?, "dr", "{family:?}, port {port}");
            assert_eq!(lab.ask_with(at(family, CLOSED), &noise(8_000))?, "dr", "{family:?}, port {port}");
        }
        // A client on the director gets them as well.
        let socket = udp(&lab.director(), SocketAddr::new(family.unspecified(), 0), at(family, CLOSED))?;
        assert_eq!(ask_again(&socket)?, "dr", "{family:?}");
    }
    Ok(())
}

/// The host's own marks lead datagrams for a server on the director to the detour, all of them, and from there to the server: in
/// pieces as well.
#[test]
fn a_real_server_on_the_director_gets_datagrams_by_the_hosts_marks() -> Result<()> {
    let Some((lab, _echo)) = with_local_server()? else { return Ok(()) };
    for (program, family, flag) in [("iptables", Family::V4, ""), ("ip6tables", Family::V6, "-6")] {
        let what = format!("-A PREROUTING -d {} -p udp --dport 4000 -j MARK --set-mark 10", family.vip());
        lab.director().command(program).args(&format!("-w -t mangle {what}")).ok()?;
        let server = SocketAddr::new(family.vip(), 0);
        lab.restore(&format!("-A -f 10 {flag} -s rr\n-a -f 10 {flag} -r {server} -g\n"))?;
        let socket = lab.director().enter(|| UdpSocket::bind(at(family, CLOSED)))??;
        socket.set_read_timeout(Some(secs(20)))?;
        let client = udp(&lab.client(), SocketAddr::new(family.unspecified(), 0), at(family, CLOSED))?;
        for data in [noise(40), noise(8_000)] {
            client.send(&data)?;
            let mut buffer = [0; 9000];
            let (len, _) = socket.recv_from(&mut buffer).with_context(|| format!("{family:?}, {}", data.len()))?;
            assert_eq!(buffer[..len], data, "{family:?}");
        }
    }
    Ok(())
}

/// A sorry server that listens on all addresses, behind the loopback's: its answers leave from whatever address is nearest to
/// the client, and arrive from the virtual one all the same.
#[test]
fn datagrams_find_a_sorry_server_on_the_loopback_too() -> Result<()> {
    const PORT: u16 = 5353;
    let Some(lab) = start(Topology::nat().servers(1))? else { return Ok(()) };
    for family in Family::ALL {
        let bind = || UdpSocket::bind(SocketAddr::new(family.unspecified(), PORT));
        let socket = lab.director().enter(bind)??;
        socket.set_read_timeout(Some(secs(20)))?;
        let (virtual_one, sorry) = (at(family, CLOSED), SocketAddr::new(family.localhost(), PORT));
        lab.restore(&format!("-A -u {virtual_one} -s rr\n-a -u {virtual_one} -r {sorry} -m\n"))?;
        let client = udp(&lab.client(), SocketAddr::new(family.unspecified(), 0), virtual_one)?;
        client.send(b"anybody there?")?;
        let mut buffer = [0; 64];
        let (len, from) = socket.recv_from(&mut buffer)?;
        assert_eq!((&buffer[..len], from.port()), (&b"anybody there?"[..], client.local_addr()?.port()));
        socket.send_to(b"sorry", from)?;
        let len = client.recv(&mut buffer)?;
        assert_eq!(&buffer[..len], b"sorry", "{family:?}");
        // When it has gone, whoever asks is told.
        drop(socket);
        client.send(b"anybody there?")?;
        let error = client.recv(&mut buffer).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::ECONNREFUSED as i32), "{family:?}");
    }
    Ok(())
}

/// All real servers are down: whoever comes gets the page on the loopback that says so.
#[test]
fn a_sorry_server_on_the_loopback_steps_in() -> Result<()> {
    let Some((lab, _echo)) = with_local_server()? else { return Ok(()) };
    for family in Family::ALL {
        let (virtual_one, sorry) = (at(family, CLOSED), SocketAddr::new(family.localhost(), echo::OTHER_PORT));
        lab.serve("-t", virtual_one, "-s rr", echo::PORT, &[1])?;
        assert_eq!(lab.greet(virtual_one)?.bye()?, "rs1");
        lab.ipvsadm(&format!("-a -t {virtual_one} -r {sorry} -m"))?;
        lab.ipvsadm(&format!("-d -t {virtual_one} -r {}", SocketAddr::new(family.server(1), echo::PORT)))?;
        let greeted = lab.greet(virtual_one)?;
        // The server sees the client as it is.
        assert_eq!((greeted.name.as_str(), greeted.stream.peer_addr()?), ("dr", virtual_one));
        assert_eq!(greeted.echo(&noise(1_000_000))?, "dr");
    }
    Ok(())
}

#[test]
fn clients_on_the_director_are_balanced_in_nat() -> Result<()> {
    let Some(lab) = start(Topology::nat().servers(2))? else { return Ok(()) };
    let (director, data) = (lab.director(), noise(1_000_000));
    for family in Family::ALL {
        let service = at(family, echo::PORT);
        for proto in ["-t", "-u"] {
            lab.serve(proto, service, "-s rr", echo::OTHER_PORT, &[1, 1])?;
        }
        for server in ["rs2", "rs1"] {
            assert_eq!(greet(&director, service)?.echo(&data)?, server, "{family:?}");
        }
        for server in ["rs2", "rs1"] {
            let socket = udp(&director, SocketAddr::new(family.unspecified(), 0), service)?;
            assert_eq!(ask_again(&socket)?, server, "{family:?}");
            // The way to the virtual address looks as wide as the loopback, until the first packet that is too long for the
            // servers' network. Then the sender is told; IPv4 remembers that and sends fragments from then on.
            if family == Family::V4 {
                let large = eventually(secs(20), || {
                    let socket = udp(&director, SocketAddr::new(family.unspecified(), 0), service)?;
                    socket.send(&data[..8_000])?;
                    heard(&socket, &data[..8_000])
                });
                large?;
            } else {
                socket.send(&data[..8_000])?;
                let error = socket.recv(&mut [0; 8]).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EMSGSIZE as i32));
                socket.send(&data[..1_400])?;
                assert_eq!(heard(&socket, &data[..1_400])?, server);
            }
        }
        // Others are served as ever.
        assert_eq!(lab.greet(service)?.echo(&data)?, "rs2");
    }
    Ok(())
}
