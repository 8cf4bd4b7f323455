//! A firewall for addresses that this host holds without accepting packets to them (`no_accept`): tables of nf_tables that drop
//! packets to and from them, in the network namespace of the thread that made the first one.
//!
//! The tables are the kernel's: they stay when the process dies, as the addresses do, and the next run begins by removing them.
//! Somebody who flushes the ruleset takes them away; the next change puts all of them back. This module must not decide which
//! addresses are dropped.

mod message;

use super::rtnl::NetError;
use message::{
    Batch, DELETE_ELEMENTS, DELETE_TABLE, ELEMENT, NEW_CHAIN, NEW_ELEMENTS, NEW_RULE, NEW_SET, NEW_TABLE, Step,
};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// How long an answer may take. The kernel answers at once unless it is wedged.
const PATIENCE: TimeVal = TimeVal::new(5, 0);
/// Room for the answers to a batch.
const ANSWERS: usize = 64 * 1024;
/// Elements in one message; an attribute has room for 64 KiB.
const ELEMENTS: usize = 500;
/// The set of addresses, and the one of addresses that mean something on one interface only.
const SETS: [&str; 2] = ["vips", "vips_link_local"];
/// The largest name of a table, in bytes.
const LONGEST_NAME: usize = 255;

/// The keys of `meta`.
const META_INPUT: u32 = 6;
const META_OUTPUT: u32 = 7;
const META_PROTOCOL: u32 = 16;
/// Neighbour solicitation and advertisement (RFC 4861): without them nobody would find the addresses that are served.
const NEIGHBOUR_DISCOVERY: [u8; 2] = [135, 136];

/// How the tables are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallOptions {
    /// Their name.
    pub table: String,
    /// The priority of their chains; less is earlier.
    pub priority: i32,
    /// Count what is dropped.
    pub counters: bool,
}

impl Default for FirewallOptions {
    fn default() -> Self {
        Self { table: "keepalived".into(), priority: -1, counters: false }
    }
}

/// An address whose packets are dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dropped {
    /// The address.
    pub address: IpAddr,
    /// The interface that it is on; matters for link-local ones only.
    pub device: Arc<str>,
}

impl Dropped {
    fn is_link_local(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.is_unicast_link_local())
    }

    /// What tells it apart: elsewhere the same address is the same one.
    fn key(&self) -> Self {
        let device = if self.is_link_local() { Arc::clone(&self.device) } else { "".into() };
        Self { device, ..*self }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = match self.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        if self.is_link_local() {
            let mut name = [0; libc::IFNAMSIZ];
            name.iter_mut().zip(self.device.bytes().take(libc::IFNAMSIZ - 1)).for_each(|(to, from)| *to = from);
            bytes.extend(name);
        }
        bytes
    }

    fn set(&self) -> &'static str {
        SETS[usize::from(self.is_link_local())]
    }
}

fn family(ipv6: bool) -> u8 {
    (if ipv6 { libc::NFPROTO_IPV6 } else { libc::NFPROTO_IPV4 }) as u8
}

/// The tables.
#[derive(Debug)]
pub struct Firewall {
    options: FirewallOptions,
    socket: Option<OwnedFd>,
    sequence: u32,
    /// By owner.
    held: BTreeMap<Arc<str>, BTreeSet<Dropped>>,
    /// Which of the two tables there are: of IPv4, of IPv6.
    made: [bool; 2],
}

impl Firewall {
    /// One without any address. Bytes of the table's name that nf_tables or its tools would not take become `_`.
    pub fn new(mut options: FirewallOptions) -> Self {
        let good = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        options.table = options.table.chars().map(|letter| if good(letter) { letter } else { '_' }).collect();
        options.table.truncate(LONGEST_NAME);
        Self { options, socket: None, sequence: 0, held: BTreeMap::new(), made: [false; 2] }
    }

    /// Takes new options over; with another name, priority or way of counting the tables are made anew.
    pub fn set_options(&mut self, options: FirewallOptions) -> Result<(), NetError> {
        let fresh = Self::new(options);
        if fresh.options == self.options {
            return Ok(());
        }
        self.clear()?;
        self.options = fresh.options;
        self.rebuild()
    }

