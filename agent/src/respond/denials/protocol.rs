//! What the agent and its gatekeeper say to each other: JSON, a line each.

use super::refusals::Refused;
use picket_common::action::DeniedFile;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All that is denied from now on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Repeated in the answer.
    pub(super) number: u64,
    pub(super) files: Vec<DeniedFile>,
    /// Where the file systems are mounted whose programs are judged: here or further down.
    pub(super) below: PathBuf,
    /// By device and inode: what starts whatever is denied, as long as it is root's.
    pub(super) spared: Vec<(u64, u64)>,
}

/// What the gatekeeper says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It holds from now on. Whom it has kept from starting anything before that it has said.
    Holds(Holds),
    /// These were kept from starting a file.
    Refused { file: DeniedFile, refused: Refused },
    /// So many programs were let start without being judged.
    Unjudged { count: u64, reason: String },
    /// The programs of a file system that was just mounted are not judged.
    Unseen { place: PathBuf, reason: String },
}

/// In so many file systems; of the others a few are named with the reason.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Holds {
    pub(super) number: u64,
    pub(super) seen: usize,
    pub(super) unseen: Vec<(PathBuf, String)>,
}
