//! Looking into files: hashes, kinds, YARA rules, archives.
//!
//! Files that anybody may have written are read by a child process that can do nothing else ([`worker`]); the agent hands it
//! each as an open descriptor ([`Queue`], [`run`]) and hears what is in it.

mod archive;
mod cache;
mod child;
mod client;
mod content;
mod look;
mod open;
mod protocol;
mod queue;
mod rules;
mod sandbox;
mod walk;
mod worker;
mod yara;

pub use child::Options;
pub use client::{Heard, run};
pub use look::Look;
pub use open::open;
pub use protocol::{Limits, Problem, written_again};
pub use queue::{Backlog, Queue, Submitted, Task};
pub use sandbox::{SandboxError, give_up, give_up_calls};
pub use walk::Walk;
pub use worker::{WorkerError, worker};
