//! Virtual servers end to end: keepalived drives the director in a laboratory of network namespaces, with real web servers
//! that die and come back.
//!
//! Every test builds its own laboratory. They need root, nginx, and the tools under test (`cargo xtask dist`, or the directory
//! named by `RVS_BIN_DIR`).
#![allow(clippy::unwrap_used)]

mod classic;
mod drain;
mod groups;
mod kinds;
mod life;
mod path;
mod recording;
mod scale;
mod service;
mod told;

use lab::wait::secs;
use std::time::Duration;

/// How long a change may take at most: the machine may be busy.
const LIMIT: Duration = secs(40);
