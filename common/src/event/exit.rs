//! An event of a process that ended.

use super::Program;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All threads of a process ended. Field docs name the ECS 9 field that carries each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExitEvent {
    /// What ended.
    pub program: Program,
    /// How.
    pub status: ExitStatus,
    /// `event.duration`: how long it ran, over all programs that it was; `None` where its start is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ran: Option<Duration>,
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// `process.exit_code`: by itself.
    Code(i32),
    /// `picket.process.exit_signal`: by the signal of that number.
    Signal(i32),
    /// Nobody saw it end: it was only found to be gone.
    Unknown,
}

impl ExitStatus {
    /// From a status as `wait` has it.
    pub const fn of_wait(status: u32) -> Self {
        match (status & 0x7f) as i32 {
            0 => Self::Code(((status >> 8) & 0xff) as i32),
            signal => Self::Signal(signal),
        }
    }
}