    /// Removes what an earlier run left.
    pub fn clear(&mut self) -> Result<(), NetError> {
        self.made = [false; 2];
        for ipv6 in [false, true] {
            let mut batch = self.batch();
            batch.push(DELETE_TABLE, 0, family(ipv6), |table| table.text(1, &self.options.table));
            match self.carry_out(batch) {
                // Nothing there, or a kernel without nf_tables, where nothing can be.
                Ok(()) | Err(Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EINVAL) => {}
                Err(errno) => return Err(NetError::new("removing the firewall's table", errno)),
            }
        }
        Ok(())
    }

    /// Drops packets to and from these addresses on behalf of `owner`, and no longer from those that it named before.
    pub fn hold(&mut self, owner: &Arc<str>, addresses: impl IntoIterator<Item = Dropped>) -> Result<(), NetError> {
        let wanted: BTreeSet<Dropped> = addresses.into_iter().map(|address| address.key()).collect();
        let before = self.all();
        if wanted.is_empty() {
            self.held.remove(owner);
        } else {
            self.held.insert(Arc::clone(owner), wanted);
        }
        let after = self.all();
        self.change(&before, &after)
    }

    /// Lets packets to the addresses of `owner` pass again.
    pub fn release(&mut self, owner: &Arc<str>) -> Result<(), NetError> {
        self.hold(owner, [])
    }

    fn all(&self) -> BTreeSet<Dropped> {
        self.held.values().flatten().cloned().collect()
    }

    fn change(&mut self, before: &BTreeSet<Dropped>, after: &BTreeSet<Dropped>) -> Result<(), NetError> {
        if before == after {
            return Ok(());
        }
        if after.is_empty() {
            return self.clear();
        }
        let gone: Vec<&Dropped> = before.difference(after).collect();
        let new: Vec<&Dropped> = after.difference(before).collect();
        let there = |ipv6: bool| self.made[usize::from(ipv6)];
        let complete = gone.iter().chain(&new).all(|address| there(address.address.is_ipv6()));
        let done = complete
            && self.elements(DELETE_ELEMENTS, 0, &gone).is_ok()
            && self.elements(NEW_ELEMENTS, libc::NLM_F_CREATE as u16, &new).is_ok();
        // A table is missing, or somebody else changed it.
        if done { Ok(()) } else { self.rebuild() }
    }

    fn rebuild(&mut self) -> Result<(), NetError> {
        let all = self.all();
        for ipv6 in [false, true] {
            let mine: Vec<&Dropped> = all.iter().filter(|address| address.address.is_ipv6() == ipv6).collect();
            if mine.is_empty() && !self.made[usize::from(ipv6)] {
                continue;
            }
            let failed = |errno| NetError::new("dropping packets to virtual addresses, by nf_tables", errno);
            let batch = self.table(ipv6);
            self.carry_out(batch).map_err(failed)?;
            self.made[usize::from(ipv6)] = true;
            self.elements(NEW_ELEMENTS, libc::NLM_F_CREATE as u16, &mine).map_err(failed)?;
        }
        Ok(())
    }

    fn batch(&self) -> Batch {
        Batch::new(self.sequence.wrapping_add(1))
    }

    /// A table with empty sets, in the place of what has its name.
    fn table(&self, ipv6: bool) -> Batch {
        let (name, family, create) = (&self.options.table, family(ipv6), libc::NLM_F_CREATE as u16);
        let mut batch = self.batch();
        for kind in [NEW_TABLE, DELETE_TABLE, NEW_TABLE] {
            let flags = if kind == NEW_TABLE { create } else { 0 };
            batch.push(kind, flags, family, |table| table.text(1, name));
        }
        // Types by which nft prints what is in the sets: an address of its family; an address and an interface's name.
        let kinds: &[(u32, u32)] = if ipv6 { &[(8, 16), (8 << 6 | 41, 32)] } else { &[(7, 4)] };
        for ((set, (kind, length)), id) in SETS.iter().zip(kinds).zip(1..) {
            batch.push(NEW_SET, create, family, |attributes| {
                attributes.text(1, name);
                attributes.text(2, set);
                attributes.number(3, 0);
                attributes.number(4, *kind);
                attributes.number(5, *length);
                attributes.number(10, id);
            });
        }
        for (chain, hook, input) in [("in", libc::NF_INET_LOCAL_IN, true), ("out", libc::NF_INET_LOCAL_OUT, false)] {
            batch.push(NEW_CHAIN, create, family, |attributes| {
                attributes.text(1, name);
                attributes.text(3, chain);
                attributes.nested(4, |place| {
                    place.number(1, hook as u32);
                    place.bytes(2, &self.options.priority.to_be_bytes());
                });
                attributes.number(5, libc::NF_ACCEPT as u32);
                attributes.text(7, "filter");
            });
            self.rules(&mut batch, ipv6, chain, input);
        }
        batch
    }

