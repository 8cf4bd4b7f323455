//! Does the health checks of `rvs-checker`: opens sockets, speaks TLS, sends pings, runs programs, keeps the clock, and tells
//! what came of it. It must not know what a check asks or what an answer means: that is the checker's; nor what a
//! verdict leads to: that is the caller's.
//!
//! Everything is one value, [`Prober`], driven by [`Prober::next`] on a current-thread runtime of tokio. There is no task and
//! no channel per check, only a table of connections behind one epoll descriptor: thousands of checks a second are cheap, and
//! [`Prober::next`] can be dropped at any await without anything being lost. Programs alone are tasks.
//!
//! ```
//! use rvs_checker::{CheckParams, Pace, Probe, Target, Verdict};
//! use rvs_prober::{Prober, Told};
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! runtime.block_on(async {
//!     let mut prober = Prober::new(1)?;
//!     let pace = Pace { warmup: core::time::Duration::ZERO, ..Pace::of(&Probe::Tcp, core::time::Duration::from_secs(3)) };
//!     let target = Target::new(([127, 0, 0, 1], 9).into()); // Nobody listens there.
//!     prober.subscribe("real server 1", CheckParams { target, pace, log_all_failures: false, probe: Probe::Tcp });
//!     loop {
//!         if let Told::Verdict(who, verdict) = prober.next().await {
//!             assert!(who == "real server 1" && matches!(verdict, Verdict::Down { .. }));
//!             return std::io::Result::Ok(());
//!         }
//!     }
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod connection;
mod fetch;
mod limits;
mod poller;
mod prober;
mod programs;
mod secure;
mod socket;
mod table;
mod trust;

pub use fetch::{Fetch, FetchError, Fetched, fetch};
pub use limits::raise_descriptor_limit;
pub use prober::{Prober, Told};
pub use trust::{TlsError, TlsFiles};
