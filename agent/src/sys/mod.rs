//! Thin layers over what the kernel offers.

mod changes;
mod child;
mod clock;
pub mod fanotify;
pub mod nft;
mod stop;
mod tool;

pub use changes::Changes;
pub use child::ended_within;
pub use clock::is_synchronised;
pub use stop::Stop;
pub use tool::{Tool, ToolError};