    fn rules(&self, batch: &mut Batch, ipv6: bool, chain: &str, input: bool) {
        let flags = libc::NLM_F_CREATE as u16 | libc::NLM_F_APPEND as u16;
        let mut rule = |steps: &[Step<'_>]| {
            batch.push(NEW_RULE, flags, family(ipv6), |attributes| {
                attributes.text(1, &self.options.table);
                attributes.text(2, chain);
                attributes.nested(4, |list| Step::all(steps, list));
            });
        };
        let count = self.options.counters.then_some(Step::Count);
        let ended = |steps: &[Step<'static>]| -> Vec<Step<'static>> {
            steps.iter().copied().chain(count).chain([Step::Verdict(libc::NF_DROP as u32)]).collect()
        };
        if !ipv6 {
            let offset = if input { 16 } else { 12 };
            let address = Step::Load { register: 1, base: 1, offset, length: 4 };
            return rule(&ended(&[address, Step::In(SETS[0])]));
        }
        for kind in NEIGHBOUR_DISCOVERY {
            let protocol = Step::Meta { register: 1, key: META_PROTOCOL };
            let first = Step::Load { register: 1, base: 2, offset: 0, length: 1 };
            let icmp = Step::Is(&[libc::IPPROTO_ICMPV6 as u8]);
            rule(&[protocol, icmp, first, Step::Is(&[kind]), Step::Verdict(libc::NF_ACCEPT as u32)]);
        }
        let address = Step::Load { register: 1, base: 1, offset: if input { 24 } else { 8 }, length: 16 };
        let device = Step::Meta { register: 2, key: if input { META_INPUT } else { META_OUTPUT } };
        rule(&ended(&[address, Step::In(SETS[0])]));
        rule(&ended(&[address, device, Step::In(SETS[1])]));
    }

    fn elements(&mut self, kind: u16, flags: u16, addresses: &[&Dropped]) -> Result<(), Errno> {
        for ipv6 in [false, true] {
            for set in SETS {
                let mine = addresses.iter().filter(|it| it.address.is_ipv6() == ipv6 && it.set() == set);
                let mine: Vec<&Dropped> = mine.copied().collect();
                for part in mine.chunks(ELEMENTS) {
                    let mut batch = self.batch();
                    batch.push(kind, flags, family(ipv6), |attributes| {
                        attributes.text(1, &self.options.table);
                        attributes.text(2, set);
                        attributes.nested(3, |list| {
                            for one in part {
                                list.nested(ELEMENT, |element| {
                                    element.nested(1, |key| key.bytes(1, &one.bytes()));
                                });
                            }
                        });
                    });
                    self.carry_out(batch)?;
                }
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, batch: Batch) -> Result<(), Errno> {
        let (bytes, first, last) = batch.finish();
        self.sequence = last.wrapping_add(1);
        let fd = match self.socket.take() {
            Some(fd) => fd,
            None => open()?,
        };
        let done = send(fd.as_raw_fd(), &bytes, MsgFlags::empty()).and_then(|_| await_end(&fd, first, last));
        self.socket = Some(fd);
        done
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &PATIENCE)?;
    Ok(fd)
}

/// Waits for the answer to the last message, or for the first refusal.
fn await_end(fd: &OwnedFd, first: u32, last: u32) -> Result<(), Errno> {
    let mut buffer = vec![0; ANSWERS];
    loop {
        let length = match recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
            other => other?,
        };
        for (sequence, code) in answers(&buffer[..length]) {
            let mine = sequence == first.wrapping_sub(1) || sequence.wrapping_sub(first) <= last.wrapping_sub(first);
            if mine && code != 0 {
                return Err(Errno::from_raw(code.saturating_neg()));
            }
            if sequence == last {
                return Ok(());
            }
        }
    }
}

/// The answers in what was read: which message, and the kernel's code; 0: done.
fn answers(mut bytes: &[u8]) -> Vec<(u32, i32)> {
    let mut found = Vec::new();
    while let Some(head) = bytes.first_chunk::<20>() {
        let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = number(0) as usize;
        if length < 16 || length > bytes.len() {
            break;
        }
        if u16::from_ne_bytes([head[4], head[5]]) == libc::NLMSG_ERROR as u16 && length >= 20 {
            found.push((number(8), number(16).cast_signed()));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests;
