//! The balancer's mind: what becomes of each packet.
//!
//! Everything here is pure: bytes of a packet ([`packet::Packet`]) and tables ([`tables::Tables`]) in, a [`verdict`] and a
//! [`plan`] of changes out. The same source is compiled into the eBPF programs, which back it with the packet in the kernel and
//! BPF maps, and into user space, where slices and vectors stand behind it. Start reading at [`decide`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "model"))]
extern crate std;

pub mod abi;
pub mod answer;
pub mod begin;
pub mod conn;
pub mod decide;
pub mod flow;
pub mod fragment;
#[cfg(any(test, feature = "model"))]
pub mod frames;
pub mod ftp;
pub mod here;
pub mod mark;
#[cfg(any(test, feature = "model"))]
pub mod model;
pub mod packet;
pub mod path_mtu;
pub mod plan;
pub mod probe;
pub mod reset;
pub mod rewrite;
pub mod sched;
pub mod service;
pub mod settings;
pub mod short;
pub mod sip;
pub mod stats;
pub mod tables;
pub mod trace;
pub mod tunnel;
pub mod verdict;

#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod short_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_families;
#[cfg(test)]
mod tests_fragments;
#[cfg(test)]
mod tests_helpers;
#[cfg(test)]
mod tests_purge;
