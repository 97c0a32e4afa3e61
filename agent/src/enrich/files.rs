//! From a file that landed to what happened.

use super::before::Before;
use super::changes::Changes;
use crate::observation::FileSeen;
use std::path::Path;

/// What helps to know what a file that landed means.
#[derive(Debug)]
pub(super) struct Files {
    changes: Changes,
    before: Before,
}

impl Files {
    /// Takes this host's configuration as it is, before anything is seen to change.
    pub(super) fn of_host(root: &Path) -> Self {
        let mut before = Before::new();
        let changes = Changes::of_host(root, |path, file| before.note(path, file));
        Self { changes, before }
    }

    /// Adds what changed in it.
    pub(super) fn enrich(&mut self, seen: &mut FileSeen) {
        seen.event.before = self.before.otherwise(&seen.event).map(Box::new);
        seen.event.change = self.changes.find(seen).map(Box::new);
    }
}
