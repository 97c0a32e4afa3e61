//! Which package owns a file, where rpm is the one that knows.

use crate::sys::Tool;
use compact_str::CompactString;
use std::time::Duration;

/// So long it may take for one file.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer name is none.
const LONGEST: usize = 200;

/// The command `rpm`, as its database has had four formats.
pub(super) struct Rpm(Tool);

impl Rpm {
    /// `None` where it is not.
    pub(super) fn find() -> Option<Self> {
        Tool::find("rpm").ok().map(Self)
    }

    /// The package that owns a path, if one does.
    pub(super) fn owner(&self, path: &str) -> Option<CompactString> {
        let arguments = ["--query", "--file", "--queryformat", "%{NAME}\\n", "--", path];
        let said = self.0.run(&arguments, "", PATIENCE).ok()?;
        let name = said.lines().next()?;
        (!name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_whitespace))
            .then(|| name.into())
    }
}
