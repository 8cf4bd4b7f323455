//! Lines on their way to the thread that writes them: so many, and not more. It must not keep a prompt thread waiting.

use super::record::Record;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most lines waiting to be written.
const WAITING: usize = 4096;
/// How long somebody waits for room. If there is none by then, nothing is written at all, and nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(1);
/// Who waits is woken when so many have been written: not for every single one.
const STRIDE: usize = WAITING / 8;
/// And looks by itself this often: fewer may be written than that.
const LOOK: Duration = Duration::from_millis(20);

thread_local! {
    static PROMPT: Cell<bool> = const { Cell::new(false) };
}

/// From now on the calling thread drops lines for which there is no room, rather than wait.
pub fn never_wait() {
    PROMPT.set(true);
}

/// What the writer is to do.
pub(super) enum Order {
    Write(Record),
    Reopen,
    Flush(SyncSender<()>),
}

/// The way to the writer.
pub(super) struct Queue {
    orders: SyncSender<Order>,
    dropped: AtomicU64,
    /// Nothing has been written for a long time: a terminal that nobody reads from.
    stuck: AtomicBool,
    /// How many threads wait for room, and how many orders were taken since they were last woken.
    waiting: AtomicUsize,
    taken: AtomicUsize,
    turn: Mutex<()>,
    room: Condvar,
}

impl Queue {
    pub(super) fn new() -> (Self, Receiver<Order>) {
        let (orders, taker) = sync_channel(WAITING);
        let queue = Self {
            orders,
            dropped: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            turn: Mutex::new(()),
            room: Condvar::new(),
        };
        (queue, taker)
    }

    /// Hands over what is no line, however long that takes; false if there is no writer any more.
    pub(super) fn order(&self, order: Order) -> bool {
        self.orders.send(order).is_ok()
    }

    /// Hands over a line, or drops it.
    pub(super) fn put(&self, record: Record) {
        let Err(TrySendError::Full(order)) = self.orders.try_send(Order::Write(record)) else { return };
        if PROMPT.get() || self.stuck.load(Ordering::Relaxed) || !self.put_in_time(order) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn put_in_time(&self, mut order: Order) -> bool {
        let deadline = Instant::now() + PATIENCE;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let done = loop {
            match self.orders.try_send(order) {
                Err(TrySendError::Full(back)) => order = back,
                // Without a writer there is nothing to wait for.
                Ok(()) | Err(TrySendError::Disconnected(_)) => break true,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.stuck.store(true, Ordering::Relaxed);
                break false;
            }
            turn = self.room.wait_timeout(turn, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(turn);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        done
    }

    /// The writer has taken an order. How many lines were dropped since this was last called.
    pub(super) fn taken(&self) -> u64 {
        self.stuck.store(false, Ordering::Relaxed);
        if self.waiting.load(Ordering::Relaxed) > 0 && self.taken.fetch_add(1, Ordering::Relaxed).is_multiple_of(STRIDE)
        {
            self.room.notify_all();
        }
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn record(number: usize) -> Record {
        Record {
            time: (0, 0),
            offset: 0,
            level: tracing::Level::INFO,
            ident: "Keepalived".into(),
            message: number.to_string(),
            fields: Vec::new(),
        }
    }

    /// Takes all lines, as many as there are; their messages, and how many were dropped.
    fn take(queue: &Queue, orders: &Receiver<Order>, until: usize) -> (Vec<String>, u64) {
        let (mut lines, mut dropped) = (Vec::new(), 0);
        while lines.len() < until {
            let Ok(Order::Write(record)) = orders.recv_timeout(Duration::from_secs(60)) else { break };
            dropped += queue.taken();
            lines.push(record.message);
        }
        (lines, dropped)
    }

    #[test]
    fn a_burst_is_written_whole_and_in_order() {
        const LINES: usize = 20 * WAITING;
        let (queue, orders) = Queue::new();
        let queue = Arc::new(queue);
        let writer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || take(&queue, &orders, LINES))
        };
        (0..LINES).for_each(|number| queue.put(record(number)));
        let (lines, dropped) = writer.join().unwrap();
        assert_eq!((lines.len(), dropped), (LINES, 0));
        assert!(lines.iter().enumerate().all(|(number, line)| *line == number.to_string()));
    }

    #[test]
    fn a_prompt_thread_never_waits_and_others_not_for_ever() {
        let (queue, orders) = Queue::new();
        (0..WAITING).for_each(|number| queue.put(record(number)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                never_wait();
                let begin = Instant::now();
                (0..1000).for_each(|number| queue.put(record(number)));
                assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
            });
        });
        let begin = Instant::now();
        queue.put(record(0));
        assert!(begin.elapsed() >= PATIENCE);
        // Nobody writes: once is enough.
        let begin = Instant::now();
        (0..1000).for_each(|number| queue.put(record(number)));
        assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
        let (lines, dropped) = take(&queue, &orders, WAITING);
        assert_eq!((lines.len(), dropped), (WAITING, 2001));
        // It writes again.
        (0..WAITING).for_each(|number| queue.put(record(number)));
        assert_eq!(take(&queue, &orders, WAITING).1, 0);
    }
}
