//! Seeing: each sensor blocks a thread of its own and puts what it sees into a queue.

mod auth_file;
mod auth_journal;
mod exec_ebpf;
mod exec_netlink;
mod exec_poll;
mod files;
mod files_fanotify;
mod files_inotify;
mod losses;
mod sightings;
mod tail;
mod watch;

pub use auth_file::AuthFile;
pub use auth_journal::{AuthJournal, SOURCE as JOURNAL};
pub use exec_ebpf::{ExecEbpf, program_of};
pub use exec_netlink::ExecNetlink;
pub use exec_poll::ExecPoll;
pub use files_fanotify::{FilesFanotify, Refused};
pub use files_inotify::FilesInotify;

use crate::observation::{Cursor, Observation, Subject};
use crate::queue::{Closed, Sender};
use crate::sys::Stop;
use crate::sys::bpf::BpfError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Something that sees.
pub trait Sensor: Send {
    /// Its name in settings, counters and logs.
    fn name(&self) -> &'static str;

    /// What it watches, for an operator.
    fn describe(&self) -> String;

    /// What it sees on this host.
    fn sees(&self) -> Vec<Subject>;

    /// Takes its place in sources of which nothing was read before, and gives it by source: what happens from now on is seen.
    /// Once it is spooled, that holds also when the agent is killed before it has read anything.
    fn begin(&mut self) -> Vec<(Arc<str>, Cursor)>;

    /// Whether nothing is missed while it does not run: what it sees is kept, and it goes on where it ended.
    fn resumes(&self) -> bool {
        false
    }

    /// Sees until `stop` is raised or nobody reads the queue any more. An error ends it; whoever started it starts it again,
    /// and it goes on where it was.
    fn run(&mut self, queue: &Sender<Observation>, stop: &Stop) -> Result<(), SenseError>;
}

/// Why a sensor gave up.
#[derive(Debug, thiserror::Error)]
pub enum SenseError {
    /// The operating system says no.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// A program that does the seeing ended.
    #[error("{0} ended: {1}")]
    Ended(&'static str, String),
    /// The program in the kernel that does the seeing.
    #[error("{0}: {1}")]
    Kernel(&'static str, BpfError),
}

/// What an operator should know of a sensor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Something is not as it should be; the sensor goes on.
    Warning(String),
    /// Something was not seen.
    Lost {
        /// Which source.
        place: String,
        /// How many items, as far as that is known.
        lost: u64,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Warning(text) => f.write_str(text),
            Self::Lost { place, lost, reason } => write!(f, "{place}: lost {lost}: {reason}"),
        }
    }
}

/// How a sensor's work ended early.
enum Broken<E = io::Error> {
    /// Nobody reads the queue: the agent is ending.
    Closed,
    /// The source.
    Source(E),
}

impl<E> From<Closed> for Broken<E> {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}
