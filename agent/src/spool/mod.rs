//! Kept on disk until the collector has it: records in two lanes, and how far each source has been read.
//!
//! A lane is a folder of segments, a segment a file of frames, a frame the records of one moment with the cursors of the
//! sources that they came from. A frame is kept whole or not at all, so records and cursor can never part. One thread
//! writes; the courier, another process without rights, reads along.

mod encode;
mod error;
mod frame;
mod reader;
mod recover;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

pub use error::SpoolError;
pub use reader::{Chunk, Reader};
pub use segments::Pending;
pub use writer::{Recovery, Spool};

use picket_common::record::Lane;

/// Both lanes, in the order in which a batch is written: see [`Spool::append`].
const LANES: [Lane; 2] = [Lane::Events, Lane::Findings];
