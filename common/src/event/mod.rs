//! What happened on a host: a header that all events share, and one closed set of payloads.

mod auth;
mod exec;

pub use auth::{AuthAction, AuthEvent, AuthMethod, Outcome, Peer};
pub use exec::{Ancestor, Credentials, ExecEvent, ExecutedFile, Namespaces};

use crate::ids::RecordId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing that happened on one host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Derived from source and position where the source can be read again.
    pub id: RecordId,
    /// When it happened, by its source's own account. All windows run on this time.
    pub time: Timestamp,
    /// When the agent took it in: `observed - time` is the lag that the source adds.
    pub observed: Timestamp,
    /// What it was.
    pub payload: Payload,
}

/// The kinds of event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Payload {
    /// An authentication log said so.
    Auth(Box<AuthEvent>),
    /// A process became another program.
    Exec(Box<ExecEvent>),
}

impl Event {
    /// What an authentication log said, if that is what it is.
    pub fn auth(&self) -> Option<&AuthEvent> {
        match &self.payload {
            Payload::Auth(auth) => Some(auth),
            Payload::Exec(_) => None,
        }
    }
}
