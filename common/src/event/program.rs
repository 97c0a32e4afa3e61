//! What is known of a process that did something.

use super::{Ancestor, Container, Login};
use crate::process::ProcessId;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A process and what it runs, as far as the agent knows: of one that started before the agent looked, perhaps only the pid.
/// Field docs name the ECS 9 field that carries each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Program {
    /// `process.pid`, `picket.process.start`
    pub process: ProcessId,
    /// `process.executable`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executable: Option<CompactString>,
    /// `process.command_line`, cut where it is long.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command_line: Option<CompactString>,
    /// `process.user.id`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effective_uid: Option<u32>,
    /// `user.name`
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<CompactString>,
    /// As [`super::ExecEvent::ancestors`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ancestors: Vec<Ancestor>,
    /// As [`super::ExecEvent::login`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub login: Option<Box<Login>>,
    /// As [`super::ExecEvent::container`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub container: Option<Box<Container>>,
}

impl Program {
    /// A process of which nothing else is known.
    pub fn unknown(process: ProcessId) -> Self {
        Self {
            process,
            executable: None,
            command_line: None,
            effective_uid: None,
            user: None,
            ancestors: Vec::new(),
            login: None,
            container: None,
        }
    }
}
