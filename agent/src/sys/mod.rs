//! Thin layers over what the kernel offers.

mod account;
mod changes;
mod child;
mod clock;
pub mod nft;
mod priority;
mod stop;
mod tool;

pub use account::unprivileged;
pub use changes::Changes;
pub use child::ended_within;
pub use clock::is_synchronised;
pub use priority::yield_to_others;
pub use stop::Stop;
pub use tool::{Tool, ToolError};
