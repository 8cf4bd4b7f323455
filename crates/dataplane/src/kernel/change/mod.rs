//! How one table becomes another under running packets: pure logic over [`store::Store`].
//!
//! [`image`] reads the records, [`plan`] computes the writes that prepare a new generation, [`settle`] those that bring what
//! is not versioned in line with what is committed. After a commit and after a crash it is the same `settle` that finishes
//! the work: there is no state of the maps that only the writer who made it can put right. Nothing here talks to the kernel;
//! the property test stops a writer after every single word it stores.

pub(crate) mod extents;
pub(crate) mod image;
pub(crate) mod plan;
pub(crate) mod settle;
pub(crate) mod store;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod memory;
