//! The recorded host, as far as ipvsadm sees it.

use crate::recording::Entry;
use rvs_app::world::{Open, Woken, World};
use rvs_config::names::{FixedNames, Services};
use rvs_core::abi::ServiceKey;
use rvs_dataplane::model::Model;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Capabilities, Connection, Edit, Listing, LocalNet, Table};
use rvs_wire::{Addr, Family};
use std::cell::RefCell;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// Interfaces of the recorded director: 10.0.1.1/24 and 10.0.2.1/24, the virtual address, and the same with IPv6.
struct Interfaces;

impl LocalNet for Interfaces {
    fn is_broadcast(&self, addr: Addr) -> bool {
        [[10, 0, 1, 255], [10, 0, 2, 255]].iter().any(|octets| addr == Ipv4Addr::from(*octets).into())
    }

    fn is_local(&self, addr: Addr, family: Family) -> bool {
        let local = ["127.0.0.1", "10.0.1.1", "10.0.1.10", "10.0.2.1", "::1", "fd00:1::1", "fd00:1::10", "fd00:2::1"];
        local.iter().any(|text| text.parse() == Ok::<IpAddr, _>(addr.to_ip(family)))
    }
}

/// A model that outlives the commands, as a kernel does.
#[derive(Clone)]
struct Kernel(Rc<RefCell<Model>>);

impl Dataplane for Kernel {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        self.0.borrow_mut().update(edits)
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        self.0.borrow_mut().listing()
    }

    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        self.0.borrow_mut().connections()
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError> {
        self.0.borrow_mut().zero(service)
    }
}

/// The recorded host.
pub(crate) struct Host {
    kernel: Kernel,
    names: FixedNames,
}

/// Ports that the recorded host's `/etc/services` names and the recordings use.
const SERVICES: &str = "\
tcpmux 1/tcp
echo 7/tcp
discard 9/tcp sink null
systat 11/tcp users
daytime 13/tcp
domain 53/tcp
domain 53/udp
http 80/tcp www
kerberos 88/tcp
http-alt 8080/tcp webcache
sip 5060/tcp
sip 5060/udp
";

impl Host {
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        let model = Model::new(capabilities, Box::new(Interfaces));
        let names = FixedNames {
            hosts: vec![("localhost".to_owned(), Ipv4Addr::LOCALHOST)],
            services: Services::parse(SERVICES),
        };
        Self { kernel: Kernel(Rc::new(RefCell::new(model))), names }
    }

    /// The table as it is.
    pub(crate) fn table(&self) -> Table {
        self.kernel.0.borrow().table().clone()
    }

    /// Runs `ipvsadm` with these arguments.
    pub(crate) fn ipvsadm(&self, args: &[&str], stdin: &str) -> Entry {
        self.call(rvs_app::ipvsadm::run, &words(args), stdin, &mut |_| Ok(Box::new(self.kernel.clone())))
    }

    /// Runs `ipvsadm-restore`.
    pub(crate) fn restore(&self, stdin: &str) -> Entry {
        self.call(rvs_app::scripts::restore, &[], stdin, &mut |_| Ok(Box::new(self.kernel.clone())))
    }

    /// Runs `ipvsadm` as somebody who may not.
    pub(crate) fn unprivileged(&self, args: &[&str]) -> Entry {
        self.call(rvs_app::ipvsadm::run, &words(args), "", &mut |_| Err(Error::Permission("CAP_NET_ADMIN".to_owned())))
    }

    fn call(
        &self,
        tool: impl FnOnce(&[OsString], &mut World<'_>) -> i32,
        args: &[OsString],
        stdin: &str,
        open: &mut Open<'_>,
    ) -> Entry {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let world = &mut World {
            stdin: &mut stdin.as_bytes(),
            stdin_name: None,
            out: &mut out,
            err: &mut err,
            names: &self.names,
            open,
            pause: &mut |_| Woken::Interrupted,
        };
        let status = tool(args, world);
        let text = |bytes| String::from_utf8(bytes).expect("all output is text");
        Entry { line: 0, command: String::new(), out: text(out), err: text(err), status }
    }
}

fn words(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}
