//! From a file that landed to what happened.

use super::changes::Changes;
use crate::observation::FileSeen;
use std::path::Path;

/// What helps to know what a file that landed means.
#[derive(Debug)]
pub(super) struct Files {
    changes: Changes,
}

impl Files {
    /// Takes this host's configuration as it is, before anything is seen to change.
    pub(super) fn of_host(root: &Path) -> Self {
        Self {
            changes: Changes::of_host(root),
        }
    }

    /// Adds what changed in it.
    pub(super) fn enrich(&mut self, seen: &mut FileSeen) {
        seen.event.change = self.changes.find(seen).map(Box::new);
    }
}
