//! The connections there are, by a key that is never used for two of them, and by the check that has one.

use crate::connection::Connection;
use rvs_checker::CheckId;
use std::collections::HashMap;

/// Where to find a connection: place and generation. Events of one that is gone have a key that leads nowhere.
const fn key(place: usize, generation: u32) -> u64 {
    (generation as u64) << 32 | place as u64
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Connection>,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// The connection that a check talks over; those that are being closed are not here.
    live: HashMap<CheckId, u64>,
    count: usize,
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn insert(&mut self, connection: Connection) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        let slot = &mut self.slots[place];
        let key = key(place, slot.generation);
        self.live.insert(connection.id, key);
        slot.connection = Some(connection);
        self.count += 1;
        key
    }

    pub(crate) fn get(&mut self, key: u64) -> Option<&mut Connection> {
        let slot = self.slots.get_mut((key & u64::from(u32::MAX)) as usize)?;
        if slot.generation == (key >> 32) as u32 { slot.connection.as_mut() } else { None }
    }

    /// The connection that a check talks over in this attempt.
    pub(crate) fn of(&mut self, id: CheckId, attempt: u64) -> Option<u64> {
        let key = *self.live.get(&id)?;
        (self.get(key)?.attempt == attempt).then_some(key)
    }

    /// The check does not talk over it any more.
    pub(crate) fn retire(&mut self, key: u64) {
        let Some(id) = self.get(key).map(|connection| connection.id) else { return };
        if self.live.get(&id) == Some(&key) {
            self.live.remove(&id);
        }
    }

    /// Drops it, and with it the socket.
    pub(crate) fn remove(&mut self, key: u64) {
        self.retire(key);
        let place = (key & u64::from(u32::MAX)) as usize;
        if self.get(key).is_none() {
            return;
        }
        let slot = &mut self.slots[place];
        slot.connection = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(place);
        self.count -= 1;
    }
}
