//! Thin layers over what the kernel offers.

mod account;
mod allocator;
pub mod bpf;
mod changes;
mod child;
mod clock;
mod deadman;
pub mod fanotify;
pub mod nft;
mod pidfd;
mod priority;
pub mod proc;
mod proc_connector;
mod stop;
mod tool;

pub use account::unprivileged;
pub use allocator::keep_small;
pub use changes::Changes;
pub use child::ended_within;
pub use clock::{Clocks, is_synchronised};
pub use deadman::Deadman;
pub use fanotify::{ExecGate, Start};
pub use pidfd::{Pidfd, PidfdError, Signal};
pub use priority::{answer_at_once, yield_to_others};
pub use proc::{Process, Stat, pids, version};
pub use proc_connector::{ConnectorError, ProcConnector, ProcessTold, Told};
pub use stop::Stop;
pub use tool::{Tool, ToolError};
