//! What happened on a host: a header that all events share, and one closed set of payloads.

mod auth;
mod change;
mod connect;
mod exec;
mod exit;
mod file;
mod install;
mod origin;
mod privilege;
mod program;
mod signal;

pub use auth::{AuthAction, AuthEvent, AuthMethod, Outcome, Peer};
pub use change::{ChangeKind, FileBefore, FileChange};
pub use connect::{ConnectEvent, Direction};
pub use exec::{Ancestor, Credentials, ExecEvent, ExecutedFile, FileVersion, Namespaces};
pub use exit::{ExitEvent, ExitStatus};
pub use file::{FileAction, FileContent, FileEvent, FileIdentity, FileRef, YaraMatch};
pub use install::{InstallEvent, Installed};
pub use origin::{Container, Login};
pub use privilege::PrivilegeEvent;
pub use program::Program;
pub use signal::SignalEvent;

use crate::ids::RecordId;
use crate::process::ProcessId;
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
    /// A process ended.
    Exit(Box<ExitEvent>),
    /// A network connection was asked for or came about.
    Connect(Box<ConnectEvent>),
    /// A process became root as none should.
    Privilege(Box<PrivilegeEvent>),
    /// A process sent a signal to another.
    Signal(Box<SignalEvent>),
    /// A file landed.
    File(Box<FileEvent>),
    /// Packages were installed.
    Install(Box<InstallEvent>),
}

impl Event {
    /// What an authentication log said, if that is what it is.
    pub fn auth(&self) -> Option<&AuthEvent> {
        match &self.payload {
            Payload::Auth(auth) => Some(auth),
            _ => None,
        }
    }

    /// The process that the event is about, if it is about one.
    pub fn process(&self) -> Option<ProcessId> {
        match &self.payload {
            Payload::Auth(_) => None,
            Payload::Exec(exec) => Some(exec.process),
            Payload::Exit(exit) => Some(exit.program.process),
            Payload::Connect(connect) => Some(connect.program.process),
            Payload::Privilege(privilege) => Some(privilege.program.process),
            Payload::Signal(signal) => Some(signal.program.process),
            Payload::File(file) => file.writer.as_ref().map(|writer| writer.process),
            Payload::Install(install) => install.manager.as_ref().map(|manager| manager.process),
        }
    }

    /// The login of the process that the event is about, as far as it is known.
    pub fn login(&self) -> Option<&Login> {
        let program = match &self.payload {
            Payload::Auth(_) => return None,
            Payload::Exec(exec) => return exec.login.as_deref(),
            Payload::Exit(exit) => &exit.program,
            Payload::Connect(connect) => &connect.program,
            Payload::Privilege(privilege) => &privilege.program,
            Payload::Signal(signal) => &signal.program,
            Payload::File(file) => file.writer.as_deref()?,
            Payload::Install(install) => install.manager.as_deref()?,
        };
        program.login.as_deref()
    }
}
