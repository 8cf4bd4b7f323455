//! Asking the prompt thread and the keeper how everything stands.

use crate::keeper::{self, Board, Decided, Decision};
use crate::world::{Order, Snapshot};
use rvs_host::thread::{Lateness, Mailer};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long an answer may take; threads answer at their next turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// What those need who ask.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The way to the thread.
    pub orders: Mailer<Order>,
    /// How late its wake-ups were.
    pub lateness: Arc<Lateness>,
    /// The way to the keeper of the virtual servers.
    pub keeper: mpsc::Sender<keeper::Order>,
}

/// Asks, and waits for the answer for a while; nothing if the thread does not answer.
pub fn ask(panel: &Panel) -> Option<Box<Snapshot>> {
    let (to, answer) = sync_channel(1);
    panel.orders.post(Order::Snapshot(to)).ok()?;
    answer.recv_timeout(PATIENCE).ok()
}

fn order<T>(panel: &Panel, make: impl FnOnce(SyncSender<T>) -> keeper::Order) -> Option<T> {
    let (to, answer): (SyncSender<T>, Receiver<T>) = sync_channel(1);
    panel.keeper.try_send(make(to)).ok()?;
    answer.recv_timeout(PATIENCE).ok()
}

/// Whether the keeper of the virtual servers does its work.
pub(super) fn keeper_lives(panel: &Panel) -> bool {
    order(panel, keeper::Order::Alive).is_some()
}

/// Asks how the virtual servers stand.
pub fn board(panel: &Panel) -> Option<Box<Board>> {
    order(panel, keeper::Order::Board)
}

/// Lets an administrator decide.
pub fn decide(panel: &Panel, decision: Decision) -> Result<Decided, String> {
    order(panel, |to| keeper::Order::Decide(decision, to)).unwrap_or_else(|| Err("the daemon does not answer".into()))
}
