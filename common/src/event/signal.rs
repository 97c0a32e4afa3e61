//! An event of a signal that one process sent to another.

use super::Program;
use serde::{Deserialize, Serialize};

/// A process sent a signal to another one, by itself and not through the kernel. Field docs name the ECS 9 field that carries
/// each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignalEvent {
    /// Who sent it.
    pub program: Program,
    /// `picket.signal.number`
    pub signal: i32,
    /// `picket.signal.target.pid`, `.start`, `.executable`, `.command_line`: to whom.
    pub target: Program,
}
