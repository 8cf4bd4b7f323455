//! Memory that was needed for a moment. It must not know what for.

/// Gives free memory back to the system: what reading a large configuration took would otherwise count as ours for good. Memory
/// that is locked stays.
pub fn give_back() {
    crate::sys::trim_heaps();
}
