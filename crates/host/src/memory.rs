//! Memory that was needed for a moment. It must not know what for.

/// Gives free memory back to the system: what reading a large configuration took would otherwise count as ours for good. Memory
/// that is locked stays.
pub fn give_back() {
    crate::sys::trim_heaps();
}

/// Blocks this large are given back as soon as they are free.
const LARGE: i32 = 256 << 10;

/// From now on large blocks are given back when they are free, and leave no holes; to be called once, at the start.
pub fn keep_large_apart() {
    crate::sys::map_blocks_from(LARGE);
}
