//! Maps through `bpf(2)`: single values, and many at once.
//!
//! One of the files that may be unsafe. Every buffer is checked against the sizes that the kernel tells of the map before its
//! address is handed over. What the maps hold is not known here.
#![allow(unsafe_code)] // Commands with addresses of buffers; each block says why it is sound.

use super::sys::{MapInfo, PERCPU_ARRAY, bpf, cmd, map_info};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

#[repr(C)]
#[derive(Default)]
struct ElemAttr {
    fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// A map, with the sizes that its buffers are checked against.
#[derive(Debug)]
pub(crate) struct Map {
    fd: OwnedFd,
    info: MapInfo,
    /// Bytes of a value in user space: for a per-CPU map one of each possible CPU, each rounded up to 8.
    value_bytes: usize,
}

/// Bytes that a hash map's position between two batches may take, at least.
const POSITION_BYTES: usize = 64;

impl Map {
    /// The map behind a descriptor.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let info = map_info(fd.as_fd())?;
        let value_bytes = if info.kind == PERCPU_ARRAY {
            let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
            (info.value_size as usize).next_multiple_of(8) * cpus
        } else {
            info.value_size as usize
        };
        Ok(Self { fd, info, value_bytes })
    }

    /// What the kernel says of it.
    pub(crate) fn info(&self) -> MapInfo {
        self.info
    }

    /// Bytes of one value as user space sees it.
    pub(crate) fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    fn check(&self, key: usize, value: Option<usize>) -> io::Result<()> {
        if key != self.info.key_size as usize || value.is_some_and(|v| v != self.value_bytes) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "key or value of another size than the map's"));
        }
        Ok(())
    }

    fn elem(&self, command: u32, key: &[u8], value: u64) -> io::Result<()> {
        let mut attr =
            ElemAttr { fd: self.fd.as_raw_fd() as u32, key: key.as_ptr() as u64, value, ..ElemAttr::default() };
        // SAFETY: `check` compared key and value with the map's sizes; both outlive the call.
        unsafe { bpf(command, &mut attr).map(drop) }
    }

    /// Reads the value of `key` into `value`.
    pub(crate) fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        self.check(key.len(), Some(value.len()))?;
        self.elem(cmd::MAP_LOOKUP, key, value.as_mut_ptr() as u64)
    }

    /// Writes the value of `key`, whether there is one or not.
    pub(crate) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key.len(), Some(value.len()))?;
        self.elem(cmd::MAP_UPDATE, key, value.as_ptr() as u64)
    }

    /// Removes `key`; not an error when it is not there.
    pub(crate) fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.check(key.len(), None)?;
        match self.elem(cmd::MAP_DELETE, key, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// The values of the first `count` indexes of an array map, one after the other.
    pub(crate) fn read_array(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut values = Vec::with_capacity(count.min(self.info.max_entries as usize) * self.value_bytes);
        self.each_chunk(count, |chunk| values.extend_from_slice(chunk))?;
        Ok(values)
    }

    /// As [`Map::read_array`], without keeping it all: hands over whole values, up to 1024 at a time.
    pub(crate) fn each_chunk(&self, count: usize, mut visit: impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = count.min(self.info.max_entries as usize);
        let mut step = Batch::new(self, left.min(1024));
        while left > 0 {
            let (_, chunk, done) = step.next(self, left.min(1024))?;
            visit(chunk);
            left -= chunk.len() / self.value_bytes;
            if done && left > 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the map ended early"));
            }
        }
        Ok(())
    }

    /// All keys and values of a hash map.
    pub(crate) fn read_hash(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut pairs = Vec::new();
        let mut step = Batch::new(self, 4096);
        loop {
            let (keys, values, done) = step.next(self, 4096)?;
            let keys = keys.chunks_exact(self.info.key_size as usize);
            pairs.extend(keys.zip(values.chunks_exact(self.value_bytes)).map(|(k, v)| (k.to_vec(), v.to_vec())));
            if done {
                return Ok(pairs);
            }
        }
    }

    /// Writes the values of many keys; `keys` and `values` hold them one after the other.
    pub(crate) fn update_many(&self, keys: &[u8], values: &[u8]) -> io::Result<()> {
        let count = keys.len() / self.info.key_size as usize;
        if keys.len() != count * self.info.key_size as usize || values.len() != count * self.value_bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "keys and values do not match"));
        }
        if count == 0 {
            return Ok(());
        }
        let mut attr = BatchAttr {
            keys: keys.as_ptr() as u64,
            values: values.as_ptr() as u64,
            count: count as u32,
            fd: self.fd.as_raw_fd() as u32,
            ..BatchAttr::default()
        };
        // SAFETY: both buffers hold `count` elements, as just checked, and outlive the call.
        unsafe { bpf(cmd::MAP_UPDATE_BATCH, &mut attr).map(drop) }
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A walk through a map in batches.
struct Batch {
    position: Vec<u8>,
    started: bool,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Batch {
    fn new(map: &Map, most: usize) -> Self {
        Self {
            position: vec![0; POSITION_BYTES.max(map.info.key_size as usize)],
            started: false,
            keys: vec![0; most * map.info.key_size as usize],
            values: vec![0; most * map.value_bytes],
        }
    }

    /// The next keys and values, and whether they are the last.
    fn next(&mut self, map: &Map, most: usize) -> io::Result<(&[u8], &[u8], bool)> {
        let most = most.min(self.keys.len() / map.info.key_size as usize);
        let mut out = vec![0u8; self.position.len()];
        let mut attr = BatchAttr {
            in_batch: if self.started { self.position.as_ptr() as u64 } else { 0 },
            out_batch: out.as_mut_ptr() as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: most as u32,
            fd: map.fd.as_raw_fd() as u32,
            ..BatchAttr::default()
        };
        // SAFETY: the buffers hold `most` keys and values; positions are at most a key or a u32 long; all outlive the call.
        let done = match unsafe { bpf(cmd::MAP_LOOKUP_BATCH, &mut attr) } {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        self.started = true;
        self.position = out;
        let got = (attr.count as usize).min(most);
        Ok((&self.keys[..got * map.info.key_size as usize], &self.values[..got * map.value_bytes], done))
    }
}
