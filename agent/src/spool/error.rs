//! What can go wrong with a spool.

use std::io;
use std::path::{Path, PathBuf};

/// The spool cannot be used, or not just now.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The operating system says no.
    #[error("{}: {error}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// Another agent has it.
    #[error("{} is in use by {holder}: is picket running already?", path.display())]
    InUse {
        /// The spool's folder.
        path: PathBuf,
        /// Which process it is, as it said itself.
        holder: String,
    },
}

impl SpoolError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }

    /// Whether there is no room: on the disk, in the quota of a user, or for a file.
    pub(super) fn is_full(&self) -> bool {
        let Self::File { error, .. } = self else {
            return false;
        };
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}
