//! An event of packages that were installed, upgraded, or removed.

use super::Program;
use crate::time::Timestamp;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What package managers did to files in one go, told once. Field docs name the ECS 9 field that carries each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstallEvent {
    /// `process.*`: who wrote the first of the files; `None` where no sensor sees who writes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manager: Option<Box<Program>>,
    /// `event.start`: when that was.
    pub began: Timestamp,
    /// `picket.install.packages`: the packages that own files, the one with the most first; at most [`InstallEvent::MOST`].
    pub packages: Vec<Installed>,
    /// `picket.install.files`: how often a file was written, moved or changed that a package owns.
    pub files: u64,
    /// `picket.install.unowned_files`: how often one that no package owns, or of which that could not be asked.
    pub unowned_files: u64,
    /// `picket.install.unowned`: the first of those.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unowned: Vec<CompactString>,
    /// `picket.install.agreed`: how many findings were let go of because their file is a package's.
    pub agreed: u64,
}

impl InstallEvent {
    /// So many packages are named.
    pub const MOST: usize = 64;
}

/// A package with files that were written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Installed {
    /// Its name.
    pub name: CompactString,
    /// How often one of its files was written, moved or changed.
    pub files: u64,
}
