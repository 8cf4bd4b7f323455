//! Health checks, and what follows from them for virtual servers, as values. It has no clock, socket, thread or process:
//! whoever drives it opens connections, runs programs, writes the log and changes the table.
//!
//! Three machines stand on each other:
//!
//! - [`Check`]: one check. Its inputs are what happens to connections and programs, its outputs what is to be done, sentences
//!   for the log and [`Verdict`]s.
//! - [`Registry`]: all checks of a daemon. Equal ones are done once; their verdicts go to all who asked. It also says which
//!   checks are stuck.
//! - [`Service`]: one virtual server with its real servers: quorum, sorry server, weights, administrative state. Its inputs are
//!   verdicts, its outputs transactions of table edits, scripts, mails, lines for FIFOs and for the log.
#![forbid(unsafe_code)]

mod check;
/// The digest that `genhash` prints.
pub mod genhash;
mod http;
mod params;
mod reason;
mod registry;
mod sentence;
mod server;
mod talk;
mod verdict;

pub use check::{Check, Ended, Facts, Input, Net, Output, RUN_LIMIT, Transport};
pub use http::{HttpVersion, Pattern, Url, request};
pub use params::{
    Agent, AgentScope, Bfd, CheckParams, Dns, DnsType, File, Grpc, Http, Misc, Mysql, Pace, Pgsql, Probe, Redis, Smtp,
    Target, Tls, Udp, UdpReply,
};
pub use reason::Reason;
pub use registry::{CheckId, Registry, RegistryInput, RegistryOutput};
pub use sentence::{Sentence, activation};
pub use server::{
    Admin, Dest, Edit, Notify, Outlier, RealParams, RealState, RealView, Service, ServiceInput, ServiceOutput,
    ServiceParams, ServiceState, Sorry,
};
pub use talk::dns::is_askable;
pub use talk::page::Page;
pub use verdict::{Advice, Finding, Met, Verdict, Wish};
