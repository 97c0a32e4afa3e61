//! Which process: a pid alone names another one once it has ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One process of one boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ProcessId {
    /// As the host's own pid namespace counts.
    pub pid: u32,
    /// When it was started: ticks of `USER_HZ` since the boot, as field 22 of `/proc/PID/stat` has it.
    pub start: u64,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start)
    }
}
