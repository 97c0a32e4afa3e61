//! What the agent and its gatekeeper say to each other: JSON, a line each.

use picket_common::action::DeniedFile;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All that is denied from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Repeated in the answer.
    pub(super) number: u64,
    pub(super) files: Vec<DeniedFile>,
    /// A path in each file system whose programs are judged.
    pub(super) places: Vec<PathBuf>,
    /// By device and inode: what starts whatever is denied, as long as it is root's.
    pub(super) spared: Vec<(u64, u64)>,
}

/// What the gatekeeper says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It holds from now on in so many of the places; of the others a few are named with the reason.
    Holds {
        number: u64,
        seen: usize,
        unseen: Vec<(PathBuf, String)>,
    },
    /// Somebody was kept from starting a file.
    Denied { file: DeniedFile, pid: u32, start: u64 },
    /// So many programs were let start without being judged.
    Unjudged { count: u64, reason: String },
}
