//! Thin layers over what the kernel offers.

mod changes;
mod child;
mod clock;
mod deadman;
mod fanotify;
pub mod nft;
mod pidfd;
pub mod proc;
mod stop;
mod tool;

pub use changes::Changes;
pub use child::ended_within;
pub use clock::is_synchronised;
pub use deadman::Deadman;
pub use fanotify::{ExecGate, Start};
pub use pidfd::{Pidfd, PidfdError, Signal};
pub use stop::Stop;
pub use tool::{Tool, ToolError};
