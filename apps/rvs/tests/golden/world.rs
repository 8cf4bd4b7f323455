//! The recorded host, as far as ipvsadm sees it.

use crate::figures::Figures;
use crate::recording::Entry;
use rvs_app::world::{Open, Woken, World};
use rvs_config::names::{FixedNames, Services};
use rvs_core::abi::ServiceKey;
use rvs_dataplane::model::Model;
use rvs_dataplane::{Dataplane, Error, UpdateError};
use rvs_intent::{Capabilities, Connection, Daemon, DaemonRole, Edit, Listing, LocalNet, Table};
use rvs_wire::{Addr, Be16, Family};
use std::cell::{Cell, RefCell};
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
struct Kernel(Rc<RefCell<Model>>, Rc<RefCell<Figures>>);

impl Dataplane for Kernel {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        self.0.borrow_mut().update(edits)
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        let mut listing = self.0.borrow_mut().listing()?;
        self.1.borrow().fill(&mut listing);
        Ok(listing)
    }

    fn preview(&mut self, edits: &[Edit]) -> Result<Table, UpdateError> {
        self.0.borrow_mut().preview(edits)
    }

    fn daemons(&mut self) -> Result<Vec<Daemon>, Error> {
        self.0.borrow_mut().daemons()
    }

    fn start_daemon(&mut self, daemon: &Daemon) -> Result<(), UpdateError> {
        self.0.borrow_mut().start_daemon(daemon)
    }

    fn stop_daemon(&mut self, role: DaemonRole) -> Result<(), UpdateError> {
        self.0.borrow_mut().stop_daemon(role)
    }

    fn purge(&mut self, service: &ServiceKey, addr: Addr, port: Be16) -> Result<u32, UpdateError> {
        self.0.borrow_mut().purge(service, addr, port)
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
    /// The file that standard input is said to be.
    pub(crate) stdin_name: Option<String>,
    /// How many pauses a command has before somebody presses Ctrl-C.
    patience: Cell<u32>,
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
kerberos 88/udp
x11-1 6001/tcp
x11-2 6002/tcp
x11-3 6003/tcp
x11-4 6004/tcp
x11-5 6005/tcp
x11-6 6006/tcp
x11-7 6007/tcp
font-service 7100/tcp xfs
bacula-dir 9101/tcp
bacula-fd 9102/tcp
bacula-sd 9103/tcp
";

impl Host {
    /// A host with all that IPVS has, daemons as well.
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        let mut model = Model::new(capabilities, Box::new(Interfaces));
        model.allow_sync(&["eth0", "eth1"]);
        Self::of(model)
    }

    /// A host with what this version has.
    pub(crate) fn of_this_version() -> Self {
        Self::of(Model::new(Capabilities::THIS_VERSION, Box::new(Interfaces)))
    }

    fn of(model: Model) -> Self {
        let names = FixedNames {
            hosts: vec![("localhost".to_owned(), Ipv4Addr::LOCALHOST)],
            services: Services::parse(SERVICES),
        };
        Self {
            kernel: Kernel(Rc::new(RefCell::new(model)), Rc::default()),
            names,
            stdin_name: None,
            patience: Cell::new(0),
        }
    }

    /// The table as it is.
    pub(crate) fn table(&self) -> Table {
        self.kernel.0.borrow().table().clone()
    }

    /// Gives the table figures that only traffic brings.
    pub(crate) fn figures(&self, figures: Figures) {
        *self.kernel.1.borrow_mut() = figures;
    }

    /// Gives the connections that only traffic brings.
    pub(crate) fn connections(&self, connections: Vec<Connection>) {
        self.kernel.0.borrow_mut().set_connections(connections);
    }

    /// What it knows by name.
    pub(crate) fn names(&self) -> &FixedNames {
        &self.names
    }

    /// Lets commands wait so many times.
    pub(crate) fn patience(&self, pauses: u32) {
        self.patience.set(pauses);
    }

    /// Runs `ipvsadm` with these arguments, separated by single blanks.
    pub(crate) fn line(&self, line: &str) -> Entry {
        self.ipvsadm(&line.split(' ').collect::<Vec<_>>(), "")
    }

    /// Runs `ipvsadm` with these arguments.
    pub(crate) fn ipvsadm(&self, args: &[&str], stdin: &str) -> Entry {
        self.call(rvs_app::ipvsadm::run, &words(args), stdin, &mut |_| Ok(Box::new(self.kernel.clone())))
    }

    /// What `rvs proc` prints.
    pub(crate) fn proc(&self, file: rvs_app::proc::File) -> String {
        let mut out = Vec::new();
        rvs_app::proc::print(file, &mut self.kernel.clone(), &mut out).expect("a model can be printed");
        String::from_utf8(out).expect("all output is text")
    }

    /// Runs `ipvsadm-save`.
    pub(crate) fn save(&self, args: &[&str]) -> Entry {
        self.call(rvs_app::scripts::save, &words(args), "", &mut |_| Ok(Box::new(self.kernel.clone())))
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
            stdin_name: self.stdin_name.clone(),
            out: &mut out,
            err: &mut err,
            names: &self.names,
            open,
            pause: &mut |_| match self.patience.get().checked_sub(1) {
                Some(left) => {
                    self.patience.set(left);
                    Woken::Elapsed
                }
                None => Woken::Interrupted,
            },
        };
        let status = tool(args, world);
        let text = |bytes| String::from_utf8(bytes).expect("all output is text");
        Entry { line: 0, command: String::new(), out: text(out), err: text(err), status }
    }
}

fn words(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}
