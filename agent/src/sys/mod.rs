//! Thin layers over what the kernel offers.

mod changes;
mod child;
pub mod nft;
mod stop;
mod tool;

pub use changes::Changes;
pub use child::ended_within;
pub use stop::Stop;
pub use tool::{Tool, ToolError};
