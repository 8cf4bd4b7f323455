//! keepalived end to end: ours against ours and against the distribution's, in network namespaces with real packets.
//!
//! Every test builds its own segment, so that they run side by side. They need root, the tools under test (`cargo xtask dist`,
//! or the directory named by `RVS_BIN_DIR`), and the distribution's keepalived, tshark and bird.
#![allow(clippy::unwrap_used)]

mod accept;
mod bad;
mod bfd;
mod config;
mod effects;
mod failover;
mod mail;
mod peers;
mod reload;
mod tell;
mod virtuals;
mod wire;

use anyhow::Result;
use lab::eventually;
use lab::pair::{Pair, Side};
use lab::wait::secs;
use std::time::Duration;

/// How long a change may take at most: the machine may be busy.
const LIMIT: Duration = secs(40);

/// Waits until this director is the only one with the address, and the client gets answers from it.
fn master(pair: &Pair, side: Side, ip: &str) -> Result<()> {
    eventually(LIMIT, || pair.only(side, ip))?;
    eventually(LIMIT, || pair.answers(ip))
}
