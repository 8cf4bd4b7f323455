//! Checks over real sockets: servers that do wrong in all the ways servers do, TLS, programs, servers from packages, and load.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod closing;
mod faults;
mod load;
mod programs;
mod real;
mod tls;
mod world;
