//! Thin layers over what the kernel offers.

pub mod nft;
mod stop;

pub use stop::Stop;
