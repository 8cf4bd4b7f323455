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
//!
//! Whoever drives them subscribes each check of each real server, carries out [`RegistryOutput::Check`], and passes verdicts on:
//!
//! ```
//! use rvs_checker::*;
//! use rvs_machine::{Machine, Time};
//! use std::sync::Arc;
//!
//! let address = "10.0.2.11:80".parse()?;
//! let real = RealParams {
//!     address,
//!     name: "[10.0.2.11]:tcp:80".into(),
//!     weight: 1,
//!     inhibit_on_failure: false,
//!     smtp_alert: false,
//!     slow_start: core::time::Duration::ZERO,
//!     checks: vec![false],
//! };
//! let params = ServiceParams { name: "[10.0.1.10]:tcp:80".into(), reals: vec![real], ..ServiceParams::default() };
//! let (mut service, mut registry) = (Service::new(params, Time::ZERO), Registry::new(1, Time::ZERO));
//! service.handle(Time::ZERO, ServiceInput::Start);
//!
//! let probe = Probe::Tcp;
//! let pace = Pace::of(&probe, core::time::Duration::from_secs(3));
//! let check = CheckParams { target: Target::new(address), pace, log_all_failures: false, probe };
//! registry.handle(Time::ZERO, RegistryInput::Subscribe((address, 0), Arc::new(check)));
//! let now = registry.deadline().expect("the first run is due");
//! registry.wake(now);
//! while let Some(output) = registry.poll() {
//!     match output {
//!         // Here somebody would connect; this port is closed.
//!         RegistryOutput::Check(id, Output::Open { attempt, .. }) => {
//!             registry.handle(now, RegistryInput::Check(id, Input::Net(attempt, Net::Refused(111))));
//!         }
//!         RegistryOutput::Verdict((real, check), verdict) => {
//!             service.handle(now, ServiceInput::Verdict { real, check, verdict });
//!         }
//!         _ => {}
//!     }
//! }
//! assert!(service.table().is_empty() && !service.has_quorum());
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
#![forbid(unsafe_code)]

mod check;
/// The digest that `genhash` prints.
pub mod genhash;
mod http;
mod params;
mod pattern;
mod reason;
mod registry;
mod sentence;
mod server;
mod talk;
mod verdict;

pub use check::{Check, Ended, Facts, Input, Net, Output, RUN_LIMIT, Transport};
pub use http::{HttpVersion, Url, request};
pub use params::{
    Agent, AgentScope, Bfd, CheckParams, Dns, DnsType, File, Grpc, Http, Misc, Mysql, Pace, Pgsql, Probe, Redis, Smtp,
    Target, Tls, Udp, UdpReply,
};
pub use pattern::{Compiled, Pattern};
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
