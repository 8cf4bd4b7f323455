//! A laboratory of network namespaces: client, router, director and real servers on two bridged segments, with real
//! servers and clients in them. Everything the end-to-end tests, the demo and the benchmark stand on.
//!
//! ```text
//!   cl ──┐ front                       back ┌── rs1 10.0.2.11
//!        ├── dr 10.0.1.1   dr 10.0.2.1 ─────┼── rs2 10.0.2.12
//! 10.0.1.100                                ├── rs3 10.0.2.13
//!        └── rt 10.0.1.254 rt 10.0.2.254 ───┘
//! ```
//!
//! The virtual address is 10.0.1.10, on the director. All of it has IPv6 as well: fd00:1::/64 in front, with fd00:1::10 as
//! the virtual address, and fd00:2::/64 behind. The laboratory treats the director as a black box: it uses its
//! command line tools and the packets that come out, none of its code. A [`Lab`] removes all it made when it is dropped, on
//! panic and on SIGINT or SIGTERM as well; what a killed process left is collected by the next one.
#![forbid(unsafe_code)]

pub mod any;
pub mod capture;
pub mod classic;
mod cleanup;
pub mod client;
pub mod director;
pub mod echo;
pub mod http;
mod lab;
pub mod netns;
pub mod packet;
pub mod pair;
mod plan;
pub mod process;
pub mod topology;
pub mod wait;
pub mod wire;

pub use cleanup::{is_root, remove_named};
pub use lab::{Lab, start};
pub use netns::Netns;
pub use process::{NsCommand, Outcome, Running};
pub use topology::{Family, Method, Topology};
pub use wait::eventually;
