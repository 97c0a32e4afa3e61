//! What a sensor saw, before anybody looked into it.

use picket_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing that a sensor saw.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Where it was, and where to go on after it.
    pub origin: Origin,
    /// When the agent took it in.
    pub observed: Timestamp,
    /// It is read a second time, to rebuild what counting rules knew: it is judged, but nothing comes of it.
    pub again: bool,
    /// The thing itself.
    pub body: Body,
}

/// What was seen.
#[derive(Clone, Debug)]
pub enum Body {
    /// A line of an authentication log, without its end; bytes, as nobody promises that they are text.
    Line(Vec<u8>),
    /// An entry of `journalctl -o json`.
    JournalEntry(Vec<u8>),
}

/// A place in a source that can be read again.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The source, as `file:/var/log/auth.log` or `journal`.
    pub source: Arc<str>,
    /// Its place there, from which the ids of its records derive: never the same for two things of one source.
    pub position: Vec<u8>,
    /// Where reading goes on once this has been spooled.
    pub cursor: Cursor,
}

/// How far a source has been read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cursor {
    /// A file, known again by its inode and its first bytes.
    File {
        /// Device number.
        device: u64,
        /// Inode number.
        inode: u64,
        /// The byte after the last line that was read.
        offset: u64,
        /// How many of the first bytes the fingerprint covers.
        covered: u64,
        /// SHA-256 of those, shortened to 64 bits.
        fingerprint: u64,
    },
    /// The journal's own cursor.
    Journal {
        /// `__CURSOR` of the last entry.
        cursor: String,
    },
    /// A list that numbers its items.
    Number {
        /// The last item's number.
        number: u64,
    },
}
