//! Which process: a pid alone names another one once it has ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One process of one boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ProcessId {
    /// As the host's own pid namespace counts.
    pub pid: u32,
    /// When it was started: ticks of `USER_HZ` since the boot, as field 22 of `/proc/PID/stat` has it. 0 is unknown, as in
    /// an audit log, which has no such time: see [`ProcessId::is_certain`].
    pub start: u64,
}

impl ProcessId {
    /// A process of which only the pid is known: good enough to read about, never to act on.
    pub const fn uncertain(pid: u32) -> Self {
        Self { pid, start: 0 }
    }

    /// Whether it names one process and no other. Nothing may be done to one that is not certain: its pid may be another's
    /// by now.
    pub const fn is_certain(self) -> bool {
        self.start != 0
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start)
    }
}
