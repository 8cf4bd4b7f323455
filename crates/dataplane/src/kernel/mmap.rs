//! Array maps in our address space: the one place where memory shared with running programs is read and written.
//!
//! The memory is only ever touched through atomic words, because programs change it at the same time; a record is copied out
//! word by word and may be torn between words, never within one. Callers that need several words to agree say how (a
//! generation, a serial number). Nothing else in this crate holds a pointer into a map.
#![allow(unsafe_code)] // Shared memory; each block says why it is sound.

use super::map::Map;
use super::sys::F_MMAPABLE;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use zerocopy::FromBytes;

/// An array map, mapped.
#[derive(Debug)]
pub(crate) struct Shared {
    base: NonNull<u64>,
    /// Number of records.
    entries: usize,
    /// Words of 64 bits in a record.
    record: usize,
}

// SAFETY: the memory is shared between processes to begin with; every access is atomic.
unsafe impl Send for Shared {}

impl Shared {
    /// Maps `map`, whose values must be `size` bytes long, a multiple of 8.
    pub(crate) fn new(map: &Map, size: usize) -> io::Result<Self> {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap};
        let info = map.info();
        let fits = info.value_size as usize == size && size.is_multiple_of(8);
        if !fits || info.flags & F_MMAPABLE == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the map's values are not of the expected size"));
        }
        let entries = info.max_entries as usize;
        let length = NonZeroUsize::new(entries * size).ok_or(io::ErrorKind::InvalidData)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, map.as_fd(), 0)? };
        Ok(Self { base: base.cast(), entries, record: size / 8 })
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page aligned, this long, and lives as long as `self`; atomics may be shared with the
        // kernel's programs.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().cast::<AtomicU64>(), self.entries * self.record) }
    }

    fn halves(&self) -> &[AtomicU32] {
        // SAFETY: as in `words`; a word is two aligned halves.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().cast::<AtomicU32>(), 2 * self.entries * self.record) }
    }

    /// A copy of the record at `index`; `None` past the end, or when `T` is larger than a record.
    pub(crate) fn get<T: FromBytes>(&self, index: usize) -> Option<T> {
        let words = self.words().get(index.checked_mul(self.record)?..)?.get(..self.record)?;
        let mut copy = MaybeUninit::<T>::uninit();
        if size_of::<T>() > words.len() * 8 {
            return None;
        }
        for (at, word) in (0..size_of::<T>()).step_by(8).zip(words) {
            let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            let len = bytes.len().min(size_of::<T>() - at);
            // SAFETY: `at + len` is at most the size of `T`; both places are bytes, and apart.
            unsafe { copy.as_mut_ptr().cast::<u8>().add(at).copy_from_nonoverlapping(bytes.as_ptr(), len) };
        }
        fence(Ordering::Acquire);
        // SAFETY: all of its bytes have been written, and any bytes are a `T`.
        Some(unsafe { copy.assume_init() })
    }

    /// The 32-bit field at byte `offset` of the record at `index`; `None` when out of range.
    pub(crate) fn load(&self, index: usize, offset: usize) -> Option<u32> {
        Some(self.half(index, offset)?.load(Ordering::Acquire))
    }

    /// Stores `bytes` (a multiple of 4) at byte `offset` of the record at `index`, in words of 32 bits, in order: whoever
    /// sees one sees everything stored before it. `None` when out of range; then nothing is stored.
    pub(crate) fn store(&self, index: usize, offset: usize, bytes: &[u8]) -> Option<()> {
        let (chunks, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || offset + bytes.len() > self.record * 8 {
            return None;
        }
        for (i, chunk) in chunks.iter().enumerate() {
            self.half(index, offset + 4 * i)?.store(u32::from_ne_bytes(*chunk), Ordering::Release);
        }
        fence(Ordering::SeqCst);
        Some(())
    }

    fn half(&self, index: usize, offset: usize) -> Option<&AtomicU32> {
        let within = offset.is_multiple_of(4) && offset + 4 <= self.record * 8;
        let at = index.checked_mul(2 * self.record)?.checked_add(offset / 4)?;
        if within { self.halves().get(at) } else { None }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length; no reference into it outlives `self`.
        let _ = unsafe { nix::sys::mman::munmap(self.base.cast(), self.entries * self.record * 8) };
    }
}
