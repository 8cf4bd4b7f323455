//! Asking the prompt thread how everything stands.

use crate::world::{Order, Snapshot};
use rvs_host::thread::{Lateness, Mailer};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long an answer may take; the thread answers at its next turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// What those need who ask.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The way to the thread.
    pub orders: Mailer<Order>,
    /// How late its wake-ups were.
    pub lateness: Arc<Lateness>,
}

/// Asks, and waits for the answer for a while; nothing if the thread does not answer.
pub fn ask(panel: &Panel) -> Option<Box<Snapshot>> {
    let (to, answer) = sync_channel(1);
    panel.orders.post(Order::Snapshot(to)).ok()?;
    answer.recv_timeout(PATIENCE).ok()
}
