//! An event of a process that became root.

use super::Program;
use serde::{Deserialize, Serialize};

/// A process was found with root's rights that it did not have before, though it ran no set-uid file and kept no way back from
/// when it was root: what an attack on the kernel looks like, and what a file with CAP_SETUID allows. Field docs name the ECS 9
/// field that carries each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrivilegeEvent {
    /// Which; `process.user.id` is 0.
    pub program: Program,
    /// `picket.process.former_user.id`: the effective user that it had when it was last seen.
    pub former_uid: u32,
}
