//! Routers as a whole: the RFC's table, the recorded sequences of the original, groups, reloads, bad input.
#![allow(clippy::unwrap_used)] // A failed step is a failed test.

mod bad_input;
mod common;
mod groups;
mod recorded;
mod reload;
mod tracking;
mod transitions;
