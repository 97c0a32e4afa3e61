//! Thin layers over what the kernel offers.

mod stop;

pub use stop::Stop;
