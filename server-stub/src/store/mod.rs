//! What was received, kept in SQLite: a file for each day of the records' own time.

mod day;
mod query;
mod writer;

pub use query::{Filter, Query, Row};
pub use writer::{Batch, DOORBELL, Line, Writer};

use std::path::PathBuf;

/// The store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A day's file.
    #[error("{}: {error}", path.display())]
    Day {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// The folder.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The search makes no sense.
    #[error("the search makes no sense: {0}; --text looks for the exact text instead")]
    Search(String),
    /// The collector is ending.
    #[error("the collector is ending")]
    Ending,
}
